"""The renderer of the synthetic street: a static background, actors drawn from limbs and wheels,
masks of their visible pixels.

Sizes are in units of a standing person's height at the actor's depth, so one drawing serves near
and far; positions are frame pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 160, 240
# actors are drawn this much larger and averaged down: smooth edges, motion by fractions of a pixel
FINE = 4
SUB_BITS = 4  # OpenCV's fixed-point bits of a drawn coordinate
LEAST_VISIBLE = 10  # pixels: an instance that shows fewer is left out of masks, tracks and labels
SENSOR_NOISE = 2.0  # standard deviation in grey levels
FLICKER = 0.004  # standard deviation of the exposure from frame to frame
# a person's pixels per row downwards; a way on the ground towards the camera looks half as long
GROWTH, FORESHORTENING = 0.1, 0.5
POST_X, POST_FOOT = 168, 118  # a lamp post that people walk behind or in front of

Kind = Literal["pedestrian", "cyclist", "car", "runner", "wrong-direction", "thrown"]
Point = tuple[float, float]
Image = NDArray[np.float32]

# What a drawing reaches to the left, the right and upwards of the point on the ground, in person
# heights.
EXTENT: dict[str, tuple[float, float]] = {
    "pedestrian": (0.45, 1.1),
    "cyclist": (0.65, 1.15),
    "car": (1.5, 1.15),
    "thrown": (0.3, 0.5),
}


@dataclass(frozen=True)
class Actor:
    """One who moves through the scene.

    Attributes:
        kind: what it is; anything but a pedestrian is anomalous.
        start: the frame at which it is at (x, y); it may be negative.
        x, y: point on the ground, pixels.
        speed: person heights per frame along `heading`.
        heading: radians, 0 = to the right, pi/2 = towards the camera.
        seed: of its looks and gait.
        instance: its number in the masks, 0 for pedestrians.
    """

    kind: Kind
    start: int
    x: float
    y: float
    speed: float
    heading: float
    seed: int
    instance: int = 0

    @cached_property
    def looks(self) -> dict[str, float]:
        """Tones, gait and build, drawn once from the seed."""
        draw = np.random.default_rng(self.seed).uniform
        shirt = draw(25, 225)
        if abs(shirt - 150) < 35:  # the tone of the pavement
            shirt += 45 if shirt > 150 else -45
        return {
            "shirt": shirt,
            "trousers": draw(20, 105),
            "skin": draw(90, 190),
            "hair": draw(15, 90),
            "build": draw(0.9, 1.12),
            "phase": draw(0, 2 * math.pi),
            "bag": draw(0, 1),
            "skirt": draw(0, 1),
        }

    @cached_property
    def texture(self) -> NDArray[np.uint8]:
        """[24, 24] pattern of its clothes or paint, mid-grey on average, fixed to the body so that
        it moves with it.
        """
        random = np.random.default_rng(self.seed + 1)
        blobs = cv2.resize(
            random.uniform(-1, 1, (8, 8)).astype(np.float32),
            (24, 24),
            interpolation=cv2.INTER_CUBIC,
        )
        stripes = np.sin(np.arange(24) * random.uniform(0.8, 2.0))[:, None] * random.uniform(0, 0.6)
        return np.asarray(np.clip(128 + 38 * (blobs + stripes), 0, 255), np.uint8)

    def ground(self, frame: int) -> Point:
        """Where it stands at `frame`, pixels: a straight way on the ground, in perspective, at a
        pace that sways a little.
        """
        lively = self.kind in ("pedestrian", "runner", "wrong-direction")
        elapsed = frame - self.start
        swayed = elapsed + (0.5 * math.sin(elapsed / 4.0 + self.looks["phase"]) if lively else 0.0)
        height = person_height(self.y)
        # of its height a frame: it comes nearer or goes away
        rate = GROWTH * FORESHORTENING * self.speed * math.sin(self.heading)
        # summed heights, in those of the start
        paces = math.expm1(rate * swayed) / rate if abs(rate) > 1e-9 else swayed
        sway = 0.5 * math.sin(elapsed / 7.0 + self.looks["phase"]) if lively else 0.0
        return (
            self.x + self.speed * height * paces * math.cos(self.heading),
            self.y + height * math.expm1(rate * swayed) / GROWTH + sway,
        )

    def distance(self, frame: int) -> float:
        """The way since `start`, in person heights; turns legs and wheels."""
        return self.speed * (frame - self.start)

    def lift(self, frame: int) -> float:
        """Height above the ground in person heights: 0, or the bounces of a thrown object."""
        if self.kind != "thrown":
            return 0.0
        bounce = 30.0  # frames from ground to ground
        along = ((frame - self.start + 9) % bounce) / bounce
        return 3.2 * along * (1 - along)


def person_height(y: float) -> float:
    """Pixels of a standing person whose feet are at row `y`: the perspective of the scene."""
    return 20.0 + GROWTH * (y - 58.0)


class Sprite:
    """A patch at `FINE` times the frame's resolution; coordinates are person heights right of and
    above the point on the ground.
    """

    def __init__(
        self, ground: Point, height: float, extent: tuple[float, float], facing: int
    ) -> None:
        reach, top = (math.ceil(part * height) + 1 for part in extent)
        self.left, self.top = int(ground[0]) - reach, int(ground[1]) - top
        shape = ((top + 3) * FINE, (2 * reach + 1) * FINE)
        self.scale = height * FINE
        self.origin = ((ground[0] - self.left) * FINE, (ground[1] - self.top) * FINE)
        self.facing = facing
        self.tone = np.zeros(shape, np.uint8)
        self.alpha = np.zeros(shape, np.uint8)

    def _fixed_point(self, point: Point) -> tuple[int, int]:
        x, y = (
            self.origin[0] + self.facing * point[0] * self.scale,
            self.origin[1] - point[1] * self.scale,
        )
        return round(x * 2**SUB_BITS), round(y * 2**SUB_BITS)

    def limb(self, path: Sequence[Point], width: float, tone: float) -> None:
        """A line through `path` with round joints."""
        points = [np.array([self._fixed_point(point) for point in path], np.int32)]
        thickness = max(1, round(width * self.scale))
        for image, value in ((self.tone, tone), (self.alpha, 255)):
            cv2.polylines(image, points, False, float(value), thickness, cv2.LINE_8, SUB_BITS)

    def disc(self, centre: Point, radius: float, tone: float, ring: float = 0.0) -> None:
        """A filled circle, or a ring of the width `ring`."""
        thickness = max(1, round(ring * self.scale)) if ring else -1
        for image, value in ((self.tone, tone), (self.alpha, 255)):
            cv2.circle(
                image,
                self._fixed_point(centre),
                round(radius * self.scale * 2**SUB_BITS),
                float(value),
                thickness,
                cv2.LINE_8,
                SUB_BITS,
            )

    def shape(self, corners: Sequence[Point], tone: float) -> None:
        """A filled polygon."""
        points = [np.array([self._fixed_point(corner) for corner in corners], np.int32)]
        for image, value in ((self.tone, tone), (self.alpha, 255)):
            cv2.fillPoly(image, points, float(value), cv2.LINE_8, SUB_BITS)

    def finish(self, texture: NDArray[np.uint8]) -> tuple[Image, Image]:
        """Tone times alpha, and alpha in 0..1, both at the frame's resolution, with the texture
        laid on.
        """
        rows, columns = self.tone.shape
        size = (columns // FINE, rows // FINE)
        alpha = cv2.resize(self.alpha, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        colour = cv2.resize(self.tone, size, interpolation=cv2.INTER_AREA)
        pitch = self.scale / FINE / 20  # texture cells per body
        across, down = self.origin[0] / FINE, (self.origin[1] - 1.1 * self.scale) / FINE
        placed = np.array([[pitch * self.facing, 0, across], [0, pitch, down]])
        pattern = cv2.warpAffine(texture, placed, size, borderMode=cv2.BORDER_REFLECT)
        lit = cv2.multiply(colour, pattern, scale=1 / 128, dtype=cv2.CV_32F)
        return np.asarray(lit, np.float32), np.asarray(alpha, np.float32)


def draw_walker(sprite: Sprite, looks: dict[str, float], way: float, *, running: bool) -> None:
    """A person from the side, mid-step after `way` person heights."""
    turn = 2 * math.pi * way / (1.5 if running else 0.85) + looks["phase"]
    swing, lean = (0.75, 0.1) if running else (0.42, 0.015)
    hip, shoulder = (0.0, 0.5), (lean, 0.82)
    for side, shade in ((-1, 0.75), (1, 1.0)):  # the far leg and arm are darker
        angle = swing * side * math.sin(turn)
        bend = (0.9 if running else 0.35) * max(0.0, side * math.cos(turn))
        knee = (0.25 * math.sin(angle), hip[1] - 0.25 * math.cos(angle))
        foot = (knee[0] + 0.25 * math.sin(angle - bend), knee[1] - 0.25 * math.cos(angle - bend))
        sprite.limb([hip, knee, foot, (foot[0] + 0.07, foot[1])], 0.1, shade * looks["trousers"])
    for side, shade in ((-1, 0.7), (1, 0.85)):
        if side == 1:
            draw_torso(sprite, looks, hip, shoulder)
        arm = -0.8 * swing * side * math.sin(turn)
        elbow = (shoulder[0] + 0.17 * math.sin(arm), shoulder[1] - 0.17 * math.cos(arm))
        fold = arm + (1.4 if running else 0.3)
        hand = (elbow[0] + 0.16 * math.sin(fold), elbow[1] - 0.16 * math.cos(fold))
        sprite.limb([(shoulder[0], shoulder[1] - 0.03), elbow, hand], 0.065, shade * looks["shirt"])
    draw_head(sprite, looks, (lean * 1.3 + 0.01, 0.93))


def draw_torso(sprite: Sprite, looks: dict[str, float], hip: Point, shoulder: Point) -> None:
    """The upper body between hip and shoulder, with a bag or a long coat for some."""
    half = 0.105 * looks["build"]
    if looks["bag"] < 0.3:
        sprite.shape(
            [
                (shoulder[0] - 0.26, 0.6),
                (shoulder[0] - 0.24, 0.8),
                (shoulder[0], 0.8),
                (shoulder[0], 0.58),
            ],
            0.6 * looks["hair"] + 60,
        )
    hem = hip[1] - (0.2 if looks["skirt"] < 0.3 else 0.04)
    corners = [
        (hip[0] - half, hem),
        (shoulder[0] - half, shoulder[1]),
        (shoulder[0] - 0.04, shoulder[1] + 0.04),
    ]
    sprite.shape(
        [
            *corners,
            (shoulder[0] + 0.06, shoulder[1] + 0.03),
            (shoulder[0] + half, shoulder[1] - 0.03),
            (hip[0] + half, hem),
        ],
        looks["shirt"],
    )


def draw_head(sprite: Sprite, looks: dict[str, float], centre: Point) -> None:
    """Hair behind, face in the direction of the way."""
    sprite.disc((centre[0] - 0.012, centre[1] + 0.01), 0.078, looks["hair"])
    sprite.disc((centre[0] + 0.025, centre[1] - 0.015), 0.058, looks["skin"])


def draw_cyclist(sprite: Sprite, looks: dict[str, float], way: float) -> None:
    """A rider on a bicycle, pedalling."""
    turn = way / 0.21
    back, front, crank, saddle, bar = (
        (-0.33, 0.2),
        (0.33, 0.2),
        (-0.02, 0.21),
        (-0.12, 0.5),
        (0.24, 0.56),
    )
    for wheel in (back, front):
        sprite.disc(wheel, 0.18, 30, ring=0.045)
        for spoke in (turn, turn + math.pi / 2):
            reach = (0.16 * math.cos(spoke), -0.16 * math.sin(spoke))
            sprite.limb(
                [
                    (wheel[0] - reach[0], wheel[1] - reach[1]),
                    (wheel[0] + reach[0], wheel[1] + reach[1]),
                ],
                0.015,
                70,
            )
    sprite.limb([back, crank, bar, front], 0.035, 215 - 2 * looks["trousers"])
    sprite.limb([back, saddle, crank], 0.035, 215 - 2 * looks["trousers"])
    hip, shoulder = (-0.12, 0.55), (0.1, 0.86)
    for side, shade in ((math.pi, 0.75), (0.0, 1.0)):
        foot = (
            crank[0] + 0.09 * math.cos(turn / 2 + side),
            crank[1] - 0.09 * math.sin(turn / 2 + side),
        )
        knee = ((hip[0] + foot[0]) / 2 + 0.13, (hip[1] + foot[1]) / 2 + 0.04)
        sprite.limb([hip, knee, foot, (foot[0] + 0.06, foot[1])], 0.095, shade * looks["trousers"])
    sprite.limb([hip, (0.0, 0.72), shoulder], 0.19, looks["shirt"])
    sprite.limb([shoulder, (0.22, 0.68), bar], 0.065, 0.8 * looks["shirt"])
    draw_head(sprite, looks, (0.18, 0.98))


def draw_car(sprite: Sprite, looks: dict[str, float], way: float) -> None:
    """A small delivery car."""
    paint = looks["shirt"]
    glass = 45 if paint > 110 else 185
    sprite.shape(
        [(-1.25, 0.16), (-1.27, 0.5), (-1.1, 0.56), (1.05, 0.54), (1.28, 0.44), (1.3, 0.16)], paint
    )
    sprite.shape([(-1.1, 0.52), (-0.95, 0.92), (0.35, 0.94), (0.78, 0.52)], 0.9 * paint)
    sprite.shape([(-0.96, 0.56), (-0.86, 0.86), (-0.3, 0.86), (-0.3, 0.56)], glass)
    sprite.shape([(-0.2, 0.56), (-0.2, 0.86), (0.3, 0.86), (0.62, 0.56)], glass)
    sprite.limb([(-0.25, 0.54), (-0.25, 0.24)], 0.02, 0.6 * paint)
    sprite.disc((1.22, 0.38), 0.06, 245)
    for wheel in (-0.75, 0.8):
        sprite.disc((wheel, 0.19), 0.2, 25)
        sprite.disc((wheel, 0.19), 0.1, 150)
        spoke = way / 0.2
        reach = (0.1 * math.cos(spoke), -0.1 * math.sin(spoke))
        sprite.limb(
            [(wheel - reach[0], 0.19 - reach[1]), (wheel + reach[0], 0.19 + reach[1])], 0.04, 60
        )


def draw_thrown(sprite: Sprite, looks: dict[str, float], way: float) -> None:
    """A large ball with two panels that spin."""
    light = looks["shirt"] > 128
    radius, spin = 0.22, way / 0.4
    sprite.disc((0.0, radius), radius, 240 if light else 35)
    for side in (-1, 1):
        sprite.disc(
            (side * 0.12 * math.cos(spin), radius - side * 0.12 * math.sin(spin)),
            0.07,
            60 if light else 210,
        )


def draw_actor(actor: Actor, frame: int, ground: Point) -> Sprite | None:
    """The actor's sprite at `frame`, standing at `ground`, or None where it is outside the
    picture.
    """
    x, y = ground
    height = person_height(y)
    extent = EXTENT.get(actor.kind, EXTENT["pedestrian"])
    if not (-extent[0] * height - 2 < x < WIDTH + extent[0] * height + 2):
        return None
    lifted = (x, y - actor.lift(frame) * height)
    sprite = Sprite(lifted, height, extent, 1 if math.cos(actor.heading) >= 0 else -1)
    way = actor.distance(frame)
    if actor.kind == "cyclist":
        draw_cyclist(sprite, actor.looks, way)
    elif actor.kind == "car":
        draw_car(sprite, actor.looks, way)
    elif actor.kind == "thrown":
        draw_thrown(sprite, actor.looks, way)
    else:
        draw_walker(sprite, actor.looks, way, running=actor.kind == "runner")
    return sprite


def render_clip(
    actors: Sequence[Actor], frames: int, background: Image
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Frame by frame: [HEIGHT, WIDTH] uint8 grey, and [HEIGHT, WIDTH] uint8 numbers of the
    anomalous instances' visible pixels.

    Args:
        actors: everyone in the clip, in any order.
        frames: length of the clip.
        background: [HEIGHT, WIDTH], of `draw_background`.
    """
    random = np.random.default_rng([actor.seed for actor in actors])  # of sensor noise and flicker
    for frame in range(frames):
        clean, mask = compose(actors, frame, background)
        exposure = 1 + FLICKER * random.standard_normal()
        noisy = clean * exposure + SENSOR_NOISE * random.standard_normal(clean.shape, np.float32)
        yield np.clip(np.rint(noisy), 0, 255).astype(np.uint8), mask


