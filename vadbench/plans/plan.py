"""Suite -> the jobs to run and the recipes to evaluate; a job's identity.

`make_plan` resolves presets and settings, so that two ways to say one thing give one identity.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from pydantic import ValidationError

from vadbench import registry
from vadbench.datasets.base import SPLITS, Dataset, Resplit, Split
from vadbench.datasets.resplit import resplit_of
from vadbench.detector import Detector, MethodConfig, Nature, Part, Recipe
from vadbench.errors import BadInput
from vadbench.features.names import StreamName
from vadbench.features.stream import StreamPlan, declared_nature, is_available, plan_stream
from vadbench.files.canonical import canonical_hash
from vadbench.plans.suite import Scope, Settings, Suite, SuiteRow
from vadbench.results.records import SCHEMA_VERSION
from vadbench.versions import code_of


@dataclass(frozen=True)
class Source:
    """The data set that a cross-data-set job is trained on, and its stream."""

    dataset: str
    revision: str
    stream: StreamPlan


@dataclass(frozen=True)
class Job:
    """One training: a method with its settings on one stream of one data set with one seed."""

    method: str
    dataset: str
    revision: str
    stream: StreamPlan
    config: MethodConfig
    seed: int
    resplit: Resplit | None = None  # of the unsupervised setting
    scope: Scope = "pooled"
    source: Source | None = None  # where it is not the tested data set
    code: dict[str, Any] = field(default_factory=dict)  # as `code_of` tells of the method

    @property
    def streams(self) -> dict[Split, StreamPlan]:
        """The stream that is read of each split: that of the training videos may be another data
        set's.
        """
        splits: tuple[Split, ...] = SPLITS if self.resplit is None else self.resplit.splits
        own = dict.fromkeys(splits, self.stream)
        return own if self.source is None else {**own, "train": self.source.stream}

    @property
    def document(self) -> dict[str, Any]:
        """What the identity hashes: all that decides the scores, nothing else."""
        document = {
            "schema_version": SCHEMA_VERSION,
            "method": self.method,
            "config": self.config.settings("fit", "scoring"),
            "dataset": self.dataset,
            "train_dataset": f"{self.dataset}@{self.revision}",
            "stream": self.stream.name,
            "fingerprint": self.stream.fingerprint,
            "scope": self.scope,
            "setting": "one-class",
            "seed": self.seed,
        }
        if self.code:
            document["code"] = self.code
        if self.source is not None:
            trained = f"{self.source.dataset}@{self.source.revision}"
            document |= {
                "train_dataset": trained,
                "train_fingerprint": self.source.stream.fingerprint,
            }
        return (
            document
            if self.resplit is None
            else {**document, "setting": "unsupervised", "resplit": self.resplit.document}
        )

    @property
    def identity(self) -> str:
        """sha256 of the canonical document."""
        return canonical_hash(self.document)

    @property
    def fit_identity(self) -> str:
        """The identity of the training alone: equal for jobs that differ only in what is computed
        from the fitted model.
        """
        return canonical_hash({**self.document, "config": self.config.settings("fit")})


@dataclass(frozen=True)
class PlannedPart:
    """A part of a recipe and the job that scores it."""

    part: Part
    job: Job


@dataclass(frozen=True)
class PlannedRecipe:
    """One row of a table for one seed: the jobs whose calibrated scores are added."""

    method: str
    dataset: str
    seed: int
    parts: tuple[PlannedPart, ...]
    label: str = ""  # in the table, in place of the method's name
    read_out: str | None = None  # shown in place of the method's default
    # fields of the protocol that differ from its defaults
    protocol: tuple[tuple[str, Any], ...] = ()
    published: str | None = None  # what a paper calls the same method with the same settings

    @property
    def shown(self) -> str:
        """What the table shows: the label, or the method, and how it was trained if that is not
        usual and the label does not end in it.
        """
        job, name = self.parts[0].job, self.label or self.method
        trained = "" if job.source is None else f"trained on {job.source.dataset}"
        unusual = "per scene" if job.scope == "scene" else trained
        return name if name.rstrip(")").endswith(unusual) else f"{name} ({unusual})"

    @property
    def resplit(self) -> Resplit | None:
        """The videos trained on and tested, where they are not the data set's own splits."""
        return self.parts[0].job.resplit

    @property
    def name(self) -> str:
        """`method@stream+stream`, also the folder's name."""
        return f"{self.method}@{'+'.join(part.job.stream.name for part in self.parts)}"


@dataclass(frozen=True)
class Plan:
    """The jobs (each once) and the recipes of a suite."""

    suite: Suite
    jobs: tuple[Job, ...]
    recipes: tuple[PlannedRecipe, ...]


