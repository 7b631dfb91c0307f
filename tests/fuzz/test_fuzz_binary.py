"""Binary files with whatever hypothesis changes in them, and files made of nothing else: the right
answer, the numbers that they hold now, or one line.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_line import answer
from scipy.io import loadmat, savemat

from vadbench.datasets.images import read_image
from vadbench.datasets.video import iterate_video
from vadbench.external.frame_files import read_frame_file
from vadbench.external.label_files import read_labels
from vadbench.external.lengths import Known
from vadbench.features import store
from vadbench.features.boxes.tracks import NPZ, read_tracks
from vadbench.features.importers.arrays import read_mat, read_npy, read_npz
from vadbench.features.importers.unpickle import read_entries
from vadbench.features.weights import load_state
from vadbench.files.npz import load_arrays
from vadbench.files.tables import read_detections, read_frames

Edit = tuple[float, int, bytes]  # where, as a part of the file, how many bytes, by what
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=3
)


def edit(data: bytes, edits: list[Edit], cut: float) -> bytes:
    """The file with parts replaced, and its end cut off; `cut` 1 leaves it."""
    for where, length, by in edits:
        at = int(where * len(data))
        data = data[:at] + by + data[at + length :]
    return data[: int(cut * len(data))] if cut < 1 else data


CUTS = st.one_of(st.just(1.0), st.just(1.0), st.floats(0, 1))


def written(write: Callable[[io.BytesIO], Any]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


RANDOM = np.random.default_rng(0)
ARRAYS = {"video": np.array(["01"] * 9), "frame": np.arange(9), "score": RANDOM.random(9)}
BOXES = dict.fromkeys(("x0", "y0"), np.full(9, 2.0)) | dict.fromkeys(("x1", "y1"), np.full(9, 9.0))
TRACKS = {
    "rows": np.arange(12.0).reshape(2, 6),
    "columns": np.array([*NPZ.values()]),
    "video": np.array(["01"]),
    "count": np.array([2]),
}
CELL = np.array([np.eye(2), np.eye(3, dtype=np.uint8)], dtype=object)
KNOWN = Known({"a": 4, "b": 5}, "the test split")
GIVEN = {"a": RANDOM.random(4), "b": RANDOM.random(5)}
GIVEN_CELLS = np.array([*GIVEN.values()], dtype=object)
ENTRIES = np.array([np.ones((k % 3, 2), np.float32) for k in range(5)], dtype=object)
PICTURE = np.kron(np.eye(4, dtype=np.uint8) * 200, np.ones((6, 6), np.uint8))


def as_table(path: Path) -> Any:
    return read_frames(path, "score").values.tolist()


def as_given(path: Path) -> Any:
    return read_frame_file(path, "score", KNOWN).values.tolist()


def as_picture(suffix: str) -> bytes:
    return bytes(cv2.imencode(f".{suffix}", PICTURE)[1].tobytes())


def pt() -> bytes:
    import torch

    return written(lambda file: torch.save({"a": torch.ones(3, 2)}, file))


def safetensors() -> bytes:
    import torch
    from safetensors.torch import save

    return bytes(save({"a": torch.ones(3, 2)}))


# kind -> its file's end, what it holds, what reads it, and whether its checksums find all damage
KINDS: dict[str, tuple[str, bytes, Callable[[Path], Any], bool]] = {
    "npz": ("npz", written(lambda file: np.savez(file, **ARRAYS)), as_table, True),
    "compressed npz": (
        "npz",
        written(lambda file: np.savez_compressed(file, **ARRAYS, **BOXES)),
        lambda path: str(read_detections(path)),
        True,
    ),
    "records": ("npz", written(lambda file: np.savez(file, **ARRAYS)), load_arrays, True),
    "imported npz": ("npz", written(lambda file: np.savez(file, **ARRAYS)), read_npz, True),
    "tracks": ("npz", written(lambda file: np.savez(file, **TRACKS)), read_tracks, True),
    "npy": ("npy", written(lambda file: np.save(file, RANDOM.random((4, 3)))), read_npy, False),
    "objects": (
        "npy",
        written(lambda file: np.save(file, ENTRIES, allow_pickle=True)),
        read_entries,
        False,
    ),
    "mat": (
        "mat",
        written(lambda file: savemat(file, {"c": CELL, "x": np.eye(3)})),
        read_mat,
        False,
    ),
    "compressed mat": (
        "mat",
        written(lambda file: savemat(file, {"c": CELL, "x": np.eye(3)}, do_compression=True)),
        read_mat,
        False,
    ),
    "mat 4": (
        "mat",
        written(lambda file: savemat(file, {"x": np.eye(3)}, format="4")),
        read_mat,
        False,
    ),
    "given npy": ("npy", written(lambda file: np.save(file, RANDOM.random(9))), as_given, False),
    "given npz": ("npz", written(lambda file: np.savez(file, **GIVEN)), as_given, True),
    "given mat": ("mat", written(lambda file: savemat(file, GIVEN)), as_given, False),
    "given cells": (
        "mat",
        written(lambda file: savemat(file, {"scores": GIVEN_CELLS})),
        as_given,
        False,
    ),
    "parquet": (
        "parquet",
        written(lambda file: pd.DataFrame(ARRAYS).to_parquet(file)),
        as_table,
        False,
    ),
    **{
        suffix: (suffix, as_picture(suffix), read_image, suffix == "png")
        for suffix in ("png", "tif", "bmp", "jpg")
    },
    "pt": ("pt", pt(), load_state, True),
    "safetensors": ("safetensors", safetensors(), load_state, False),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("binary")


@pytest.mark.parametrize("kind", KINDS)
@given(edits=EDITS, cut=CUTS)
def test_a_damaged_file(folder: Path, kind: str, edits: list[Edit], cut: float) -> None:
    suffix, data, read, checked = KINDS[kind]
    path = folder / f"file.{suffix}"
    path.write_bytes(edit(data, edits, cut))
    found, value = answer(lambda: read(path))
    if checked and found == "right":
        path.write_bytes(data)
        assert repr(value) == repr(read(path))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.binary(max_size=200))
def test_a_file_of_anything_after_its_beginning(folder: Path, kind: str, data: bytes) -> None:
    suffix, whole, read, _ = KINDS[kind]
    path = folder / f"anything.{suffix}"
    path.write_bytes(whole[: 128 if suffix == "mat" else 8] + data)
    answer(lambda: read(path))


WORDS = st.sampled_from(
    [
        *(
            "a",
            "b.mp4",
            "Abuse",
            "0",
            "1",
            "2",
            "3",
            "-1",
            "4",
            "7",
            "1e9",
            "nan",
            "9" * 400,
            "\xff",
        ),
    ]
)
LINES = st.lists(st.lists(WORDS, max_size=6).map(" ".join), max_size=6).map("\n".join)


@given(text=LINES)
def test_lines_of_scores_and_of_labels(folder: Path, text: str) -> None:
    path = folder / "lines.txt"
    path.write_text(text, encoding="utf-8")
    for read in (as_given, lambda path: read_labels(path, KNOWN).values.tolist()):
        found, value = answer(lambda read=read: read(path))  # type: ignore[misc]
        assert found == "line" or len(value) == 9


@given(data=st.binary(max_size=60), times=st.integers(0, 50))
def test_a_pickle_of_any_instructions(folder: Path, data: bytes, times: int) -> None:
    path = folder / "pickle.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": (5,)}
        )
        file.write(b"\x80\x04]\x94" + data * times + b".")
    answer(lambda: read_entries(path))


@given(
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    kind=st.sampled_from(["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "?", ">f8"]),
    compressed=st.booleans(),
    in_cell=st.booleans(),
)
def test_a_mat_file_is_read_as_scipy_reads_it(
    folder: Path, shape: list[int], kind: str, compressed: bool, in_cell: bool
) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    written = np.empty(2, object)
    written[:] = [array, array[:1]]
    path = folder / "scipy.mat"
    savemat(path, {"x": written if in_cell else array}, do_compression=compressed)

    ours, theirs = read_mat(path)["x"], loadmat(path)["x"]
    assert ours.shape == theirs.shape
    pairs = zip(ours.ravel(), theirs.ravel(), strict=True) if in_cell else [(ours, theirs)]
    for mine, other in pairs:
        assert mine.shape == other.shape
        assert mine.dtype.kind == other.dtype.kind
        assert np.array_equal(mine, other)


@given(edits=EDITS, cut=CUTS, name=st.sampled_from(["manifest.json", "index.parquet", "x.npy"]))
def test_a_damaged_stage(folder: Path, edits: list[Edit], cut: float, name: str) -> None:
    stage = folder / "toy@1" / "velocity@0123" / "train"
    if not stage.is_dir():
        index = store.Index.of_frames([np.arange(3), np.arange(2)])
        described = {"videos": [["b", 3], ["a", 2]], "split": "train"}
        store.write(stage, described, index, [np.ones((5, 3), np.float32)], 3)
    whole = (stage / name).read_bytes()
    try:
        (stage / name).write_bytes(edit(whole, edits, cut))
        found, value = answer(lambda: store.open_folder(stage, "mine"))
        assert found == "line" or np.array_equal(value.features.x, np.ones((5, 3)))
    finally:
        (stage / name).write_bytes(whole)


@pytest.fixture(scope="module")
def videos(folder: Path) -> dict[str, bytes]:
    import av

    found = {}
    for name, codec in (("v.avi", "mjpeg"), ("v.mp4", "mpeg4"), ("v.mkv", "mpeg4")):
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream(codec, rate=10)
            stream.width, stream.height = 32, 24
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for grey in range(4):
                picture = np.full((24, 32, 3), 50 * grey, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        found[name] = (folder / name).read_bytes()
    return found


@given(edits=EDITS, cut=CUTS, name=st.sampled_from(["v.avi", "v.mp4", "v.mkv"]))
def test_a_damaged_video(
    folder: Path, videos: dict[str, bytes], edits: list[Edit], cut: float, name: str
) -> None:
    path = folder / f"damaged-{name}"
    path.write_bytes(edit(videos[name], edits, cut))
    answer(lambda: sum(1 for _ in iterate_video(path)))
