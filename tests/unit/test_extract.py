"""Videos to cached features: names, fingerprints, and extractions that are interrupted, repeated
and refused.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadbench.datasets.base import SPLITS, Check, Dataset, Labels, Split, Video
from vadbench.errors import BadInput
from vadbench.features import extract, store
from vadbench.features.extract import Extraction, ensure
from vadbench.features.extractors.velocity import Velocity
from vadbench.features.names import StreamName
from vadbench.features.of_clip import VectorsOfClip
from vadbench.features.parts import parts_of
from vadbench.features.stream import StreamPlan, open_stream, plan_stream

HEIGHT, WIDTH = 48, 72


class Moving(Dataset):
    """A textured patch over a still texture; each decoded clip is logged in `<root>/decoded`."""

    name = "moving"
    revision = "1"
    generated = True  # in memory, no file to compare
    counts: dict[Split, tuple[int, ...]] = {"train": (6, 4, 5), "test": (5, 3)}

    def videos(self, split: Split) -> tuple[Video, ...]:
        return tuple(
            Video(f"{split}{number}", split, frames)
            for number, frames in enumerate(self.counts[split])
        )

    def read(self, video: Video) -> Any:
        with (self.root / "decoded").open("a") as log:
            log.write(f"{video.name}\n")
        random = np.random.default_rng(len(video.name) + video.frames)
        clip = np.repeat(
            random.integers(90, 110, (1, HEIGHT, WIDTH), np.uint8), video.frames, axis=0
        )
        patch = random.choice(np.array([0, 240], np.uint8), (12, 8))
        for t in range(video.frames):
            clip[t, 16:28, 6 + 8 * t : 14 + 8 * t] = patch
        return iter(clip)

    def decoded(self) -> list[str]:
        return (self.root / "decoded").read_text().split()

    def labels(self) -> Labels:
        raise NotImplementedError

    def check(self) -> list[Check]:
        return []


@pytest.fixture
def dataset(tmp_path: Path) -> Moving:
    (tmp_path / "data").mkdir()
    return Moving(tmp_path / "data")


def contents(cache: Path) -> dict[str, bytes]:
    """Every file that is read later, by its path in the cache."""
    return {
        str(path.relative_to(cache)): path.read_bytes()
        for path in cache.rglob("*")
        if path.is_file() and not path.name.startswith(".lock")
    }


# names and plans


def test_the_canonical_name_leaves_out_what_is_the_default() -> None:
    canonical = {
        "velocity": "velocity",
        "velocity.stats@foreground": "velocity",
        "velocity.hof8": "velocity.hof8",
        "velocity@grid": "velocity@grid",
        "velocity.hof1@file.vec": "velocity.hof1@file.vec",
    }
    for text, name in canonical.items():
        assert str(StreamName.parse(text, "foreground")) == name
    assert str(StreamName.parse("velocity@grid", "grid")) == "velocity"
    assert str(StreamName.parse("velocity", "")) == "velocity"


@given(
    st.sampled_from(Velocity.variants),
    st.sampled_from(["grid", "foreground", "file.vec", "file.a-b_1"]),
    st.sampled_from(["grid", "foreground"]),
)
def test_a_name_read_again_is_the_same(variant: str, provider: str, default: str) -> None:
    name = StreamName("velocity", variant, provider, default)

    assert StreamName.parse(str(name), default) == name


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("velocty", "unknown extractor 'velocty': .*did you mean velocity"),
        (
            "velocity.hof9",
            "unknown variant of velocity 'hof9': choose from hof1, hof8, stats; did you mean",
        ),
        ("velocity@grd", "unknown boxes 'grd': choose from [a-z, ]*; did you mean grid"),
        ("velocity@file", "for example file.vec"),
        ("velocity@grid.x", "grid alone, it takes no label"),
        ("velocity@file.a.b", "for example file.vec"),
        ("velocity@../x", "expected extractor"),
        ("velocity@", "expected extractor"),
        ("velocity.", "expected extractor"),
        ("Velocity", "expected extractor"),
        ("velocity@file.V", "expected extractor"),
        ("", "expected extractor"),
    ],
)
def test_a_wrong_name_gives_one_line(text: str, told: str) -> None:
    with pytest.raises(BadInput, match=told) as error:
        StreamName.parse(text, "foreground")
    assert "\n" not in str(error.value)


def test_names_import_nothing_heavy() -> None:
    script = (
        "import sys, vadbench.features.names; print([m for m in ('cv2', 'torch', 'pandas',"
        " 'pyarrow', 'sklearn') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert found.stdout.strip() == "[]"


def test_the_fingerprint_follows_what_decides_the_features_alone(dataset: Moving) -> None:
    def fingerprint(stream: str, **settings: dict[str, Any]) -> str:
        return plan_stream(dataset, stream, settings).fingerprint

    plain = fingerprint("velocity")
    assert len(plain) == 12
    assert plain == fingerprint(
        "velocity.stats@foreground", velocity={"flow": "fast"}, grid={"step": 7}, mulde={"beta": 1}
    )
    changed = [
        fingerprint("velocity@grid"),
        fingerprint("velocity@grid", grid={"step": 7}),
        fingerprint("velocity.hof1"),
        fingerprint("velocity", velocity={"flow": "medium"}),
        fingerprint("velocity", foreground={"threshold": 21}),
    ]
    assert len({plain, *changed}) == 6
    # hof looks at the whole box
    assert fingerprint("velocity.hof1") == fingerprint("velocity.hof1", velocity={"pixels": "all"})
    assert fingerprint("velocity@grid") == fingerprint(
        "velocity@grid", velocity={"pixels": "all", "threshold": 30}
    )
    assert plain == fingerprint("velocity", velocity={"pixels": "foreground"})


def test_settings_may_come_as_text(dataset: Moving) -> None:
    assert plan_stream(dataset, "velocity@grid", {"grid": {"step": "7"}}) == plan_stream(
        dataset, "velocity@grid", {"grid": {"step": 7.0}}
    )


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"velocity": {"flo": "medium"}},
            "velocity: unknown field 'flo': choose from enlarge_below, flow, .*did you mean flow",
        ),
        (
            {"velocity": {"flow": "best"}},
            r"velocity: flow: .*'ultrafast', 'fast', 'medium', 'farneback' or 'raft', got 'best'",
        ),
        ({"foreground": {"min_area": -1}}, r"foreground: min_area: .*greater than 0, got -1"),
    ],
)
def test_a_wrong_option_names_the_fields(
    dataset: Moving, settings: dict[str, dict[str, Any]], told: str
) -> None:
    with pytest.raises(BadInput, match=told):
        plan_stream(dataset, "velocity", settings)


# extraction


@pytest.mark.parametrize("stream", ["velocity", "velocity.hof8@grid"])
def test_both_splits_are_extracted_and_joined_on_object_id(
    dataset: Moving, tmp_path: Path, stream: str
) -> None:
    plan = plan_stream(dataset, stream, {})
    ensure(dataset, plan, tmp_path / "cache", quiet=True)

    for split in SPLITS:
        found = open_stream("moving@1", plan, tmp_path / "cache", split)
        boxes = plan.boxes_folder(tmp_path / "cache", split)
        index = store.read_index(boxes, store.read_manifest(boxes))
        assert found.lengths == {video.name: video.frames for video in dataset.videos(split)}
        assert len(found.features) == len(index) > 0
        assert np.array_equal(found.object_id, index.object_id)
        assert found.manifest["extractor"] == plan.extractor
        assert found.manifest["boxes"]["fingerprint"] == plan.boxes_fingerprint
        assert found.manifest["libraries"]["numpy"] == np.__version__
    assert not list(tmp_path.rglob(".parts*"))


def test_the_motion_is_found_where_it_is(dataset: Moving, tmp_path: Path) -> None:
    plan = plan_stream(dataset, "velocity", {})
    ensure(dataset, plan, tmp_path / "cache", quiet=True)

    features = open_stream("moving@1", plan, tmp_path / "cache", "train").features
    box = features.box
    assert box is not None
    for frame in range(6):  # the patch, larger than a person of so small a frame, is several tiles
        tiles = box[(features.video == 0) & (features.frame == frame)]
        np.testing.assert_allclose(
            [*tiles[:, :2].min(0), *tiles[:, 2:].max(0)],
            [6 + 8 * frame, 16, 14 + 8 * frame, 28],
            atol=1,
        )
    np.testing.assert_array_equal(features.x[:, 4:], box[:, 2:] - box[:, :2])


def test_streams_share_their_boxes_and_nothing_is_extracted_twice(
    dataset: Moving, tmp_path: Path
) -> None:
    ensure(dataset, plan_stream(dataset, "velocity", {}), tmp_path / "cache", quiet=True)
    assert len(dataset.decoded()) == 5  # five clips, for boxes and for vectors at once
    ensure(dataset, plan_stream(dataset, "velocity", {}), tmp_path / "cache", quiet=True)
    assert len(dataset.decoded()) == 5
    ensure(dataset, plan_stream(dataset, "velocity.hof1", {}), tmp_path / "cache", quiet=True)
    assert len(dataset.decoded()) == 10


@pytest.mark.parametrize("processes", [None, 1, 2])
def test_one_pass_makes_what_one_stage_after_the_other_makes(
    dataset: Moving, tmp_path: Path, processes: int | None
) -> None:
    plan = plan_stream(dataset, "velocity", {})
    apart = Extraction(dataset, plan, tmp_path / "apart", quiet=True, processes=1)
    for split in ("train", "test"):
        apart.boxes(split, dataset.videos(split))
        apart.vectors(split, dataset.videos(split))
    ensure(dataset, plan, tmp_path / "once", quiet=True, processes=processes)
    assert contents(tmp_path / "once") == contents(tmp_path / "apart")


@pytest.mark.parametrize("stage", ["folder", "boxes_folder"])
def test_what_a_kill_has_left_beside_a_finished_stage_is_removed(
    dataset: Moving, tmp_path: Path, stage: str
) -> None:
    plan = plan_stream(dataset, "velocity", {})
    ensure(dataset, plan, tmp_path, quiet=True)
    before = contents(tmp_path)
    parts_of(getattr(plan, stage)(tmp_path, "test")).keep_those_of("files")
    assert list(tmp_path.rglob(".parts*"))
    ensure(dataset, plan, tmp_path, quiet=True)
    assert not list(tmp_path.rglob(".parts*"))
    assert contents(tmp_path) == before


def test_boxes_that_are_removed_among_the_vectors_are_found_again(
    dataset: Moving, tmp_path: Path
) -> None:
    plan, cache = plan_stream(dataset, "velocity", {}), tmp_path / "cache"
    ensure(dataset, plan, tmp_path / "whole", quiet=True)
    work = Extraction(dataset, plan, cache, quiet=True, processes=1)
    videos = dataset.videos("train")
    work.boxes("train", videos)
    parts = parts_of(plan.folder(cache, "train"))
    vectors = VectorsOfClip(dataset, plan, plan.boxes_folder(cache, "train"))
    parts.keep_those_of("")
    parts.write(0, vectors(0, videos[0], lambda frames: None))
    shutil.rmtree(plan.boxes_folder(cache, "train"))

    ensure(dataset, plan, cache, quiet=True)
    assert contents(cache) == contents(tmp_path / "whole")


def test_many_frames_are_shared_out_among_the_cores(
    dataset: Moving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "count_cores", lambda: 3)
    videos = dataset.videos("train")

    def clips(stream: str) -> int:
        plan = plan_stream(dataset, stream, {})
        work = Extraction(dataset, plan, tmp_path, quiet=True, processes=None)
        return work.clips_at_a_time(videos)

    assert clips("velocity") == 1  # too few frames
    monkeypatch.setattr(extract, "WORTH_PROCESSES", 10)
    assert clips("velocity") == 3
    assert clips("velocity@grid") == 3
    assert clips("deep") == 1  # a network


def test_an_interrupted_extraction_goes_on_at_its_clip(dataset: Moving, tmp_path: Path) -> None:
    class Interrupted(Moving):
        def read(self, video: Video) -> Any:
            if video.name == "train2":
                raise KeyboardInterrupt
            return super().read(video)

    plan = plan_stream(dataset, "velocity", {})
    (dataset.root / "decoded").touch()
    with pytest.raises(KeyboardInterrupt):
        ensure(Interrupted(dataset.root), plan, tmp_path / "cache", quiet=True)
    (dataset.root / "decoded").write_text("")
    with pytest.raises(BadInput, match="not there; make them with"):
        open_stream("moving@1", plan, tmp_path / "cache", "train")

    ensure(dataset, plan, tmp_path / "cache", quiet=True)
    assert dataset.decoded() == ["train2", "test0", "test1"]
    ensure(dataset, plan, tmp_path / "whole", quiet=True)
    assert contents(tmp_path / "cache") == contents(tmp_path / "whole")


SCRIPT = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_extract import Moving, ensure, plan_stream
dataset, cache = Moving(Path({root!r})), Path({cache!r})
{before}
ensure(dataset, plan_stream(dataset, "velocity", {{}}), cache)
"""


