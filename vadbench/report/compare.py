"""Two recipes on one data set: the paired difference of every metric with its interval, and the
videos that make it.

Everything is in the two records (metrics.json, jackknife.npz); the data set need not be there. The
differences are paired: what each video does to one record is subtracted from what it does to the
other (vadbench.evaluation.metrics.uncertainty).
"""

from __future__ import annotations

from dataclasses import dataclass

from vadbench.errors import BadInput
from vadbench.evaluation.intervals import read_jackknife
from vadbench.evaluation.metrics.uncertainty import difference
from vadbench.evaluation.seeds import aggregate
from vadbench.report.tables.layout import table_lines
from vadbench.report.tables.markdown import escape, prose
from vadbench.results.frame import look_up, make_frame, video_values
from vadbench.results.names import locate
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord
from vadbench.spec import METRICS, NOT_COMPUTED, USUAL, Metric, Value

# of the protocol; what two recipes must share
RULES = ("smoothing", "ties", "alpha", "beta")
CAPTION = (
    "Interval of the paired difference over the test videos (jackknife, Student's t with one degree"
    " of freedom less than `videos`), each metric by itself; `neither`: it holds 0, the difference"
    " is not significant. Of two records: what other seeds would give is no part of it."
)


@dataclass(frozen=True)
class Difference:
    """One metric of both recipes, as fractions.

    Attributes:
        title: the metric's, as in tables.
        better: +1 where higher is better, -1 where lower is.
        first, second: the values, None where undefined.
        low, high: 95 % interval of `first - second`; None where there is none, with a `note`.
        videos: how many videos it rests on.
        note: why something is missing.
    """

    title: str
    better: int
    first: float | None
    second: float | None
    low: float | None = None
    high: float | None = None
    note: str | None = None
    videos: int | None = None

    @property
    def value(self) -> float | None:
        """`first - second`."""
        return None if self.first is None or self.second is None else self.first - self.second

    @property
    def winner(self) -> str | None:
        """`A` or `B` if it is significantly better, `neither` if the interval holds 0, None without
        an interval.
        """
        if self.low is None or self.high is None:
            return None
        if self.low <= 0 <= self.high:
            return "neither"
        return "A" if (self.low > 0) == (self.better > 0) else "B"


@dataclass(frozen=True)
class VideoDifference:
    """The ROC-AUC of one video, smoothed; None with a reason where it has one class."""

    video: str
    first: float | None
    second: float | None
    reason: str | None = None

    @property
    def value(self) -> float | None:
        """`first - second`."""
        return None if self.first is None or self.second is None else self.first - self.second

    @property
    def size(self) -> float:
        """How large the difference is; -1 where there is none."""
        return -1.0 if self.value is None else abs(self.value)


@dataclass(frozen=True)
class Comparison:
    """Two records, the difference of every metric, and of every video's AUC, the largest first and
    undefined ones last.
    """

    first: ResultRecord
    second: ResultRecord
    metrics: tuple[Difference, ...]
    videos: tuple[VideoDifference, ...]


def compare(results: Results, first: str, second: str) -> Comparison:
    """Compare two recipes that were evaluated on the same labels under the same protocol.

    Args:
        results: where the records are.
        first: a record, as `vadbench.results.names.locate` takes it: its folder, the beginning of
            its identity, or `[dataset/]recipe[:seed]`.
        second: likewise.

    Raises:
        BadInput: if a text names no record or several, or if data set, labels or protocol differ.
    """
    sides = locate(results, first), locate(results, second)
    (_, a), (_, b) = sides
    require_comparable(a, b)
    frame = make_frame([a, b])
    metrics = []
    for title in USUAL:
        metric = METRICS[title]
        values = look_up(frame, metric, [a.identity, b.identity])
        metrics.append(_differ(title, metric, values, sides))
    first_videos, second_videos = (video_values(one, METRICS["micro AUC"]) for one in (a, b))
    return Comparison(a, b, tuple(metrics), _differ_by_video(first_videos, second_videos))