def compose(
    actors: Sequence[Actor], frame: int, background: Image
) -> tuple[Image, NDArray[np.uint8]]:
    """The scene without noise and the instances' visible pixels: shadows first, then far to
    near.
    """
    picture = background.copy()
    mask = np.zeros(picture.shape, np.uint8)
    grounds = [actor.ground(frame) for actor in actors]
    order = sorted(range(len(actors)), key=lambda index: (grounds[index][1], index))
    shown = [
        (grounds[index], actors[index], sprite)
        for index in order
        if (sprite := draw_actor(actors[index], frame, grounds[index])) is not None
    ]
    for ground, actor, _ in shown:
        cast_shadow(picture, ground, actor)
    post = False
    for ground, actor, sprite in shown:
        if ground[1] > POST_FOOT and not post:
            draw_post(picture, background, mask)
            post = True
        paste(picture, mask, sprite, actor)
    if not post:
        draw_post(picture, background, mask)
    for instance in np.flatnonzero(np.bincount(mask.ravel())[1:] < LEAST_VISIBLE) + 1:
        mask[mask == instance] = 0
    return picture, mask


def cast_shadow(picture: Image, ground: Point, actor: Actor) -> None:
    """Darken the ground below an actor."""
    (x, y), height = ground, person_height(ground[1])
    reach, flat = (1.35 if actor.kind == "car" else 0.22) * height, 0.07 * height
    columns = np.arange(
        max(int(x - reach) - 1, 0), min(int(x + reach) + 2, WIDTH), dtype=np.float32
    )
    rows = np.arange(max(int(y - flat) - 1, 0), min(int(y + flat) + 2, HEIGHT), dtype=np.float32)
    if len(columns) and len(rows):
        inside = (
            1.2 - np.square((columns - x) / reach)[None, :] - np.square((rows - y) / flat)[:, None]
        )
        picture[int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1] *= (
            1 - 0.4 * np.clip(inside, 0, 1)
        )


