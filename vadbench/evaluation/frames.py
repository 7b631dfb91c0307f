"""From a run's row scores to frame scores: what is kept of a run so that every protocol can be
evaluated again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from vadbench.errors import BadInput, cut
from vadbench.evaluation.calibration import Statistics, calibrate, calibration_statistics, fuse
from vadbench.evaluation.maxima import frame_maximum, window_to_frames
from vadbench.evaluation.protocol import group_parts
from vadbench.evaluation.scores import Scores
from vadbench.evaluation.smoothing import smooth
from vadbench.files.npz import Arrays
from vadbench.results import schema1
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord, RunRecord
from vadbench.spec import Part, ScoredPart


@dataclass(frozen=True)
class PartFrames:
    """What evaluation needs of one run.

    Attributes:
        maxima: [T, C] uncalibrated frame maxima of the test videos; NaN = no object in the frame.
        row, frame: statistics of the training scores, over rows and over frame maxima.
    """

    maxima: Scores
    row: Statistics
    frame: Statistics

    def arrays(self, lengths: NDArray[np.int64]) -> Arrays:
        """Named arrays, small ones; `from_arrays` reads them.

        A column of maxima is float32 above the training minimum where that keeps the ranks, of
        smoothed scores too; else it is float64 as it is. `lengths` are the test videos' frames.
        """
        levels = {"row": self.row.arrays(), "frame": self.frame.arrays()}
        statistics = {
            f"{level}.{name}": values
            for level, arrays in levels.items()
            for name, values in arrays.items()
        }
        columns = {
            f"maxima.{place}": pack(column, minimum, lengths)
            for place, (column, minimum) in enumerate(
                zip(self.maxima.T, self.row.minimum, strict=True)
            )
        }
        return {**columns, **statistics}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> PartFrames:
        """The frames that `arrays` describes."""
        levels = {
            level: Statistics(
                **{
                    name.partition(".")[2]: values
                    for name, values in arrays.items()
                    if name.startswith(f"{level}.")
                }
            )
            for level in ("row", "frame")
        }
        names = [name for name in arrays if name.startswith("maxima.")]
        columns = [
            unpack(arrays[f"maxima.{place}"], minimum)
            for place, minimum in zip(range(len(names)), levels["row"].minimum, strict=True)
        ]
        return cls(np.stack(columns, axis=1), **levels)

    @classmethod
    def of_rows(cls, rows: Arrays, lengths: NDArray[np.int64]) -> PartFrames:
        """Frame maxima and statistics of a run's row scores; `lengths` are the test videos' frames.

        A stream of windows has no empty frames: each takes the score of the nearest window's centre
        in its video.
        """
        scores, video, frame = (rows[f"test_{name}"] for name in ("scores", "video", "frame"))
        maxima = frame_maximum(scores, video, frame, lengths, -np.inf)
        of_rows, of_frames = training_statistics(
            rows["train_scores"], rows["train_video"], rows["train_frame"]
        )
        if "test_windows" in rows:
            maxima = _fill_windows(maxima, lengths)
        return cls(np.where(np.isneginf(maxima), np.nan, maxima), of_rows, of_frames)

    @classmethod
    def of_given(cls, scores: Scores) -> PartFrames:
        """Scores [T] of all frames that were not computed here: what training rows scored is not
        known.
        """
        unknown = np.full(1, np.nan)
        nothing = Statistics(np.zeros(1), unknown, unknown, unknown, unknown)
        return cls(np.asarray(scores, np.float64)[:, None], nothing, nothing)

    def filled(self, empty: str) -> Scores:
        """[T, C] maxima with the frames that have no object filled: the least training score, or a
        raw 0 (`zero`).
        """
        fill = 0.0 if empty == "zero" else self.row.minimum
        return np.where(np.isnan(self.maxima), fill, self.maxima)

    def only(self, column: int) -> PartFrames:
        """One read-out alone."""
        cut = slice(column, column + 1)
        row, frame = (
            Statistics(**{name: values[cut] for name, values in level.arrays().items()})
            for level in (self.row, self.frame)
        )
        return PartFrames(self.maxima[:, cut], row, frame)


def training_statistics(
    scores: Scores, video: NDArray[np.integer[Any]], frame: NDArray[np.integer[Any]]
) -> tuple[Statistics, Statistics]:
    """Statistics of training scores [N, C], over rows and over the maxima of frames that have a
    row.
    """
    video, frame = video.astype(np.int64), frame.astype(np.int64)
    lengths = np.full(int(video.max()) + 1, int(frame.max()) + 1)
    maxima = frame_maximum(scores, video, frame, lengths, -np.inf)
    with_objects = np.isfinite(maxima[:, 0])
    return calibration_statistics(scores), calibration_statistics(maxima[with_objects])


SIGMAS = (3.0, 7.0, 15.0)  # of the filters that data sets have
SAME_RANKS = 1e-8  # of all pairs of frames: what may change places, and no AUC's seventh digit


def pack(maxima: Scores, minimum: float, lengths: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
    """[T] frame maxima as float32 above the training minimum, if no AUC's seventh digit depends on
    more; else as they are.
    """
    if np.nanmax(np.abs(maxima - minimum), initial=0.0) > np.finfo(np.float32).max:
        return maxima
    small = round_in_order(maxima - minimum)
    one, other = (
        np.where(np.isnan(scores), minimum, scores) for scores in (maxima, unpack(small, minimum))
    )
    for sigma in (None, *SIGMAS):
        ranks = [rankdata(smooth(scores, lengths, sigma)) for scores in (one, other)]
        moved = np.abs(ranks[0] - ranks[1]).sum()
        if moved > SAME_RANKS * len(maxima) ** 2:
            return maxima
    return small


def unpack(column: NDArray[np.floating[Any]], minimum: float) -> Scores:
    """[T] frame maxima of what `pack` gave."""
    if column.dtype == np.float32:
        return np.asarray(column.astype(np.float64) + minimum)
    return np.asarray(column, np.float64)


def round_in_order(scores: Scores) -> NDArray[np.float32]:
    """[T] scores as float32 of the same ranks: where rounding makes two scores one, the greater
    moves up by the least step. NaN stays.

    >>> round_in_order(np.array([1 + 1e-12, 1.0, 0.5])).tolist()
    [1.0000001192092896, 1.0, 0.5]
    """
    distinct, place = np.unique(scores, return_inverse=True)
    rounded = distinct.astype(np.float32)
    tied = np.flatnonzero(np.diff(rounded) <= 0) + 1
    for index in tied:
        step = index
        while step < len(rounded) and rounded[step] <= rounded[step - 1]:
            rounded[step] = np.nextafter(rounded[step - 1], np.float32(np.inf))
            step += 1
    return rounded[place]


def _fill_windows(maxima: Scores, lengths: NDArray[np.int64]) -> Scores:
    """[T, C] with each frame that is no window's centre scored as the nearest centre in its
    video.
    """
    centres = np.flatnonzero(~np.isneginf(maxima[:, 0]))
    video = np.repeat(np.arange(len(lengths)), lengths)
    frame = np.arange(len(maxima)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    scores, _ = window_to_frames(maxima[centres], video[centres], frame[centres], lengths, window=1)
    return scores


def sum_frames(
    frames: Sequence[PartFrames],
    parts: Sequence[Part | ScoredPart],
    level: Literal["row", "frame"] = "row",
    lengths: NDArray[np.int64] | None = None,
) -> Scores:
    """[T, R] frame scores, one column a read-out: empty frames filled, groups added, streams
    calibrated, weighted and added; not yet smoothed.

    Args:
        frames: of each part.
        parts: their calibrations, weights, groups and rules for empty frames.
        level: the training scores that calibrate.
        lengths: frames of each test video; `minmax-video` alone needs them.

    Raises:
        BadInput: if the parts of a group differ in calibration or weight, or if the calibration
            needs the training scores of their sum, which are not kept.
    """
    calibrated = []
    for members in group_parts(parts):
        part, own = parts[members[0]], frames[members[0]]
        raw = fuse([frames[place].filled(parts[place].empty) for place in members])
        statistics = own.row if level == "row" else own.frame
        scores = calibrate(part.calibration, raw, statistics, lengths)
        calibrated.append(scores if part.weight == 1 else part.weight * scores)
    return fuse(calibrated)


@dataclass(frozen=True)
class FrameScores:
    """The frame scores of a record's shown read-out, before smoothing.

    Attributes:
        scores: [T] of all frames of all test videos, in order.
        videos: [V] their names.
        lengths: [V] their frames.
    """

    scores: Scores
    videos: tuple[str, ...]
    lengths: NDArray[np.int64]


def read_frame_scores(record: ResultRecord, results: Results) -> FrameScores | None:
    """The frame scores of a record, from the frame maxima of its runs; None where those are not
    here.

    Raises:
        BadInput: if they are not those that the record was computed from.
    """
    results.require_own_frames(record, range(len(record.runs)))
    runs = [results.run_of(record, position) for position in range(len(record.runs))]
    known = [run for run in runs if run is not None]
    frames = [read_frames(run, results) for run in known]
    parts = [own for own in frames if own is not None]
    if len(parts) < len(runs) or not parts:
        return _read_schema1(record, results)
    columns = [
        own.only(column_of(run, record.result.read_out))
        for own, run in zip(parts, known, strict=True)
    ]
    result = record.result
    lengths, level = known[0].lengths, result.protocol.calibration_level
    scores = sum_frames(columns, result.parts, level, lengths)[:, 0]
    videos = tuple(name for name, _ in known[0].test_videos)
    return FrameScores(scores, videos, lengths)


def read_frames(run: RunRecord, results: Results) -> PartFrames | None:
    """The frame maxima of a run, None where they are not here.

    Raises:
        BadInput: if the file holds something else.
    """
    arrays = results.frames(run)
    try:
        return None if arrays is None else PartFrames.from_arrays(arrays)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BadInput(
            f"{results.frames_path(run)}: no frame maxima ({cut(str(error))}); restore it, or"
            " vadbench run --existing rerun makes it"
        ) from error


def column_of(run: RunRecord, read_out: str | None) -> int:
    """The score column of a read-out; None: the default, the first.

    Raises:
        BadInput: if the run has no such read-out.
    """
    if read_out is None:
        return 0
    if read_out not in run.read_outs:
        raise BadInput(f"run {run.identity[:12]}: no read-out {read_out}, but {run.read_outs}")
    return run.read_outs.index(read_out)


def _read_schema1(record: ResultRecord, results: Results) -> FrameScores | None:
    folder = results.record_folder(record.dataset, record.recipe, record.identity)
    arrays = schema1.read_scores(folder)
    if arrays is None:
        return None
    videos = tuple(str(name) for name in arrays["videos"])
    return FrameScores(arrays["scores"][:, 0], videos, arrays["lengths"])
