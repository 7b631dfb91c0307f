"""Published region tracks, read where the user has put them."""

import numpy as np
import pytest

from vadbench.datasets.base import Dataset, Video
from vadbench.datasets.derived_tracks import COLUMNS
from vadbench.datasets.published_tracks import published_tracks, regions_folder
from vadbench.errors import BadInput


class Walk(Dataset):
    """Three test videos of frames of 24 x 32."""

    name = "walk"
    size = (24, 32)

    def videos(self, split):
        return (Video("01", "test", 10), Video("02", "test", 5), Video("10", "test", 5))

    read = labels = check = None


@pytest.fixture
def folder(tmp_path):
    made = regions_folder(tmp_path, "walk")
    made.mkdir(parents=True)
    (made / "01.txt").write_text("0,0,1,2,11,12\n0,1,2,2,12,12\n1,9,5,5,8,8\n")
    return made


def read(folder):
    return published_tracks(Walk(folder.parents[2]))


def refusal(folder):
    with pytest.raises(BadInput) as raised:
        read(folder)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_without_files_there_are_none(tmp_path):
    assert published_tracks(Walk(tmp_path)) is None


def test_person_tracks_beside_are_no_regions(tmp_path):
    (tmp_path / "tracks" / "walk").mkdir(parents=True)
    (tmp_path / "tracks" / "walk" / "deepsort_train.npz").touch()
    assert published_tracks(Walk(tmp_path)) is None


def test_rows_are_read_as_published_with_frames_from_zero(folder):
    (folder / "10.txt").write_text("3,4,0,0,5,5\n")
    (folder / "02.txt").touch()
    found = read(folder)
    assert tuple(found.columns) == COLUMNS
    expected = [
        ["01", 0, 0, 1, 2, 11, 12],
        ["01", 0, 1, 2, 2, 12, 12],
        ["01", 1, 9, 5, 5, 8, 8],
        ["10", 3, 4, 0, 0, 5, 5],
    ]
    assert found.to_numpy().tolist() == expected
    assert all(found[name].dtype == np.int64 for name in COLUMNS[1:])


def test_fractional_boxes_are_kept(folder):
    (folder / "01.txt").write_text("0,0,1.5,2,11,12\n")
    assert read(folder)["x0"].tolist() == [1.5]


def test_a_file_may_have_the_number_alone(folder):
    (folder / "01.txt").rename(folder / "1.txt")
    assert set(read(folder)["video"]) == {"01"}


def test_mac_leftovers_do_no_harm(folder):
    (folder / "._01.txt").write_bytes(b"\0\5\x16\7")
    (folder / ".DS_Store").write_bytes(b"x")
    assert len(read(folder)) == 3


@pytest.mark.parametrize(
    ("name", "rows", "told"),
    [
        (
            "03.txt",
            "0,0,1,2,11,12\n",
            (
                "test videos of walk differ (found and not expected: '03'; expected and not found:"
                " '02', '10')"
            ),
        ),
        ("03.txt", "", "found and not expected: '03'"),
        (
            "02.txt",
            "0,1,34,2,40,12\n",
            "video 02: frame 1: box [34.0, 2.0, 40.0, 12.0] lies outside, the frames are 32 x 24",
        ),
        ("02.txt", "0,1,0.1,0.2,0.5,0.9\n", "video 02: all boxes lie within one pixel"),
        ("02.txt", "0,5,1,2,11,12\n", "frame 5 of video 02, which has frames 0 to 4"),
        ("02.txt", "0,0,11,2,1,12\n", "02.txt: row 0 has x1"),
        ("02.txt", "0,0,1,2,11\n", "02.txt: 5 numbers a row; expected track,frame,x0,y0,x1,y1"),
        ("02.txt", "0,0,1,2,11,12\n0,0,1,2,11,12\n", "two boxes of track 0 in frame 0 of video 02"),
        ("02.txt", "track one\n", "02.txt: 1 numbers a row"),
    ],
)
def test_mistakes_are_one_line(folder, name, rows, told):
    (folder / name).write_text(rows)
    assert told in refusal(folder)


def test_an_empty_folder_is_refused(folder):
    (folder / "01.txt").unlink()
    assert "no txt file in the folder" in refusal(folder)


def test_loops_and_the_same_video_twice(folder):
    (folder / "1.txt").write_text("0,0,1,2,11,12\n")
    assert "found and not expected: '1'" in refusal(folder)
    (folder / "1.txt").unlink()
    (folder / "02.txt").symlink_to("02.txt")
    assert "02.txt: " in refusal(folder)


@pytest.mark.parametrize("name", ["2.txt", "002.txt"])
def test_names_that_leave_no_doubt_are_taken(folder, name):
    (folder / name).write_text("0,0,1,2,11,12\n")
    assert set(read(folder)["video"]) == {"01", "02"}
