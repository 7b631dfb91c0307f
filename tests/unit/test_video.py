"""Videos decoded frame by frame, whatever the header says; damage told in one line."""

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from avenue_files import write_avi
from video_kinds import write_kind

from vadbench.datasets import video
from vadbench.datasets.video import count_frames, iterate_video
from vadbench.errors import BadInput

FORMATS = [
    ("a.avi", "mpeg4", "yuv420p"),
    ("a.avi", "mjpeg", "yuvj420p"),
    ("a.mp4", "libx264", "yuv420p"),
    ("a.mkv", "libx264", "yuv420p"),
]


def pictures(frames=20, seed=0):
    """Noise in blocks that the codecs keep, its red part rising by 10 a frame."""
    blocks = np.random.default_rng(seed).integers(40, 90, (frames, 6, 8, 3)).astype(np.uint8)
    images = blocks.repeat(8, axis=1).repeat(8, axis=2)
    images[..., 0] = 10 * np.arange(frames, dtype=np.uint8)[:, None, None]
    return images


@pytest.fixture
def avi(tmp_path):
    path = tmp_path / "01.avi"
    write_avi(path, pictures(), "mjpeg", "yuvj420p")
    return path


def refusals(path):
    """The one line, the same from counting and from decoding, that a file is refused with."""
    told = []
    for read in (count_frames, lambda path: list(iterate_video(path))):
        with pytest.raises(BadInput) as raised:
            read(path)
        assert "\n" not in str(raised.value)
        assert str(raised.value).startswith(f"{path}: ")
        told.append(str(raised.value))
    assert told[0] == told[1]
    return told[0]


@pytest.mark.parametrize(("name", "codec", "pixels"), FORMATS)
def test_frames_are_rgb_in_order(tmp_path, name, codec, pixels):
    write_avi(tmp_path / name, pictures(), codec, pixels)
    frames = list(iterate_video(tmp_path / name))
    assert count_frames(tmp_path / name) == len(frames) == 20
    assert {(frame.dtype, frame.shape) for frame in frames} == {(np.dtype(np.uint8), (48, 64, 3))}
    np.testing.assert_allclose(
        [frame[..., 0].mean() for frame in frames], 10 * np.arange(20), atol=8
    )
    assert all(abs(frame[..., 2].mean() - 65) < 8 for frame in frames)


