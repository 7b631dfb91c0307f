"""What things are: a part, a training, a protocol, a result, a metric, a value, a cost. Data only.

Plans, runs, evaluation, records, tables, the leaderboard, figures, W&B and the export share them.
What a result is called (`words`) and what it is found by (`key`) is said here and nowhere else.

A field that is added to `Value` or `Measured` is stored with every record and is a column of
`vadbench.load_results`; a view shows it once it names it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
)

from vadbench.errors import QUOTED, BadInput, quote
from vadbench.files.canonical import canonical_hash

Setting = Literal["one-class", "unsupervised"]
Scope = Literal["pooled", "scene"]
Preset = Literal["fast", "paper"]
Calibration = Literal[
    "none", "minmax-p99.9", "minmax", "zscore-clip", "sqrt", "tail", "minmax-video"
]
Macro = Literal["skip", "pad-rank", "pad-0-1", "pad-0-max", "pad-0-0"]
SETTINGS: tuple[str, ...] = get_args(Setting)
PRESETS: tuple[str, ...] = get_args(Preset)
CALIBRATIONS: tuple[str, ...] = get_args(Calibration)
# component (method, extractor, boxes, `protocol`) -> field -> value
Settings = dict[str, dict[str, Any]]

REGIONS = ("rbdc", "tbdc")
GIVEN = "given"  # the stream of scores that were not computed here
TEST_FREE = ("code", "protocol")  # where an entrant may declare that no test label was used
OFFICIAL = "official"  # the name by which every data set's own labels are chosen
NOT_COMPUTED = "not computed by this version; run vadbench evaluate"
# frames; the filter's kernel grows with sigma, and no video needs a wider one
MOST_SMOOTHING = 10_000
MOST_COUNTED = 2**53  # frames, rows, parameters: what a float still counts exactly
MOST_SEEDS = 100
DEEPEST = 20  # lists in lists of a setting
Count = Annotated[int, Field(ge=0, le=MOST_COUNTED)]


class Record(BaseModel):
    """Frozen, and nothing but the fields that are declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Part:
    """One stream of a recipe: which method scores it, and how its scores enter the sum.

    Attributes:
        method: the detector's name.
        stream: the stream's name.
        calibration: one of `CALIBRATIONS`.
        empty: what a frame without objects scores: the training minimum, or a raw 0 (AccI-VAD's
            pose).
        weight: what its calibrated scores are multiplied by.
        group: the raw scores of the parts of one group are added before they are calibrated and
            weighted, as one; empty: on its own.

    >>> Part("knn", "deep", "minmax").empty
    'train-min'
    """

    method: str
    stream: str
    calibration: str
    empty: Literal["train-min", "zero"] = "train-min"
    weight: float = 1.0
    group: str = ""

    @property
    def document(self) -> dict[str, Any]:
        """Its fields as identities hash them.

        >>> sorted(Part("knn", "deep", "minmax", weight=2).document)
        ['calibration', 'empty', 'method', 'stream', 'weight']
        """
        return _without_usual(asdict(self))


def _without_usual(part: dict[str, Any]) -> dict[str, Any]:
    """A part's fields, `weight` and `group` only where they say something: identities and records
    may be older than they are.
    """
    return _without(part, weight=1.0, group="")


def _without(fields: dict[str, Any], **usual: Any) -> dict[str, Any]:
    """The fields, without those that have their usual value."""
    return {
        name: value for name, value in fields.items() if name not in usual or usual[name] != value
    }


class Asked(Record):
    """How a part's settings were asked for.

    Attributes:
        presets: the presets that give these settings; the one that was asked for comes first.
        settings: what differs from it: field -> value.
        missing: settings of today that an older version did not have.
    """

    presets: tuple[str, ...]
    settings: dict[str, Any] = {}
    missing: tuple[str, ...] = ()

    @property
    def preset(self) -> str:
        """`fast`, `paper`, or `default` where all presets are one."""
        return "default" if set(self.presets) >= set(PRESETS) else self.presets[0]

    @property
    def words(self) -> tuple[str, ...]:
        """`field=value` of each setting that is not the preset's."""
        changed = [f"{name}={write_setting(value)}" for name, value in self.settings.items()]
        lost = ", ".join(self.missing) if len(self.missing) < 3 else f"{len(self.missing)} settings"
        return (*changed, *([f"{lost} not recorded"] if lost else []))


