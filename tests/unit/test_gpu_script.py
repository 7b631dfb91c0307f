"""benchmarks/speed/gpu.py runs from a folder of sources, on the processor where asked to."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "speed" / "gpu.py"
HIDDEN = ("psutil", "typer", "pyarrow", "av", "cv2", "platformdirs", "filelock")


def run(tmp_path, *arguments, path=(ROOT, ROOT / "methods")):
    """In another folder, with the sources alone: no entry point is there."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    environment |= {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


def hide(folder):
    """A folder for the path in which packages that the script does without are not installed."""
    folder.mkdir()
    for name in HIDDEN:
        (folder / f"{name}.py").write_text("raise ModuleNotFoundError(__name__)\n")
    return folder


def test_it_begins_with_what_it_names_alone(tmp_path):
    done = run(tmp_path, "--help", path=(hide(tmp_path / "none"), ROOT, ROOT / "methods"))
    assert done.returncode == 0, done.stderr
    assert "--small" in done.stdout


@pytest.mark.slow
def test_all_parts_run_on_the_processor(tmp_path):
    sources = hide(tmp_path / "none"), ROOT, ROOT / "methods"
    done = run(tmp_path, "--cpu", "--small", "--out", "found.json", path=sources)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    parts = found["parts"]
    assert set(parts) == set(found["seconds"])
    assert len(parts) == 6
    assert not [row for rows in parts.values() for row in rows if "failed" in row]
    assert all("tf32 is of NVIDIA GPUs" in row["not"] for row in parts["steps"][1:2])
    assert {row["what"] for row in parts["methods"]} == {"mulde", "msma", "diffusion", "flow"}
    assert all(row["cpu_difference"] == 0 for row in parts["methods"] if "not" not in row)
    assert all(row["same_bits"] for row in (*parts["rows"], *parts["neighbours"]))
    assert all(row["cpu_difference"] < 1e-10 for row in parts["mixtures"])


@pytest.mark.slow
def test_one_part_runs_quickly(tmp_path):
    done = run(tmp_path, "--cpu", "--small", "--parts", "mixtures", "neighbours")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(json.loads((tmp_path / "gpu.json").read_text())["parts"]) == {
        "mixtures",
        "neighbours",
    }


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_ends_in_one_line(tmp_path):
    done = run(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")  # `make bench` goes on
    assert done.stdout == "gpu.py: torch sees no GPU; --cpu --small shows whether it runs\n"
    assert not list(tmp_path.iterdir())


def test_without_its_packages_it_says_which_in_one_line(tmp_path):
    hidden = tmp_path / "site"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'pydantic' else find(name, *a)\n"
    )
    done = run(tmp_path, "--cpu", path=(hidden, ROOT, ROOT / "methods"))
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith("gpu.py: is lacking: pydantic (pip install --target site ")
