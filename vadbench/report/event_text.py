"""What records say of events, as Markdown text: of one record, and of the methods of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from vadbench.evaluation.metrics.events import CategoryAuc, EventMetrics, Measure
from vadbench.report.events import EventRow, RecordEvents
from vadbench.report.tables.layout import table_lines
from vadbench.report.tables.markdown import escape, prose

NOTHING = "\N{EN DASH}"
UNNAMED = "no category"
AUC_SAYS = (
    "AUC in percent: the frames of a category's events against all normal frames; `all`: the micro"
    " AUC."
)
VUS_SAYS = "VUS: range-based AUC, averaged over buffers of up to {} frames at both ends together."
AMOC_SAYS = (
    "AMOC: the area under what is left of an event when it is first found, over the part of normal"
    " frames above the same threshold; of unsmoothed scores."
)


def render_record(found: RecordEvents) -> str:
    """The categories of a record, a row each, and what is of all events together."""
    heads = ["category", "events", "frames", "AUC"]
    categories = _named(found)
    body = [
        [escape(one.category or UNNAMED), str(one.events), str(one.frames), _percent(one.auc)]
        for one in categories
    ]
    anomalous = int(found.truth.labels.flat().sum())
    body.append(["all", str(len(found.truth.events)), str(anomalous), _percent(found.micro)])
    if found.above is not None:
        columns, told = _above_columns(
            [*((found.by_category or {})[one.category] for one in categories), found.above]
        )
        heads += columns
        body = [line + more for line, more in zip(body, told, strict=True)]
    volumes, early = found.volumes, found.early
    measures = (*(one.auc for one in found.categories), found.micro, volumes.roc, early)
    lines = [
        _title(found),
        "",
        *table_lines(heads, body),
        "",
        prose(f"{AUC_SAYS} {_smoothing([found])}"),
        prose(
            f"VUS-ROC {_percent(volumes.roc)}, VUS-PR {_percent(volumes.pr)}, AMOC"
            f" {_percent(early)}. {_vus(found)}{AMOC_SAYS}"
        ),
        *_reasons(measures),
        *(_alarms(found.above, found.threshold) if found.above is not None else ()),
    ]
    return "\n".join(lines)


def render_methods(dataset: str, rows: Sequence[EventRow]) -> str:
    """The methods of a data set, a row each, and the AUC of each category in columns: means over
    seeds.
    """
    every = [found for row in rows for found in row.measured]
    names = list(dict.fromkeys(one.category for found in every for one in found.categories))
    names.sort(key=lambda name: (name is None, name or ""))
    named = names if names != [None] else []
    columns: list[tuple[str, Callable[[RecordEvents], Measure]]] = [
        *((name or UNNAMED, _auc_of(name)) for name in named),
        ("all", lambda found: found.micro),
        ("VUS-ROC", lambda found: found.volumes.roc),
        ("VUS-PR", lambda found: found.volumes.pr),
        ("AMOC", lambda found: found.early),
    ]
    notes = list(dict.fromkeys(reason for row in rows for reason in row.missing))
    body = [
        [
            escape(row.method) + "".join(f" [{notes.index(one) + 1}]" for one in row.missing),
            escape(row.features),
            str(len(row.measured)),
            *(_mean([measure(found) for found in row.measured]) for _, measure in columns),
        ]
        for row in rows
    ]
    heads = ["method", "features", "seeds", *(escape(name) for name, _ in columns)]
    lines = [escape(dataset), "", *table_lines(heads, body, left=2), ""]
    if every:
        counts = ", ".join(
            f"{one.category or UNNAMED} {one.events} ({one.frames} frames)"
            for one in every[0].categories
        )
        lines += [
            prose(f"Events: {counts or 'none'}."),
            prose(f"{AUC_SAYS} Means over seeds; nothing is ranked. {_smoothing(every)}"),
            prose(f"{_vus(every[0])}{AMOC_SAYS}"),
            *_reasons(measure(found) for _, measure in columns for found in every),
        ]
    lines += [prose(f"[{number}] {note}.") for number, note in enumerate(notes, 1)]
    return "\n".join(lines)


def _title(found: RecordEvents) -> str:
    record, truth = found.record, found.truth
    rate = "no known frame rate" if truth.fps is None else f"{truth.fps:g} frames a second"
    return prose(
        f"{record.name}, {record.read_outs[0]}: labels `{truth.labels.name}`,"
        f" {len(truth.labels.videos)} test videos, {rate}."
    )


def _named(found: RecordEvents) -> tuple[CategoryAuc, ...]:
    """The categories; none where no event has one, and `all` says it."""
    named = any(one.category is not None for one in found.categories)
    return found.categories if named else ()


def _above_columns(told: Sequence[EventMetrics]) -> tuple[list[str], list[list[str]]]:
    """Columns of what is above a threshold; delays in frames where there are no seconds."""
    timed = any(one.delay.value is not None for one in told)
    unit = "s" if timed else "frames"
    heads = ["found", f"mean delay, {unit}", f"median delay, {unit}"]
    return heads, [
        [
            _percent(one.found),
            *(
                NOTHING if delay.value is None else f"{delay.value:.{2 if timed else 1}f}"
                for delay in (
                    (one.delay, one.median_delay)
                    if timed
                    else (one.delay_frames, one.median_delay_frames)
                )
            ),
        ]
        for one in told
    ]


def _alarms(above: EventMetrics, threshold: float | None) -> list[str]:
    rate = above.false_alarms_per_hour
    hourly, why = (
        (NOTHING, f" ({rate.reason})") if rate.value is None else (f"{rate.value:.1f}", "")
    )
    alarms = f"{above.false_alarms} alarm{'' if above.false_alarms == 1 else 's'}"
    lines = [
        prose(
            f"Above {threshold:g}, of unsmoothed scores: {alarms} without an"
            f" anomalous frame, {hourly} an hour of normal frames{why}, of which there are"
            f" {rate.n}. Found: events with a frame above it, in percent; delays from an event's"
            " first frame to its first one above."
        )
    ]
    if above.delay_frames.value is None:
        lines += [prose(f"{NOTHING}: {above.delay_frames.reason}.")]
    return lines


def _smoothing(every: Iterable[RecordEvents]) -> str:
    filters = dict.fromkeys(found.record.result.protocol.filter for found in every)
    return f"Smoothing of scores: {', '.join(filters)}."


def _vus(found: RecordEvents) -> str:
    return "" if found.buffer is None else f"{VUS_SAYS.format(found.buffer)} "


def _auc_of(category: str | None) -> Callable[[RecordEvents], Measure]:
    def measure(found: RecordEvents) -> Measure:
        own = [one.auc for one in found.categories if one.category == category]
        return own[0] if own else Measure(None, 0, f"no event of {category or UNNAMED}")

    return measure


def _percent(measure: Measure) -> str:
    return NOTHING if measure.value is None else f"{100 * measure.value:.1f}"


def _mean(measures: Sequence[Measure]) -> str:
    values = [one.value for one in measures if one.value is not None]
    return f"{100 * float(np.mean(values)):.1f}" if values else NOTHING


def _reasons(measures: Iterable[Measure]) -> list[str]:
    reasons = dict.fromkeys(one.reason for one in measures if one.reason)
    return [prose(f"{NOTHING}: {reason}.") for reason in reasons]