def render(comparison: Comparison) -> str:
    """The comparison as Markdown text, in percent."""
    a, b = comparison.first, comparison.second
    sigma = a.result.protocol.smoothing
    smoothed = "unsmoothed" if sigma is None else f"Gaussian smoothing sigma {sigma:g} (reflect)"
    labels = a.labels
    lines = [
        f"A  {escape(a.name)}",
        f"B  {escape(b.name)}",
        prose(
            f"{a.dataset}, labels `{labels['name']}`, {labels['videos']} test videos; {smoothed};"
            " percent."
        ),
        "",
    ]
    notes = list(dict.fromkeys(line.note for line in comparison.metrics if line.note))
    heads = ["metric", "A", "B", "A - B", "95 % interval", "videos", "better"]
    lines += table_lines(heads, [_metric_texts(line, notes) for line in comparison.metrics])
    lines += [f"\n[{number}] {prose(note)}" for number, note in enumerate(notes, 1)]
    lines += ["", CAPTION, ""]
    lines += table_lines(
        ["video", "A", "B", "A - B"], [_video_texts(line) for line in comparison.videos]
    )
    lines += [
        "",
        "ROC-AUC of each video, largest difference first; a video with one class has none.",
    ]
    return "\n".join(lines) + "\n"


def require_comparable(a: ResultRecord, b: ResultRecord) -> None:
    """Refuse records whose numbers do not go together.

    Raises:
        BadInput: if data set, labels, region tracks or protocol differ.
    """
    what = f"{a.recipe} and {b.recipe}"
    if a.dataset != b.dataset:
        raise BadInput(
            f"{what}: data sets {a.dataset} and {b.dataset}; expected one; a table's ranks compare"
            " over several (vadbench table)"
        )
    if a.labels["sha256"] != b.labels["sha256"]:
        names = " and ".join(
            f"`{record.labels['name']}` ({record.labels['sha256'][:8]})" for record in (a, b)
        )
        raise BadInput(
            f"{what}: labels {names} of {a.dataset} differ; vadbench evaluate gives both the same"
        )
    regions = [record.labels.get("regions_sha256") for record in (a, b)]
    if regions[0] != regions[1]:
        told = " and ".join(str(digest)[:8] for digest in regions)
        raise BadInput(
            f"{what}: region tracks {told} of {a.dataset} differ; vadbench evaluate gives both the"
            " same"
        )
    for rule in RULES:
        one, other = (getattr(record.result.protocol, rule) for record in (a, b))
        if one != other:
            raise BadInput(
                f"{what}: protocol {rule} {one} and {other}; expected the same; vadbench evaluate"
                " gives both the same"
            )


def _differ(
    title: str,
    metric: Metric,
    values: list[Value],
    sides: tuple[tuple[Results, ResultRecord], ...],
) -> Difference:
    """The difference of one metric."""
    first, second = (value.value for value in values)
    better = metric.better
    if first is None or second is None:
        return Difference(title, better, first, second, note=_why_undefined(values))
    totals = [
        aggregate(
            [value],
            [read_jackknife(where.jackknife(record), metric, record.result.protocol)],
        )
        for value, (where, record) in zip(values, sides, strict=True)
    ]
    one, other = (total.estimate for total in totals)
    if one is None or other is None:
        lacking = values[0] if one is None else values[1]
        note = lacking.interval_reason or NOT_COMPUTED
        return Difference(title, better, first, second, note=note)
    ends = difference(one, other)
    return Difference(title, better, first, second, ends.low, ends.high, ends.reason, ends.videos)


def _why_undefined(values: list[Value]) -> str | None:
    """The reason, which both share or with the letter of whose it is."""
    reasons = {
        letter: value.reason
        for letter, value in zip("AB", values, strict=True)
        if value.value is None
    }
    if len(reasons) == 2 and reasons["A"] == reasons["B"]:
        return reasons["A"]
    return "; ".join(f"{letter}: {reason}" for letter, reason in reasons.items())


def _differ_by_video(
    first: dict[str, Value], second: dict[str, Value]
) -> tuple[VideoDifference, ...]:
    lines = [
        VideoDifference(
            video, value.value, second[video].value, value.reason or second[video].reason
        )
        for video, value in first.items()
        if video in second
    ]
    return tuple(sorted(lines, key=lambda line: line.size, reverse=True))


def _metric_texts(line: Difference, notes: list[str]) -> list[str]:
    mark = f" [{notes.index(line.note) + 1}]" if line.note else ""
    low, high = _signed(line.low), _signed(line.high)
    span = "–" if line.low is None else f"[{low}, {high}]"
    title = f"{line.title} (lower is better)" if line.better < 0 else line.title
    counted = "–" if line.videos is None else str(line.videos)
    return [
        title + mark,
        _percent(line.first),
        _percent(line.second),
        _signed(line.value),
        span,
        counted,
        line.winner or "–",
    ]


def _video_texts(line: VideoDifference) -> list[str]:
    name = f"{line.video} ({line.reason})" if line.value is None and line.reason else line.video
    return [escape(name), _percent(line.first), _percent(line.second), _signed(line.value)]


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:+.2f}"
