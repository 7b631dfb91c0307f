"""A user's own videos: what the manifest says, what it may not say, and damage."""

import os
import re
import shutil

import cv2
import numpy as np
import pytest
from damage import clip_faults, complaint, litter, loop, require_complaint, video_faults
from scipy.io import savemat
from typer.testing import CliRunner
from video_writer import private_cache, write_images, write_video  # noqa: F401

from vadbench.cli import app
from vadbench.datasets.base import SPLITS
from vadbench.datasets.events import Event, check_events
from vadbench.datasets.folder import Folder
from vadbench.errors import BadInput

MANIFEST = """
labelled_by = "the night shift"

[[clip]]
path = "videos/normal.avi"
split = "train"
scene = "gate"

[[clip]]
path = "videos/fight.avi"
split = "test"
scene = "gate"
anomalous = [[1, 2], [4, 4]]

[[clip]]
path = "images/yard"
split = "test"
name = "yard-1"
masks = "masks/yard"
"""


@pytest.fixture
def own(tmp_path):
    """A training video, a test video with intervals, and a test clip of images with masks: a square
    in frames 2 and 3.
    """
    base = tmp_path / "folder"
    write_video(base / "videos/normal.avi", 5)
    write_video(base / "videos/fight.avi", 6)
    write_images(base / "images/yard", 4, pattern="{}.png", first=8)
    # 8 … 11 -> 1 … 4
    for path in sorted((base / "images/yard").iterdir(), key=lambda path: int(path.stem)):
        path.rename(path.with_stem(str(int(path.stem) - 7)))
    (base / "masks/yard").mkdir(parents=True)
    for frame in range(1, 5):
        mask = np.zeros((24, 32), np.uint8)
        mask[4:10, 8:16] = 255 * (frame in (3, 4))
        cv2.imwrite(str(base / f"masks/yard/{frame}.png"), mask)
    (base / "dataset.toml").write_text(MANIFEST)
    return Folder(tmp_path)


def say(own, text):
    """Another manifest."""
    (own.folder / "dataset.toml").write_text(text)
    return Folder(own.root)


def test_a_whole_folder_passes_its_check(own):
    assert complaint(own) == ""


def test_clips_are_named_in_the_manifests_order(own):
    videos = [video for split in SPLITS for video in own.videos(split)]
    assert [(video.name, video.frames, video.scene) for video in videos] == [
        ("normal", 5, "gate"), ("fight", 6, "gate"), ("yard-1", 4, "0")
    ]  # fmt: skip


def test_intervals_are_inclusive_from_zero_and_masks_mark_frames(own):
    labels = own.labels()
    assert {name: values.tolist() for name, values in labels.videos.items()} == {
        "fight": [0, 1, 1, 0, 1, 0],
        "yard-1": [0, 0, 1, 1],
    }
    assert labels.source == "dataset.toml: intervals and masks, the night shift"


def test_intervals_are_events_of_their_categories_and_masks_of_none(own):
    changed = MANIFEST.replace("[4, 4]]", '[2, 4]]\ncategories = ["fight", "bicycle"]')
    own = say(own, changed)
    assert own.events() == [
        Event("fight", 1, 2, "fight"),
        Event("fight", 2, 4, "bicycle"),  # at the same time
        Event("yard-1", 2, 3),
    ]
    check_events(own.events(), own.labels().videos, "folder")


def test_categories_change_neither_labels_nor_revision(own):
    before = own.labels().provenance(), own.revision
    own = say(own, MANIFEST.replace("[4, 4]]", '[4, 4]]\ncategories = ["fight", "bicycle"]'))
    assert (own.labels().provenance(), own.revision) == before


def test_frames_are_read_of_videos_and_images(own):
    assert [own.frames(video).shape for video in own.videos("test")] == [
        (6, 24, 32, 3),
        (4, 24, 32, 3),
    ]


def test_masks_are_read_where_there_are_any(own):
    fight, yard = own.videos("test")
    assert own.masks(fight) is None
    assert own.masks(own.videos("train")[0]) is None
    assert [int(mask.any()) for mask in own.masks(yard)] == [0, 0, 1, 1]


