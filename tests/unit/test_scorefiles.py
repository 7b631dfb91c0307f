"""Anyone's files read alike in every format, and every mistake in them told in one line."""

import numpy as np
import pandas as pd
import pytest

from vadbench.errors import BadInput
from vadbench.files.tables import (
    read_columns,
    read_detections,
    read_frames,
    read_lengths,
    read_tracks,
)

FRAMES = pd.DataFrame(
    {
        "video": ["01", "01", "02", "02", "02"],
        "frame": [0, 1, 0, 1, 2],
        "score": [0.1, 1 / 3, -np.inf, 1e-300, 5.0],
    }
)
BOX = {"x0": [1.5, 2, 3], "y0": [4.0, 5, 6], "x1": [7.0, 8, 9], "y1": [10.0, 11, 12]}
DETECTIONS = pd.DataFrame(
    {"video": ["01", "01", "10"], "frame": [0, 1, 3], **BOX, "score": [0.1, 1 / 3, np.inf]}
)
TRACKS = DETECTIONS.drop(columns="score").assign(track=[0, 0, 1])


def write(table, path):
    """The table as the kind of file that the path names."""
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.suffix == ".npz":
        np.savez(path, **{name: np.array(table[name].tolist()) for name in table})
    else:
        path.mkdir()
        columns = [
            name for name in ("track", "frame", "x0", "y0", "x1", "y1", "score") if name in table
        ]
        for video, rows in table.groupby("video"):
            np.savetxt(path / f"{video}.txt", rows[columns], delimiter=",", fmt="%.17g")
    return path


def text(path, content):
    path.write_text(content)
    return path


def refusal(read, *arguments):
    """The one line that reading is refused with."""
    with pytest.raises(BadInput) as caught:
        read(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["s.csv", "s.parquet", "s.npz", "S.CSV"])
def test_frames_read_to_the_last_digit_whatever_the_order_of_rows(tmp_path, kind):
    shuffled = FRAMES.sample(frac=1, random_state=3)[["score", "frame", "video"]].assign(more="x")
    path = tmp_path / kind
    shuffled.to_csv(path, index=False) if kind == "S.CSV" else write(shuffled, path)
    found = read_frames(path, "score")
    assert found.lengths == {"01": 2, "02": 3}
    assert found.values.tolist() == FRAMES["score"].tolist()


@pytest.mark.parametrize("kind", ["d.csv", "d.parquet", "d.npz", "folder"])
def test_boxes_read_alike_in_every_format(tmp_path, kind):
    detections = read_detections(write(DETECTIONS, tmp_path / kind))
    tracks = read_tracks(write(TRACKS, tmp_path / f"tracks-{kind}"))
    for name in DETECTIONS:
        assert detections[name].tolist() == DETECTIONS[name].tolist()
    for name in ("video", "frame", "x0", "y0", "x1", "y1"):
        assert tracks[name].tolist() == TRACKS[name].tolist()
    assert tracks["track"].astype(float).tolist() == [0, 0, 1]


def test_txt_of_one_row_and_of_none(tmp_path):
    text(tmp_path / "a.txt", "0, 10,10,29,29, 0.5")
    text(tmp_path / "b.txt", "\n")
    text(tmp_path / ".hidden.txt", "no numbers")
    found = read_detections(tmp_path)
    assert found["video"].tolist() == ["a"]
    assert found["x1"].tolist() == [29]


def test_no_detection_at_all(tmp_path):
    assert (
        len(read_detections(text(tmp_path / "d.csv", "video,frame,x0,y0,x1,y1,score\n"))["score"])
        == 0
    )
    assert len(read_detections(write(DETECTIONS[:0], tmp_path / "d.parquet"))["score"]) == 0


def test_names_are_text(tmp_path):
    table = FRAMES.assign(video=[1, 1, 2, 2, 2])
    for kind in ("s.csv", "s.parquet", "s.npz"):
        assert list(read_frames(write(table, tmp_path / kind), "score").lengths) == ["1", "2"]
    assert list(
        read_frames(text(tmp_path / "na.csv", "video,frame,score\nNA,0,1\n"), "score").lengths
    ) == ["NA"]


