"""The renderer of the synthetic street: a static background, actors drawn from limbs and wheels,
masks of their visible pixels.

Positions on the ground are pixels of the frame. Drawings are in units of a standing person's height
at the actor's depth, so one drawing serves near and far: x + iy, right of and above the point on
the ground.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal, NamedTuple

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
POST_FOOT = 118  # row of a lamp post's foot, which people walk behind or in front of
POST = (slice(0, POST_FOOT), slice(166, 170))  # its pixels
# what a drawing reaches to the left, the right and upwards, in person heights
EXTENT = {"cyclist": (0.65, 1.15), "car": (1.5, 1.15), "thrown": (0.3, 0.5)}
WALKER_EXTENT = (0.45, 1.1)

Kind = Literal["pedestrian", "cyclist", "car", "runner", "wrong-direction", "thrown"]
Image = NDArray[np.float32]
Looks = dict[str, float]


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
    seed: int = 0
    instance: int = 0

    @cached_property
    def looks(self) -> Looks:
        """Tones, gait and build, drawn once from the seed."""
        draw = np.random.default_rng(self.seed).uniform
        shirt = draw(25, 225)
        if abs(shirt - 150) < 35:  # the tone of the pavement
            shirt += 45 if shirt > 150 else -45
        ranges = {"trousers": (20, 105), "skin": (90, 190), "hair": (15, 90), "build": (0.9, 1.12)}
        ranges |= {"phase": (0, 2 * math.pi), "bag": (0, 1), "skirt": (0, 1)}
        return {"shirt": shirt} | {name: draw(*ends) for name, ends in ranges.items()}

    @cached_property
    def texture(self) -> NDArray[np.uint8]:
        """[24, 24] pattern of its clothes or paint, mid-grey on average, fixed to the body so that
        it moves with it.
        """
        random = np.random.default_rng(self.seed + 1)
        coarse = random.uniform(-1, 1, (8, 8)).astype(np.float32)
        blobs = cv2.resize(coarse, (24, 24), interpolation=cv2.INTER_CUBIC)
        stripes = np.sin(np.arange(24) * random.uniform(0.8, 2.0))[:, None] * random.uniform(0, 0.6)
        return np.asarray(np.clip(128 + 38 * (blobs + stripes), 0, 255), np.uint8)

    def ground(self, frame: int) -> tuple[float, float]:
        """Where it stands at `frame`, pixels: a straight way on the ground, in perspective, at a
        pace that sways a little.
        """
        phase, sways = self.looks["phase"], self.kind in ("pedestrian", "runner", "wrong-direction")
        elapsed = frame - self.start
        time = elapsed + (0.5 * math.sin(elapsed / 4.0 + phase) if sways else 0.0)
        height = person_height(self.y)
        # of its height a frame: it comes nearer or goes away
        rate = GROWTH * FORESHORTENING * self.speed * math.sin(self.heading)
        # summed heights, in those of the start
        paces = math.expm1(rate * time) / rate if abs(rate) > 1e-9 else time
        sway = 0.5 * math.sin(elapsed / 7.0 + phase) if sways else 0.0
        return (
            self.x + self.speed * height * paces * math.cos(self.heading),
            self.y + height * math.expm1(rate * time) / GROWTH + sway,
        )

    def lift(self, frame: int) -> float:
        """Height above the ground in person heights: 0, or the bounces of a thrown object."""
        along = ((frame - self.start + 9) % 30.0) / 30.0  # 30 frames from ground to ground
        return 3.2 * along * (1 - along) if self.kind == "thrown" else 0.0

    def sprite(self, frame: int) -> Sprite | None:
        """Its picture at `frame`, or None where it is outside of the scene's."""
        x, y = self.ground(frame)
        height, extent = person_height(y), EXTENT.get(self.kind, WALKER_EXTENT)
        margin = extent[0] * height + 2
        if not -margin < x < WIDTH + margin:
            return None
        lifted = (x, y - self.lift(frame) * height)
        sprite = Sprite(lifted, height, extent, 1 if math.cos(self.heading) >= 0 else -1)
        way = self.speed * (frame - self.start)  # person heights; turns legs and wheels
        DRAWINGS.get(self.kind, draw_walker)(sprite, self.looks, way)
        return sprite


