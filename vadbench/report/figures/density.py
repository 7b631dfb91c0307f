"""The 2-D picture: every method's anomaly map on a toy where the norm of the score fails and the
log-density does not (MULDE, Fig. 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vadbench.detector import Detector, Features, Nature
from vadbench.files.atomic import replace_file
from vadbench.files.printable import visible
from vadbench.registry import load, names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SQUARE = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * 2.0  # where the normal rows' modes lie
# the stationary points between them
BETWEEN = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]) * 2.0
SPREAD = 0.25  # standard deviation around both
EDGE, CELLS = 3.4, 160  # the map covers [-EDGE, EDGE]^2
# drawn beside a method's own score: it shows what the noise scales themselves see
READ_OUTS = {"mean": "mean over scales"}
STEPS = 500  # of an optimiser, at most: two dimensions need no more
COLUMNS = 4


@dataclass(frozen=True)
class Map:
    """One panel: a method's scores over the plane, and how well they separate the toy's test rows.

    Attributes:
        title: the method, and which of its scores.
        scores: [CELLS, CELLS] float64, by rows of equal ordinate.
        auc: between 0 and 1.
    """

    title: str
    scores: NDArray[np.float64]
    auc: float


def toy(
    seed: int, train: int = 4000, test: int = 1000
) -> tuple[Features, Features, NDArray[np.uint8]]:
    """Normal rows from 4 Gaussians at the corners of a square; anomalies at its centre and between
    neighbouring corners.

    Args:
        seed: of the draw.
        train: normal training rows.
        test: test rows of each kind; the normal ones come first.

    Returns:
        The training rows, the test rows and the labels [2 test], 1 = anomalous.
    """
    generator = np.random.default_rng(seed)
    fitted, normal = around(SQUARE, train, generator), around(SQUARE, test, generator)
    labels = np.repeat(np.array([0, 1], np.uint8), test)
    return rows(fitted), rows(np.concatenate([normal, around(BETWEEN, test, generator)])), labels


def around(
    centres: NDArray[np.float64], count: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """[count, 2] points scattered around centres drawn at random."""
    return centres[generator.integers(len(centres), size=count)] + SPREAD * generator.normal(
        size=(count, 2)
    )


def rows(x: NDArray[np.floating[Any]]) -> Features:
    """Points [N, 2] as a stream of ten videos."""
    index = np.arange(len(x))
    return Features(x.astype(np.float32), index * 10 // max(len(x), 1), index, name="toy")


def draw(methods: Sequence[str | type[Detector]], out_png: Path, seed: int = 0) -> dict[str, float]:
    """Train methods on the toy, preset `fast` with at most STEPS optimiser steps, and draw their
    anomaly maps side by side.

    Args:
        methods: classes or registered names; all that are registered and take any rows if
            there are none.
        out_png: the picture.
        seed: of the toy and of the methods.

    Returns:
        AUC by panel title.

    Raises:
        BadInput: on an unknown name.
    """
    train, test, labels = toy(seed)
    chosen = methods or [
        name for name in names("detectors") if load("detectors", name).takes == "any"
    ]
    maps = [
        panel
        for method in chosen
        for panel in maps_of(
            load("detectors", method) if isinstance(method, str) else method,
            train,
            test,
            labels,
            seed,
        )
    ]
    paint(maps, train, test.rows(labels == 1), out_png)
    return {panel.title: panel.auc for panel in maps}


def maps_of(
    method: type[Detector], train: Features, test: Features, labels: NDArray[np.uint8], seed: int
) -> list[Map]:
    """One method's maps: of the score it is ranked by, and of those in READ_OUTS that it has."""
    from sklearn.metrics import roc_auc_score

    settings = method.preset("fast", "toy", Nature())
    if "max_steps" in method.Config.model_fields:
        settings["max_steps"] = STEPS
    detector = method(method.Config(**settings), seed=seed)
    detector.fit(train)
    axis = np.linspace(-EDGE, EDGE, CELLS)
    plane = detector.score(rows(np.stack(np.meshgrid(axis, axis), 2).reshape(-1, 2)))
    scores = detector.score(test)
    wanted = [
        column for column, name in enumerate(detector.read_outs) if column == 0 or name in READ_OUTS
    ]
    several = len(wanted) > 1
    return [
        Map(
            (
                f"{method.info.title}: {READ_OUTS.get(name := detector.read_outs[column], name)}"
                if several
                else method.info.title
            ),
            plane[:, column].reshape(CELLS, CELLS),
            float(roc_auc_score(labels, scores[:, column])),
        )
        for column in wanted
    ]


def paint(maps: Sequence[Map], normal: Features, anomalies: Features, out_png: Path) -> None:
    """Write the picture: the sample first, then one panel a map."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(maps) + 1)
    lines = -(-(len(maps) + 1) // columns)
    figure = Figure(figsize=(3 * columns + 0.8, 3.3 * lines + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, columns, squeeze=False).flat
    for axis in axes:
        axis.set_axis_off()
    paint_sample(axes[0], normal, anomalies)
    image = None
    for axis, panel in zip(axes[1:], maps, strict=False):
        image = paint_map(axis, panel, anomalies)
    figure.suptitle(
        "Anomaly maps on four Gaussians: dark = normal, bright = anomalous, each map by the rank of"
        " its scores",
        fontsize=12,
    )
    if image is not None:
        bar = figure.colorbar(
            image, ax=list(figure.axes), shrink=min(1, 1.6 / lines), aspect=25, pad=0.02
        )
        bar.set_label("share of the plane that scores lower")
    with replace_file(out_png) as aside:
        figure.savefig(aside, format=out_png.suffix[1:], dpi=150)


def paint_sample(axis: Axes, normal: Features, anomalies: Features) -> None:
    """The training rows and the anomalies as points."""
    axis.scatter(
        normal.x[:1500, 0], normal.x[:1500, 1], s=2, color="#3b528b", linewidths=0, label="normal"
    )
    axis.scatter(
        anomalies.x[:300, 0],
        anomalies.x[:300, 1],
        s=2,
        color="#e4572e",
        linewidths=0,
        label="anomalous",
    )
    frame(axis, "sample")
    axis.legend(
        loc="upper center",
        ncols=2,
        markerscale=5,
        fontsize=8,
        frameon=False,
        handletextpad=0.1,
        columnspacing=1.0,
    )


def paint_map(axis: Axes, panel: Map, anomalies: Features) -> Any:
    """One map, coloured by rank, because the scores of different methods have no common unit."""
    extent = (-EDGE, EDGE, -EDGE, EDGE)
    image = axis.imshow(
        ranks(panel.scores),
        origin="lower",
        extent=extent,
        cmap="viridis",
        vmin=0,
        vmax=1,
        interpolation="bilinear",
    )
    axis.scatter(
        anomalies.x[:60, 0], anomalies.x[:60, 1], s=7, marker="x", color="#e4572e", linewidths=0.8
    )
    # on two lines: together they may be wider than the map
    method, _, read_out = panel.title.partition(": ")
    frame(axis, f"{method}\n{read_out}{', ' if read_out else ''}AUC {panel.auc:.3f}")
    return image


def frame(axis: Axes, title: str) -> None:
    """The same limits and title style for every panel."""
    axis.set_axis_on()
    axis.set(xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), xticks=(), yticks=(), aspect="equal")
    axis.set_title(visible(title), fontsize=10, parse_math=False)


def ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of any shape as shares of the others that are lower; ties share their mean rank."""
    from scipy.stats import rankdata

    return np.asarray((rankdata(scores) - 1) / max(scores.size - 1, 1)).reshape(scores.shape)
