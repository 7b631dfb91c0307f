"""How a person's joints move: walking, running and what else the walkers do, in closed form.

Offsets are in person heights from the point on the ground below the hips: forwards, to the left,
upwards. Everything is a smooth function of the frame and of a few numbers drawn from the walker's
seed; no pixel is looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Act = Literal["walking", "running", "falling", "loitering", "jumping", "limping"]
Floats = NDArray[np.float64]

THIGH, SHANK, UPPER_ARM, FOREARM = 0.25, 0.245, 0.17, 0.16
TRUNK = 0.32  # from the hips to the shoulders
# from the neck: forwards, upwards, and how far to its side
HEAD = {"nose": (0.07, 0.12, 0.0), "eye": (0.055, 0.145, 0.02), "ear": (0.0, 0.13, 0.04)}
SIDES = (1, -1)  # left, right
FACE = (("nose", 0), ("eye", 1), ("eye", -1), ("ear", 1), ("ear", -1))
ARM = (0.11, 0.13, 0.13)  # how far shoulders, elbows and wrists are to the side
LEG = (0.075, 0.07, 0.065)  # hips, knees, ankles
FALL, LYING = 14.0, 1.45  # frames that a fall takes, and radians from upright at its end
STOP = 10.0  # frames in which a loiterer comes to rest


@dataclass(frozen=True)
class Style:
    """How somebody moves.

    Attributes:
        pace: person heights a frame.
        step: person heights of a double step.
        swing: radians that the legs swing to each side.
        knees, elbows: radians that they bend.
        lean: radians that the trunk leans forwards.
    """

    pace: float
    step: float
    swing: float
    knees: float
    elbows: float
    lean: float


# 1.4 m/s and 3.4 m/s at 24 frames a second for 1.7 m
WALKING = Style(0.034, 0.85, 0.42, 0.5, 0.3, 0.03)
RUNNING = Style(0.083, 1.45, 0.75, 1.2, 1.4, 0.15)


@dataclass(frozen=True)
class Walker:
    """One who crosses the place, and what it does on the way.

    Attributes:
        x, y: where on the ground it is at frame `start`, pixels.
        heading: radians, 0 = to the right, pi/2 = towards the camera.
        seed: of its build, style and phase.
        start: a frame; it may be negative.
        act: what it does; anything but walking is anomalous.
        when: frames between which it does so, the last one excluded; of runners and limpers all.
    """

    x: float
    y: float
    heading: float
    seed: int
    start: int = 0
    act: Act = "walking"
    when: tuple[int, int] = field(default=(0, 1 << 30))

    @cached_property
    def drawn(self) -> dict[str, float]:
        """Build and habits, drawn once from the seed."""
        random = np.random.default_rng(self.seed)
        usual = {"pace": 0.1, "step": 0.05, "swing": 0.1, "knees": 0.1, "elbows": 0.3, "lean": 0.3}
        ranges = {"build": (0.9, 1.1), "phase": (0, 2 * math.pi), "size": (0.94, 1.06)}
        drawn = {name: math.exp(random.normal(0, sd)) for name, sd in usual.items()}
        return drawn | {name: float(random.uniform(*ends)) for name, ends in ranges.items()}

    @cached_property
    def style(self) -> Style:
        """How it moves."""
        usual = RUNNING if self.act == "running" else WALKING
        names = ("pace", "step", "swing", "knees", "elbows", "lean")
        return Style(*(getattr(usual, name) * self.drawn[name] for name in names))

    def acts(self, frame: int) -> bool:
        """Whether it does at `frame` what is anomalous."""
        return self.act != "walking" and self.when[0] <= frame < self.when[1]

    def way(self, frame: int) -> float:
        """Person heights that it has gone since `start`: nobody walks who lies or stands."""
        begin, end = self.when
        done = min(max(frame - begin, 0), end - begin)
        stood = 0.0
        if self.act == "loitering":  # the pace falls to 0 and comes back
            stood = done - STOP * (1 - math.exp(-done / STOP))
        elif self.act == "falling":
            stood = max(0.0, frame - begin - FALL / 2)
        elif self.act == "jumping":
            stood = float(done)
        slow = 0.7 if self.act == "limping" else 1.0
        return self.style.pace * slow * (frame - self.start - stood)

    def joints(self, frame: int) -> Floats:
        """[17, 3] offsets of the joints, in COCO's order."""
        turn = 2 * math.pi * self.way(frame) / self.style.step + self.drawn["phase"]
        effort = self._effort(frame)
        body = self._body(turn, effort, frame)
        body *= self.drawn["size"]
        return self._fallen(body, frame) if self.act == "falling" else body

    def _effort(self, frame: int) -> float:
        """1 while it walks, down to 0 while it stands."""
        begin, end = self.when
        if self.act not in ("loitering", "jumping") or not begin <= frame < end:
            return 1.0
        return math.exp(-(frame - begin) / STOP) if self.act == "loitering" else 0.15

    def _body(self, turn: float, effort: float, frame: int) -> Floats:
        """[17, 3] of somebody upright, `turn` radians into its double step."""
        style, build = self.style, self.drawn["build"]
        legs = [self._leg(turn, effort, side) for side in SIDES]
        height = max(-ankle[1] for _, ankle in legs)  # the lower foot is on the ground
        lift, raised = self._lift(frame)
        dip = 0.06 * max(0.0, math.sin(turn)) if self.act == "limping" else 0.0
        hips = np.array([0.0, height + lift])
        shoulders = hips + TRUNK * np.array([math.sin(style.lean), math.cos(style.lean)])
        arms = []
        for side in SIDES:
            angle = -0.8 * style.swing * effort * side * math.sin(turn) + raised
            elbow = shoulders + hang(UPPER_ARM, angle)
            arms.append((elbow, elbow + hang(FOREARM, angle + style.elbows)))
        neck = shoulders + np.array([0.02 * dip, 0.0])
        points = [place(neck + HEAD[part][:2], side * HEAD[part][2] * build) for part, side in FACE]
        for of_side, across in zip(([shoulders] * 2, *zip(*arms, strict=True)), ARM, strict=True):
            below = np.array([0.0, -dip])
            points += [
                place(point + below, side * across * build)
                for side, point in zip(SIDES, of_side, strict=True)
            ]
        for of_side, across in zip(([np.zeros(2)] * 2, *zip(*legs, strict=True)), LEG, strict=True):
            points += [
                place(hips + point, side * across * build)
                for side, point in zip(SIDES, of_side, strict=True)
            ]
        return np.stack(points)

    def _leg(self, turn: float, effort: float, side: int) -> tuple[Floats, Floats]:
        """Knee and ankle, from the hip; a limper's left leg is stiff."""
        stiff = 0.35 if self.act == "limping" and side == 1 else 1.0
        angle = self.style.swing * effort * stiff * side * math.sin(turn)
        bend = self.style.knees * effort * stiff * max(0.0, side * math.cos(turn)) + 0.05
        knee = hang(THIGH, angle)
        return knee, knee + hang(SHANK, angle - bend)

    def _lift(self, frame: int) -> tuple[float, float]:
        """Person heights above the ground, and radians that the arms are raised: of jumps, 16
        frames each.
        """
        if self.act != "jumping" or not self.acts(frame):
            return 0.0, 0.0
        along = ((frame - self.when[0]) % 16) / 16
        return 0.9 * along * (1 - along), 1.2 * math.sin(math.pi * along)

    def _fallen(self, body: Floats, frame: int) -> Floats:
        """The body turned about its feet: forwards and a little to the side, ever faster, then it
        lies.
        """
        along = min(max((frame - self.when[0]) / FALL, 0.0), 1.0)
        angle = LYING * along**2
        c, s = math.cos(angle), math.sin(angle)
        forward, up = body[:, 0], body[:, 2]
        return np.stack([c * forward + s * up, body[:, 1], -s * forward + c * up], 1)


def place(point: Floats, across: float) -> Floats:
    """[3] forwards, to the left and upwards."""
    return np.array([point[0], across, point[1]])


def hang(length: float, angle: float) -> Floats:
    """[2] forwards and upwards from a joint to the end of a limb that hangs from it, swung forwards
    by `angle`.
    """
    return np.array([length * math.sin(angle), -length * math.cos(angle)])
