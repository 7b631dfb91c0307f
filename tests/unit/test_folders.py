"""Clips as folders of numbered images."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadbench.datasets.folders import count_frames, image_paths, iterate_clip, read_image
from vadbench.errors import BadInput

PACKBITS = [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_PACKBITS]


def encode(image, suffix=".tif"):
    return cv2.imencode(suffix, image, PACKBITS if suffix == ".tif" else [])[1].tobytes()


def grey(value=0, shape=(12, 16)):
    return (np.random.default_rng(value).integers(0, 256, shape)).astype(np.uint8)


def read_clip(folder):
    return np.stack(list(iterate_clip(folder)))


@pytest.fixture
def clip(tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in range(1, 5):
        (folder / f"{number:03d}.tif").write_bytes(encode(grey(number)))
    return folder


def test_a_grey_clip_is_read_in_order(clip):
    frames = read_clip(clip)
    assert frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, [grey(number) for number in range(1, 5)])


def test_order_is_numeric_not_lexicographic(tmp_path):
    for number in range(12):
        (tmp_path / f"frame{number}.png").write_bytes(
            encode(np.full((2, 2), number, np.uint8), ".png")
        )
    assert read_clip(tmp_path)[:, 0, 0].tolist() == list(range(12))


def test_colour_is_rgb(tmp_path):
    blue_green_red = np.zeros((4, 5, 3), np.uint8)
    blue_green_red[..., 2] = 200
    (tmp_path / "1.png").write_bytes(encode(blue_green_red, ".png"))
    frames = read_clip(tmp_path)
    assert frames.shape == (1, 4, 5, 3)
    assert frames[0, 0, 0].tolist() == [200, 0, 0]


def test_other_files_are_passed_over(clip):
    for name in (".DS_Store", "._001.tif", "Thumbs.db", "notes.txt"):
        (clip / name).write_bytes(b"x")
    assert count_frames(clip) == 4
    assert len(read_clip(clip)) == 4


@pytest.mark.parametrize("suffix", [".TIF", ".Tiff", ".PNG", ".bmp", ".JPG", ".jpeg"])
def test_suffixes_in_any_case(tmp_path, suffix):
    (tmp_path / f"001{suffix}").write_bytes(encode(grey(), ".png"))
    assert len(read_clip(tmp_path)) == 1


def test_counting_decodes_nothing(tmp_path):
    (tmp_path / "1.tif").write_bytes(b"no image")
    assert count_frames(tmp_path) == 1


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(BadInput, match="nowhere: no such folder"):
        image_paths(tmp_path / "nowhere")


def test_empty_clip_is_refused(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing")
    with pytest.raises(BadInput, match="empty clip"):
        image_paths(tmp_path)


@pytest.mark.parametrize(
    ("gone", "named"), [("001.tif", "frame 1 is missing"), ("003.tif", "frame 3 is missing")]
)
def test_a_gap_is_refused(clip, gone, named):
    (clip / gone).unlink()
    with pytest.raises(BadInput, match=named):
        image_paths(clip)


def test_two_images_of_one_number_are_refused(clip):
    (clip / "2.png").write_bytes(encode(grey(), ".png"))
    with pytest.raises(BadInput, match="frame 2 is also"):
        image_paths(clip)


def test_an_image_without_a_number_is_refused(clip):
    (clip / "cover.png").write_bytes(encode(grey(), ".png"))
    with pytest.raises(BadInput, match=r"cover\.png: no number"):
        image_paths(clip)


@given(share=st.floats(0, 1), suffix=st.sampled_from([".tif", ".png", ".jpg", ".bmp"]))
def test_a_truncated_image_is_never_read(tmp_path_factory, share, suffix):
    whole = encode(grey(shape=(40, 60)), suffix)
    path = tmp_path_factory.mktemp("cut") / f"001{suffix}"
    path.write_bytes(whole[: int(share * (len(whole) - 16))])
    with pytest.raises(BadInput, match=r"001\.\w+: truncated or not an image"):
        read_image(path)


def test_damage_is_told_once_and_quietly(clip, capfd):
    path = clip / "002.tif"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadInput, match=r"002\.tif") as raised:
        read_clip(clip)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_frame_of_another_size_is_named(clip):
    (clip / "003.tif").write_bytes(encode(grey(shape=(12, 17))))
    frames = iterate_clip(clip)
    next(frames), next(frames)
    with pytest.raises(BadInput, match=r"003\.tif: shape \(12, 17\), expected \(12, 16\)"):
        next(frames)


def test_a_folder_named_as_an_image_is_an_error(clip):
    (clip / "005.tif").mkdir()
    with pytest.raises(BadInput, match=r"005\.tif: cannot be read"):
        read_clip(clip)


def test_symlink_loops_are_one_line(clip):
    (clip / "005.tif").symlink_to("005.tif")
    with pytest.raises(
        BadInput, match=r"005\.tif: cannot be read \(Too many levels of symbolic links\)"
    ):
        read_clip(clip)
    (clip / "loop").symlink_to("loop")
    with pytest.raises(
        BadInput, match=r"loop: cannot be listed \(Too many levels of symbolic links\)"
    ):
        image_paths(clip / "loop")


def test_a_folder_that_holds_itself_is_not_entered(clip):
    (clip / "again").symlink_to(clip)
    assert len(read_clip(clip)) == 4


def test_a_file_for_a_folder_is_refused(clip):
    with pytest.raises(BadInput, match=r"001\.tif: cannot be listed"):
        image_paths(clip / "001.tif")