def test_regions_are_derived_only_if_every_anomalous_clip_has_masks(own):
    assert (own.tracks(), own.track_source) == (None, None)
    normal = say(own, MANIFEST.replace("[[1, 2], [4, 4]]", "[]"))
    assert normal.track_source == "derived from the masks"
    assert normal.tracks().to_numpy().tolist() == [
        ["yard-1", 0, 2, 8, 4, 15, 9],
        ["yard-1", 0, 3, 8, 4, 15, 9],
    ]


def test_a_tracks_file_goes_first(own):
    (own.folder / "regions.csv").write_text("video,track,frame,x0,y0,x1,y1\nfight,a,1,2,3,4,5\n")
    tracked = say(own, 'tracks = "regions.csv"\n' + MANIFEST)
    assert tracked.track_source == "regions.csv"
    assert tracked.tracks().to_numpy().tolist() == [["fight", "a", 1, 2, 3, 4, 5]]
    assert complaint(tracked) == ""


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("fight,a,6,2,3,4,5", "has frame 6 of fight"),
        (
            "run,a,1,2,3,4,5",
            (
                "test clips differ .found and not expected: 'run'; expected and not found: 'fight',"
                " 'yard-1'"
            ),
        ),
        (
            "fight,a,1,40,3,50,5",
            "video fight: frame 1: box .* lies outside, the frames are 32 x 24",
        ),
        (
            "fight,a,1,0.1,0.2,0.5,0.9",
            "video fight: all boxes lie within one pixel, the frames are 32 x 24",
        ),
    ],
)
def test_tracks_of_other_frames_are_refused(own, row, told):
    (own.folder / "regions.csv").write_text(f"video,track,frame,x0,y0,x1,y1\n{row}\n")
    with pytest.raises(BadInput, match=f"regions.csv: .*{told}"):
        say(own, 'tracks = "regions.csv"\n' + MANIFEST).tracks()


# the revision


def touch_later(path):
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


