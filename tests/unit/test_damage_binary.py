"""Damaged binary files through the doors that people use: the right answer, or one line.

A form with checksums (npz, png, what the store wrote) never gives another answer; one without gives
the numbers that it holds now.
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
import torch
from clips_to_import import Toy, save_objects
from one_line import answer, damages
from onnx_files import constant_detector
from safetensors.torch import save as save_safetensors
from scipy.io import savemat
from vadbench_methods.gaussian import Gaussian
from video_writer import write_video

from vadbench.datasets.images import read_image
from vadbench.datasets.masks import read_mask
from vadbench.datasets.video import count_frames, iterate_video
from vadbench.detector import Features
from vadbench.external.score import render, score_frames, score_regions
from vadbench.features import store
from vadbench.features.boxes.file import BoxesFile, FileOptions
from vadbench.features.boxes.onnx import OnnxBoxes
from vadbench.features.boxes.tracks import NPZ, read_tracks
from vadbench.features.footage import Footage
from vadbench.features.importers import Layout, read_features
from vadbench.features.parts import Parts
from vadbench.features.weights import load_state
from vadbench.files.npz import load_arrays
from vadbench.files.tables import read_tracks as read_region_tracks

TIMES = 120  # damages of each kind of file
FRAMES = 40


def table(seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = np.arange(FRAMES) % 20
    x0 = random.integers(0, 300, FRAMES)
    return pd.DataFrame(
        {
            "video": np.repeat(["01", "02"], 20),
            "track": np.repeat(np.arange(8), 5),
            "frame": frame,
            "score": random.normal(size=FRAMES),
            "label": (frame // 5) % 2,
            "x0": x0,
            "y0": x0 // 2,
            "x1": x0 + 30,
            "y1": x0 // 2 + 40,
        }
    )


def write_npz(path: Path, compressed: bool) -> Path:
    write = np.savez_compressed if compressed else np.savez
    columns = {name: values.to_numpy() for name, values in table().items()}
    write(path, **columns | {"video": columns["video"].astype(str)})
    return path


def try_all(
    path: Path, do: Callable[[Path], Any], *, checked: bool, seed: int = 0, times: int = TIMES
) -> None:
    """Damage a file often; `checked` forms give nothing but the right answer or a line."""
    data = path.read_bytes()
    kind, right = answer(lambda: do(path))
    assert kind == "right", right
    kinds = set()
    for damaged in damages(data, seed, times):
        path.write_bytes(damaged)
        kind, found = answer(lambda: do(path))
        kinds.add(kind)
        assert kind == "line" or not checked or repr(found) == repr(right)
    path.write_bytes(data)
    assert "line" in kinds


@pytest.mark.parametrize("compressed", [True, False])
def test_scores_and_boxes_in_npz(tmp_path: Path, compressed: bool) -> None:
    whole = write_npz(tmp_path / "whole.npz", compressed)
    path = write_npz(tmp_path / "some.npz", compressed)

    try_all(path, lambda path: score_frames(path, whole), checked=True)
    try_all(path, lambda path: score_frames(whole, path), checked=True, seed=1)
    try_all(path, lambda path: score_regions(path, whole, FRAMES), checked=True, seed=2)
    try_all(path, lambda path: score_regions(whole, path, whole), checked=True, seed=3)


def test_scores_in_parquet_and_npy(tmp_path: Path) -> None:
    whole = write_npz(tmp_path / "whole.npz", True)
    table().to_parquet(tmp_path / "scores.parquet")
    try_all(tmp_path / "scores.parquet", lambda path: score_frames(path, whole), checked=False)

    for video in ("01", "02"):
        (tmp_path / "folder").mkdir(exist_ok=True)
        values = table().loc[lambda rows, video=video: rows["video"] == video, "score"]
        np.save(tmp_path / "folder" / f"{video}.npy", values.to_numpy())
    try_all(
        tmp_path / "folder" / "01.npy",
        lambda path: score_frames(path.parent, whole),
        checked=False,
    )


def test_exchanged_files_of_one_kind_have_their_own_numbers(tmp_path: Path) -> None:
    """Labels given as scores, boxes as labels, a text as npz: told, never guessed."""
    whole = write_npz(tmp_path / "whole.npz", True)
    np.savez(tmp_path / "labels.npz", video=["01"], frame=[0], label=[1])
    (tmp_path / "text.npz").write_text("video,frame,score\n")
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    for name in ("labels.npz", "text.npz", "array.npz"):
        kind, said = answer(lambda name=name: score_frames(tmp_path / name, whole))
        assert kind == "line"
        assert name in said


@pytest.mark.parametrize(
    "values",
    [np.float64(3), np.array([{}], object), np.array(["a"]), np.zeros((1, 2)), np.zeros(1)],
)
@pytest.mark.parametrize("name", ["rows", "columns", "video", "count"])
def test_arrays_of_another_shape_or_type_in_tracks(tmp_path: Path, name: str, values: Any) -> None:
    arrays = {
        "rows": np.array([[0.0, 1, 2, 3, 4, 5]]),
        "columns": np.array([*NPZ.values()]),
        "video": np.array(["01"]),
        "count": np.array([1]),
    }
    np.savez(tmp_path / "whole.npz", **arrays)
    assert list(read_tracks(tmp_path / "whole.npz")) == ["01"]
    np.savez(tmp_path / "tracks.npz", **arrays | {name: values})
    kind, said = answer(lambda: read_tracks(tmp_path / "tracks.npz"))
    assert kind == "right" or "tracks.npz" in said
    assert kind == "line" or (name, values.dtype.kind) in {("video", "U")}


def test_boxes_and_tracks_for_features(tmp_path: Path) -> None:
    path = tmp_path / "boxes" / "toy" / "bboxes_mine_train.npz"
    path.parent.mkdir(parents=True)
    toy = Toy(tmp_path)
    frames = sum(video.frames for video in toy.videos("train"))
    np.savez(path, xyxy=np.tile([2.0, 3, 20, 30], (frames, 1)), count=np.ones(frames, int))

    class Unseen(Toy):
        size = (100, 100)

    def read(path: Path) -> Any:
        provider = BoxesFile(FileOptions(), Unseen(tmp_path), "mine")
        return provider.objects(Footage(toy, toy.videos("train")[0])).boxes

    try_all(path, read, checked=True)

    rows = table()
    np.savez(
        tmp_path / "tracks.npz",
        rows=rows[["frame", "track", "x0", "y0", "x1", "y1"]].to_numpy(),
        columns=np.array([*NPZ.values()]),
        video=np.array(["01", "02"]),
        count=[20, 20],
    )
    try_all(tmp_path / "tracks.npz", read_tracks, checked=True)
    rows.to_csv(tmp_path / "tracks.csv", index=False)
    try_all(tmp_path / "tracks.csv", read_tracks, checked=False)
    try_all(tmp_path / "tracks.csv", read_region_tracks, checked=False, seed=1)


def imported(path: Path, format: str) -> Any:
    return read_features(path, format, Toy(path), "train", Layout(snippet=1)).x.tolist()


def test_imported_archives_and_object_arrays(tmp_path: Path) -> None:
    clips = {video.name: video.frames for video in Toy(tmp_path).videos("train")}
    random = np.random.default_rng(0)
    arrays = {name: random.normal(size=(frames, 3)) for name, frames in clips.items()}
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    try_all(tmp_path / "a.npz", lambda path: imported(path, "npz"), checked=True)
    for compressed in (False, True):
        savemat(tmp_path / "a.mat", arrays, do_compression=compressed)
        try_all(tmp_path / "a.mat", lambda path: imported(path, "mat"), checked=compressed)
    cell = np.empty(len(arrays), object)
    cell[:] = list(arrays.values())
    savemat(tmp_path / "cell.mat", {"features": cell})
    try_all(tmp_path / "cell.mat", lambda path: imported(path, "mat"), checked=False)
    entries = [random.normal(size=(2, 3)) for _ in range(sum(clips.values()))]
    save_objects(tmp_path / "o.npy", entries)
    try_all(tmp_path / "o.npy", lambda path: imported(path, "accivad"), checked=False, times=600)


def test_imported_folders_and_tables(tmp_path: Path) -> None:
    clips = {video.name: video.frames for video in Toy(tmp_path).videos("train")}
    for name, frames in clips.items():
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(1).normal(size=(frames, 3)))
    try_all(tmp_path / "a.npy", lambda path: imported(path.parent, "npy"), checked=False, times=300)
    names = np.repeat(list(clips), list(clips.values()))
    frame = np.concatenate([np.arange(frames) for frames in clips.values()])
    rows = pd.DataFrame({"video": names, "frame": frame, "f0": np.arange(len(frame)) / 3})
    rows.to_parquet(tmp_path / "a.parquet")
    try_all(tmp_path / "a.parquet", lambda path: imported(path, "parquet"), checked=False)


def stored(tmp_path: Path) -> Path:
    folder = tmp_path / "toy@1" / "velocity@0123" / "train"
    corners = np.tile(np.float32([1, 2, 30, 40]), (6, 1))
    index = store.Index.of_counts(corners, [np.array([2, 0, 1]), np.array([0, 3])])
    described = {"stream": "velocity", "fingerprint": "0123", "split": "train"}
    vectors = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    store.write(folder, described | {"videos": [["b", 3], ["a", 2]]}, index, [vectors], 3)
    return folder


@pytest.mark.parametrize("name", ["manifest.json", "index.parquet", "x.npy"])
def test_the_store(tmp_path: Path, name: str) -> None:
    folder = stored(tmp_path)

    def read(path: Path) -> Any:
        stream = store.open_folder(folder, "mine")
        return stream.features.x.tolist(), stream.features.frame.tolist(), stream.lengths

    try_all(folder / name, read, checked=True, times=200)


def test_stages_that_changed_places_are_refused(tmp_path: Path) -> None:
    folder = stored(tmp_path)
    folder.rename(folder.with_name("test"))
    kind, said = answer(lambda: store.open_folder(folder.with_name("test"), "mine"))
    assert kind == "line"
    assert "of the split train" in said


def test_parts_and_records(tmp_path: Path) -> None:
    Parts(tmp_path).write(0, {"x": np.arange(30.0)})
    path = tmp_path / "00000.npz"
    try_all(path, lambda path: Parts(path.parent).load(0)["x"].tolist(), checked=True)
    np.savez_compressed(path, scores=np.arange(300.0) % 7, names=["a", "b"])
    try_all(path, lambda path: str(load_arrays(path)), checked=True, times=400)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
@pytest.mark.parametrize("read", [read_image, read_mask])
def test_pictures(tmp_path: Path, suffix: str, read: Callable[[Path], Any]) -> None:
    path = tmp_path / f"001.{suffix}"
    cv2.imwrite(str(path), np.kron(np.eye(3, dtype=np.uint8) * 255, np.ones((8, 8), np.uint8)))
    try_all(path, lambda path: read(path).tolist(), checked=suffix == "png")


@pytest.mark.parametrize("suffix", ["avi", "mp4"])
def test_videos(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"01.{suffix}"
    write_video(path, 6, (24, 32))
    try_all(path, lambda path: sum(1 for _ in iterate_video(path)), checked=False)
    try_all(path, count_frames, checked=False, times=60)


def test_weights(tmp_path: Path) -> None:
    state = {"a.weight": torch.arange(12.0).reshape(4, 3), "b": torch.arange(5)}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    (tmp_path / "a.pt").write_bytes(buffer.getvalue())
    (tmp_path / "a.safetensors").write_bytes(save_safetensors(state))

    def read(path: Path) -> Any:
        return {name: tensor.tolist() for name, tensor in load_state(path).items()}

    try_all(tmp_path / "a.pt", read, checked=True, times=200)
    try_all(tmp_path / "a.safetensors", read, checked=False, times=200)


def test_a_detector_file(tmp_path: Path) -> None:
    cells = 64 * 64 // 64 + 64 * 64 // 256 + 64 * 64 // 1024
    raw = np.random.default_rng(0).random((1, 4 + 3, cells)).astype(np.float32)
    path = constant_detector(tmp_path / "yolo.onnx", (64, 64), raw)
    frame = np.zeros((64, 64, 3), np.uint8)
    try_all(path, lambda path: OnnxBoxes(path)(frame).boxes.shape, checked=False)


def test_paths_that_are_no_utf8(tmp_path: Path) -> None:
    """Opened, or refused by name."""
    folder = tmp_path / "\udcff\udcfe"
    folder.mkdir()
    npz = write_npz(folder / "s.npz", True)
    with (folder / "s.parquet").open("wb") as file:
        table().to_parquet(file)
    table().to_csv(folder / "s.csv", index=False)
    write_video(tmp_path / "01.avi", 3, (24, 32))
    (tmp_path / "01.avi").rename(folder / "01.avi")
    picture = cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes()
    (folder / "001.png").write_bytes(picture)

    for name in ("s.npz", "s.parquet", "s.csv"):
        assert answer(lambda name=name: score_frames(folder / name, npz))[0] == "right"
        assert answer(lambda name=name: score_regions(folder / name, npz, FRAMES))[0] == "right"
    assert count_frames(folder / "01.avi") == 3
    assert read_image(folder / "001.png").shape == (8, 8)
    (folder / "a.safetensors").write_bytes(save_safetensors({"a": torch.ones(1)}))
    kind, said = answer(lambda: load_state(folder / "a.safetensors"))
    assert kind == "line"
    assert "rename it" in said


@pytest.mark.parametrize(
    "read",
    [
        read_image,
        count_frames,
        load_arrays,
        load_state,
        read_tracks,
        read_region_tracks,
        lambda path: score_frames(path, path),
    ],
)
def test_a_path_with_a_nul(read: Callable[[Path], Any]) -> None:
    assert answer(lambda: read(Path("a\0b.npz")))[0] == "line"


def test_a_saved_detector(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    features = Features(x, np.zeros(40, int), np.arange(40))
    detector = Gaussian(Gaussian.Config(), seed=0)
    detector.fit(features)
    detector.save(tmp_path)
    for name in ("model.safetensors", "detector.json"):
        try_all(
            tmp_path / name,
            lambda path: Gaussian.load(path.parent).score(features).tolist(),
            checked=name != "detector.json",
        )


def test_files_that_may_be_damaged_are_told(tmp_path: Path) -> None:
    """A video without detections and one whose file was emptied look alike, as do a last line
    written by hand and one that was cut off.
    """
    (tmp_path / "boxes").mkdir()
    (tmp_path / "boxes" / "01.txt").write_text("0,1,1,9,9,0.5\n")
    (tmp_path / "boxes" / "02.txt").write_text("")
    (tmp_path / "tracks.csv").write_text("video,track,frame,x0,y0,x1,y1\n01,1,0,1,1,9,9")
    result = score_regions(tmp_path / "boxes", tmp_path / "tracks.csv", 10)
    empty, cut = result["notes"]
    assert empty.endswith("02.txt is empty, of no row")
    assert cut.endswith("tracks.csv is without the end of the last line, perhaps cut off")
    assert [line for line in render(result).splitlines() if line.startswith("Note: ")]
    (tmp_path / "boxes" / "02.txt").write_text("0,1,1,9,9,0.5\n")
    (tmp_path / "tracks.csv").write_text("video,track,frame,x0,y0,x1,y1\n01,1,0,1,1,9,9\n")
    assert score_regions(tmp_path / "boxes", tmp_path / "tracks.csv", 10)["notes"] == []


def test_an_archive_that_says_it_is_empty(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(3))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[-14:-6] = bytes(8)  # the numbers of members, and the directory's length
    (tmp_path / "a.npz").write_bytes(data)
    assert answer(lambda: load_arrays(tmp_path / "a.npz"))[0] == "line"
    np.savez(tmp_path / "empty.npz")
    assert load_arrays(tmp_path / "empty.npz") == {}


def test_weights_that_are_marked_as_a_folder(tmp_path: Path) -> None:
    """torch would leave them out and give what is in memory."""
    path = tmp_path / "a.pt"
    torch.save({"a": torch.arange(5)}, path)
    data = bytearray(path.read_bytes())
    name = data.rindex(b"/data/0")
    at = data.rindex(b"PK\x01\x02", 0, name) + 38
    data[at] |= 0x10
    path.write_bytes(data)
    assert answer(lambda: load_state(path))[0] == "line"
