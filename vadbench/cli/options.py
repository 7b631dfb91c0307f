"""Options that several commands share, and the plan that they describe."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vadbench.errors import BadInput

if TYPE_CHECKING:
    from vadbench.plans.plan import Plan
    from vadbench.suite import Suite

VARY = "--datasets, --features, --seeds, --preset, --setting, --labels vary it, --add adds methods"
Methods = Annotated[
    str,
    typer.Option(
        "--methods",
        help=(
            "Comma-separated detectors, recipes, or method@stream+stream; with --suite they are"
            " added to its, as by --add."
        ),
    ),
]
Datasets = Annotated[str, typer.Option("--datasets", help="Comma-separated data sets.")]
Streams = Annotated[
    str,
    typer.Option(
        "--features",
        help=(
            "Comma-separated streams, such as velocity,velocity@grid; default: the data set's own."
        ),
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Seeds 0 to N-1 of methods that are not deterministic; default: 1, or the suite's.",
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(help="fast (CPU-sized) or paper (as published); default: fast, or the suite's."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="component.field=value, for example mulde.beta=0.1; repeatable."),
]
Scope = Annotated[
    str, typer.Option(help="pooled: one training for all scenes; scene: one for each camera.")
]
TrainOn = Annotated[
    str,
    typer.Option(
        "--train-on", help="Another data set to train on; the tested ones are --datasets."
    ),
]
Setting = Annotated[
    str,
    typer.Option(
        help=(
            "one-class, or unsupervised: trained on unlabelled videos, anomalous ones among them;"
            " default: one-class, or the suite's."
        ),
    ),
]
LabelSets = Annotated[
    str,
    typer.Option(
        "--labels",
        help=(
            "Labels of the data set other than the official ones, such as hr or scene-dependent"
            " (docs/datasets.md)."
        ),
    ),
]
Videos = Annotated[
    str,
    typer.Option(
        "--videos",
        help=(
            "Some videos of the data set alone, comma-separated, as 01, train/01 or 01_*, or"
            " here: all that are on this machine. Its numbers are never ranked with the whole's."
        ),
    ),
]
SuiteName = Annotated[
    str,
    typer.Option("--suite", help=f"A suite (vadbench list suites), or a TOML file; {VARY}."),
]
ResultsDir = Annotated[Path, typer.Option("--results", help="Folder of the records and tables.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print JSON: fractions between 0 and 1, full precision.")
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", help="No progress: only what fails or was not run, and the table."),
]
Thorough = Annotated[
    bool,
    typer.Option(
        "--thorough", help="Compare what the data's files hold, not names, sizes and times alone."
    ),
]
Add = Annotated[str, typer.Option("--add", help="Comma-separated methods to add to the suite's.")]
RESULTS = Path("results")
MOST_SEED = 2**32 - 1  # that generators take


@dataclass(frozen=True)
class Options:
    """What to run, as options say it."""

    methods: Methods = ""
    datasets: Datasets = ""
    features: Streams = ""
    seeds: Seeds = None
    preset: Preset = None
    settings: Set = None
    scope: Scope = "pooled"
    train_on: TrainOn = ""
    setting: Setting = ""
    suite: SuiteName = ""
    add: Add = ""
    labels: LabelSets = ""
    videos: Videos = ""

    def read_suite(self) -> Suite:
        """The suite that the options describe.

        Raises:
            BadInput: on options that do not go together, or a name that is none.
        """
        from vadbench.locations import suites_root
        from vadbench.suite import read_suite, vary

        if not self.suite:
            return self._make_suite()
        if self.settings or self.train_on or self.scope != "pooled":
            raise BadInput(f"--suite names settings itself; give a suite or these; {VARY}")
        return vary(
            read_suite(self.suite, suites_root()),
            datasets=self._choose_datasets(),
            features=split(self.features),
            seeds=self.seeds,
            preset=self.preset,
            setting=self.setting,
            labels=self.labels,
            add=(*split(self.methods), *split(self.add)),
        )

    def read_plan(self) -> Plan:
        """The plan of that suite."""
        from vadbench.plans.plan import plan_suite

        return plan_suite(self.read_suite())

    def _choose_datasets(self) -> tuple[str, ...]:
        """The data sets, or the part of the one that `--videos` chooses."""
        datasets = split(self.datasets)
        if not self.videos:
            return datasets
        if len(datasets) != 1:
            raise BadInput(
                f"--videos is of one data set, and --datasets names {len(datasets)}; name one"
            )
        from vadbench.datasets.open import open_dataset
        from vadbench.datasets.part import choose_videos, is_part, remember_part
        from vadbench.locations import cache_root

        (name,) = datasets
        if is_part(name):
            raise BadInput(f"--videos: {name} is a part already; name the whole")
        whole = open_dataset(name)
        return (remember_part(whole, choose_videos(whole, self.videos), cache_root()),)

    def _make_suite(self) -> Suite:
        from vadbench.suite import choose_labels, make_suite, parse_settings

        if self.add:
            raise BadInput("--add adds methods to a suite; name it with --suite")
        if not self.methods or not self.datasets:
            raise BadInput(
                "give --methods and --datasets, or --suite (vadbench list methods|datasets|suites)"
            )
        texts = {
            "methods": self.methods,
            "datasets": self.datasets,
            "features": self.features,
        }
        lists = {name: split(text) for name, text in texts.items()}
        lists["datasets"] = self._choose_datasets()
        for name in ("methods", "datasets"):
            if not lists[name]:
                raise BadInput(f"--{name} is empty; vadbench list {name} lists them")
        chosen = {
            "preset": self.preset or "fast",
            "settings": choose_labels(parse_settings(self.settings or ()), self.labels),
            "scope": self.scope,
            "train_on": self.train_on or None,
            "setting": self.setting or "one-class",
        }
        return make_suite({**lists, **chosen, "seeds": self.seeds or 1})


def takes_options(**instead: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that say what to run; it receives them as its first argument.

    Args:
        instead: field of `Options` -> what the command declares it as, where that is another option
            or an argument.
    """
    parameters = inspect.signature(Options, eval_str=True).parameters
    described = [
        one.replace(
            kind=inspect.Parameter.KEYWORD_ONLY, annotation=instead.get(name, one.annotation)
        )
        for name, one in parameters.items()
    ]

    def give(command: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        all_ = [*described, *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own)]

        def wrapper(**given: Any) -> None:
            options = Options(**{one.name: given.pop(one.name) for one in described})
            command(options, **given)

        wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
        wrapper.__signature__ = inspect.Signature(all_)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {one.name: one.annotation for one in all_}
        return wrapper

    return give


def split(text: str) -> tuple[str, ...]:
    """The names of a comma-separated list."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
