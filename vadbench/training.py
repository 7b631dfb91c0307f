"""`LightningDetector`: what every neural method shares; a method adds a network, a loss and an
anomaly score.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from vadbench.detector import (
    Detector,
    Features,
    MethodConfig,
    Nature,
    Standardisation,
    row_blocks,
    runtime,
)
from vadbench.errors import BadInput
from vadbench.loading import CPU, fits_on, hold, move, send
from vadbench.spill import make_array

# operations that one hidden unit's activation and noise count as: they take as long as so many of a
# large matrix product, on AVX2
ACTIVATION = 250.0
Decay = Annotated[float, Field(ge=0, lt=1)]  # of a moving average


class NeuralConfig(MethodConfig):
    """Settings every neural method has; a method overrides the defaults with its paper's."""

    epochs: PositiveInt = Field(100, description="passes over the training rows")
    max_steps: PositiveInt | None = Field(
        None,
        description="optimiser steps after which training stops, if the epochs have not ended it",
    )
    batch_size: PositiveInt = Field(
        2048, description="rows a step; the last, partial batch of an epoch is kept"
    )
    lr: PositiveFloat = Field(1e-3, description="learning rate of Adam")
    betas: tuple[Decay, Decay] = Field(
        (0.9, 0.999), description="decay rates of Adam's two moments"
    )
    gradient_clip: PositiveFloat | None = Field(
        None, description="largest Euclidean norm of the gradient; none: not clipped"
    )
    ema: float | None = Field(
        None,
        ge=0,
        lt=1,
        description=(
            "largest decay of the weights' moving average, min(ema, 1 - (1 + step)^-0.6667); none:"
            " the final weights"
        ),
    )
    precision: Literal["32-true", "bf16-mixed", "tf32"] = Field(
        "32-true",
        description=(
            "of training: 32-true, float32; tf32, float32 whose products an NVIDIA GPU rounds to 10"
            " bits; bf16-mixed, whose products have 7 bits, slow on a CPU. Scoring is in float32"
        ),
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = runtime(
        "auto", "where the network runs; auto: cuda, else mps, else cpu"
    )
    score_batch: PositiveInt = runtime(2048, "rows scored at a time")
    memory_gib: float = runtime(
        0.75,
        "training rows are held in memory up to this size, on a GPU up to half of its free memory;"
        " larger streams are read batch by batch",
        ge=0,
    )
    progress: Literal["auto", "bar", "lines", "off"] = runtime(
        "auto", "how training is reported on stderr; auto: a bar on a terminal, else lines"
    )
    report_lines: NonNegativeInt = runtime(
        10, "lines printed during a training where there is no bar"
    )


@dataclass(frozen=True)
class Batches:
    """All batches of a training in order: per epoch a permutation of the rows, cut into batches,
    whole rows read at once.

    A batch larger than the data is all of the data; the last, partial batch of an epoch is kept,
    even with one row.

    Attributes:
        read: sorted row numbers [B] -> rows [B, D], standardised float32.
        rows: how many rows there are.
        size: rows a batch.
        steps: how many batches there are.
        seed: of the permutations.
        begin: batches that were trained on before, and are left out.
        device: where the batches are trained on.
        held: whether `read` takes its row numbers on that device, and gives the rows there.
    """

    read: Callable[[Tensor], Tensor]
    rows: int
    size: int
    steps: int
    seed: int
    begin: int = 0
    device: torch.device = CPU
    held: bool = False

    def __len__(self) -> int:
        return self.steps - self.begin

    def __iter__(self) -> Iterator[Tensor]:
        return self._read() if self.held else send(self._read(), self.device)

    def _read(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(self.seed)
        step = 0
        while step < self.steps:
            # drawn by the processor, so that every device has the same batches: one copy an epoch
            order = torch.randperm(self.rows, generator=generator)
            if self.held:
                order = move(order, self.device)
            for index in torch.split(order, self.size)[: self.steps - step]:
                if step >= self.begin:
                    # sorted: a memory map is read forwards, and both ways of reading agree to the
                    # bit
                    yield self.read(index.sort().values)
                step += 1


def resolve_device(name: str) -> torch.device:
    """The device that the config's `device` means on this machine.

    Raises:
        BadInput: if torch has no such device here.
    """
    found = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, present in found.items() if present)
    if not found[name]:
        raise BadInput(
            f"device: {name} is not available to torch on this machine; use device=cpu or"
            " device=auto"
        )
    return torch.device(name)


def cuda_or_cpu(name: str) -> torch.device:
    """As `resolve_device` for what needs float64, or float32 whose rounding is known: a GPU of
    NVIDIA's or the processor.

    Raises:
        BadInput: if the device is not there.
    """
    found = resolve_device(name)
    return found if found.type == "cuda" else CPU


def require_precision(precision: str, device: torch.device) -> None:
    """Refuse a precision that the device does not compute in: a record would name what did not
    happen.

    Raises:
        BadInput: if it is TF32, and the device no GPU that has it.
    """
    if precision != "tf32":
        return
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 0):
        raise BadInput(
            f"precision: tf32 is of NVIDIA GPUs since Ampere, and this runs on {device}; use"
            " precision=32-true"
        )