CHANGES = {
    "a video's bytes": lambda own: write_video(own.folder / "videos/normal.avi", 7),
    "a video's time": lambda own: touch_later(own.folder / "videos/normal.avi"),
    "an image": lambda own: touch_later(own.folder / "images/yard/2.png"),
    "one image more": lambda own: shutil.copy(
        own.folder / "images/yard/4.png", own.folder / "images/yard/5.png"
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_revision_changes_with(own, what):
    before = own.revision
    CHANGES[what](own)
    assert Folder(own.root).revision != before


LABELS = {
    "an interval": lambda own: say(own, MANIFEST.replace("[4, 4]", "[5, 5]")),
    "a mask": lambda own: touch_later(own.folder / "masks/yard/2.png"),
    "who labelled": lambda own: say(
        own, 'labelled_by = "another"\n' + MANIFEST.replace("labelled_by", "# ")
    ),
}


@pytest.mark.parametrize("what", LABELS)
def test_labels_are_no_features_and_keep_the_revision(own, what):
    before = own.revision
    LABELS[what](own)
    assert Folder(own.root).revision == before


def test_the_revision_stays_with_the_content(own):
    assert re.fullmatch(r"[0-9a-f]{12}", own.revision)
    assert say(own, "# a remark\n" + MANIFEST).revision == own.revision


# what the manifest may not say

TRAIN = '[[clip]]\npath = "videos/normal.avi"\nsplit = "train"\n'
CLIP = TRAIN + '[[clip]]\npath = "videos/fight.avi"\n'


def at(path):
    """The manifest with another path of its first clip."""
    return MANIFEST.replace('"videos/normal.avi"', path)


WRONG = {
    "no toml": ("clip = [", r"dataset\.toml: "),
    "nothing": ("", r"clip: "),
    "single brackets": (
        "[clip]\npath = 'videos/fight.avi'",
        r"expected one \[\[clip\]\] \(two brackets\)",
    ),
    "unknown field": (
        CLIP + 'splitt = "test"',
        r"clip 2 \(videos/fight\.avi\): .*'splitt'.*did you mean split\?",
    ),
    "unknown field of the whole": (
        'label_by = "x"\n' + MANIFEST,
        r"'label_by'.*did you mean labelled_by\?",
    ),
    "no path": ('[[clip]]\nsplit = "train"', r"clip 1 \(no path\): path: Field required"),
    "another split": (
        CLIP + 'split = "validation"',
        r"clip 2 .*split: Input should be 'train' or 'test', got 'validation'",
    ),
    "two labels": (
        CLIP + 'split = "test"\nanomalous = []\nmasks = "masks/yard"',
        r"anomalous and masks; expected",
    ),
    "anomalous training": (
        CLIP + 'split = "train"\nanomalous = [[0, 1]]',
        r"anomalous of a training clip, which is taken as normal",
    ),
    "a category too few": (
        CLIP + 'split = "test"\nanomalous = [[0, 1], [3, 3]]\ncategories = ["fight"]',
        r"clip 2 .*: 1 categories for 2 anomalous intervals; expected one for each",
    ),
    "categories of masks": (
        CLIP + 'split = "test"\nmasks = "masks/yard"\ncategories = ["fight"]',
        r"categories without anomalous; expected one for each anomalous interval",
    ),
    "a category of signs": (
        CLIP + 'split = "test"\nanomalous = [[0, 1]]\ncategories = ["a|b"]',
        r"categories\.0: String should match",
    ),
    "half an interval": (
        CLIP + 'split = "test"\nanomalous = [[3]]',
        r"anomalous\.0\.1: Field required",
    ),
    "interval after the end": (
        CLIP + 'split = "test"\nanomalous = [[3, 6]]',
        r"interval \[3, 6\] is outside its frames 0 to 5; both ends count",
    ),
    "interval inverted": (
        CLIP + 'split = "test"\nanomalous = [[3, 2]]',
        r"interval \[3, 2\] is outside",
    ),
    "one name twice": (TRAIN * 2, r"two train clips are named normal; give one of them a name"),
    "a name as a path": (CLIP + 'split = "train"\nname = "../x"', r"name: String should match"),
    "absolute path": (at("'/etc/passwd'"), r"path '/etc/passwd' leads out of the folder"),
    "path of Windows": (at(r"'C:\x.avi'"), r"leads out of the folder"),
    "path above": (at("'videos/../../x.avi'"), r"leads out of the folder"),
    "path above of Windows": (at(r"'..\x.avi'"), r"leads out of the folder"),
    "missing path": (at("'videos/run.avi'"), r"path 'videos/run\.avi' is not there"),
    "missing tracks": ('tracks = "regions.csv"\n' + MANIFEST, r"path 'regions\.csv' is not there"),
    "no test clips": (TRAIN, r'no clip has split = "test"'),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_manifest_is_refused_in_one_line(own, what):
    text, told = WRONG[what]
    assert re.search(told, complaint(say(own, text))), complaint(say(own, text))


def test_a_link_that_leads_out_is_refused(own, tmp_path):
    outside = write_video(tmp_path / "outside.avi", 3)
    (own.folder / "videos/fight.avi").unlink()
    (own.folder / "videos/fight.avi").symlink_to(outside)
    with pytest.raises(
        BadInput,
        match=r"'videos/fight\.avi' is a link that leads out of the folder, to .*outside\.avi",
    ):
        own.videos("test")


def test_an_image_that_is_a_link_out_is_refused(own, tmp_path):
    outside = tmp_path / "outside.png"
    (own.folder / "images/yard/2.png").rename(outside)
    (own.folder / "images/yard/2.png").symlink_to(outside)
    with pytest.raises(BadInput, match=r"2\.png' is a link that leads out of the folder"):
        _ = own.revision


def test_the_folder_itself_may_be_a_link(own, tmp_path):
    elsewhere = tmp_path / "root"
    elsewhere.mkdir()
    (elsewhere / "folder").symlink_to(own.folder)
    assert complaint(Folder(elsewhere)) == ""


def test_without_a_manifest_the_way_is_told(tmp_path):
    with pytest.raises(
        BadInput,
        match=r"dataset\.toml: not there; write dataset\.toml .*VADBENCH_DATA.*docs/datasets\.md",
    ):
        _ = Folder(tmp_path).revision


# damage


OF_VIDEOS = video_faults("videos/normal.avi", 5)
DAMAGE = {
    **{kind: OF_VIDEOS[kind] for kind in ("truncated", "zero frames", "unknown codec")},
    **clip_faults("images/yard", "2.png"),
    "loop": (
        lambda base: loop(base / "videos/normal.avi"),
        r"path 'videos/normal\.avi' is a loop of links",
    ),
    "mask missing": (
        lambda base: (base / "masks/yard/4.png").unlink(),
        r"clip yard-1 has 4 frames and 3 masks; expected one a frame",
    ),
    "masks missing": (
        lambda base: shutil.rmtree(base / "masks/yard"),
        r"path 'masks/yard' is not there",
    ),
    "video of one frame": (lambda base: write_video(base / "videos/normal.avi", 1), r"^normal$"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named_in_one_line(own, kind):
    require_complaint(own, DAMAGE[kind])


def test_extra_files_upper_case_and_a_loop_beside_the_images_do_no_harm(own):
    yard = own.folder / "images/yard"
    litter(yard / "1.png")
    (yard / "3.png").rename(yard / "3.PNG")
    (own.folder / "videos/normal.avi").rename(own.folder / "videos/normal.AVI")
    (yard / "again").symlink_to(yard)
    assert complaint(say(own, MANIFEST.replace("normal.avi", "normal.AVI"))) == ""


def test_a_clip_trained_and_tested_on_is_bad(own):
    twice = MANIFEST.replace('path = "videos/normal.avi"', 'path = "videos/fight.avi"')
    assert [line.found for line in say(own, twice).check() if not line.good] == ["videos/fight.avi"]


def test_a_link_to_the_same_clip_is_the_same_clip(own):
    (own.folder / "videos/again.avi").symlink_to("fight.avi")
    twice = MANIFEST.replace('path = "videos/normal.avi"', 'path = "videos/again.avi"')
    assert [line.found for line in say(own, twice).check() if not line.good] == ["videos/fight.avi"]


def test_a_failed_check_says_to_mend_the_manifest(own, monkeypatch):
    say(own, MANIFEST.replace("[4, 4]", "[4, 99]"))
    monkeypatch.setenv("VADBENCH_DATA", str(own.root))
    answer = CliRunner().invoke(app, ["data", "check", "folder"])
    assert (
        str(answer.exception) == "folder: 1 checks failed; mend dataset.toml or the files it names"
    )


# names, encodings and depths


@pytest.mark.parametrize(
    ("there", "named"),
    [("videos/Fight.AVI", "videos/fight.avi"), ("videos/7.avi", "videos/007.avi")],
)
def test_a_path_that_leaves_no_doubt_is_found(own, there, named):
    (own.folder / "videos/fight.avi").rename(own.folder / there)
    assert complaint(say(own, MANIFEST.replace("videos/fight.avi", named))) == ""


def test_a_path_that_is_another_clips_is_not_taken(own):
    (own.folder / "videos/fight.avi").unlink()
    (own.folder / "videos/normal.avi").rename(own.folder / "videos/01.avi")
    text = MANIFEST.replace("videos/normal.avi", "videos/01.avi").replace(
        "videos/fight.avi", "videos/1.avi"
    )
    assert "videos/1.avi: not there as spelt, and its place in doubt" in complaint(say(own, text))


def test_tracks_named_in_another_way_are_taken(own):
    (own.folder / "regions.csv").write_text(
        "video,track,frame,x0,y0,x1,y1\nFIGHT,a,1,2,3,4,5\nyard-01,a,1,2,3,4,5\n"
    )
    tracked = say(own, 'tracks = "regions.csv"\n' + MANIFEST)
    assert tracked.tracks()["video"].tolist() == ["fight", "yard-1"]


def test_a_manifest_with_a_byte_order_mark_is_read(own):
    (own.folder / "dataset.toml").write_bytes(MANIFEST.encode("utf-8-sig"))
    assert complaint(Folder(own.root)) == ""


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("utf-16", "written as UTF-16"), ("latin-1", "byte 0xe4, which is not UTF-8")],
)
def test_a_manifest_in_another_encoding_is_refused(own, encoding, told):
    (own.folder / "dataset.toml").write_bytes(
        MANIFEST.replace("the night shift", "die Nachtwächter").encode(encoding)
    )
    assert told in complaint(Folder(own.root))


def test_masks_of_another_size_are_refused(own):
    for path in (own.folder / "masks/yard").iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)[::2, ::2])
    assert "1.png: a mask: 16 x 12 where clip yard-1 has 32 x 24" in complaint(Folder(own.root))


def test_object_ids_in_masks_of_16_bits_count(own):
    expected = own.labels().videos["yard-1"]
    for path in (own.folder / "masks/yard").iterdir():
        cv2.imwrite(
            str(path), (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 0).astype(np.uint16) * 3
        )
    assert Folder(own.root).labels().videos["yard-1"].tolist() == expected.tolist()


# masks in MATLAB files, labels from regions


def mat_masks(count=4):
    """Masks of the yard: a square in the last two frames."""
    masks = np.zeros((24, 32, count), np.uint8)
    masks[4:10, 8:16, 2:] = 1
    return masks


def with_mat(own, **variables):
    """The yard's masks in a MATLAB file."""
    savemat(own.folder / "yard.mat", variables)
    return say(own, MANIFEST.replace("masks/yard", "yard.mat"))


@pytest.mark.parametrize("as_cells", [True, False])
def test_masks_may_be_in_a_matlab_file(own, as_cells):
    cells = np.empty((1, 4), object)
    for frame in range(4):
        cells[0, frame] = mat_masks()[:, :, frame]
    expected = own.labels().videos["yard-1"]
    found = with_mat(own, volLabel=cells if as_cells else mat_masks())
    assert found.labels().videos["yard-1"].tolist() == expected.tolist() == [0, 0, 1, 1]
    assert complaint(found) == ""


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"a": mat_masks(), "b": mat_masks()}, "variables a, b; expected one"),
        ({"a": mat_masks(3)}, "clip yard-1 has 4 frames and 3 masks"),
        ({"a": mat_masks().transpose(2, 0, 1)}, "a mask"),
        ({"a": mat_masks()[:, :, 0]}, r"a is uint8 of shape \(24, 32\)"),
        ({"a": mat_masks() * 0.5}, "fractions"),
        ({"a": "text"}, "expected a cell a frame"),
    ],
)
def test_other_matlab_files_are_refused(own, variables, told):
    assert re.search(told, complaint(with_mat(own, **variables)))


