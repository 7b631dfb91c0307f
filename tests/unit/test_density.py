from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from vadbench_methods.gaussian import Gaussian
from vadbench_methods.iforest import IsolationForest

from vadbench.errors import BadInput
from vadbench.report.figures.density import BETWEEN, EDGE, SQUARE, draw, ranks, toy


def test_toy_is_normal_at_the_corners_and_anomalous_between_them() -> None:
    train, test, labels = toy(0)

    def nearest(x: np.ndarray, centres: np.ndarray) -> float:
        return float(np.linalg.norm(x[:, None] - centres, axis=2).min(1).max())

    assert nearest(train.x, SQUARE) < 1.3
    assert nearest(test.x[labels == 0], SQUARE) < 1.3
    assert nearest(test.x[labels == 1], BETWEEN) < 1.3
    assert np.abs(train.x).max() < EDGE
    assert labels.mean() == 0.5


def test_toy_depends_on_its_seed_alone() -> None:
    np.testing.assert_array_equal(toy(3)[0].x, toy(3)[0].x)
    assert not np.array_equal(toy(3)[0].x, toy(4)[0].x)


def test_ranks_keep_order_and_ties() -> None:
    np.testing.assert_allclose(
        ranks(np.array([[10.0, -1.0], [10.0, 400.0]])), [[0.5, 0.0], [0.5, 1.0]]
    )


def test_picture_has_a_panel_a_method(tmp_path: Path) -> None:
    picture = tmp_path / "new" / "maps.png"
    aucs = draw([Gaussian, IsolationForest], picture, seed=0)
    assert list(aucs) == ["Gaussian", "Isolation forest"]
    assert aucs["Gaussian"] < 0.2, (
        "one Gaussian takes the centre of the square for the most normal place"
    )
    pixels = imread(picture)
    assert pixels.shape[1] > pixels.shape[0] > 400
    assert len(np.unique((pixels[..., :3] * 255).astype(int).reshape(-1, 3), axis=0)) > 100


def test_unknown_method_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="unknown detector"):
        draw(["no-such-method"], tmp_path / "maps.png")