def test_names_as_categories_and_as_bytes(tmp_path):
    assert list(
        read_frames(
            write(FRAMES.astype({"video": "category"}), tmp_path / "s.parquet"), "score"
        ).lengths
    ) == ["01", "02"]
    np.savez(tmp_path / "s.npz", video=np.array([b"a"]), frame=[0], score=[1.0])
    assert list(read_frames(tmp_path / "s.npz", "score").lengths) == ["a"]


def test_header_with_spaces_and_a_byte_order_mark(tmp_path):
    path = tmp_path / "s.csv"
    path.write_bytes("\ufeffvideo, frame, score\r\na, 0, 1.5\r\n".encode())
    assert read_frames(path, "score").values.tolist() == [1.5]


def test_lengths_from_a_list_of_videos_and_counted_in_labels(tmp_path):
    lengths = {"01": 2, "02": 3}
    assert read_lengths(text(tmp_path / "n.csv", "video,frames\n02,3\n01,2\n")) == lengths
    assert (
        read_lengths(write(FRAMES.assign(label=[0, 1, 0, 0, 1]), tmp_path / "l.parquet")) == lengths
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("video,frame,score\na,0,nan\n", "row 0 has score nan; expected a number"),
        ("video,frame,score\na,0,\n", "row 0 has score nan"),
        ("video,frame,score\na,0,high\n", "high"),
        ("video,frame,score\na,0,1,2\n", "Expected 3 columns, got 4"),
        ("video,frame\na,0\n", "no column score; expected video, frame, score, found video, frame"),
        ("video,frame,score,score\na,0,1,1\n", "more than one column score"),
        ("video,frame,score\na,0.5,1\n", "row 0 has frame 0.5; expected a whole number from 0"),
        ("video,frame,score\na,-1,1\n", "row 0 has frame -1"),
        ("video,frame,score\na,0,1\na,0,1\n", "frame 0 of video a has two rows"),
        (
            "video,frame,score\nb,0,1\na,1,1\n",
            "frame 0 of video a is missing; expected every frame once, numbered from 0",
        ),
        ("video,frame,score\na,0,1\na,2,1\n", "frame 1 of video a is missing"),
        ("video,frame,score\n,0,1\n", "row 0 has video ''; expected a name"),
        ("video,frame,score\n", "no row"),
        ("", "no column video"),
    ],
)
def test_mistakes_in_frames(tmp_path, content, message):
    path = text(tmp_path / "s.csv", content)
    found = refusal(read_frames, path, "score")
    assert found.startswith(f"{path}: ")
    assert message in found


def test_labels_are_0_or_1(tmp_path):
    assert "row 1 has label 2; expected 0 (normal) or 1 (anomalous)" in refusal(
        read_frames, text(tmp_path / "l.csv", "video,frame,label\na,0,1\na,1,2\n"), "label"
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("0,1,1,5,5", "5 numbers a row; expected frame,x0,y0,x1,y1,score"),
        ("0,1,1,5,5,0.5\n1,1,1,5,5", "5 numbers a row; expected frame,x0,y0,x1,y1,score (row 1)"),
        ("frame,x0,y0,x1,y1,score", "not a table of numbers"),
        ("0,1,1,5,5,.1\n1,9,1,5,5,.5", "row 1 has x1 5.0; expected x1 >= x0"),
        ("0,1,1,5,5,nan", "row 0 has score nan"),
        ("0.5,1,1,5,5,1", "row 0 has frame 0.5"),
    ],
)
def test_mistakes_in_txt_name_the_file(tmp_path, rows, message):
    path = text(tmp_path / "01_0014.txt", rows)
    found = refusal(read_detections, tmp_path)
    assert found.startswith(f"{path}: ")
    assert message in found


