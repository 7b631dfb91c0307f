"""Speed and memory of embeddings: EfficientNet-Lite0 by onnxruntime and by eager torch, and the
streams `deep` and `clip` made with it.

usage: python benchmarks/speed/embedding.py

Frames are random, of Ped2's size (240 x 360 grey), with 15 boxes of its pedestrians' size. The two
libraries take turns on one core, so that what else the machine does slows both. The streams use all
cores, in a process each, so that peaks are each one's own.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import product

import numpy as np

from vadbench.features.boxes.provider import Objects
from vadbench.features.extractors.clip import Clip, ClipOptions
from vadbench.features.extractors.deep import Deep, DeepOptions
from vadbench.features.footage import Footage

STREAMS = ("deep, 64 px", "deep, 96 px", "clip")


class Frames(list[np.ndarray]):
    """Frames that are all grey already."""

    def grey(self) -> "Frames":
        """Themselves."""
        return self


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def libraries(size: int, batch: int, rounds: int) -> None:
    """One batch by each library in turn, on one core; medians."""
    import torch

    from vadbench.features.extractors.backbones import efficientnet_lite0
    from vadbench.features.extractors.efficientnet import build

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    pictures = np.random.default_rng(0).normal(size=(batch, 3, size, size)).astype(np.float32)
    run, model, tensor = efficientnet_lite0(size).run, build().cpu(), torch.from_numpy(pictures)
    pairs = []
    with torch.inference_mode():
        for number in range(rounds + 1):
            pair = seconds(lambda: run(pictures)), seconds(lambda: model(tensor))
            pairs += [pair] if number else []  # the first warms up
    fast, eager = np.median(np.array(pairs), 0) / batch * 1e3
    print(f"| {size} | {batch} | {fast:.2f} | {eager:.2f} | {eager / fast:.1f} |", flush=True)


def stream(name: str) -> None:
    rng = np.random.default_rng(0)
    extractor = (
        Clip("efficientnet-lite0", ClipOptions())
        if name == "clip"
        else Deep("efficientnet-lite0", DeepOptions(size=int(name.split()[1])))
    )
    number = 40 if name == "clip" else 80
    frames = Frames(rng.integers(0, 256, (number, 240, 360), np.uint8))
    low = rng.uniform((0, 0), (330, 200), (number, 15, 2))
    boxes = [
        np.hstack([corner, corner + rng.uniform((10, 25), (25, 40), (15, 2))]).astype(np.float32)
        for corner in low
    ]
    columns = len(extractor.columns())  # loads the network
    footage: Footage = frames  # type: ignore[assignment]  # what an extractor uses of one
    busy = time.process_time()
    took = seconds(lambda: extractor.extract(footage, Objects(boxes), lambda frames: None))
    busy = time.process_time() - busy
    rows = number * (1 if name == "clip" else 15)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"| {name} | {columns} | {took / rows * 1e3:.2f} | {busy / rows * 1e3:.2f} |"
        f" {number / took:.1f} | {peak:.0f} |",
        flush=True,
    )


def statistics(crops: int = 48) -> None:
    """How far crops of Ped2's first training clip lie from what the network's BatchNorms were
    trained with, by crop and its size; no label is read.
    """
    import numpy as np
    import torch

    from vadbench.datasets.open import open_dataset
    from vadbench.features.boxes.foreground import Foreground
    from vadbench.features.extractors import efficientnet
    from vadbench.features.extractors.crops import CROPS, resize
    from vadbench.features.footage import Footage

    ped2 = open_dataset("ped2")
    footage = Footage(ped2, ped2.videos("train")[0])
    boxes = Foreground(Foreground.Options()).objects(footage).boxes
    every = [
        (frame, box) for frame, of_frame in zip(footage, boxes, strict=True) for box in of_frame
    ]
    chosen = [every[k] for k in np.random.default_rng(0).choice(len(every), crops, replace=False)]
    model = efficientnet.build().eval()
    norms = [layer for layer in model.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    found: list[float] = []

    def look(layer: torch.nn.BatchNorm2d, inputs: tuple[torch.Tensor]) -> None:
        z = (inputs[0] - layer.running_mean[:, None, None]) / (
            layer.running_var + layer.eps
        ).sqrt()[:, None, None]
        found.append(z.square().mean().sqrt().item())

    for layer in norms:
        layer.register_forward_pre_hook(look)
    print(
        "| crop | size | rms z of BatchNorm inputs, median over layers | fifth last | mean feature"
        " | at ReLU6's ceiling |\n|---|---|---|---|---|---|"
    )
    for name, size in product(CROPS, (64, 96, 128, 160, 224)):
        pieces = [CROPS[name](frame, box, (127, 127, 127)) for frame, box in chosen]
        pictures = np.stack([resize(crop, size) for crop in pieces]).astype(np.float32)
        with torch.no_grad():
            features = model(torch.from_numpy(((pictures - 127) / 128).transpose(0, 3, 1, 2)))
        print(
            f"| {name} | {size} | {np.median(found):.2f} | {found[-5]:.2f} |"
            f" {features.mean():.2f} | {(features > 5.9).float().mean():.3f} |"
        )
        found.clear()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--statistics", action="store_true", help="how crops of each size suit the network, on Ped2"
    )
    parser.add_argument("--stream", choices=STREAMS, help="measure this one alone, in this process")
    options = parser.parse_args()
    if options.statistics:
        statistics()
        return
    if options.stream:
        stream(options.stream)
        return
    print(
        "| stream | D | ms a row | CPU ms a row | frames/s | peak MiB |\n|---|---|---|---|---|---|",
        flush=True,
    )
    for name in STREAMS:  # first: a process that is started later inherits this one's peak
        subprocess.run([sys.executable, __file__, "--stream", name], check=True)
    print(
        "\n| pixels | batch | onnxruntime ms a crop | eager torch ms a crop | ratio"
        " |\n|---|---|---|---|---|",
        flush=True,
    )
    for size, batch, rounds in ((64, 64, 9), (96, 64, 5), (224, 1, 9)):
        libraries(size, batch, rounds)


if __name__ == "__main__":
    main()
