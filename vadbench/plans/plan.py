"""Suite -> the jobs to run and the results to make of them.

`make_plan` resolves presets and settings, so that two ways to say one thing give one identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from vadbench import registry
from vadbench.datasets.base import Dataset, Resplit
from vadbench.datasets.open import open_dataset
from vadbench.datasets.part import base_of
from vadbench.datasets.resplit import describe_split, resplit_for
from vadbench.detector import Part, Recipe
from vadbench.errors import BadInput
from vadbench.evaluation.protocol import (
    OF_PARTS,
    check_calibration,
    check_weights,
    group_parts,
    make_protocol,
)
from vadbench.features.names import StreamName
from vadbench.features.stream import StreamPlan, declared_nature, is_available, plan_stream
from vadbench.plans.jobs import Job, Source
from vadbench.plans.presets import describe_asked, resolve_config
from vadbench.spec import Result, ScoredPart, Settings, Training, Wanted
from vadbench.suite import LATEST, Suite, SuiteRow
from vadbench.versions import code_of


@dataclass(frozen=True)
class Planned:
    """A result to make, and the jobs whose calibrated scores are added."""

    wanted: Wanted
    jobs: tuple[Job, ...]

    @property
    def result(self) -> Result:
        """What is to be made."""
        return self.wanted.result

    @property
    def runs(self) -> tuple[str, ...]:
        """Identities of the jobs."""
        return self.wanted.runs


@dataclass(frozen=True)
class Plan:
    """The jobs (each once) and the results of a suite."""

    suite: Suite
    jobs: tuple[Job, ...]
    planned: tuple[Planned, ...]

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """What the suite's table shows."""
        return tuple(one.wanted for one in self.planned)


def plan_suite(suite: Suite) -> Plan:
    """The suite's jobs and results.

    Raises:
        BadInput: on an unknown name or a setting that is none.

    Examples:
        >>> from vadbench.suite import make_suite
        >>> suite = {"methods": ["knn", "mulde"], "datasets": ["synthetic"], "seeds": 2}
        >>> plan = plan_suite(make_suite(suite))
        >>> [(job.method, job.stream.name, job.seed) for job in plan.jobs]
        [('knn', 'velocity', 0), ('mulde', 'velocity', 0), ('mulde', 'velocity', 1)]
        >>> [wanted.result.name for wanted in plan.wanted]
        ['synthetic/knn@velocity:0', 'synthetic/mulde@velocity:0', 'synthetic/mulde@velocity:1']
    """
    names = (*suite.datasets, *suite.sources)
    _refuse_mixture(names)
    return make_plan(suite, {name: open_dataset(name) for name in names})


def _refuse_mixture(names: Iterable[str]) -> None:
    """Refuse a part of a data set beside the whole, or beside another part of it: they are never
    ranked together.
    """
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(base_of(name), name)
        if other != name:
            raise BadInput(
                f"{name} and {other} are of one data set and not comparable; run each by itself"
            )


def make_plan(suite: Suite, datasets: dict[str, Dataset]) -> Plan:
    """Resolve a suite into jobs and results; reads no video and no feature.

    Args:
        suite: what to run.
        datasets: the suite's data sets by name, those of `train_on` among them.

    Raises:
        BadInput: on an unknown method, stream or setting, with the choices; if a stream is fused
            with itself, or two rows look the same.
    """
    planned: list[Planned] = []
    for dataset in (datasets[name] for name in suite.datasets):
        for method, row in _name_rows(suite):
            if not _is_on(row, dataset.name):
                continue
            source = datasets.get((row.train_on if row else None) or suite.train_on or "")
            own = [
                one
                for parts in _choose_parts(method, suite, dataset)
                for one in _Planner(suite, row, dataset, source).plan(method, parts)
            ]
            if row is not None:
                where = f"component in the settings of row {row.label!r}"
                _refuse_unused(row.settings, own, where)
            planned += own
    if not planned:
        raise BadInput(
            f"suite {suite.name}: none of its rows is on {', '.join(suite.datasets)}; name data"
            " sets that its rows are on"
        )
    _refuse_unused(suite.settings, planned, "component in --set")
    _refuse_seeds(suite, planned)
    jobs = {job.identity: job for one in planned for job in one.jobs}
    return Plan(suite, tuple(jobs.values()), _keep_distinct(planned))


