"""The two packages know each other only through the interface."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
METHODS = sorted((ROOT / "methods" / "vadbench_methods").rglob("*.py"))
CORE = sorted((ROOT / "vadbench").rglob("*.py"))


def imported(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module or "")
    return modules


@pytest.mark.parametrize("path", [*METHODS, *CORE], ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled(path):
    source = path.read_text()
    assert "allow_pickle=True" not in source
    assert not imported(path) & {"pickle", "yaml", "dill", "cloudpickle"}
    assert "joblib.load" not in source
    assert "joblib.dump" not in source
    assert not re.search(r"from joblib import .*\b(load|dump)\b", source)
