"""Two recipes on one data set: the paired difference of every metric with its interval, and the
videos that make it.

Everything is in the two records (metrics.json, frames.npz); the data set need not be there. The
differences are paired: what each video does to one record is subtracted from what it does to the
other (vadbench.evaluation.metrics.uncertainty).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vadbench.errors import BadInput
from vadbench.evaluation.intervals import (
    NOT_COMPUTED,
    REGIONS,
    estimate_of,
    read_jackknife,
    stored_name,
    why_none,
)
from vadbench.evaluation.metrics.uncertainty import difference
from vadbench.files.npz import Arrays
from vadbench.report.tables.layout import table_lines
from vadbench.report.tables.table import METRICS, USUAL, Key
from vadbench.results.names import called, find
from vadbench.results.records import RecipeRecord, Results

# of the protocol; what two recipes must share
RULES = ("smoothing", "windows", "ties", "alpha", "beta")
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


@dataclass(frozen=True)
class Comparison:
    """Two records, the difference of every metric, and of every video's AUC, the largest first and
    undefined ones last.
    """

    first: RecipeRecord
    second: RecipeRecord
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
    (a, a_frames), (b, b_frames) = find(results, first), find(results, second)
    require_comparable(a, b)
    metrics = tuple(
        _difference(title, key, better, (a, a_frames), (b, b_frames))
        for title, (key, better) in ((name, METRICS[name]) for name in USUAL)
    )
    return Comparison(a, b, metrics, _videos(a, b))


def render(comparison: Comparison) -> str:
    """The comparison as Markdown text, in percent."""
    a, b = comparison.first, comparison.second
    sigma = a.protocol["smoothing"]
    smoothed = "unsmoothed" if sigma is None else f"Gaussian smoothing sigma {sigma:g} (reflect)"
    labels = a.labels
    lines = [
        f"A  {called(a)}",
        f"B  {called(b)}",
        (
            f"{a.dataset}, labels `{labels['name']}`, {labels['videos']} test videos; {smoothed};"
            " percent."
        ),
        "",
    ]
    notes = list(dict.fromkeys(line.note for line in comparison.metrics if line.note))
    heads = ["metric", "A", "B", "A - B", "95 % interval", "videos", "better"]
    lines += table_lines(heads, [_metric_texts(line, notes) for line in comparison.metrics])
    lines += [f"\n[{number}] {note}" for number, note in enumerate(notes, 1)]
    lines += ["", CAPTION, ""]
    lines += table_lines(
        ["video", "A", "B", "A - B"], [_video_texts(line) for line in comparison.videos]
    )
    lines += [
        "",
        "ROC-AUC of each video, largest difference first; a video with one class has none.",
    ]
    return "\n".join(lines) + "\n"


def require_comparable(a: RecipeRecord, b: RecipeRecord) -> None:
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
        one, other = a.protocol.get(rule), b.protocol.get(rule)
        if one != other:
            raise BadInput(
                f"{what}: protocol {rule} {one} and {other}; expected the same; vadbench evaluate"
                " gives both the same"
            )


def _difference(
    title: str, key: Key, better: int, *sides: tuple[RecipeRecord, Arrays | None]
) -> Difference:
    metric, convention, smoothed = key
    convention = sides[0][0].protocol["ties"] if metric in REGIONS else convention
    smoothing = _smoothing(sides[0][0]) if smoothed else "none"
    rows = [_row(record, metric, convention, smoothing) for record, _ in sides]
    first, second = (row["value"] for row in rows)
    if first is None or second is None:
        reasons = {
            letter: row["reason"]
            for letter, row in zip("AB", rows, strict=True)
            if row["value"] is None
        }
        same = len(reasons) == 2 and reasons["A"] == reasons["B"]
        return Difference(
            title,
            better,
            first,
            second,
            note=(
                reasons["A"]
                if same
                else "; ".join(f"{letter}: {why}" for letter, why in reasons.items())
            ),
        )
    stored = [
        read_jackknife(
            frames, stored_name(metric, smoothed, _smoothing(record) != "none"), convention
        )
        for record, frames in sides
    ]
    one, other = (
        estimate_of([row], [jackknife]) for row, jackknife in zip(rows, stored, strict=True)
    )
    if one is None or other is None:
        return Difference(
            title, better, first, second, note=why_none(rows[0] if one is None else rows[1])
        )
    found = difference(one, other)
    return Difference(
        title, better, first, second, found.low, found.high, found.reason, found.videos
    )


def _smoothing(record: RecipeRecord) -> str:
    sigma = record.protocol["smoothing"]
    return "none" if sigma is None else f"gaussian-{sigma:g}"


def _row(
    record: RecipeRecord, metric: str, convention: str | None, smoothing: str
) -> dict[str, Any]:
    """The row of the whole set and the ranked read-out."""
    wanted = (metric, convention, smoothing, record.read_outs[0], None)
    fields = ("metric", "convention", "smoothing", "read_out", "video")
    missing = {"value": None, "reason": NOT_COMPUTED}
    return next(
        (row for row in record.rows if tuple(row[field] for field in fields) == wanted), missing
    )


def _videos(a: RecipeRecord, b: RecipeRecord) -> tuple[VideoDifference, ...]:
    first, second = _video_rows(a), _video_rows(b)
    lines = [
        VideoDifference(
            video, row["value"], second[video]["value"], row["reason"] or second[video]["reason"]
        )
        for video, row in first.items()
        if video in second
    ]
    return tuple(
        sorted(
            lines, key=lambda line: -1.0 if line.value is None else abs(line.value), reverse=True
        )
    )


def _video_rows(record: RecipeRecord) -> dict[str, dict[str, Any]]:
    """Video -> its row; those of scenes, whose `video` is `scene:<id>`, are left out."""
    wanted = ("micro_auc", _smoothing(record), record.read_outs[0])
    rows = [
        row for row in record.rows if (row["metric"], row["smoothing"], row["read_out"]) == wanted
    ]
    return {
        row["video"]: row for row in rows if row["video"] and not row["video"].startswith("scene:")
    }


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
    return [name, _percent(line.first), _percent(line.second), _signed(line.value)]


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:+.2f}"