class ScoredPart(Record):
    """A part with everything that decided its scores.

    Attributes:
        method, stream, calibration, empty, weight, group: as of `Part`.
        config: the method's settings, resolved.
        asked: the preset and the settings they were asked for by; None: not recorded.
        fingerprint: of the stream's features: which files and options they were extracted with.
        extraction: the extractors' settings that are no defaults: component -> field -> value.
        code: versions of the code, where they are not the first; of plug-ins also their source.
    """

    method: str
    stream: str
    calibration: str
    empty: Literal["train-min", "zero"] = "train-min"
    weight: float = Field(1.0, ge=0, allow_inf_nan=False)
    group: str = ""
    config: dict[str, Any]
    asked: Asked | None = None
    fingerprint: str = ""
    extraction: Settings = {}
    code: dict[str, Any] = {}

    @property
    def part(self) -> Part:
        """What was declared of it."""
        return Part(self.method, self.stream, self.calibration, self.empty, self.weight, self.group)

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_usual(write(self))


class Split(Record):
    """A re-split: its name, a hash of both lists, how many videos, and how it is trained on."""

    name: str
    sha256: str
    train_videos: Count
    test_videos: Count
    setting: Setting = "unsupervised"

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without(write(self), setting="unsupervised")


class Training(Record):
    """How the parts of a result were trained.

    Attributes:
        seed: 0 where nothing is random.
        scope: one training for all scenes, or one for each.
        source: the data set trained on where it is not the tested one.
        split: the re-split of an unsupervised setting, or of labels that have one.
    """

    seed: Count = 0
    scope: Scope = "pooled"
    source: str | None = None
    split: Split | None = None

    @property
    def setting(self) -> Setting:
        """`one-class`, or `unsupervised`."""
        return "one-class" if self.split is None else self.split.setting

    @property
    def words(self) -> tuple[str, ...]:
        """What is unusual: `per scene`, `trained on avenue`, `unsupervised`, `split NAME`."""
        return (
            *(["per scene"] if self.scope == "scene" else []),
            *([f"trained on {self.source}"] if self.source else []),
            *(["unsupervised"] if self.setting == "unsupervised" else []),
            *([f"split {self.split.name}"] if self.split and self.setting == "one-class" else []),
        )


class Protocol(Record):
    """What is done between row scores and metrics, but for the calibrations: they are the parts'.

    >>> Protocol(smoothing=3).smoothing
    3.0
    """

    smoothing: float | None = Field(
        None,
        ge=0,
        le=MOST_SMOOTHING,
        allow_inf_nan=False,
        description="sigma in frames of the Gaussian filter; None = unsmoothed",
    )
    calibration_level: Literal["row", "frame"] = Field(
        "row", description="training scores that calibrate: every row's, or every frame's maximum"
    )
    macro: tuple[Macro, ...] = Field(
        ("skip", "pad-rank", "pad-0-1", "pad-0-max"),
        description="macro AUC conventions that are reported",
    )
    ties: Literal["average", "order"] = Field(
        "average", description="how RBDC and TBDC treat equal scores"
    )
    alpha: float = Field(0.1, gt=0, le=1, description="part of a track that has to be detected")
    beta: float = Field(0.1, gt=0, le=1, description="least IoU of a detection with a region")
    labels: str = Field(
        OFFICIAL, pattern=r"^[a-z0-9][a-z0-9_-]*$", description="which labels of the data set"
    )

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without(write(self), labels=OFFICIAL)

    @field_validator("smoothing", mode="before")
    @classmethod
    def _none_by_name(cls, sigma: Any) -> Any:
        return None if sigma == "none" else sigma

    @field_validator("macro", mode="before")
    @classmethod
    def _comma_list(cls, macro: Any) -> Any:
        return tuple(name.strip() for name in macro.split(",")) if isinstance(macro, str) else macro

    @field_validator("smoothing")
    @classmethod
    def _no_filter_is_none(cls, sigma: float | None) -> float | None:
        return sigma or None

    @property
    def filter(self) -> str:
        """The smoothing as values name it: `gaussian-3`, or `none`."""
        return "none" if self.smoothing is None else f"gaussian-{self.smoothing:g}"


