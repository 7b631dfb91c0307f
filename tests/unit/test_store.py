"""The feature store: what is written is what is read, or it is refused by name."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from vadbench.errors import BadInput
from vadbench.features import store
from vadbench.features.parts import Parts
from vadbench.files.canonical import canonical_hash
from vadbench.files.digest import sha256

COUNTS = [np.array([2, 0, 1]), np.array([0, 3])]
DESCRIBED = {"stream": "velocity", "videos": [["b", 3], ["a", 2]]}


def index() -> store.Index:
    corners = np.arange(6, dtype=np.float32)[:, None] + np.array([0, 0.25, 5, 9], np.float32)
    return store.Index.of_counts(corners, COUNTS)


def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


def written(tmp_path: Path) -> Path:
    folder = tmp_path / "ped2@1" / "velocity@0123" / "train"
    store.write(folder, DESCRIBED, index(), [vectors()[:2], vectors()[2:]], 3)
    return folder


def test_index_numbers_objects_by_clip_and_frame() -> None:
    assert index().video.tolist() == [0, 0, 0, 1, 1, 1]
    assert index().frame.tolist() == [0, 0, 2, 1, 1, 1]
    assert index().object_id.tolist() == list(range(6))
    assert [len(boxes) for boxes in index().of_clip(0, 3).boxes] == [2, 0, 1]
    assert [len(boxes) for boxes in index().of_clip(1, 2).boxes] == [0, 3]


def test_a_stream_is_read_as_it_was_written(tmp_path: Path) -> None:
    stream = store.open_folder(written(tmp_path), "mine")

    assert isinstance(stream.features.x, np.memmap)
    assert np.array_equal(stream.features.x, vectors())
    for found, expected in zip(
        (stream.features.video, stream.features.frame, stream.object_id, stream.features.box),
        list(vars(index()).values())[:4],
        strict=True,
    ):
        assert np.array_equal(found, expected)
        assert found.dtype == expected.dtype
    # in the data set's order, not the alphabet's
    assert list(stream.lengths.items()) == [("b", 3), ("a", 2)]
    assert stream.features.name == "mine"


def test_the_manifest_says_what_the_files_are(tmp_path: Path) -> None:
    folder = written(tmp_path)
    manifest = store.read_manifest(folder)

    assert manifest["schema_version"] == store.SCHEMA_VERSION
    assert manifest["rows"] == 6
    assert manifest["files"]["x.npy"]["shape"] == [6, 3]
    assert manifest["files"]["x.npy"]["dtype"] == "float32"
    assert manifest["files"]["index.parquet"]["sha256"] == sha256(folder / "index.parquet")


def test_a_stream_without_objects_can_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "test"
    empty = store.Index.of_counts(np.zeros((0, 4), np.float32), [np.zeros(3, np.int64)])
    store.write(folder, {"videos": [["a", 3]]}, empty, [], 3)

    stream = store.open_folder(folder, "mine")
    assert stream.features.x.shape == (0, 3)
    assert stream.features.box is not None
    assert stream.features.box.shape == (0, 4)
    assert [len(boxes) for boxes in empty.of_clip(0, 3).boxes] == [0, 0, 0]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 0x10
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
@pytest.mark.parametrize("name", ["x.npy", "index.parquet", "manifest.json"])
@pytest.mark.parametrize("reader", [lambda folder: store.open_folder(folder, "mine"), store.verify])
def test_a_damaged_file_is_named(tmp_path: Path, damage, name: str, reader) -> None:
    folder = written(tmp_path)
    damage(folder / name)

    with pytest.raises(BadInput, match=rf"train/{name}: .*vadbench features extract") as error:
        reader(folder)
    assert "\n" not in str(error.value)


def test_a_flipped_byte_in_a_large_file_is_found_by_verify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path)
    store.verify(folder)
    flip(folder / "x.npy")
    monkeypatch.setattr(store, "SMALL", 10)

    # its size is right, and large files are not hashed each time
    store.check_files(folder, store.read_manifest(folder))
    with pytest.raises(BadInput, match=r"x\.npy: damaged"):
        store.verify(folder)


def test_an_edited_manifest_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path) / "manifest.json"
    path.write_text(path.read_text().replace('"rows": 6', '"rows": 5'))

    with pytest.raises(BadInput, match=r"manifest\.json: damaged or edited"):
        store.open_folder(path.parent, "mine")


def test_another_format_says_what_helps(tmp_path: Path) -> None:
    path = written(tmp_path) / "manifest.json"
    manifest = json.loads(path.read_text()) | {"schema_version": 99}
    del manifest["sha256"]
    path.write_text(json.dumps(manifest | {"sha256": canonical_hash(manifest)}))

    with pytest.raises(
        BadInput, match=r"format 99, this vadbench reads format 1; .*vadbench features extract"
    ):
        store.open_folder(path.parent, "mine")


def test_vectors_must_be_one_an_object(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="4 vectors for 6 objects"):
        store.write(tmp_path / "train", DESCRIBED, index(), [vectors()[:4]], 3)
    assert not (tmp_path / "train").exists()


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", range(5))
def test_a_full_disk_leaves_nothing_behind_at_any_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    real, calls = os.fsync, iter(range(100))
    monkeypatch.setattr(os, "fsync", lambda file: full() if next(calls) == call else real(file))
    folder = tmp_path / "velocity@0" / "train"

    with pytest.raises(BadInput, match="the disk is full; free some space"):
        store.write(folder, DESCRIBED, index(), [vectors()], 3)

    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert left in ([], sorted(left) if folder.exists() else None)
    if folder.exists():  # the last flush, after the rename: then it is whole
        store.verify(folder)


def test_parts_survive_and_damaged_ones_are_made_again(tmp_path: Path) -> None:
    parts = Parts(tmp_path / ".parts-train")
    assert parts.read(0) is None
    parts.write(0, {"x": vectors()})
    assert np.array_equal(Parts(tmp_path / ".parts-train").load(0)["x"], vectors())

    path = tmp_path / ".parts-train" / "00000.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert parts.read(0) is None
    with pytest.raises(BadInput, match=r"00000\.npz: damaged"):
        parts.load(0)


def test_a_full_disk_leaves_no_half_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(tmp_path / ".parts-train")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(BadInput, match="the disk is full"):
            parts.write(0, {"x": vectors()})

    assert not list(tmp_path.rglob("*.*z"))
    assert parts.read(0) is None


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(BadInput, match="may not be written; set VADBENCH_CACHE"),
        store.explain_disk_errors(tmp_path),
    ):
        raise PermissionError(errno.EACCES, "denied")


def test_stored_lists_whole_stages_alone(tmp_path: Path) -> None:
    folder = written(tmp_path)
    boxes = tmp_path / "ped2@1" / "boxes" / "grid@0123" / "train"
    store.write(boxes, DESCRIBED, index(), None)
    half = folder.with_name(".tmp-test")
    half.mkdir()
    (half / "manifest.json").write_text("{}")

    assert store.stored(tmp_path) == [boxes, folder]
    store.verify(boxes)
