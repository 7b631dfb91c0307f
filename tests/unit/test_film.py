"""The strip below an annotated video: where its curve runs, and what it says."""

import numpy as np
import pytest

from vadbench.models.film import (
    ALARM,
    BOTTOM,
    HEIGHT,
    LEFT,
    LINE,
    STEP,
    TOP,
    _draw_strip,
    describe_frame,
)
from vadbench.models.watching import Watched

WIDTH = 640


def curve_rows(shares, column):
    """The rows of a column that have the curve's colour."""
    strip = _draw_strip(shares, WIDTH, (-8.29, 12.0), None, "frame 3")
    assert strip.shape == (HEIGHT, WIDTH, 3)
    return np.flatnonzero((np.abs(strip[:, column].astype(int) - LINE) < 60).all(1))


@pytest.mark.parametrize(("share", "row"), [(0.0, BOTTOM), (0.5, (TOP + BOTTOM) / 2), (1.0, TOP)])
def test_a_score_is_drawn_between_the_ends_of_the_scale(share, row):
    assert curve_rows([share] * 20, WIDTH - 10) == pytest.approx([row], abs=1)


def test_the_last_frames_are_those_that_fit():
    shares = [1.0] * 2000 + [0.0] * ((WIDTH - LEFT) // STEP)
    assert (curve_rows(shares, LEFT + 2) == BOTTOM).all()


@pytest.mark.parametrize(("limit", "rows"), [(0.5, [(TOP + BOTTOM) // 2]), (1.5, []), (None, [])])
def test_a_threshold_on_the_scale_is_a_line(limit, rows):
    strip = _draw_strip([0.0], WIDTH, (0.0, 1.0), limit, "")
    assert np.flatnonzero((strip[:, LEFT + 9] == ALARM).all(1)).tolist() == rows


def test_the_words_name_the_score_that_is_drawn():
    picture, nothing = np.zeros((2, 2), np.uint8), np.zeros((0, 4), np.float32)
    plain = Watched(3, None, 71.8, None, None, picture, nothing, np.zeros(0))
    assert describe_frame(plain) == "frame 3  score 71.8"
    smoothed = Watched(3, 0.12, 71.8, 76.2, None, picture, nothing, np.zeros(0))
    assert describe_frame(smoothed) == "frame 3  0.12 s  score 71.8  smoothed 76.2 (drawn)"
