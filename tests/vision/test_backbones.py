"""CLIP, timm, Hiera and R3D of the real architectures, small and randomly initialised, saved to
disk and run by our code.

CI has no torchvision: run with a Python that has it, `make test-vision`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torchvision", reason="needs torchvision: pip install 'vadbench[vision]'")
pytest.importorskip("timm", reason="needs timm: pip install 'vadbench[vision]'")
pytest.importorskip("open_clip", reason="needs open_clip: pip install 'vadbench[vision]'")
pytest.importorskip("hiera", reason="needs hiera: pip install 'vadbench[vision]'")
import hiera
import open_clip
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models.video import R3D_18_Weights, r3d_18

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from shown import footage

from vadbench.errors import BadInput
from vadbench.features.boxes.provider import Objects
from vadbench.features.extractors import backbones
from vadbench.features.extractors.clip import Clip, ClipOptions
from vadbench.features.extractors.deep import Deep, DeepOptions

pytestmark = pytest.mark.vision


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of weights; nothing may be fetched."""
    monkeypatch.setenv("VADBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    torch.manual_seed(0)
    return tmp_path


def pictures(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)


def save(model: torch.nn.Module, path: Path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)


@pytest.fixture
def clip_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.nn.Module]:
    """OpenAI's CLIP in small."""
    vision = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16, "head_width": 16}
    text = {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}
    (tmp_path / "tiny-clip.json").write_text(
        json.dumps({"embed_dim": 24, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text})
    )
    open_clip.add_model_config(tmp_path / "tiny-clip.json")
    monkeypatch.setattr(backbones, "CLIP_MODEL", "tiny-clip")
    yield open_clip.create_model("tiny-clip", pretrained=None).eval()
    open_clip.factory._MODEL_CONFIG_PATHS.pop()


def test_clip_gives_what_open_clip_gives_with_its_own_preprocessing(
    clip_model: torch.nn.Module,
) -> None:
    save(clip_model, backbones.clip_file().path)
    shown = pictures(3, 32, 32)
    preprocess = open_clip.image_transform(32, is_train=False)

    found = backbones.clip_vit_b16(backbones.clip_file().path)(shown)

    with torch.no_grad():
        expected = clip_model.encode_image(
            torch.stack([preprocess(Image.fromarray(picture)) for picture in shown])
        )
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)
    assert found.shape == (3, 24)


def test_the_stream_of_clip_has_a_row_an_object(clip_model: torch.nn.Module) -> None:
    save(clip_model, backbones.clip_file().path)
    deep = Deep("clip-vit-b16", DeepOptions())
    boxes = [
        np.float32([[0, 0, 9, 20], [5, 5, 30, 30]]),
        np.zeros((0, 4), np.float32),
        np.float32([[1, 2, 30, 9]]),
    ]

    found = deep.extract(
        footage(np.random.default_rng(0).integers(0, 256, (3, 40, 60), np.uint8)),
        Objects(boxes),
        lambda frames: None,
    )

    assert found.x.shape == (3, 24) == (3, len(deep.columns()))
    assert np.isfinite(found.x).all()
    assert not np.allclose(found.x[0], found.x[1])


def test_a_file_of_another_clip_is_refused(clip_model: torch.nn.Module) -> None:
    save(torch.nn.Linear(2, 2), backbones.clip_file().path)
    with pytest.raises(BadInput, match="not the weights of open_clip tiny-clip: lacks"):
        backbones.clip_vit_b16(backbones.clip_file().path)


