"""The built-in street: exact labels, the same pixels every time, written whole or not at all."""

import multiprocessing

import numpy as np
import pytest

from vadbench.datasets.cast import TEST, TRAIN, Script, cast
from vadbench.datasets.scene import HEIGHT, LEAST_VISIBLE, WIDTH, draw_background, render_clip
from vadbench.datasets.synthetic import Synthetic, instance_boxes
from vadbench.errors import BadInput


class ShortSynthetic(Synthetic):
    """Three clips of 12 frames: the anomalies of test08 are there from the first one."""

    length = 12
    scripts = {"train": TRAIN[:1], "test": (TEST[1], TEST[7])}


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    scene = ShortSynthetic(tmp_path_factory.mktemp("cache"))
    scene.make()
    return scene


@pytest.fixture
def own(tmp_path):
    """A scene that the test may damage."""
    scene = ShortSynthetic(tmp_path)
    scene.make()
    return scene


def findings(dataset):
    return {check.what: check.found for check in dataset.check() if not check.good}


def render(script, frames=12):
    return list(
        render_clip(cast(script, frames, Synthetic.seed), frames, draw_background(Synthetic.seed))
    )


def test_it_passes_its_check(short):
    assert findings(short) == {}


def test_frames_come_through_the_folder_reader(short):
    video = short.videos("train")[0]
    frames = short.frames(video)
    assert (frames.shape, frames.dtype) == ((12, HEIGHT, WIDTH), np.uint8)
    np.testing.assert_array_equal(frames, [image for image, _ in render(TRAIN[0])])


def test_the_same_seed_gives_the_same_bytes(short, tmp_path):
    again = ShortSynthetic(tmp_path)
    again.make()
    files = sorted(
        path.relative_to(short.folder) for path in short.folder.rglob("*") if path.is_file()
    )
    assert files == sorted(
        path.relative_to(again.folder) for path in again.folder.rglob("*") if path.is_file()
    )
    assert all(
        (short.folder / name).read_bytes() == (again.folder / name).read_bytes() for name in files
    )


def test_another_seed_gives_another_scene():
    background = draw_background(7)
    one, two = (next(render_clip(cast(TRAIN[0], 12, seed), 12, background))[0] for seed in (7, 8))
    assert (one != two).mean() > 0.5  # noise alone changes most pixels
    assert np.abs(one.astype(int) - two).max() > 40  # people stand elsewhere


def test_labels_tracks_and_masks_say_the_same(short):
    labels, tracks = short.labels(), short.tracks()
    for video in short.videos("test"):
        boxes = [instance_boxes(mask) for mask in short.masks(video)]
        np.testing.assert_array_equal(labels.videos[video.name], [bool(found) for found in boxes])
        rows = tracks[tracks["video"] == video.name].drop(columns="video").to_numpy().tolist()
        assert rows == [
            [number, frame, *box] for frame, found in enumerate(boxes) for number, box in found
        ]


def test_an_instance_shows_enough_pixels_or_none():
    for _, mask in render(TEST[7]):
        counts = np.bincount(mask.ravel(), minlength=4)[1:]
        assert ((counts == 0) | (counts >= LEAST_VISIBLE)).all()


def test_training_clips_are_normal(short):
    assert short.masks(short.videos("train")[0]) is None
    assert not any(mask.any() for _, mask in render(TRAIN[0]))


@pytest.mark.parametrize("script", TEST, ids=lambda script: script.name)
def test_every_scripted_anomaly_is_seen(script):
    alone = [actor for actor in cast(script, Synthetic.length, Synthetic.seed) if actor.instance]
    seen = {
        number
        for _, mask in render_clip(alone, Synthetic.length, draw_background(0))
        for number in np.unique(mask[mask > 0])
    }
    assert seen == set(range(1, len(script.anomalies) + 1))


def test_all_five_kinds_are_scripted():
    assert {anomaly.kind for script in TEST for anomaly in script.anomalies} == {
        "cyclist",
        "car",
        "runner",
        "wrong-direction",
        "thrown",
    }


def test_everybody_keeps_to_his_lane_in_training():
    for script in TRAIN:
        for walker in cast(script, Synthetic.length, Synthetic.seed):
            x0, y0 = walker.ground(0)
            x1, y1 = walker.ground(Synthetic.length)
            assert (x1 > x0) == (y0 > 93)  # the near lane walks to the right
            assert abs(y1 - y0) < 0.2 * abs(x1 - x0)


