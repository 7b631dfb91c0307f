"""Optical flow and its statistics in boxes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shown import footage

from vadbench.errors import BadInput
from vadbench.features.boxes.provider import Objects
from vadbench.features.extractors.optical_flow import Flow, over_pairs
from vadbench.features.extractors.velocity import (
    Velocity,
    VelocityOptions,
    hof,
    stats,
    whole_pixels,
)


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 20, 235, cv2.NORM_MINMAX).astype(
        np.uint8
    )


def shift(
    right: int, down: int, height: int = 80, width: int = 120
) -> tuple[np.ndarray, np.ndarray]:
    """A texture and the same moved by whole pixels: crops of one larger picture."""
    large = texture(height + 40, width + 40)
    return (
        large[20 : 20 + height, 20 : 20 + width],
        large[20 - down : 20 - down + height, 20 - right : 20 - right + width],
    )


@pytest.mark.parametrize(
    ("method", "enlarge_below"),
    [("ultrafast", 0), ("fast", 400), ("fast", 0), ("medium", 0), ("farneback", 0)],
)
@pytest.mark.parametrize(("right", "down"), [(3, 0), (-2, 0), (0, 2), (-1, -2)])
def test_flow_is_the_translation_in_pixels_of_the_frame(
    method: str, enlarge_below: int, right: int, down: int
) -> None:
    flow = Flow(method, enlarge_below)(*shift(right, down))

    assert flow.shape == (80, 120, 2)
    assert flow.dtype == np.float32
    np.testing.assert_allclose(
        np.median(flow[15:-15, 15:-15], axis=(0, 1)), (right, down), atol=0.15
    )


def test_flow_does_not_depend_on_the_number_of_threads() -> None:
    frames = np.stack([shift(k, 1)[1] for k in range(6)])
    before = cv2.getNumThreads()

    def flows() -> np.ndarray:
        solve = Flow("fast", 400)
        return np.stack(
            list(over_pairs(lambda t, previous, current: solve(previous, current), frames))
        )

    try:
        cv2.setNumThreads(1)
        one = flows()
        cv2.setNumThreads(4)
        assert np.array_equal(flows(), one)
        assert cv2.getNumThreads() == 4
    finally:
        cv2.setNumThreads(before)


def random_flow(seed: int, height: int = 20, width: int = 30) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(height, width, 2)).astype(np.float32)


@st.composite
def random_boxes(draw: st.DrawFn) -> np.ndarray:
    """Boxes that may overrun a 20 x 30 frame."""
    number = draw(st.integers(1, 6))
    low = np.array(
        draw(
            st.lists(
                st.tuples(st.floats(-8, 35), st.floats(-8, 25)), min_size=number, max_size=number
            )
        )
    )
    size = np.array(
        draw(
            st.lists(
                st.tuples(st.floats(0.2, 30), st.floats(0.2, 20)), min_size=number, max_size=number
            )
        )
    )
    return np.concatenate([low, low + size], 1).astype(np.float32)


@given(random_boxes())
def test_whole_pixels_lie_in_the_frame_and_hold_at_least_one_pixel(boxes: np.ndarray) -> None:
    x0, y0, x1, y1 = whole_pixels(boxes, 20, 30).T

    assert ((x0 >= 0) & (x0 < x1) & (x1 <= 30) & (y0 >= 0) & (y0 < y1) & (y1 <= 20)).all()


@given(st.integers(0, 10**6), random_boxes(), st.sampled_from([2, 4, 8, 12]))
@settings(deadline=None)
def test_hof_bins_add_up_to_one_bin(seed: int, boxes: np.ndarray, bins: int) -> None:
    flow = random_flow(seed)

    np.testing.assert_allclose(
        hof(flow, boxes, bins).sum(1), hof(flow, boxes, 1)[:, 0], rtol=1e-5, atol=1e-6
    )


@given(st.integers(0, 10**6), random_boxes(), st.sampled_from([4, 8]))
@settings(deadline=None)
def test_turning_the_flow_by_a_quarter_permutes_the_bins(
    seed: int, boxes: np.ndarray, bins: int
) -> None:
    flow = random_flow(seed)
    # |u| + |v| is the same after quarter turns alone
    turned = np.stack([-flow[..., 1], flow[..., 0]], -1)

    np.testing.assert_allclose(
        hof(turned, boxes, bins),
        np.roll(hof(flow, boxes, bins), bins // 4, axis=1),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("bins", [3, 4, 8])
@pytest.mark.parametrize("degrees", [0, 10, 95, 200, 340])
def test_turning_a_motion_by_one_bin_moves_it_to_the_next(bins: int, degrees: int) -> None:
    def bin_of(angle: float) -> int:
        flow = np.full(
            (20, 30, 2), (np.cos(np.radians(angle)), np.sin(np.radians(angle))), np.float32
        )
        found = hof(flow, np.array([[0, 0, 30, 20]], np.float32), bins)[0]
        assert (found > 0).sum() == 1
        return int(found.argmax())

    assert bin_of(degrees) == degrees * bins // 360
    assert bin_of(degrees + 360 / bins) == (bin_of(degrees) + 1) % bins


def plain_stats(flow: np.ndarray, box: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The definition, pixel by pixel, for one box."""
    x0, y0, x1, y1 = whole_pixels(box[None], *mask.shape)[0]
    chosen = mask[y0:y1, x0:x1] if mask[y0:y1, x0:x1].any() else np.ones((y1 - y0, x1 - x0), bool)
    u, v = np.abs(flow[y0:y1, x0:x1][chosen]).T.astype(np.float64)
    high = np.percentile(u + v, 90, method="inverted_cdf")
    return np.array([(u + v).mean(), high, u.mean(), v.mean(), box[2] - box[0], box[3] - box[1]])