class Result(Record):
    """What a number is of: a recipe on a data set, its parts, their training, the protocol.

    Attributes:
        dataset: the tested one.
        method: the detector or recipe.
        parts: its streams, whose calibrated scores are added.
        training: of all parts.
        protocol: of the evaluation.
        chosen: what the user chose of the protocol: field -> value, the parts' `calibration` and
            `weights` among them.
        read_out: the score column that is shown, where it is not the method's default.
        given: of whom the scores are, where they were not computed here; what was declared of them
            is the settings of the only part, whose stream is `GIVEN`.
    """

    dataset: str
    method: str
    parts: tuple[ScoredPart, ...] = Field(min_length=1)
    training: Training = Training()
    protocol: Protocol = Protocol()
    chosen: dict[str, Any] = {}
    read_out: str | None = None
    given: str | None = None

    @property
    def features(self) -> str:
        """`stream+stream`."""
        return "+".join(part.stream for part in self.parts)

    @property
    def recipe(self) -> str:
        """`method@stream+stream`, also the folder's name."""
        return f"{self.method}@{self.features}"

    @cached_property
    def key(self) -> str:
        """Equal for results that differ in their seed and in the files they were made from alone.

        A table finds a row's results by it; digests of features and videos are no part, so that a
        clone without the data makes the same table.
        """
        split = self.training.split
        parts = [(one.part.document, one.config, one.extraction, one.code) for one in self.parts]
        return canonical_hash(
            {
                "dataset": self.dataset,
                "method": self.method,
                "parts": parts,
                "trained": [self.training.scope, self.training.source, split and split.name],
                "protocol": self.protocol.model_dump(mode="json"),
                "read_out": self.read_out,
                "given": self.given,
            }
        )

    @property
    def apart(self) -> str | None:
        """Why given scores are ranked in a list of their own; None where they stand among ours.

        They do where no test label was used, by the entrant's word, and training data are not
        others than the data set's own.
        """
        declared = self.parts[0].config
        if self.given is None:
            return None
        if declared.get("test_free") != list(TEST_FREE):
            return "scores given, code and protocol not declared free of test labels"
        other = declared.get("train_data")
        return f"scores given, trained on other data ({other})" if other else None

    @property
    def preset(self) -> str | None:
        """The preset that all parts were asked for by; None: not recorded."""
        asked = [part.asked for part in self.parts]
        known = [one.preset for one in asked if one is not None]
        if len(known) < len(asked):
            return None
        special = [preset for preset in known if preset != "default"]
        return special[0] if special else "default"

    @property
    def setting_words(self) -> tuple[str, ...]:
        """`field=value` of what differs from the preset, `method.field=value` of several."""
        several = len({part.method for part in self.parts}) > 1
        words = [
            f"{part.method}.{word}" if several else word
            for part in self.parts
            if part.asked is not None
            for word in part.asked.words
        ]
        return tuple(dict.fromkeys(words))

    @property
    def settings_label(self) -> str:
        """`fast`, `paper`, `default`, or `fast, beta=0.1`; of given scores, that they are."""
        if self.given is not None:
            return "scores given, metrics computed here"
        return ", ".join([self.preset or "preset not recorded", *self.setting_words])

    @property
    def extraction_words(self) -> tuple[str, ...]:
        """`deep.size=224` of each setting of an extractor that is no default."""
        return extraction_words(part.extraction for part in self.parts)

    @property
    def trained_words(self) -> tuple[str, ...]:
        """What is unusual of what is shown: another read-out, the training, given scores."""
        given = [] if self.given is None else ["scores given"]
        return (*([self.read_out] if self.read_out else []), *self.training.words, *given)

    @property
    def words(self) -> tuple[str, ...]:
        """All that a plain `vadbench run` would not have done; empty of the usual result."""
        preset = [f"preset {self.preset}"] if self.preset == "paper" else []
        unknown = ["preset not recorded"] if self.preset is None and self.given is None else []
        read_out = [f"read-out {self.read_out}"] if self.read_out else []
        return (
            *preset,
            *unknown,
            *self.setting_words,
            *self.extraction_words,
            *read_out,
            *self.training.words,
            *(f"{name}={write_setting(value)}" for name, value in self.chosen.items()),
        )

    @property
    def title(self) -> str:
        """`method (per scene)`: as a row of a table calls it."""
        return (
            f"{self.method} ({', '.join(self.trained_words)})"
            if self.trained_words
            else self.method
        )

    @property
    def name(self) -> str:
        """`dataset/method@stream:seed`, as commands take it."""
        return f"{self.dataset}/{self.recipe}:{self.training.seed}"


