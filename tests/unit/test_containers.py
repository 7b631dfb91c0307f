"""Videos of all containers: whole ones are read to their end, and cut ones are refused wherever the
cut lies.
"""

import numpy as np
import pytest
from test_video import pictures
from video_kinds import write_kind, write_live

from vadbench.datasets.video import count_frames, iterate_video
from vadbench.errors import BadInput

FRONT = {"movflags": "+faststart"}
KINDS = {
    "mp4": ("a.mp4", {}),
    "mp4, index in front": ("a.mp4", {"muxer": FRONT}),
    "mp4 in fragments": (
        "a.mp4",
        {"muxer": {"movflags": "+frag_keyframe+empty_moov"}, "options": {"g": "5"}},
    ),
    "mp4, HEVC": ("a.mp4", {"codec": "libx265", "muxer": FRONT}),
    "mp4, AV1": ("a.mp4", {"codec": "libsvtav1", "muxer": FRONT}),
    "mp4, MPEG-4 with B-frames": (
        "a.mp4",
        {"codec": "mpeg4", "options": {"bf": "2"}, "muxer": FRONT},
    ),
    "mp4, sound first": ("a.mp4", {"sound": "first", "muxer": FRONT}),
    "mp4, uneven times": ("a.mp4", {"gaps": True, "muxer": FRONT}),
    "mov, mjpeg": ("a.mov", {"codec": "mjpeg", "pixels": "yuvj420p", "muxer": FRONT}),
    "mkv": ("a.mkv", {}),
    "mkv, uneven times": ("a.mkv", {"gaps": True}),
    "webm, VP9": ("a.webm", {"codec": "libvpx-vp9"}),
    "webm, AV1": ("a.webm", {"codec": "libsvtav1"}),
    "mpeg-1": ("a.mpeg", {"codec": "mpeg1video"}),
    "mpeg-2": ("a.mpg", {"codec": "mpeg2video"}),
    "mpeg-2 with sound": ("a.mpg", {"codec": "mpeg2video", "kind": "vob", "sound": "last"}),
    "mpeg transport stream": ("a.mpg", {"codec": "mpeg2video", "kind": "mpegts"}),
    "wmv": ("a.wmv", {"codec": "wmv2"}),
    "avi with B-frames": ("a.avi", {"codec": "mpeg4", "options": {"bf": "2"}}),
    "avi, lossless": ("a.avi", {"codec": "ffv1"}),
}
LIVE = {"mkv": ("libx264", "matroska"), "webm": ("libvpx", "webm"), "avi": ("mjpeg", "avi")}
SHARES = (0.4, 0.6, 0.8, 0.97)


def read(path):
    count = sum(1 for _ in iterate_video(path))
    assert count_frames(path) == count
    return count


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_video_is_read_to_its_end(tmp_path, kind):
    name, how = KINDS[kind]
    assert read(write_kind(tmp_path / name, pictures(), **how)) == 20


@pytest.mark.parametrize("suffix", LIVE)
def test_a_recording_without_lengths_is_read_to_its_end(tmp_path, suffix):
    assert read(write_live(tmp_path / f"a.{suffix}", pictures(), *LIVE[suffix])) == 20


@pytest.mark.parametrize("suffix", ["mp4", "avi", "mkv"])
def test_what_others_wrote_behind_a_video_does_no_harm(tmp_path, suffix):
    path = write_kind(tmp_path / f"a.{suffix}", pictures(), "mpeg4")
    path.write_bytes(path.read_bytes() + b"camera\0settings" * 20)
    assert read(path) == 20


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_video_that_ends_early_is_told(tmp_path, kind, share):
    name, how = KINDS[kind]
    cut(write_kind(tmp_path / name, pictures(), **how), share)
    with pytest.raises(BadInput, match=r"cut off|no video stream") as raised:
        read(tmp_path / name)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("suffix", LIVE)
def test_a_recording_that_ends_early_is_told(tmp_path, suffix, share):
    cut(write_live(tmp_path / f"a.{suffix}", pictures(), *LIVE[suffix]), share)
    with pytest.raises(BadInput, match="cut off"):
        read(tmp_path / f"a.{suffix}")


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])


@pytest.fixture
def noise():
    """Pictures of which each is more than a packet."""
    return np.random.default_rng(0).integers(0, 256, (20, 144, 192, 3)).astype(np.uint8)


def test_a_pack_less_is_told_of_a_program_stream(tmp_path, noise):
    path = write_kind(tmp_path / "a.mpg", noise, "mpeg2video")
    assert read(path) == 20
    data = path.read_bytes()
    path.write_bytes(data[: data.rfind(b"\0\0\x01\xba", 0, len(data) * 3 // 4)])
    with pytest.raises(BadInput, match="cut off"):
        read(path)


@pytest.mark.parametrize("share", [0.35, 0.7, 0.9])
def test_a_picture_cut_in_two_is_told_where_there_is_no_container(tmp_path, noise, share):
    path = write_kind(tmp_path / "a.mpg", noise, "mpeg2video", kind="mpeg2video")
    assert read(path) == 20
    cut(path, share)
    with pytest.raises(BadInput, match="cut off within its last frame"):
        read(path)
