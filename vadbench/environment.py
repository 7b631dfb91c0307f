"""What runs here: the git commit of a checkout, and the versions of the libraries that numbers
depend on. Nothing of them is imported.
"""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "numpy", "scikit-learn", "pytorch-lightning")
# recorded with every run
PACKAGES = ("vadbench", "scipy", "opencv-python-headless", "faiss-cpu", *LIBRARIES)
CODE = ("vadbench", "methods", "pyproject.toml")  # what a commit has to hold unchanged
_CHECKOUT = Path(__file__).resolve().parents[1]


def read_commit(checkout: Path = _CHECKOUT) -> str | None:
    """The commit of a checkout, with `+` behind it where the code differs from it; None outside of
    one.
    """
    if not (checkout / ".git").exists():
        return None
    try:
        commit = _git(checkout, "rev-parse", "HEAD")
        changed = _git(checkout, "status", "--porcelain", "--", *CODE)
    except (OSError, subprocess.CalledProcessError):  # no git, or a checkout of somebody else
        return None
    return commit + "+" * bool(changed)


def _git(checkout: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def read_versions(libraries: tuple[str, ...] = LIBRARIES) -> dict[str, str]:
    """The versions of the libraries that are installed.

    >>> list(read_versions())[:1]
    ['torch']
    """
    versions = {}
    for library in libraries:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return versions


def read_cpu() -> str:
    """The processor as it calls itself, or its architecture."""
    listed = Path("/proc/cpuinfo")
    if listed.is_file():
        for line in listed.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return " ".join(value.split())
    return platform.processor() or platform.machine()


@cache
def read_environment() -> dict[str, Any]:
    """Versions and the code's commit, as a record has them."""
    commit = read_commit()
    git = None if commit is None else {"commit": commit.rstrip("+"), "dirty": commit.endswith("+")}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "packages": read_versions(PACKAGES),
        "git": git,
    }
