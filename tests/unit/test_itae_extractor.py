"""The extractor: its options, its training data, its rows."""

from __future__ import annotations

import math
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from shown import footage

from vadbench.errors import BadInput
from vadbench.features.boxes.provider import Objects
from vadbench.features.extractors.itae import reading
from vadbench.features.extractors.itae.clips import clip_starts, latent_places
from vadbench.features.extractors.itae.extractor import Itae
from vadbench.features.extractors.itae.options import ItaeOptions
from vadbench.features.extractors.itae.training import (
    ClipBatches,
    build,
    scale,
)
from vadbench.features.footage import Footage

NONE = Objects([])
SMALL: dict[str, Any] = {"size": (16, 24), "width": 0.05, "steps": 3}
TRAINING = (
    "batch",
    "clip",
    "colour",
    "epochs",
    "holdout",
    "lateral",
    "learning_rate",
    "losses",
    "paths",
    "size",
    "steps",
    "tau",
    "width",
)


@dataclass
class Mapped:
    frames: np.ndarray
    lengths: tuple[int, ...]


class Loop:
    """A session that keeps nothing."""

    quiet = True
    device = torch.device("cpu")

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.losses: list[float] = []
        self.rates: list[float] = []
        self.videos: list[str] = []

    def map_frames(self, videos: list[Footage], size: tuple[int, int], colour: bool) -> Mapped:
        shown = [
            reading.resize_frame(frame, size)
            for video in videos
            for frame in (video.rgb() if colour else video.grey())
        ]
        return Mapped(np.stack(shown), tuple(len(video) for video in videos))

    def fit(
        self,
        net: torch.nn.Module,
        batch: Callable[[int], torch.Tensor],
        loss: Callable[[torch.Tensor], torch.Tensor],
        *,
        steps: int,
        optimiser: Any,
        schedule: Any,
        items: int,
    ) -> None:
        net.train()
        for step in range(steps):
            self.rates.append(optimiser.param_groups[0]["lr"])
            found = loss(batch(step))
            self.losses.append(found.item())
            optimiser.zero_grad()
            found.backward()
            optimiser.step()
            schedule.step()


def noise(frames: int, *shape: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 256, (frames, *shape), np.uint8)
    return np.asarray(values)


def trained(variant: str = "pooled", **options: Any) -> Itae:
    """Extractor of a network trained for a moment on noise."""
    itae = Itae(variant, ItaeOptions(**SMALL | options))
    torch.manual_seed(0)
    shape = (20, 30, 3) if itae.options.colour else (20, 30)
    itae.train([footage(noise(24, *shape))], Loop())
    return itae


def other_variant(itae: Itae, variant: str, **reading_options: Any) -> Itae:
    """The same network read in another way."""
    options = itae.options.model_copy(update=reading_options)
    other = Itae(variant, options)
    other.restore(itae.arrays(), "cpu")
    return other


def rows(itae: Itae, clip: np.ndarray) -> np.ndarray:
    done: list[int] = []
    vectors = itae.extract(footage(clip), NONE, done.append)
    assert sum(done) == len(clip)
    np.testing.assert_array_equal(vectors.of, np.arange(len(clip)))
    assert vectors.x.dtype == np.float32
    assert vectors.x.shape == (len(clip), len(itae.columns()))
    return vectors.x


# the class


def test_the_entry_point_names_the_class() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    module, _, name = project["project"]["entry-points"]["vadbench.extractors"]["itae"].partition(
        ":"
    )
    assert (module, name) == (Itae.__module__, Itae.__name__)


def test_it_is_imported_without_torch() -> None:
    code = f"import sys, {Itae.__module__}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_plain_stream_is_pooled_and_frames_have_no_boxes() -> None:
    assert Itae.variants == ("pooled", "error", "static", "dynamic")
    assert Itae.learnt
    assert not Itae.needs_boxes
    nature = Itae("pooled", ItaeOptions()).nature()
    assert (nature.one_unit, nature.windows, nature.embedding) == (True, True, True)
    assert nature.network == "itae"
    assert not Itae("error", ItaeOptions()).nature().embedding
    assert Itae("static", ItaeOptions()).nature().maps


