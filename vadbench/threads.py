"""How many threads a computation takes, and how they wait for each other."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# of OpenMP (torch, scikit-learn, faiss) and of the linear algebra under NumPy
COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
WAITING = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"}


def stop_spinning() -> None:
    """Let the threads of OpenMP and of OpenBLAS sleep while they wait, unless the user's variables
    say how they wait.

    A thread that spins at the end of each small product stands still where another process has
    taken its core, and the others with it. Libraries read this when they are loaded: it is called
    by `import vadbench`, and workers inherit it.
    """
    if not WAITING & os.environ.keys():
        os.environ.update(GOMP_SPINCOUNT="0", KMP_BLOCKTIME="0")
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # 2^4 cycles; its own is 2^26


def count_threads() -> int:
    """How many threads computations take here, unless they are limited."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    return count_cores()


def count_cores() -> int:
    """Cores that this process may use: its share of them where it is one of several, which their
    pool says in OMP_NUM_THREADS (of nested levels, the outermost counts); in a batch job those it
    asked for.
    """
    share = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if share.isdecimal():
        return max(int(share), 1)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_threads(count: int) -> None:
    """Let torch, and the linear algebra that is loaded or will be, take so many threads."""
    import threadpoolctl

    os.environ.update(dict.fromkeys(COUNTS, str(count)))
    threadpoolctl.threadpool_limits(count)
    _set_torch(count)


@contextmanager
def limit_threads(count: int | None) -> Iterator[None]:
    """Take so many threads in the block; None: as many as before."""
    if count is None:
        yield
        return
    import threadpoolctl

    before, variables = count_threads(), {name: os.environ.get(name) for name in COUNTS}
    try:
        with threadpoolctl.threadpool_limits():  # what it finds, it puts back
            set_threads(count)
            yield
    finally:
        _set_torch(before)
        for name, value in variables.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _set_torch(count: int) -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)
