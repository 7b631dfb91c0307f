"""Results to a table: rows x metrics, aggregated over seeds, best and peers marked, published
figures beside the measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from vadbench import registry
from vadbench.errors import BadInput
from vadbench.evaluation.intervals import read_jackknife
from vadbench.evaluation.metrics.uncertainty import Estimate
from vadbench.evaluation.seeds import Aggregate, aggregate
from vadbench.report.published import Figure, of_tables
from vadbench.report.settled import why_never_ranked
from vadbench.report.tables.caption import write_caption
from vadbench.report.tables.marks import mark_best
from vadbench.report.tables.papers import published_rows, remark, same_figure, stands_in
from vadbench.report.tables.short_caption import summarise
from vadbench.report.tables.table import FOREIGN, NOT_ASKED, Cell, Column, Row, Table
from vadbench.results.frame import Frame
from vadbench.results.identity import identity_of
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord, RunRecord
from vadbench.spec import METRICS, OFFICIAL, USUAL, Metric, Wanted
from vadbench.suite import Suite

NOT_RUN = "not run; `vadbench plan {}` tells what that takes"
EDITED = "edited after it was written ({}); `vadbench evaluate` computes it again"
DECISIONS = "`vadbench binarised RECORD` prints it of a record, for every k"


def make_table(
    suite: Suite,
    wanted: Sequence[Wanted],
    frame: Frame,
    withheld: Mapping[str, str] | None = None,
) -> Table:
    """The table of a suite from the results there are; what has not run or failed is an empty cell
    with a note.

    Results are found by their key, not by the features' files, so a clone without the data makes
    the same table.

    Args:
        suite: whose columns and caption.
        wanted: its rows, as `vadbench.plans.plan.Plan.wanted` gives them.
        frame: the results.
        withheld: identities of jobs whose records do not hold any more, and of results that could
            not be evaluated, with the reason.

    Raises:
        BadInput: if one row has results of several feature extractions, or the suite names a column
            or a published table that is none.
    """
    withheld = withheld or {}
    failed = [run for run in frame.runs.values() if run.status == "failed"]
    failures = {run.identity: f"failed: {run.error}" for run in failed} | dict(withheld)
    published = of_tables(suite.published)
    columns = _list_columns(suite, published)
    records = {one.place: find_record(one, frame, withheld) for one in wanted}
    used = [one for one in records.values() if one is not None and one.edited is None]
    _require_one_truth(used)
    jackknives = {record.identity: frame.results.jackknife(record) for record in used}
    rows, estimates = [], []
    for shown, features in dict.fromkeys((one.shown, one.result.features) for one in wanted):
        own = [one for one in wanted if (one.shown, one.result.features) == (shown, features)]
        cells, of_row = _Cells(suite, frame, records, failures, jackknives).fill(own, columns)
        paper = suite.preset == "paper"
        cells = [
            _set_beside(cell, own, column, published, paper)
            for cell, column in zip(cells, columns, strict=True)
        ]
        unranked = why_never_ranked(own[0].result)
        if unranked is not None:
            cells = [_add_note(cell, unranked) for cell in cells]
        rows.append(Row(shown, features.replace("+", " + "), tuple(cells), unranked))
        estimates.append(of_row)
    notes = tuple(dict.fromkeys(note for row in rows for cell in row.cells for note in cell.notes))
    block = published_rows(published, columns)
    columns, ranked = mark_best(rows, columns, estimates)
    smoothing = {record.dataset: record.result.protocol.smoothing for record in used}
    labels = [name for one in used if (name := one.result.protocol.labels) != OFFICIAL]
    return Table(
        suite.title or suite.name,
        write_caption(suite, wanted, used, block, _find_runs(used, frame)),
        columns,
        ranked,
        notes,
        block,
        summarise(suite.preset, suite.setting, suite.seeds, smoothing, labels),
    )


def _find_runs(records: Sequence[ResultRecord], frame: Frame) -> list[RunRecord]:
    """The runs that records are of, each once."""
    runs = dict.fromkeys(run for record in records for run in record.runs)
    return [frame.runs[run] for run in runs if run in frame.runs]


def find_record(
    wanted: Wanted, frame: Frame, withheld: Mapping[str, str] | None = None
) -> ResultRecord | None:
    """The record of a row's result, None where there is none that holds; one that was edited where
    there is no other.

    Raises:
        BadInput: if several could be meant.
    """
    gone = (withheld or {}).keys()
    seed = wanted.result.training.seed
    found = [
        record
        for record in frame.by_key.get(wanted.result.key, [])
        if record.seed == seed and not gone & {record.identity, *record.runs}
    ]
    found = [one for one in found if one.edited is None] or found[:1]
    if len(found) > 1:
        exact = [record for record in found if record.runs == wanted.runs]
        if len(exact) != 1:
            raise BadInput(
                f"{wanted.result.recipe} on {wanted.result.dataset}: {len(found)} records of other"
                " features or protocols; remove those not meant"
            )
        found = exact
    return found[0] if found else None


def find_records(wanted: Iterable[Wanted], results: Results) -> list[ResultRecord]:
    """The records that a table of these rows shows, each once."""
    wanted = list(wanted)
    frame = Frame(results, [one.result for one in wanted])
    found = [find_record(one, frame) for one in wanted]
    whole = [record for record in found if record is not None and record.edited is None]
    return list({record.identity: record for record in whole}.values())


def _list_columns(suite: Suite, published: tuple[Figure, ...]) -> tuple[Column, ...]:
    """The suite's metrics for each of its data sets, and those that its published tables have of
    others.

    Others are those that vadbench does not have, or all where the tables have none of the suite's:
    papers' figures beside an ablation of ours.
    """
    metrics = suite.metrics or USUAL
    for name in metrics:
        if name not in METRICS:
            raise registry.unknown("metric", name, METRICS)
    apart = not {figure.dataset for figure in published} & set(suite.datasets)
    known = set(suite.datasets) if apart else set(registry.names("datasets"))
    others = dict.fromkeys(figure.dataset for figure in published if figure.dataset not in known)
    own, foreign = (_cross(datasets, metrics) for datasets in (suite.datasets, others))
    reported = {stands_in(figure, foreign) for figure in published}
    return own + tuple(column for column in foreign if column in reported)


def _cross(datasets: Iterable[str], metrics: Sequence[str]) -> tuple[Column, ...]:
    return tuple(
        Column(dataset, title, METRICS[title]) for dataset in datasets for title in metrics
    )


class _Cells:
    """Fills the cells of a row."""

    def __init__(
        self,
        suite: Suite,
        frame: Frame,
        records: Mapping[tuple[str, int], ResultRecord | None],
        failures: Mapping[str, str],
        jackknives: Mapping[str, dict[str, np.ndarray]],
    ) -> None:
        self.suite = suite
        self.frame = frame
        self.records = records
        self.failures = failures
        self.jackknives = jackknives

    def fill(
        self, wanted: Sequence[Wanted], columns: Sequence[Column]
    ) -> tuple[list[Cell], list[Estimate | None]]:
        """A cell a column, and what differences to other rows are made from."""
        cells: list[Cell] = []
        estimates: list[Estimate | None] = []
        for column in columns:
            own = [one for one in wanted if one.result.dataset == column.dataset]
            cell, estimate = self._fill_one(own, column)
            cells.append(cell)
            estimates.append(estimate)
        return cells, estimates

    def _fill_one(self, wanted: Sequence[Wanted], column: Column) -> tuple[Cell, Estimate | None]:
        if column.dataset not in self.suite.datasets:
            return Cell(None, note=FOREIGN), None
        if not wanted:
            return Cell(None, note=NOT_ASKED), None
        there = [record for one in wanted if (record := self.records[one.place]) is not None]
        found = [record for record in there if record.edited is None]
        edited = [EDITED.format(record.edited) for record in there if record.edited is not None]
        decisions = column.key.metric == "decision_auc"
        if not found:
            empty = edited[0] if edited else self._why_empty(wanted)
            return Cell(None, note=DECISIONS if decisions else empty), None
        total = self._aggregate(found, column.key)
        if total.value is None:
            return Cell(None, note=DECISIONS if decisions else total.reason), None
        cell = make_cell(total, _why_partly(len(wanted), len(found), edited))
        return replace(cell, records=tuple(one.identity for one in found)), total.estimate

    def _aggregate(self, records: Sequence[ResultRecord], metric: Metric) -> Aggregate:
        stored = [
            read_jackknife(self.jackknives[one.identity], metric, one.result.protocol)
            for one in records
        ]
        return aggregate(self.frame.look_up(metric, records), stored)

    def _why_empty(self, wanted: Sequence[Wanted]) -> str:
        names = [name for one in wanted for name in (*one.runs, identity_of(one.result, one.runs))]
        errors = [self.failures[name] for name in names if name in self.failures]
        return errors[0] if errors else NOT_RUN.format(self.suite.options)


def _add_note(cell: Cell, note: str) -> Cell:
    """The cell, with a footnote more where it has a value."""
    told = note if cell.note is None else f"{cell.note}; {note}"
    return cell if cell.value is None else replace(cell, note=told)


def _why_partly(wanted: int, found: int, edited: Sequence[str]) -> str | None:
    """The note of a mean over fewer seeds than were asked for."""
    missing = wanted - found - len(edited)
    notes = [f"{missing} of {wanted} seeds failed or have not run"] if missing else []
    notes += [f"{len(edited)} of {wanted} seeds left out: {edited[0]}"] if edited else []
    return "; ".join(notes) or None


def make_cell(total: Aggregate, note: str | None = None) -> Cell:
    """What a table shows of a metric over seeds."""
    return Cell(
        total.value,
        total.spread,
        total.seeds,
        note,
        low=total.low,
        high=total.high,
        videos=total.videos,
        why=total.why,
    )


def _set_beside(
    cell: Cell,
    wanted: Sequence[Wanted],
    column: Column,
    published: tuple[Figure, ...],
    paper: bool,
) -> Cell:
    """The cell beside the papers' figures; other presets than `paper` are not theirs: nothing is
    subtracted.
    """
    figure = same_figure(wanted, column, published) if paper else None
    said = remark(wanted, column, published, paper)
    # there is no difference that leaves anything open
    empty = figure is not None and cell.value is None
    return replace(cell, published=figure, beside=None if empty else said)


def _require_one_truth(records: Sequence[ResultRecord]) -> None:
    """Numbers under different labels or region tracks never share a table."""
    truths: dict[str, dict[tuple[str, str], str]] = {}
    for record in records:
        labels, regions = record.labels, record.labels.get("regions_sha256") or ""
        beside = f" with region tracks {regions[:8]}" if regions else ""
        words = f"{labels['name']} ({labels.get('sha256', '')[:8]}){beside}"
        key = f"{labels['name']} {labels.get('sha256')}", regions
        truths.setdefault(record.dataset, {})[key] = words
    for dataset, found in truths.items():
        if len(found) > 1:
            raise BadInput(
                f"{dataset}: records under different labels or region tracks,"
                f" {', '.join(found.values())}; vadbench evaluate gives all the same"
            )
