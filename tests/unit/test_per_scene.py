"""One training for each camera, training on another data set, and windows that score frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from vadbench_methods.gaussian import Gaussian
from vadbench_methods.knn import KNN

from vadbench import trainer
from vadbench.detector import DetectorInfo, Features
from vadbench.errors import BadInput
from vadbench.evaluation.frames import PartFrames
from vadbench.features import store
from vadbench.plans.plan import plan_suite
from vadbench.results.records import Results
from vadbench.runner.job import run_one_fit
from vadbench.runner.per_scene import PerScene, scene_checkpoint
from vadbench.suite import make_suite
from vadbench.training import LightningDetector, NeuralConfig

SCENES = ["01", "02", "01"]


def features(seed: int = 0, rows: int = 60) -> Features:
    """Rows of three videos; those of scene 02 lie elsewhere."""
    random = np.random.default_rng(seed)
    video = np.sort(random.integers(0, 3, rows)).astype(np.int32)
    x = random.normal(size=(rows, 2)) + 20 * (video == 1)[:, None]
    return Features(x.astype(np.float32), video, np.arange(rows, dtype=np.int32))


def per_scene() -> PerScene:
    return PerScene(lambda: Gaussian(Gaussian.Config(), seed=0), SCENES, ["02", "01", "01"])


def test_each_scene_is_scored_by_the_detector_of_its_own_rows() -> None:
    train, test = features(), features(1)
    together = per_scene()
    together.fit(train)

    scores = together.score(test)

    for scene, train_videos, test_videos in (("01", [0, 2], [1, 2]), ("02", [1], [0])):
        alone = Gaussian(Gaussian.Config(), seed=0)
        alone.fit(train.rows(np.isin(train.video, train_videos)))
        here = np.isin(test.video, test_videos)
        assert np.array_equal(scores[here], alone.score(test.rows(here))), scene
    assert together.score_normal(train).shape == (60, 1)
    assert together.parameter_count() == 2 * alone.parameter_count()


def test_a_tested_scene_without_training_rows_is_named() -> None:
    detector = PerScene(lambda: KNN(KNN.Config(), seed=0), ["01"] * 3, ["01", "07", "01"])

    with pytest.raises(BadInput, match="scene 07 is tested and has no training row"):
        detector.fit(features())


def test_rows_of_a_scene_that_none_was_fitted_to_are_refused() -> None:
    detector = PerScene(lambda: KNN(KNN.Config(), seed=0), ["01", "07", "01"], ["01"] * 3)
    train = features()
    detector.fit(train.rows(np.flatnonzero(train.video != 1)))
    with pytest.raises(BadInput, match="scene 07 has rows to score, and had none to learn from"):
        detector.score_normal(train)


def test_a_frame_between_two_windows_takes_the_nearer_ones_score() -> None:
    rows = {
        "train_scores": np.array([[1.0], [2.0]]),
        "train_video": np.zeros(2, np.int32),
        "train_frame": np.array([0, 4]),
        "test_scores": np.array([[5.0], [9.0], [3.0], [7.0]]),
        "test_video": np.array([0, 0, 1, 1]),
        "test_frame": np.array([1, 5, 0, 0]),  # two crops of one window: the higher counts
        "test_windows": np.ones(1, bool),
    }
    maxima = PartFrames.of_rows(rows, np.array([7, 2])).maxima[:, 0]

    assert maxima.tolist() == [5, 5, 5, 5, 9, 9, 9, 7, 7]


class Noisy(LightningDetector):
    """Learns with noise; the user presses Ctrl-C at a step of all scenes' together."""

    Config = NeuralConfig
    info = DetectorInfo("noisy", "Noisy", "none", deterministic=False)
    ends_at: int | None = None
    steps = 0

    def build(self, dim: int) -> nn.Module:
        return nn.Sequential(nn.Linear(dim, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, dim))

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        Noisy.steps += 1
        if Noisy.steps == Noisy.ends_at:
            raise KeyboardInterrupt
        noise = torch.randn_like(batch)
        loss: torch.Tensor = (self.net(batch + noise) + noise).square().mean()
        return loss

    def anomaly(self, batch: torch.Tensor) -> torch.Tensor:
        score: torch.Tensor = self.net(batch).square().sum(1, keepdim=True)
        return score


