"""The table model: recipes x metrics, aggregated over seeds, with the caption that names the protocol. Renderers only format it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vadbench import registry
from vadbench.errors import BadInput
from vadbench.evaluate import REGIONS, described, protocol_of, resampled_values
from vadbench.metrics.uncertainty import Floats, interval
from vadbench.plan import Plan, PlannedRecipe
from vadbench.protocol import Protocol
from vadbench.records import RecipeRecord, Results

Key = tuple[str, str | None, bool]  # metric, convention, smoothed


@dataclass(frozen=True)
class Column:
    """A metric of one data set; `better` is +1 where higher is better, -1 where lower is."""

    dataset: str
    title: str
    key: Key
    better: int


METRICS: tuple[tuple[str, Key, int], ...] = (
    ("micro AUC", ("micro_auc", None, True), 1),
    ("macro AUC (skip)", ("macro_auc", "skip", True), 1),
    ("macro AUC (pad-rank)", ("macro_auc", "pad-rank", True), 1),
    ("EER", ("eer", None, True), -1),
    ("AP", ("average_precision", None, True), 1),
    ("RBDC", ("rbdc", "average", False), 1),
    ("TBDC", ("tbdc", "average", False), 1),
    ("micro AUC, unsmoothed", ("micro_auc", None, False), 1),
)


@dataclass(frozen=True)
class Cell:
    """Mean over seeds (a fraction), its standard deviation (None for one seed), the number of seeds, and why a value is missing.

    Attributes:
        low, high: 95 % interval of the bootstrap over videos; what another choice of test videos would do, apart from the seeds.
        best: 1 for the column's best, 2 for its second, 0 otherwise; decided on unrounded means, ties shared.
        peer: whether the column's best is not significantly better (and, of the best itself, whether another cell is its peer).
        published: the paper's figure (a fraction) for the same method, features, training set and data set; None where there is none.
    """

    value: float | None
    spread: float | None = None
    n: int = 0
    note: str | None = None
    low: float | None = None
    high: float | None = None
    best: int = 0
    peer: bool = False
    published: float | None = None

    @property
    def delta(self) -> float | None:
        """Measured minus published, where both are the same thing."""
        return None if self.value is None or self.published is None else self.value - self.published


@dataclass(frozen=True)
class Row:
    """One method on one choice of features."""

    method: str
    features: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class PublishedRow:
    """What a paper reports of one method: a value (a fraction) or None for each column of the table; never ranked."""

    source: str  # `mulde-cvpr2024, table 1`
    method: str
    features: str
    values: tuple[float | None, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A titled table; `caption` names protocol, labels, preset and seeds; `notes` are the footnotes of the cells that are empty.

    `published` is the papers' block: it stands apart, and takes no part in best and second.
    """

    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    published: tuple[PublishedRow, ...] = ()


def make_table(plan: Plan, results: Results) -> Table:
    """The table of a plan from the records there are; what has not run or failed is an empty cell with a note.

    Records are found by what was run, not by the features' files, so a clone without the data makes the same table.

    Raises:
        BadInput: if one row has records of several feature extractions.
    """
    records = list(results.all_recipes())
    failures = {run.identity: run.error for run in results.all_runs() if run.status == "failed"}
    datasets = plan.suite.datasets
    columns = tuple(Column(dataset, *metric) for dataset in datasets for metric in METRICS)
    rows, draws = [], []
    for shown, name in dict.fromkeys((recipe.shown, recipe.name) for recipe in plan.recipes):
        planned = [recipe for recipe in plan.recipes if (recipe.shown, recipe.name) == (shown, name)]
        cells: list[Cell] = []
        drawn: list[Floats | None] = []
        for dataset in datasets:
            there = [recipe for recipe in planned if recipe.dataset == dataset]
            found = [record for recipe in there for record in _matching(recipe, records)]
            drawn += _draws(found, results)
            cells += _cells(there, found, failures)
        draws.append(drawn)
        features = name.partition("@")[2]
        rows.append(Row(shown, features.replace("+", " + "), tuple(cells)))
    used = [record for recipe in plan.recipes for record in _matching(recipe, records)]
    _require_one_label_set(used)
    notes = tuple(dict.fromkeys(cell.note for row in rows for cell in row.cells if cell.note))
    return Table(plan.suite.title or plan.suite.name, _caption(plan, used), columns, _ranked(rows, columns, draws), notes)


