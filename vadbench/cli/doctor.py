"""vadbench doctor: what is here, and what would run where."""

from __future__ import annotations

import os
import shutil
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Annotated

import typer

from vadbench.cli.options import RESULTS, ResultsDir
from vadbench.cli.terminal import echo, print_grid
from vadbench.errors import BadInput
from vadbench.files.printable import visible as printable
from vadbench.files.writable import find_obstacle

app = typer.Typer()
GIB = 2**30
NOT_EXTRAS = ("all", "dev", "docs")


@app.command()
def doctor(
    results: ResultsDir = RESULTS,
    check: Annotated[
        bool, typer.Option("--check", help="End with exit code 1 where a run could not write.")
    ] = False,
) -> None:
    """Print what is installed, the devices, folders and their free space, the data sets that are
    here, and where a run would compute. Changes nothing.
    """
    from vadbench.environment import read_commit, read_cpu
    from vadbench.locations import cache_root, data_root, weights_root

    commit = read_commit()
    echo(f"vadbench {version('vadbench')}" + (f" ({commit})" if commit else ""))
    echo(f"processor: {read_cpu()}, {os.cpu_count()} cores, {_read_memory():.1f} GiB of memory")
    echo()
    print_grid(("extra", "packages", "here"), _list_extras(), left=(0, 1, 2))
    echo()
    print_grid(("device", "what"), _list_devices(), left=(0, 1))
    echo()
    folders = {
        "data": data_root(),
        "cache": cache_root(),
        "weights": weights_root(),
        "results": results,
    }
    rows = [(name, *_describe_folder(path)) for name, path in folders.items()]
    print_grid(("folder", "free", "state", "where"), rows, left=(0, 2, 3))
    echo()
    print_grid(("data set", "here"), _list_datasets(), left=(0, 1))
    echo()
    slurm = shutil.which("sbatch") is not None
    echo(f"executors: local{', slurm' if slurm else '; slurm has no sbatch on the PATH'}")
    unwritable = [row[0] for row in rows if row[0] != "data" and "not writable" in row[2]]
    if check and unwritable:
        raise typer.Exit(1)


def _read_memory() -> float:
    import psutil

    return float(psutil.virtual_memory().total) / GIB


def _list_extras() -> list[tuple[str, str, str]]:
    """Each extra with its packages, and the command that installs what is missing."""
    from packaging.requirements import Requirement

    extras: dict[str, list[str]] = {}
    for text in requires("vadbench") or ():
        requirement = Requirement(text)
        for name in _named_extras(text):
            if name not in NOT_EXTRAS and requirement.name != "vadbench":
                extras.setdefault(name, []).append(requirement.name)
    rows = []
    for name, packages in extras.items():
        missing = [package for package in packages if _read_version(package) is None]
        shown = ", ".join(f"{package} {_read_version(package) or '-'}" for package in packages)
        rows.append((name, shown, f"pip install 'vadbench[{name}]'" if missing else "yes"))
    return sorted(rows)


def _named_extras(requirement: str) -> list[str]:
    marker = requirement.partition(";")[2]
    return [part.strip(" '\"") for part in marker.split("extra ==")[1:]]


def _read_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _list_devices() -> list[tuple[str, str]]:
    """torch's devices, and what would compute where."""
    import torch

    from vadbench.training import resolve_device

    rows = [("cpu", f"torch {torch.__version__}, {torch.get_num_threads()} threads")]
    count = torch.cuda.device_count()
    for index in range(count):
        about = torch.cuda.get_device_properties(index)
        has = "float32, tf32 and bf16" if about.major >= 8 else "float32; no tf32, no fast bf16"
        rows.append((f"cuda:{index}", f"{about.name}, {about.total_memory / GIB:.0f} GiB; {has}"))
    if torch.backends.mps.is_available():
        rows.append(("mps", "Apple's GPU"))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        rows.append(("visible", f"CUDA_VISIBLE_DEVICES={printable(visible)}: others are not seen"))
    try:
        chosen = resolve_device("auto").type
    except BadInput as error:
        return [*rows, ("networks", str(error))]
    return [*rows, *_tell_work(chosen, count)]


def _tell_work(chosen: str, count: int) -> list[tuple[str, str]]:
    """What would compute where, of a device's kind and how many GPUs there are."""
    first = "cuda:0" if chosen == "cuda" else chosen
    rows = [("networks", f"are trained and scored on {first}")]
    if chosen == "cuda":
        rows.append(("kNN, mixtures", f"matrix products on {first}; trees and fits on the CPU"))
    rows.append(("others", "on the CPU"))
    if count > 1:
        each = ",".join(map(str, range(count)))
        rows.append(("jobs", f"all on {first}; vadbench run --devices {each}: one on each"))
    return rows


def _describe_folder(path: Path) -> tuple[str, str, str]:
    """Free space, state and place of a folder, which may have to be made."""
    above = (path, *path.absolute().parents)
    nearest = next(folder for folder in above if os.path.lexists(folder))
    try:
        free = f"{shutil.disk_usage(nearest).free / GIB:.1f} GiB"
    except OSError:
        free = "-"
    state = "there" if path.is_dir() else "not there yet"
    obstacle = find_obstacle(path)
    if obstacle is not None:
        state += f", not writable ({obstacle[1]})"
    return free, state, str(path)


def _list_datasets() -> list[tuple[str, str]]:
    """Each data set, and how many of its videos are here; nothing is decoded or verified."""
    from vadbench import registry
    from vadbench.datasets.base import SPLITS
    from vadbench.datasets.open import open_dataset

    rows = []
    for name in registry.names("datasets"):
        counts = {}
        for split in SPLITS:
            try:
                counts[split] = len(open_dataset(name).names_here(split))
            except (BadInput, OSError):
                counts[split] = 0
        found = ", ".join(f"{count} {split}" for split, count in counts.items())
        here = f"{found} videos" if any(counts.values()) else f"no (vadbench data check {name})"
        rows.append((name, here))
    return rows
