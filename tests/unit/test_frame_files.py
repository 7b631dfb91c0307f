"""The same scores and labels in every form that other code writes give the same metrics; what does
not fit is told with the cause.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import scipy.io

from vadbench.datasets.facts import FOLDER, facts_names, read_facts
from vadbench.datasets.open import open_dataset
from vadbench.datasets.ucf_crime import UCFCrime
from vadbench.errors import BadInput
from vadbench.external.frame_files import read_frame_file
from vadbench.external.label_files import read_labels
from vadbench.external.lengths import Known
from vadbench.external.score import score_frames
from vadbench.external.truth import find_truth

LENGTHS = {"Test001": 30, "Test002": 40, "Test003": 25}
KNOWN = Known(LENGTHS, "the test split of street")
EVENTS = {"Test001": (10, 19), "Test002": (0, 7), "Test003": (20, 24)}


def make(column, seed=0):
    """Video -> values a frame."""
    random = np.random.default_rng(seed)
    labels = {}
    for video, frames in LENGTHS.items():
        labels[video] = np.zeros(frames, int)
        low, high = EVENTS[video]
        labels[video][low : high + 1] = 1
    if column == "label":
        return labels
    return {video: own + random.normal(size=len(own)) for video, own in labels.items()}


def as_table(values, column, first=0):
    rows = [(v, f + first, x) for v, own in values.items() for f, x in enumerate(own)]
    return pd.DataFrame(rows, columns=["video", "frame", column])


def write(values, column, kind, folder):
    """The values as one of the forms."""
    path, flat = folder / f"{column}-{kind}", np.concatenate(list(values.values()))
    table = as_table(values, column)
    if kind == "table.csv":
        table.to_csv(path, index=False)
    elif kind == "table.parquet":
        table.to_parquet(path)
    elif kind == "table.npz":
        np.savez(path, **{name: np.array(table[name].tolist()) for name in table})
    elif kind == "videos.npz":
        np.savez(path, **values)
    elif kind == "videos.mat":
        scipy.io.savemat(path, values)
    elif kind == "cells.mat":
        cells = np.empty((1, len(values)), object)
        cells[0] = list(values.values())
        scipy.io.savemat(path, {"gt": cells})
    elif kind == "all.npz":
        np.savez(path, flat)
    elif kind == "all.npy":
        np.save(path, flat)
    elif kind == "all.mat":
        scipy.io.savemat(path, {"scores": flat})
    elif kind == "all.txt":
        np.savetxt(path, flat, fmt="%.17g")
    else:
        path.mkdir()
        for video, own in values.items():
            if kind == "folder of txt":
                np.savetxt(path / f"{video}.txt", own, fmt="%.17g")
            else:
                np.save(path / f"{video}.npy", own)
    return path


KINDS = [
    *("table.csv", "table.parquet", "table.npz", "videos.npz", "videos.mat", "cells.mat"),
    *("all.npz", "all.npy", "all.mat", "all.txt", "folder of txt", "folder of npy"),
]


def refusal(call, *arguments, **options):
    with pytest.raises(BadInput) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("column", ["score", "label"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_form_holds_the_same_values(tmp_path, kind, column):
    values = make(column)
    path = write(values, column, kind, tmp_path)
    read = read_labels(path, KNOWN) if column == "label" else read_frame_file(path, column, KNOWN)
    assert read.lengths == LENGTHS
    assert read.values.tolist() == np.concatenate(list(values.values())).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_scores_in_every_form_give_identical_metrics(tmp_path, kind):
    labels = write(make("label"), "label", "table.csv", tmp_path)
    usual = score_frames(write(make("score"), "score", "table.parquet", tmp_path), labels)
    path = tmp_path / "other"
    path.mkdir()
    assert score_frames(write(make("score"), "score", kind, path), labels) == usual


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_labels_in_every_form_give_identical_metrics(tmp_path, kind):
    scores = write(make("score"), "score", "videos.npz", tmp_path)
    usual = score_frames(scores, write(make("label"), "label", "table.parquet", tmp_path))
    path = tmp_path / "other"
    path.mkdir()
    assert score_frames(scores, write(make("label"), "label", kind, path)) == usual


def write_text(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("lines", "first"),
    [
        ("".join(f"{v} {a} {b}\n" for v, (a, b) in EVENTS.items()), 0),
        ("".join(f"{v}.mp4,{a + 1},{b + 1}\n" for v, (a, b) in EVENTS.items()), 1),
        ("".join(f"{v}.mp4  Abuse  {a + 1} {b + 1}  -1  -1\n" for v, (a, b) in EVENTS.items()), 0),
        ("Test001 10 12 13 19\nTest002 0 7\nTest003 20 25\n\n", 0),  # cut at the video's end
    ],
)
def test_intervals_are_labels(tmp_path, lines, first):
    found = read_labels(write_text(tmp_path / "intervals.txt", lines), KNOWN, first)
    assert found.values.tolist() == np.concatenate(list(make("label").values())).tolist()


def test_a_video_without_an_interval_is_normal(tmp_path):
    found = read_labels(write_text(tmp_path / "i.txt", "Test001 Normal -1 -1 -1 -1\n"), KNOWN)
    assert not found.values.any()


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("Test001 5 3\n", "line 1: interval 5 3"),
        ("Test001 5\n", "line 1 is 'Test001 5'; expected `video start end`"),
        ("Test001 5 x\n", "expected `video start end`"),
        ("Test001 5 40\n", "video Test001 has 30 frames"),
        ("Train001 5 9\n", "video Train001 is none of the test split of street"),
    ],
)
def test_intervals_that_are_none_are_told(tmp_path, lines, told):
    assert told in refusal(read_labels, write_text(tmp_path / "i.txt", lines), KNOWN)


def test_the_m_file_of_ucsd_is_labels(tmp_path):
    lines = [f"TestVideoFile{{end+1}}.gt_frame = [{a + 1}:{b + 1}];" for a, b in EVENTS.values()]
    path = write_text(tmp_path / "UCSDstreet.m", "TestVideoFile = {};\n" + "\n".join(lines))
    found = read_labels(path, KNOWN)
    assert found.values.tolist() == np.concatenate(list(make("label").values())).tolist()
    write_text(path, "\n".join(lines[:2]))
    assert "intervals of 2 clips" in refusal(read_labels, path, KNOWN)


@pytest.mark.parametrize("kind", ["pictures", "arrays", "cells"])
def test_masks_are_labels(tmp_path, kind):
    for video, labels in make("label").items():
        masks = np.zeros((len(labels), 4, 6), np.uint8)
        masks[labels == 1, 2, 3] = 255
        if kind == "arrays":
            np.save(tmp_path / f"{video}.npy", masks)
            continue
        if kind == "cells":
            cells = np.empty((1, len(masks)), object)
            cells[0] = list(masks)
            scipy.io.savemat(tmp_path / f"{video}_label.mat", {"volLabel": cells})
            continue
        (tmp_path / f"{video}_gt").mkdir()
        for frame, mask in enumerate(masks):
            cv2.imwrite(str(tmp_path / f"{video}_gt" / f"{frame:03d}.png"), mask)
    found = read_labels(tmp_path, KNOWN)
    assert found.lengths == LENGTHS
    assert found.values.tolist() == np.concatenate(list(make("label").values())).tolist()


def test_frames_may_count_from_one(tmp_path):
    scores, labels = tmp_path / "s.csv", tmp_path / "l.csv"
    as_table(make("score"), "score", 1).to_csv(scores, index=False)
    as_table(make("label"), "label", 1).to_csv(labels, index=False)
    one = score_frames(scores, labels, first_frame=1)
    assert "--first-frame 1" in refusal(score_frames, scores, labels)
    as_table(make("label"), "label").to_csv(labels, index=False)
    assert score_frames(scores, labels, first_frame=1, first_label=0) == one


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda own: own[:-1], "one fewer in every video, off by one"),
        (lambda own: own[8:-7], "windows are dropped at the ends"),
        (lambda own: own[::8], "a score for 8 frames each: repeat every score 8 times"),
        (lambda own: np.append(own, 0), "one more in every video"),
        (lambda own: own[: len(own) - len(own) // 8], "another label file, split or frame rate"),
    ],
)
@pytest.mark.parametrize("kind", ["videos.npz", "all.npy"])
def test_another_length_is_told_with_its_cause(tmp_path, change, cause, kind):
    values = {video: change(own) for video, own in make("score").items()}
    labels = write(make("label"), "label", "table.csv", tmp_path)
    told = refusal(score_frames, write(values, "score", kind, tmp_path), labels)
    assert cause in told
    if kind == "videos.npz":
        assert f"video Test001 has {len(values['Test001'])} frames" in told
        assert "has 30" in told


def test_the_frames_of_another_data_set_are_known(tmp_path):
    values = {f"Test{n:03d}": np.zeros(180) for n in range(1, 13)}
    zeros = {
        name: np.zeros(n)
        for name, n in zip(values, read_facts("ped2").lengths.values(), strict=True)
    }
    labels = write(values, "label", "videos.npz", tmp_path)
    told = refusal(score_frames, write(zeros, "score", "videos.npz", tmp_path), labels)
    assert "these are the frames of ped2" in told


@pytest.mark.parametrize("width", [1, 2, 4])
def test_videos_that_are_named_by_their_numbers_are_those(tmp_path, width):
    labels = write(make("label"), "label", "table.csv", tmp_path)
    usual = score_frames(write(make("score"), "score", "table.npz", tmp_path), labels)
    numbered = {f"{n:0{width}d}": own for n, own in enumerate(make("score").values(), 1)}
    assert score_frames(write(numbered, "score", "folder of npy", tmp_path), labels) == usual
    spans = "".join(f"{n:0{width}d} {a} {b}\n" for n, (a, b) in enumerate(EVENTS.values(), 1))
    found = read_labels(write_text(tmp_path / "intervals.txt", spans), KNOWN)
    assert found.values.tolist() == np.concatenate(list(make("label").values())).tolist()


@pytest.mark.parametrize(
    "names", [["1", "2", "4"], ["1", "01", "3"], ["Train001", "Train002", "Train003"], ["1", "2"]]
)
def test_other_numbers_and_other_names_are_refused(tmp_path, names):
    labels = write(make("label"), "label", "table.csv", tmp_path)
    scores = dict(zip(names, make("score").values(), strict=False))
    told = refusal(score_frames, write(scores, "score", "videos.npz", tmp_path), labels)
    assert "expected the same names in both" in told


def test_without_labels_a_data_set_has_to_be_named(tmp_path):
    scores = write(make("score"), "score", "videos.npz", tmp_path)
    assert "give --labels, or --dataset" in refusal(score_frames, scores)


def test_an_array_of_all_frames_needs_to_know_whose_they_are(tmp_path):
    both = [write(make(column), column, "all.npy", tmp_path) for column in ("score", "label")]
    told = refusal(score_frames, *both)
    assert "names no video" in told
    assert "ped2" in told


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("s.txt", b"1\nx\n", "line 2 is 'x'"),
        ("s.npy", b"no array", "cannot be read"),
        ("s.npz", b"PK", "cannot be read as npz"),
        ("s.mat", b"MATLAB 5.0", "cannot be read as mat"),
        ("s.mat", b"\x89HDF" + bytes(200), "save it again with `save -v7`"),
        ("s.xlsx", b"", "an unknown kind of file; expected .csv"),
    ],
)
def test_what_is_no_file_of_scores_is_told_in_one_line(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    assert told in refusal(read_frame_file, tmp_path / name, "score", KNOWN)


def test_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "s.npy", np.array([[1], [2, 3]], object), allow_pickle=True)
    assert "objects" in refusal(read_frame_file, tmp_path / "s.npy", "score", KNOWN)


def test_a_score_that_is_no_number_is_told(tmp_path):
    values = make("score")
    values["Test002"][3] = np.nan
    path = write(values, "score", "all.npy", tmp_path)
    assert "row 33 has score nan" in refusal(read_frame_file, path, "score", KNOWN)


def test_a_label_is_zero_or_one(tmp_path):
    path = write({v: 2 * x for v, x in make("label").items()}, "label", "all.npy", tmp_path)
    assert "expected 0 (normal) or 1" in refusal(read_labels, path, KNOWN)


def test_the_facts_are_those_of_the_data_sets_that_are_here(street_cache):
    for name in ("synthetic", "ped2"):
        try:
            dataset = open_dataset(name)
            labels, videos = dataset.labels(), dataset.videos("test")
        except BadInput:
            continue  # not on this machine
        facts = read_facts(name)
        assert facts.videos == videos
        assert facts.find_difference(labels) is None
        assert labels.provenance().items() <= facts.truth.items()


UCF_CRIME = Path(__file__).resolve().parents[3] / "shared" / "data" / "ucf_crime"


@pytest.fixture
def ucf_crime(tmp_path):
    if not UCF_CRIME.is_dir():
        pytest.skip(f"{UCF_CRIME} is not on this machine")
    (tmp_path / "UCF_Crimes").symlink_to(UCF_CRIME)
    return UCFCrime(tmp_path)


def test_the_facts_of_ucf_crime_are_those_of_its_annotations(ucf_crime):
    facts = read_facts("ucf_crime")
    assert facts.videos == ucf_crime.videos("test")
    assert ucf_crime.labels().provenance().items() <= facts.truth.items()


def test_the_annotations_of_ucf_crime_are_known_without_its_videos(
    ucf_crime, tmp_path, monkeypatch
):
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "nothing"))
    path = UCF_CRIME / "Temporal_Anomaly_Annotation.txt"
    truth = find_truth("ucf_crime", path)
    assert truth.document["sha256"] == read_facts("ucf_crime").truth["sha256"]
    lines = path.read_text().splitlines()
    (tmp_path / "other.txt").write_text("\n".join(lines[1:]))
    told = refusal(find_truth, "ucf_crime", tmp_path / "other.txt")
    assert "84262 anomalous frames, `official` has 84338" in told


def test_labels_that_are_not_ucf_crimes_are_told_from_its_facts(tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path))
    np.save(tmp_path / "labels.npy", np.zeros(1111808, int))
    told = refusal(find_truth, "ucf_crime", tmp_path / "labels.npy")
    assert "not the labels of ucf_crime that are known here: 0 anomalous frames" in told


def test_facts_hold_no_labels():
    assert facts_names() == ["avenue", "ped2", "shanghaitech", "synthetic", "ucf_crime"]
    for name in facts_names():
        facts = read_facts(name)
        assert set(json.loads((FOLDER / f"{name}.json").read_text())) <= {
            "truth",
            "others",
            "videos",
        }
        assert facts.truth["frames"] == sum(facts.lengths.values())
        assert facts.truth["videos"] == len(facts.videos)