@given(st.integers(0, 10**6), random_boxes(), st.sampled_from([0.0, 0.05, 0.5, 1.0]))
@settings(deadline=None)
def test_stats_match_their_definition_with_and_without_a_mask(
    seed: int, boxes: np.ndarray, share: float
) -> None:
    flow = random_flow(seed)
    mask = np.random.default_rng(seed).random((20, 30)) < share

    expected = np.stack([plain_stats(flow, box, mask) for box in boxes])
    np.testing.assert_allclose(stats(flow, boxes, mask), expected, rtol=1e-4, atol=1e-5)


def test_boxes_of_one_size_give_what_boxes_of_many_sizes_give() -> None:
    flow = random_flow(3)
    same = np.array([[0, 0, 8, 6], [5, 4, 13, 10], [20, 13, 28, 19]], np.float32)
    other = np.array([[1, 2, 29, 18]], np.float32)

    np.testing.assert_array_equal(stats(flow, same), stats(flow, np.concatenate([same, other]))[:3])


@pytest.mark.parametrize("variant", Velocity.variants)
def test_a_frame_without_boxes_gives_no_row(variant: str) -> None:
    found = Velocity(variant, VelocityOptions()).describe(
        random_flow(0), np.zeros((0, 4), np.float32), np.ones((20, 30), bool)
    )

    assert found.shape == (0, len(Velocity(variant, VelocityOptions()).columns()))


def ignored(frames: int) -> None:
    """Nobody is told of progress."""


def scene(speed: int, frames: int = 12) -> np.ndarray:
    """A textured patch of 14 x 20 pixels that moves right over a still texture, [T, 80, 120]."""
    clip = np.repeat(texture(80, 120, 1)[None] // 4 + 60, frames, axis=0)
    patch = (
        np.random.default_rng(2)
        .choice(np.array([0, 230], np.uint8), (5, 4))
        .repeat(4, 0)
        .repeat(4, 1)[:20, :14]
    )
    for t in range(frames):
        clip[t, 30:50, 10 + speed * t : 24 + speed * t] = cv2.GaussianBlur(patch, (0, 0), 1)
    return clip


def on_patch(speed: int, frames: int, margin: int) -> list[np.ndarray]:
    return [
        np.array(
            [[10 + speed * t - margin, 30 - margin, 24 + speed * t + margin, 50 + margin]],
            np.float32,
        )
        for t in range(frames)
    ]


def test_foreground_pixels_keep_a_loose_box_from_diluting_the_motion() -> None:
    speeds = {}
    for pixels in ("all", "foreground"):
        extractor = Velocity("stats", VelocityOptions(pixels=pixels))
        for margin in (0, 8):
            x = extractor.extract(footage(scene(2)), Objects(on_patch(2, 12, margin)), ignored).x
            speeds[pixels, margin] = x[2:, 2].mean()

    assert speeds["all", 8] < 0.7 * speeds["all", 0]
    assert speeds["foreground", 8] > 0.85 * speeds["foreground", 0]


def test_the_first_frame_borrows_the_next_pair() -> None:
    clip, boxes = scene(2), on_patch(0, 12, 4)
    advanced: list[int] = []

    x = (
        Velocity("hof1", VelocityOptions())
        .extract(footage(clip), Objects(boxes), advanced.append)
        .x
    )

    assert x.shape == (12, 1)
    assert x[0] == x[1]
    assert sum(advanced) == 12


def test_grey_and_rgb_of_the_same_grey_give_the_same() -> None:
    clip, objects = scene(2), Objects(on_patch(2, 12, 2))
    extractor = Velocity("stats", VelocityOptions())

    rgb = np.repeat(clip[..., None], 3, axis=3)
    assert np.array_equal(
        extractor.extract(footage(rgb), objects, ignored).x,
        extractor.extract(footage(clip), objects, ignored).x,
    )


def test_one_frame_has_no_flow() -> None:
    with pytest.raises(BadInput, match="train clip clip: has 1 frame; optical flow needs two"):
        Velocity("stats", VelocityOptions()).extract(
            footage(scene(1)[:1]), Objects([np.zeros((0, 4), np.float32)]), ignored
        )
