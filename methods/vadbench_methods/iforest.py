"""Isolation forest: how few random cuts isolate a row (Liu et al., ICDM 2008)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from vadbench.detector import COLUMNS, Detector, DetectorInfo, Features, MethodConfig

BLOCK = 16384  # rows that pass through all trees at a time


class IsolationForestConfig(MethodConfig):
    """Defaults are the paper's (Sec. 4) and scikit-learn's."""

    trees: PositiveInt = Field(100, description="trees, each grown on its own random rows")
    tree_rows: PositiveInt = Field(256, description="training rows a tree, at most all", ge=2)


class IsolationForest(Detector):
    """Anomaly score = 2^(-mean path length / c(tree rows)), between 0 and 1.

    scikit-learn grows the trees; they are kept and walked as plain arrays, because a scikit-learn
    forest can only be saved by pickle. The leaves of a tree point to themselves, so every row takes
    as many steps as the tree is deep.

    >>> from vadbench.testing import synthetic_rows
    >>> detector = IsolationForest(IsolationForestConfig(), seed=0)
    >>> detector.fit(synthetic_rows(400, videos=4, seed=0))
    >>> detector.score(synthetic_rows(100, videos=4, seed=1)).shape
    (100, 1)
    """

    Config = IsolationForestConfig
    info = DetectorInfo(
        "iforest",
        "Isolation forest",
        "Liu, Ting & Zhou, Isolation Forest, ICDM 2008",
        deterministic=False,
    )
    calibration = "minmax-p99.9"
    config: IsolationForestConfig
    forest: dict[str, NDArray[Any]]

    def fit(self, train: Features) -> None:
        """Grow the trees."""
        from sklearn.ensemble import IsolationForest as Forest

        train.require_rows(2)
        rows = min(self.config.tree_rows, len(train))
        model = Forest(
            n_estimators=self.config.trees, max_samples=rows, random_state=self.seed
        ).fit(train.x)
        trees = [flatten(estimator.tree_) for estimator in model.estimators_]
        nodes = [len(tree["feature"]) for tree in trees]
        offset = np.cumsum([0, *nodes])
        for tree, first in zip(trees, offset, strict=False):
            for side in ("left", "right"):
                tree[side] = tree[side] + first
        joined = {
            name: np.concatenate([tree[name] for tree in trees])
            for name in trees[0]
            if name != "depth"
        }
        depth = np.array([tree["depth"][0] for tree in trees])
        self.forest = {
            **joined,
            "root": offset[:-1],
            "depth": depth,
            "normal_path": average_path(np.array([rows])),
            COLUMNS: np.array([train.x.shape[1]]),
        }

    def score(self, test: Features) -> NDArray[np.float64]:
        """[N, 1] scores."""
        f = self.forest
        if COLUMNS in f:  # those that were saved before it was kept have none
            test.require_columns(int(f[COLUMNS][0]), self.info.name)
        out = np.empty((len(test), 1))
        for start in range(0, len(test), BLOCK):
            x = np.asarray(test.x[start : start + BLOCK])
            path, row = np.zeros(len(x)), np.arange(len(x))
            for root, depth in zip(f["root"], f["depth"], strict=True):
                node = np.full(len(x), root)
                for _ in range(depth):
                    node = np.where(
                        x[row, f["feature"][node]] <= f["threshold"][node],
                        f["left"][node],
                        f["right"][node],
                    )
                path += f["path"][node]
            out[start : start + BLOCK, 0] = 2.0 ** (-path / (len(f["root"]) * f["normal_path"][0]))
        return out

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Of every node: feature, threshold, children and path length; of every tree: root and
        depth; the number of columns.
        """
        return dict(self.forest)

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take up what `arrays` gave."""
        self.forest = dict(arrays)


def flatten(tree: Any) -> dict[str, NDArray[Any]]:
    """One scikit-learn tree as arrays over its nodes; `path` is what a row that ends there counts:
    the depth, and c(n) for the n rows left.
    """
    leaf = tree.children_left < 0
    own = np.arange(tree.node_count)
    left, right = np.where(leaf, own, tree.children_left), np.where(leaf, own, tree.children_right)
    level = np.zeros(tree.node_count)
    for node in own[~leaf]:  # a child's number is above its parent's
        level[[left[node], right[node]]] = level[node] + 1
    return {
        "feature": np.where(leaf, 0, tree.feature),
        "threshold": np.asarray(tree.threshold),
        "left": left,
        "right": right,
        "path": level + average_path(tree.n_node_samples),
        "depth": np.array([tree.max_depth]),
    }


def average_path(rows: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """c(n), Eq. 1: the mean path length of an unsuccessful search in a binary tree of n rows; 0 for
    one row, 1 for two.
    """
    n = np.maximum(rows, 3).astype(np.float64)
    long = 2 * (np.log(n - 1) + np.euler_gamma) - 2 * (n - 1) / n
    return np.where(rows <= 1, 0.0, np.where(rows == 2, 1.0, long))
