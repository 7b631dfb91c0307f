"""A clip beside its reconstruction: what the film and the picture show, and what is refused."""

import shlex

import av
import cv2
import numpy as np
import pytest
from learnt import put_on_path
from typer.testing import CliRunner

pytest.importorskip("matplotlib")

from vadbench import registry
from vadbench.cli import app
from vadbench.datasets.open import open_dataset
from vadbench.errors import BadInput
from vadbench.features.extractors.reconstruction import Reconstruction
from vadbench.features.footage import Footage
from vadbench.features.stream import open_stream
from vadbench.locations import cache_root
from vadbench.report.video import reconstruction
from vadbench.report.video.comparison import (
    FOOT,
    GAP,
    HEAD,
    NARROW,
    SQUARE,
    Shown,
    colour_errors,
    draw_panel,
    draw_triple,
    film,
)
from vadbench.report.video.reconstruction import Which, gather, write_reconstruction

SETTINGS = {"itae": {"size": [16, 24], "width": 0.01, "steps": 3, "batch": 1, "losses": ["l2"]}}
WHICH = Which(settings=SETTINGS)
FRAMES = 20
WORDS = [f"--set=itae.{name}={value}".replace("'", '"') for name, value in SETTINGS["itae"].items()]


def call(*words):
    return CliRunner().invoke(app, [*words])


