"""vadbench events: what kind of anomaly is found, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vadbench.cli.options import RESULTS, Datasets, Options, ResultsDir, split
from vadbench.cli.terminal import echo, echo_lines
from vadbench.errors import BadInput

if TYPE_CHECKING:
    from vadbench.report.events import EventRow
    from vadbench.results.frame import Frame
    from vadbench.results.records import Results

app = typer.Typer()


@app.command()
def events(
    record: Annotated[
        str,
        typer.Argument(
            help=(
                "A record, such as gmm@velocity, ped2/gmm@velocity:0 or the beginning of its"
                " identity; none: --suite or --datasets."
            )
        ),
    ] = "",
    threshold: Annotated[
        float | None,
        typer.Option(
            help=(
                "Of the record's unsmoothed frame scores: events found above it, their delays,"
                " false alarms."
            )
        ),
    ] = None,
    buffer: Annotated[
        int | None,
        typer.Option(
            min=0, max=10_000, help="The longest buffer of VUS in frames; default: 2 seconds."
        ),
    ] = None,
    suite: Annotated[
        str, typer.Option("--suite", help="The rows of a suite (vadbench list suites).")
    ] = "",
    datasets: Datasets = "",
    methods: Annotated[
        str, typer.Option("--methods", help="With --datasets: these methods alone.")
    ] = "",
    features: Annotated[
        str, typer.Option("--features", help="With --datasets: records on these streams alone.")
    ] = "",
    results: ResultsDir = RESULTS,
) -> None:
    """Print AUC by category of anomaly, VUS and how early events are found: of a record, or of all
    methods of a data set, from stored scores.
    """
    from vadbench.report import event_text
    from vadbench.report.events import measure_events
    from vadbench.results.frame import Frame
    from vadbench.results.records import Results

    if bool(record) == bool(suite or datasets):
        raise BadInput("give a RECORD, or --suite or --datasets (vadbench list suites|datasets)")
    if not record and threshold is not None:
        raise BadInput("--threshold goes with a RECORD: each method's scores have their own scale")
    if (methods or features) and (record or suite):
        raise BadInput("--methods and --features choose records of --datasets; leave them out")
    store = Results(results)
    store.require_records()
    if record:
        echo_lines(event_text.render_record(measure_events(store, record, threshold, buffer)))
        return
    tables = (
        _read_suite(suite, datasets, store, buffer)
        if suite
        else _read_datasets(datasets, methods, features, Frame(store), buffer)
    )
    for place, (dataset, rows) in enumerate(tables.items()):
        if place:
            echo()
        echo_lines(event_text.render_methods(dataset, rows))


def _read_suite(
    suite: str, datasets: str, results: Results, buffer: int | None
) -> dict[str, list[EventRow]]:
    from vadbench.plans.plan import plan_suite
    from vadbench.report.events import rows_of_suite
    from vadbench.results.frame import Frame

    wanted = plan_suite(Options(suite=suite, datasets=datasets).read_suite()).wanted
    return rows_of_suite(wanted, Frame(results, [one.result for one in wanted]), buffer)


def _read_datasets(
    datasets: str, methods: str, features: str, frame: Frame, buffer: int | None
) -> dict[str, list[EventRow]]:
    from vadbench.report.events import rows_of_datasets

    return rows_of_datasets(split(datasets), frame, split(methods), split(features), buffer)