def test_a_grey_video_has_three_equal_channels(tmp_path):
    with av.open(str(tmp_path / "g.avi"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "gray"
        for t in range(3):
            container.mux(
                stream.encode(
                    av.VideoFrame.from_ndarray(np.full((48, 64), 50 * t, np.uint8), format="gray")
                )
            )
        container.mux(stream.encode())
    frames = np.stack(list(iterate_video(tmp_path / "g.avi")))
    assert frames[:, 0, 0].tolist() == [[0, 0, 0], [50, 50, 50], [100, 100, 100]]


def opencv_frames(path):
    capture, found = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), []
    while (frame := capture.read()[1]) is not None:
        found.append(frame[..., ::-1])
    return np.stack(found)


@pytest.mark.parametrize(("name", "codec", "pixels"), FORMATS)
def test_pictures_are_those_of_another_reader(tmp_path, name, codec, pixels):
    write_avi(tmp_path / name, pictures(), codec, pixels)
    np.testing.assert_array_equal(
        np.stack(list(iterate_video(tmp_path / name))), opencv_frames(tmp_path / name)
    )


def edit_header(avi, frames):
    """The AVI file with another number of frames in its header."""
    data = bytearray(avi.read_bytes())
    struct.pack_into("<I", data, data.index(b"avih") + 8 + 16, frames)
    struct.pack_into("<I", data, data.index(b"strh") + 8 + 32, frames)
    return bytes(data)


def frame_places(avi):
    """Where the frames' chunks begin in the bytes of an AVI file."""
    data = avi.read_bytes()
    return [at for at in range(data.index(b"movi"), len(data)) if data[at : at + 4] == b"00dc"]


@pytest.mark.parametrize("claimed", [0, 1, 7, 19, 21, 5000])
def test_header_counts_are_not_trusted(avi, claimed):
    avi.write_bytes(edit_header(avi, claimed))
    assert count_frames(avi) == 20
    assert len(list(iterate_video(avi))) == 20


def test_a_count_is_remembered_until_the_file_changes(avi, monkeypatch):
    assert count_frames(avi) == 20
    with monkeypatch.context() as patched:
        patched.setattr(video, "_frames", None)
        assert count_frames(avi) == 20
    write_avi(avi, pictures(5), "mjpeg", "yuvj420p")
    assert count_frames(avi) == 5


def test_one_frame_is_a_video(tmp_path):
    write_avi(tmp_path / "a.avi", pictures(1))
    assert count_frames(tmp_path / "a.avi") == len(list(iterate_video(tmp_path / "a.avi"))) == 1


def test_suffixes_and_strange_names_do_no_harm(avi, tmp_path):
    for name in ("01.AVI", "a b%02d.avi", "Überfall.avi", "noend"):
        (tmp_path / name).write_bytes(avi.read_bytes())
        assert count_frames(tmp_path / name) == 20


# orientation


MATRICES = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0), "mirrored": (-1, 0, 0, 1)}
SHOWN = {
    90: lambda x: np.rot90(x, -1),
    180: lambda x: x[::-1, ::-1],
    270: np.rot90,
    "mirrored": lambda x: x[:, ::-1],
}
ROTATED = [
    ("a.mp4", "libx264", "yuv420p"),
    ("a.mov", "libx264", "yuv420p"),
    ("a.mp4", "libx265", "yuv420p"),
    ("a.mp4", "libsvtav1", "yuv420p"),
    ("a.mov", "mjpeg", "yuvj420p"),
    ("a.mp4", "mpeg4", "yuv420p"),
]


def set_matrix(path, numbers):
    """Another display matrix in the header of an mp4 or mov."""
    data = bytearray(path.read_bytes())
    a, b, c, d = (round(number * (1 << 16)) for number in numbers)
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


@pytest.mark.parametrize("turned", MATRICES)
@pytest.mark.parametrize(("name", "codec", "pixels"), ROTATED)
def test_all_frames_are_turned_as_the_header_says(tmp_path, name, codec, pixels, turned):
    path = write_kind(tmp_path / name, pictures(), codec, pixels)
    upright = list(iterate_video(path))
    set_matrix(path, MATRICES[turned])
    for frame, shown in zip(upright, iterate_video(path), strict=True):
        np.testing.assert_array_equal(shown, SHOWN[turned](frame))


def test_matroska_keeps_the_rotation(tmp_path):
    path = write_kind(tmp_path / "a.mp4", pictures())
    set_matrix(path, MATRICES[90])
    with av.open(str(path)) as whole, av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    assert {frame.shape for frame in iterate_video(tmp_path / "a.mkv")} == {(64, 48, 3)}


def test_a_slanted_video_is_refused(tmp_path):
    path = write_kind(tmp_path / "a.mp4", pictures())
    set_matrix(path, (0.7, 0.7, -0.7, 0.7))
    assert "expected multiples of 90 degrees" in refusals(path)


def test_a_size_that_changes_is_refused(tmp_path):
    with (tmp_path / "a.mpg").open("wb") as both:
        for size in (1, 2):
            part = write_kind(
                tmp_path / "part.mpg",
                pictures().repeat(size, axis=1),
                "mpeg2video",
                kind="mpeg2video",
            )
            both.write(part.read_bytes())
    assert "is 64 x 96, the first 64 x 48; expected one size and orientation" in refusals(
        tmp_path / "a.mpg"
    )


# streams


