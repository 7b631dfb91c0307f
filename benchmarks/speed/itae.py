"""How far the autoencoder of clips is from its bare convolutions, and what Ped2 costs.

In one run: a forward pass against the convolutions of the same network alone (no norms, no
activations, inputs ready), a training step (forward, losses, backward, Adam) against forward and
backward of these convolutions, both layouts of memory, and seconds for Ped2 at the default options,
extrapolated. Goals: forward and step within 1.3 times the bare convolutions; Ped2 on two threads
within 10 minutes for the training and 3 for an extraction.

Run: python benchmarks/speed/itae.py [--repeats 7] [--threads 1] [--width 0.25] [--height 64]
[--columns 96]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from vadbench.features.extractors.itae.clips import clip_starts, frame_errors, worst_patch
from vadbench.features.extractors.itae.layers import LastDeconv
from vadbench.features.extractors.itae.network import ITAE, folded, multiply_adds
from vadbench.features.extractors.itae.options import ItaeOptions
from vadbench.features.extractors.itae.training import build, loss_of, make_optimiser, scale

READ = 4  # clips at a time in an extraction
PED2_STEPS = ItaeOptions().steps
# 12 test and 16 training clips of 120 to 180 frames: 4,560 frames
PED2_CLIPS = sum(len(clip_starts(frames, 16, 4)) for frames in (*(163,) * 24, *(162,) * 4))


class Bare:
    """The convolutions of a network by torch's own layers, each on the input that it has there, and
    no more.
    """

    def __init__(self, net: ITAE, frames: Tensor, contiguous: bool = False) -> None:
        self.layers: list[tuple[nn.Module, Tensor]] = []
        hooks = [
            layer.register_forward_hook(self._keep)
            for layer in net.modules()
            if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d)
        ]
        with torch.no_grad():
            net(frames)
        for hook in hooks:
            hook.remove()
        if contiguous:
            self.layers = [(layer, x.contiguous()) for layer, x in self.layers]
        for _, x in self.layers[1:]:
            x.requires_grad_(x.shape[1] > frames.shape[1])  # the frames need no gradient
        self.gradients = [torch.ones_like(layer(x)) for layer, x in self.layers]

    def _keep(self, layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        self.layers.append(
            (plain(layer), inputs[0].detach().clone(memory_format=torch.preserve_format))
        )

    def forward(self) -> list[Tensor]:
        """One output a layer."""
        return [layer(x) for layer, x in self.layers]

    def step(self) -> None:
        """Forwards and backwards, to weights and inputs."""
        for layer, x in self.layers:
            layer.zero_grad()
            x.grad = None
        torch.autograd.backward(self.forward(), self.gradients)


def plain(layer: nn.Module) -> nn.Module:
    """Torch's layer with the weights of one of ours."""
    if not isinstance(layer, LastDeconv):
        return layer
    own = nn.ConvTranspose3d(layer.in_channels, layer.out_channels, 3, 1, 1)
    own.load_state_dict(layer.state_dict())
    return own


def training_step(net: ITAE, options: ItaeOptions, clips: Tensor) -> Callable[[], object]:
    net.train()
    optimiser, loss = make_optimiser(net, options.learning_rate), loss_of(net, options.losses)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss(clips).backward()
        optimiser.step()

    return step


def clock() -> float:
    """CPU seconds on one thread; on several, which wait for each other busily, the wall's."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def interleaved(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each work, taken in turn so that a busy machine slows all alike."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():  # makes Adam's state, warms the caches
        work()
    for _ in range(repeats):
        for name, work in works.items():
            began = clock()
            work()
            taken[name].append(clock() - began)
    return taken


def report(title: str, works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Print the median of each work and how many times the first it takes; the medians."""
    taken = interleaved(works, repeats)
    first = next(iter(works))
    print(f"{title}, seconds, median of {repeats}")
    for name, values in taken.items():
        ratio = statistics.median(
            mine / bare for mine, bare in zip(values, taken[first], strict=True)
        )
        said = "" if name == first else f", {ratio:.2f} x {first}"
        print(f"  {name:36s} {statistics.median(values):.4f}{said}")
    return {name: statistics.median(values) for name, values in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("repeats", 7), ("threads", 1), ("height", 64), ("columns", 96)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--width", type=float, default=0.25)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    options = ItaeOptions(size=(asked.height, asked.columns), width=asked.width)
    cost = multiply_adds(1, options.size, options.width)
    print(
        f"{asked.height} x {asked.columns}, width {asked.width:g}: {cost / 1e9:.2f} G multiply-adds"
        f" a clip; {asked.threads} threads; {'CPU' if asked.threads == 1 else 'wall'} seconds"
    )

    noise = np.random.default_rng(0).integers(0, 256, (READ, 1, 16, *options.size), np.uint8)
    clips = torch.from_numpy(noise)
    few = clips[: options.batch]
    net = build(options)
    unfolded = build(options).eval()
    inference = folded(net)
    bare, plain = Bare(inference, scale(clips)), Bare(inference, scale(clips), contiguous=True)

    def errors() -> Tensor:
        frames = scale(clips)
        return worst_patch(frame_errors(frames, inference(frames)[0]), options.side).error

    no_gradients = torch.inference_mode()
    forward = report(
        f"forward, {READ} clips",
        {
            "bare convolutions": no_gradients(bare.forward),
            "bare convolutions, contiguous": no_gradients(plain.forward),
            "the network": no_gradients(lambda: inference(scale(clips))),
            "the network, norms not folded": no_gradients(lambda: unfolded(scale(clips))),
            "its encoders": no_gradients(lambda: inference.encode(scale(clips))),
            "the network and the worst squares": no_gradients(errors),
        },
        asked.repeats,
    )
    step = report(
        f"training step, {options.batch} clips",
        {
            "bare convolutions": Bare(net, scale(few)).step,
            "bare convolutions, contiguous": Bare(net, scale(few), contiguous=True).step,
            "a step": training_step(build(options), options, few),
        },
        asked.repeats,
    )
    print(
        f"Ped2, seconds: training of {PED2_STEPS} steps {PED2_STEPS * step['a step']:.0f};"
        f" {PED2_CLIPS} clips: error"
        f" {PED2_CLIPS / READ * forward['the network and the worst squares']:.0f}, latents"
        f" {PED2_CLIPS / READ * forward['its encoders']:.0f}"
    )


if __name__ == "__main__":
    main()
