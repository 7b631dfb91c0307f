import numpy as np
import pytest

from vadbench.datasets.base import Labels
from vadbench.evaluation.evaluate import _scene_metrics


def test_each_scene_has_its_own_micro_auc():
    labels = Labels("toy", "toy", {name: np.array([0, 1], np.uint8) for name in ("a", "b", "c")})
    scores = np.array([0.0, 1.0, 5.0, 6.0, 1.0, 0.0])
    rows = _scene_metrics(scores, labels, {"a": "01", "b": "01", "c": "02"})
    values = {row["video"]: row["value"] for row in rows}
    assert values == {"scene:01": pytest.approx(0.75), "scene:02": 0.0}


def test_one_scene_needs_no_row():
    labels = Labels("toy", "toy", {"a": np.array([0, 1], np.uint8)})
    assert _scene_metrics(np.array([0.0, 1.0]), labels, {"a": "0"}) == []
