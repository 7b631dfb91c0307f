"""What UCSD Ped1 and Ped2 share: copies damaged in the ways that a user's may be."""

import shutil

import cv2
import numpy as np
import pytest
from damage import findings, litter, loop, refusal, truncate, use
from ucsd_files import SIZE, TinyPed1, TinyPed2, write_ucsd


@pytest.fixture(params=[TinyPed1, TinyPed2], ids=lambda kind: kind.name)
def tiny(request, tmp_path):
    return write_ucsd(tmp_path, request.param)


def clip(tiny):
    return tiny.folder / "Train" / "Train001"


def labels(tiny):
    return tiny.folder / "Test" / f"UCSD{tiny.name}.m"


def repaint(tiny, image):
    for path in clip(tiny).iterdir():
        cv2.imwrite(str(path), image.astype(np.uint8))


def count_from_two(tiny):
    for path in sorted(clip(tiny).iterdir(), reverse=True):
        path.rename(path.with_stem(f"{int(path.stem) + 1:03d}"))


def keep_frames(tiny, count):
    for path in sorted(clip(tiny).iterdir())[count:]:
        path.unlink()


def lead_clip_to_itself(tiny):
    shutil.rmtree(clip(tiny))
    loop(clip(tiny))


def code_of_our_own(tiny):
    (clip(tiny) / "002.tif").write_bytes(b"a picture in a format of our own")


def frames_of(tiny):
    return tiny.clips["train"][0]


# what is done, what is told; `{last}` and `{count}` are of the clip's frames
WHILE_DECODING = {
    "truncated": (
        lambda tiny: truncate(clip(tiny) / "002.tif"),
        "Train001/002.tif: truncated or not an image (",
    ),
    "unknown codec": (code_of_our_own, "Train001/002.tif: truncated or not an image"),
    "wrong size": (
        lambda tiny: repaint(tiny, np.zeros((24, 37))),
        "Train001: frames of shape (24, 37), the release has (24, 36) grey",
    ),
    "colour": (
        lambda tiny: repaint(tiny, np.arange(24 * 36 * 3).reshape(*SIZE, 3)),
        "Train001: frames of shape (24, 36, 3), the release has (24, 36) grey",
    ),
    "frame a loop": (
        lambda tiny: loop(clip(tiny) / "002.tif"),
        "Train001/002.tif: cannot be read (Too many levels of symbolic links)",
    ),
}
BEFORE = {
    "renumbered": (
        lambda tiny: (clip(tiny) / "002.tif").rename(clip(tiny) / "102.tif"),
        "Train001: frame 2 is missing (the last is 102.tif)",
    ),
    "a gap": (
        lambda tiny: (clip(tiny) / "002.tif").unlink(),
        "Train001: frame 2 is missing (the last is 00{count}.tif)",
    ),
    "counted from two": (
        count_from_two,
        "Train001: frame 1 is missing (the last is 00{more}.tif)",
    ),
    "cut short": (
        lambda tiny: keep_frames(tiny, frames_of(tiny) - 1),
        "Train001: {less} frames, the release has {count}",
    ),
    "one frame": (
        lambda tiny: keep_frames(tiny, 1),
        "Train001: 1 frames, the release has {count}",
    ),
    "zero frames": (lambda tiny: keep_frames(tiny, 0), "Train001: empty clip"),
    "clip missing": (
        lambda tiny: shutil.rmtree(clip(tiny)),
        "Train001: clip 1 of 2 is missing; `vadbench data fetch {name}",
    ),
    "clip a loop": (lead_clip_to_itself, "Train001: clip 1 of 2 is missing"),
    "labels missing": (
        lambda tiny: labels(tiny).unlink(),
        "UCSD{name}.m: the file of the frame labels is missing; `vadbench data fetch {name}`, or"
        " download UCSD_Anomaly_Dataset.tar.gz",
    ),
    "labels a loop": (
        lambda tiny: loop(labels(tiny)),
        "UCSD{name}.m: the file of the frame labels is missing",
    ),
}


def write_expected(tiny, told):
    count = frames_of(tiny)
    words = {"count": count, "more": count + 1, "less": count - 1, "name": tiny.name}
    for word, value in words.items():
        told = told.replace(f"{{{word}}}", str(value))
    return told


@pytest.mark.parametrize("kind", WHILE_DECODING)
def test_damage_of_a_frame_is_one_line(tiny, kind):
    damage, told = WHILE_DECODING[kind]
    damage(tiny)
    assert told in refusal(use, tiny)
    assert told in findings(tiny)["train frames decoded"]


@pytest.mark.parametrize("kind", BEFORE)
def test_what_is_missing_is_one_line_before_anything_is_decoded(tiny, kind):
    damage, told = BEFORE[kind]
    damage(tiny)
    told = write_expected(tiny, told)
    assert told in refusal(use, tiny)
    assert told in refusal(findings, tiny)


def test_extra_files_and_upper_case_do_no_harm(tiny):
    litter(clip(tiny) / "001.tif", tiny.folder / "Test")
    (clip(tiny) / "003.tif").rename(clip(tiny) / "003.TIF")
    assert findings(tiny) == {}


def test_absent_data_says_how_to_get_it_in_one_line(tiny, tmp_path):
    told = refusal(type(tiny)(tmp_path / "nothing").videos, "train")
    for word in ("UCSD_Anomaly_Dataset.tar.gz", "svcl.ucsd.edu", "VADBENCH_DATA", str(tmp_path)):
        assert word in told
