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

VARY = "--datasets, --features, --seeds, --preset, --setting vary it, --add adds methods"
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
            datasets=split(self.datasets),
            features=split(self.features),
            seeds=self.seeds,
            preset=self.preset,
            setting=self.setting,
            add=(*split(self.methods), *split(self.add)),
        )

    def read_plan(self) -> Plan:
        """The plan of that suite."""
        from vadbench.plans.plan import plan_suite

        return plan_suite(self.read_suite())

    def _make_suite(self) -> Suite:
        from vadbench.suite import make_suite, parse_settings

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
        for name in ("methods", "datasets"):
            if not lists[name]:
                raise BadInput(f"--{name} is empty; vadbench list {name} lists them")
        chosen = {
            "preset": self.preset or "fast",
            "settings": parse_settings(self.settings or ()),
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