def start(dataset: Moving, cache: Path, before: str) -> subprocess.Popen[bytes]:
    script = SCRIPT.format(
        tests=str(Path(__file__).parent), root=str(dataset.root), cache=str(cache), before=before
    )
    return subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)


@pytest.mark.parametrize(
    "flush",
    [
        pytest.param(1, marks=pytest.mark.slow),  # within the first part
        pytest.param(8, marks=pytest.mark.slow),  # the boxes' manifest
        9,  # all of the boxes, not yet renamed
        13,  # the boxes are there, the vectors not yet
        pytest.param(26, marks=pytest.mark.slow),  # the other split's vectors
    ],
)
def test_kill_9_at_any_flush_is_resumed_to_the_same_bytes(
    dataset: Moving, tmp_path: Path, flush: int
) -> None:
    killer = f"""
real, calls = os.fsync, iter(range(1, 999))
def fsync(file):
    return os.kill(os.getpid(), signal.SIGKILL) if next(calls) == {flush} else real(file)
os.fsync = fsync
"""
    plan, cache, whole = (
        plan_stream(dataset, "velocity", {}),
        tmp_path / "cache",
        tmp_path / "whole",
    )
    ensure(dataset, plan, whole, quiet=True)

    assert start(dataset, cache, killer).wait() == -signal.SIGKILL
    assert contents(cache) != contents(whole)
    for folder in store.stored(cache):
        store.verify(folder)
    ensure(dataset, plan, cache, quiet=True)
    assert contents(cache) == contents(whole)


