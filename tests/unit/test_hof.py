"""Orientation histograms, from frames to bins: what tests/unit/test_velocity.py does not say of
single functions.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shown import footage

from vadbench.features.boxes.provider import Objects
from vadbench.features.extractors.velocity import Velocity, VelocityOptions, hof


def drifting(right: int, down: int, frames: int = 4) -> np.ndarray:
    """[T, 80, 120] a texture that moves by whole pixels a frame: crops of one larger picture."""
    noise = np.random.default_rng(0).normal(size=(160, 200)).astype(np.float32)
    large = cv2.normalize(
        cv2.GaussianBlur(noise, (0, 0), 2), None, 20, 235, cv2.NORM_MINMAX
    ).astype(np.uint8)
    return np.stack(
        [
            large[40 - down * t : 120 - down * t, 40 - right * t : 160 - right * t]
            for t in range(frames)
        ]
    )


@pytest.mark.parametrize(
    ("right", "down", "sector"),
    [
        (4, 2, 0),
        (2, 4, 1),
        (-2, 4, 2),
        (-4, 2, 3),
        (-4, -2, 4),
        (-2, -4, 5),
        (2, -4, 6),
        (4, -2, 7),
    ],
)
@pytest.mark.parametrize("flow", ["fast", "farneback"])
def test_a_translated_texture_falls_into_the_bin_of_its_direction(
    flow: str, right: int, down: int, sector: int
) -> None:
    boxes = [np.array([[30, 20, 90, 60]], np.float32)] * 4

    x = (
        Velocity("hof8", VelocityOptions(flow=flow))
        .extract(footage(drifting(right, down)), Objects(boxes), lambda done: None)
        .x
    )

    assert (x.argmax(1) == sector).all()
    np.testing.assert_allclose(x[:, sector], 6, atol=0.3)  # |u| + |v|
    assert (np.delete(x, sector, 1) < 0.3).all()


@given(st.integers(0, 10**6), st.sampled_from([2, 3, 4, 6, 8, 12]))
@settings(deadline=None)
def test_turning_each_pixel_by_360_over_b_moves_it_one_bin_on(seed: int, bins: int) -> None:
    """|u| + |v| itself changes under a turn that is no quarter; which bin holds a pixel does not
    care.
    """
    random = np.random.default_rng(seed)
    sector, within = random.integers(0, bins, (6, 8)), random.uniform(0.01, 0.99, (6, 8))
    angle, speed = (sector + within) * 2 * np.pi / bins, random.uniform(0.1, 5, (6, 8))
    y, x = np.mgrid[:6, :8]
    pixels = np.stack([x, y, x + 1, y + 1], -1).reshape(-1, 4).astype(np.float32)

    def bin_of(turned: np.ndarray) -> np.ndarray:
        flow = np.stack([speed * np.cos(turned), speed * np.sin(turned)], -1).astype(np.float32)
        found = hof(flow, pixels, bins)
        assert ((found > 0).sum(1) == 1).all()
        return found.argmax(1)

    assert np.array_equal(bin_of(angle), sector.ravel())
    assert np.array_equal(bin_of(angle + 2 * np.pi / bins), (sector.ravel() + 1) % bins)


@given(st.integers(0, 10**6), st.sampled_from([1, 4, 8]), st.floats(0.1, 10))
@settings(deadline=None)
def test_bins_scale_with_the_speed(seed: int, bins: int, factor: float) -> None:
    flow = np.random.default_rng(seed).normal(size=(20, 30, 2)).astype(np.float32)
    boxes = np.array([[2, 3, 25, 18], [0, 0, 30, 20]], np.float32)

    np.testing.assert_allclose(
        hof(np.float32(factor) * flow, boxes, bins), factor * hof(flow, boxes, bins), rtol=1e-4
    )
