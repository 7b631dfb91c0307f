"""Person tracks: the files, and the motion of each tracked box."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shown import footage

from vadbench.datasets.base import SPLITS, Check, Dataset, Labels, Split, Video
from vadbench.errors import BadInput
from vadbench.features.boxes.provider import Objects
from vadbench.features.boxes.tracks import NPZ, read_tracks
from vadbench.features.extract import ensure
from vadbench.features.extractors.tracks import Tracks, TracksOptions, oldest_within
from vadbench.features.stream import open_stream, plan_stream

# 2 pixels a frame, 40 high
WALK = [(frame, 1, 10 + 2 * frame, 20, 20 + 2 * frame, 60) for frame in range(8)]
RUN = [(frame, 2, 100 - 10 * frame, 20, 110 - 10 * frame, 40) for frame in (2, 3, 4)]


class Tracked(Dataset):
    """Two training videos and a test video of 8 frames, without any frame on disk."""

    name = "tracked"
    revision = "1"
    streams = ("tracks",)
    boxes = "tracks.mine"

    def videos(self, split: Split) -> tuple[Video, ...]:
        return tuple(Video(name, split, 8) for name in (("a", "b") if split == "train" else ("c",)))

    def read(self, video: Video) -> None:
        raise BadInput("no frames on this machine")

    def labels(self) -> Labels:
        return Labels("none", "here", {"c": np.zeros(8, np.uint8)})

    def check(self) -> list[Check]:
        return []


def put(root: Path, split: Split, **clips: list[tuple[int, ...]]) -> Path:
    folder = root / "tracks" / "tracked"
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.array([row for clip in clips.values() for row in clip], np.int16).reshape(-1, 6)
    labels = np.ones((len(rows), 1), np.int16)
    columns = np.array([*NPZ.values(), "anomaly"])
    np.savez(
        folder / f"mine_{split}.npz",
        rows=np.hstack([rows, labels]),
        columns=columns,
        video=np.array(list(clips)),
        count=[len(c) for c in clips.values()],
    )
    return folder / f"mine_{split}.npz"


def both(root: Path) -> Tracked:
    put(root, "train", a=WALK, b=RUN)
    put(root, "test", c=[*WALK, *RUN])
    return Tracked(root)


def motion(rows: list[tuple[int, ...]], lag: int = 5) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(sorted(rows), np.int64)
    return Tracks("motion", TracksOptions(lag=lag)).describe(
        table[:, 2:].astype(np.float32), table[:, 0], table[:, 1]
    )


def test_velocity_is_in_box_heights_a_frame_whatever_the_age_of_the_track() -> None:
    x, of = motion(WALK)

    assert of.tolist() == list(range(1, 8))
    np.testing.assert_allclose(
        x, np.tile([2 / 40, 2 / 40, 0, np.log(40), 10 / 40], (7, 1)), rtol=1e-6
    )


@given(st.integers(-3, 3), st.integers(-3, 3), st.integers(1, 9), st.integers(1, 4))
def test_velocity_scales_with_the_motion_and_not_with_the_size(
    right: int, down: int, lag: int, scale: int
) -> None:
    rows = [
        (
            t,
            7,
            scale * (50 + right * t),
            scale * (60 + down * t),
            scale * (56 + right * t),
            scale * (72 + down * t),
        )
        for t in range(6)
    ]
    x, _ = motion(rows, lag)

    np.testing.assert_allclose(
        x[:, :3],
        np.tile(np.array([np.hypot(right, down), abs(right), abs(down)]) / 12, (5, 1)),
        atol=1e-6,
    )


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4)), unique=True, max_size=60),
    st.integers(1, 7),
)
def test_oldest_within_is_the_earliest_row_of_the_same_track_in_the_lag(
    rows: list[tuple[int, int]], lag: int
) -> None:
    table = np.array(sorted(rows), np.int64).reshape(-1, 2)
    frame, track = table.T

    found = oldest_within(frame, track, lag)

    for row in range(len(table)):
        candidates = [
            k
            for k in range(len(table))
            if track[k] == track[row] and 1 <= frame[row] - frame[k] <= lag
        ]
        assert found[row] == (min(candidates, key=lambda k: frame[k]) if candidates else -1)


def test_position_is_an_option() -> None:
    described = Tracks("motion", TracksOptions(position=True))
    x, _ = described.describe(
        np.array([[0, 0, 4, 8], [2, 0, 6, 8]], np.float32), np.array([0, 1]), np.array([3, 3])
    )

    assert described.columns()[-2:] == ("x", "y")
    np.testing.assert_allclose(x[0, -2:], [4 / 8, 1])


def test_tracks_become_a_stream_without_frames(tmp_path: Path) -> None:
    data = both(tmp_path)
    plan = plan_stream(data, "tracks", {})
    ensure(data, plan, tmp_path / "cache", quiet=True)

    train, test = (open_stream("tracked@1", plan, tmp_path / "cache", split) for split in SPLITS)
    assert plan.name == "tracks"
    assert train.features.video.tolist() == [0] * 7 + [1, 1]
    assert test.features.frame.tolist() == [1, 2, 3, 3, 4, 4, 5, 6, 7]
    # the first box of each track has no row
    assert test.object_id.tolist() == [1, 2, 4, 5, 6, 7, 8, 9, 10]
    assert test.features.box is not None
    assert test.features.box[0].tolist() == [12, 20, 22, 60]


def test_several_processes_give_the_same_files(tmp_path: Path) -> None:
    data = both(tmp_path)
    plan = plan_stream(data, "tracks", {})
    for processes in (1, 2):
        ensure(data, plan, tmp_path / f"cache{processes}", quiet=True, processes=processes)

    for split in SPLITS:
        one, two = (
            (plan.folder(tmp_path / f"cache{n}", split) / "x.npy").read_bytes() for n in (1, 2)
        )
        assert one == two


def test_csv_and_npz_say_the_same(tmp_path: Path) -> None:
    npz = put(tmp_path, "train", a=WALK, b=RUN)
    lines = [
        ",".join(map(str, (name, *row))) for name, rows in (("a", WALK), ("b", RUN)) for row in rows
    ]
    csv = tmp_path / "mine_train.csv"
    csv.write_text("video,frame,track,x0,y0,x1,y1\n" + "\n".join(lines))

    one, two = read_tracks(npz), read_tracks(csv)
    assert list(one) == list(two) == ["a", "b"]
    for name in one:
        for column in NPZ:
            assert np.array_equal(one[name][column], two[name][column])


def test_boxes_without_tracks_are_refused() -> None:
    with pytest.raises(
        BadInput, match="these boxes belong to no tracks; name a provider that tracks"
    ):
        Tracks("motion", TracksOptions()).extract(
            footage(np.zeros((2, 4, 4), np.uint8)),
            Objects([np.zeros((0, 4), np.float32)] * 2),
            lambda n: None,
        )


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([(9, 1, 0, 0, 4, 4)], "a box in frame 9 of video a, which has frames 0 to 7"),
        ([(-1, 1, 0, 0, 4, 4)], "a box in frame -1 of video a"),
        ([(1, 1, 4, 0, 4, 4)], r"video a, frame 1, track 1: box \[4.0, 0.0, 4.0, 4.0\]"),
        ([(1, 1, 0, 0, 4, 4), (1, 1, 1, 0, 4, 4)], "a track has two boxes in one frame"),
    ],
)
def test_rows_that_cannot_be_are_named(
    tmp_path: Path, rows: list[tuple[int, ...]], told: str
) -> None:
    both(tmp_path)
    put(tmp_path, "train", a=rows)
    data = Tracked(tmp_path)

    with pytest.raises(BadInput, match=told) as error:
        ensure(data, plan_stream(data, "tracks", {}), tmp_path / "cache", quiet=True)
    assert "\n" not in str(error.value)


def test_a_video_of_other_data_is_named(tmp_path: Path) -> None:
    both(tmp_path)
    put(tmp_path, "train", a=WALK, z=RUN)

    with pytest.raises(
        BadInput,
        match=r"train videos differ .found and not expected: 'z'; expected and not found: 'b'.",
    ):
        ensure(
            Tracked(tmp_path),
            plan_stream(Tracked(tmp_path), "tracks", {}),
            tmp_path / "cache",
            quiet=True,
        )


@pytest.mark.parametrize("damage", ["absent", "cut", "text", "no column"])
def test_a_damaged_track_file_gives_one_line(tmp_path: Path, damage: str) -> None:
    both(tmp_path)
    path = tmp_path / "tracks" / "tracked" / "mine_train.npz"
    if damage == "absent":
        path.unlink()
    elif damage == "no column":
        np.savez(path, rows=np.zeros((1, 1)), columns=["Frame_Number"], video=["a"], count=[1])
    else:
        path.write_bytes(path.read_bytes()[:-100] if damage == "cut" else b"frame,id")

    with pytest.raises(BadInput, match="mine_train") as error:
        ensure(
            Tracked(tmp_path),
            plan_stream(Tracked(tmp_path), "tracks", {}),
            tmp_path / "cache",
            quiet=True,
        )
    assert "\n" not in str(error.value)


def test_videos_named_in_another_way_are_matched(tmp_path: Path) -> None:
    both(tmp_path)
    put(tmp_path, "train", A=WALK, B=RUN)

    plan = plan_stream(Tracked(tmp_path), "tracks", {})
    ensure(Tracked(tmp_path), plan, tmp_path / "cache", quiet=True)
    assert open_stream("tracked@1", plan, tmp_path / "cache", "train").features.video.tolist() == [
        0
    ] * 7 + [1, 1]


def test_a_csv_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_bytes(
        b"\xef\xbb\xbfvideo,frame,track,x0,y0,x1,y1\n1,0,1,2,3,4,5\n"
    )
    assert list(read_tracks(tmp_path / "mine.csv")) == ["1"]
