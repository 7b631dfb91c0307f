"""What was imported is what is stored and what its files hold; else `features verify` says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from clips_to_import import Toy

from vadbench import registry
from vadbench.datasets.base import Split
from vadbench.errors import BadInput
from vadbench.features.importers import import_features, suspicions
from vadbench.features.importers.clips import ImportedRows
from vadbench.features.stream import plan_stream
from vadbench.features.verify import verify_features
from vadbench.files.canonical import canonical_hash
from vadbench.files.digest import sha256

STREAM = "clip@import.mine"
SPLITS: tuple[Split, ...] = ("train", "test")


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """A data set that is known by its name, and its cache; every clip has a file."""
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "names", lambda kind: ("toy",))
    for module in ("verify", "importers.sources"):
        monkeypatch.setattr(f"vadbench.features.{module}.open_dataset", lambda name: Toy(tmp_path))
    toy = Toy(tmp_path)
    random = np.random.default_rng(0)
    for split in SPLITS:
        (tmp_path / split).mkdir()
        for video in toy.videos(split):
            np.save(tmp_path / split / f"{video.name}.npy", random.normal(size=(video.frames, 2)))
    return toy


def imported(toy: Toy) -> dict[Split, ImportedRows]:
    paths = {split: toy.root / split for split in SPLITS}
    return import_features(toy, STREAM, paths, "npy", {"snippet": 1}, toy.root / "cache")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 0x10
    path.write_bytes(content)


def only_trouble() -> str:
    folders, troubles = verify_features()
    assert folders == 2
    (said,) = troubles
    assert said.isprintable()
    return said


def test_whole_imports_are_whole(toy: Toy) -> None:
    imported(toy)
    assert verify_features() == (2, [])


def test_a_file_that_changed_since_is_told(toy: Toy) -> None:
    imported(toy)
    flip(toy.root / "test" / "y.npy")
    assert "holds something else than when" in only_trouble()


def test_files_that_were_exchanged_since_are_told(toy: Toy) -> None:
    imported(toy)
    folder = toy.root / "train"
    (folder / "a.npy").rename(folder / "of_a")
    (folder / "b.npy").rename(folder / "a.npy")
    (folder / "of_a").rename(folder / "b.npy")
    assert "holds something else than when" in only_trouble()


def test_a_file_that_is_gone_is_needed_no_more(toy: Toy) -> None:
    imported(toy)
    for path in (toy.root / "test").iterdir():
        path.unlink()
    (toy.root / "test").rmdir()
    assert verify_features() == (2, [])


def test_another_file_under_the_same_name_is_told(toy: Toy) -> None:
    assert suspicions(imported(toy)) == suspicions(imported(toy))
    flip(toy.root / "train" / "a.npy")
    assert any("others than those imported under this name" in d for d in suspicions(imported(toy)))


def test_stored_rows_that_were_sealed_again_are_told(toy: Toy) -> None:
    imported(toy)
    (manifest,) = (toy.root / "cache").glob("toy@1/clip*/test/manifest.json")
    x = manifest.with_name("x.npy")
    flip(x)
    document = json.loads(manifest.read_text())
    document["files"]["x.npy"]["sha256"] = sha256(x)
    del document["sha256"]
    manifest.write_text(json.dumps(document | {"sha256": canonical_hash(document)}))
    assert "other rows than" in only_trouble()


@pytest.mark.parametrize("lacking", ["files", "rows", "videos", "schema_version"])
def test_a_manifest_sealed_without_a_field_is_told(toy: Toy, lacking: str) -> None:
    imported(toy)
    (manifest,) = (toy.root / "cache").glob("toy@1/clip*/test/manifest.json")
    document = json.loads(manifest.read_text())
    del document["sha256"], document[lacking]
    manifest.write_text(json.dumps(document | {"sha256": canonical_hash(document)}))
    assert "manifest.json: damaged" in only_trouble()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("files", {}),
        ("files", {"../x": {"bytes": 1, "sha256": "0" * 64}}),
        ("files", {"index.parquet": {"bytes": "1", "sha256": "0" * 64}}),
        ("rows", -1),
        ("rows", "6"),
        ("videos", [["y"]]),
        ("videos", {"y": 2}),
        ("scenes", 3),
    ],
)
def test_a_manifest_sealed_with_another_type_is_told(toy: Toy, field: str, value: object) -> None:
    imported(toy)
    (manifest,) = (toy.root / "cache").glob("toy@1/clip*/test/manifest.json")
    document = json.loads(manifest.read_text()) | {field: value}
    del document["sha256"]
    manifest.write_text(json.dumps(document | {"sha256": canonical_hash(document)}))
    assert "manifest.json: damaged" in only_trouble()


def test_a_damaged_record_is_told(toy: Toy) -> None:
    imported(toy)
    (record,) = (toy.root / "cache").glob("toy@1/imports/[!.]*.json")
    record.write_text(record.read_text().replace('"vectors"', '"vektors"'))
    folders, (said,) = verify_features()
    assert folders == 3
    assert "not the record of an import" in said
    with pytest.raises(BadInput, match="not the record of an import"):
        plan_stream(toy, STREAM, {})
