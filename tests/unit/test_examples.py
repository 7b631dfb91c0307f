"""The examples in docstrings run, each module's in a moment."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"vadbench": ROOT, "vadbench_methods": ROOT / "methods"}


def modules():
    for package, base in PACKAGES.items():
        for path in sorted((base / package).rglob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8"):
                yield ".".join(path.relative_to(base).with_suffix("").parts)


@pytest.mark.parametrize("module", modules())
def test_the_examples_of_a_module_give_what_they_say(module):
    outcome = doctest.testmod(import_module(module), optionflags=doctest.ELLIPSIS)
    assert outcome.attempted
    assert not outcome.failed