# options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": (66, 97)}, "nearest: 64 x 96 and 68 x 100"),
        ({"size": (2, 96)}, "multiples of 4; nearest: 4 x 96"),
        ({"size": (8, 96)}, "ms-ssim needs 12 pixels"),
        ({"clip": 18}, "clip 18 is no multiple of tau 4"),
        ({"tau": 3}, "1, 2 or 4"),
        ({"clip": 8, "stride": 9}, "stride 9 is larger than clip 8"),
        ({"losses": ()}, "at least 1"),
        ({"losses": ("l2", "l2")}, "each may stand once"),
        ({"losses": ("l1",)}, "'l2'"),
        ({"lateral": ("conv4",)}, "'conv1'"),
        ({"width": 0}, "greater than 0"),
        ({"width": math.inf}, "finite"),
        ({"learning_rate": math.nan}, "finite"),
        ({"steps": 0}, "greater than 0"),
        ({"epochs": 0}, "greater than 0"),
        ({"steps": None}, "neither steps nor epochs says how long"),
        ({"batch": 0}, "greater than 0"),
        ({"holdout": 1.0}, "less than 1"),
        ({"holdout": -0.1}, "greater than or equal to 0"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"stride": 0}, "greater than 0"),
        ({"patch": 0}, "greater than 0"),
        ({"patch": 1.5}, "less than or equal to 1"),
        ({"error": "cubed"}, "'absolute' or 'squared'"),
        ({"depth": 3}, "not permitted"),
    ],
)
def test_bad_options_are_refused_in_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ItaeOptions(**options)
    messages = [fault["msg"] for fault in refused.value.errors()]
    assert any(said in message for message in messages)
    assert all("\n" not in message for message in messages)


def test_a_small_frame_needs_no_structural_similarity() -> None:
    assert ItaeOptions(size=(4, 8), losses=("l2",)).cells == (1, 2)


def test_every_option_is_described_and_the_training_s_are_marked() -> None:
    fields = ItaeOptions.model_fields
    assert all(field.description for field in fields.values())
    marked = {
        name for name, field in fields.items() if field.json_schema_extra == {"role": "training"}
    }
    assert marked == {*TRAINING, "seed"}


def test_the_training_is_the_network_s_identity() -> None:
    base = Itae("error", ItaeOptions()).training()
    assert tuple(sorted(base)) == TRAINING
    for alike in ({"seed": 3}, {"stride": 2}, {"patch": 0.5}, {"error": "squared"}):
        assert Itae("static", ItaeOptions(**alike)).training() == base
    changed = {
        "size": (32, 96),
        "colour": True,
        "width": 0.5,
        "paths": "static",
        "lateral": (),
        "clip": 8,
        "tau": 2,
        "steps": 5,
        "epochs": 2,
        "learning_rate": 0.01,
        "batch": 3,
        "losses": ("l2",),
        "holdout": 0.5,
    }
    assert set(changed) == set(TRAINING)
    for name, value in changed.items():
        assert Itae("error", ItaeOptions(**{name: value})).training() != base


def test_what_changes_no_training_changes_no_identity() -> None:
    def training(**options: Any) -> dict[str, Any]:
        return Itae("error", ItaeOptions(**options)).training()

    assert training(epochs=2, steps=5) == training(epochs=2)
    assert training(paths="static", lateral=()) == training(paths="static")
    assert training(losses=("ms-ssim", "l2", "gradient")) == training()
    assert training(lateral=("conv2", "conv1")) == training(lateral=("conv1", "conv2"))


@pytest.mark.parametrize("variant", Itae.variants)
def test_a_variant_is_decided_by_the_options_that_it_reads(variant: str) -> None:
    found = Itae.resolve(ItaeOptions(stride=2, patch=0.5, error="squared"), variant, "none")
    expected = {"stride": 2}
    if variant == "error":
        expected |= {"patch": 0.5, "error": "squared"}
    assert found == expected


def test_one_path_has_no_dynamic_variant_and_half_a_pooled_one() -> None:
    options = ItaeOptions(paths="static")
    with pytest.raises(BadInput, match=r"itae\.dynamic: .*paths=static") as refused:
        Itae.resolve(options, "dynamic", "none")
    assert "\n" not in str(refused.value)
    columns = Itae("pooled", options).columns()
    assert len(columns) == 2 * 8 * 12
    assert all(name.startswith("static") for name in columns)


@pytest.mark.parametrize(
    ("dataset", "size", "colour", "rate", "batch"),
    [
        ("ped1", (240, 360), False, 1e-3, 2),
        ("ped2", (240, 360), False, 1e-3, 2),
        ("avenue", (256, 256), True, 1e-2, 2),
        ("shanghaitech", (256, 256), True, 1e-2, 8),
        ("ucf_crime", (256, 256), True, 1e-2, 8),
    ],
)
def test_the_paper_s_preset(
    dataset: str, size: tuple[int, int], colour: bool, rate: float, batch: int
) -> None:
    options = ItaeOptions(**Itae.preset("paper", dataset))
    assert (options.size, options.colour, options.width) == (size, colour, 1.0)
    assert (options.learning_rate, options.batch, options.epochs) == (rate, batch, 100)


