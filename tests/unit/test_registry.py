import subprocess
import sys

import pytest

from vadbench import registry
from vadbench.errors import BadInput


def test_unknown_name_lists_the_choices_and_the_nearest():
    with pytest.raises(BadInput, match=r"unknown detector 'muldee': choose from .*knn.*; did you mean mulde\?"):
        registry.load("detectors", "muldee")


@pytest.mark.parametrize("kind", ["detectors", "recipes", "extractors", "datasets"])
def test_every_entry_has_a_title(kind):
    for name in registry.names(kind):
        assert registry.title(kind, name), name


HEAVY = {"torch", "pytorch_lightning", "sklearn", "pandas", "cv2", "faiss", "scipy", "matplotlib"}


@pytest.mark.parametrize("arguments", [["--help"], ["list", "methods"], ["list", "suites"], ["run", "--help"]])
def test_help_and_list_import_nothing_heavy(arguments):
    script = f"""
import sys
from vadbench.cli import main
sys.argv = ["vadbench", *{arguments!r}]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print("HEAVY", sorted({HEAVY!r} & set(sys.modules)))
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "HEAVY []" in told
