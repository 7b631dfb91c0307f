"""AccI-VAD's object arrays, which are pickles: what they give, and that a hostile one runs
nothing.
"""

from __future__ import annotations

import io
import os
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips_to_import import Toy, ragged, refusal, save_objects
from hypothesis import given
from hypothesis import strategies as st

from vadbench.features.importers import read_features


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


# AccI-VAD: one array a frame


def test_accivad_clips_are_in_lexicographic_order(toy: Toy, tmp_path: Path) -> None:
    counts = [1, 2, 0, 1, 1, 3, 0, 0, 2]  # frames of a (2), b (3), c (4)
    entries = ragged(counts)
    rows = read_features(save_objects(tmp_path / "pose.npy", entries), "", toy, "train")
    assert rows.video.tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 2, 2]  # the data set has b, a, c
    assert rows.frame.tolist() == [1, 2, 0, 1, 1, 0, 0, 0, 3, 3]
    b = np.concatenate([*entries[2:5]])
    a = np.concatenate(entries[:2])
    np.testing.assert_array_equal(rows.x[:5], np.concatenate([b, a]).astype(np.float32))
    assert rows.x.dtype == np.float32
    assert rows.box is None
    assert not rows.windows


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", ">f8", "i4"])
def test_accivad_takes_every_real_type(toy: Toy, tmp_path: Path, dtype: str) -> None:
    entries = ragged([1, 2, 1, 0, 1], dtype=dtype)
    rows = read_features(save_objects(tmp_path / "pose.npy", entries[:5]), "accivad", toy, "test")
    np.testing.assert_array_equal(rows.x, np.concatenate(entries).astype(np.float32))


def test_accivad_takes_fortran_order_empty_lists_and_empty_arrays_of_any_shape(
    toy: Toy, tmp_path: Path
) -> None:
    entries = [
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        [],
        np.empty(0),
        np.empty((0, 3)),
        np.ones((1, 3)),
    ]
    rows = read_features(save_objects(tmp_path / "pose.npy", entries), "", toy, "test")
    assert rows.x.tolist() == [[0, 1, 2], [3, 4, 5], [1, 1, 1]]
    assert rows.frame.tolist() == [0, 0, 2]


def test_accivad_takes_equal_counts_that_numpy_saves_as_one_array(toy: Toy, tmp_path: Path) -> None:
    np.save(tmp_path / "deep.npy", np.arange(5 * 2 * 3.0).reshape(5, 2, 3))
    assert read_features(tmp_path / "deep.npy", "", toy, "test").frame.tolist() == [
        0,
        0,
        1,
        1,
        0,
        0,
        1,
        1,
        2,
        2,
    ]


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_accivad_takes_pickles_of_old_and_new_numpy(
    toy: Toy, tmp_path: Path, module: bytes
) -> None:
    entries = np.empty(5, object)
    entries[:] = ragged([1, 1, 0, 2, 1])
    pickled = re.sub(
        rb"cnumpy\.(_core|core)\.multiarray\n", b"c" + module + b"\n", pickle.dumps(entries, 3)
    )
    assert module in pickled
    (tmp_path / "pose.npy").write_bytes(header(5) + pickled)
    assert len(read_features(tmp_path / "pose.npy", "", toy, "test").x) == 5


def header(frames: int) -> bytes:
    """Of an .npy file with an object array."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "|O", "fortran_order": False, "shape": (frames,)}
    )
    return file.getvalue()


class Hostile:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call = call, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("function", "arguments", "asked"),
    [
        (os.system, ["touch {}"], "posix.system"),
        (eval, ["open('{}', 'w')"], "builtins.eval"),
        (np.load, ["{}"], "numpy.load"),
        (np.ndarray.tofile, [np.ones(1), "{}"], "builtins.getattr"),
    ],
)
def test_a_hostile_pickle_runs_nothing_and_is_named(
    toy: Toy, tmp_path: Path, function: Any, arguments: list[Any], asked: str
) -> None:
    trap = tmp_path / "ran"
    filled = [each.format(trap) if isinstance(each, str) else each for each in arguments]
    path = save_objects(tmp_path / "pose.npy", [np.ones((1, 3)), Hostile(function, *filled)])
    told = refusal(path, "accivad", toy)
    assert f"pose.npy: its pickle asks for {asked}" in told
    assert not trap.exists()


def test_a_pickle_cannot_call_numpys_own_types(toy: Toy, tmp_path: Path) -> None:
    for number, call in enumerate([(np.ndarray, (10**12,), "f8"), (np.dtype, "f8")]):
        path = save_objects(tmp_path / f"{number}.npy", [Hostile(*call)] * 5)
        assert "expected" in refusal(path, "accivad", toy, "test") or "not a readable" in refusal(
            path, "accivad", toy, "test"
        )


def test_a_small_file_cannot_become_a_huge_array(toy: Toy, tmp_path: Path) -> None:
    # pickled once, named five times
    path = save_objects(tmp_path / "pose.npy", [np.ones((1000, 30))] * 5)
    assert "many times" in refusal(path, "accivad", toy, "test")


@pytest.mark.parametrize("cut", [0, 5, 40, 130, 200, -1])
def test_a_damaged_object_array_is_one_line(toy: Toy, tmp_path: Path, cut: int) -> None:
    path = save_objects(tmp_path / "pose.npy", ragged([1, 1, 1, 1, 1]))
    path.write_bytes(path.read_bytes()[:cut])
    assert str(path) in refusal(path, "accivad", toy, "test")


@given(st.binary(max_size=60))
def test_no_bytes_escape_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, tail: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "pose.npy"
    path.write_bytes(header(5) + tail)
    refusal(path, "accivad", Toy(path.parent), "test")


def test_accivad_names_the_clip_where_the_frames_end(toy: Toy, tmp_path: Path) -> None:
    short = refusal(save_objects(tmp_path / "s.npy", ragged([1] * 6)), "accivad", toy)
    assert "6 frames, the train clips of toy have 9" in short
    assert "ends in c after 1 of its 4" in short
    assert "goes on after z" in refusal(
        save_objects(tmp_path / "l.npy", ragged([1] * 9)), "accivad", toy, "test"
    )


def test_accivad_names_the_entry_of_another_dimension(toy: Toy, tmp_path: Path) -> None:
    entries = [np.ones((1, 3)), np.ones((1, 3)), np.ones((2, 3)), np.ones((2, 4)), np.ones((1, 3))]
    told = refusal(save_objects(tmp_path / "p.npy", entries), "accivad", toy, "test")
    assert "frame 1 of clip z has shape [2, 4], expected [objects, 3]" in told


def test_accivad_refuses_a_frame_without_any_object_anywhere(toy: Toy, tmp_path: Path) -> None:
    assert "no object" in refusal(
        save_objects(tmp_path / "p.npy", [np.empty((0, 3))] * 4 + [[]]), "accivad", toy, "test"
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_a_number_that_is_not_finite_is_placed(toy: Toy, tmp_path: Path, bad: float) -> None:
    entries = ragged([1, 2, 1, 1, 1])
    entries[3][0, 1] = bad
    told = refusal(save_objects(tmp_path / "p.npy", entries), "accivad", toy, "test")
    assert f"p.npy: row 4 (frame 1 of clip z), column 1 is {bad}" in told
