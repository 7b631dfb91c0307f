"""torchvision's networks with weights from disk: Mask R-CNN and Faster R-CNN (ResNet-50 FPN V2) as
detectors.

Sources: He et al., Mask R-CNN (ICCV 2017); Li et al., Benchmarking Detection Transfer Learning with
Vision Transformers (2021) for V2.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vadbench.features.boxes.detections import Detections
from vadbench.features.weights import (
    VISION_EXTRA,
    fill,
    load_package,
    load_state,
    torch_device,
    torchvision_file,
)

if TYPE_CHECKING:
    from vadbench.features.boxes.provider import NeededFile

PERSON = 1  # COCO's first class; 0 is the background
MODELS = {  # label -> function of torchvision.models.detection, released weights (COCO_V1)
    "maskrcnn": ("maskrcnn_resnet50_fpn_v2", "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth"),
    "fasterrcnn": ("fasterrcnn_resnet50_fpn_v2", "fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth"),
}


class TorchvisionBoxes:
    """Detects objects in one RGB frame [H, W, 3] after another, on a GPU where there is one; masks
    are not computed.

    Args:
        label: a key of `MODELS`.
        path: the weights.
        score: least confidence of a detection.

    Raises:
        BadInput: if torchvision is not installed, or the weights are of another network.
    """

    def __init__(self, label: str, path: Path, score: float) -> None:
        detection = load_package("torchvision.models.detection", VISION_EXTRA)
        architecture = MODELS[label][0]
        net: Any = getattr(detection, architecture)(
            weights=None, weights_backbone=None, box_score_thresh=score
        )
        self.net = fill(net, load_state(path), path, f"torchvision's {architecture}")
        if label == "maskrcnn":
            self.net.roi_heads.mask_roi_pool = None  # boxes alone are asked for
        self.device = torch_device()

    def __call__(self, frame: NDArray[np.uint8]) -> Detections:
        """The network's detections, in pixels of the frame."""
        import torch

        picture = (
            torch.from_numpy(np.ascontiguousarray(frame)).to(self.device).permute(2, 0, 1).float()
            / 255
        )
        with torch.inference_mode():
            found = {name: values.cpu().numpy() for name, values in self.net([picture])[0].items()}
        return Detections(found["boxes"], found["scores"], found["labels"] == PERSON)


def file(label: str) -> NeededFile:
    """The weights of a label."""
    architecture, released = MODELS[label]
    return torchvision_file(architecture, f"torchvision's {architecture} COCO_V1", released)
