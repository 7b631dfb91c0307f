"""Options that several commands share, and the plan that they describe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vadbench.errors import BadInput

if TYPE_CHECKING:
    from vadbench.plans.plan import Plan

VARY = "--datasets, --features, --seeds, --preset, --setting vary it"
Methods = Annotated[
    str,
    typer.Option("--methods", help="Comma-separated detectors, recipes, or method@stream+stream."),
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
RESULTS = Path("results")


def plan_of(
    methods: str,
    datasets: str,
    features: str,
    seeds: int | None,
    preset: str | None,
    settings: list[str] | None,
    suite: str,
    scope: str = "pooled",
    train_on: str = "",
    setting: str = "",
) -> Plan:
    """The plan that options describe.

    Raises:
        BadInput: on options that do not go together, or a name that is none.
    """
    from vadbench.locations import suites_root
    from vadbench.plans.suite import make_suite, parse_settings, read_suite, vary
    from vadbench.runner.run import plan_suite

    if suite:
        if methods or settings or train_on or scope != "pooled":
            raise BadInput(
                f"--suite names methods and settings itself; give a suite or these; {VARY}"
            )
        found = read_suite(suite, suites_root())
        return plan_suite(vary(found, split(datasets), split(features), seeds, preset, setting))
    if not methods or not datasets:
        raise BadInput(
            "give --methods and --datasets, or --suite (vadbench list methods|datasets|suites)"
        )
    lists = {"methods": split(methods), "datasets": split(datasets), "features": split(features)}
    for name in ("methods", "datasets"):
        if not lists[name]:
            raise BadInput(f"--{name} is empty; vadbench list {name} lists them")
    chosen = {
        "preset": preset or "fast",
        "settings": parse_settings(settings or ()),
        "scope": scope,
        "train_on": train_on or None,
        "setting": setting or "one-class",
    }
    return plan_suite(make_suite({**lists, **chosen, "seeds": seeds or 1}))


def split(text: str) -> tuple[str, ...]:
    """The names of a comma-separated list."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def say(line: str) -> None:
    """Print a line of progress, on stderr."""
    typer.echo(line, err=True)
