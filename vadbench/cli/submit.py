"""vadbench submit: scores of a method that is not here become a record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vadbench.cli.options import RESULTS, Options, ResultsDir, split
from vadbench.cli.score import FirstFrame, FirstLabel
from vadbench.cli.terminal import echo, echo_lines, say
from vadbench.errors import BadInput

if TYPE_CHECKING:
    from vadbench.results.records import Results

app = typer.Typer()


@app.command()
def submit(
    scores: Annotated[
        Path,
        typer.Argument(
            help=(
                "A score a frame, higher = more anomalous, unsmoothed; every form that vadbench"
                " score frames reads."
            )
        ),
    ],
    name: Annotated[
        str, typer.Option("--as", help="The method's name: letters, digits, - _ and .")
    ],
    dataset: Annotated[str, typer.Option(help="Whose test videos were scored.")],
    seed: Annotated[
        int, typer.Option(min=0, help="Of the training; the seeds of a name become one row.")
    ] = 0,
    setting: Annotated[
        str,
        typer.Option(
            help=(
                "one-class, or unsupervised: trained on unlabelled videos, anomalous ones among"
                " them, and of the test videos of the re-split alone."
            )
        ),
    ] = "one-class",
    detections: Annotated[
        Path | None,
        typer.Option(
            help=(
                "Also scored boxes, as vadbench score regions reads them: RBDC and TBDC; needs the"
                " data set."
            )
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Where the data set is not here: its frame labels, which are checked by a hash."
        ),
    ] = None,
    paper: Annotated[str, typer.Option(help="Who made them, and where it is described.")] = "",
    code: Annotated[str, typer.Option(help="The address of the code.")] = "",
    features: Annotated[str, typer.Option(help="What the method sees.")] = "",
    train_data: Annotated[
        str,
        typer.Option(help="What was trained on, if not this data set's training videos alone."),
    ] = "",
    notes: Annotated[str, typer.Option(help="Anything else.")] = "",
    test_free: Annotated[
        str,
        typer.Option(
            help=(
                "code,protocol: no test label chose anything in either; without it the scores are"
                " ranked in a list of their own."
            )
        ),
    ] = "",
    first_frame: FirstFrame = 0,
    first_label: FirstLabel = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Take the place of a record of this name and seed."),
    ] = False,
    table: Annotated[
        str,
        typer.Option(
            "--table", help="Also print the table of this suite on the data set, with the row."
        ),
    ] = "",
    results: ResultsDir = RESULTS,
) -> None:
    """Measure the frame scores of a method that is not here, and write their record."""
    from vadbench.external.declared import Declared
    from vadbench.external.score import render
    from vadbench.external.submit import Submission, describe_record
    from vadbench.external.submit import submit as write
    from vadbench.files.tables import doubts
    from vadbench.results.records import Results

    said = Declared(paper, code, features, train_data, notes, split(test_free))
    submission = Submission(
        scores,
        name,
        dataset,
        seed,
        said,
        detections,
        labels,
        first_frame,
        first_label,
        setting,  # type: ignore[arg-type]  # checked when it is submitted
    )
    store = Results(results)
    options = Options(suite=table, datasets=dataset, add=name)
    if table:  # what is wrong with the suite is told before anything is written
        _require_setting(options, setting)
    record = write(submission, store, replace=replace)
    for doubt in doubts(scores, *filter(None, (labels, detections))):
        say(f"vadbench: {doubt}")
    echo(f"{record.name}: scores given, metrics computed here")
    echo_lines(render(describe_record(record)))
    apart = record.result.apart
    echo("Ranked among the methods here." if apart is None else f"Ranked apart: {apart}.")
    echo(f"Record: {store.folder_of(record)}")
    if table:
        _print_table(options, store)


def _require_setting(options: Options, setting: str) -> None:
    own = options.read_suite().setting
    if own != setting:
        raise BadInput(
            f"--table {options.suite}: its rows are {own}, these scores {setting}; give --setting"
            f" {own}, or another suite (vadbench list suites)"
        )


def _print_table(options: Options, store: Results) -> None:
    """The table of a suite with the row, made of the records there are."""
    from vadbench.cli.reports import make_suite_table
    from vadbench.cli.terminal import print_table

    made, _, _ = make_suite_table(options.read_suite(), store)
    echo()
    print_table(made)
