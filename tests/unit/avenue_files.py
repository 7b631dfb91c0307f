"""A miniature of CUHK Avenue in the official layout: avi files through PyAV, label cells as MATLAB
v5.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from scipy.io import savemat

from vadbench.datasets.avenue import Avenue

TRAIN = (40, 40, 36)
TEST = (40, 30)
SIZE = (96, 128)
# test video -> frames with something odd: it is fast and wide
ODD = {1: range(10, 22), 2: range(5, 15)}
COUNTS = {
    "train_clips": len(TRAIN),
    "train_frames": sum(TRAIN),
    "test_frames": TEST,
    "size": SIZE,
    "anomalous": sum(map(len, ODD.values())),
}
MiniatureAvenue = type("MiniatureAvenue", (Avenue,), COUNTS)


def write_avi(path: Path, frames, codec: str = "mpeg4", pixels: str = "yuv420p") -> None:
    """A video of [H, W, 3] RGB frames."""
    frames = list(frames)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"qscale": "2"})
        stream.height, stream.width = frames[0].shape[:2] if frames else SIZE
        stream.pix_fmt = pixels
        container.start_encoding()  # a header, even if no frame follows
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def odd_box(number: int, t: int) -> tuple[int, int, int, int] | None:
    """The odd thing at frame t of a test video: x0, y0, x1, y1, the ends exclusive."""
    if t not in ODD[number]:
        return None
    x = 2 + 7 * (t - ODD[number].start)
    return x, 60, min(x + 30, SIZE[1]), 84


def picture(seed: int, t: int, number: int | None = None) -> np.ndarray:
    """[H, W, 3]: a textured ground, a walker, and in test video `number` the odd thing."""
    image = (
        np.random.default_rng(99).integers(60, 100, (*SIZE, 1)).astype(np.uint8).repeat(3, axis=2)
    )
    texture = np.random.default_rng(seed).integers(120, 250, (200, 200, 3)).astype(np.uint8)
    x = (5 + seed + 2 * t) % (SIZE[1] - 14)
    image[20:48, x : x + 14] = texture[:28, :14]
    box = odd_box(number, t) if number else None
    if box:
        x0, y0, x1, y1 = box
        image[y0:y1, x0:x1] = texture[y0:y1, : x1 - x0]
    return image


def masks(number: int) -> list[np.ndarray]:
    """[H, W] uint8 a frame of a test video."""
    found = []
    for t in range(TEST[number - 1]):
        mask = np.zeros(SIZE, np.uint8)
        if box := odd_box(number, t):
            mask[box[1] : box[3], box[0] : box[2]] = 1
        found.append(mask)
    return found


def write_labels(path: Path, cells, variable: str = "volLabel") -> None:
    """A MATLAB v5 file with a 1 x T cell of masks."""
    column = np.empty((1, len(cells)), object)
    for t, mask in enumerate(cells):
        column[0, t] = mask
    savemat(path, {variable: column}, do_compression=True)


def write_avenue(root: Path) -> MiniatureAvenue:
    """The miniature under `root`, as both archives unpack there."""
    for split, lengths in (("training", TRAIN), ("testing", TEST)):
        folder = root / "Avenue Dataset" / f"{split}_videos"
        folder.mkdir(parents=True)
        for number, frames in enumerate(lengths, 1):
            seen = number if split == "testing" else None
            write_avi(
                folder / f"{number:02d}.avi",
                (picture(3 * number + len(split), t, seen) for t in range(frames)),
            )
    labels = root / "ground_truth_demo" / "testing_label_mask"
    labels.mkdir(parents=True)
    for number in range(1, len(TEST) + 1):
        write_labels(labels / f"{number}_label.mat", masks(number))
    return MiniatureAvenue(root)