@dataclass(frozen=True)
class Wanted:
    """A result that a row of a table shows, on one data set and of one seed.

    Attributes:
        result: what it is of; found among records by its key.
        runs: identities of its jobs.
        label: in the table, in place of the method's name.
        published: what a paper calls the same method with the same settings.
        unstated: imported streams that do not say what network made them, where the settings depend
            on it.
    """

    result: Result
    runs: tuple[str, ...]
    label: str = ""
    published: str | None = None
    unstated: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[str, int]:
        """What it is found by: its key and its seed."""
        return self.result.key, self.result.training.seed

    @property
    def shown(self) -> str:
        """The label, or the method, and how it was trained if that is not usual and the label does
        not end in it.
        """
        training = self.result.training
        name = self.label or self.result.method
        # of an unsupervised suite every row is
        unusual = ", ".join(word for word in training.words if word != "unsupervised")
        return name if name.rstrip(")").endswith(unusual) else f"{name} ({unusual})"


class Metric(NamedTuple):
    """A metric as tables name it: what it is, its convention, whether of smoothed scores.

    >>> Metric.parse("macro AUC (skip)")
    Metric(metric='macro_auc', convention='skip', smoothed=True)
    >>> Metric.parse("macro AUC (skip)").title
    'macro AUC (skip)'
    """

    metric: str
    convention: str | None = None
    smoothed: bool = True

    @classmethod
    def parse(cls, title: str) -> Metric:
        """The metric of a title.

        Raises:
            BadInput: on another text, with the titles there are.
        """
        if title not in METRICS:
            raise BadInput(f"unknown metric {title!r}; there are: {', '.join(METRICS)}")
        return METRICS[title]

    @property
    def title(self) -> str:
        """As a column is headed, `macro AUC (skip)`."""
        return next(title for title, metric in METRICS.items() if metric == self)

    @property
    def better(self) -> int:
        """+1 where higher is better, -1 where lower is."""
        return -1 if self.metric == "eer" else 1

    def smoothing(self, protocol: Protocol) -> str:
        """The smoothing of its values under a protocol: `gaussian-3`, or `none`."""
        return protocol.filter if self.smoothed else "none"


METRICS: dict[str, Metric] = {
    "micro AUC": Metric("micro_auc"),
    "macro AUC (skip)": Metric("macro_auc", "skip"),
    "macro AUC (pad-rank)": Metric("macro_auc", "pad-rank"),
    "EER": Metric("eer"),
    "AP": Metric("average_precision"),
    "RBDC": Metric("rbdc", "average", False),
    "TBDC": Metric("tbdc", "average", False),
    "micro AUC, unsmoothed": Metric("micro_auc", None, False),
    "macro AUC (pad-0-1)": Metric("macro_auc", "pad-0-1"),
    "macro AUC (pad-0-max)": Metric("macro_auc", "pad-0-max"),
    "EER, unsmoothed": Metric("eer", None, False),
    "decision AUC": Metric("decision_auc", None, False),
}
USUAL = tuple(METRICS)[:8]  # the columns of a suite that names none
BOARD = dict(tuple(METRICS.items())[:10])  # the leaderboard's; the others stand beside papers alone


@dataclass(frozen=True, slots=True)
class Value:
    """One number of a record, a fraction; undefined ones are None with a reason.

    Attributes:
        metric, convention: what it is; a convention where there are several.
        smoothing: `none`, or `gaussian-3`.
        read_out: which score column.
        video: a video's name, or `scene:<id>`; None: the whole test set.
        value: None where undefined.
        n: what it counts: frames, videos, regions or tracks.
        reason: why it is undefined.
        low, high: 95 % interval over the test videos, of whole test sets.
        videos: how many test videos it rests on.
        interval_reason: why there is none.
        left_out: streams without boxes, which RBDC and TBDC leave out.
    """

    metric: str
    convention: str | None = None
    smoothing: str = "none"
    read_out: str = "score"
    video: str | None = None
    value: float | None = None
    n: int = 0
    reason: str | None = None
    low: float | None = None
    high: float | None = None
    videos: int | None = None
    interval_reason: str | None = None
    left_out: tuple[str, ...] = ()


def _cost(title: str, unit: str, description: str, over_jobs: str = "sum") -> Any:
    extra: dict[str, Any] = {"unit": unit, "over_jobs": over_jobs}
    return Field(None, title=title, description=description, json_schema_extra=extra)


class Measured(Record):
    """What a job measures of itself: fields of run.json, of `Cost` and of the frame."""

    train_rows: Count | None = _cost("training rows", "", "training rows, summed likewise")
    test_rows: Count | None = _cost("test rows", "", "test rows, summed likewise")
    parameters: Count | None = _cost(
        "parameters",
        "",
        "numbers learnt or kept, summed likewise; missing where a method does not count them",
    )
    peak_memory_mib: float | None = _cost(
        "peak memory",
        "MiB",
        "largest resident size of a job's process, MiB, at its end; earlier jobs of the same"
        " process count",
        over_jobs="max",
    )


