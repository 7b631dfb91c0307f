"""The two-path autoencoder: its table, its counts, its forward pass."""

from __future__ import annotations

import itae_by_hand as by_hand
import numpy as np
import pytest
import torch
from itae_oracles import oracle, tiny_network
from torch import nn

from vadbench.features.extractors.itae.layers import LastDeconv
from vadbench.features.extractors.itae.network import ITAE, Widths, folded, multiply_adds

CONVOLUTIONS = (nn.Conv3d, nn.ConvTranspose3d)
TABLE_1 = {  # outputs at 256 x 256: channels, time, a side of 256 divided by
    "static.conv1": (96, 4, 2),
    "static.conv2": (128, 4, 4),
    "static.conv3": (256, 4, 4),
    "static.conv4": (256, 4, 4),
    "dynamic.conv1": (12, 16, 2),
    "dynamic.conv2": (16, 16, 4),
    "dynamic.conv3": (32, 16, 4),
    "dynamic.conv4": (32, 16, 4),
    "lateral.conv1": (96, 4, 2),
    "lateral.conv4": (256, 4, 4),
    "decoder.deconv1": (256, 4, 4),
    "decoder.deconv2": (128, 8, 2),
    "decoder.deconv3": (96, 16, 1),
    "decoder.deconv4": (3, 16, 1),
}


def on_meta(*args: object, **options: object) -> ITAE:
    """A network without memory: shapes alone."""
    with torch.device("meta"):
        return ITAE(*args, **options)