def test_the_fast_preset_is_the_default() -> None:
    assert Itae.preset("fast", "ped2") == {}


# costs


def test_costs_are_those_of_the_convolutions() -> None:
    options = ItaeOptions(width=1, size=(240, 360), steps=10, batch=3)
    assert Itae("error", options).training_flops() == 6 * 224_248_780_800 * 3 * 10
    assert Itae("error", options).frame_flops() == 2 * 224_248_780_800 / 4
    fusion = 32 * 256 * 5 * 4 * 60 * 90
    decoder = 27 * 60 * 90 * (512 * 256 * 4 + 256 * 128 * 4 + 128 * 96 * 8 * 4 + 96 * 16 * 16)
    encoders = 224_248_780_800 - fusion - decoder
    assert Itae("static", options).frame_flops() == 2 * encoders / 4
    assert Itae("error", options).parameter_count() == 7_732_497


def test_epochs_cost_what_their_clips_do() -> None:
    one = Itae("error", ItaeOptions(steps=1)).training_flops()
    itae = Itae("error", ItaeOptions(epochs=3))
    assert itae.training_flops(clips=11) == 3 * 5 * one
    assert math.isnan(itae.training_flops())


# training


def batches(seed: int = 0, size: int = 2, colour: bool = False) -> ClipBatches:
    """Of three videos of 20, 9 and 18 frames: 5 + 1 + 3 clips; grey level = frame."""
    frames = np.arange(47, dtype=np.uint8).reshape(47, 1, 1).repeat(4, 1).repeat(4, 2)
    if colour:
        frames = np.stack([frames, frames + 50, frames + 100], axis=-1)
    return ClipBatches(frames, (20, 9, 18), 16, size, seed)


def test_a_batch_is_a_function_of_its_step() -> None:
    one, other = batches(), batches()
    forwards = [one(step) for step in range(12)]
    for step in (7, 0, 11, 3, 4, 7):
        assert torch.equal(other(step), forwards[step])
    assert any(not torch.equal(batches(seed=1)(step), forwards[step]) for step in range(4))
    assert any(not torch.equal(forwards[step], forwards[step + 4]) for step in range(4))


def test_an_epoch_has_every_clip_once() -> None:
    every = batches(size=1)
    assert every.per_epoch == 9
    found = sorted(tuple(every(step)[0, 0, :, 0, 0].tolist()) for step in range(9, 18))
    long = [tuple(range(first, first + 16)) for first in (0, 1, 2, 3, 4, 29, 30, 31)]
    short = (*range(20, 29), *[28] * 7)
    assert found == sorted([*long, short])


def test_a_batch_is_whole_and_of_one_layout() -> None:
    assert batches().per_epoch == 4
    grey, colour = batches()(0), batches(colour=True)(0)
    assert (grey.shape, grey.dtype) == ((2, 1, 16, 4, 4), torch.uint8)
    assert colour.shape == (2, 3, 16, 4, 4)
    assert torch.equal(colour[:, :1], grey)
    assert torch.equal(colour[:, 1], grey[:, 0] + 50)


def test_fewer_clips_than_a_batch_are_refused() -> None:
    with pytest.raises(BadInput, match=r"9 training clips of 16 frames, fewer than a batch of 10"):
        batches(size=10)


def test_training_is_repeatable_and_lowers_the_loss() -> None:
    ramp = np.arange(16 * 24, dtype=np.uint8).reshape(16, 24)
    clip = footage(np.stack([np.roll(ramp, t, 1) for t in range(20)]))
    found = []
    for _ in range(2):
        itae, loop = Itae("error", ItaeOptions(**SMALL | {"steps": 30})), Loop()
        torch.manual_seed(0)
        itae.train([clip], loop)
        found.append((itae.arrays(), loop))
    assert found[0][1].losses == found[1][1].losses
    for name, values in found[0][0].items():
        np.testing.assert_array_equal(values, found[1][0][name])
    losses = found[0][1].losses
    assert np.mean(losses[-3:]) < 0.5 * np.mean(losses[:3])


