"""Who appears in the synthetic street, clip by clip: pedestrians drawn from a seed, anomalies by
the script.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vadbench.datasets.base import Split
from vadbench.datasets.scene import WIDTH, Actor, Kind, person_height

LEFT, RIGHT = np.pi, 0.0
# rows of the feet, and the way everybody walks in training
LANES = ((58.0, 88.0, LEFT), (98.0, 136.0, RIGHT))
SPACING = 75.0  # pixels of lane per pedestrian, on average
# person heights per frame, 1.4 m/s at 15 frames a second; few hurry
PACE, SPREAD, HURRIED = 0.055, 0.007, 0.08
HURRYING = 0.06  # share of them


@dataclass(frozen=True)
class Anomaly:
    """What happens in a test clip besides pedestrians; fields as those of `Actor`."""

    kind: Kind
    start: int
    x: float
    y: float
    speed: float
    heading: float


@dataclass(frozen=True)
class Script:
    """One clip: its name, split and anomalies (instances 1, 2, … in this order)."""

    name: str
    split: Split
    anomalies: tuple[Anomaly, ...] = ()


TRAIN = tuple(Script(f"train{number:02d}", "train") for number in range(1, 9))
TEST = (
    Script("test01", "test", (Anomaly("cyclist", 28, -15, 112, 0.14, RIGHT),)),
    Script("test02", "test"),
    Script("test03", "test", (Anomaly("car", 40, -40, 124, 0.17, RIGHT),)),
    Script("test04", "test", (Anomaly("runner", 22, 250, 78, 0.135, LEFT),)),
    Script("test05", "test", (Anomaly("wrong-direction", 26, 245, 100, 0.062, LEFT - 0.7),)),
    Script(
        "test06",
        "test",
        (Anomaly("thrown", 15, -5, 104, 0.2, RIGHT), Anomaly("thrown", 74, 245, 82, 0.22, LEFT)),
    ),
    Script(
        "test07",
        "test",
        (
            Anomaly("cyclist", 10, 255, 70, 0.115, LEFT),
            Anomaly("runner", 60, -12, 128, 0.105, RIGHT),
        ),
    ),
    Script(
        "test08",
        "test",
        (
            Anomaly("cyclist", -20, -15, 118, 0.1, RIGHT),
            Anomaly("wrong-direction", -8, 120, 182, 0.055, -1.8),
            Anomaly("runner", 62, 250, 84, 0.13, LEFT),
        ),
    ),
    Script("test09", "test"),
    Script(
        "test10",
        "test",
        (
            Anomaly("wrong-direction", 0, 75, 116, 0.055, LEFT),
            Anomaly("car", 80, 275, 74, 0.2, LEFT),
        ),
    ),
)


def pedestrians(random: np.random.Generator, frames: int) -> list[Actor]:
    """Everybody normal in a clip: each lane is filled upstream as far as its fastest walker comes,
    so the crowd is as dense at the end.
    """
    actors = []
    for top, bottom, heading in LANES:
        reach = WIDTH + frames * HURRIED * person_height(bottom)
        for _ in range(random.poisson(reach / SPACING)):
            speed = (
                random.uniform(0.07, HURRIED)
                if random.random() < HURRYING
                else np.clip(random.normal(PACE, SPREAD), 0.035, 0.075)
            )
            upstream = random.uniform(0, reach) - 10
            x = WIDTH - upstream if heading == RIGHT else upstream
            drift = heading + random.normal(0, 0.03)
            y = random.uniform(top + 3, bottom - 3)
            actors.append(
                Actor(
                    "pedestrian",
                    0,
                    float(x),
                    float(y),
                    float(speed),
                    float(drift),
                    int(random.integers(2**31)),
                )
            )
    return actors


def cast(script: Script, frames: int, seed: int) -> list[Actor]:
    """All actors of a clip.

    Args:
        script: the clip.
        frames: its length.
        seed: of the whole scene; each clip draws its own pedestrians from it and its name.
    """
    random = np.random.default_rng([seed, *script.name.encode()])
    actors = pedestrians(random, frames)
    for instance, anomaly in enumerate(script.anomalies, 1):
        looks = int(random.integers(2**31))
        actors.append(
            Actor(
                anomaly.kind,
                anomaly.start,
                anomaly.x,
                anomaly.y,
                anomaly.speed,
                anomaly.heading,
                looks,
                instance,
            )
        )
    return actors