@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "test_resnet"])
def test_timm_gives_what_timm_gives_with_its_own_preprocessing(name: str, weights: Path) -> None:
    model = timm.create_model(name).eval()  # with its classifier, as published files have it
    save(model, weights / f"{name}.safetensors")
    config = timm.data.resolve_model_data_config(model)
    size = config["input_size"][-1]
    shown = pictures(2, size, size)
    preprocess = timm.data.create_transform(**{**config, "crop_pct": 1.0}, is_training=False)

    deep = Deep("timm", DeepOptions(model=name))
    found = deep.backbone(shown)

    with torch.no_grad():
        seen = torch.stack([preprocess(Image.fromarray(picture)) for picture in shown])
        expected = model.forward_head(model.forward_features(seen), pre_logits=True)
    assert deep.files()[0].path == weights / f"{name}.safetensors"
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_an_unknown_timm_model_is_refused_with_near_ones() -> None:
    with pytest.raises(BadInput, match=r"timm has no 'resnet51'.*resnet"):
        backbones.timm_backbone("resnet51", Path("none"))


@pytest.fixture
def hiera_model(monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """Hiera for video in small; as published, a torch file of `model_state` with the head."""

    def tiny(**options: Any) -> torch.nn.Module:
        return hiera.hiera_base_16x224(embed_dim=8, num_heads=1, stages=(1, 1, 1, 1), **options)

    model = tiny().eval()
    torch.save({"model_state": model.state_dict(), "epoch": 1}, backbones.hiera_file().path)
    monkeypatch.setattr(hiera, "hiera_large_16x224", tiny)
    return model


def test_hiera_gives_its_pooled_features_without_the_head(hiera_model: torch.nn.Module) -> None:
    shown = pictures(2, 16, 224, 224)
    found = backbones.hiera_large(backbones.hiera_file().path)(shown)

    seen: list[torch.Tensor] = []
    hiera_model.head.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        hiera_model(((torch.from_numpy(shown).float() / 255 - 0.45) / 0.225).permute(0, 4, 1, 2, 3))
    assert found.shape == (2, 64)  # 8 x 2^3
    np.testing.assert_allclose(found, seen[0].numpy(), atol=1e-4)


def test_the_stream_of_hiera_has_a_row_a_centre_frame(hiera_model: torch.nn.Module) -> None:
    clip = Clip("hiera-l", ClipOptions(stride=3, sampling=4))
    told: list[int] = []
    frames = np.random.default_rng(0).integers(0, 256, (14, 30, 40), np.uint8)

    found = clip.extract(footage(frames), Objects([]), told.append)

    assert found.x.shape == (5, 64) == (5, len(clip.columns()))
    assert found.of.tolist() == [0, 3, 6, 9, 12]
    assert sum(told) == 14


def test_hieras_masked_autoencoder_is_refused_for_it_has_no_pooled_features(
    hiera_model: torch.nn.Module,
) -> None:
    state = hiera_model.state_dict()
    for name in ("norm.weight", "norm.bias"):
        state[f"encoder_{name}"] = state.pop(name)
    torch.save({"model_state": state}, backbones.hiera_file().path)
    with pytest.raises(
        BadInput, match=r"hiera_large_16x224.pth: not the weights of .*: lacks norm"
    ):
        backbones.hiera_large(backbones.hiera_file().path)


def test_r3d_gives_what_torchvision_gives_with_its_own_preprocessing() -> None:
    model = r3d_18(weights=None).eval()
    torch.save(model.state_dict(), backbones.r3d_file().path)
    shown = pictures(2, 16, 112, 112)

    found = backbones.r3d_18(backbones.r3d_file().path)(shown)

    preset = R3D_18_Weights.KINETICS400_V1.transforms(resize_size=(112, 112))
    model.fc = torch.nn.Identity()
    with torch.no_grad():
        expected = model(preset(torch.from_numpy(shown).permute(0, 1, 4, 2, 3)))
    assert found.shape == (2, 512)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-3)


@pytest.mark.slow
def test_full_size_models_have_the_published_dimensions() -> None:
    assert hiera.hiera_large_16x224(pretrained=False).norm.normalized_shape == (1152,)
    image = open_clip.create_model(backbones.CLIP_MODEL, pretrained=None).visual
    assert image.image_size == (224, 224)
    assert image.output_dim == 512