def products(net: ITAE, run: str, shape: tuple[int, ...]) -> int:
    """Multiply-adds of `net.run`, counted as it runs: the weights of each convolution times the
    places at which they stand.
    """
    found = []

    def count(layer: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        placed = output if isinstance(layer, nn.Conv3d) else inputs[0]
        found.append(layer.weight.numel() * placed[0, 0].numel())

    for layer in net.modules():
        if isinstance(layer, CONVOLUTIONS):
            layer.register_forward_hook(count)
    getattr(net, run)(torch.empty(shape, device="meta"))
    return sum(found)


def test_forward_pass_is_the_oracle_s() -> None:
    arrays = oracle("model")
    with torch.no_grad():
        out, static, dynamic = tiny_network(arrays)(torch.from_numpy(arrays["input"]))
    np.testing.assert_allclose(out, arrays["output"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(static, arrays["static"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(dynamic, arrays["dynamic"], rtol=0, atol=1e-12)


def test_forward_pass_is_that_of_loops() -> None:
    net = ITAE(1, widths=Widths((3, 4, 5, 5), (2, 2, 3, 3))).double().eval()
    torch.manual_seed(0)
    state = {
        name: torch.rand_like(values) + 0.5 if "running_var" in name else torch.randn_like(values)
        for name, values in net.state_dict().items()
        if values.is_floating_point()
    }
    net.load_state_dict(state, strict=False)
    frames = torch.randn(1, 1, 16, 8, 12, dtype=torch.float64)
    expected = by_hand.forward(frames[0].numpy(), {k: v.numpy() for k, v in state.items()})
    with torch.no_grad():
        for found, own in zip(net(frames), expected, strict=True):
            assert np.abs(own).max() > 1
            np.testing.assert_allclose(found[0], own, rtol=0, atol=1e-11 * np.abs(own).max())


def test_folded_norms_change_nothing_and_leave_the_network_alone() -> None:
    arrays = oracle("model")
    net = tiny_network(arrays)
    before = {name: values.clone() for name, values in net.state_dict().items()}
    inference = folded(net)
    with torch.no_grad():
        out, static, dynamic = inference(torch.from_numpy(arrays["input"]))
    np.testing.assert_allclose(out, arrays["output"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(static, arrays["static"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(dynamic, arrays["dynamic"], rtol=0, atol=1e-12)
    assert not any(isinstance(layer, nn.BatchNorm3d) for layer in inference.modules())
    assert all(torch.equal(values, before[name]) for name, values in net.state_dict().items())


@pytest.mark.parametrize(
    ("channels", "paths", "count"),
    [
        (3, "both", 7_740_491),
        (1, "both", 7_732_497),
        (3, "static", 5_764_803),
        (1, "static", 5_757_889),
    ],
)
def test_parameters_are_as_many_as_printed(channels: int, paths: str, count: int) -> None:
    net = on_meta(channels, paths=paths)
    assert sum(weights.numel() for weights in net.parameters()) == count


@pytest.mark.parametrize(("channels", "size"), [(3, (256, 256)), (1, (240, 360))])
def test_shapes_are_those_of_table_1(channels: int, size: tuple[int, int]) -> None:
    net, found = on_meta(channels), {}
    for name, layer in net.named_modules():
        if name in TABLE_1:
            layer.register_forward_hook(
                lambda _, inputs, output, name=name: found.update({name: tuple(output.shape[1:])})
            )
    out, static, dynamic = net(torch.empty(1, channels, 16, *size, device="meta"))
    expected = {
        name: (channels if name.endswith("deconv4") else count, frames, *(s // by for s in size))
        for name, (count, frames, by) in TABLE_1.items()
    }
    assert found == expected
    assert out.shape == (1, channels, 16, *size)
    assert static.shape == (1, 256, 4, size[0] // 4, size[1] // 4)
    assert dynamic.shape == (1, 32, 16, size[0] // 4, size[1] // 4)


@pytest.mark.parametrize("paths", ["both", "static"])
@pytest.mark.parametrize("lateral", [(), ("conv1",), ("conv1", "conv2", "conv3")])
@pytest.mark.parametrize(("width", "tau"), [(1.0, 4), (0.25, 2), (0.1, 1)])
def test_multiply_adds_are_those_of_the_layers_that_run(
    paths: str, lateral: tuple[str, ...], width: float, tau: int
) -> None:
    net, size = on_meta(3, width, paths, lateral, 8, tau), (16, 24)
    shape = (1, 3, 8, *size)
    for run, decoder in (("forward", True), ("encode", False)):
        closed = multiply_adds(3, size, width, paths, lateral, 8, tau, decoder)
        assert closed == products(on_meta(3, width, paths, lateral, 8, tau), run, shape)
    assert net(torch.empty(shape, device="meta"))[0].shape == shape


def test_multiply_adds_of_the_paper_s_networks() -> None:
    assert multiply_adds(1, (240, 360)) == 224_248_780_800
    assert multiply_adds(3, (256, 256)) == 175_929_032_704


def test_widths_are_multiples_of_four() -> None:
    assert Widths().scaled(1.0) == Widths()
    assert Widths().scaled(0.25) == Widths((24, 32, 64, 64), (4, 4, 8, 8))
    assert Widths().scaled(0.001) == Widths((4, 4, 4, 4), (4, 4, 4, 4))


@pytest.mark.parametrize(("frame", "seen"), [(0, True), (4, True), (5, False), (7, False)])
def test_the_static_path_sees_the_first_of_every_four_frames(frame: int, seen: bool) -> None:
    torch.manual_seed(0)
    net = ITAE(1, 0.01, paths="static", clip=8).eval()
    frames = torch.randn(1, 1, 8, 8, 12)
    other = frames.clone()
    other[:, :, frame] += 1
    with torch.no_grad():
        same = torch.equal(net.encode(frames)[0], net.encode(other)[0])
    assert same is not seen


def test_the_dynamic_path_reaches_the_static_one_through_lateral_connections_alone() -> None:
    torch.manual_seed(0)
    frames = torch.randn(1, 1, 16, 8, 12)
    other = frames.clone()
    other[:, :, 5] += 1  # no frame of the static path
    alike = {}
    for lateral in ((), ("conv3",)):
        net = ITAE(1, 0.01, lateral=lateral).eval()
        with torch.no_grad():
            alike[lateral] = torch.equal(net.encode(frames)[0], net.encode(other)[0])
    assert alike == {(): True, ("conv3",): False}


def test_one_path_has_no_dynamic_latents() -> None:
    net = ITAE(1, 0.01, paths="static")
    assert net(torch.zeros(2, 1, 16, 8, 12))[2] is None
    assert not net.lateral
    assert not net.dynamic


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(4, 6, 8), (2, 2, 4), (3, 6, 8), (4, 6, 6)])
def test_the_last_layer_is_torch_s_transposed_convolution(
    channels: int, shape: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    mine = LastDeconv(5, channels, 3, 1, 1).double()
    torch_s = nn.ConvTranspose3d(5, channels, 3, 1, 1).double()
    torch_s.load_state_dict(mine.state_dict())
    maps, gradient = torch.randn(2, 5, *shape).double(), torch.randn(2, channels, *shape).double()
    found = []
    for layer in (mine, torch_s):
        leaf = maps.clone().requires_grad_()
        out = layer(leaf)
        found.append((out, *torch.autograd.grad(out, (leaf, layer.weight, layer.bias), gradient)))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_the_layout_of_the_frames_changes_nothing_but_rounding() -> None:
    net, arrays = tiny_network(oracle("model")), oracle("model")
    frames = torch.from_numpy(arrays["input"]).permute(0, 2, 3, 4, 1).contiguous()
    with torch.no_grad():
        out = net(frames.permute(0, 4, 1, 2, 3))[0]
    np.testing.assert_allclose(out, arrays["output"], rtol=0, atol=1e-12)
