"""Who appears in the synthetic street, clip by clip: pedestrians drawn from a seed, anomalies by
the script.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vadbench.datasets.base import Split
from vadbench.datasets.scene import WIDTH, Actor, person_height

LEFT, RIGHT = np.pi, 0.0
# rows of the feet, and the way everybody walks in training
LANES = ((58.0, 88.0, LEFT), (98.0, 136.0, RIGHT))
SPACING = 75.0  # pixels of lane per pedestrian, on average
# person heights per frame, 1.4 m/s at 15 frames a second; few hurry
PACE, SPREAD, HURRIED = 0.055, 0.007, 0.08
HURRYING = 0.06  # share of them


@dataclass(frozen=True)
class Script:
    """One clip: its name, split and anomalies (instances 1, 2, … in this order, their looks not
    drawn yet).
    """

    name: str
    split: Split
    anomalies: tuple[Actor, ...] = ()


TRAIN = tuple(Script(f"train{number:02d}", "train") for number in range(1, 9))
ANOMALIES = (
    (Actor("cyclist", 28, -15, 112, 0.14, RIGHT),),
    (),
    (Actor("car", 40, -40, 124, 0.17, RIGHT),),
    (Actor("runner", 22, 250, 78, 0.135, LEFT),),
    (Actor("wrong-direction", 26, 245, 100, 0.062, LEFT - 0.7),),
    (Actor("thrown", 15, -5, 104, 0.2, RIGHT), Actor("thrown", 74, 245, 82, 0.22, LEFT)),
    (Actor("cyclist", 10, 255, 70, 0.115, LEFT), Actor("runner", 60, -12, 128, 0.105, RIGHT)),
    (
        Actor("cyclist", -20, -15, 118, 0.1, RIGHT),
        Actor("wrong-direction", -8, 120, 182, 0.055, -1.8),
        Actor("runner", 62, 250, 84, 0.13, LEFT),
    ),
    (),
    (Actor("wrong-direction", 0, 75, 116, 0.055, LEFT), Actor("car", 80, 275, 74, 0.2, LEFT)),
)
TEST = tuple(
    Script(f"test{number:02d}", "test", anomalies) for number, anomalies in enumerate(ANOMALIES, 1)
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
            looks = int(random.integers(2**31))
            actors.append(
                Actor("pedestrian", 0, float(x), float(y), float(speed), float(drift), looks)
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
    return [
        *pedestrians(random, frames),
        *(
            replace(anomaly, seed=int(random.integers(2**31)), instance=instance)
            for instance, anomaly in enumerate(script.anomalies, 1)
        ),
    ]