def write_clips(folder):
    """Two training clips and a test clip of frames of noise, and what they are."""
    entries = []
    for number, split in enumerate(("train", "train", "test")):
        clip = folder / f"{split}{number}"
        clip.mkdir(parents=True)
        for frame in range(FRAMES):
            chance = np.random.default_rng((number, frame))
            image = chance.integers(0, 255, (16, 24)).astype(np.uint8)
            assert cv2.imwrite(str(clip / f"{frame:03d}.png"), image)
        labels = "anomalous = [[4, 7]]\n" if split == "test" else ""
        entries.append(f'[[clip]]\npath = "{clip.name}"\nsplit = "{split}"\n{labels}')
    (folder / "dataset.toml").write_text("\n".join(entries))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data set and a network of it, trained once."""
    base = tmp_path_factory.mktemp("reconstruction")
    write_clips(base / "data" / "folder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VADBENCH_DATA", str(base / "data"))
        patch.setenv("VADBENCH_CACHE", str(base / "cache"))
        words = "features extract --datasets folder --features itae.error --quiet"
        done = call(*words.split(), *WORDS)
        assert done.exit_code == 0, done.output
    return base


@pytest.fixture(autouse=True)
def place(made, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(made / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(made / "cache"))


def write(out, **options):
    return write_reconstruction("folder", "test2", out, options.pop("which", WHICH), **options)


def read_pictures(start=0, end=FRAMES - 1):
    """Scores, the top of the scale and what the network makes of each frame of a stretch."""
    dataset = open_dataset("folder")
    extractor = reconstruction.read_extractor(WHICH.plan(dataset), "")
    with gather(extractor, Footage(dataset, dataset.videos("test")[0]), start, end, True) as kept:
        return kept.scores, kept.top, list(kept)


def sizes(path):
    with av.open(str(path)) as container:
        return [(frame.height, frame.width) for frame in container.decode(video=0)]


def test_the_film_has_every_frame_of_the_stretch(tmp_path):
    out = tmp_path / "new" / "a.mp4"
    caption = write(out, first=5, last=11)
    factor = -(-NARROW // 24)
    shape = (HEAD + 16 * factor + FOOT, 3 * 24 * factor + 2 * GAP)
    assert sizes(out) == [shape] * 7
    assert [path.name for path in out.parent.iterdir()] == ["a.mp4"]
    assert caption.startswith("test2 of folder, frames 5 to 11: frame, reconstruction and error")
    assert caption.endswith("Shaded: anomalous frames.")


def test_the_film_is_of_the_whole_clip_unless_told(tmp_path):
    write(tmp_path / "a.mp4")
    assert len(sizes(tmp_path / "a.mp4")) == FRAMES


def test_the_timeline_is_the_stream_that_methods_read():
    dataset = open_dataset("folder")
    plan = WHICH.plan(dataset)
    stream = open_stream(plan.dataset, plan, cache_root(), "test")
    scores, _, _ = read_pictures()
    np.testing.assert_array_equal(scores, stream.features.x[:, 0])


def test_a_stretch_is_as_in_the_whole_clip():
    whole, _, all_ = read_pictures()
    scores, _, some = read_pictures(6, 9)
    np.testing.assert_array_equal(scores, whole[6:10])
    for one, other in zip(some, all_[6:10], strict=True):
        np.testing.assert_array_equal(one.error, other.error)
        assert one.patch == other.patch


def test_what_does_not_fit_into_memory_is_the_same(monkeypatch):
    held = read_pictures()
    monkeypatch.setattr(reconstruction, "HELD", 1)
    kept = read_pictures()
    assert held[1] == kept[1]
    for one, other in zip(held[2], kept[2], strict=True):
        np.testing.assert_array_equal(one.reconstruction, other.reconstruction)


def test_the_square_lies_where_the_error_is_largest():
    _, _, pictures = read_pictures()
    for one in pictures:
        row, column, side = one.patch
        inside = one.error[row : row + side, column : column + side]
        assert inside.mean() == pytest.approx(one.error.max())  # squares of one pixel


@pytest.mark.parametrize("width", [80, 81, 361])
def test_the_square_is_drawn_around_its_pixels_in_all_three(width):
    error = np.zeros((40, width), np.float32)
    error[10:14, 30:34] = 1
    grey = np.full((40, width), 128, np.uint8)
    bright = [int(SQUARE[k : k + 2], 16) for k in (1, 3, 5)]
    factor = -(-NARROW // width)
    for image in draw_triple(Reconstruction(grey, grey, error, (10, 30, 4), 1.0), top=1.0):
        rows, columns = np.nonzero((abs(image.astype(int) - bright) <= 1).all(2))
        assert (rows.min(), columns.min()) == pytest.approx((10 * factor, 30 * factor), abs=4)
        assert (rows.max(), columns.max()) == pytest.approx((14 * factor, 34 * factor), abs=4)
        inside = image[10 * factor : 14 * factor, 30 * factor : 34 * factor]
        assert np.ptp(inside.reshape(-1, 3), axis=0).max() == 0, "the line hides what it is about"


def test_errors_have_one_scale():
    error = np.array([[0, 0.5, 1, 7]], np.float32)
    dark, middle, bright, above = colour_errors(error, 1.0)[0].astype(int)
    assert dark.sum() < middle.sum() < bright.sum()
    assert (bright == above).all()
    assert (colour_errors(np.zeros((2, 2), np.float32), 0.0) == dark).all()


def test_the_cursor_runs_on_the_frames_of_the_stretch():
    values = np.array([0.1, 0.4, 0.2])
    panel = draw_panel(Shown("t", "v", 60, values, 1.0, None), 900)
    assert (np.diff(panel.x) > 0).all()
    assert np.argmin(panel.y) == 1
    assert (panel.y >= panel.top).all()
    assert (panel.y <= panel.bottom).all()


def test_a_film_of_one_frame_without_any_error_can_be_drawn():
    black = np.zeros((16, 24), np.uint8)
    one = Reconstruction(black, black, np.zeros((16, 24), np.float32), (0, 0, 1), 0.0)
    (image,) = film(Shown("t", "v", 3, np.zeros(1), 0.0, None), [one])
    assert image.shape[0] % 2 == image.shape[1] % 2 == 0


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_picture_has_columns_of_frames(tmp_path, suffix):
    out = tmp_path / f"a{suffix}"
    write(out, first=2, last=12)
    assert out.stat().st_size > 5000
    if suffix == ".svg":
        text = out.read_text()
        assert [f"frame {k}<" in text for k in (2, 4, 6, 8, 10, 12, 3)] == [True] * 6 + [False]


def test_a_picture_shows_the_frames_that_are_named(tmp_path):
    assert reconstruction.choose_frames(0, 19, (9, 3, 9)) == [3, 9]
    write(tmp_path / "a.svg", frames=(9, 3))
    assert (tmp_path / "a.svg").read_text().count(">frame ") == 3  # and the axis of the timeline


def test_equal_pictures_are_equal_files(tmp_path):
    for name in "ab":
        write(tmp_path / f"{name}.png", frames=(3,))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"first": 15, "last": 40}, "--from 15 --to 40: .* whose 20 frames are 0 to 19"),
        ({"first": 9, "last": 8}, "--from 9 --to 8: no stretch"),
        ({"first": -1}, "--from -1 --to 19"),
        ({"frames": (3,)}, "--frames: of a picture"),
        ({"out": "a.gif"}, "expected a name that ends in .mp4"),
        ({"out": "a.png", "first": 5, "frames": (3,)}, "--frames 3: outside .* 5 to 19"),
        ({"out": "a.png", "frames": tuple(range(9))}, "9 frames; a picture has 8 at most"),
        ({"which": Which("velocity")}, "--features velocity: reconstructs nothing"),
        ({"which": Which("deep@import.mine")}, "reconstructs nothing"),
        ({"which": Which(settings={"knn": {"k": 3}})}, "unknown component in --set 'knn'"),
        ({"which": Which(settings={"itae": {"widht": 1}})}, "did you mean width"),
    ],
)
def test_what_cannot_be_shown_is_refused(tmp_path, options, text):
    with pytest.raises(BadInput, match=text):
        write(tmp_path / options.pop("out", "a.mp4"), **options)
    assert not list(tmp_path.iterdir())


def test_an_unknown_video_names_those_there_are(tmp_path):
    with pytest.raises(BadInput, match="unknown test video of folder 'test9': choose from test2"):
        write_reconstruction("folder", "test9", tmp_path / "a.mp4", WHICH)


def test_a_data_set_that_is_not_here_says_so(tmp_path):
    with pytest.raises(BadInput, match="vadbench data fetch ped2"):
        write_reconstruction("ped2", "Test004", tmp_path / "a.mp4", WHICH)


def test_a_network_that_was_not_trained_names_the_command_that_trains_it(made, monkeypatch):
    done = call("show", "folder", "test2", "--what=reconstruction", "--seed=2", *WORDS)
    assert isinstance(done.exception, BadInput)
    text = str(done.exception)
    assert "\n" not in text
    command = text.partition("; vadbench ")[2].removesuffix(" trains it")
    assert command.startswith("features extract --datasets folder --features itae.error --set")
    assert command.endswith("--seeds 3")
    monkeypatch.setenv("VADBENCH_CACHE", str(made / "other"))
    assert call(*shlex.split(command), "--quiet").exit_code == 0
    plan = Which(settings=SETTINGS, seed=2).plan(open_dataset("folder"))
    assert plan.network_folder(made / "other").is_dir()


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    def broken(*_):
        raise BadInput("no more")

    monkeypatch.setattr("vadbench.report.video.comparison.draw_cursor", broken)
    with pytest.raises(BadInput, match="no more"):
        write(tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


def test_any_learnt_extractor_that_reconstructs_can_be_shown(
    tmp_path, tmp_path_factory, monkeypatch
):
    put_on_path(tmp_path_factory.mktemp("package"), monkeypatch)
    try:
        which = Which("frame-code", {"frame-code": {"steps": 2}})
        with pytest.raises(BadInput, match="--features frame-code: reconstructs nothing"):
            write(tmp_path / "a.mp4", which=which)

        def reconstruct(self, footage):
            for frame in footage.grey():
                error = np.zeros(frame.shape, np.float32)
                yield Reconstruction(frame, frame, error, (0, 0, 3), 0.5)

        loaded = registry.load("extractors", "frame-code")
        monkeypatch.setattr(loaded, "reconstruct", reconstruct, raising=False)
        words = "features extract --datasets folder --features frame-code --set frame-code.steps=2"
        assert call(*words.split(), "--quiet").exit_code == 0
        write(tmp_path / "a.mp4", which=which, last=3)
        assert len(sizes(tmp_path / "a.mp4")) == 4
    finally:
        registry._entries.cache_clear()


# the command line


def test_the_command_writes_a_film(tmp_path):
    words = ["show", "folder", "test2", "--what", "reconstruction", "--from", "4", "--to", "6"]
    done = call(*words, *WORDS, "--out", str(tmp_path / "a.mp4"))
    assert done.exit_code == 0, done.output
    assert len(sizes(tmp_path / "a.mp4")) == 3


def test_the_command_writes_a_picture(tmp_path):
    words = ["show", "folder", "test2", "--what=reconstruction", "--frames=3, 9"]
    done = call(*words, *WORDS, "--out", str(tmp_path / "a.png"))
    assert done.exit_code == 0, done.output
    assert (tmp_path / "a.png").is_file()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--what=reconstruction --method=knn", "not --method or --record"),
        ("--what=reconstruction --frames=a", "--frames 'a': expected frame numbers"),
        ("--method=knn --from=3", "go with --what reconstruction"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words, text):
    done = call("show", "folder", "test2", *words.split())
    assert isinstance(done.exception, BadInput)
    assert text in str(done.exception)
