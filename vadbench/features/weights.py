"""Weights on this machine: where they lie, how they are read safely, and sessions that run ONNX
files.

Nothing is downloaded: a missing file is told in one line with the model, the file and where to get
it.
"""

from __future__ import annotations

import importlib
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vadbench.errors import BadInput
from vadbench.features.boxes.provider import NeededFile
from vadbench.locations import weights_root
from vadbench.threads import count_cores

if TYPE_CHECKING:
    import onnxruntime
    import torch

VISION_EXTRA = "vision"  # the extra that brings torchvision, timm, open_clip and hiera
Model = TypeVar("Model", bound="torch.nn.Module")
# where training scripts put the weights among other things
NESTED = ("state_dict", "model_state", "model", "state_dict_ema")
_FOLDER = 0x10  # an attribute of a member of a zip file
LARGEST = 8192  # pixels of a side that a model takes
PREFIXES = ("module.", "_orig_mod.")  # left in the names by DataParallel and torch.compile


def weights_file(file_name: str, model: str, where: str, sha256: str = "") -> NeededFile:
    """The file of a model's weights.

    Args:
        file_name: below `weights_root()`, or a path of its own (absolute, or starting with ~).
        model: the model's id, for the message.
        where: where to get the file, in a few words.
        sha256: the known digest, or as much of its beginning as is known; for the message, not
            enforced.
    """
    digest = f", sha256 {sha256}{'…' if len(sha256) < 64 else ''}" if sha256 else ""
    path = weights_root() / Path(file_name).expanduser()
    return NeededFile(
        path,
        f"no such file: the weights of {model}{digest}; get it from {where}, put it there or name"
        " its folder in $VADBENCH_WEIGHTS",
    )


def torchvision_file(stem: str, model: str, released: str) -> NeededFile:
    """A file that torchvision released: `<stem>.safetensors` where it lies in the weights folder,
    else `<stem>.pth`, which is the release renamed.

    Args:
        stem: the file's name without its end.
        model: the model's id, for the message.
        released: the name torchvision gives the file, with the beginning of its sha256.
    """
    end = "safetensors" if (weights_root() / f"{stem}.safetensors").is_file() else "pth"
    sha256 = released.rpartition("-")[2].removesuffix(".pth")
    return weights_file(
        f"{stem}.{end}", model, f"https://download.pytorch.org/models/{released}", sha256
    )


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """A model's tensors by name, on the CPU, from .safetensors (preferred) or a .pt/.pth/.bin file
    of tensors; nothing in the file is executed.

    Raises:
        BadInput: if the file is missing, damaged, or holds more than tensors.
    """
    import torch
    from safetensors.torch import load_file

    expected = (
        "expected a .safetensors file, or a .pt/.pth state dict that torch.load(weights_only=True)"
        " admits"
    )
    if not path.is_file():
        raise BadInput(f"{path}: no such file; {expected}")
    require_utf8(path)
    try:
        found: Any = (
            load_file(path) if path.suffix == ".safetensors" else _load_checked(torch, path)
        )
    # torch raises what the archive's reader or the restricted unpickler raises: a dozen types
    except Exception as error:
        raise BadInput(
            f"{path}: not readable as weights ({_first_line(error)}); {expected}"
        ) from error
    for key in NESTED:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if (
        not isinstance(found, dict)
        or not found
        or not all(isinstance(value, torch.Tensor) for value in found.values())
    ):
        raise BadInput(
            f"{path}: holds {type(found).__name__} without a table of tensors; {expected}"
        )
    return {_bare(name): tensor for name, tensor in found.items()}