def make_plan(suite: Suite, datasets: dict[str, Dataset]) -> Plan:
    """Resolve a suite into jobs and recipes; reads no video and no feature.

    Args:
        suite: what to run.
        datasets: the suite's data sets by name, those of `train_on` among them.

    Raises:
        BadInput: on an unknown method, stream or setting, with the choices; if a stream is fused
            with itself, or two rows look the same.
    """
    recipes: list[PlannedRecipe] = []
    named: list[tuple[str, SuiteRow | None]] = [
        *((method, None) for method in suite.methods),
        *((row.method, row) for row in suite.rows),
    ]
    alone = [(method, row) for method, row in named if row is None or "@" not in method]
    fused = [
        (f"{method}@{streams}", row)
        for streams in suite.fusions
        for method, row in alone
        if method in registry.names("detectors")
    ]
    rest = [each for each in named if each not in alone]
    for dataset in (datasets[name] for name in suite.datasets):
        resplit = resplit_of(dataset) if suite.setting == "unsupervised" else None
        for method, row in (*alone, *fused, *rest):
            if not _is_on(row, dataset.name):
                continue
            planned = []
            for parts in _recipes_of(method, suite, dataset):
                planned += _over_seeds(
                    method.partition("@")[0], parts, suite, row, dataset, datasets, resplit
                )
            if row is not None:
                _refuse_unused(
                    row.settings, planned, f"component in the settings of row {row.label!r}"
                )
            recipes += planned
    if not recipes:
        there = ", ".join(suite.datasets)
        raise BadInput(
            f"suite {suite.name}: none of its rows is on {there}; name data sets that its rows"
            " are on"
        )
    _refuse_unused(suite.settings, recipes, "component in --set")
    jobs = {part.job.identity: part.job for recipe in recipes for part in recipe.parts}
    return Plan(suite, tuple(jobs.values()), _told_apart(recipes))


def _is_on(row: SuiteRow | None, dataset: str) -> bool:
    """Whether the row is on the data set."""
    for name in () if row is None else row.datasets:
        if name not in registry.names("datasets"):
            raise registry.unknown("data set", name, registry.names("datasets"))
    return row is None or not row.datasets or dataset in row.datasets


def _told_apart(recipes: list[PlannedRecipe]) -> tuple[PlannedRecipe, ...]:
    """The recipes, each once; refuses two that differ and that the table would show by one name."""
    known: dict[tuple[str, str, str, int], PlannedRecipe] = {}
    for recipe in recipes:
        streams = recipe.name.partition("@")[2]
        first = known.setdefault((recipe.shown, streams, recipe.dataset, recipe.seed), recipe)
        if _content(first) != _content(recipe):
            raise BadInput(
                f"{recipe.shown!r} is there twice on {streams}, for different things; give each row"
                " a label of its own"
            )
    return tuple(known.values())


def _content(recipe: PlannedRecipe) -> tuple[object, ...]:
    """What a row of a table is of, whatever its label."""
    return (
        tuple((each.part, each.job.identity) for each in recipe.parts),
        recipe.read_out,
        recipe.protocol,
        recipe.published,
    )


def resolve_config(
    method: type[Detector],
    preset: str,
    dataset: str,
    stream: str,
    settings: dict[str, Any],
    nature: Nature | None = None,
) -> MethodConfig:
    """The method's settings: defaults, then the preset's, then the user's.

    Args:
        method: whose settings.
        preset: its name.
        dataset: trained on.
        stream: its name.
        settings: what the user chose.
        nature: of the stream; none: what the extractor in its name declares.

    Raises:
        BadInput: naming the setting that is wrong, with the fields there are.
    """
    try:
        return method.Config(
            **{**method.preset(preset, dataset, nature or declared_nature(stream)), **settings}
        )
    except ValidationError as error:
        raise BadInput(
            f"{method.info.name}: {registry.first_fault(error, method.Config)}"
        ) from error


def _recipes_of(method: str, suite: Suite, dataset: Dataset) -> list[tuple[Part, ...]]:
    """The parts of each recipe that the name stands for: one a stream, or one fused."""
    name, at, streams_text = method.partition("@")
    streams = tuple(streams_text.split("+")) if at else suite.features or dataset.streams
    if name in registry.names("recipes"):
        return _parts_present(
            registry.load("recipes", name), streams if at or suite.features else None, dataset
        )
    if name not in registry.names("detectors"):
        raise registry.unknown("method", name, registry.names("detectors", "recipes"))
    if at and len(streams) > 1:
        calibration = registry.load("detectors", name).calibration
        return [tuple(Part(name, stream, calibration) for stream in streams)]
    return [(Part(name, stream, "none"),) for stream in streams]