def _cells(planned: Sequence[PlannedRecipe], found: list[RecipeRecord], failures: dict[str, str | None]) -> list[Cell]:
    if not planned:
        return [Cell(None, note="not asked for on this data set")] * len(METRICS)
    if not found:
        errors = [failures[part.job.identity] for recipe in planned for part in recipe.parts if part.job.identity in failures]
        return [Cell(None, note=f"failed: {errors[0]}" if errors else "not run")] * len(METRICS)
    missing = len(planned) - len(found)
    note = f"{missing} of {len(planned)} seeds failed or have not run" if missing else None
    return [_cell(found, key, note) for _, key, _ in METRICS]


def _matching(recipe: PlannedRecipe, records: list[RecipeRecord]) -> list[RecipeRecord]:
    """The record of a planned recipe."""
    found = [record for record in records if _same(recipe, record)]
    if len(found) > 1:
        exact = [record for record in found if record.runs == tuple(planned.job.identity for planned in recipe.parts)]
        if len(exact) != 1:
            raise BadInput(f"{recipe.name} on {recipe.dataset}: {len(found)} records of other features or protocols; remove those not meant")
        return exact
    return found


def _require_one_label_set(records: list[RecipeRecord]) -> None:
    """Numbers under different labels never share a table."""
    sets: dict[str, dict[str, str]] = {}
    for record in records:
        sets.setdefault(record.dataset, {})[record.labels.get("sha256", "")] = record.labels["name"]
    for dataset, names in sets.items():
        if len(names) > 1:
            told = ", ".join(f"{name} ({digest[:8]})" for digest, name in names.items())
            raise BadInput(f"{dataset}: records under different labels, {told}; vadbench evaluate gives all the same")


def _same(recipe: PlannedRecipe, record: RecipeRecord) -> bool:
    if (recipe.dataset, recipe.name, recipe.seed) != (record.dataset, record.recipe, record.seed):
        return False
    if Protocol(**record.protocol) != protocol_of(recipe, registry.load("datasets", recipe.dataset)):
        return False
    return all(_decisive(wanted) == _decisive(there) for wanted, there in zip(described(recipe), record.parts, strict=True))


def _decisive(part: dict[str, Any]) -> tuple[Any, ...]:
    """What a part is found by; not its features' or videos' digests: a clone without the data makes the same table."""
    trained = part.get("scope"), part.get("train_dataset"), part.get("resplit", {}).get("name")
    return part["config"], part["calibration"], part.get("read_out"), *trained


def _cell(records: list[RecipeRecord], key: Key, note: str | None) -> Cell:
    rows = [_metric(record, key) for record in records]
    values = [row["value"] for row in rows if row["value"] is not None]
    if not values:
        return Cell(None, note=next((row["reason"] for row in rows if row["reason"]), None))
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    ends = [[row[end] for row in rows if row.get(end) is not None] for end in ("low", "high")]
    low, high = (float(np.mean(end)) if end else None for end in ends)
    return Cell(float(np.mean(values)), spread, len(values), note, low, high)


def _metric(record: RecipeRecord, key: Key) -> dict[str, Any]:
    metric, convention, smoothed = key
    smoothed = smoothed and record.protocol["smoothing"] is not None
    for row in record.rows:
        whole = row["video"] is None and row["read_out"] == record.read_outs[0]
        if whole and (row["metric"], row["convention"], row["smoothing"] != "none") == (metric, convention, smoothed):
            return row
    return {"value": None, "reason": "not computed by this version; run vadbench evaluate"}


def _draws(records: list[RecipeRecord], results: Results) -> list[Floats | None]:
    """For each metric its resampled values [R], averaged over seeds, where they are stored."""
    stored = [frames for frames in (results.frames(record) for record in records) if frames is not None]
    drawn: list[Floats | None] = []
    for _, (metric, convention, smoothed), _ in METRICS:
        filtered = any(record.protocol["smoothing"] is not None for record in records)
        name = metric if smoothed or metric in REGIONS or not filtered else f"{metric}_unsmoothed"
        one_by_one = [resampled_values(frames, name, convention) for frames in stored]
        values = [of_seed for of_seed in one_by_one if of_seed is not None]
        drawn.append(np.mean(values, axis=0) if values else None)
    return drawn


