"""torchvision's Mask R-CNN, Faster R-CNN and RAFT of the full architecture, randomly initialised,
saved to disk and run by our code.

CI has no torchvision: run with a Python that has it, `python -m pytest tests/vision`.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torchvision", reason="needs torchvision: pip install 'vadbench[vision]'")
import torch
from safetensors.torch import save_file
from torchvision.models import detection, optical_flow

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from shown import footage

from vadbench.errors import BadInput
from vadbench.features.boxes.detector import DetectorBoxes, DetectorOptions
from vadbench.features.boxes.torchvision import TorchvisionBoxes
from vadbench.features.extractors import raft
from vadbench.features.extractors.raft import Raft


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights as a user has them: Mask R-CNN and RAFT as torch files, Faster R-CNN as
    safetensors.
    """
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    mask = detection.maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None)
    torch.save(mask.state_dict(), folder / "maskrcnn_resnet50_fpn_v2.pth")
    faster = detection.fasterrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None)
    save_file(
        {name: tensor.contiguous() for name, tensor in faster.state_dict().items()},
        folder / "fasterrcnn_resnet50_fpn_v2.safetensors",
    )
    torch.save(optical_flow.raft_large(weights=None).state_dict(), folder / "raft_large.pth")
    return folder


@pytest.fixture(autouse=True)
def weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VADBENCH_WEIGHTS", str(folder))
    return folder


def clip(frames: int = 2, height: int = 90, width: int = 140) -> np.ndarray:
    """[T, H, W, 3] noise."""
    return np.random.default_rng(0).integers(0, 255, (frames, height, width, 3)).astype(np.uint8)


@pytest.mark.slow
def test_mask_rcnn_from_disk_says_what_torchvision_says_of_rgb_between_0_and_1(
    folder: Path,
) -> None:
    frame, path = clip(1)[0], folder / "maskrcnn_resnet50_fpn_v2.pth"
    net = detection.maskrcnn_resnet50_fpn_v2(
        weights=None, weights_backbone=None, box_score_thresh=0.1
    )
    net.load_state_dict(torch.load(path, weights_only=True))
    with torch.inference_mode():
        theirs = net.eval()([torch.from_numpy(frame).permute(2, 0, 1) / 255])[0]

    ours = TorchvisionBoxes("maskrcnn", path, 0.1)(frame)

    assert len(theirs["masks"])  # random weights find something; ours leaves its mask out
    np.testing.assert_allclose(ours.boxes, theirs["boxes"], atol=1e-3)
    np.testing.assert_allclose(ours.scores, theirs["scores"], atol=1e-5)
    np.testing.assert_array_equal(ours.person, theirs["labels"] == 1)


@pytest.mark.slow
def test_the_provider_gives_boxes_in_the_frame_with_weights_from_safetensors() -> None:
    (boxes,) = (
        DetectorBoxes(DetectorOptions(score=0.1, min_area=0, gradient=False), None, "fasterrcnn")
        .objects(footage(clip(1)))
        .boxes
    )

    assert len(boxes)
    assert boxes.dtype == np.float32
    assert ((boxes[:, :2] >= 0) & (boxes[:, 2:] <= (140, 90)) & (boxes[:, :2] < boxes[:, 2:])).all()


def test_the_weights_of_another_network_are_refused_in_one_line(folder: Path) -> None:
    with pytest.raises(
        BadInput,
        match=r"raft_large\.pth: not the weights of torchvision's maskrcnn_resnet50_fpn_v2",
    ) as error:
        TorchvisionBoxes("maskrcnn", folder / "raft_large.pth", 0.5)
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def flow(folder: Path) -> Raft:
    return Raft(folder / "raft_large.pth", updates=2)


@pytest.mark.parametrize(("height", "width"), [(128, 136), (131, 150), (60, 90), (130, 40)])
def test_raft_takes_frames_of_any_size(flow: Raft, height: int, width: int) -> None:
    previous, current = clip(2, height, width)[..., 0]

    found = flow(previous, current)

    assert found.shape == (height, width, 2)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_raft_is_torchvisions_on_frames_that_need_no_padding(flow: Raft) -> None:
    pair = clip(2, 128, 160)[..., 0]
    pictures = torch.from_numpy(pair).float()[:, None].expand(-1, 3, -1, -1) / 127.5 - 1

    with torch.inference_mode():
        theirs = flow.net(pictures[:1], pictures[1:], num_flow_updates=2)[-1][0].permute(1, 2, 0)

    np.testing.assert_allclose(flow(*pair), theirs, atol=1e-4)


def test_raft_gives_the_same_from_several_threads_at_once(flow: Raft) -> None:
    frames = clip(4, 128, 128)[..., 0]
    alone = [flow(frames[t - 1], frames[t]) for t in range(1, 4)]

    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(lambda t: flow(frames[t - 1], frames[t]), range(1, 4)))

    for one, other in zip(alone, at_once, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    assert not np.allclose(alone[0], alone[1])


def test_raft_is_loaded_once_a_process() -> None:
    assert raft.load_once() is raft.load_once()
    assert raft.file().path.name == "raft_large.pth"
