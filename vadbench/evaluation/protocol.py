"""Recipes: row scores -> frame maximum -> calibration -> fusion of streams -> smoothing; the same
for every method.

Every function takes arrays and returns float64 arrays; scores are [N] or [N, C], one column a
read-out, higher = more anomalous. A whole data set's frames are one array: all frames of all
videos, concatenated in order, `lengths` frames a video. Source: specs/evaluation.md sections 2.4
and 2.5, specs/methods.md sections 0.2, 1 and 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, computed_field, field_validator

from vadbench.detector import Part
from vadbench.errors import BadInput

Scores = NDArray[np.float64]
Calibration = Literal["none", "minmax-p99.9", "minmax", "zscore-clip", "sqrt"]
Macro = Literal["skip", "pad-rank", "pad-0-1", "pad-0-max", "pad-0-0"]

# frames; the filter's kernel grows with sigma, and no video needs a wider one
MOST_SMOOTHING = 10_000
CALIBRATIONS: tuple[str, ...] = get_args(Calibration)
MACRO_CONVENTIONS: tuple[str, ...] = get_args(Macro)
# what records say and no protocol chooses: intervals are made without draws now, and windows score
# their centre. It stays in the identity of a recipe's record, so that every record keeps its place.
RETIRED: dict[str, Any] = {"resamples": 1000, "resampling_seed": 0, "windows": "centre"}


class Protocol(BaseModel):
    """What was done between row scores and metrics: the named fields that are recorded with every
    number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: tuple[Part, ...] = Field(
        (),
        description=(
            "the streams that are summed: method, stream, calibration, rule for frames without"
            " objects"
        ),
    )
    smoothing: float | None = Field(
        None,
        ge=0,
        le=MOST_SMOOTHING,
        allow_inf_nan=False,
        description="sigma in frames of the Gaussian filter; None = unsmoothed",
    )
    calibration_level: Literal["row", "frame"] = Field(
        "row", description="training scores that calibrate: every row's, or every frame's maximum"
    )
    macro: tuple[Macro, ...] = Field(
        ("skip", "pad-rank", "pad-0-1", "pad-0-max"),
        description="macro AUC conventions that are reported",
    )
    ties: Literal["average", "order"] = Field(
        "average", description="how RBDC and TBDC treat equal scores"
    )
    alpha: float = Field(0.1, gt=0, le=1, description="part of a track that has to be detected")
    beta: float = Field(0.1, gt=0, le=1, description="least IoU of a detection with a region")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def windows(self) -> str:
        """The frame that a window scores, recorded and no choice; edges are replicated within the
        video.
        """
        return "centre"

    @field_validator("smoothing", mode="before")
    @classmethod
    def _none_by_name(cls, sigma: Any) -> Any:
        return None if sigma == "none" else sigma

    @field_validator("macro", mode="before")
    @classmethod
    def _comma_list(cls, macro: Any) -> Any:
        return tuple(name.strip() for name in macro.split(",")) if isinstance(macro, str) else macro

    @field_validator("smoothing")
    @classmethod
    def _no_filter_is_none(cls, sigma: float | None) -> float | None:
        return sigma or None

    @field_validator("parts")
    @classmethod
    def _known_calibrations(cls, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        for part in parts:
            _require_known(part.calibration)
        return parts

    def describe(self) -> str:
        """One sentence for a caption."""
        streams = " + ".join(
            f"{part.method} on {part.stream} ({part.calibration}, empty frames: {part.empty})"
            for part in self.parts
        )
        smoothing = (
            "no smoothing"
            if self.smoothing is None
            else f"Gaussian smoothing sigma {self.smoothing:g} (reflect, per video)"
        )
        what = (
            f"maximum over a frame's objects of {streams}"
            if streams
            else "maximum over a frame's objects"
        )
        return (
            f"Frame score: {what}; calibrated on training {self.calibration_level}s; {smoothing};"
            f" windows score their {self.windows} frame; macro AUC: {', '.join(self.macro)};"
            f" RBDC/TBDC: alpha {self.alpha:g}, beta {self.beta:g}, ties {self.ties}."
        )


def read_protocol(document: Mapping[str, Any]) -> Protocol:
    """The protocol that a record was evaluated under, whichever version wrote it."""
    return Protocol(**current_fields(document))


def current_fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """A record's protocol without what is no field of a protocol."""
    return {name: value for name, value in document.items() if name not in RETIRED}


@dataclass(frozen=True)
class Statistics:
    """Statistics of training scores, per column: [C], or 0-d for a single column without one;
    float64.

    Attributes:
        minimum, maximum: the extremes.
        p999: the 99.9th percentile, linearly interpolated.
        mean, std: mean and population standard deviation.
    """

    minimum: Scores
    maximum: Scores
    p999: Scores
    mean: Scores
    std: Scores

    def arrays(self) -> dict[str, Scores]:
        """Field name -> array, for a record; `Statistics(**arrays)` takes it back."""
        return {
            name: np.asarray(getattr(self, name), np.float64) for name in self.__dataclass_fields__
        }


def frame_maximum(
    scores: ArrayLike, video: ArrayLike, frame: ArrayLike, lengths: ArrayLike, fill: ArrayLike
) -> Scores:
    """The highest score among a frame's rows.

    Args:
        scores: [N] or [N, C] row scores.
        video: [N] index of the row's video.
        frame: [N] the row's frame in its video, from 0.
        lengths: [V] frames per video.
        fill: what a frame without rows scores: a number, or [C].

    Returns:
        [T] or [T, C], T = sum of lengths.

    Raises:
        BadInput: on NaN, or on a row outside the videos.
    """
    values = _checked(scores)
    counts = np.asarray(lengths, np.int64)
    position = _positions(np.asarray(video), np.asarray(frame), counts, len(values))
    frames = np.empty((int(counts.sum()), *values.shape[1:]))
    frames[:] = np.asarray(fill, np.float64)
    if len(values):
        if np.any(position[1:] < position[:-1]):
            order = np.argsort(position, kind="stable")
            position, values = position[order], values[order]
        starts = np.flatnonzero(np.diff(position, prepend=-1))
        frames[position[starts]] = np.maximum.reduceat(values, starts, axis=0)
    return frames


def window_to_frames(
    scores: ArrayLike, video: ArrayLike, start: ArrayLike, lengths: ArrayLike, window: int
) -> tuple[Scores, float]:
    """Every frame takes the score of the nearest window centre in its own video: a window starting
    at i has its centre at i + window // 2.

    So edges are replicated, and with a stride above 1 the frames between two centres take the
    nearer one's score (the earlier one's when equally near). The centre of a padded window of a
    video shorter than the window is the last frame at most.

    Args:
        scores: [N] or [N, C] window scores.
        video: [N] index of the window's video.
        start: [N] the window's first frame in its video, from 0; no two windows of a video start
            alike.
        lengths: [V] frames per video.
        window: frames in a window.

    Returns:
        [T] or [T, C] frame scores, and the coverage: the part of frames that are the centre of a
        window of their own.

    Raises:
        BadInput: on NaN, on a window outside the videos, or on a video without windows.
    """
    values = _checked(scores)
    counts = np.asarray(lengths, np.int64)
    owner, first = np.asarray(video, np.int64), np.asarray(start, np.int64)
    _positions(owner, first, counts, len(values))
    if len(np.unique(np.stack([owner, first]), axis=1).T) < len(values):
        raise BadInput(
            "windows: two windows of one video start at the same frame; expected one score a window"
        )
    centre = np.minimum(first + window // 2, counts[owner] - 1)
    frames, covered = [], 0
    for index, length in enumerate(counts):
        rows = np.flatnonzero(owner == index)
        if not len(rows) and length:
            raise BadInput(
                f"windows: video {index} has {length} frames and no window; extract a padded window"
                " of it (vadbench features extract)"
            )
        rows = rows[np.argsort(centre[rows], kind="stable")]
        frames.append(values[rows[_nearest(centre[rows], int(length))]])
        covered += len(np.unique(centre[rows]))
    return np.concatenate(frames), covered / max(int(counts.sum()), 1)


def calibration_statistics(scores: ArrayLike) -> Statistics:
    """Statistics of training scores [N] or [N, C], per column.

    Raises:
        BadInput: if there are none, or one is not finite.
    """
    values = np.asarray(scores, np.float64)
    if not len(values) or not np.isfinite(values).all():
        raise BadInput(
            f"training scores: {len(values)} rows; calibration needs at least one and finite values"
            " only (rerun with --existing rerun)"
        )
    summary = (
        values.min(0),
        values.max(0),
        np.percentile(values, 99.9, axis=0),
        values.mean(0),
        values.std(0),
    )
    return Statistics(*(np.asarray(value, np.float64) for value in summary))


def calibrate(name: str, scores: ArrayLike, statistics: Statistics) -> Scores:
    """Scores on the common scale that training scores define; increasing in the score, so a single
    stream keeps its order (but for clipping).

    `none` returns the scores; `minmax-p99.9` and `minmax` are (s - min) / (top - min), unclipped,
    with the 99.9th percentile or the maximum as top (AccI-VAD); `zscore-clip` is max((s - mean) /
    std, 0) (MULDE, supplement); `sqrt` is `minmax` after sqrt(max(s - min, 0)), for squared
    distances. Training scores that do not vary give no scale: they are divided by 1 instead.

    Args:
        name: one of `CALIBRATIONS`.
        scores: [N] or [N, C].
        statistics: of the training scores of the same columns.

    Raises:
        BadInput: on an unknown name.
    """
    values = np.asarray(scores, np.float64)
    _require_known(name)
    if name == "none":
        return values
    if name == "zscore-clip":
        return np.maximum((values - statistics.mean) / _scale(statistics.std, statistics.mean), 0.0)
    above = values - statistics.minimum
    top = statistics.p999 if name == "minmax-p99.9" else statistics.maximum
    scale = _scale(top - statistics.minimum, np.maximum(np.abs(top), np.abs(statistics.minimum)))
    if name == "sqrt":
        return np.asarray(np.sqrt(np.maximum(above, 0.0)) / np.sqrt(scale))
    return np.asarray(above / scale)


def fuse(streams: Sequence[ArrayLike]) -> Scores:
    """The sum of calibrated streams, all of one shape.

    Raises:
        BadInput: if there is none, or shapes differ.
    """
    values = [np.asarray(stream, np.float64) for stream in streams]
    shapes = {stream.shape for stream in values}
    if len(shapes) != 1:
        raise BadInput(
            f"streams: shapes {sorted(shapes)}; fusion needs one or more streams of one shape"
            " (vadbench features verify)"
        )
    return np.asarray(np.sum(values, axis=0))


def smooth(scores: ArrayLike, lengths: ArrayLike, sigma: float | None) -> Scores:
    """Gaussian filter of each video's frame scores: reflected at the ends, cut off at 4 sigma,
    never across videos (AccI-VAD).

    Args:
        scores: [T] or [T, C] frame scores.
        lengths: [V] frames per video.
        sigma: in frames; None or 0 leaves the scores as they are.

    Raises:
        BadInput: if the lengths do not add up to T, or sigma is negative, not finite or above
            10000.
    """
    values = _checked(scores)
    ends = np.cumsum(np.asarray(lengths, np.int64))
    if len(values) != (int(ends[-1]) if len(ends) else 0):
        raise BadInput(
            f"lengths: they add up to {ends[-1] if len(ends) else 0} frames, there are"
            f" {len(values)} scores (vadbench data check)"
        )
    if sigma is None or sigma == 0:
        return values
    if not 0 < sigma <= MOST_SMOOTHING:
        raise BadInput(
            f"smoothing: sigma {sigma:g}; expected a positive number of frames up to"
            f" {MOST_SMOOTHING}, or none"
        )
    from scipy.ndimage import gaussian_filter1d

    videos = [video for video in np.split(values, ends[:-1]) if len(video)]
    return (
        np.concatenate(
            [
                gaussian_filter1d(video, sigma, axis=0, mode="reflect", truncate=4.0)
                for video in videos
            ]
        )
        if videos
        else values
    )


def _checked(scores: ArrayLike) -> Scores:
    values = np.asarray(scores, np.float64)
    if values.ndim not in (1, 2):
        raise BadInput(f"scores: shape {values.shape}; expected [N] or [N, C]")
    if np.isnan(values).any():
        raise BadInput(
            f"scores: row {int(np.argwhere(np.isnan(values))[0][0])} is NaN; expected numbers"
            " (vadbench check METHOD)"
        )
    return values


def _positions(
    video: NDArray[Any], frame: NDArray[Any], lengths: NDArray[np.int64], rows: int
) -> NDArray[np.int64]:
    """[N] index of each row's frame among all frames."""
    if video.shape != (rows,) or frame.shape != (rows,):
        raise BadInput(
            f"rows: {rows} scores, video of shape {video.shape}, frame of shape {frame.shape};"
            " expected one of each a row"
        )
    video, frame = video.astype(np.int64), frame.astype(np.int64)
    known = (video >= 0) & (video < len(lengths))
    outside = ~known
    outside[known] = (frame[known] < 0) | (frame[known] >= lengths[video[known]])
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise BadInput(
            f"rows: row {row} is frame {frame[row]} of video {video[row]}, outside the"
            f" {len(lengths)} videos (vadbench features verify)"
        )
    return np.asarray((np.cumsum(lengths) - lengths)[video] + frame)


def _nearest(centres: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """[length] for every frame the index of the nearest of the sorted centres, the earlier one of
    two.
    """
    middles = (centres[1:] + centres[:-1]) / 2
    return np.searchsorted(middles, np.arange(length), side="left")


def _scale(spread: Scores, size: Scores) -> Scores:
    """`spread`, or 1 where it is no more than rounding beside the `size` of the scores."""
    return np.where(spread > 1e-12 * np.abs(size), spread, 1.0)


def _require_known(calibration: str) -> None:
    if calibration not in CALIBRATIONS:
        raise BadInput(
            f"calibration: {calibration!r} is unknown; choose one of {', '.join(CALIBRATIONS)}"
        )