def _refuse_seeds(suite: Suite, planned: list[Planned]) -> None:
    """Refuse several seeds, asked for on the command line, where no result depends on one."""
    if suite.name != LATEST or suite.seeds == 1:
        return
    if all(_is_fixed(job) for one in planned for job in one.jobs):
        first = planned[0].result
        raise BadInput(
            f"nothing is random in {first.recipe}, which has seed 0 alone; leave --seeds (train:"
            " --seed) out, or name a method or a learnt stream that has seeds (vadbench list"
            " methods|features)"
        )


def _name_rows(suite: Suite) -> list[tuple[str, SuiteRow | None]]:
    """The methods, with the rows that name them: those on single streams, then the suite's fusions
    of each detector, then rows that name their streams.
    """
    methods: list[tuple[str, SuiteRow | None]] = [(method, None) for method in suite.methods]
    named = [*methods, *((row.method, row) for row in suite.rows)]
    alone = [(method, row) for method, row in named if row is None or "@" not in method]
    fused = [
        (f"{method}@{streams}", row)
        for streams in suite.fusions
        for method, row in alone
        if method in registry.names("detectors")
    ]
    return [*alone, *fused, *(each for each in named if each not in alone)]


def _is_on(row: SuiteRow | None, dataset: str) -> bool:
    """Whether the row is on the data set."""
    for name in () if row is None else row.datasets:
        if name not in registry.names("datasets"):
            raise registry.unknown("data set", name, registry.names("datasets"))
    return row is None or not row.datasets or base_of(dataset) in row.datasets


def _choose_parts(method: str, suite: Suite, dataset: Dataset) -> list[tuple[Part, ...]]:
    """The parts of each result that the name stands for: one a stream, or one fused."""
    name, at, streams_text = method.partition("@")
    streams = tuple(streams_text.split("+")) if at else suite.features or dataset.streams
    if name in registry.names("recipes"):
        named = streams if at or suite.features else None
        return _fill_recipe(registry.load("recipes", name), named, dataset)
    if name not in registry.names("detectors"):
        raise registry.unknown("method", name, registry.names("detectors", "recipes"))
    if at and len(streams) > 1:
        calibration = registry.load("detectors", name).calibration
        return [tuple(Part(name, stream, calibration) for stream in streams)]
    return [(Part(name, stream, "none"),) for stream in streams]


def _fill_recipe(
    recipe: Recipe, streams: tuple[str, ...] | None, dataset: Dataset
) -> list[tuple[Part, ...]]:
    """The recipe on the given streams, matched by extractor, and by variant where its parts share
    one (several that match: one row each), or else on all whose weights are here.
    """
    choices = []
    for part in _weigh(recipe, base_of(dataset.name)):
        extractor = part.stream.partition(".")[0]
        if streams is not None:
            own = [stream for stream in streams if _fits(stream, part, recipe, dataset)]
        else:
            known = extractor in registry.names("extractors")
            own = [part.stream] if known and is_available(part.stream, dataset) else []
        if own:
            choices.append([replace(part, stream=stream) for stream in own])
    if not choices:
        wanted = ", ".join(part.stream for part in recipe.parts)
        raise BadInput(
            f"{recipe.name}: none of its streams ({wanted}) is available; name one with --features"
        )
    return list(product(*choices))


def _weigh(recipe: Recipe, dataset: str) -> tuple[Part, ...]:
    """The recipe's parts with the weights they have on the data set."""
    weights = recipe.weights.get(dataset)
    if weights is None:
        return recipe.parts
    pairs = zip(recipe.parts, weights, strict=True)
    return tuple(replace(part, weight=weight) for part, weight in pairs)


def _fits(stream: str, part: Part, recipe: Recipe, dataset: Dataset) -> bool:
    """Whether a stream may stand for the one that the recipe declares."""
    given, declared = (StreamName.parse(name, dataset.boxes) for name in (stream, part.stream))
    sharing = [one for one in recipe.parts if one.stream.partition(".")[0] == given.extractor]
    variants = {one.stream.partition("@")[0] for one in sharing}
    return given.extractor == declared.extractor and (
        len(variants) < 2 or given.variant == declared.variant
    )