def test_files_that_are_none(tmp_path):
    assert "no such file" in refusal(read_frames, tmp_path / "s.csv", "score")
    assert "an unknown kind of file" in refusal(read_frames, text(tmp_path / "s.pkl", ""), "score")
    assert "no txt and no npy file" in refusal(read_frames, tmp_path, "score")
    assert "a folder" in refusal(read_columns, tmp_path, ("video", "frames"))
    assert "no txt file" in refusal(read_detections, tmp_path)
    for kind in ("s.parquet", "s.npz"):
        assert "cannot be read" in refusal(
            read_frames, text(tmp_path / kind, "video,frame,score\na,0,1\n"), "score"
        )
    (tmp_path / "latin.csv").write_bytes("video,frame,score\ncafé,0,1\n".encode("latin-1"))
    assert "cannot be read as csv" in refusal(read_frames, tmp_path / "latin.csv", "score")


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "s.npz", video=np.array(["a"], object), frame=[0], score=[1.0])
    told = refusal(read_frames, tmp_path / "s.npz", "score")
    assert "holds objects" in told
    assert "allow_pickle" not in told


def test_an_archive_that_is_none_is_told_in_our_words(tmp_path):
    (tmp_path / "s.npz").write_bytes(b"garbage")
    assert "cannot be read as npz (not an npz file, or cut off)" in refusal(
        read_frames, tmp_path / "s.npz", "score"
    )


def test_columns_of_different_length(tmp_path):
    np.savez(tmp_path / "s.npz", video=["a"], frame=[0, 1], score=[1.0])
    assert "different length" in refusal(
        read_columns, tmp_path / "s.npz", ("video", "frame", "score")
    )


def test_mistakes_in_lengths(tmp_path):
    assert "video a has two rows" in refusal(
        read_lengths, text(tmp_path / "n.csv", "video,frames\na,3\na,4\n")
    )
    assert "row 0 has frames 0; expected a whole number from 1" in refusal(
        read_lengths, text(tmp_path / "n.csv", "video,frames\na,0\n")
    )
    assert "no column label" in refusal(
        read_lengths, text(tmp_path / "n.csv", "video,frame\na,0\n")
    )


@pytest.mark.parametrize("track", ["a17", "person-3", "Läufer 2", "1_0"])
@pytest.mark.parametrize("kind", ["t.csv", "t.parquet", "t.npz", "folder"])
def test_tracks_are_named_by_text_in_every_format(tmp_path, kind, track):
    tracks = TRACKS.assign(track=[track, "b", "10"])
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
        for video, rows in tracks.groupby("video"):
            rows.drop(columns="video")[["track", "frame", "x0", "y0", "x1", "y1"]].to_csv(
                path / f"{video}.txt", header=False, index=False
            )
    else:
        write(tracks, path)
    assert read_tracks(path)["track"].tolist() == [track, "b", "10"]


def test_one_track_written_in_two_ways_is_one(tmp_path):
    text(tmp_path / "01.txt", "1,0,1,1,5,5\n1.0,1,1,1,5,5\n1e0,2,1,1,5,5")
    assert len(set(read_tracks(tmp_path)["track"])) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("01.txt", "0.5\nhigh\n", "01.txt: cannot be read .*expected a score a frame, one a line"),
        ("01.txt", "0,0.5\n1,0.7\n", "01.txt: cannot be read"),
        ("01.txt", "", "01.txt: .*of shape"),
        ("01.txt", "0.5\nnan\n", "01.txt: row 1 has score nan"),
        ("01.npy", np.ones((3, 2)), "01.npy: float64 of shape .*3, 2.*expected a score a frame"),
        ("01.npy", np.array(["a"]), "01.npy: "),
        ("01.npy", b"garbage", "01.npy: cannot be read"),
    ],
)
def test_mistakes_in_a_folder_of_scores(tmp_path, name, content, message):
    if isinstance(content, np.ndarray):
        np.save(tmp_path / name, content)
    else:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadInput, match=message):
        read_frames(tmp_path, "score")


def test_a_folder_of_two_kinds_is_refused(tmp_path):
    text(tmp_path / "01.txt", "1\n")
    np.save(tmp_path / "02.npy", np.ones(2))
    assert "both txt and npy files" in refusal(read_frames, tmp_path, "score")


def test_a_column_of_frames_is_a_folders_array(tmp_path):
    np.save(tmp_path / "01.npy", np.ones((3, 1), np.float32))
    np.save(tmp_path / "02.npy", np.array([True, False]))
    assert read_frames(tmp_path, "label").lengths == {"01": 3, "02": 2}
