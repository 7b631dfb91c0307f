"""Write the generated blocks of docs/protocol.md.

    python docs/make_protocol.py [--results DIR]

`measured`: what each convention does to the same frame scores, from the committed records and the
labels of the data sets; a data set that is not on this machine keeps its block as it is.
`simulated`: benchmarks/uncertainty.csv, as benchmarks/simulate_uncertainty.py wrote it. `settled`:
benchmarks/settled.csv, which the leaderboard reads too.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from blocks import with_block
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from vadbench.datasets.base import Labels
from vadbench.datasets.open import open_dataset
from vadbench.errors import BadInput
from vadbench.evaluation.frames import read_frame_scores
from vadbench.evaluation.metrics.frame import legacy_micro_auc, macro_auc, micro_auc
from vadbench.evaluation.smoothing import smooth
from vadbench.report.settled import settled
from vadbench.report.tables.layout import table_lines
from vadbench.results.records import Results

PAGE = Path(__file__).with_name("protocol.md")
SIMULATED = Path(__file__).resolve().parents[1] / "benchmarks" / "uncertainty.csv"
RECIPES = ("mulde@velocity", "knn@velocity", "gmm@velocity", "magnitude@velocity")
Scores = NDArray[np.float64]
Convention = Callable[[Scores, Labels], float]


def zero_padded(scores: Scores, lengths: NDArray[np.int64], sigma: float) -> Scores:
    """The Gaussian filter of each video with zeros outside, as some published scripts have it."""
    videos = np.split(scores, np.cumsum(lengths)[:-1])
    return np.concatenate([gaussian_filter1d(video, sigma, mode="constant") for video in videos])


def micro(sigma: float) -> Convention:
    """Micro AUC after the default filter of this sigma."""
    return lambda scores, labels: micro_auc(smooth(scores, labels.lengths(), sigma), labels.flat())


def macro(convention: str, shift: float = 0.0, sigma: float = 3.0) -> Convention:
    """Macro AUC under a convention, of scores moved by a constant, which should not matter."""
    return lambda scores, labels: macro_auc(
        smooth(scores, labels.lengths(), sigma) + shift, labels.flat(), labels.lengths(), convention
    )


def legacy(variant: str) -> Convention:
    """A legacy variant of micro AUC, unsmoothed."""
    return lambda scores, labels: legacy_micro_auc(scores, labels.flat(), labels.lengths(), variant)


CONVENTIONS: dict[str, Convention] = {
    "micro, unsmoothed": micro(0),
    **{f"micro, sigma {sigma}": micro(sigma) for sigma in (3, 7, 15)},
    "micro, sigma 15, zeros outside": lambda scores, labels: micro_auc(
        zero_padded(scores, labels.lengths(), 15), labels.flat()
    ),
    "the same, scores - 100": lambda scores, labels: micro_auc(
        zero_padded(scores - 100, labels.lengths(), 15), labels.flat()
    ),
    "micro, min-max in each video": legacy("minmax-per-video"),
    "micro, first 4 frames dropped": legacy("drop-4"),
    **{
        f"macro `{name}`": macro(name)
        for name in ("skip", "pad-rank", "pad-0-1", "pad-0-max", "pad-0-0")
    },
    **{
        f"macro `{name}`, scores - 100": macro(name, -100)
        for name in ("skip", "pad-rank", "pad-0-1", "pad-0-max")
    },
}


def block(results: Results, dataset: str) -> str:
    """The table of a data set: conventions x recipes, percent, seed 0.

    Raises:
        BadInput: if the data set or its records are not here.
    """
    labels = open_dataset(dataset).labels()
    stored = {
        record.recipe: read_frame_scores(record, results)
        for record in results.all_records()
        if record.dataset == dataset and record.seed == 0 and not record.result.words
    }
    known = [stored.get(recipe) for recipe in RECIPES]
    missing = [recipe for recipe, own in zip(RECIPES, known, strict=True) if own is None]
    if missing:
        raise BadInput(
            f"{results.root}: no record of {', '.join(missing)} on {dataset}; vadbench run makes"
            " them"
        )
    scores = [own.scores for own in known if own is not None]
    body = [
        [name, *(_percent(measure(of_recipe, labels)) for of_recipe in scores)]
        for name, measure in CONVENTIONS.items()
    ]
    return "\n".join(
        table_lines(["convention", *(recipe.partition("@")[0] for recipe in RECIPES)], body)
    )


def _percent(value: float) -> str:
    """A dash for what is undefined: `pad-0-0` where a video has no anomaly."""
    return "–" if np.isnan(value) else f"{100 * value:.1f}"


def settled_block() -> str:
    """The list of what was settled with test figures known."""
    return "\n".join(f"- {told}" for told in dict.fromkeys(one.told for one in settled()))


def simulated_block(question: str) -> str:
    """The table of a question of the simulation: cases and numbers of videos x methods, percent."""
    with SIMULATED.open(newline="", encoding="utf-8") as file:
        answers = [row for row in csv.DictReader(file) if row["question"] == question]
    methods = list(dict.fromkeys(row["method"] for row in answers))
    places = list(dict.fromkeys((row["case"], row["videos"]) for row in answers))
    found = {(row["case"], row["videos"], row["method"]): row["percent"] for row in answers}
    body = [
        [case, videos, *(found.get((case, videos, method), "–") for method in methods)]
        for case, videos in places
    ]
    return "\n".join(table_lines(["methods", "videos", *methods], body))


def main() -> None:
    """Rewrite the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"))
    results, page = Results(parser.parse_args().results), PAGE.read_text(encoding="utf-8")
    for dataset in re.findall("<!-- measured: (.*?) -->", page):
        try:
            page = with_block(page, f"measured: {dataset}", block(results, dataset))
        except BadInput as error:
            sys.stderr.write(f"{dataset}: block kept as it is: {error}\n")
    for question in re.findall("<!-- simulated: (.*?) -->", page):
        page = with_block(page, f"simulated: {question}", simulated_block(question))
    PAGE.write_text(with_block(page, "settled", settled_block()))


if __name__ == "__main__":
    main()