def _parts_present(
    recipe: Recipe, streams: tuple[str, ...] | None, dataset: Dataset
) -> list[tuple[Part, ...]]:
    """The recipe on the given streams, matched by extractor (several of one extractor: one row
    each), or else on all whose weights are here.
    """
    known = registry.names("extractors")
    choices = []
    for part in recipe.parts:
        extractor = part.stream.partition(".")[0]
        given = [part.stream] if extractor in known and is_available(part.stream, dataset) else []
        if streams is not None:
            given = [
                stream
                for stream in streams
                if StreamName.parse(stream, dataset.boxes).extractor == extractor
            ]
        if given:
            choices.append([replace(part, stream=stream) for stream in given])
    if not choices:
        wanted = ", ".join(part.stream for part in recipe.parts)
        raise BadInput(
            f"{recipe.name}: none of its streams ({wanted}) is available; name one with --features"
        )
    return list(product(*choices))


def _over_seeds(
    name: str,
    parts: tuple[Part, ...],
    suite: Suite,
    row: SuiteRow | None,
    dataset: Dataset,
    datasets: dict[str, Dataset],
    resplit: Resplit | None,
) -> list[PlannedRecipe]:
    settings = suite.settings_of(row)
    scope = (row.scope if row else None) or suite.scope
    methods = {part.method: registry.load("detectors", part.method) for part in parts}
    streams = {part.stream: plan_stream(dataset, part.stream, settings) for part in parts}
    scored = [(part.method, streams[part.stream].name) for part in parts]
    if twice := next(
        (stream for method, stream in scored if scored.count((method, stream)) > 1), None
    ):
        raise BadInput(
            f"{name}@{'+'.join(stream for _, stream in scored)}: {twice} is there twice; a fusion"
            " takes each stream once"
        )
    seeds = (
        range(1)
        if all(method.info.deterministic for method in methods.values())
        else range(suite.seeds)
    )
    protocol = dict(settings.get("protocol", {}))
    calibration = protocol.pop("calibration", None)
    planned = []
    for seed in seeds:
        jobs = []
        for part in parts:
            method, stream = methods[part.method], streams[part.stream]
            source = _source(
                datasets.get((row.train_on if row else None) or suite.train_on or ""),
                dataset,
                part.stream,
                settings,
            )
            trained, learnt = (
                (dataset.name, stream) if source is None else (source.dataset, source.stream)
            )
            config = resolve_config(
                method,
                suite.preset,
                trained,
                learnt.name,
                settings.get(part.method, {}),
                learnt.nature,
            )
            job_seed = 0 if method.info.deterministic else seed
            code = code_of("detectors", part.method)
            job = Job(
                part.method,
                dataset.name,
                dataset.revision,
                stream,
                config,
                job_seed,
                resplit,
                scope,
                source,
                code,
            )
            jobs.append(
                PlannedPart(
                    replace(part, stream=stream.name, calibration=calibration or part.calibration),
                    job,
                )
            )
        shown = _read_out(jobs, row)
        label, published = ("", None) if row is None else (row.label, row.published)
        planned.append(
            PlannedRecipe(
                name,
                dataset.name,
                seed,
                tuple(jobs),
                label,
                shown,
                tuple(protocol.items()),
                published,
            )
        )
    return planned


def _source(
    trained: Dataset | None, tested: Dataset, stream: str, settings: Settings
) -> Source | None:
    """Where to train, None on the tested data set itself."""
    if trained is None or trained.name == tested.name:
        return None
    return Source(trained.name, trained.revision, plan_stream(trained, stream, settings))


def _read_out(parts: list[PlannedPart], row: SuiteRow | None) -> str | None:
    """The read-out that the row shows, None where it is the default anyway."""
    if row is None or row.read_out is None:
        return None
    there = [
        registry.load("detectors", part.job.method)(part.job.config, seed=part.job.seed).read_outs
        for part in parts
    ]
    for read_outs in there:
        if row.read_out not in read_outs:
            raise registry.unknown(f"read-out in row {row.label!r}", row.read_out, read_outs)
    return None if all(read_outs[0] == row.read_out for read_outs in there) else row.read_out


def _refuse_unused(settings: Settings, recipes: list[PlannedRecipe], what: str) -> None:
    used = {"protocol"} | {
        component
        for recipe in recipes
        for part in recipe.parts
        for component in _components(part.job)
    }
    for component in settings:
        if component not in used:
            raise registry.unknown(what, component, used)


def _components(job: Job) -> tuple[str, ...]:
    return (job.method, *job.stream.components)