def test_near_actors_hide_far_ones():
    near, far = (
        actor
        for actor in cast(Script("a", "test", (TEST[2].anomalies[0], TEST[0].anomalies[0])), 12, 7)
        if actor.instance
    )
    together = [mask for _, mask in render_clip([near, far], 90, draw_background(0))]
    alone = [mask for _, mask in render_clip([far], 90, draw_background(0))]
    hidden = [
        frame
        for frame in range(90)
        if (together[frame] == far.instance).sum() < (alone[frame] == far.instance).sum()
    ]
    assert hidden
    assert all(
        (together[frame][alone[frame] == far.instance] == near.instance).any()
        for frame in hidden
        if together[frame].any()
    )


def test_it_is_made_once(own):
    before = (own.folder / "tracks.csv").stat().st_mtime_ns
    own.make()
    assert (own.folder / "tracks.csv").stat().st_mtime_ns == before


def test_what_a_killed_process_left_is_never_read(tmp_path):
    left = tmp_path / f"synthetic@{Synthetic.revision}" / "scene.partial"
    left.mkdir(parents=True)
    (left / "labels.csv").write_text("half")
    scene = ShortSynthetic(tmp_path)
    assert len(scene.videos("test")) == 2
    assert not left.exists()


def test_an_error_while_rendering_leaves_nothing(tmp_path):
    class Broken(ShortSynthetic):
        # the same folder twice: the second mkdir fails
        scripts = {"train": TRAIN[:1], "test": (Script("train01", "train"),)}

    scene = Broken(tmp_path)
    with pytest.raises(FileExistsError):
        scene.make()
    assert [path.name for path in scene.folder.parent.iterdir() if path.is_dir()] == []


def _videos(root):
    return [video.name for video in ShortSynthetic(root).videos("test")]


def test_two_processes_render_once(tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(_videos, [tmp_path] * 2, chunksize=1) == [["test02", "test08"]] * 2
    folder = ShortSynthetic(tmp_path).folder.parent
    assert [path.name for path in folder.iterdir() if path.is_dir()] == ["scene"]


def test_a_lost_frame_says_what_to_do(own):
    (own.folder / "test" / "test08" / "012.tif").unlink()
    with pytest.raises(
        BadInput, match=r"test08: 11 frames, 12 were rendered; delete .*scene, it is made again"
    ):
        own.videos("test")


def test_changed_pixels_are_found(own):
    frames = own.folder / "train" / "train01"
    (frames / "002.tif").write_bytes((frames / "001.tif").read_bytes())
    assert "pixels changed" in findings(own)["train frames as rendered"]


def test_a_truncated_frame_is_a_line_of_the_check(own):
    path = own.folder / "train" / "train01" / "003.tif"
    path.write_bytes(path.read_bytes()[:-1])
    assert "003.tif: truncated" in findings(own)["train frames as rendered"]


@pytest.mark.parametrize("name", ["labels.csv", "tracks.csv"])
def test_labels_and_tracks_that_were_changed_are_refused(own, name):
    path = own.folder / name
    path.write_text(path.read_text().replace("1", "0", 1))
    with pytest.raises(BadInput, match="damaged, not as it was written"):
        own.labels() if name == "labels.csv" else own.tracks()


def test_lost_labels_say_what_to_do(own):
    (own.folder / "labels.csv").unlink()
    with pytest.raises(BadInput, match=r"labels\.csv: cannot be read .*delete"):
        own.labels()


@pytest.mark.parametrize(
    ("kept", "told"), [(5, "4 labels of test02, expected 12"), (0, "cannot be read")]
)
def test_damaged_labels_are_refused(own, kept, told):
    (own.folder / "sha256.json").write_text("{}")  # as scenes had it that were rendered before
    path = own.folder / "labels.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:kept]))
    with pytest.raises(BadInput, match=told):
        own.labels()


@pytest.mark.slow
def test_the_whole_scene_is_as_described(tmp_path):
    scene = Synthetic(tmp_path)
    assert findings(scene) == {}
    labels = scene.labels().videos
    assert [len(scene.videos(split)) for split in ("train", "test")] == [8, 10]
    assert [name for name, values in labels.items() if values.all()] == ["test08"]
    assert [name for name, values in labels.items() if not values.any()] == ["test02", "test09"]
    assert 0.4 < scene.labels().flat().mean() < 0.7
