"""vadbench doctor tells what is here, and changes nothing."""

import os

import pytest
from typer.testing import CliRunner

from vadbench.cli import app
from vadbench.cli.doctor import _tell_work
from vadbench.registry import names


@pytest.fixture
def doctor(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VADBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def call(*arguments, code=0):
        done = CliRunner().invoke(app, ["doctor", *arguments])
        assert done.exit_code == code, done.output
        return done.output

    return call


def test_every_data_set_device_folder_and_extra_has_a_line(doctor, tmp_path):
    lines = doctor().splitlines()
    first = {line.split()[0] for line in lines if line}
    assert set(names("datasets")) <= first
    assert {"cpu", "networks", "data", "cache", "weights", "results", "plot", "wandb"} <= first
    assert {"all", "dev"}.isdisjoint(first)
    assert [line for line in lines if line.startswith("ped2")] == [
        "ped2           no (vadbench data check ped2)"
    ]
    assert not list(tmp_path.iterdir())


def test_videos_that_are_here_are_counted_without_being_decoded(doctor, tmp_path):
    folder = tmp_path / "data/Avenue Dataset/training_videos"
    folder.mkdir(parents=True)
    (folder / "01.avi").write_bytes(b"no video")
    (line,) = (line for line in doctor().splitlines() if line.startswith("avenue"))
    assert line.endswith("1 train, 0 test videos")


def test_what_would_run_where_is_told():
    assert [name for name, _ in _tell_work("cpu", 0)] == ["networks", "others"]
    assert dict(_tell_work("mps", 0))["networks"].endswith("on mps")
    one, several = dict(_tell_work("cuda", 1)), dict(_tell_work("cuda", 3))
    assert one["networks"].endswith("on cuda:0")
    assert "jobs" not in one
    assert several["jobs"] == "all on cuda:0; vadbench run --devices 0,1,2: one on each"


def test_what_hides_devices_is_told(doctor, monkeypatch):
    assert "CUDA_VISIBLE_DEVICES" not in doctor()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,\x1b[31m5")
    (line,) = (line for line in doctor().splitlines() if line.startswith("visible"))
    assert "CUDA_VISIBLE_DEVICES=4," in line
    assert "\x1b" not in line


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda place: place.symlink_to("nowhere/at/all"), "No such file or directory"),
        (lambda place: place.touch(0o755), "Not a directory"),
    ],
)
def test_what_lies_in_the_place_of_the_results_is_told(doctor, tmp_path, make, reason):
    make(tmp_path / "results")
    said = doctor("--check", code=1)
    (line,) = (line for line in said.splitlines() if line.startswith("results"))
    assert f"not there yet, not writable ({reason})" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(doctor, tmp_path):
    (tmp_path / "cache").mkdir(mode=0o500)
    assert "not writable" in doctor()
    doctor("--check", code=1)
