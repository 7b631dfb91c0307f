"""A table's caption: the protocol, labels, seeds and settings behind its numbers, and how to read
its marks.
"""

from __future__ import annotations

from dataclasses import replace

from vadbench import registry
from vadbench.features.stream import declared_nature
from vadbench.plans.plan import Job, Plan
from vadbench.report.tables.table import METRICS, USUAL, PublishedRow
from vadbench.results.records import RecipeRecord

MACRO = {
    "skip": "leaves out those with one class",
    "pad-rank": "adds one frame below and one above all",
    "pad-0-1": "adds a normal frame of score 0 and an anomalous one of score 1",
    "pad-0-max": "adds a normal frame of score 0 and an anomalous one of the largest number",
}


def _how_trained(used: list[RecipeRecord]) -> list[str]:
    """What was trained on, where it is not all training videos of the tested data set."""
    told = []
    if any(part.get("scope") == "scene" for record in used for part in record.parts):
        told.append(
            "Rows `per scene`: one training for each camera, on its own training videos; the others"
            " pool all cameras."
        )
    if any("train_dataset" in part for record in used for part in record.parts):
        told.append(
            "Rows `trained on`: no video of the tested data set was trained on; not comparable with"
            " the others."
        )
    resplits = {
        record.dataset: record.parts[0]["resplit"]
        for record in used
        if "resplit" in record.parts[0]
    }
    return told + [
        f"{dataset}: trained without labels on {split['train_videos']} videos, some anomalous, and"
        f" tested on {split['test_videos']} others (split `{split['name']}`); not comparable with"
        " one-class figures."
        for dataset, split in resplits.items()
    ]


def _how_partial(plan: Plan) -> list[str]:
    """Which streams a recipe lacks, of those that the suite names without its streams:
    `accivad@deep` says itself what it is.
    """
    whole = {
        method
        for method in (*plan.suite.methods, *(row.method for row in plan.suite.rows))
        if method in registry.names("recipes")
    }
    rows: dict[str, None] = {}
    for planned in plan.recipes:
        if planned.method in whole:
            there = {part.job.stream.stream.extractor for part in planned.parts}
            lacking = [
                part.stream
                for part in registry.load("recipes", planned.method).parts
                if part.stream.partition(".")[0] not in there
            ]
            if lacking:
                rows[
                    f"{planned.shown} on {planned.name.partition('@')[2].replace('+', ' + ')} is"
                    f" without {', '.join(lacking)}"
                ] = None
    return [f"Not the whole recipe: {'; '.join(rows)}."] if rows else []


def _how_chosen(plan: Plan) -> list[str]:
    """That an ablation's rows are no method's result to choose from."""
    settings: dict[str, set[tuple[str, str | None]]] = {}
    for row in plan.suite.rows:
        settings.setdefault(row.method.partition("@")[0], set()).add(
            (str(row.settings), row.read_out)
        )
    several = [method for method, different in settings.items() if len(different) > 1]
    if not several:
        return []
    return [
        f"Rows of {', '.join(several)} differ in settings or read-out; none was chosen by the test"
        " labels, and none may be: the best row is no result of the method."
    ]


def _how_published_settings(plan: Plan) -> list[str]:
    """Which settings of the preset `paper` are no choice that a user could have made."""
    if plan.suite.preset != "paper":
        return []
    methods = dict.fromkeys(job.method for job in plan.jobs)
    chosen = [
        f"{field} of {method}"
        for method in methods
        for field in registry.load("detectors", method).info.test_chosen
    ]
    return (
        [
            f"Preset `paper` takes {', '.join(chosen)} as published, which the authors chose by"
            " test labels: an oracle's figures."
        ]
        if chosen
        else []
    )


