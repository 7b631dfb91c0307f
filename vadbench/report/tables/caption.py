"""A table's caption: the protocol, labels, seeds and settings behind its numbers, and how to read
its marks.
"""

from __future__ import annotations

from collections.abc import Sequence

from vadbench import registry
from vadbench.datasets.part import base_of, is_part
from vadbench.detector import APPROXIMATE
from vadbench.errors import BadInput
from vadbench.report.settled import is_weighted_by_test, why_never_ranked
from vadbench.report.tables.table import PublishedRow
from vadbench.results.schema import ResultRecord, RunRecord
from vadbench.results.seals import UNSEALED
from vadbench.spec import METRICS, OFFICIAL, USUAL, Wanted
from vadbench.suite import Suite

OWN = "own"  # the labels of a user's own videos
MACRO = {
    "skip": "leaves out those with one class",
    "pad-rank": "adds one frame below and one above all",
    "pad-0-1": "adds a normal frame of score 0 and an anomalous one of score 1",
    "pad-0-max": "adds a normal frame of score 0 and an anomalous one of the largest number",
}
SCENES = (
    "Rows `per scene`: one training for each camera, on its own training videos; the others pool"
    " all cameras."
)
SOURCES = (
    "Rows `trained on`: no video of the tested data set was trained on; not comparable with the"
    " others."
)
PUBLISHED = (
    "Published: as the papers report it, by their own protocols, not measured here; figures of"
    " papers that mention no smoothing stand beside unsmoothed ones where the table has them, macro"
    " AUC of no stated convention in the first macro column."
)
DELTA = (
    "Δ: measured minus published, where method, settings, data set, split, setting, features,"
    " training set, metric, convention and smoothing are the same; a note says where not."
)
NO_DELTA = "No differences to them are shown: the settings are the papers' in preset `paper` alone."


def write_caption(
    suite: Suite,
    wanted: Sequence[Wanted],
    used: Sequence[ResultRecord],
    published: tuple[PublishedRow, ...],
    runs: Sequence[RunRecord] = (),
) -> str:
    """The caption: preset, setting and seeds, labels and smoothing of each data set, how to read
    intervals and marks, the conventions; of the runs behind it, what is approximate.
    """
    spread = "; mean ± standard deviation over {} seeds where a method has one"
    seeds = spread.format(suite.seeds) if suite.seeds > 1 else ""
    sentences = [f"Preset `{suite.preset}`; setting `{suite.setting}`; percent{seeds}."]
    for dataset in suite.datasets:
        records = [record for record in used if record.dataset == dataset]
        if records:
            sentences.append(_describe_dataset(suite, records[0]))
    sentences += _describe_training(used)
    sentences += _describe_networks(wanted)
    sentences += _describe_approximations(runs)
    sentences += _count_unsealed(used)
    sentences += _name_missing_streams(suite, wanted)
    sentences += _warn_of_ablation(suite)
    sentences += _warn_of_oracle(suite, wanted)
    sentences += _describe_weights(wanted)
    sentences += _describe_given(wanted)
    settings = [
        f"{component}.{name}={value}"
        for component, fields in suite.settings.items()
        for name, value in fields.items()
    ]
    if settings:
        sentences.append(f"Settings: {', '.join(settings)}.")
    sentences += _describe_regions(suite, used)
    sentences += _describe_macro(suite)
    if published:
        sentences += _describe_published(suite, wanted)
    return " ".join(sentences)


def _count_unsealed(used: Sequence[ResultRecord]) -> list[str]:
    """That records of earlier versions are believed without digests."""
    count = sum(not record.sealed for record in used)
    return [f"{count} of its {len(used)} records {UNSEALED}."] if count else []


def _describe_dataset(suite: Suite, record: ResultRecord) -> str:
    labels = record.labels
    smoothed = any(METRICS[name].smoothed for name in suite.metrics or USUAL)
    sigma = record.result.protocol.smoothing if smoothed else None
    smoothing = (
        "no smoothing"
        if sigma is None
        else f"Gaussian smoothing sigma {sigma:g} (reflect) within each video"
    )
    return (
        f"{record.dataset}:{_describe_part(record)} {labels['videos']} test videos,"
        f" {labels['frames']} frames, {labels['anomalous']} anomalous, labels"
        f" `{labels['name']}`{_describe_labels(record)}; frame score = maximum over objects,"
        f" {smoothing}."
    )


def _describe_part(record: ResultRecord) -> str:
    """That it is a part of a data set."""
    whole = base_of(record.dataset)
    return f" a part of {whole}, not comparable with the whole;" if is_part(record.dataset) else ""