def _load_checked(torch: Any, path: Path) -> Any:
    """What torch reads of a .pt file, whose checksums it does not look at."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            # torch leaves unread, and its memory as it was, what is marked as a folder
            folders = (one.filename for one in archive.infolist() if one.external_attr & _FOLDER)
            if damaged := archive.testzip() or next(folders, None):
                raise ValueError(f"{damaged} is not what was written")
    with warnings.catch_warnings(action="ignore"):  # of damage that is told in our line
        return torch.load(path, map_location="cpu", weights_only=True)


def fill(model: Model, state: dict[str, torch.Tensor], path: Path, what: str) -> Model:
    """The model with these weights, on the GPU where there is one, for inference.

    Args:
        model: of the same architecture.
        state: its tensors, as `load_state` gives them.
        path: the file, for the message.
        what: the model's id, for the message.

    Raises:
        BadInput: if the tensors are another architecture's, naming the first that does not fit.
    """
    own = model.state_dict()
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    other = sorted(
        name for name in own.keys() & state.keys() if own[name].shape != state[name].shape
    )
    if missing or extra or other:
        name = (missing or other or extra)[0]
        fault = (
            f"lacks {name}"
            if missing
            else f"{name} is {list(state[name].shape)}"
            if other
            else f"{name} is not part of it"
        )
        expected = f", expected {list(own[name].shape)}" if other and not missing else ""
        raise BadInput(
            f"{path}: not the weights of {what}: {fault}{expected}; fetch that model's file, or"
            " name the model that this file is of"
        )
    model.load_state_dict(state)
    return model.eval().requires_grad_(False).to(torch_device())


def onnx_session(path: Path) -> onnxruntime.InferenceSession:
    """A session on as many threads as this process has cores, on the GPU where onnxruntime has
    CUDA.

    Raises:
        BadInput: if the file is missing or no ONNX model.
    """
    onnxruntime: Any = load_package("onnxruntime", "deep")
    if not path.is_file():
        raise BadInput(f"{path}: no such file; expected an ONNX model")
    require_utf8(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = count_cores()
    options.inter_op_num_threads = 1
    # threads that wait leave their core to the one that decodes
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors alone: warnings on stderr would break the progress bar
    usable = onnxruntime.get_available_providers()
    providers = [
        name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in usable
    ]
    try:
        return onnxruntime.InferenceSession(path, options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no common base class
        raise BadInput(
            f"{path}: not an ONNX model that onnxruntime can run ({_first_line(error)}); export or"
            " fetch it again"
        ) from error


def run_onnx(
    session: onnxruntime.InferenceSession, path: Path, inputs: dict[str, NDArray[Any]]
) -> list[NDArray[Any]]:
    """What a model answers.

    Raises:
        BadInput: if it cannot be run.
    """
    try:
        return [np.asarray(found) for found in session.run(None, inputs)]
    except Exception as error:  # onnxruntime's errors have no common base class
        raise BadInput(
            f"{path}: cannot be run ({_first_line(error)}); export or fetch it again"
        ) from error


def check_sides(path: Path, sides: Iterable[Any]) -> None:
    """Refuse a model that takes pictures of an implausible size.

    Raises:
        BadInput: naming it.
    """
    sides = list(sides)
    if not all(isinstance(side, int) and 1 <= side <= LARGEST for side in sides):
        raise BadInput(
            f"{path}: takes pictures of {' x '.join(map(str, sides))}; expected sides of 1 to"
            f" {LARGEST} pixels, export or fetch it again"
        )


def require_utf8(path: Path) -> None:
    """Refuse a path that libraries outside Python do not open.

    Raises:
        BadInput: naming it.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise BadInput(
            f"{path}: a path with bytes that are not UTF-8, by which weights are not opened; rename"
            " it"
        ) from error


def torch_device() -> torch.device:
    """The GPU where torch has one, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_package(module: str, extra: str) -> Any:
    """An optional package, imported when it is needed.

    Raises:
        BadInput: if it cannot be imported, with the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    # timm beside a torch without torchvision: RuntimeError
    except (ImportError, RuntimeError, OSError) as error:
        raise BadInput(
            f"{module} cannot be imported ({_first_line(error)}); pip install 'vadbench[{extra}]'"
        ) from error


def _bare(name: str) -> str:
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:120]}" if lines else type(error).__name__
