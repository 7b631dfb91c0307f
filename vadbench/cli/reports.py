"""Commands that tell: table, ranks, compare, list, check."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vadbench.cli.options import RESULTS, Options, ResultsDir, Set, split, takes_options
from vadbench.cli.terminal import echo, echo_lines, say
from vadbench.errors import BadInput

if TYPE_CHECKING:
    from vadbench.report.tables.table import Table
    from vadbench.results.frame import Frame
    from vadbench.results.records import Results
    from vadbench.spec import Wanted
    from vadbench.suite import Suite

app = typer.Typer()
SUFFIXES = {".md": "markdown", ".tex": "latex", ".html": "html", ".csv": "csv"}
FORMATS = ("terminal", *SUFFIXES.values())
CAPTIONS = ("short", "full")


SuiteArgument = Annotated[
    str,
    typer.Argument(help="A suite (vadbench list suites), or a TOML file; none: --methods, ..."),
]
ShownMethods = Annotated[
    str,
    typer.Option(
        "--methods",
        help=(
            "Comma-separated detectors, recipes, or method@stream+stream; with a suite: those of"
            " its rows to show."
        ),
    ),
]


@app.command()
@takes_options(suite=SuiteArgument, methods=ShownMethods)
def table(
    options: Options,
    metrics: Annotated[
        str, typer.Option(help="Columns to show, in this order: 'micro AUC,RBDC'.")
    ] = "",
    sort: Annotated[str, typer.Option(help="The column that orders the rows, best first.")] = "",
    cost: Annotated[
        bool, typer.Option("--cost", help="Also training and scoring time, parameters, memory.")
    ] = False,
    letters: Annotated[
        bool,
        typer.Option("--letters", help="Say by letters which rows a value beats, in place of ≈."),
    ] = False,
    caption: Annotated[
        str, typer.Option(help="On a terminal: short or full; files have all of it.")
    ] = "short",
    spread: Annotated[
        bool, typer.Option("--spread", help="LaTeX: with deviations over seeds.")
    ] = False,
    intervals: Annotated[
        bool, typer.Option("--intervals", help="LaTeX: with 95 % intervals.")
    ] = False,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=(
                "terminal, markdown, latex, html or csv; what --out's name ends in, else terminal"
                " on one, markdown elsewhere."
            ),
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write to this file (.md, .tex, .html, .csv) instead of printing.", dir_okay=False
        ),
    ] = None,
    results: ResultsDir = RESULTS,
) -> None:
    """Print the table of a suite, or of a run's options, from the records there are, or write it to
    a file; needs no data set.
    """
    from vadbench.cli.terminal import print_table
    from vadbench.registry import unknown
    from vadbench.report.tables.choose import choose
    from vadbench.results.records import Results

    chosen = _format_of(format_, out)
    if caption not in CAPTIONS:
        raise unknown("caption", caption, CAPTIONS)
    shown = split(options.methods) if options.suite else ()
    records = Results(results)
    records.require_records()
    suite = replace(options, methods="" if options.suite else options.methods).read_suite()
    made, _, frame = make_suite_table(suite, records)
    if cost:
        from vadbench.report.tables.costs import cost_columns

        made = cost_columns(made, frame.values)
    made = replace(choose(made, metrics, shown, sort), lettered=letters)
    if chosen in ("", "terminal"):
        print_table(made, full=caption == "full", fit=True if chosen else None)
        return
    text = _render(made, chosen, spread, intervals)
    if out is None:
        echo_lines(text)
        return
    Results(out.parent).write_text(out.name, text)
    echo(f"{chosen} table written to {out}")


def make_suite_table(suite: Suite, results: Results) -> tuple[Table, list[Wanted], Frame]:
    """The table of a suite, of which some methods may be names that scores were submitted under;
    what it shows of these; and the records that were read, which are its own alone where there are
    no such names.
    """
    from vadbench.external.rows import find_rows, split_names
    from vadbench.plans.plan import plan_suite
    from vadbench.registry import METHODS, names
    from vadbench.report.tables.make import make_table
    from vadbench.results.frame import Frame

    if {name.partition("@")[0] for name in suite.methods} <= set(names(*METHODS)):
        wanted = plan_suite(suite).wanted
        frame = Frame(results, [one.result for one in wanted])
        return make_table(suite, wanted, frame), [], frame
    frame = Frame(results)
    ours, given = split_names(suite, frame)
    wanted = plan_suite(ours).wanted if ours.methods or ours.rows else ()
    protocols = {one.result.dataset: one.result.protocol for one in wanted}
    rows = find_rows(given, suite.datasets, protocols, frame, suite.setting)
    return make_table(ours, (*wanted, *rows), frame), rows, frame


def _format_of(name: str | None, out: Path | None) -> str:
    """The format that options ask for; none: what suits stdout.

    Raises:
        BadInput: if there is none of this name, or it is no file's.
    """
    from vadbench.registry import unknown

    if name is not None and name not in FORMATS:
        raise unknown("format", name, FORMATS)
    if out is None:
        return name or ""
    if name == "terminal":
        raise BadInput("--format terminal is printed; leave out --out, or choose another format")
    if name is None and out.suffix not in SUFFIXES:
        raise BadInput(
            f"{out}: no format known by this name; expected one that ends in {', '.join(SUFFIXES)},"
            " or give --format"
        )
    return name or SUFFIXES[out.suffix]


def _render(table: Table, format_: str, spread: bool, intervals: bool) -> str:
    from vadbench.report.tables import csv, html, latex, markdown

    if format_ == "latex":
        return latex.render(table, spread=spread, intervals=intervals)
    renderers = {"markdown": markdown.render, "html": html.render, "csv": csv.render}
    return renderers[format_](table)


@app.command()
def ranks(
    suite: Annotated[
        str, typer.Argument(help="A suite over two or more data sets (vadbench list suites).")
    ],
    metric: Annotated[
        str, typer.Option(help="A column of the table, such as 'micro AUC' or 'RBDC'.")
    ] = "micro AUC",
    plot: Annotated[
        Path | None,
        typer.Option(help="Also draw the critical-difference diagram: .png, .svg or .pdf."),
    ] = None,
    add: Annotated[
        str, typer.Option("--add", help="Comma-separated methods, or names of submitted scores.")
    ] = "",
    results: ResultsDir = RESULTS,
) -> None:
    """Rank a suite's rows over its data sets: average and Borda ranks, Friedman's test, Nemenyi's
    critical difference.
    """
    from vadbench.external.rows import take_apart
    from vadbench.report import ranks as ranking
    from vadbench.results.records import Results

    records = Results(results)
    records.require_records()
    made, given, _ = make_suite_table(Options(suite=suite, add=add).read_suite(), records)
    ranked = ranking.rank_table(made, metric)
    if plot is not None:
        ranking.draw_critical_difference(ranked, plot)
    echo_lines(ranking.render(ranked))
    apart = take_apart(made, given)
    if apart is not None:
        of_given = ranking.render(ranking.rank_table(apart, metric))
        echo_lines(f"\nScores given, in a list of their own. {of_given}")


@app.command()
def compare(
    first: Annotated[
        str,
        typer.Argument(
            help="A record: [dataset/]recipe[:seed], the beginning of its identity, or its folder."
        ),
    ],
    second: Annotated[str, typer.Argument(help="The record it is compared with.")],
    results: ResultsDir = RESULTS,
) -> None:
    """Print the differences of two records with their 95 % intervals, and the videos that make
    them; needs no data set.
    """
    from vadbench.report import compare as comparing
    from vadbench.results.records import Results

    echo_lines(comparing.render(comparing.compare(Results(results), first, second)))


@app.command(name="list")
def list_(
    what: Annotated[str, typer.Argument(help="methods, datasets, features or suites.")],
) -> None:
    """List what there is, with one line each."""
    from vadbench import registry

    kinds: dict[str, tuple[registry.Kind, ...]] = {
        "methods": ("detectors", "recipes"),
        "datasets": ("datasets",),
        "features": ("extractors",),
    }
    if what == "suites":
        from vadbench.files.documents import read_toml
        from vadbench.locations import suites_root

        for path in sorted(suites_root().glob("*.toml")):
            echo(f"{path.stem:22} {read_toml(path).get('title', '')}")
        return
    if what not in kinds:
        raise registry.unknown("list", what, (*kinds, "suites"))
    if what == "features":
        _list_streams()
        return
    for kind in kinds[what]:
        for name in registry.names(kind):
            echo(f"{name:16} {registry.title(kind, name)}")


def _list_streams() -> None:
    """What --features takes: extractors with their variants, and the boxes that may follow after
    @.
    """
    from vadbench import registry

    for name in registry.names("extractors"):
        title = registry.title("extractors", name)
        echo(f"{name:22} {title}")
        if title.startswith(registry.BROKEN):
            continue
        extractor = registry.load("extractors", name)
        words = getattr(extractor, "variant_titles", {})
        for variant in extractor.variants:
            default = " (default)" if variant == extractor.variants[0] else ""
            echo(f"  {f'{name}.{variant}':30} {words.get(variant, '')}{default}".rstrip())
    for name in registry.names("boxes"):
        title = registry.title("boxes", name)
        label = (
            ".<label>"
            if not title.startswith(registry.BROKEN) and registry.load("boxes", name).labelled
            else ""
        )
        echo(f"{f'…@{name}{label}':22} {title}")


@app.command()
def check(
    method: Annotated[str, typer.Argument(help="A registered method or extractor.")],
    settings: Set = None,
) -> None:
    """Test a method, or an extractor, against the contract that every one must pass."""
    from vadbench import registry
    from vadbench.errors import ContractError
    from vadbench.suite import parse_settings
    from vadbench.testing import check_detector, small_config

    own = parse_settings(settings or ()).get(method, {})
    known = registry.names("detectors")
    if method not in (*known, *registry.names("extractors")):
        raise registry.unknown(
            "method or extractor", method, (*known, *registry.names("extractors"))
        )
    try:
        if method in known:
            detector = registry.load("detectors", method)
            check_detector(detector, small_config(detector, own), passed=_say_ok)
        else:
            from vadbench.features.contract import check_extractor

            check_extractor(registry.load("extractors", method), own or None, passed=_say_ok)
    except ContractError as error:
        say(f"{method}: {error}")
        raise typer.Exit(1) from None
    echo(f"{method}: passes the contract")


def _say_ok(clause: str) -> None:
    echo(f"ok  {clause}")