def test_the_learning_rate_falls_along_a_cosine_to_the_last_step() -> None:
    loop = Loop()
    itae = Itae("error", ItaeOptions(**SMALL | {"steps": 4}))
    itae.train([footage(noise(20, 16, 24))], loop)
    expected = [1e-3 * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
    assert loop.rates == pytest.approx(expected)


def test_epochs_are_passes_over_all_clips() -> None:
    loop = Loop()
    itae = Itae("error", ItaeOptions(**SMALL, epochs=2))
    itae.train([footage(noise(20, 16, 24))], loop)  # 5 clips, 2 batches
    assert len(loop.losses) == 4


# a network's arrays


def test_a_restored_network_gives_the_same_rows() -> None:
    itae, clip = trained(), noise(37, 20, 30)
    copy = other_variant(itae, "pooled")
    np.testing.assert_array_equal(rows(copy, clip), rows(itae, clip))
    for name, values in itae.arrays().items():
        np.testing.assert_array_equal(copy.arrays()[name], values)


def test_restoring_leaves_torch_s_generator_alone() -> None:
    itae = trained()
    torch.manual_seed(5)
    other_variant(itae, "error")
    found = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(found, torch.rand(1))


def test_weights_of_other_options_are_refused() -> None:
    arrays = trained().arrays()
    with pytest.raises(ValueError, match="other options"):
        Itae("error", ItaeOptions(**SMALL | {"width": 1.0})).restore(arrays, "cpu")
    arrays.pop("decoder.deconv4.bias")
    with pytest.raises(ValueError, match="deconv4"):
        Itae("error", ItaeOptions(**SMALL)).restore(arrays, "cpu")


def test_rows_need_a_network() -> None:
    with pytest.raises(RuntimeError, match="no network"):
        Itae("error", ItaeOptions()).extract(footage(noise(3, 4, 4)), NONE, print)


# rows


@pytest.mark.parametrize("frames", [1, 9, 16, 37])
@pytest.mark.parametrize("variant", Itae.variants)
def test_every_frame_has_a_finite_row(variant: str, frames: int) -> None:
    itae = other_variant(trained(), variant)
    assert np.isfinite(rows(itae, noise(frames, 20, 30))).all()
    assert len(set(itae.columns())) == len(itae.columns())


@pytest.mark.parametrize("options", [{}, {"colour": True}, {"tau": 2, "clip": 8}])
def test_errors_are_means_over_the_clips_of_each_clip_s_own(options: dict[str, Any]) -> None:
    itae = trained("error", **options, stride=3)
    size, clip = itae.options.size, itae.options.clip
    video = noise(21, *size, *((3,) if itae.options.colour else ()))
    net, side = build(itae.options).eval(), 1  # a fifteenth of 16
    net.load_state_dict(
        {name: torch.from_numpy(values) for name, values in itae.arrays().items()}, strict=False
    )
    said: list[list[float]] = [[] for _ in video]
    for start in clip_starts(21, clip, 3):
        frames = video[start : start + clip].reshape(clip, *size, -1)
        tensor = scale(torch.from_numpy(frames).permute(3, 0, 1, 2)[None])
        with torch.no_grad():
            out = net(tensor)[0]
        errors = ((tensor - out).abs() / 2).mean(1)[0]
        for k in range(clip):
            said[start + k].append(errors[k].unfold(0, side, 1).max().item())
    expected = [np.mean(values) for values in said]
    np.testing.assert_allclose(rows(itae, video)[:, 0], expected, rtol=1e-4)


@pytest.mark.parametrize("variant", ["static", "dynamic", "pooled"])
def test_latent_rows_are_read_off_the_clip_that_describes_the_frame(variant: str) -> None:
    itae = other_variant(trained(), variant, stride=5)
    video = noise(30, 16, 24)
    starts = clip_starts(30, 16, 5)
    found = rows(itae, video)
    for t, (number, place) in enumerate(zip(*latent_places(30, 16, 5), strict=True)):
        start = starts[number]
        alone = rows(itae, video[start : start + 16])  # the clip itself has one clip
        np.testing.assert_allclose(found[t], alone[place], rtol=1e-4, atol=1e-5)


def test_maps_have_the_shape_that_is_said() -> None:
    itae = trained(size=(16, 24))
    static, dynamic = (other_variant(itae, variant) for variant in ("static", "dynamic"))
    assert (static.shape(), dynamic.shape()) == ((3, 4, 6), (2, 4, 6))
    assert itae.shape() is None
    assert other_variant(itae, "error").shape() is None
    video = noise(20, 16, 24)
    found = rows(static, video).reshape(20, *static.shape())
    grey = video[8].astype(float).reshape(4, 4, 6, 4).mean((1, 3)) / 127.5 - 1
    place = int(latent_places(20, 16, 4)[1][8])
    assert place % 4 == 0  # frame 8 is an input of the static path
    np.testing.assert_allclose(found[8, 2], grey, atol=1e-5)
    assert (found[:, 0] >= found[:, 1]).all()  # the largest is no less than the mean
    names = np.reshape(static.columns(), static.shape())
    assert (names[0, 0, 0], names[2, 3, 5]) == ("static_max_0_0", "intensity_3_5")


@pytest.mark.parametrize("size", [(16, 24), (20, 28)])
def test_pooled_rows_are_means_of_two_by_two_cells(size: tuple[int, int]) -> None:
    pooled = trained(size=size)
    video = noise(20, *size)
    found = rows(pooled, video)
    height, width = size[0] // 4, size[1] // 4
    maps = np.concatenate(
        [
            rows(other_variant(pooled, variant), video).reshape(20, -1, height, width)[:, :2]
            for variant in ("static", "dynamic")
        ],
        axis=1,
    )
    expected = [
        maps[:, m, y : y + 2, x : x + 2].mean((1, 2))
        for m in range(4)
        for y in range(0, height, 2)
        for x in range(0, width, 2)
    ]
    np.testing.assert_allclose(found, np.stack(expected, 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", ["error", "pooled"])
def test_rows_do_not_depend_on_how_many_clips_are_read_at_a_time(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    itae, video = other_variant(trained(), variant), noise(41, 20, 30)
    expected = rows(itae, video)
    for batch in (1, 3, 20):
        monkeypatch.setattr(reading, "BATCH", batch)
        np.testing.assert_allclose(rows(itae, video), expected, rtol=1e-4, atol=1e-5)


def test_a_clip_s_rows_are_equal_to_the_bit_whatever_follows() -> None:
    itae, video = other_variant(trained(), "static", stride=16), noise(64, 20, 30)
    whole = rows(itae, video)
    np.testing.assert_array_equal(rows(itae, video[:16]), whole[:16])
    np.testing.assert_array_equal(rows(itae, video[:48]), whole[:48])


def test_few_clips_are_read_at_a_time_where_frames_are_large() -> None:
    assert reading.batch_size(ItaeOptions()) == 4
    assert reading.batch_size(ItaeOptions(width=1, size=(256, 256))) == 2


@pytest.mark.parametrize("variant", ["pooled", "static", "dynamic"])
def test_latents_run_no_decoder(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    itae = other_variant(trained(), variant)
    itae._reader.net.decoder.clear()
    assert len(rows(itae, noise(20, 20, 30))) == 20


def test_a_smaller_patch_and_squares_give_other_errors() -> None:
    itae, video = trained("error", size=(16, 24)), noise(20, 16, 24)
    absolute = rows(itae, video)
    wide = rows(other_variant(itae, "error", patch=1.0), video)
    squared = rows(other_variant(itae, "error", error="squared"), video)
    assert (wide < absolute).all()  # the mean of 16 x 16 pixels, the largest single one
    assert not np.allclose(squared, absolute)


def test_grey_footage_is_three_equal_colours() -> None:
    itae, grey = trained("error", colour=True), noise(17, 20, 30)
    np.testing.assert_array_equal(rows(itae, grey), rows(itae, np.stack([grey] * 3, -1)))


# pictures


@pytest.mark.parametrize("colour", [False, True])
def test_pictures_show_frame_reconstruction_and_worst_square(colour: bool) -> None:
    itae = trained("pooled", colour=colour, size=(16, 24))
    video = noise(19, 16, 24, *((3,) if colour else ()))
    pictures = list(itae.reconstruct(footage(video)))
    assert len(pictures) == 19
    for frame, picture in zip(video, pictures, strict=True):
        np.testing.assert_array_equal(picture.frame, frame)
        assert picture.reconstruction.shape == frame.shape
        assert picture.reconstruction.dtype == np.uint8
        assert picture.error.shape == (16, 24)
        row, column, side = picture.patch
        assert side == itae.options.side
        patch = picture.error[row : row + side, column : column + side]
        assert patch.mean() == pytest.approx(picture.error.max())  # squares of one pixel
    one = pictures[0]  # in one clip alone: its error is that of the reconstruction shown
    shown = abs(one.frame.astype(float) - one.reconstruction) / 255
    inside = (one.reconstruction > 0) & (one.reconstruction < 255)
    if colour:
        shown, inside = shown.mean(-1), inside.all(-1)
    assert inside.any()
    np.testing.assert_allclose(one.error[inside], shown[inside], atol=0.5 / 255 + 1e-6)


def test_colours_asked_of_grey_videos_are_refused() -> None:
    grey = footage(noise(17, 16, 24, seed=0))
    same = footage(np.repeat(noise(17, 16, 24, seed=0)[..., None], 3, 3))
    itae = Itae("error", ItaeOptions(**SMALL | {"colour": True}))
    with pytest.raises(BadInput, match=r"asks for colour, and its training videos are grey"):
        itae.train([grey, same], Loop())