def _describe_labels(record: ResultRecord) -> str:
    """What other labels than the official ones are: hash, source, what they change."""
    labels = record.labels
    if record.result.protocol.labels == OFFICIAL:
        # a user's own videos: who has labelled them
        return f" ({' '.join(labels['source'].split())})" if labels["name"] == OWN else ""
    frames = [f"{labels[what]} labels {what}"] if (what := "changed") in labels else []
    if "dropped" in labels:
        frames.append(f"{labels['dropped']} frames dropped after smoothing whole videos")
    told = "; ".join(frames) or "no label changed"
    return (
        f" ({str(labels.get('sha256'))[:8]}; {labels['source']}; {told}; not comparable with the"
        " official labels)"
    )


def _describe_training(used: Sequence[ResultRecord]) -> list[str]:
    """What was trained on, where it is not all training videos of the tested data set."""
    trainings = [(record.dataset, record.result.training) for record in used]
    scenes = [SCENES] if any(one.scope == "scene" for _, one in trainings) else []
    sources = [SOURCES] if any(one.source for _, one in trainings) else []
    splits = {dataset: one.split for dataset, one in trainings if one.split}
    normal = {name: split for name, split in splits.items() if split.setting == "one-class"}
    splits = {name: split for name, split in splits.items() if name not in normal}
    return [
        *scenes,
        *sources,
        *(
            f"{dataset}: trained on {split.train_videos} videos and tested on"
            f" {split.test_videos} others (split `{split.name}`); not comparable with figures of"
            " the released split."
            for dataset, split in normal.items()
        ),
        *(
            f"{dataset}: trained without labels on {split.train_videos} videos, some anomalous, and"
            f" tested on {split.test_videos} others (split `{split.name}`); not comparable with"
            " one-class figures."
            for dataset, split in splits.items()
        ),
    ]


def _describe_networks(wanted: Sequence[Wanted]) -> list[str]:
    """Which extractors are learnt, and on what."""
    parts = [(one.result.training, part) for one in wanted for part in one.result.parts]
    learnt: dict[str, None] = {}
    scenes = False
    for training, part in parts:
        name = _extractor(part.stream)
        if _is_learnt(name):
            learnt[name] = None
            scenes = scenes or training.scope == "scene"
    if not learnt:
        return []
    alone = ", one for all scenes" if scenes else ""
    return [
        f"Streams of {', '.join(learnt)} are learnt: by a network on the training videos{alone},"
        " another for each seed."
    ]


def _describe_approximations(runs: Sequence[RunRecord]) -> list[str]:
    """What methods computed of some rows alone, or nearly, as each of their runs says it."""
    told = dict.fromkeys(
        f"`{run.job['method']}` on {run.job['stream']} ({run.job['dataset']}):"
        f" {' '.join(note.removeprefix(APPROXIMATE).split())}"
        for run in runs
        for note in run.notes
        if note.startswith(APPROXIMATE)
    )
    return [f"Approximate: {'; '.join(told)}."] if told else []


def _is_learnt(extractor: str) -> bool:
    """Whether it trains a network; of one that is not installed, or cannot be loaded, not known."""
    try:
        return bool(getattr(registry.load("extractors", extractor), "learnt", False))
    except BadInput:
        return False


def _name_missing_streams(suite: Suite, wanted: Sequence[Wanted]) -> list[str]:
    """Which streams a recipe lacks, of those that the suite names without its streams:
    `accivad@deep` says itself what it is.
    """
    methods = (*suite.methods, *(row.method for row in suite.rows))
    whole = {method for method in methods if method in registry.names("recipes")}
    rows: dict[str, None] = {}
    for one in wanted:
        if one.result.method not in whole:
            continue
        own = {_extractor(part.stream) for part in one.result.parts}
        declared = registry.load("recipes", one.result.method).parts
        lacking = [part.stream for part in declared if _extractor(part.stream) not in own]
        if lacking:
            streams = one.result.features.replace("+", " + ")
            rows[f"{one.shown} on {streams} is without {', '.join(lacking)}"] = None
    return [f"Not the whole recipe: {'; '.join(rows)}."] if rows else []


def _extractor(stream: str) -> str:
    return stream.partition("@")[0].partition(".")[0]


