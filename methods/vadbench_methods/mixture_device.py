"""A mixture's likelihood on a GPU, in float64, where there is one and enough to compute."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vadbench_methods.mixture import Float64, Mixture

if TYPE_CHECKING:
    import torch

WORTH = 1e9  # operations from which on a GPU is asked for: torch's import takes longer than these
VALUES = 2**24  # of rows on the GPU at a time: 128 MiB in float64, and as much for each step


def nll(mixture: Mixture, x: NDArray[np.floating[Any]], device: str) -> Float64:
    """[N] negative log-likelihoods (nats) of the rows of x [N, D], as `Mixture.nll`; a GPU's differ
    in the last digits.

    Args:
        mixture: fitted.
        x: rows.
        device: of NeuralConfig's.

    Raises:
        BadInput: if that device is not there.
    """
    components, dim = mixture.means.shape
    if device == "cpu" or 2.0 * len(x) * components * dim**2 < WORTH:
        return mixture.nll(x)
    from vadbench.training import cuda_or_cpu

    found = cuda_or_cpu(device)
    return mixture.nll(x) if found.type == "cpu" else nll_on(mixture, x, found)


def nll_on(mixture: Mixture, x: NDArray[np.floating[Any]], device: torch.device) -> Float64:
    """As `nll`, on any device of torch's that has float64."""
    import torch

    from vadbench.loading import send

    components, dim = mixture.means.shape
    means, factors, weights = (
        torch.from_numpy(np.ascontiguousarray(values)).to(device)
        for values in (mixture.means, mixture.precisions_cholesky, mixture.weights)
    )
    log_scale = factors.diagonal(dim1=1, dim2=2).log().sum(1) - 0.5 * dim * np.log(2 * np.pi)
    out = torch.empty(len(x), dtype=torch.float64, device=device)
    step = max(1, VALUES // dim)
    start = 0
    for part in send(_read_blocks(x, step), device):
        rows = part.double()
        log_p = torch.empty((len(rows), components), dtype=torch.float64, device=device)
        for k in range(components):
            whitened = (rows - means[k]) @ factors[k]
            log_p[:, k] = log_scale[k] - 0.5 * whitened.square().sum(1)
        out[start : start + len(rows)] = -torch.logsumexp(log_p + weights.log(), 1)
        start += len(rows)
    result: Float64 = out.cpu().numpy()
    return result


def _read_blocks(x: NDArray[np.floating[Any]], step: int) -> Iterator[torch.Tensor]:
    import torch

    for start in range(0, len(x), step):
        # in a copy: a memory map cannot be written to, which torch warns of
        yield torch.from_numpy(np.array(x[start : start + step]))
