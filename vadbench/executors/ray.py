"""Ray: a task a fit, on the cluster that `RAY_ADDRESS` names, or on one that this machine is made
for as long as a run lasts.

What a task gets are texts and numbers, and what it gives are texts; what it makes are records, on
a disk in common.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from vadbench.errors import BadInput, cut

ADDRESS = "RAY_ADDRESS"
OBJECTS = 100 * 2**20  # bytes that Ray holds for objects; ours are texts
GRACE = 1.5  # seconds in which a task that is cancelled ends; a network is written in them
QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "CRITICAL"}
KEPT = "VADBENCH_"  # variables that a task sees as they are here
Given = TypeVar("Given")
LONGEST = 20  # letters of a folder under which Ray's sockets have names that are short enough


@dataclass(frozen=True)
class Needs:
    """What a task takes of its machine.

    Attributes:
        threads: cores.
        gpu: whether it computes on a GPU where there is one.
        memory: bytes; None: not known.
    """

    threads: int
    gpu: bool
    memory: int | None


def require_ray() -> Any:
    """Ray's module.

    Raises:
        BadInput: if it is not installed, or nothing answers at its address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
    try:
        import ray
    except ImportError as error:
        raise BadInput(
            f"--executor ray: Ray is not installed ({cut(str(error))}); pip install 'vadbench[ray]'"
        ) from error
    _require_answer(os.environ.get(ADDRESS) or "")
    return ray


def _require_answer(address: str) -> None:
    """Refuse an address that nothing listens at: Ray itself asks for minutes."""
    if address in ("", "auto", "local"):
        return
    found = re.fullmatch(r"(ray://)?\[?(?P<host>[^/]+?)\]?:(?P<port>\d{1,5})", address)
    if found is None:
        raise BadInput(f"{ADDRESS}={cut(address)}: expected HOST:PORT, as ray start prints it")
    try:
        socket.create_connection((found["host"], int(found["port"])), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise BadInput(f"{ADDRESS}={cut(address)}: no Ray there ({error})") from error


def run_tasks(
    do: Callable[..., Given], arguments: Sequence[Any], needs: Sequence[Needs]
) -> Generator[tuple[int, Given | Exception], None, None]:
    """Run a task a need, and yield as it ends its number and what it gives, or what has kept it
    from its end.

    Where the block is left early, all tasks are told to end as by Ctrl-C, and are ended.

    Args:
        do: a function of a module: called with the arguments and the number of the task.
        arguments: texts and numbers alone.
        needs: of each task.

    Raises:
        BadInput: if there is no Ray, or none at its address.
    """
    ray = require_ray()
    with open_cluster():
        task, kept = ray.remote(do), [ray.put(one) for one in arguments]
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        waiting = {
            task.options(**_resources(need, nodes)).remote(*kept, number): number
            for number, need in enumerate(needs)
        }
        try:
            while waiting:
                (ended, *_), _ = ray.wait(list(waiting), num_returns=1)
                yield waiting.pop(ended), _read_end(ray, ended)
        finally:
            _cancel(ray, list(waiting))


def _read_end(ray: Any, task: Any) -> Any:
    """What a task that is over gives, or the exception that has kept it from its end."""
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        return cause if isinstance(cause, Exception) else RuntimeError(cut(str(error)))
    except ray.exceptions.RayError as error:
        return error.with_traceback(None)


def _cancel(ray: Any, waiting: list[Any]) -> None:
    with suppress(Exception):  # the cluster may be gone
        for task in waiting:
            ray.cancel(task)
        ray.wait(waiting, num_returns=len(waiting), timeout=GRACE)


def _resources(needs: Needs, nodes: Sequence[dict[str, float]]) -> dict[str, Any]:
    """What a task asks of Ray: no more than the largest machine has, or it would wait for ever."""

    def most(what: str) -> float:
        return max((node.get(what, 0.0) for node in nodes), default=0.0)

    options: dict[str, Any] = {
        "num_cpus": min(needs.threads, int(most("CPU"))),
        "num_gpus": int(needs.gpu and most("GPU") >= 1),
        "max_retries": 0,
    }
    if needs.memory is not None:
        options["memory"] = min(needs.memory, int(most("memory")))
    return options


@contextmanager
def open_cluster() -> Iterator[None]:
    """Be connected to the cluster, and to nothing afterwards; within such a block another one is
    nothing.

    Raises:
        BadInput: if there is no Ray, or none at its address.
    """
    ray = require_ray()
    if ray.is_initialized():
        yield
        return
    address = os.environ.get(ADDRESS, "").removeprefix("local")
    handler = signal.getsignal(signal.SIGTERM)
    own = None if address else _make_folder()
    try:
        _connect(ray, address, own)
        signal.signal(signal.SIGTERM, handler)  # Ray has set its own
        yield
    finally:
        ray.shutdown()
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)


def _connect(ray: Any, address: str, own: Path | None) -> None:
    """Connect to the cluster of an address, or start one in a folder.

    Raises:
        BadInput: with what Ray says where that is not possible, of another version, say.
    """
    try:
        if own is None:
            ray.init(address, runtime_env={"env_vars": _variables()}, **QUIET)
        else:
            # a job is as urgent as one that this process runs itself
            os.environ.setdefault("RAY_worker_niceness", "0")
            more = {"include_dashboard": False, "object_store_memory": OBJECTS}
            ray.init("local", _temp_dir=str(own), **more, **QUIET)
    except Exception as error:  # Ray raises a bare one where a machine is too busy to start it
        where = f"{ADDRESS}={address}" if address else "a Ray of this machine"
        raise BadInput(f"{where}: no connection ({cut(str(error))})") from error


def _variables() -> dict[str, str]:
    """Where data and caches lie, with whole paths."""
    return {
        name: str(Path(value).expanduser().absolute())
        for name, value in os.environ.items()
        if name.startswith(KEPT)
    }


def _make_folder() -> Path:
    """A folder for the sockets and logs of a cluster; those of killed runs are removed."""
    above = tempfile.gettempdir()
    root = Path(above if len(above) <= LONGEST else "/tmp")
    for folder in root.glob("vadbench-ray-*"):
        with suppress(OSError, ValueError):
            number = int(folder.name.rpartition("-")[2])
            if folder.lstat().st_uid == os.getuid() and not psutil.pid_exists(number):
                shutil.rmtree(folder, ignore_errors=True)
    folder = root / f"vadbench-ray-{os.getpid()}"
    folder.mkdir(mode=0o700)
    return folder
