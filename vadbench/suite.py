"""A suite: what to run and what its table shows; one TOML file under benchmarks/, or one command
line.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    model_validator,
)

from vadbench import registry
from vadbench.errors import BadInput, cut, quote
from vadbench.files.documents import parse_json, read_toml
from vadbench.spec import MOST_SEEDS, OFFICIAL, Preset, Scope, Setting, Settings, check_settings

LONGEST_SETTING = 10_000  # characters of a value of --set
LATEST = "latest"  # the name of a suite that is one command line
CheckedSettings = Annotated[Settings, AfterValidator(check_settings)]
# fields that are options of the command line
OPTIONS = {"methods", "datasets", "features", "seeds", "preset", "scope", "train_on", "setting"}


class SuiteRow(BaseModel):
    """A row of a suite with settings of its own, or that shows another read-out than the method's
    default.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str = Field(
        description="what the table shows in place of the method's name", min_length=1
    )
    method: str = Field(description="a detector, a recipe, or `method@stream+stream` for a fusion")
    settings: CheckedSettings = Field(
        {}, description="settings on top of the suite's: component -> field -> value"
    )
    read_out: str | None = Field(None, description="the read-out shown; none: the method's default")
    scope: Scope | None = Field(None, description="pooled or scene; none: the suite's")
    train_on: str | None = Field(
        None, description="another data set to train on; none: the suite's"
    )
    published: str | None = Field(
        None,
        description="what the suite's published tables call the same method with the same settings",
    )
    datasets: tuple[str, ...] = Field(
        (), description="those of the suite's that it is on; none: all"
    )


class Suite(BaseModel):
    """What to run: one TOML file under benchmarks/, or one command line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(LATEST, pattern=r"^[a-z0-9][a-z0-9._+@-]*$", description="name of the table")
    file: str = Field("", description="its TOML file, where it is a user's own")
    variation: str = Field("", description="the options that `vary` it, as a shell takes them")
    title: str = Field("", description="title of the table")
    methods: tuple[str, ...] = Field(
        (), description="detectors, recipes, or `method@stream+stream` for a fusion"
    )
    rows: tuple[SuiteRow, ...] = Field(
        (), description="further rows of the table, with settings of their own: an ablation"
    )
    datasets: tuple[str, ...] = Field(description="data sets", min_length=1)
    features: tuple[str, ...] = Field((), description="streams; none = each data set's own")
    fusions: tuple[str, ...] = Field(
        (),
        description=(
            "`stream+stream`: each method, and each row that names no streams, also on these, fused"
        ),
    )
    seeds: PositiveInt = Field(
        1, le=MOST_SEEDS, description="seeds 0 to n-1 of the methods that are not deterministic"
    )
    preset: Preset = Field("fast", description="the methods' settings")
    settings: CheckedSettings = Field(
        {}, description="settings on top of the preset: component -> field -> value"
    )
    setting: Setting = Field(
        "one-class",
        description=(
            "one-class: training videos are normal; unsupervised: unlabelled videos with anomalous"
            " ones among them"
        ),
    )
    scope: Scope = Field(
        "pooled",
        description=(
            "pooled: one training for all scenes; scene: one for each, on its own training videos"
        ),
    )
    train_on: str | None = Field(
        None,
        description=(
            "another data set to train on, with the same features; none: each data set's own videos"
        ),
    )
    metrics: tuple[str, ...] = Field(
        (),
        description=(
            "the table's columns, such as `micro AUC`; none: all but macro AUC's further"
            " conventions"
        ),
    )
    published: tuple[str, ...] = Field(
        (),
        description=(
            "tables of papers that stand below the measured rows: `source/table` of published.csv"
        ),
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not (self.methods or self.rows):
            raise ValueError("name methods, or give rows")
        unusual = [
            bool(self.sources),
            self.setting == "unsupervised",
            "scene" in (self.scope, *(row.scope for row in self.rows)),
        ]
        if sum(unusual) > 1:
            raise ValueError("of train_on, setting unsupervised and scope scene only one at a time")
        return self

    @property
    def called(self) -> str:
        """What `--suite` takes for it, with the options that vary it."""
        name = self.file or self.name.partition("--")[0]
        return f"{shlex.quote(name)} {self.variation}".strip()

    @property
    def options(self) -> str:
        """The options of `vadbench run`, `plan`, `evaluate` and `table` that stand for it, as a
        shell takes them.
        """
        if self.name != LATEST:
            return f"--suite {self.called}"
        chosen = self.model_dump(include=OPTIONS, exclude_defaults=True)
        words = [
            (name, ",".join(value) if isinstance(value, tuple) else str(value))
            for name, value in chosen.items()
        ]
        for component, fields in self.settings.items():
            words += [
                ("set", f"{component}.{name}={json.dumps(value)}") for name, value in fields.items()
            ]
        return " ".join(f"--{name.replace('_', '-')} {shlex.quote(value)}" for name, value in words)

    @property
    def sources(self) -> tuple[str, ...]:
        """The data sets trained on beside the tested ones."""
        return tuple(
            dict.fromkeys(
                name for name in (self.train_on, *(row.train_on for row in self.rows)) if name
            )
        )

    def settings_of(self, row: SuiteRow | None) -> Settings:
        """The suite's settings with the row's on top."""
        own = {} if row is None else row.settings
        return {
            component: {**self.settings.get(component, {}), **own.get(component, {})}
            for component in {**self.settings, **own}
        }


def read_suite(name: str, folder: Path) -> Suite:
    """The suite `name` of the folder, or of the file where it is a path that ends in `.toml`.

    Raises:
        BadInput: on an unknown name, a file that is not there or has the name of a suite of the
            folder, broken TOML, or a field that is none.
    """
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise BadInput(
                f"{path}: no such suite file; vadbench list suites lists those that come with"
                " vadbench"
            )
        _require_own_name(path.stem, path, folder)
        return _read(path, {"name": path.stem, "file": name})
    if name not in suite_names(folder):
        raise _unknown(name, folder)
    return _read(folder / f"{name}.toml", {"name": name, "file": ""})


def _require_own_name(name: str, path: Path, folder: Path) -> None:
    """Refuse a file whose table would overwrite another suite's."""
    theirs = folder / f"{name}.toml"
    if name == LATEST or (theirs.is_file() and not theirs.samefile(path)):
        owner = "a run without a suite" if name == LATEST else "a suite that comes with vadbench"
        raise BadInput(f"{path}: its table tables/{name}.md is that of {owner}; rename the file")