def test_the_first_of_two_videos_is_read(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        streams = [container.add_stream("ffv1", rate=25) for _ in range(2)]
        for stream in streams:
            stream.height, stream.width, stream.pix_fmt = 48, 64, "gray"
        for stream, value in zip(streams * 3, (50, 200) * 3, strict=True):
            container.mux(
                stream.encode(
                    av.VideoFrame.from_ndarray(np.full((48, 64), value, np.uint8), format="gray")
                )
            )
    assert [int(frame[0, 0, 0]) for frame in iterate_video(tmp_path / "a.mkv")] == [50, 50, 50]


def test_a_cover_picture_is_no_video(tmp_path):
    from av.stream import Disposition

    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        cover = container.add_stream("mjpeg", rate=25)
        cover.height, cover.width, cover.pix_fmt, cover.disposition = (
            16,
            16,
            "yuvj420p",
            Disposition.attached_pic,
        )
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        container.mux(
            cover.encode(
                av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
            )
        )
        container.mux(cover.encode())
        for picture in pictures():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    assert count_frames(tmp_path / "a.mp4") == 20
    assert next(iterate_video(tmp_path / "a.mp4")).shape == (48, 64, 3)


def test_a_depth_whose_scaling_would_be_a_guess_is_refused(tmp_path):
    path = write_kind(tmp_path / "a.mkv", pictures(), "ffv1", "gray16le")
    assert "16 bits a channel (gray16le); expected 8" in refusals(path)


# damage


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize(("name", "codec", "pixels"), FORMATS[1:3])
def test_a_truncated_video_is_refused(tmp_path, name, codec, pixels, share):
    path = tmp_path / name
    write_avi(path, pictures(), codec, pixels)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert any(word in refusals(path) for word in ("cut off", "no video stream"))


def test_a_video_cut_between_two_frames_is_refused(avi):
    avi.write_bytes(avi.read_bytes()[: frame_places(avi)[12]])
    assert "cut off after frame 12, the file is shorter than it says itself" in refusals(avi)


def test_damage_within_a_video_is_told_with_its_place(tmp_path):
    path = tmp_path / "01.avi"
    write_avi(path, pictures())
    data, start = bytearray(path.read_bytes()), frame_places(path)[10] + 8
    data[start : start + 100] = bytes(100)
    path.write_bytes(data)
    assert "damaged or cut off after frame 10" in refusals(path)


def test_an_unknown_codec_is_named(avi):
    avi.write_bytes(avi.read_bytes().replace(b"MJPG", b"ZZZZ"))
    assert "unknown codec; expected one that FFmpeg decodes" in refusals(avi)


def test_a_video_without_frames_is_refused(tmp_path):
    write_avi(tmp_path / "a.avi", [])
    assert "a.avi: a video without a frame" in refusals(tmp_path / "a.avi")


def test_files_that_are_no_videos(tmp_path):
    (tmp_path / "empty.avi").touch()
    (tmp_path / "text.avi").write_text("hello world\n" * 100)
    (tmp_path / "folder.avi").mkdir()
    (tmp_path / "loop.avi").symlink_to("loop.avi")
    with av.open(str(tmp_path / "sound.avi"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(
            np.zeros((1, 8000), np.int16), format="s16", layout="mono"
        )
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    expected = {
        "missing": "no such file",
        "empty": "an empty file",
        "text": "not a video",
        "folder": "a folder",
        "loop": "symbolic links",
        "sound": "no video",
    }
    for name, told in expected.items():
        assert told in refusals(tmp_path / f"{name}.avi")


def test_damage_is_told_quietly(tmp_path, avi, capfd):
    avi.write_bytes(avi.read_bytes()[:9000])
    refusals(avi)
    assert capfd.readouterr() == ("", "")


def test_times_are_those_of_a_variable_rate(tmp_path):
    import av

    from vadbench.datasets.video import iterate_timed

    times = [0, 40, 200, 1000]  # milliseconds
    path = tmp_path / "variable.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for time in times:
            frame = av.VideoFrame.from_ndarray(np.full((24, 32, 3), 90, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    found = [time for time, _ in iterate_timed(path)]
    assert found == pytest.approx([time / 1000 for time in times], abs=0.002)
