"""What runs here: the git commit of a checkout, and the versions of the libraries that numbers
depend on. Nothing of them is imported.
"""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("torch", "numpy", "scikit-learn", "pytorch-lightning")
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


def read_versions() -> dict[str, str]:
    """Python and the installed libraries of `LIBRARIES`, by name.

    >>> list(read_versions())[:2]
    ['python', 'torch']
    """
    versions = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return versions
