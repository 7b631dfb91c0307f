"""The losses of the autoencoder, against values computed by loops over pixels."""

from __future__ import annotations

import itae_by_hand as by_hand
import numpy as np
import pytest
import torch
from itae_oracles import oracle
from torch import Tensor

from vadbench.features.extractors.itae.loss import (
    LOSSES,
    gradient,
    l2,
    levels,
    ms_ssim,
    ms_ssim_loss,
    parts,
    total,
)


def shown() -> tuple[Tensor, Tensor, dict[str, np.ndarray]]:
    """Image and reconstruction [1, 1, 1, H, W] in [-1, 1], float64, and what is expected."""
    arrays = oracle("loss")
    image, reconstruction = (
        torch.from_numpy(arrays[name]).double()[None, None, None] / 127.5 - 1
        for name in ("image", "reconstruction")
    )
    return image, reconstruction, arrays


def clips(*shape: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x, y = torch.rand(2, *shape, dtype=torch.float64) * 2 - 1
    return x, 0.7 * x + 0.3 * y


def test_l2_and_gradient_are_the_oracle_s() -> None:
    image, reconstruction, arrays = shown()
    assert l2(image, reconstruction).item() == pytest.approx(float(arrays["l2"]), rel=1e-13)
    found = gradient(image, reconstruction).item()
    assert found == pytest.approx(float(arrays["gradient"]), rel=1e-13)


@pytest.mark.parametrize("scales", [1, 2, 3])
def test_ms_ssim_is_the_oracle_s(scales: int) -> None:
    image, reconstruction, arrays = shown()
    x, y = ((values[0, 0] + 1) / 2 for values in (image, reconstruction))
    found = ms_ssim(x, y, scales).item()
    assert found == pytest.approx(float(arrays[f"ms_ssim_{scales}"]), rel=1e-12)
    single = ms_ssim(x.float(), y.float(), scales).item()
    assert single == pytest.approx(float(arrays[f"ms_ssim_{scales}"]), abs=2e-5)


def test_the_loss_takes_as_many_scales_as_fit() -> None:
    image, reconstruction, arrays = shown()
    found = ms_ssim_loss(image, reconstruction).item()
    assert found == pytest.approx(1 - float(arrays["ms_ssim_3"]), rel=1e-11)


def test_losses_are_those_of_loops_over_pixels() -> None:
    x, y = (values[0, 0, 0] for values in clips(1, 1, 1, 46, 25))  # two scales fit
    a, b = ((values.numpy() + 1) / 2 for values in (x, y))
    own = [values[None, None, None] for values in (x, y)]
    assert l2(*own).item() == pytest.approx(np.mean((x.numpy() - y.numpy()) ** 2), rel=1e-13)
    assert gradient(*own).item() == pytest.approx(by_hand.gradient(x.numpy(), y.numpy()), rel=1e-12)
    for scales in (1, 2):
        expected = by_hand.ms_ssim(a, b, (0.0448, 0.2856)[:scales])
        found = ms_ssim(torch.from_numpy(a)[None], torch.from_numpy(b)[None], scales)
        assert found.item() == pytest.approx(expected, rel=1e-11)
    assert ms_ssim_loss(*own).item() == pytest.approx(1 - expected, rel=1e-11)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((176, 176), 5),
        ((175, 400), 4),
        ((64, 96), 3),
        ((240, 360), 5),
        ((11, 99), 1),
        ((10, 99), 0),
    ],
)
def test_scales_fit_where_the_window_does(size: tuple[int, int], expected: int) -> None:
    assert levels(*size) == expected


@pytest.mark.parametrize("name", list(LOSSES))
def test_a_perfect_reconstruction_costs_nothing_and_another_does(name: str) -> None:
    x, y = clips(1, 1, 2, 12, 16)
    assert LOSSES[name](x, x.clone()).item() == pytest.approx(0, abs=1e-12)
    assert LOSSES[name](x, y).item() > 0.01


@pytest.mark.parametrize("name", list(LOSSES))
def test_a_loss_is_the_mean_over_frames_and_colours(name: str) -> None:
    x, y = clips(2, 3, 2, 12, 16)
    each = [
        LOSSES[name](x[b : b + 1, c : c + 1, t : t + 1], y[b : b + 1, c : c + 1, t : t + 1]).item()
        for b in range(2)
        for c in range(3)
        for t in range(2)
    ]
    assert LOSSES[name](x, y).item() == pytest.approx(np.mean(each), rel=1e-12)


@pytest.mark.parametrize("losses", [("l2",), ("gradient", "ms-ssim"), tuple(LOSSES)])
def test_the_total_is_the_sum_of_what_is_named(losses: tuple[str, ...]) -> None:
    x, y = clips(1, 1, 2, 12, 16)
    each = parts(losses, x, y)
    assert tuple(each) == losses
    assert total(losses, x, y).item() == pytest.approx(sum(v.item() for v in each.values()))


def test_ms_ssim_s_gradient_is_right() -> None:
    x, y = clips(2, 24, 26)
    assert torch.autograd.gradcheck(lambda y: ms_ssim(x, y), (y.requires_grad_(),))


def test_the_gradient_stays_finite_where_similarity_begins() -> None:
    x = clips(1, 24, 26)[0] / 2 + 0.5

    def similarity(contrast: float) -> tuple[float, float]:
        """Of x and x with its contrast changed, and the largest slope there."""
        y = (0.5 + contrast * (x - 0.5)).requires_grad_()
        found = ms_ssim(x, y)
        found.sum().backward()
        return found.item(), y.grad.abs().max().item()

    unlike, alike = -0.1, 0.1
    assert similarity(unlike) == (0, 0)
    for _ in range(50):  # to the contrast at which similarity leaves 0
        middle = (unlike + alike) / 2
        unlike, alike = (middle, alike) if similarity(middle)[0] == 0 else (unlike, middle)
    value, slope = similarity(alike)
    assert 0 < value < 1e-6
    assert 0 < slope < 10
