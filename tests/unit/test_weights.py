"""Where weights lie and how they are read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import helper
from onnx_files import write
from safetensors.torch import save_file

from vadbench.errors import BadInput
from vadbench.features.weights import (
    fill,
    load_package,
    load_state,
    onnx_session,
    weights_file,
)
from vadbench.locations import weights_root
from vadbench.threads import count_cores


def two_tensors() -> dict[str, torch.Tensor]:
    return {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


def assert_read(path: Path) -> None:
    found = load_state(path)
    assert found.keys() == {"weight", "bias"}
    assert all(torch.equal(found[name], tensor) for name, tensor in two_tensors().items())


def test_the_environment_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VADBENCH_WEIGHTS", str(tmp_path))
    assert weights_root() == tmp_path


def test_without_it_weights_lie_in_the_platforms_data_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("VADBENCH_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert weights_root().name == "weights"
    assert "vadbench" in str(weights_root())


def test_a_needed_file_lies_among_the_weights_unless_it_has_a_path_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VADBENCH_WEIGHTS", str(tmp_path))
    assert weights_file("a.pth", "A", "there").path == tmp_path / "a.pth"
    assert weights_file("/elsewhere/a.pth", "A", "there").path == Path("/elsewhere/a.pth")


def test_a_missing_file_is_told_in_one_line_with_model_digest_and_source() -> None:
    told = weights_file("a.pth", "Model A", "https://a.org/a.pth", "0123abcd").what
    assert all(
        part in told for part in ("Model A", "https://a.org/a.pth", "0123abcd…", "VADBENCH_WEIGHTS")
    )
    assert "\n" not in told


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(two_tensors(), tmp_path / "a.safetensors")
    assert_read(tmp_path / "a.safetensors")


@pytest.mark.parametrize("wrap", [None, "state_dict", "model_state"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_state_dicts_are_read_however_training_wrapped_them(
    tmp_path: Path, wrap: str | None, prefix: str
) -> None:
    state = {prefix + name: tensor for name, tensor in two_tensors().items()}
    torch.save(state if wrap is None else {wrap: state, "epoch": 3}, tmp_path / "a.pth")
    assert_read(tmp_path / "a.pth")


class Attack:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_file_that_holds_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(1), "more": Attack(tmp_path / "made")}, tmp_path / "a.pth")
    with pytest.raises(BadInput, match=r"a\.pth: not readable as weights"):
        load_state(tmp_path / "a.pth")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_a_damaged_file_is_named_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no weights at all")
    with pytest.raises(BadInput, match=name) as told:
        load_state(tmp_path / name)
    assert "\n" not in str(told.value)


def test_a_missing_weights_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.pth: no such file"):
        load_state(tmp_path / "gone.pth")


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [torch.ones(1)]])
def test_a_file_without_a_table_of_tensors_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(BadInput, match="without a table of tensors"):
        load_state(tmp_path / "a.pth")


def test_fill_gives_a_model_for_inference_with_the_weights() -> None:
    model = fill(torch.nn.Linear(3, 2), two_tensors(), Path("a.pth"), "A")
    assert not model.training
    assert not model.weight.requires_grad
    assert torch.equal(model.weight.cpu(), two_tensors()["weight"])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"bias": None}, "lacks bias"),
        ({"bias": torch.ones(5)}, r"bias is \[5\], expected \[2\]"),
        ({"head": torch.ones(1)}, "head is not part of it"),
    ],
)
def test_weights_of_another_model_are_refused_by_the_tensor_that_does_not_fit(
    change: dict[str, torch.Tensor | None], fault: str
) -> None:
    state = {
        name: tensor for name, tensor in {**two_tensors(), **change}.items() if tensor is not None
    }
    with pytest.raises(BadInput, match=f"a.pth: not the weights of A: {fault}"):
        fill(torch.nn.Linear(3, 2), state, Path("a.pth"), "A")


def test_a_session_runs_an_onnx_file_on_the_cores_of_the_process(tmp_path: Path) -> None:
    write(
        tmp_path / "negative.onnx",
        ["b"],
        [helper.make_node("Neg", ["input"], ["output"])],
        {"output": ["b"]},
        {},
    )

    session = onnx_session(tmp_path / "negative.onnx")

    assert session.get_session_options().intra_op_num_threads == count_cores()
    assert np.array_equal(session.run(None, {"input": np.float32([1, 2])})[0], [-1, -2])


def test_a_file_that_is_no_onnx_model_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"no model at all")
    with pytest.raises(BadInput, match=r"a\.onnx: not an ONNX model") as told:
        onnx_session(tmp_path / "a.onnx")
    assert "\n" not in str(told.value)


def test_a_missing_onnx_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.onnx: no such file"):
        onnx_session(tmp_path / "gone.onnx")


def test_a_package_that_is_not_installed_is_told_with_its_extra() -> None:
    with pytest.raises(BadInput, match=r"no_such_package cannot be imported .*vadbench\[vision\]"):
        load_package("no_such_package", "vision")