def paste(picture: Image, mask: NDArray[np.uint8], sprite: Sprite, actor: Actor) -> None:
    """Lay a sprite over the picture, and its instance number (or nobody's) over the mask."""
    colour, alpha = sprite.finish(actor.texture)
    x0, y0 = max(sprite.left, 0), max(sprite.top, 0)
    x1, y1 = min(sprite.left + alpha.shape[1], WIDTH), min(sprite.top + alpha.shape[0], HEIGHT)
    if x0 >= x1 or y0 >= y1:
        return
    inner = (slice(y0 - sprite.top, y1 - sprite.top), slice(x0 - sprite.left, x1 - sprite.left))
    outer = (slice(y0, y1), slice(x0, x1))
    picture[outer] = picture[outer] * (1 - alpha[inner]) + colour[inner]
    mask[outer][alpha[inner] >= 0.5] = actor.instance


def draw_post(picture: Image, background: Image, mask: NDArray[np.uint8]) -> None:
    """The lamp post again, over those behind it."""
    post = (slice(0, POST_FOOT), slice(POST_X - 2, POST_X + 2))
    picture[post] = background[post]
    mask[post] = 0


def draw_background(seed: int) -> Image:
    """[HEIGHT, WIDTH] float32: houses, a hedge, a paved walkway in perspective, a lawn, and the
    lamp post.
    """
    random = np.random.default_rng(seed)
    # the last bricks reach below the wall, where the hedge covers them
    picture = np.zeros((HEIGHT, WIDTH), np.float32)
    picture[:34] = 118  # a brick wall
    picture[:34][::4] -= 16
    for row in range(0, 34, 4):
        picture[row : row + 4, (row // 4 % 2) * 4 :: 8] -= 12
    for left in range(10, WIDTH, 38):
        cv2.rectangle(picture, (left, 6), (left + 16, 24), 205, -1)
        cv2.rectangle(picture, (left + 2, 8), (left + 14, 22), float(random.uniform(35, 75)), -1)
        cv2.line(picture, (left + 8, 8), (left + 8, 22), 205, 1)
    picture[34:54] = 62  # the hedge
    picture[54:142] = np.linspace(138, 160, 88)[:, None]  # the walkway
    for depth in 1 / np.linspace(1 / 56, 1 / 165, 14):
        picture[round(depth) % HEIGHT if depth < 142 else 141] -= 14
    for step in range(-16, 17):
        cv2.line(
            picture,
            (WIDTH // 2 + step * 17, 54),
            (WIDTH // 2 + step * 44, 141),
            132,
            1,
            cv2.LINE_AA,
        )
    picture[140:142] = 196  # the kerb
    picture[142:] = 92  # the lawn
    grain = np.zeros_like(picture)
    # size of the clumps in pixels, grey levels
    for cell, weight in ((1, 3.0), (3, 3.0), (24, 5.0)):
        coarse = random.standard_normal((HEIGHT // cell + 1, WIDTH // cell + 1)).astype(np.float32)
        grain += weight * cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    rough = np.ones((HEIGHT, 1), np.float32)
    rough[34:54], rough[142:] = 3.5, 2.5
    picture += rough * grain
    picture[:POST_FOOT, POST_X - 2 : POST_X + 2] = np.array([70, 110, 85, 50], np.float32)
    return np.asarray(np.clip(cv2.GaussianBlur(picture, (0, 0), 0.6), 0, 255), np.float32)