def _unknown(name: str, folder: Path) -> BadInput:
    """The error for a name that is no suite, with the likeliest thing meant."""
    if name == LATEST:
        return BadInput(
            f"{LATEST!r} is no suite but the table of a run without one; give that run's --methods,"
            " --datasets, ... instead of a suite"
        )
    if Path(f"{name}.toml").is_file():
        return BadInput(
            f"unknown suite {name!r}; a suite file is named with its ending: {name}.toml"
        )
    return registry.unknown("suite", name, suite_names(folder))


def _read(path: Path, called: dict[str, str]) -> Suite:
    try:
        fields = read_toml(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    try:
        if own := [name for name in called if name in fields]:
            raise BadInput(
                f"{own[0]} is no field of a suite file: a suite is called as its file; title is"
                " what the table shows"
            )
        return make_suite({**fields, **called})
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error


def vary(
    suite: Suite,
    datasets: tuple[str, ...] = (),
    features: tuple[str, ...] = (),
    seeds: int | None = None,
    preset: str | None = None,
    setting: str | None = None,
    add: tuple[str, ...] = (),
    labels: str = "",
) -> Suite:
    """The suite on other data sets, streams, with more seeds, another preset or setting, under
    other labels, or with further methods, where given.

    Its name says so, so that its table is a file of its own; `variation` are the options for it.

    Raises:
        BadInput: on a preset or setting that is none, or one that the suite cannot have.
    """
    labels = "" if labels == OFFICIAL else labels
    lists = {"datasets": datasets, "features": features}
    given = {**lists, "seeds": seeds, "preset": preset, "setting": setting}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value}
    if labels:
        changes["settings"] = choose_labels(suite.settings, labels)
    if add:
        changes["methods"] = tuple(dict.fromkeys((*suite.methods, *add)))
    if not changes:
        return suite
    changed = make_suite({**suite.model_dump(), **changes})
    words = [
        suite.name,
        "+".join(map(_slug, changed.datasets)) if set(changes) - {"methods"} else "",
        "+".join(features),
        f"{seeds}seeds" if seeds else "",
        preset or "",
        setting or "",
        f"labels-{labels.lower()}" if labels else "",
        f"with-{'+'.join(add).lower()}" if add else "",
    ]
    options = {**{name: changes[name] for name in given if name in changes}, "add": add}
    options |= {"labels": labels}
    variation = " ".join(
        f"--{name} {shlex.quote(','.join(value) if isinstance(value, tuple) else str(value))}"
        for name, value in options.items()
        if value
    )
    name = "--".join(word for word in words if word)
    return make_suite({**changed.model_dump(), "name": name, "variation": variation})


def _slug(dataset: str) -> str:
    """A data set's name as a file's: `avenue-8of37-3fa2c1` of a part."""
    return dataset.replace(" of ", "of").replace("[", "-").replace(" ", "-").replace("]", "")


def suite_names(folder: Path) -> list[str]:
    """The suites of the folder."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def make_suite(fields: dict[str, Any]) -> Suite:
    """A validated suite.

    Raises:
        BadInput: naming the first field that is wrong.
    """
    try:
        return Suite(**fields)
    except ValidationError as error:
        fault = error.errors()[0]
        if fault["type"] == "missing":
            field = cut(".".join(map(str, fault["loc"])))
            raise BadInput(
                f"{field} is missing; a suite needs datasets and methods or rows, a row a label and"
                " a method"
            ) from error
        raise BadInput(registry.first_fault(error, Suite)) from error


def choose_labels(settings: Settings, labels: str) -> Settings:
    """Settings under these labels; those that they name where there are none.

    Raises:
        BadInput: if they name other ones.
    """
    protocol = settings.get("protocol", {})
    if not labels or (labels == OFFICIAL and "labels" not in protocol):
        return settings
    if protocol.get("labels", labels) != labels:
        raise BadInput(f"--labels {quote(labels)}: the settings say {quote(protocol['labels'])}")
    return {**settings, "protocol": {**protocol, "labels": labels}}


def parse_settings(texts: Iterable[str]) -> Settings:
    """`component.field=value` texts as settings; values are JSON, anything else is taken as text.

    Raises:
        BadInput: on a text of another form.
    """
    settings: Settings = {}
    for text in texts:
        target, equals, value = text.partition("=")
        component, dot, name = target.rpartition(".")
        if not (equals and dot and component and name):
            raise BadInput(
                f"--set {quote(text)}: expected component.field=value, for example mulde.beta=0.1"
            )
        settings.setdefault(component, {})[name] = _read_setting(text, value)
    return settings


def _read_setting(text: str, value: str) -> Any:
    """JSON, or else a text; a long one is no setting of anything."""
    if len(value) > LONGEST_SETTING:
        raise BadInput(
            f"--set {quote(text)}: a value of {len(value)} characters; expected {LONGEST_SETTING}"
            " at most"
        )
    try:
        return parse_json(value)
    except ValueError:
        return value
