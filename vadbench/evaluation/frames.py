"""From a run's row scores to frame scores: what is kept of a run so that every protocol can be
evaluated again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vadbench.evaluation import protocol as rules
from vadbench.files.npz import Arrays


@dataclass(frozen=True)
class PartFrames:
    """What evaluation needs of one run.

    Attributes:
        maxima: [T, C] uncalibrated frame maxima of the test videos; NaN = no object in the frame.
        row, frame: statistics of the training scores, over rows and over frame maxima.
    """

    maxima: rules.Scores
    row: rules.Statistics
    frame: rules.Statistics

    def arrays(self) -> Arrays:
        """Named arrays; `from_arrays` takes them back."""
        levels = {"row": self.row.arrays(), "frame": self.frame.arrays()}
        return {
            "maxima": self.maxima,
            **{
                f"{level}.{name}": values
                for level, arrays in levels.items()
                for name, values in arrays.items()
            },
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> PartFrames:
        """The frames that `arrays` describes."""
        levels = {
            level: rules.Statistics(
                **{
                    name.partition(".")[2]: values
                    for name, values in arrays.items()
                    if name.startswith(f"{level}.")
                }
            )
            for level in ("row", "frame")
        }
        return cls(arrays["maxima"], **levels)

    @classmethod
    def of_rows(cls, rows: Arrays, lengths: NDArray[np.int64]) -> PartFrames:
        """Frame maxima and statistics of a run's row scores; `lengths` are the test videos' frames.

        A stream of windows has no empty frames: each takes the score of the nearest window's centre
        in its video (specs/evaluation.md 2.4).
        """
        maxima = rules.frame_maximum(
            rows["test_scores"], rows["test_video"], rows["test_frame"], lengths, -np.inf
        )
        normal, video, frame = (
            rows["train_scores"],
            rows["train_video"].astype(np.int64),
            rows["train_frame"].astype(np.int64),
        )
        train_lengths = np.full(int(video.max()) + 1, int(frame.max()) + 1)
        normal_maxima = rules.frame_maximum(normal, video, frame, train_lengths, -np.inf)
        with_objects = np.isfinite(normal_maxima[:, 0])
        statistics = (
            rules.calibration_statistics(normal),
            rules.calibration_statistics(normal_maxima[with_objects]),
        )
        if "test_windows" in rows:
            maxima = _nearest_windows(maxima, lengths)
        return cls(np.where(np.isneginf(maxima), np.nan, maxima), *statistics)

    def filled(self, empty: str) -> rules.Scores:
        """[T, C] maxima with the frames that have no object filled: the least training score, or a
        raw 0 (`zero`).
        """
        return np.where(
            np.isnan(self.maxima), 0.0 if empty == "zero" else self.row.minimum, self.maxima
        )

    def only(self, column: int) -> PartFrames:
        """One read-out alone."""
        cut = slice(column, column + 1)
        levels = [
            rules.Statistics(**{name: values[cut] for name, values in level.arrays().items()})
            for level in (self.row, self.frame)
        ]
        return PartFrames(self.maxima[:, cut], *levels)


def _nearest_windows(maxima: rules.Scores, lengths: NDArray[np.int64]) -> rules.Scores:
    """[T, C] with each frame that is no window's centre scored as the nearest centre in its
    video.
    """
    centres = np.flatnonzero(~np.isneginf(maxima[:, 0]))
    video = np.repeat(np.arange(len(lengths)), lengths)
    frame = np.arange(len(maxima)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    scores, _ = rules.window_to_frames(
        maxima[centres], video[centres], frame[centres], lengths, window=1
    )
    return scores


def frame_scores(parts: list[PartFrames], protocol: rules.Protocol) -> rules.Scores:
    """[T, R] frame scores, one column a read-out: empty frames filled, streams calibrated and
    added; not yet smoothed.
    """
    calibrated = []
    for frames, part in zip(parts, protocol.parts, strict=True):
        statistics = frames.row if protocol.calibration_level == "row" else frames.frame
        calibrated.append(rules.calibrate(part.calibration, frames.filled(part.empty), statistics))
    return rules.fuse(calibrated)
