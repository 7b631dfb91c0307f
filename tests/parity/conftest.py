"""Where the reference answers and real data lie; tests skip where they do not."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared"


def _folder(name: str) -> Path:
    if not (SHARED / name).is_dir():
        pytest.skip(f"{SHARED / name} is not on this machine")
    return SHARED / name


@pytest.fixture(scope="session")
def oracles() -> Path:
    """The folder of the reference implementations' answers."""
    return _folder("oracles")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data."""
    return _folder("data")
