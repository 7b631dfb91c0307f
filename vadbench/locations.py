"""Where data sets, weights, cached features and suites lie on this machine."""

from __future__ import annotations

import os
from pathlib import Path


def data_root() -> Path:
    """The folder with the data sets as their authors ship them: `$VADBENCH_DATA`, else the
    platform's data folder.
    """
    return _root("VADBENCH_DATA", "data")


def cache_root() -> Path:
    """The folder of extracted features: `$VADBENCH_CACHE`, else the platform's cache folder."""
    return _root("VADBENCH_CACHE", "cache")


def weights_root() -> Path:
    """The folder of pretrained weights: `$VADBENCH_WEIGHTS`, else `weights` in the platform's data
    folder.
    """
    return _root("VADBENCH_WEIGHTS", "data", "weights")


def suites_root() -> Path:
    """The folder of the suites: `benchmarks/` of a checkout, else the copy inside the installed
    package.
    """
    return _shipped("benchmarks")


def reference_results() -> Path:
    """The folder of the reference runs: `results/` of a checkout; outside of one there are none."""
    return _shipped("results")


def _shipped(name: str) -> Path:
    package = Path(__file__).resolve().parent
    checkout = package.parent / name
    is_checkout = (package.parent / "pyproject.toml").is_file() and checkout.is_dir()
    return checkout if is_checkout else package / name


def _root(variable: str, kind: str, below: str = "") -> Path:
    if os.environ.get(variable):
        return Path(os.environ[variable]).expanduser()
    import platformdirs

    chosen = platformdirs.user_cache_path if kind == "cache" else platformdirs.user_data_path
    return chosen("vadbench", appauthor=False) / below
