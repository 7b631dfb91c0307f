"""Versions that stand for code: of ours, raised by hand; of a plug-in, its package's version and
source.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from vadbench import registry
from vadbench import versions as code

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from record_versions import changed, components, read_record


def test_no_source_has_changed_without_a_word() -> None:
    unsaid = [f"{kind} {name}" for kind, name in changed(components(), read_record())]
    assert not unsaid, (
        "raise the version, or: python tests/record_versions.py --same WHY (CONTRIBUTING.md)"
    )


def test_a_changed_source_is_seen() -> None:
    now = components()
    other = {
        kind: {name: dict(told) for name, told in of_kind.items()} for kind, of_kind in now.items()
    }
    other["detectors"]["knn"]["source"] = "0" * 16
    assert changed(now, other) == [("detectors", "knn")]


def test_version_1_of_ours_is_left_out() -> None:
    assert code.code_of("detectors", "mulde") == {}


def plug_in(folder: Path, text: str, version: str) -> None:
    about = folder / "mine-0.1.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mine\nVersion: {version}\n")
    (about / "entry_points.txt").write_text("[vadbench.detectors]\nmine = mine_pkg.method:Mine\n")
    (folder / "mine_pkg").mkdir(exist_ok=True)
    (folder / "mine_pkg" / "__init__.py").write_text("")
    (folder / "mine_pkg" / "helper.py").write_text(text)
    (folder / "mine_pkg" / "method.py").write_text(METHOD)


METHOD = """
from vadbench.detector import Detector, DetectorInfo, MethodConfig
class Mine(Detector):
    Config = MethodConfig
    info = DetectorInfo("mine", "mine", "me", deterministic=True)
    def fit(self, train): ...
    def score(self, test): ...
    def arrays(self): return {}
    def restore(self, arrays): ...
"""


@pytest.fixture
def of_mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What is said of the plug-in's code, read anew at each call."""
    monkeypatch.syspath_prepend(tmp_path)

    def read(text: str, version: str = "0.1") -> dict[str, Any]:
        plug_in(tmp_path, text, version)
        for known in (registry._entries, code._digest):
            known.cache_clear()
        return code.code_of("detectors", "mine")

    yield read
    for known in (registry._entries, code._digest):
        known.cache_clear()
    for name in [name for name in sys.modules if name.startswith("mine_pkg")]:
        del sys.modules[name]


def test_a_plug_in_is_told_by_its_distribution_and_its_source(of_mine: Any) -> None:
    first = of_mine("SIGN = -1")
    assert first["package"] == "mine 0.1"
    assert of_mine("SIGN = -1") == first


def test_any_file_of_a_plug_ins_package_decides(of_mine: Any) -> None:
    assert of_mine("SIGN = -1")["source"] != of_mine("SIGN = 1")["source"]


def test_a_plug_ins_raised_version_decides(of_mine: Any) -> None:
    assert of_mine("SIGN = -1")["package"] != of_mine("SIGN = -1", version="0.2")["package"]