def person_height(y: float) -> float:
    """Pixels of a standing person whose feet are at row `y`: the perspective of the scene."""
    return 20.0 + GROWTH * (y - 58.0)


class Sprite:
    """A patch of tones and opacity at `FINE` times the frame's resolution."""

    def __init__(
        self, ground: tuple[float, float], height: float, extent: tuple[float, float], facing: int
    ) -> None:
        reach, top = (math.ceil(part * height) + 1 for part in extent)
        self.left, self.top = int(ground[0]) - reach, int(ground[1]) - top
        self.scale, self.facing = height * FINE, facing
        self.origin = (np.array(ground) - (self.left, self.top)) * FINE
        self.layers = np.zeros(((top + 3) * FINE, (2 * reach + 1) * FINE, 2), np.uint8)

    def _pixels(self, points: Sequence[complex]) -> NDArray[np.int32]:
        """[n, 2] in OpenCV's fixed-point numbers."""
        offsets = np.array([(self.facing * point.real, -point.imag) for point in points])
        fixed = np.rint((self.origin + offsets * self.scale) * 2**SUB_BITS)
        return np.asarray(fixed, np.int32)

    def limb(self, path: Sequence[complex], width: float, tone: float) -> None:
        """A line through `path` with round joints."""
        thickness, ink = max(1, round(width * self.scale)), (float(tone), 255.0)
        points = [self._pixels(path)]
        cv2.polylines(self.layers, points, False, ink, thickness, cv2.LINE_8, SUB_BITS)

    def disc(self, centre: complex, radius: float, tone: float, ring: float = 0.0) -> None:
        """A filled circle, or a ring of the width `ring`."""
        thickness, ink = max(1, round(ring * self.scale)) if ring else -1, (float(tone), 255.0)
        (middle,), size = self._pixels([centre]).tolist(), round(radius * self.scale * 2**SUB_BITS)
        cv2.circle(self.layers, middle, size, ink, thickness, cv2.LINE_8, SUB_BITS)

    def shape(self, corners: Sequence[complex], tone: float) -> None:
        """A filled polygon."""
        points = [self._pixels(corners)]
        cv2.fillPoly(self.layers, points, (float(tone), 255.0), cv2.LINE_8, SUB_BITS)

    def spoke(self, hub: complex, angle: float, length: float, width: float, tone: float) -> None:
        """A line across a wheel that has turned by `angle`."""
        reach = complex(length * math.cos(angle), -length * math.sin(angle))
        self.limb([hub - reach, hub + reach], width, tone)

    def finish(self, texture: NDArray[np.uint8]) -> tuple[Image, Image]:
        """Tone times alpha, and alpha in 0..1, both at the frame's resolution, with the texture
        laid on.
        """
        rows, columns, _ = self.layers.shape
        size = (columns // FINE, rows // FINE)
        tone, alpha = cv2.split(cv2.resize(self.layers, size, interpolation=cv2.INTER_AREA))
        pitch = self.scale / FINE / 20  # texture cells per body
        across, down = self.origin[0] / FINE, (self.origin[1] - 1.1 * self.scale) / FINE
        placed = np.array([[pitch * self.facing, 0, across], [0, pitch, down]])
        pattern = cv2.warpAffine(texture, placed, size, borderMode=cv2.BORDER_REFLECT)
        lit = cv2.multiply(tone, pattern, scale=1 / 128, dtype=cv2.CV_32F)
        return np.asarray(lit, np.float32), np.asarray(alpha, np.float32) / np.float32(255)


def hang(length: float, angle: float) -> complex:
    """From a joint to the end of a limb that hangs from it, swung forwards by `angle`."""
    return complex(length * math.sin(angle), -length * math.cos(angle))


class Gait(NamedTuple):
    """How somebody moves: a double step in person heights, and angles in radians."""

    step: float
    swing: float
    lean: float
    knees: float
    elbows: float


WALKING, RUNNING = Gait(0.85, 0.42, 0.015, 0.35, 0.3), Gait(1.5, 0.75, 0.1, 0.9, 1.4)


def draw_walker(sprite: Sprite, looks: Looks, way: float, gait: Gait = WALKING) -> None:
    """A person from the side, mid-step after `way` person heights."""
    turn = 2 * math.pi * way / gait.step + looks["phase"]
    hip, shoulder = 0.5j, complex(gait.lean, 0.82)
    for side, shade in ((-1, 0.75), (1, 1.0)):  # the far leg and arm are darker
        angle = gait.swing * side * math.sin(turn)
        bend = gait.knees * max(0.0, side * math.cos(turn))
        knee = hip + hang(0.25, angle)
        foot = knee + hang(0.25, angle - bend)
        sprite.limb([hip, knee, foot, foot + 0.07], 0.1, shade * looks["trousers"])
    for side, shade in ((-1, 0.7), (1, 0.85)):
        if side == 1:
            draw_torso(sprite, looks, hip, shoulder)
        arm = -0.8 * gait.swing * side * math.sin(turn)
        elbow = shoulder + hang(0.17, arm)
        hand = elbow + hang(0.16, arm + gait.elbows)
        sprite.limb([shoulder - 0.03j, elbow, hand], 0.065, shade * looks["shirt"])
    draw_head(sprite, looks, complex(gait.lean * 1.3 + 0.01, 0.93))


def draw_torso(sprite: Sprite, looks: Looks, hip: complex, shoulder: complex) -> None:
    """The upper body between hip and shoulder, with a bag or a long coat for some."""
    x, half = shoulder.real, 0.105 * looks["build"]
    if looks["bag"] < 0.3:
        bag = [x - 0.26 + 0.6j, x - 0.24 + 0.8j, x + 0.8j, x + 0.58j]
        sprite.shape(bag, 0.6 * looks["hair"] + 60)
    hem = hip - (0.2j if looks["skirt"] < 0.3 else 0.04j)
    back = [hem - half, shoulder - half, shoulder + (-0.04 + 0.04j)]
    front = [shoulder + (0.06 + 0.03j), shoulder + complex(half, -0.03), hem + half]
    sprite.shape([*back, *front], looks["shirt"])


def draw_head(sprite: Sprite, looks: Looks, centre: complex) -> None:
    """Hair behind, face in the direction of the way."""
    sprite.disc(centre + (-0.012 + 0.01j), 0.078, looks["hair"])
    sprite.disc(centre + (0.025 - 0.015j), 0.058, looks["skin"])


def draw_cyclist(sprite: Sprite, looks: Looks, way: float) -> None:
    """A rider on a bicycle, pedalling."""
    turn, frame = way / 0.21, 215 - 2 * looks["trousers"]
    back, front, crank = -0.33 + 0.2j, 0.33 + 0.2j, -0.02 + 0.21j
    saddle, bar = -0.12 + 0.5j, 0.24 + 0.56j
    for wheel in (back, front):
        sprite.disc(wheel, 0.18, 30, ring=0.045)
        for angle in (turn, turn + math.pi / 2):
            sprite.spoke(wheel, angle, 0.16, 0.015, 70)
    sprite.limb([back, crank, bar, front], 0.035, frame)
    sprite.limb([back, saddle, crank], 0.035, frame)
    hip, shoulder = -0.12 + 0.55j, 0.1 + 0.86j
    for side, shade in ((math.pi, 0.75), (0.0, 1.0)):
        pedal = turn / 2 + side
        foot = crank + complex(0.09 * math.cos(pedal), -0.09 * math.sin(pedal))
        knee = (hip + foot) / 2 + (0.13 + 0.04j)
        sprite.limb([hip, knee, foot, foot + 0.06], 0.095, shade * looks["trousers"])
    sprite.limb([hip, 0.72j, shoulder], 0.19, looks["shirt"])
    sprite.limb([shoulder, 0.22 + 0.68j, bar], 0.065, 0.8 * looks["shirt"])
    draw_head(sprite, looks, 0.18 + 0.98j)


def draw_car(sprite: Sprite, looks: Looks, way: float) -> None:
    """A small delivery car."""
    paint = looks["shirt"]
    glass = 45 if paint > 110 else 185
    body = [-1.25 + 0.16j, -1.27 + 0.5j, -1.1 + 0.56j, 1.05 + 0.54j, 1.28 + 0.44j, 1.3 + 0.16j]
    sprite.shape(body, paint)
    sprite.shape([-1.1 + 0.52j, -0.95 + 0.92j, 0.35 + 0.94j, 0.78 + 0.52j], 0.9 * paint)
    sprite.shape([-0.96 + 0.56j, -0.86 + 0.86j, -0.3 + 0.86j, -0.3 + 0.56j], glass)
    sprite.shape([-0.2 + 0.56j, -0.2 + 0.86j, 0.3 + 0.86j, 0.62 + 0.56j], glass)
    sprite.limb([-0.25 + 0.54j, -0.25 + 0.24j], 0.02, 0.6 * paint)
    sprite.disc(1.22 + 0.38j, 0.06, 245)
    for wheel in (-0.75 + 0.19j, 0.8 + 0.19j):
        sprite.disc(wheel, 0.2, 25)
        sprite.disc(wheel, 0.1, 150)
        sprite.spoke(wheel, way / 0.2, 0.1, 0.04, 60)


def draw_thrown(sprite: Sprite, looks: Looks, way: float) -> None:
    """A large ball with two panels that spin."""
    light, spin = looks["shirt"] > 128, way / 0.4
    sprite.disc(0.22j, 0.22, 240 if light else 35)
    for side in (-0.12, 0.12):
        panel = complex(side * math.cos(spin), 0.22 - side * math.sin(spin))
        sprite.disc(panel, 0.07, 60 if light else 210)


DRAWINGS: dict[str, Callable[[Sprite, Looks, float], None]] = {
    "runner": partial(draw_walker, gait=RUNNING),
    "cyclist": draw_cyclist,
    "car": draw_car,
    "thrown": draw_thrown,
}


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
    picture, mask = background.copy(), np.zeros(background.shape, np.uint8)
    sprites = [(actor, sprite) for actor in actors if (sprite := actor.sprite(frame)) is not None]
    far_to_near = sorted(sprites, key=lambda pair: pair[0].ground(frame)[1])
    for actor, _ in far_to_near:
        cast_shadow(picture, actor.ground(frame), 1.35 if actor.kind == "car" else 0.22)
    behind = sum(actor.ground(frame)[1] <= POST_FOOT for actor, _ in far_to_near)
    for actor, sprite in far_to_near[:behind]:
        paste(picture, mask, sprite, actor)
    picture[POST], mask[POST] = background[POST], 0
    for actor, sprite in far_to_near[behind:]:
        paste(picture, mask, sprite, actor)
    small = np.flatnonzero(np.bincount(mask.ravel())[1:] < LEAST_VISIBLE) + 1
    mask[np.isin(mask, small)] = 0
    return picture, mask


def cast_shadow(picture: Image, ground: tuple[float, float], width: float) -> None:
    """Darken an ellipse of the ground below an actor; `width` in person heights."""
    (x, y), height = ground, person_height(ground[1])
    reach, flat = width * height, 0.07 * height
    left, right = max(int(x - reach) - 1, 0), min(int(x + reach) + 2, WIDTH)
    top, bottom = max(int(y - flat) - 1, 0), min(int(y + flat) + 2, HEIGHT)
    if left < right and top < bottom:
        across = np.square((np.arange(left, right, dtype=np.float32) - x) / reach)[None, :]
        down = np.square((np.arange(top, bottom, dtype=np.float32) - y) / flat)[:, None]
        picture[top:bottom, left:right] *= 1 - 0.4 * np.clip(1.2 - across - down, 0, 1)


def paste(picture: Image, mask: NDArray[np.uint8], sprite: Sprite, actor: Actor) -> None:
    """Lay a sprite over the picture, and its instance number (or nobody's) over the mask."""
    colour, alpha = sprite.finish(actor.texture)
    x0, y0 = max(sprite.left, 0), max(sprite.top, 0)
    x1, y1 = min(sprite.left + alpha.shape[1], WIDTH), min(sprite.top + alpha.shape[0], HEIGHT)
    if x0 < x1 and y0 < y1:
        inner = (slice(y0 - sprite.top, y1 - sprite.top), slice(x0 - sprite.left, x1 - sprite.left))
        outer = (slice(y0, y1), slice(x0, x1))
        picture[outer] = picture[outer] * (1 - alpha[inner]) + colour[inner]
        mask[outer][alpha[inner] >= 0.5] = actor.instance


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
        far, near = (WIDTH // 2 + step * 17, 54), (WIDTH // 2 + step * 44, 141)
        cv2.line(picture, far, near, 132, 1, cv2.LINE_AA)
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
    picture[POST] = np.array([70, 110, 85, 50], np.float32)
    return np.asarray(np.clip(cv2.GaussianBlur(picture, (0, 0), 0.6), 0, 255), np.float32)
