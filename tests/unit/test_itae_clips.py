"""Clips: where they begin, which describes a frame, what is read off them."""

from __future__ import annotations

from collections.abc import Iterator

import itae_by_hand as by_hand
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from itae_oracles import oracle

from vadbench.features.extractors.itae.clips import (
    FrameMeans,
    clip_starts,
    cut,
    frame_errors,
    intensity,
    latent_places,
    pooled_maps,
    worst_patch,
)
from vadbench.features.extractors.itae.reading import dynamic_rows, static_rows

CASES = [(16, 1), (20, 1), (37, 1), (37, 4), (40, 8), (120, 16), (9, 1)]
lengths = st.integers(1, 60)
some_clips = st.integers(1, 5).flatmap(
    lambda k: st.tuples(st.just(4 * k), st.integers(1, 4 * k))
)  # frames of a clip, stride


@pytest.mark.parametrize(("frames", "stride"), CASES)
def test_windows_are_the_oracle_s(frames: int, stride: int) -> None:
    case = f"T{frames}_s{stride}"
    expected = {
        name.removeprefix(f"{case}."): values
        for name, values in oracle("windows").items()
        if name.startswith(f"{case}.")
    }
    starts = clip_starts(frames, 16, stride)
    np.testing.assert_array_equal(starts, expected["starts"])
    clips, places = latent_places(frames, 16, stride)
    np.testing.assert_array_equal(clips, expected["latent_clip"])
    np.testing.assert_array_equal(places, expected["latent_offset"])
    np.testing.assert_array_equal(places // 4, expected["static_slice"])
    means = FrameMeans(frames, starts)
    found = [means.add(k, values) for k, values in enumerate(expected["clip_errors"])]
    np.testing.assert_allclose(np.concatenate(found), expected["frame_error"], rtol=1e-15)


@given(lengths, some_clips)
def test_the_clip_of_a_frame_contains_it_nearest_to_its_middle(
    frames: int, clip_and_stride: tuple[int, int]
) -> None:
    clip, stride = clip_and_stride
    starts = clip_starts(frames, clip, stride).tolist()
    found = zip(*latent_places(frames, clip, stride), strict=True)
    for t, (number, place) in enumerate(found):
        containing = [k for k, start in enumerate(starts) if start <= t < start + clip]
        nearest = min(containing, key=lambda k: abs(t - starts[k] - clip // 2))
        assert (number, place) == (nearest, t - starts[nearest])


@given(lengths, some_clips)
def test_means_over_clips_are_those_of_all_clips_that_contain_a_frame(
    frames: int, clip_and_stride: tuple[int, int]
) -> None:
    clip, stride = clip_and_stride
    starts = clip_starts(frames, clip, stride)
    values = np.random.default_rng(0).random((len(starts), clip, 2))
    means, found = FrameMeans(frames, starts), []
    for number, value in enumerate(values):
        found.extend(means.add(number, value))
        assert len(means.pending) < clip  # memory does not grow with the video
    assert len(found) == frames
    for t, mean in enumerate(found):
        said = [values[k, t - start] for k, start in enumerate(starts) if 0 <= t - start < clip]
        np.testing.assert_allclose(mean, np.mean(said, 0), rtol=1e-12)


@settings(max_examples=50)
@given(lengths, some_clips)
def test_clips_are_cut_at_their_starts_in_one_pass(
    frames: int, clip_and_stride: tuple[int, int]
) -> None:
    clip, stride = clip_and_stride
    starts = clip_starts(frames, clip, stride)
    video = np.arange(frames, dtype=np.uint8)[:, None, None]
    found = list(cut(iter(video), starts, clip))
    assert len(found) == len(starts)
    for start, images in zip(starts, found, strict=True):
        expected = np.minimum(start + np.arange(clip), frames - 1)
        np.testing.assert_array_equal(images[:, 0, 0], expected)


def test_a_clip_is_given_as_soon_as_its_frames_are_there() -> None:
    read = 0

    def frames() -> Iterator[np.ndarray]:
        nonlocal read
        for k in range(40):
            read += 1
            yield np.full((1, 1), k, np.uint8)

    for start, _ in zip((0, 4, 8), cut(frames(), clip_starts(40, 16, 4), 16), strict=False):
        assert read == start + 16


@pytest.mark.parametrize("side", [1, 2, 4, 9])
def test_the_worst_patch_is_the_oracle_s(side: int) -> None:
    arrays = oracle("patch")
    errors = torch.from_numpy(abs(arrays["frames"] - arrays["reconstructed"]))
    found = worst_patch(errors, side)
    np.testing.assert_allclose(found.error, arrays[f"R_N{side}"], rtol=1e-13)
    for k, (row, column) in enumerate(zip(found.row, found.column, strict=True)):
        patch = errors[k, row : row + side, column : column + side]
        assert patch.shape == (side, side)
        assert patch.mean().item() == pytest.approx(found.error[k].item(), rel=1e-13)


@pytest.mark.parametrize("side", [1, 3, 7])
def test_the_worst_patch_is_that_of_loops(side: int) -> None:
    errors = np.random.default_rng(side).random((4, 7, 10))
    found = worst_patch(torch.from_numpy(errors), side).error
    np.testing.assert_allclose(found, [by_hand.worst(one, side) for one in errors], rtol=1e-13)


def test_rows_of_maps_by_hand() -> None:
    chance = np.random.default_rng(0)
    static, dynamic = chance.normal(size=(1, 5, 4, 2, 3)), chance.normal(size=(1, 3, 16, 2, 3))
    frames = chance.uniform(-1, 1, (1, 1, 16, 8, 12))
    given = [torch.from_numpy(values) for values in (frames, static, dynamic)]
    of_static = static_rows(given[0], (given[1], given[2]), 4)[0].numpy()
    of_dynamic = dynamic_rows(given[0], (given[1], given[2]), 4)[0].numpy()
    for t in range(16):
        cells = frames[0, 0, t - t % 4].reshape(2, 4, 3, 4).mean((1, 3))
        maps = [static[0, :, t // 4].max(0), static[0, :, t // 4].mean(0), cells]
        np.testing.assert_allclose(of_static[t], np.ravel(maps), rtol=0, atol=1e-14)
        maps = [dynamic[0, :, t].max(0), dynamic[0, :, t].mean(0)]
        np.testing.assert_allclose(of_dynamic[t], np.ravel(maps), rtol=0, atol=1e-14)


def test_colours_are_averaged_before_the_patch() -> None:
    arrays = oracle("patch")
    frames, reconstruction = (  # [B, C, T, H, W] in [-1, 1] of [2, 3, 6, 7] in [0, 1]
        2 * torch.from_numpy(arrays[f"rgb_{name}"])[:, :, None] - 1
        for name in ("frames", "reconstructed")
    )
    found = worst_patch(frame_errors(frames, reconstruction), 3)
    np.testing.assert_allclose(found.error[:, 0], arrays["R_rgb_N3"], rtol=1e-13)


def test_squared_errors_are_of_values_between_0_and_1() -> None:
    frames = torch.full((1, 1, 2, 4, 4), 1.0)
    reconstruction = torch.full((1, 1, 2, 4, 4), 0.5)
    assert frame_errors(frames, reconstruction).unique().item() == pytest.approx(0.25)
    assert frame_errors(frames, reconstruction, squared=True).unique().item() == pytest.approx(
        0.0625
    )


def test_pooled_maps_and_rows_are_the_oracle_s() -> None:
    arrays = oracle("pool")
    static, dynamic, frames = (
        torch.from_numpy(arrays[name]) for name in ("static", "dynamic", "frames")
    )
    np.testing.assert_allclose(pooled_maps(static), arrays["pooled_static"], rtol=1e-13)
    np.testing.assert_allclose(pooled_maps(dynamic), arrays["pooled_dynamic"], rtol=1e-13)
    np.testing.assert_allclose(
        intensity(frames)[:, :, None], arrays["intensity"], rtol=0, atol=1e-15
    )
    rows = static_rows(frames, (static, dynamic), 4)
    for t in range(16):
        np.testing.assert_allclose(rows[:, t], arrays["row_static"][:, t // 4], rtol=0, atol=1e-15)
    rows = dynamic_rows(frames, (static, dynamic), 4)
    np.testing.assert_allclose(rows, arrays["row_dynamic"], rtol=0, atol=1e-15)


def test_intensity_of_colours_is_their_luma() -> None:
    frames = torch.zeros(1, 3, 1, 4, 8)
    frames[:, 0, ..., :4], frames[:, 1, ..., :4], frames[:, 2, ..., :4] = 1.0, 0.5, -1.0
    found = intensity(frames)
    assert found.shape == (1, 1, 1, 2)
    assert found[0, 0, 0].tolist() == pytest.approx([0.299 + 0.5 * 0.587 - 0.114, 0.0])
