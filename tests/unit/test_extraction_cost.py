"""What a plan says of extractions that know their cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vadbench.features import litert, store
from vadbench.features.boxes.efficientdet import LABEL
from vadbench.features.packaged import CARRIED
from vadbench.features.stream import StreamPlan
from vadbench.plans.extraction import describe_extractions
from vadbench.plans.needs import Need, streams_read
from vadbench.plans.plan import plan_suite
from vadbench.plans.summary import list_features
from vadbench.suite import make_suite

BOXES = f"detector.{LABEL}"
STREAMS = (f"velocity@{BOXES}", f"pose.blazepose-full@{BOXES}", f"pose.blazepose-lite@{BOXES}")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights that take 20 ms a run; two threads."""
    pytest.importorskip("ai_edge_litert", reason="the extra `mobile` is not installed")
    from tflite_files import known_model

    monkeypatch.setenv("VADBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(litert.Model, "seconds", lambda self: 0.02)
    for name in CARRIED:
        known_model(tmp_path / f"{name}.tflite", 8, np.float32, [np.zeros((1, 1))])
    return tmp_path / "cache"


def needs(settings: dict[str, Any] | None = None) -> list[Need]:
    fields = {"methods": ("knn",), "datasets": ("ped2",), "features": STREAMS}
    if settings:
        fields["settings"] = settings  # type: ignore[assignment]
    jobs = plan_suite(make_suite(fields)).jobs
    return list(dict.fromkeys(need for job in jobs for need in streams_read(job)))


@pytest.fixture(autouse=True)
def ped2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ped2's counts, on a machine without its frames."""
    from vadbench.datasets.base import Video
    from vadbench.datasets.ped2 import Ped2

    def videos(self: Ped2, split: str) -> tuple[Video, ...]:
        return (Video("clip", split, 2550 if split == "train" else 2010),)  # type: ignore[arg-type]

    monkeypatch.setattr(Ped2, "videos", videos)


def store_boxes(plan: StreamPlan, cache: Path, objects: int) -> None:
    for split in ("train", "test"):
        folder = plan.boxes_folder(cache, split)  # type: ignore[arg-type]
        folder.parent.mkdir(parents=True, exist_ok=True)
        index = store.Index.of_counts(
            np.ones((objects, 4), np.float32), [np.array([objects], np.int64)]
        )
        store.write(folder, {"split": split, "videos": [["clip", 1]]}, index, None)


def test_boxes_are_told_once_and_poses_by_the_object(cache: Path) -> None:
    told = describe_extractions(needs(), cache)

    # 4560 frames x 6 tiles x 20 ms, on two threads
    assert list(told.values()) == ["boxes about 5 min", "10 ms an object", "10 ms an object"]


def test_tiles_cost_what_they_are(cache: Path) -> None:
    one = needs({"detector": {"tile_rows": 1, "tile_columns": 1}})
    both = needs({"detector": {"tile_rows": 2, "tile_columns": 2, "whole": True}})

    assert describe_extractions(one, cache)[one[0]] == "boxes about 46 s"
    assert describe_extractions(both, cache)[both[0]] == "boxes about 4 min"


def test_objects_that_are_stored_are_counted(cache: Path) -> None:
    wanted = needs()
    store_boxes(wanted[0].stream, cache, 3000)

    assert list(describe_extractions(wanted, cache).values()) == ["", "about 60 s", "about 60 s"]


def test_without_weights_nothing_is_known(cache: Path, tmp_path: Path) -> None:
    for name in CARRIED:
        (tmp_path / f"{name}.tflite").unlink()

    assert set(describe_extractions(needs(), cache).values()) == {""}


def test_a_plan_shows_it_beside_the_stream(cache: Path) -> None:
    fields = {"methods": ("knn",), "datasets": ("ped2",), "features": STREAMS[:2]}

    told = list_features(plan_suite(make_suite(fields)).jobs, set(), cache)

    assert told == (
        f"ped2 velocity@{BOXES}: boxes about 5 min",
        f"ped2 pose.blazepose-full@{BOXES}: 10 ms an object",
    )