def train_networks(path: Path | None, ends_at: int | None = None) -> tuple[PerScene, int]:
    """Networks of two scenes, ten steps each, and how many steps that took."""
    config = NeuralConfig(epochs=5, batch_size=32, progress="off", device="cpu", max_steps=10)
    networks = PerScene(lambda: Noisy(config, seed=1), SCENES, ["02", "01", "01"], path)
    Noisy.steps, Noisy.ends_at = 0, ends_at
    if ends_at is None:
        networks.fit(features(rows=120))
    else:
        with pytest.raises(KeyboardInterrupt):
            networks.fit(features(rows=120))
    return networks, Noisy.steps


@pytest.mark.parametrize("ends", [[4], [14], [7, 9, 3]], ids=str)
def test_each_scenes_network_goes_on_where_it_stood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: list[int]
) -> None:
    monkeypatch.setattr(trainer.Keeper, "COPIES", 0.0)
    whole, steps = train_networks(None)
    path = tmp_path / "kept" / "fit.safetensors"
    left = steps

    for ends_at in ends:
        train_networks(path, ends_at)
        left -= ends_at - 1
    again, taken = train_networks(path)

    assert taken == left
    assert again.seconds_before > 0
    for rows in (features(1), features(rows=120)):
        assert np.array_equal(again.score(rows), whole.score(rows))
    train = features(rows=120)
    assert np.array_equal(again.score_normal(train), whole.score_normal(train))
    assert len(list(path.parent.iterdir())) == 2  # until the record is written


def test_a_damaged_network_of_a_scene_is_trained_again(tmp_path: Path) -> None:
    path = tmp_path / "fit.safetensors"
    whole, steps = train_networks(path)
    assert train_networks(path)[1] == 0
    for kept in tmp_path.iterdir():
        kept.write_bytes(kept.read_bytes()[:-3] + b"xyz")
    again, taken = train_networks(path)
    assert taken == steps
    assert np.array_equal(again.score(features(1)), whole.score(features(1)))


def test_scenes_of_any_name_have_files_of_their_own(tmp_path: Path) -> None:
    names = ["01", "1", "../up", "a/b", "", "\udcff", "x" * 5000]
    paths = {scene_checkpoint(tmp_path / "fit.safetensors", name) for name in names}
    assert len(paths) == len(names)
    assert {path.parent for path in paths} == {tmp_path}


def put(cache: Path, dataset: str, fingerprint: str, split: str, columns: list[str]) -> None:
    index = store.Index(
        np.zeros(4, np.int32),
        np.arange(4, dtype=np.int32),
        np.arange(4),
        np.zeros((4, 4), np.float32),
    )
    described = {
        "columns": columns,
        "extractor": {"name": "velocity"},
        "videos": [["v", 4]],
        "split": split,
        "scenes": ["0"],
    }
    x = np.random.default_rng(0).normal(size=(4, len(columns))).astype(np.float32)
    folder = cache / dataset / fingerprint / split
    folder.parent.mkdir(parents=True, exist_ok=True)
    store.write(folder, described, index, [x], len(columns))


@pytest.mark.parametrize(("columns", "status"), [(["a", "b"], "done"), (["a", "c"], "failed")])
def test_a_job_trained_elsewhere_needs_the_same_features(
    tmp_path: Path, columns: list[str], status: str
) -> None:
    (job,) = plan_suite(
        make_suite({"methods": ("gaussian",), "datasets": ("synthetic",), "train_on": "ped2"})
    ).jobs
    assert job.source is not None
    put(
        tmp_path / "cache",
        f"synthetic@{job.revision}",
        f"velocity@{job.stream.fingerprint}",
        "test",
        columns,
    )
    put(
        tmp_path / "cache",
        f"synthetic@{job.revision}",
        f"velocity@{job.stream.fingerprint}",
        "train",
        columns,
    )
    put(
        tmp_path / "cache",
        f"ped2@{job.source.revision}",
        f"velocity@{job.source.stream.fingerprint}",
        "train",
        ["a", "b"],
    )

    ((_, record),) = run_one_fit(
        [job], Results(tmp_path / "results"), tmp_path / "cache", quiet=True
    )

    assert record.status == status, record.error
    assert status == "done" or "train_on needs the same features" in str(record.error)