class Cost(Measured):
    """What the jobs of a result cost together; None where one of them does not know."""

    fit_seconds: float | None = _cost(
        "training", "s", "training time, wall clock, summed over the recipe's jobs"
    )
    score_seconds: float | None = _cost(
        "scoring", "s", "time to score the test set, summed likewise"
    )
    network_seconds: float | None = _cost(
        "network",
        "s",
        "training time of the networks of learnt streams, each network once; missing where no"
        " stream is learnt",
    )
    _networks: dict[str, float | None] = PrivateAttr(default_factory=dict)

    def with_networks(self, networks: Mapping[str, float | None]) -> Self:
        """This cost with that of networks, fingerprint -> seconds; None: not known."""
        known = [own for own in networks.values() if own is not None]
        whole = bool(networks) and len(known) == len(networks)
        cost = self.model_copy(update={"network_seconds": sum(known) if whole else None})
        cost._networks = dict(networks)
        return cost

    @classmethod
    def over_jobs(cls, costs: Sequence[Cost]) -> Cost:
        """Of several jobs together.

        >>> Cost.over_jobs([Cost(fit_seconds=1), Cost(fit_seconds=2)]).fit_seconds
        3.0
        """
        total: dict[str, Any] = {}
        for name in cls.model_fields:
            known = [getattr(cost, name) for cost in costs]
            combine = max if cls.extra(name)["over_jobs"] == "max" else sum
            total[name] = None if None in known or not known else combine(known)
        networks = {name: own for cost in costs for name, own in cost._networks.items()}
        return cls(**total).with_networks(networks)

    @classmethod
    def extra(cls, name: str) -> dict[str, str]:
        """`unit` of a field, and how it is taken `over_jobs`: the sum or the max."""
        extra = cls.model_fields[name].json_schema_extra
        return {key: str(value) for key, value in extra.items()} if isinstance(extra, dict) else {}


COSTS: tuple[str, ...] = (
    "fit_seconds",
    "score_seconds",
    *Measured.model_fields,
    "network_seconds",
)


def extraction_words(parts: Iterable[Mapping[str, Mapping[str, Any]]]) -> tuple[str, ...]:
    """`deep.size=224` of each extractor's setting, each once."""
    words = [
        f"{component}.{name}={write_setting(value)}"
        for extraction in parts
        for component, fields in extraction.items()
        for name, value in fields.items()
    ]
    return tuple(dict.fromkeys(words))


def check_settings(settings: Settings) -> Settings:
    """Settings that JSON can hold, and whose numbers a record can.

    Raises:
        ValueError: naming the setting.

    >>> check_settings({"knn": {"k": 5}})
    {'knn': {'k': 5}}
    """
    for component, fields in settings.items():
        for name, value in fields.items():
            _check_setting(f"{component}.{name}"[:QUOTED], value)
    return settings


def _check_setting(name: str, value: Any, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise ValueError(f"{name}: nested too deeply")
    if isinstance(value, dict | list):
        for one in (*value, *value.values()) if isinstance(value, dict) else value:
            _check_setting(name, one, depth + 1)
    elif isinstance(value, str):
        if not value.isprintable():
            raise ValueError(f"{name} is {quote(value)}; expected characters that can be printed")
    elif isinstance(value, int | float):
        if not abs(value) <= (MOST_COUNTED if isinstance(value, int) else sys.float_info.max):
            raise ValueError(f"{name} is {quote(value)}; expected a number up to 2^53")
    elif value is not None:
        raise ValueError(f"{name} is {quote(value)}; expected a number, a text, a list or null")


def write_setting(value: Any) -> str:
    """A setting's value as people read it; a long list as its ends.

    >>> write_setting(0.5), write_setting([1, 2, 3, 4, 5])
    ('0.5', '[1, …, 5] (5)')
    """
    if isinstance(value, list | tuple) and len(value) > 4:
        return f"[{write_setting(value[0])}, …, {write_setting(value[-1])}] ({len(value)})"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)


def write_duration(seconds: float) -> str:
    """A duration as people say it, no less than a second.

    >>> write_duration(3.4), write_duration(100), write_duration(7200)
    ('3 s', '2 min', '2.0 h')
    """
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