def caption_of(plan: Plan, used: list[RecipeRecord], published: tuple[PublishedRow, ...]) -> str:
    """The caption: preset, setting and seeds, labels and smoothing of each data set, how to read
    intervals and marks, the conventions.
    """
    seeds = plan.suite.seeds
    spread = (
        f"; mean ± standard deviation over {seeds} seeds where a method has one"
        if seeds > 1
        else ""
    )
    sentences = [f"Preset `{plan.suite.preset}`; setting `{plan.suite.setting}`; percent{spread}."]
    for dataset in plan.suite.datasets:
        records = [record for record in used if record.dataset == dataset]
        if records:
            labels = records[0].labels
            sigma = records[0].protocol["smoothing"] if _shows_smoothed(plan) else None
            smoothing = (
                "no smoothing"
                if sigma is None
                else f"Gaussian smoothing sigma {sigma:g} (reflect) within each video"
            )
            sentences.append(
                f"{dataset}: {labels['videos']} test videos, {labels['frames']} frames,"
                f" {labels['anomalous']} anomalous, labels `{labels['name']}`; frame score ="
                f" maximum over objects, {smoothing}."
            )
    sentences += (
        _how_trained(used) + _how_partial(plan) + _how_chosen(plan) + _how_published_settings(plan)
    )
    settings = [
        f"{component}.{name}={value}"
        for component, fields in plan.suite.settings.items()
        for name, value in fields.items()
    ]
    if settings:
        sentences.append(f"Settings: {', '.join(settings)}.")
    sentences += (
        _how_located(plan, used) + _how_macro(plan) + (_how_published(plan) if published else [])
    )
    return " ".join(sentences)


def _shows_smoothed(plan: Plan) -> bool:
    """Whether a column of the table is of smoothed scores."""
    return any(METRICS[name][0][2] for name in plan.suite.metrics or USUAL)


def _how_located(plan: Plan, used: list[RecipeRecord]) -> list[str]:
    """How RBDC and TBDC are measured, where the table shows them."""
    if not {"RBDC", "TBDC"} & set(plan.suite.metrics or USUAL):
        return []
    told = []
    tracks = {
        record.dataset: record.labels["tracks"] for record in used if record.labels.get("tracks")
    }
    if tracks:
        alpha, beta = (used[0].protocol[name] for name in ("alpha", "beta"))
        told.append(
            f"RBDC and TBDC: alpha {alpha:g}, beta {beta:g}, equal scores averaged, unsmoothed"
            " object scores; region tracks:"
            f" {', '.join(f'{source} ({dataset})' for dataset, source in tracks.items())}."
        )
    boxless = sorted(
        {stream for record in used for row in record.rows for stream in row.get("left_out", ())}
    )
    return told + (
        [f"RBDC and TBDC leave out streams without boxes ({', '.join(boxless)})."]
        if boxless
        else []
    )


def _how_macro(plan: Plan) -> list[str]:
    """The conventions of the macro AUCs in the table."""
    shown = [name for name in MACRO if f"macro AUC ({name})" in (plan.suite.metrics or USUAL)]
    return (
        [
            "Macro AUC is the mean over videos:"
            f" {', '.join(f'`{name}` {MACRO[name]}' for name in shown)}."
        ]
        if shown
        else []
    )


def _how_published(plan: Plan) -> list[str]:
    """That the papers' figures are the papers'."""
    told = [
        "Published: as the papers report it, by their own protocols, not measured here; figures of"
        " papers that mention no smoothing stand beside unsmoothed ones where the table has them,"
        " macro AUC of no stated convention in the first macro column."
    ]
    if any(row.published for row in plan.suite.rows):
        told.append(
            "Δ: measured minus published, where method, settings, data set, split, setting,"
            " features, training set, metric, convention and smoothing are the same; a note says"
            " where not."
            if plan.suite.preset == "paper"
            else (
                "No differences to them are shown: the settings are the papers' in preset `paper`"
                " alone."
            )
        )
    return told + _how_stated(plan)


def _how_stated(plan: Plan) -> list[str]:
    """Which imported vectors do not say what network made them, where the papers' settings depend
    on it.
    """
    unstated = [job for job in plan.jobs if plan.suite.preset == "paper" and _lacks_network(job)]
    streams = dict.fromkeys(job.stream.name for job in unstated)
    return [
        f"No network is stated of {stream}: settings that depend on it are the usual ones "
        "(`vadbench features import … --nature embedding,network=NAME`)."
        for stream in streams
    ]


def _lacks_network(job: Job) -> bool:
    """Whether a network that the extractor knows would have another preset than the import, which
    names none.
    """
    stream = job.stream.stream
    if not stream.imported or job.stream.nature.network:
        return False
    variants = registry.load("extractors", stream.extractor).variants
    networks = {declared_nature(f"{stream.extractor}.{variant}").network for variant in variants}
    method = registry.load("detectors", job.method)
    trained = job.dataset if job.source is None else job.source.dataset
    natures = [replace(job.stream.nature, network=network) for network in ("", *networks)]
    usual, *others = (method.preset("paper", trained, nature) for nature in natures)
    return any(other != usual for other in others)