@contextmanager
def rounding(device: torch.device, tf32: bool = False) -> Iterator[None]:
    """Let a GPU round the factors of float32 products and convolutions to TF32, or not: torch
    itself does it in convolutions alone. The user's flags are as before afterwards.
    """
    if device.type != "cuda":
        yield
        return
    # without it, cuBLAS refuses to be deterministic; it is read when the first product is made
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    products, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions


@contextmanager
def reproducible(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch and make it deterministic; the user's generators and flags are as before
    afterwards.
    """
    flags = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    memory: Any = torch.utils.deterministic
    fill, benchmark = memory.fill_uninitialized_memory, torch.backends.cudnn.benchmark
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # see `rounding`
    with torch.random.fork_rng(
        devices=[torch.cuda.current_device()] if device.type == "cuda" else []
    ):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True)
        memory.fill_uninitialized_memory = False  # it costs a pass over every new tensor
        torch.backends.cudnn.benchmark = False
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(flags[0], warn_only=flags[1])
            memory.fill_uninitialized_memory = fill
            torch.backends.cudnn.benchmark = benchmark


class LightningDetector(Detector):
    """A neural method: `build` a network, define the `loss` of a batch and the `anomaly` of rows;
    everything else is here.

    Features are standardised with the training set's statistics. After training, `fit_read_outs`
    may learn from what the training rows score, and `read_out` turns anomaly values into score
    columns.

    Attributes:
        net: the network, from `build`, on the device where it was last used.
        checkpoint: where a training is kept while it lasts, and goes on from where it was ended
            before; None: nowhere.
        seconds_before: that the training took before it was ended.
        logger: a pytorch-lightning logger that receives the training's curves; None: nothing is
            logged. It changes no score.
    """

    logger: Any = None
    checkpoint: Path | None = None
    seconds_before: float = 0.0
    net: nn.Module
    standardisation: Standardisation

    @abstractmethod
    def build(self, dim: int) -> nn.Module:
        """The untrained network for features of `dim` columns, initialised from torch's (seeded)
        generator.
        """

    @abstractmethod
    def loss(self, batch: Tensor) -> Tensor:
        """The training loss, a scalar, of standardised rows [B, D]."""

    @abstractmethod
    def anomaly(self, batch: Tensor) -> Tensor:
        """[B, K] values of standardised rows [B, D], each from its row alone; the read-outs are
        made of them.
        """

    def fit_read_outs(self, values: NDArray[np.float64]) -> None:
        """Learn what `read_out` needs from the training rows' anomaly values [N, K]; nothing unless
        a method says so.
        """

    def read_out(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """[N, C] scores of anomaly values [N, K]; the values themselves unless a method says
        otherwise.
        """
        return values

    def read_out_arrays(self) -> dict[str, NDArray[Any]]:
        """What `fit_read_outs` learnt, as named arrays."""
        return {}

    def restore_read_outs(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take up what `read_out_arrays` gave."""

    def without_outliers(self, train: Features) -> Features:
        """The rows that are trained on: without those that decide a column's deviation alone,
        unless a method says otherwise.
        """
        return train.without_outliers()

    def standardise(self, x: NDArray[np.float32]) -> Standardisation:
        """How training rows [N, D] are brought to a common scale; component-wise unless a method
        says otherwise.
        """
        return Standardisation.fit(x)

    def optimiser(self) -> torch.optim.Optimizer:
        """Adam on the network's weights, in one fused kernel where precision allows."""
        weights = list(self.net.parameters())
        # Lightning cannot clip gradients for a fused optimiser in mixed precision
        fused = self.config.precision != "bf16-mixed"
        fused = fused and all(values.device.type in ("cpu", "cuda") for values in weights)
        return torch.optim.Adam(weights, lr=self.config.lr, betas=self.config.betas, fused=fused)

    def schedule(
        self, optimiser: torch.optim.Optimizer, steps: int
    ) -> torch.optim.lr_scheduler.LRScheduler | None:
        """How the learning rate changes after each of `steps` optimiser steps; it does not unless a
        method says so.
        """
        return None

    def require(self) -> None:
        """Refuse a device that torch does not have here, and a precision that it does not compute
        in. No GPU is asked for its generation: that would begin to use it in this process.
        """
        if self.config.device in ("auto", "cpu") and self.config.precision != "tf32":
            return
        device = resolve_device(self.config.device)
        if device.type != "cuda":
            require_precision(self.config.precision, device)

    def fit(self, train: Features) -> None:
        """Train the network on normal rows, then fit the read-outs.

        Raises:
            BadInput: if there are fewer than two rows, or the device is absent or does not compute
                in the precision.
            FloatingPointError: if the loss stops being finite; the message names the step.
        """
        train = self.without_outliers(train)
        train.require_rows(2)
        device, precision = resolve_device(self.config.device), self.config.precision
        require_precision(precision, device)
        # pytorch_lightning costs 5 CPU-seconds to import
        from vadbench.trainer import train_network

        self.standardisation = self.standardise(train.x)
        with reproducible(self.seed, device), rounding(device, precision == "tf32"):
            self.net = self.build(train.x.shape[1])
            train_network(self, self._batches(train), device)
        self._learn_read_outs(train)

    def reconfigured(self, config: Any, train: Features) -> Self:
        """A detector with this one's network under another scoring; only the read-outs are learnt
        again.
        """
        other = copy(self)
        other.config = config
        other._learn_read_outs(self.without_outliers(train))
        return other

    def score(self, test: Features) -> NDArray[np.float64]:
        """[N, C] scores; see `Detector.score`.

        Raises:
            BadInput: if the rows have another number of columns than those of training.
        """
        return (
            self.read_out(self._values(test)) if len(test) else np.empty((0, len(self.read_outs)))
        )

    def score_normal(self, train: Features) -> NDArray[np.float64]:
        """What normal rows score; the rows this detector was just fitted to are not passed through
        the network again.
        """
        fitted = getattr(self, "_normal", None)
        return (
            self.read_out(fitted[1])
            if fitted is not None and fitted[0] is train
            else self.score(train)
        )

    def row_flops(self, dim: int) -> tuple[float, float] | None:
        """Floating-point operations that one row of `dim` columns costs in a training step, and in
        scoring; see `dense_flops`.

        From the config alone, before anything is built. None, the default: not known.
        """
        return None

    def flops(self, rows: int, dim: int, test_rows: int = 0) -> float | None:
        """Estimated floating-point operations of `fit` on `rows` rows of `dim` columns and of
        scoring them and `test_rows` others.

        From the config alone: divided by what a matrix product reaches on a machine (operations/s),
        it is the time before it is spent, to a factor of about two. Mixtures fitted to the anomaly
        values are not in it. None where the method does not know.
        """
        costs = self.row_flops(dim)
        if costs is None:
            return None
        passes: int = self.config.epochs * rows
        trained: int = (
            passes
            if self.config.max_steps is None
            else min(passes, self.config.max_steps * min(self.config.batch_size, rows))
        )
        return trained * costs[0] + (rows + test_rows) * costs[1]

    def parameter_count(self) -> int:
        """Weights of the network."""
        return sum(weights.numel() for weights in self.net.parameters())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The network's state, the standardisation and the read-outs."""
        state = {
            f"net.{name}": values.detach().cpu().numpy()
            for name, values in self.net.state_dict().items()
        }
        extra = {f"read_out.{name}": values for name, values in self.read_out_arrays().items()}
        return {
            **state,
            "standardise.mean": self.standardisation.mean,
            "standardise.scale": self.standardisation.scale,
            **extra,
        }

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take up what `arrays` gave."""
        self.standardisation = Standardisation(
            arrays["standardise.mean"], arrays["standardise.scale"]
        )
        with torch.random.fork_rng(devices=[]):
            self.net = self.build(len(self.standardisation.mean))
        self.net.load_state_dict(
            {
                name: torch.from_numpy(np.array(values))
                for name, values in _under("net.", arrays).items()
            }
        )
        self.restore_read_outs(_under("read_out.", arrays))

    def _learn_read_outs(self, train: Features) -> None:
        self._normal = (train, self._values(train))
        self.fit_read_outs(self._normal[1])

    def _batches(self, train: Features) -> Batches:
        """Whole batches from the GPU's memory or the processor's where the rows fit, else from the
        memory map.
        """
        rows, size = len(train), min(self.config.batch_size, len(train))
        steps = self.config.epochs * -(-rows // size)
        steps = min(steps, self.config.max_steps or steps)
        device = resolve_device(self.config.device)
        on_gpu = fits_on(device, train.x.nbytes)
        if on_gpu or train.x.nbytes <= self.config.memory_gib * 2**30:
            place = device if on_gpu else CPU
            held = hold(_standardised(self.standardisation, train.x), train.x.shape, place)
            read: Callable[[Tensor], Tensor] = lambda index: held[index]  # noqa: E731
        else:
            read = lambda index: torch.from_numpy(  # noqa: E731
                self.standardisation.apply(train.x[index.numpy()])
            )
        return Batches(read, rows, size, steps, self.seed, device=device, held=on_gpu)

    def _values(self, rows: Features) -> NDArray[np.float64]:
        """[N, K] float64 anomaly values, computed in float32 in chunks.

        A matrix product may round a row differently in chunks of another size, so every chunk has
        the same size: the last one begins earlier. Fewer rows than a chunk make one of their own,
        of two rows at least (a single row would be a matrix-vector product).
        """
        rows.require_columns(len(self.standardisation.mean), self.info.name)
        device, size = resolve_device(self.config.device), min(self.config.score_batch, len(rows))
        self.net.to(device).eval()
        # a GPU's values stay there until the last chunk is done: nothing waits for a chunk
        keep = device if device.type == "cuda" else CPU
        out = torch.empty(0, 0)
        starts = range(0, len(rows), size)
        begins = [min(start, len(rows) - size) for start in starts]
        chunks = (
            torch.from_numpy(self.standardisation.apply(rows.x[begin : begin + size]))
            for begin in begins
        )
        with rounding(device):
            for start, begin, chunk in zip(starts, begins, send(chunks, device), strict=True):
                values = self._anomaly(chunk).to(keep)
                # one array from the beginning: small ones kept between the network's large, freed
                # ones cost 12 GiB at 800,000 rows
                if not start:
                    out = self._make_scores(rows, values.shape[1], keep)
                out[start : begin + size] = values[start - begin :]
        return out.cpu().numpy()

    def _make_scores(self, rows: Features, columns: int, device: torch.device) -> Tensor:
        """[N, K] float64 to be filled; on the CPU's side it lies on disk where it is large."""
        shape = len(rows), columns
        if device.type != "cpu":
            return torch.empty(shape, dtype=torch.float64, device=device)
        return torch.from_numpy(make_array(shape, np.float64, f"{rows.name}: {shape[0]} scores"))

    @torch.inference_mode()
    def _anomaly(self, chunk: Tensor) -> Tensor:
        return (
            self.anomaly(chunk)
            if len(chunk) > 1
            else self.anomaly(chunk.expand(2, -1).contiguous())[:1]
        )


def fast_steps(nature: Nature) -> int:
    """Optimiser steps of the `fast` presets: 2000, and 1000 on image embeddings, whose thousand
    columns make a step several times as long.
    """
    return 1000 if nature.embedding else 2000


def dense_flops(widths: Sequence[int]) -> float:
    """Operations of one row's forward pass through fully connected layers of these widths, input
    and output among them.

    Two a weight (a multiplication and an addition) and ACTIVATION a hidden unit. A backward pass
    costs twice as much.
    """
    return 2.0 * sum(wide * narrow for wide, narrow in pairwise(widths)) + ACTIVATION * sum(
        widths[1:-1]
    )


def _standardised(
    standardisation: Standardisation, x: NDArray[np.float32]
) -> Iterator[NDArray[np.float32]]:
    for block in row_blocks(x):
        yield standardisation.apply(x[block])


def _under(prefix: str, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {
        name.removeprefix(prefix): values
        for name, values in arrays.items()
        if name.startswith(prefix)
    }
