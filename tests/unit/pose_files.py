"""Pose files in the layouts that people have, of a person who walks to the right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from clips_to_import import Toy
from numpy.typing import NDArray

from vadbench.datasets.base import Split


class Short(Toy):
    """Clips named as ShanghaiTech's."""

    size = (240, 320)
    clips: dict[Split, dict[str, int]] = {
        "train": {"01_001": 12, "01_002": 10},
        "test": {"02_0003": 11, "03_0004": 8},
    }


def person(frame: int, seed: int = 0) -> NDArray[np.float64]:
    """[17, 2] joints in pixels."""
    still = np.random.default_rng(seed).uniform((20, 30), (50, 110), (17, 2))
    return still + np.array([1.5 * frame, np.sin(frame)])


def keypoints(joints: NDArray[np.float64]) -> list[float]:
    """51 numbers."""
    return np.concatenate([joints, np.full((17, 1), 0.9)], 1).ravel().tolist()


def entry(frame: int, seed: int = 0) -> dict[str, Any]:
    return {"keypoints": keypoints(person(frame, seed)), "scores": 1.5}


def tracked(frames: Any, *persons: int) -> dict[str, Any]:
    """AlphaPose's tracked persons, all of them in all frames."""
    return {str(p): {f"{frame:04d}": entry(frame, p) for frame in frames} for p in persons}


def write_clips(root: Path, dataset: Toy, split: Split, persons: tuple[int, ...] = (0,)) -> Path:
    """A JSON a clip, persons in all frames."""
    root.mkdir(parents=True, exist_ok=True)
    for video in dataset.videos(split):
        save(root, video.name, tracked(range(video.frames), *persons))
    return root


def save(root: Path, clip: str, document: Any) -> Path:
    path = root / f"{clip}_alphapose_tracked_person.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def write_trajectory(path: Path, frames: Any, seed: int = 0) -> Path:
    """A csv of one person."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [[frame, *person(frame, seed).ravel()] for frame in frames]
    np.savetxt(path, rows, delimiter=",", fmt="%g")
    return path
