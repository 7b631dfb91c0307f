"""Models stored as .tflite files, run by LiteRT (extra `mobile`): the one place that knows it.

One interpreter a thread, each of one thread: a model of a few milliseconds gains nothing from
threads of its own, and the result depends on none.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.features.weights import load_package
from vadbench.threads import count_cores

EXTRA = "mobile"
IDENTIFIER = b"TFL3"  # at byte 4 of every .tflite file
Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Tensor(NamedTuple):
    """An input or output of a model.

    Attributes:
        shape: its size.
        dtype: of its numbers.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Model:
    """A .tflite file, opened for as many threads as this process has cores.

    Args:
        path: the file.
        threads: that `map` may use; None: the cores of this process.

    Raises:
        BadInput: if the extra is not installed, or the file is missing or none.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path = path
        self.threads = threads or count_cores()
        self._own = threading.local()
        found = self._interpreter()
        inputs, outputs = found.get_input_details(), found.get_output_details()
        self.inputs = tuple(_describe(one) for one in inputs)
        self.outputs = tuple(_describe(one) for one in outputs)
        self._pool: ThreadPoolExecutor | None = None

    def __call__(self, x: NDArray[Any]) -> list[NDArray[Any]]:
        """The outputs for one input, in the file's order.

        Raises:
            BadInput: if the model cannot be run.
        """
        model = self._interpreter()
        try:
            model.set_tensor(model.get_input_details()[0]["index"], x)
            model.invoke()
            return [np.asarray(model.get_tensor(one["index"])) for one in _outputs(model)]
        except (ValueError, RuntimeError) as error:
            raise BadInput(
                f"{self.path}: cannot be run ({_first_line(error)}); fetch it again"
            ) from error

    def map(self, do: Callable[[Item], Answer], items: Sequence[Item]) -> Iterator[Answer]:
        """`do` of each item in order, which calls this model; several at a time."""
        if self.threads == 1 or len(items) < 2:
            return map(do, items)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, "litert")
        return self._pool.map(do, items)

    def seconds(self) -> float:
        """CPU seconds of one run, the least of three after a first one."""
        (taken,) = self.inputs
        x = np.zeros(taken.shape, taken.dtype)
        self(x)
        spent = []
        for _ in range(3):
            began = time.thread_time()
            self(x)
            spent.append(time.thread_time() - began)
        return min(spent)

    def _interpreter(self) -> Any:
        """This thread's."""
        if not hasattr(self._own, "interpreter"):
            self._own.interpreter = open_interpreter(self.path)
        return self._own.interpreter


def open_interpreter(path: Path) -> Any:
    """LiteRT's interpreter of a file, of one thread, its memory allocated.

    Raises:
        BadInput: if the extra is not installed, or the file is missing or none.
    """
    runtime: Any = load_package("ai_edge_litert.interpreter", EXTRA)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); expected a .tflite") from error
    if content[4:8] != IDENTIFIER:
        raise BadInput(f"{path}: is no .tflite file; fetch it again")
    try:
        with _quiet():
            found = runtime.Interpreter(model_content=content, num_threads=1)
            found.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise BadInput(
            f"{path}: not a model that LiteRT can run ({_first_line(error)}); fetch it again"
        ) from error
    return found


_stderr = threading.Lock()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the line that the runtime writes to stderr whenever it opens a file, through which a
    progress bar would break.
    """
    with _stderr, Path(os.devnull).open("w") as nothing:
        try:
            kept = os.dup(2)
        except OSError:  # a process without one
            yield
            return
        try:
            os.dup2(nothing.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _outputs(model: Any) -> list[dict[str, Any]]:
    return list(model.get_output_details())


def _describe(detail: dict[str, Any]) -> Tensor:
    return Tensor(tuple(int(side) for side in detail["shape"]), np.dtype(detail["dtype"]))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:120]}" if lines else type(error).__name__
