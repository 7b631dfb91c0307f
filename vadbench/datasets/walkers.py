"""Walkers: articulated persons cross a place and are seen as an estimator of poses sees them; some
run, fall, loiter, jump or limp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vadbench.datasets.base import SPLITS, Check, Dataset, Labels, Split, Video
from vadbench.datasets.derived_tracks import COLUMNS
from vadbench.datasets.events import Event, find_stretches
from vadbench.datasets.gait import Act, Walker
from vadbench.datasets.poses import JOINTS, Poses

HEIGHT, WIDTH, FRAMES = 240, 320, 200
# pixels of a person whose feet are at row y, and how much a way towards the camera is shortened
NEAR, GROWTH, DEPTH = 48.0, 0.22, 0.35
TOP, BOTTOM = 110.0, 220.0  # rows of the feet
JITTER = 0.008  # of the joints, in person heights: standard deviation
LOST = 0.01  # share of poses that the estimator does not give
NORMAL = 4  # walkers of a clip on average, beside those that its script names
BONES = (
    *((5, 7), (7, 9), (6, 8), (8, 10), (5, 6), (11, 12), (5, 11), (6, 12)),
    *((11, 13), (13, 15), (12, 14), (14, 16), (0, 1), (0, 2), (1, 3), (2, 4)),
)


@dataclass(frozen=True)
class Script:
    """A clip: its name and what happens in it, as (act, first frame, end) each."""

    name: str
    acts: tuple[tuple[Act, int, int], ...] = ()


TRAIN = tuple(Script(f"train{number:02d}") for number in range(1, 13))
TEST = (
    Script("test01", (("running", 0, FRAMES),)),
    Script("test02", (("falling", 90, FRAMES),)),
    Script("test03"),
    Script("test04", (("loitering", 60, 160),)),
    Script("test05", (("jumping", 70, 140),)),
    Script("test06", (("limping", 0, FRAMES),)),
    Script("test07", (("running", 0, FRAMES), ("loitering", 80, 180))),
    Script("test08", (("falling", 60, FRAMES),)),
    Script("test09"),
    Script("test10", (("jumping", 50, 110), ("limping", 0, FRAMES))),
)
SCRIPTS: dict[Split, tuple[Script, ...]] = {"train": TRAIN, "test": TEST}


class Walkers(Dataset):
    """Persons of 17 joints cross a place in all directions at 24 frames a second; those who run,
    fall and stay down, loiter, jump or limp are anomalous.

    Made to measure methods on motion of poses: `poses` says where the joints are, with the noise
    and the gaps of an estimator. Frames are drawn when they are read; nothing lies on disk.

    Attributes:
        seed: of everything drawn.
    """

    name = "walkers"
    title = "Synthetic walkers"
    # goes up with every change of what is made (gait.py and this file)
    revision = "1"
    citation = "Made by vadbench (vadbench/datasets/walkers.py)."
    licence = "Apache-2.0"
    how_to_get = "made on first use"
    size = (HEIGHT, WIDTH)
    smoothing = 3.0
    fps = 24.0
    streams = ("skeletons.truth",)
    boxes = "persons"
    generated = True
    track_source = "exact"

    seed: ClassVar[int] = 11

    def videos(self, split: Split) -> tuple[Video, ...]:
        """The clips of a split."""
        return tuple(Video(script.name, split, FRAMES) for script in SCRIPTS[split])

    def walkers(self, video: Video) -> tuple[Walker, ...]:
        """Everybody in a clip, those of its script first."""
        return _cast(video.name, self.seed)

    def poses(self, video: Video) -> Poses:
        """The joints of everybody whose feet are in the picture, as an estimator would give them:
        with noise, and one of a hundred poses lost.
        """
        random = np.random.default_rng([self.seed, 1, *video.name.encode()])
        persons, frames, joints = [], [], []
        for person, walker in enumerate(self.walkers(video)):
            for frame in range(FRAMES):
                noise = JITTER * random.standard_normal((JOINTS, 2))
                lost = random.random() < LOST
                if lost or not is_inside(walker, frame):
                    continue
                persons.append(person)
                frames.append(frame)
                height = person_height(ground(walker, frame)[1])
                joints.append(project(walker, frame) + height * noise)
        placed = np.array(joints).reshape(-1, JOINTS, 2)
        return Poses(np.array(frames, np.int64), np.array(persons, np.int64), placed)

    def read(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        """Frames [240, 320], grey: the walkers as dark limbs on a place that does not move."""
        random = np.random.default_rng([self.seed, 2, *video.name.encode()])
        light = np.linspace(120, 185, HEIGHT)[:, None]
        place = np.rint(light + 2 * random.standard_normal((HEIGHT, WIDTH))).astype(np.uint8)
        for frame in range(FRAMES):
            image = place.copy()
            for walker in self.walkers(video):
                if is_inside(walker, frame):
                    draw(image, walker, frame)
            yield image

    def labels(self) -> Labels:
        """Exact frame labels: 1 where somebody in the picture does what is anomalous."""
        clips = {video.name: np.zeros(FRAMES, np.uint8) for video in self.videos("test")}
        for name, _, _, acting in self._acts():
            clips[name] |= acting
        return Labels("exact", "the scripts (walkers.py)", clips)

    def tracks(self) -> pd.DataFrame:
        """The extent of the joints of everybody who does what is anomalous, without noise."""
        rows = []
        for name, person, walker, acting in self._acts():
            for frame in np.flatnonzero(acting).tolist():
                placed = project(walker, frame)
                low = np.floor(placed.min(0)).clip(0, (WIDTH - 2, HEIGHT - 2)).astype(int)
                high = np.ceil(placed.max(0)).clip(low + 1, (WIDTH - 1, HEIGHT - 1)).astype(int)
                rows.append((name, person, frame, *low.tolist(), *high.tolist()))
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def events(self) -> list[Event]:
        """Everything anomalous while it lasts, by its kind: `running`, `falling` and so on."""
        return [
            Event(name, start, end, walker.act)
            for name, _, walker, acting in self._acts()
            for start, end in find_stretches(acting)
        ]

    def check(self) -> list[Check]:
        """Clips, frames, and that what is anomalous is seen."""
        checks = [
            Check(
                f"{split} frames",
                str(len(SCRIPTS[split]) * FRAMES),
                str(sum(1 for video in self.videos(split) for _ in self.read(video))),
            )
            for split in SPLITS
        ]
        acts = sum(len(script.acts) for script in TEST)
        return [*checks, Check("anomalous walkers in sight", str(acts), str(len(self.events())))]

    def _acts(self) -> Iterator[tuple[str, int, Walker, NDArray[np.uint8]]]:
        """Clip, person, walker, and [T] 1 where it is in sight and does what is anomalous."""
        for video in self.videos("test"):
            for person, walker in enumerate(self.walkers(video)):
                frames = range(FRAMES)
                seen = [walker.acts(frame) and is_inside(walker, frame) for frame in frames]
                if any(seen):
                    yield video.name, person, walker, np.array(seen, np.uint8)


@cache
def _cast(clip: str, seed: int) -> tuple[Walker, ...]:
    """Everybody in a clip: those of the script are in the middle of the place halfway through what
    they do; the others cross it at any time.
    """
    script = next(script for own in SCRIPTS.values() for script in own if script.name == clip)
    random = np.random.default_rng([seed, 0, *clip.encode()])
    walkers = []
    for act, begin, end in script.acts:
        middle = begin + 10 if act == "falling" else (begin + end) // 2
        place = (random.uniform(0.45, 0.55) * WIDTH, random.uniform(130, 200))
        drawn = _draw(random, place)
        own = Walker(*drawn, middle, act, (begin, end))
        walkers.append(own)
    for _ in range(max(2, int(random.poisson(NORMAL)))):
        place = (random.uniform(0.1, 0.9) * WIDTH, random.uniform(TOP, BOTTOM))
        walkers.append(Walker(*_draw(random, place), int(random.integers(10, FRAMES - 10))))
    return tuple(walkers)


def _draw(
    random: np.random.Generator, place: tuple[float, float]
) -> tuple[float, float, float, int]:
    """Where somebody is at a time, where it goes, and its seed."""
    heading = random.choice([0.0, math.pi]) + random.normal(0, 0.35)
    return (*place, float(heading), int(random.integers(2**31)))


def person_height(y: float) -> float:
    """Pixels of a standing person whose feet are at row `y`."""
    return NEAR + GROWTH * (y - TOP)


def ground(walker: Walker, frame: int) -> tuple[float, float]:
    """Where on the ground somebody is, pixels: a straight way, in the perspective of its start."""
    way = walker.way(frame) - walker.way(walker.start)
    gone = way * person_height(walker.y)
    return (
        walker.x + gone * math.cos(walker.heading),
        walker.y + DEPTH * gone * math.sin(walker.heading),
    )


def is_inside(walker: Walker, frame: int) -> bool:
    """Whether its feet are in the picture."""
    x, y = ground(walker, frame)
    return 8 <= x < WIDTH - 8 and TOP - 25 <= y < HEIGHT - 4


def project(walker: Walker, frame: int) -> NDArray[np.float64]:
    """[17, 2] pixels of the joints, without noise."""
    x, y = ground(walker, frame)
    height = person_height(y)
    forward, left, up = walker.joints(frame).T
    c, s = math.cos(walker.heading), math.sin(walker.heading)
    # to the right, and towards the camera
    across, towards = c * forward + s * left, s * forward - c * left
    return np.stack([x + height * across, y + height * (DEPTH * towards - up)], 1)


def draw(image: NDArray[np.uint8], walker: Walker, frame: int) -> None:
    """Limbs and a head, darker than the ground."""
    import cv2

    placed = np.rint(project(walker, frame)).astype(int)
    height = person_height(ground(walker, frame)[1])
    tone, width = 30 + walker.seed % 50, max(2, round(0.07 * height))
    for one, other in BONES:
        cv2.line(image, placed[one].tolist(), placed[other].tolist(), tone, width)
    head = placed[[3, 4]].mean(0).round().astype(int)
    cv2.circle(image, head.tolist(), max(2, round(0.07 * height)), tone, -1)