def test_a_matlab_file_that_is_cut_is_named(own):
    found = with_mat(own, a=mat_masks())
    path = own.folder / "yard.mat"
    path.write_bytes(path.read_bytes()[:300])
    assert re.search(r"yard\.mat: cannot be read", complaint(found))


REGIONS = "video,track,frame,x1,y1,x2,y2\nfight,0,2,1,1,9,9\nfight,0,3,1,1,9,9\n"
BY_REGIONS = MANIFEST.replace("anomalous = [[1, 2], [4, 4]]\n", "").replace(
    'labelled_by = "the night shift"', 'labels = "tracks"\ntracks = "regions.csv"'
)


def test_frames_with_a_region_are_anomalous_where_the_manifest_says_so(own):
    (own.folder / "regions.csv").write_text(REGIONS)
    found = say(own, BY_REGIONS)
    labels = found.labels()
    assert labels.videos["fight"].tolist() == [0, 0, 1, 1, 0, 0]
    assert (labels.name, labels.unknown) == ("own", ())
    assert labels.source == "dataset.toml: masks and regions"
    assert found.tracks()[["x0", "y0", "x1", "y1"]].to_numpy().tolist() == [[1, 1, 9, 9]] * 2
    check_events(found.events(), labels.videos, found.name)


def test_labels_from_regions_need_regions(own):
    with pytest.raises(BadInput, match='labels = "tracks" without tracks'):
        say(own, BY_REGIONS.replace('tracks = "regions.csv"', "")).labels()


def test_regions_lack_a_corner(own):
    (own.folder / "regions.csv").write_text(REGIONS.replace(",y2", "").replace(",9\n", "\n"))
    assert "no column y2" in complaint(say(own, BY_REGIONS))
