"""Processes that work for this one, and end with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from vadbench.threads import count_threads, set_threads

# they are for the process that has the workers
SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


@contextmanager
def open_workers(
    processes: int, begin: Callable[..., None] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[Workers]:
    """So many processes, each with its share of the cores; they are ended with the block, at once
    where it ends in an exception, and by themselves where this process is killed.

    Args:
        processes: how many.
        begin: called once in each, before its work; can be pickled.
        arguments: of `begin`.
    """
    # spawn: a forked copy of a process that has used OpenMP threads hangs
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with blocked_signals():  # it starts a process that clears up after the others
        pool = ProcessPoolExecutor(
            processes,
            mp_context=context,
            initializer=_begin,
            initargs=(processes, begin, arguments),
        )
    try:
        yield Workers(pool)
    except BaseException:
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()  # what it writes is whole or absent
        raise
    finally:
        pool.shutdown(cancel_futures=True)


class Workers:
    """What takes calls for the processes."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """The outcome to come of a call that one of the processes makes."""
        with blocked_signals():
            return self._pool.submit(call, *arguments)


@contextmanager
def blocked_signals() -> Iterator[None]:
    """A process that is started here does not see `SIGNALS`: a terminal sends Ctrl-C to all of a
    group, a batch system SIGTERM, and this process ends the others.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(processes: int, begin: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=end_with_parent, daemon=True).start()
    set_threads(max(count_threads() // processes, 1))
    if begin is not None:
        begin(*arguments)


def end_with_parent() -> None:
    """End this process when the one that has started it has ended, in whatever way."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()  # a pipe, whose other end closes with the parent
        os._exit(1)