def _warn_of_ablation(suite: Suite) -> list[str]:
    """That an ablation's rows are no method's result to choose from."""
    settings: dict[str, set[tuple[str, str | None]]] = {}
    for row in suite.rows:
        own = str(row.settings), row.read_out
        settings.setdefault(row.method.partition("@")[0], set()).add(own)
    several = [
        method
        for method, different in settings.items()
        if len(different) > 1 and not is_weighted_by_test(method)
    ]
    if not several:
        return []
    return [
        f"Rows of {', '.join(several)} differ in settings or read-out; none was chosen by the test"
        " labels, and none may be: the best row is no result of the method."
    ]


def _warn_of_oracle(suite: Suite, wanted: Sequence[Wanted]) -> list[str]:
    """Which settings of the preset `paper` are no choice that a user could have made."""
    if suite.preset != "paper":
        return []
    ours = [one.result for one in wanted if one.result.given is None]
    methods = dict.fromkeys(part.method for result in ours for part in result.parts)
    chosen = [
        f"{field} of {method}"
        for method in methods
        for field in registry.load("detectors", method).info.test_chosen
    ]
    if not chosen:
        return []
    return [
        f"Preset `paper` takes {', '.join(chosen)} as published, which the authors chose by test"
        " labels: an oracle's figures."
    ]


def _describe_weights(wanted: Sequence[Wanted]) -> list[str]:
    """Weights that are not 1, and what is shown without being ranked."""
    weights: dict[str, None] = {}
    unranked: dict[str, dict[str, None]] = {}
    for one in wanted:
        parts, dataset = one.result.parts, one.result.dataset
        if any(part.weight != 1 for part in parts):
            numbers = ", ".join(f"{part.weight:g}" for part in parts)
            weights[f"`{one.shown}` {numbers} on {dataset}"] = None
        why = why_never_ranked(one.result)
        if why is not None:
            unranked.setdefault(why, {})[f"`{one.shown}`"] = None
    told = "Weights of calibrated scores, in the order of the features"
    return [
        *([f"{told}: {'; '.join(weights)}."] if weights else []),
        *(f"{', '.join(names)}: {why}; not ranked." for why, names in unranked.items()),
    ]


def _describe_given(wanted: Sequence[Wanted]) -> list[str]:
    """Of whom scores are that were not computed here, and what was declared of them."""
    told: dict[str, None] = {}
    for one in wanted:
        result = one.result
        if result.given is None:
            continue
        said = [
            f"{name.replace('_', ' ')}: {_list(text) if isinstance(text, list) else text}"
            for name, text in result.parts[0].config.items()
        ]
        told[f"`{one.shown}`: {', '.join(said) or 'nothing declared'}"] = None
    if not told:
        return []
    return [f"Scores given by others, metrics computed here; as they declare: {'; '.join(told)}."]


def _list(words: Sequence[object]) -> str:
    return " and ".join(map(str, words))


def _describe_regions(suite: Suite, used: Sequence[ResultRecord]) -> list[str]:
    """How RBDC and TBDC are measured, where the table shows them."""
    if not {"RBDC", "TBDC"} & set(suite.metrics or USUAL):
        return []
    sentences = []
    tracks = {
        record.dataset: record.labels["tracks"] for record in used if record.labels.get("tracks")
    }
    if tracks:
        protocol = used[0].result.protocol
        sources = ", ".join(f"{source} ({dataset})" for dataset, source in tracks.items())
        sentences.append(
            f"RBDC and TBDC: alpha {protocol.alpha:g}, beta {protocol.beta:g}, equal scores"
            f" averaged, unsmoothed object scores; region tracks: {sources}."
        )
    values = [value for record in used for value in record.values]
    boxless = sorted({stream for value in values for stream in value.left_out})
    if boxless:
        sentences.append(f"RBDC and TBDC leave out streams without boxes ({', '.join(boxless)}).")
    return sentences


def _describe_macro(suite: Suite) -> list[str]:
    """The conventions of the macro AUCs in the table."""
    shown = [name for name in MACRO if f"macro AUC ({name})" in (suite.metrics or USUAL)]
    conventions = ", ".join(f"`{name}` {MACRO[name]}" for name in shown)
    return [f"Macro AUC is the mean over videos: {conventions}."] if shown else []


def _describe_published(suite: Suite, wanted: Sequence[Wanted]) -> list[str]:
    """That the papers' figures are the papers'."""
    sentences = [PUBLISHED]
    if any(row.published for row in suite.rows):
        sentences.append(DELTA if suite.preset == "paper" else NO_DELTA)
    streams = dict.fromkeys(stream for one in wanted for stream in one.unstated)
    return sentences + [
        f"No network is stated of {stream}: settings that depend on it are the usual ones "
        "(`vadbench features import … --nature embedding,network=NAME`)."
        for stream in streams
    ]