@dataclass(frozen=True)
class _Planner:
    """What the parts of a row share."""

    suite: Suite
    row: SuiteRow | None
    dataset: Dataset
    source: Dataset | None  # where `train_on` names one

    def plan(self, method: str, parts: tuple[Part, ...]) -> list[Planned]:
        """The result of every seed."""
        name, settings = method.partition("@")[0], self.suite.settings_of(self.row)
        chosen = dict(settings.get("protocol", {}))
        resplit = self._find_resplit(chosen)
        streams = {
            part.stream: plan_stream(
                self.dataset,
                part.stream,
                settings,
                preset=self.suite.preset,
                trained=self.source,
                videos=None if resplit is None else resplit.train,
            )
            for part in parts
        }
        _refuse_twice(name, [(part.method, streams[part.stream].name) for part in parts])
        if "calibration" in chosen:
            check_calibration(str(chosen["calibration"]))
            parts = tuple(replace(part, calibration=str(chosen["calibration"])) for part in parts)
        if "weights" in chosen:
            weights = check_weights(chosen["weights"], len(parts))
            pairs = zip(parts, weights, strict=True)
            parts = tuple(replace(part, weight=weight) for part, weight in pairs)
        group_parts(parts)
        protocol = make_protocol({"smoothing": self.dataset.smoothing, **chosen})
        usual = [self._plan_job(part, streams[part.stream], settings, resplit) for part in parts]
        planned = []
        for seed in self._seeds(usual):
            jobs = tuple(_take_seed(job, seed) for job in usual)
            first = jobs[0]
            result = Result(
                dataset=self.dataset.name,
                method=name,
                parts=tuple(_score_part(part, job) for part, job in zip(parts, jobs, strict=True)),
                training=Training(
                    seed=seed,
                    scope=first.scope,
                    source=None if first.source is None else first.source.dataset,
                    split=None if resplit is None else describe_split(resplit),
                ),
                protocol=protocol,
                chosen=_drop_usual(chosen, self.dataset),
                read_out=_choose_read_out(jobs, self.row),
            )
            planned.append(Planned(self._want(result, jobs), jobs))
        return planned

    def _find_resplit(self, chosen: dict[str, Any]) -> Resplit | None:
        """The videos that the setting and the chosen labels train and test on."""
        protocol = make_protocol(chosen)
        resplit = resplit_for(self.dataset, self.suite.setting, protocol.labels)
        trained = self.source
        elsewhere = trained is not None and trained.name != self.dataset.name
        if resplit is not None and resplit.setting == "one-class" and elsewhere:
            raise BadInput(
                f"{self.dataset.name}: labels {protocol.labels} have a training split of their own;"
                " leave train_on out"
            )
        return resplit

    def _want(self, result: Result, jobs: tuple[Job, ...]) -> Wanted:
        label, published = ("", None) if self.row is None else (self.row.label, self.row.published)
        runs = tuple(job.identity for job in jobs)
        paper = self.suite.preset == "paper"
        unstated = tuple(job.stream.name for job in jobs if paper and _lacks_network(job))
        return Wanted(result, runs, label, published, unstated)

    def _seeds(self, jobs: Iterable[Job]) -> range:
        """Those of the suite, where the seed decides anything."""
        return range(1) if all(map(_is_fixed, jobs)) else range(self.suite.seeds)

    def _plan_job(
        self, part: Part, stream: StreamPlan, settings: Settings, resplit: Resplit | None
    ) -> Job:
        """The job of seed 0."""
        method = registry.load("detectors", part.method)
        source = self._plan_source(part.stream, settings)
        trained = base_of(self.dataset.name if source is None else source.dataset)
        learnt = stream if source is None else source.stream
        preset, own = self.suite.preset, settings.get(part.method, {})
        config = resolve_config(method, preset, trained, learnt.name, own, learnt.nature)
        return Job(
            method=part.method,
            dataset=self.dataset.name,
            revision=self.dataset.revision,
            stream=stream,
            config=config,
            seed=0,
            resplit=resplit,
            scope=(self.row.scope if self.row else None) or self.suite.scope,
            source=source,
            code=code_of("detectors", part.method),
            asked=describe_asked(method, preset, trained, learnt.nature, config),
        )

    def _plan_source(self, stream: str, settings: Settings) -> Source | None:
        """Where to train, None on the tested data set itself."""
        if self.source is None or self.source.name == self.dataset.name:
            return None
        plan = plan_stream(self.source, stream, settings, preset=self.suite.preset)
        return Source(self.source.name, self.source.revision, plan)


