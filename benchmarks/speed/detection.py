"""Object detection and poses without a model hub: frames/s of EfficientDet-Lite0 in tiles, and
what bounds them (goal: 10 frames/s on two cores, 240 x 360 in 2 x 3 tiles).

usage: python benchmarks/speed/detection.py [--frames N]

Prints, for one thread a core: frames/s, CPU time a frame, and which share of it the network alone
takes, on Ped2 where $VADBENCH_DATA has it, else on the synthetic street; the same network with the
tiles as one batch; and CPU time of a pose. Needs the extra `mobile` and the weights; says so and
ends well where they are not here. On a busy machine CPU time is the figure to go by.
"""

import argparse
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np

from vadbench.datasets.base import Dataset
from vadbench.datasets.ped2 import Ped2
from vadbench.datasets.synthetic import Synthetic
from vadbench.errors import BadInput
from vadbench.features.boxes.efficientdet import LABEL, SIZE, EfficientDet
from vadbench.features.footage import Footage
from vadbench.features.litert import Model, open_interpreter
from vadbench.features.packaged import carried_file
from vadbench.locations import cache_root, data_root
from vadbench.threads import count_cores

POSES = ("blazepose-lite", "blazepose-full", "blazepose-heavy")


def frames(number: int) -> list[Any]:
    """The first frames of a training clip."""
    found: Dataset = Ped2(data_root())
    try:
        found.videos("train")
    except BadInput:
        found = Synthetic(cache_root())
    clip = Footage(found, found.videos("train")[0])
    return list(islice(clip.rgb(), number))


def clock(do: Callable[[Any], Any], items: list[Any]) -> tuple[float, float]:
    """Seconds and CPU seconds of one item, after a first one."""
    do(items[0])
    began, worked = time.perf_counter(), time.process_time()
    for item in items:
        do(item)
    seconds, busy = time.perf_counter() - began, time.process_time() - worked
    return seconds / len(items), busy / len(items)


def batched(number: int) -> Callable[[Any], Any]:
    """The network on all tiles at once."""
    model = open_interpreter(carried_file(LABEL).path)
    index = model.get_input_details()[0]["index"]
    model.resize_tensor_input(index, [number, SIZE, SIZE, 3])
    model.allocate_tensors()
    pictures = np.zeros((number, SIZE, SIZE, 3), np.uint8)

    def run(_: Any) -> None:
        model.set_tensor(index, pictures)
        model.invoke()

    return run


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=30)
    seen = frames(parser.parse_args().frames)
    path = carried_file(LABEL).path
    network = Model(path, 1)
    picture = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    _, tile = clock(network, [picture] * 30)
    print(f"network alone, a tile: {1000 * tile:.1f} CPU ms; {count_cores()} thread(s) below")
    print("| tiles | frames/s | CPU ms a frame | the network's share |")
    print("|---|---|---|---|")
    for rows, columns in ((1, 1), (2, 2), (2, 3), (3, 4)):
        seconds, busy = clock(EfficientDet(path, 0.25, (rows, columns)), seen)
        share = tile * rows * columns / busy
        print(f"| {rows} x {columns} | {1 / seconds:.1f} | {1000 * busy:.0f} | {share:.0%} |")
    seconds, busy = clock(batched(6), seen)
    print(f"six tiles as one batch, the network alone: {1000 * busy / 6:.1f} CPU ms a tile")
    for name in POSES:
        if carried_file(name).path.is_file():
            busy = Model(carried_file(name).path, 1).seconds()
            print(f"{name}: {1000 * busy:.0f} CPU ms a person")


if __name__ == "__main__":
    try:
        main()
    except BadInput as error:
        print(f"not measured: {error}")