def test_two_processes_extract_once(dataset: Moving, tmp_path: Path) -> None:
    """The first waits at its first clip until the second has said that it waits."""
    began, go = tmp_path / "began", tmp_path / "go"
    gate = f"""
real, began, go = Moving.read, Path({str(began)!r}), Path({str(go)!r})
def gated(self, video):
    began.touch()
    while not go.exists():
        time.sleep(0.02)
    return real(self, video)
Moving.read = gated
"""
    first = start(dataset, tmp_path / "cache", gate)
    while not began.exists() and first.poll() is None:
        time.sleep(0.02)
    second = start(dataset, tmp_path / "cache", gate)
    assert second.stderr is not None
    waiting = second.stderr.readline()
    go.touch()
    told = first.communicate()[1] + second.communicate()[1]

    assert b"another process extracts this; waiting for it" in waiting
    assert [first.returncode, second.returncode] == [0, 0]
    assert sorted(dataset.decoded()) == sorted(
        video.name for split in SPLITS for video in dataset.videos(split)
    )
    assert b"frames/s" in told


def test_a_full_disk_gives_one_line_and_the_next_run_continues(
    dataset: Moving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_stream(dataset, "velocity", {})
    real, calls = os.fsync, iter(range(1000))

    def full(file: int) -> None:
        if next(calls) > 4:
            raise OSError(28, "No space left on device")
        real(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(BadInput, match="the disk is full") as error:
            ensure(dataset, plan, tmp_path / "cache", quiet=True)
    assert "\n" not in str(error.value)

    ensure(dataset, plan, tmp_path / "cache", quiet=True)
    ensure(dataset, plan, tmp_path / "whole", quiet=True)
    assert contents(tmp_path / "cache") == contents(tmp_path / "whole")


# refusals


def test_nan_is_refused_with_clip_and_column(
    dataset: Moving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Velocity.extract

    def broken(self: Velocity, footage: Any, objects: Any, advance: Any) -> Any:
        rows = real(self, footage, objects, advance)
        if footage.video.name == "train1":
            rows.x[1, 2] = np.nan
        return rows

    monkeypatch.setattr(Velocity, "extract", broken)
    plan = plan_stream(dataset, "velocity", {})
    with pytest.raises(
        BadInput, match="moving train clip train1: velocity column mean_abs_u is nan in row 1"
    ):
        ensure(dataset, plan, tmp_path / "cache", quiet=True)
    assert not plan.folder(tmp_path / "cache", "train").exists()


def with_counts(dataset: Moving, train: tuple[int, ...]) -> Moving:
    class Other(Moving):
        counts = {"train": train, "test": (5, 3)}

    return Other(dataset.root)


def test_an_empty_clip_is_refused(dataset: Moving, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="train clip train1 has no frames"):
        ensure(
            with_counts(dataset, (6, 0)), plan_stream(dataset, "velocity", {}), tmp_path, quiet=True
        )


def test_a_clip_that_decodes_to_another_length_is_refused(dataset: Moving, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="train clip train0 decodes to 5 frames, expected 6"):
        ensure(Short(dataset.root), plan_stream(dataset, "velocity", {}), tmp_path, quiet=True)


def test_training_videos_without_any_object_are_refused(dataset: Moving, tmp_path: Path) -> None:
    plan = plan_stream(dataset, "velocity", {"foreground": {"min_area": 1e6}})

    with pytest.raises(
        BadInput,
        match="boxes foreground finds no object in all 3 training clips; lower its thresholds",
    ):
        ensure(dataset, plan, tmp_path, quiet=True)


def test_features_of_other_videos_are_refused(dataset: Moving, tmp_path: Path) -> None:
    plan = plan_stream(dataset, "velocity", {})
    ensure(dataset, plan, tmp_path, quiet=True)

    with pytest.raises(
        BadInput,
        match=(
            r"are of other videos \(train1 had 4 frames and now has 5\); `vadbench features extract"
            r" .*--again`"
        ),
    ):
        ensure(with_counts(dataset, (6, 5, 5)), plan, tmp_path, quiet=True)


def test_a_damaged_cache_is_named_and_not_extracted_over(dataset: Moving, tmp_path: Path) -> None:
    plan: StreamPlan = plan_stream(dataset, "velocity", {})
    ensure(dataset, plan, tmp_path, quiet=True)
    path = plan.folder(tmp_path, "test") / "x.npy"
    path.write_bytes(path.read_bytes()[:-4])

    with pytest.raises(BadInput, match=r"test/x\.npy: damaged"):
        ensure(dataset, plan, tmp_path, quiet=True)


def test_extracting_what_is_there_takes_next_to_no_time(dataset: Moving, tmp_path: Path) -> None:
    plan = plan_stream(dataset, "velocity", {})
    ensure(dataset, plan, tmp_path, quiet=True)

    began = time.process_time()
    ensure(dataset, plan, tmp_path, quiet=True)
    assert time.process_time() - began < 0.5


# several processes


class Deadly(Moving):
    """Kills its process at one clip, unless `<root>/tame` is there."""

    def read(self, video: Video) -> Any:
        if video.name == "train2" and not (self.root / "tame").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(video)


def test_a_killed_process_ends_the_extraction_which_then_goes_on(
    dataset: Moving, tmp_path: Path
) -> None:
    plan, deadly = plan_stream(dataset, "velocity", {}), Deadly(dataset.root)
    with pytest.raises(BadInput, match=r"killed from outside.*fewer --jobs"):
        ensure(deadly, plan, tmp_path / "cache", quiet=True, processes=2)

    (dataset.root / "tame").touch()
    ensure(deadly, plan, tmp_path / "cache", quiet=True, processes=2)
    ensure(dataset, plan, tmp_path / "whole", quiet=True)
    assert contents(tmp_path / "cache") == contents(tmp_path / "whole")


class Short(Moving):
    """A frame of each clip is missing."""

    def read(self, video: Video) -> Any:
        return list(super().read(video))[:-1]


def test_an_error_in_a_process_is_the_extractions(dataset: Moving, tmp_path: Path) -> None:
    plan = plan_stream(dataset, "velocity", {})
    with pytest.raises(BadInput, match=r"decodes to \d frames, expected"):
        ensure(Short(dataset.root), plan, tmp_path, quiet=True, processes=2)
