"""Clips of a data set, their timelines, and where everything of a chart lies."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from leaderboard_records import LENGTH, VIDEOS, read_entries, write_row, write_scored_row
from shown import Shown

from vadbench.datasets.base import Labels
from vadbench.report.leaderboard import build
from vadbench.report.leaderboard.charts import (
    HEIGHT,
    LANE,
    LETTER,
    LINE,
    POINTS,
    WIDTH,
    Box,
    runs_of_ones,
    scatter,
    timeline,
)
from vadbench.report.leaderboard.videos import make_clips
from vadbench.results.records import Results


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results")


def test_hardest_clips_come_first_and_one_class_clips_have_no_auc(results):
    write_scored_row(results, "alpha", 0.9)
    clips = make_clips(read_entries(results), results)
    assert [clip.name for clip in clips.hardest] == ["Test002", "Test001"]
    assert (clips.clips[2].mean, clips.clips[2].reason) == (None, "one class only")
    assert [one.video for one in clips.timelines] == ["Test002", "Test001"]


def test_clips_are_of_the_default_features_whatever_was_run_on_more(results):
    write_row(results, "alpha", 0.9, dataset="ped2")
    for method in ("alpha", "beta"):
        write_row(results, method, 0.9, dataset="ped2", stream="deep")
    assert make_clips(read_entries(results), results).features == "velocity"


def test_without_frame_scores_there_are_clips_and_no_timelines(results):
    write_row(results, "alpha", 0.9)
    clips = make_clips(read_entries(results), results)
    assert (len(clips.clips), clips.timelines) == (3, ())


def test_timelines_of_a_data_set_that_is_not_here_say_why_nothing_is_shaded(results, tmp_path):
    write_scored_row(results, "alpha", 0.9)
    page = (build(results.root, tmp_path / "site").parent / "datasets" / "street.html").read_text()
    assert "street is not on the machine that made this page" in page
    assert 'class="anomaly"' not in page


class Street(Shown):
    """The data set of the records: the second half of every clip is anomalous."""

    def labels(self):
        halves = np.repeat(np.array([0, 1], np.uint8), LENGTH // 2)
        return Labels("official", "a file", dict.fromkeys(VIDEOS, halves))


@pytest.mark.parametrize(
    ("same", "stretches"),
    [(True, [1, 1]), (False, [0, 0])],
    ids=["the records' labels", "other labels"],
)
def test_what_is_anomalous_is_shaded_by_the_labels_of_the_records_alone(
    results, monkeypatch, same, stretches
):
    street = Street(np.zeros((1, 2, 2), np.uint8))
    monkeypatch.setattr("vadbench.datasets.open.open_dataset", lambda name: street)
    sha256 = street.labels().provenance()["sha256"] if same else "1" * 64
    write_scored_row(results, "alpha", 0.9, labels={"sha256": sha256})
    clips = make_clips(read_entries(results), results)
    assert [len(one.anomalies) for one in clips.timelines] == stretches
    assert (clips.unshaded is None) == same


# charts


@given(st.lists(st.integers(0, 1), max_size=30))
def test_shaded_stretches_cover_the_anomalous_frames_and_no_others(labels):
    covered = np.zeros(len(labels), int)
    for start, length in runs_of_ones(np.array(labels, np.uint8)):
        covered[start : start + length] += 1
    assert covered.tolist() == labels


def test_a_long_clip_is_drawn_with_few_points_that_keep_its_extremes():
    scores = np.random.default_rng(0).normal(size=50_000)
    (lane,) = timeline("clip", [("alpha", "–", scores)], None).lanes
    heights = [float(point.split(",")[1]) for point in lane.points.split()]
    assert len(heights) <= POINTS
    assert (min(heights), max(heights)) == (2.0, LANE - 2)


def test_constant_scores_are_a_line_in_the_middle():
    (lane,) = timeline("clip", [("alpha", "–", np.ones(5))], np.zeros(5, np.uint8)).lanes
    assert {point.split(",")[1] for point in lane.points.split()} == {f"{LANE / 2:.1f}"}


def label_box(dot):
    """What a dot's label covers."""
    width = LETTER * len(dot.name)
    left = dot.label_x - {"start": 0, "middle": width / 2, "end": width}[dot.anchor]
    return Box(left, dot.label_y - LINE + 3, left + width, dot.label_y + 3)


def test_labels_of_a_scatter_plot_cover_no_dot_and_no_other_label():
    points = [(f"m{number}", 10.0 * (1 + number), 0.9 + 0.001 * number) for number in range(6)]
    chart = scatter(points)
    labels = [label_box(dot) for dot in chart.dots]
    dots = [Box(dot.x - 5, dot.y - 5, dot.x + 5, dot.y + 5) for dot in chart.dots]
    assert not any(one.overlaps(other) for one, other in combinations(labels, 2))
    assert not any(label.overlaps(dot) for label in labels for dot in dots)
    assert all(box.left >= 0 and box.right <= WIDTH for box in labels)
    assert all(box.top >= 0 and box.bottom <= HEIGHT for box in labels)


def test_where_no_place_is_free_a_label_stands_right_of_its_dot():
    chart = scatter([("many letters", 10.0, 0.9)] * 20)
    assert [(dot.label_x - dot.x, dot.anchor) for dot in chart.dots[-1:]] == [(9, "start")]
