"""Footage: passes over a clip's frames, held or decoded anew."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from shown import Shown, footage

from vadbench.datasets.base import Video
from vadbench.errors import BadInput
from vadbench.features.footage import Footage


def clip(frames: int = 7, colour: bool = False) -> np.ndarray:
    return np.random.default_rng(0).integers(
        0, 256, (frames, 6, 8, *([3] if colour else [])), np.uint8
    )


class Counting(Shown):
    """Counts its passes."""

    passes = 0

    def read(self, video: Video) -> Iterator[np.ndarray]:
        self.passes += 1
        return super().read(video)


@pytest.mark.parametrize(("held", "passes"), [(2**20, 1), (6 * 8 * 6, 3)])
def test_a_short_clip_is_decoded_once_and_a_long_one_in_each_pass(held: int, passes: int) -> None:
    data = Counting(clip())
    frames = Footage(data, Video("clip", "train", 7), held)

    for _ in range(3):
        assert np.array_equal(np.stack(list(frames)), clip())
    assert data.passes == passes


@pytest.mark.parametrize(
    ("held", "passes"),
    [
        (7 * 6 * 8 * 3, 1),  # colours fit
        (7 * 6 * 8 * 3 - 1, 2),  # luma fits, colours are read again
        (7 * 6 * 8 - 1, 4),  # neither
    ],
)
def test_where_colours_do_not_fit_luma_is_held(held: int, passes: int) -> None:
    data = Counting(clip(colour=True))
    frames = Footage(data, Video("clip", "train", 7), held)
    whole = np.stack(list(footage(clip(colour=True)).grey()))

    for _ in range(3):
        assert np.array_equal(np.stack(list(frames.grey())), whole)
    assert np.array_equal(np.stack(list(frames)), clip(colour=True))
    assert data.passes == passes


def test_a_pass_that_is_left_early_is_not_held() -> None:
    frames = footage(clip())
    next(iter(frames))

    assert len(list(frames)) == 7


def test_sampled_frames_are_evenly_spaced_with_both_ends() -> None:
    assert np.array_equal(footage(clip()).sample(4), clip()[[0, 2, 4, 6]])
    assert np.array_equal(footage(clip()).sample(99), clip())


def test_grey_is_luma() -> None:
    weighted = clip(colour=True) @ np.array([0.299, 0.587, 0.114])
    assert np.abs(np.stack(list(footage(clip(colour=True)).grey())) - weighted).max() <= 1
    assert np.array_equal(np.stack(list(footage(clip()).grey())), clip())


@pytest.mark.parametrize(
    ("shown", "frames", "told"),
    [
        (clip(5), 7, "decodes to 5 frames, expected 7"),
        (clip(9), 7, "decodes to more than its 7 frames"),
        (clip(7).astype(np.float32), 7, "frame 1 as float32"),
        (clip(7)[:, 0], 7, "frame 1 as uint8"),
    ],
)
def test_frames_that_are_not_what_was_counted_are_refused(
    shown: np.ndarray, frames: int, told: str
) -> None:
    with pytest.raises(
        BadInput, match=f"shown: train clip clip .*{told}.*vadbench data check shown"
    ) as error:
        list(Footage(Shown(shown), Video("clip", "train", frames)))
    assert "\n" not in str(error.value)


def test_a_frame_of_another_shape_is_refused() -> None:
    class Changing(Shown):
        def read(self, video: Video) -> Iterator[np.ndarray]:
            yield from (clip(1)[0], clip(1)[0, :3])

    with pytest.raises(
        BadInput, match=r"gives frame 2 as uint8 \[3, 8\], expected uint8 of shape \[6, 8\]"
    ):
        list(Footage(Changing(clip(2)), Video("clip", "train", 2)))