def _ranked(rows: list[Row], columns: tuple[Column, ...], draws: list[list[Floats | None]]) -> tuple[Row, ...]:
    """The rows with the best and second-best cells of each column marked, and those that are the best's peers."""
    cells = [list(row.cells) for row in rows]
    for j, column in enumerate(columns):
        means = {row[j].value for row in cells}
        ranking = sorted((mean for mean in means if mean is not None), reverse=column.better > 0)
        if not ranking or len(rows) < 2:
            continue
        leader = next(i for i, row in enumerate(cells) if row[j].value == ranking[0])
        peers = {i for i, row in enumerate(cells) if i != leader and row[j].value is not None and _equal(draws[leader][j], draws[i][j])}
        for i, row in enumerate(cells):
            mean = row[j].value
            best = 1 + ranking.index(mean) if mean in ranking[:2] else 0
            row[j] = replace(row[j], best=best, peer=i in peers or (i == leader and bool(peers)))
    return tuple(Row(row.method, row.features, tuple(row_cells)) for row, row_cells in zip(rows, cells, strict=True))


def _equal(first: Floats | None, second: Floats | None) -> bool:
    """Whether the paired difference of two metrics is not significant; unknown counts as different."""
    return first is not None and second is not None and not interval(first - second).excludes_zero


def _how_trained(used: list[RecipeRecord]) -> list[str]:
    """What was trained on, where it is not all training videos of the tested data set."""
    told = []
    if any(part.get("scope") == "scene" for record in used for part in record.parts):
        told.append("Rows `per scene`: one training for each camera, on its own training videos; the others pool all cameras.")
    if any("train_dataset" in part for record in used for part in record.parts):
        told.append("Rows `trained on`: no video of the tested data set was trained on; not comparable with the others.")
    resplits = {record.dataset: record.parts[0]["resplit"] for record in used if "resplit" in record.parts[0]}
    return told + [
        f"{dataset}: trained without labels on {split['train_videos']} videos, some anomalous, and tested on {split['test_videos']} others "
        f"(split `{split['name']}`); not comparable with one-class figures."
        for dataset, split in resplits.items()
    ]


def _how_chosen(plan: Plan) -> list[str]:
    """That an ablation's rows are no method's result to choose from."""
    methods = [row.method for row in plan.suite.rows]
    several = [method for method in dict.fromkeys(methods) if methods.count(method) > 1]
    if not several:
        return []
    return [
        f"Ablation: the rows of {', '.join(several)} are settings or read-outs of one method. None was chosen by the test labels, and none may be: "
        "the best row is no result of the method."
    ]


def _caption(plan: Plan, used: list[RecipeRecord]) -> str:
    seeds = plan.suite.seeds
    spread = f"; mean ± standard deviation over {seeds} seeds where a method has one" if seeds > 1 else ""
    sentences = [f"Preset `{plan.suite.preset}`; setting `{plan.suite.setting}`; percent{spread}."]
    for dataset in plan.suite.datasets:
        records = [record for record in used if record.dataset == dataset]
        if records:
            labels, sigma = records[0].labels, records[0].protocol["smoothing"]
            smoothing = "no smoothing" if sigma is None else f"Gaussian smoothing sigma {sigma:g} (reflect) within each video"
            sentences.append(
                f"{dataset}: {labels['videos']} test videos, {labels['frames']} frames, {labels['anomalous']} anomalous, labels `{labels['name']}`; "
                f"frame score = maximum over objects, {smoothing}."
            )
    sentences += _how_trained(used) + _how_chosen(plan)
    settings = [f"{component}.{name}={value}" for component, fields in plan.suite.settings.items() for name, value in fields.items()]
    if settings:
        sentences.append(f"Settings: {', '.join(settings)}.")
    sentences.append(
        "In brackets: 95 % interval of a bootstrap over the test videos; ≈ marks the best and those from which it does not differ significantly "
        "(paired differences), bold only a best without such peers."
    )
    tracks = {record.dataset: record.labels["tracks"] for record in used if record.labels.get("tracks")}
    if tracks:
        alpha, beta = (used[0].protocol[name] for name in ("alpha", "beta"))
        sentences.append(
            f"RBDC and TBDC: alpha {alpha:g}, beta {beta:g}, equal scores averaged, unsmoothed object scores; "
            f"region tracks: {', '.join(f'{source} ({dataset})' for dataset, source in tracks.items())}."
        )
    boxless = sorted({stream for record in used for row in record.rows for stream in row.get("left_out", ())})
    if boxless:
        sentences.append(f"RBDC and TBDC leave out streams without boxes ({', '.join(boxless)}).")
    sentences.append("Macro AUC is the mean over videos: `skip` leaves out those with one class, `pad-rank` adds one frame below and one above all.")
    return " ".join(sentences)