def _is_fixed(job: Job) -> bool:
    """Whether the seed changes neither what is learnt nor the features."""
    return _is_deterministic(job) and not job.stream.seeded


def _is_deterministic(job: Job) -> bool:
    fixed: bool = registry.load("detectors", job.method).info.deterministic
    return fixed


def _take_seed(job: Job, seed: int) -> Job:
    """The job with a seed, which is 0 for a method without chance; the networks of its streams
    take it too.
    """
    source = job.source
    if source is not None:
        source = replace(source, stream=source.stream.take_seed(seed))
    own = 0 if _is_deterministic(job) else seed
    return replace(job, seed=own, stream=job.stream.take_seed(seed), source=source)


def _score_part(part: Part, job: Job) -> ScoredPart:
    """What a result says of a part."""
    return ScoredPart(
        method=part.method,
        stream=job.stream.name,
        calibration=part.calibration,
        empty=part.empty,
        weight=part.weight,
        group=part.group,
        config=job.document["config"],
        asked=job.asked,
        fingerprint=job.stream.fingerprint,
        extraction=job.stream.changed,
        code=_describe_code(job),
    )


def _describe_code(job: Job) -> dict[str, Any]:
    """What tells apart the code that decided a part: of version 1 of ours, nothing."""
    components = {"extractor": job.stream.extractor, "boxes": job.stream.boxes}
    code: dict[str, Any] = {"method": job.code} if job.code else {}
    for what, component in components.items():
        own: dict[str, Any] = {
            name: component[name] for name in ("code", "reader") if name in component
        }
        own |= {"version": component["version"]} if component.get("version", 1) != 1 else {}
        code |= {what: own} if own else {}
    return code


def _drop_usual(chosen: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    """What was chosen of a protocol, without what the data set has anyway."""
    usual = make_protocol({"smoothing": dataset.smoothing})
    return {
        name: value
        for name, value in chosen.items()
        if name in OF_PARTS or getattr(make_protocol({name: value}), name) != getattr(usual, name)
    }


def _choose_read_out(jobs: Iterable[Job], row: SuiteRow | None) -> str | None:
    """The read-out that the row shows, None where it is the default anyway."""
    if row is None or row.read_out is None:
        return None
    known = [
        registry.load("detectors", job.method)(job.config, seed=job.seed).read_outs for job in jobs
    ]
    for read_outs in known:
        if row.read_out not in read_outs:
            raise registry.unknown(f"read-out in row {row.label!r}", row.read_out, read_outs)
    default = all(read_outs[0] == row.read_out for read_outs in known)
    return None if default else row.read_out


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
    trained = base_of(job.dataset if job.source is None else job.source.dataset)
    natures = [replace(job.stream.nature, network=network) for network in ("", *networks)]
    usual, *others = (method.preset("paper", trained, nature) for nature in natures)
    return any(other != usual for other in others)


def _refuse_twice(name: str, scored: list[tuple[str, str]]) -> None:
    """Refuse a fusion of a stream with itself."""
    twice = [stream for method, stream in scored if scored.count((method, stream)) > 1]
    if twice:
        streams = "+".join(stream for _, stream in scored)
        raise BadInput(
            f"{name}@{streams}: {twice[0]} is there twice; a fusion takes each stream once"
        )


def _keep_distinct(planned: list[Planned]) -> tuple[Planned, ...]:
    """Each result once; refuses two that differ and that the table would show by one name."""
    known: dict[tuple[str, str, str, int], Planned] = {}
    for one in planned:
        result, shown = one.result, one.wanted.shown
        place = shown, result.features, result.dataset, result.training.seed
        first = known.setdefault(place, one)
        if _content(first) != _content(one):
            raise BadInput(
                f"{shown!r} is there twice on {result.features}, for different things; give each"
                " row a label of its own"
            )
    return tuple(known.values())


def _content(planned: Planned) -> tuple[object, ...]:
    """What a row of a table is of, whatever its label."""
    return planned.result.key, planned.runs, planned.wanted.published


def _refuse_unused(settings: Settings, planned: list[Planned], what: str) -> None:
    used = {"protocol", *(name for one in planned for job in one.jobs for name in _components(job))}
    for component in settings:
        if component not in used:
            raise registry.unknown(what, component, used)


def _components(job: Job) -> Iterator[str]:
    """Whose settings the job uses."""
    yield job.method
    yield from job.stream.components
    if job.source is not None:
        yield from job.source.stream.components
