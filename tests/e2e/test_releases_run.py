"""From the files of NWPU Campus, MSAD, Street Scene and IITB-Corridor to a table, on miniatures in
the official layouts; only the counts are the miniatures'. And a part of a data set, under other
labels.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

UNIT = Path(__file__).resolve().parents[1] / "unit"
RUN = (
    *("run", "--methods", "gaussian", "--features", "velocity@grid", "--quiet"),
    *("--set", "grid.cell=60", "--set", "grid.noise=0"),
)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The writers of the miniatures."""
    monkeypatch.syspath_prepend(UNIT)
    import release_files

    return release_files


def micro(folder: Path) -> dict[str, Any]:
    """The only record: its labels, and what was measured."""
    (path,) = folder.glob("results/recipes/*/*/*/metrics.json")
    record: dict[str, Any] = json.loads(path.read_text())
    return record


@pytest.mark.parametrize(
    ("name", "writer", "counts"),
    [
        ("nwpu_campus", "write_nwpu", "NWPU"),
        pytest.param("msad", "write_msad", "SMALL_MSAD", marks=pytest.mark.slow),
        pytest.param("street_scene", "write_street", "STREET", marks=pytest.mark.slow),
        pytest.param("iitb_corridor", "write_iitb", "IITB", marks=pytest.mark.slow),
        pytest.param("xd_violence", "write_xd", "SMALL_XD", marks=pytest.mark.slow),
    ],
)
def test_a_miniature_goes_from_its_files_to_a_table(
    files: Any, shrunk: Any, tmp_path: Path, name: str, writer: str, counts: str
) -> None:
    release = getattr(files, writer)(tmp_path / "data")
    vadbench = shrunk(name, getattr(files, counts))
    lines = vadbench("data", "check", name).stdout.splitlines()
    assert all(line.startswith("ok  ") for line in lines)
    told = vadbench(*RUN, "--datasets", name).stdout
    flat = release.labels().flat()
    assert f"{name}: {len(release.videos('test'))} test videos, {len(flat)} frames" in told
    assert f"{flat.sum()} anomalous, labels `official`" in told
    labels = micro(tmp_path)["labels"]
    assert (labels["frames"], labels["anomalous"]) == (len(flat), flat.sum())
    assert (labels["tracks"] == "released") == (name == "street_scene")


@pytest.mark.slow
def test_a_part_says_so_everywhere(files: Any, shrunk: Any, tmp_path: Path) -> None:
    files.write_msad(tmp_path / "data")
    (tmp_path / "data/MSAD Dataset/MSAD_normal_training_blur/MSAD_normal_road1.avi").unlink()
    vadbench = shrunk("msad", files.SMALL_MSAD)
    refused = vadbench(*RUN, "--datasets", "msad", code=2).stderr
    assert "--videos here" in refused
    assert "folder" in refused
    checked = vadbench("data", "check", "msad", "--partial").stdout
    assert "train videos here: 1" in checked
    assert "BAD" not in checked
    told = vadbench(*RUN, "--datasets", "msad", "--videos", "here").stdout
    assert "msad[5 of 6 " in told
    assert "not comparable with the whole" in told
    record = micro(tmp_path)
    assert record["result"]["dataset"].startswith("msad[5 of 6 ")
    told = vadbench("evaluate", "--results", "results").stdout
    assert "1 recipes evaluated" in told


@pytest.mark.slow
def test_labels_say_so_everywhere(files: Any, shrunk: Any, tmp_path: Path) -> None:
    files.write_msad(tmp_path / "data")
    vadbench = shrunk("msad", files.SMALL_MSAD)
    told = vadbench(*RUN, "--datasets", "msad", "--labels", "hr-anomalies").stdout
    assert "labels `hr-anomalies` (" in told
    assert "14 frames dropped after smoothing whole videos" in told
    record = micro(tmp_path)
    assert record["result"]["protocol"]["labels"] == "hr-anomalies"
    assert (record["labels"]["videos"], record["labels"]["dropped"]) == (1, 14)
    # the same run under the official labels trains nothing
    told = vadbench("evaluate", "--labels", "official", "--set", "protocol.labels=official").stdout
    assert "1 recipes evaluated" in told
    assert len(list(tmp_path.glob("results/runs/*/*/*/*/run.json"))) == 1
    assert len(list(tmp_path.glob("results/recipes/*/*/*/metrics.json"))) == 2
    refused = vadbench(*RUN, "--datasets", "msad", "--labels", "hr", code=2).stderr
    assert "unknown label set of msad 'hr': choose from hr-anomalies, hr-with-normals" in refused


@pytest.mark.slow
def test_avenue_runs_on_tracks_without_a_video(
    monkeypatch: pytest.MonkeyPatch, shrunk: Any, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(UNIT)
    import avenue_files

    root = tmp_path / "data"
    avenue_files.write_avenue(root)
    shutil.rmtree(root / "Avenue Dataset")
    (root / "tracks/avenue").mkdir(parents=True)
    names = ["Frame_Number", "Person_ID", "State", "BB_tl_0", "BB_tl_1", "BB_br_0", "BB_br_1"]
    for split, lengths in (("train", avenue_files.TRAIN), ("test", avenue_files.TEST)):
        random = np.random.default_rng(len(lengths))
        rows = []
        for frames in lengths:
            x = np.cumsum(random.normal(1, 0.3, frames)) + 5
            rows += [(t, 1, 2, x[t], 20, x[t] + 10, 60) for t in range(frames)]
        video = [f"{number:02d}" for number in range(1, len(lengths) + 1)]
        arrays = {"rows": np.array(rows), "columns": np.array(names)}
        path = root / f"tracks/avenue/deepsort_{split}.npz"
        np.savez(path, video=np.array(video), count=np.array(lengths), **arrays)
    vadbench = shrunk("avenue", avenue_files.COUNTS)
    assert "no videos here: streams on tracks only" in vadbench("data", "check", "avenue").stdout
    tracked = (*RUN[:3], "--features", "tracks@tracks.deepsort", "--quiet", "--datasets", "avenue")
    assert "avenue: 2 test videos, 70 frames, 22 anomalous" in vadbench(*tracked).stdout
    told = vadbench(*tracked, "--videos", "train/01,train/03,test/02").stdout
    assert "avenue[3 of 5 " in told
    assert "1 test videos, 30 frames, 10 anomalous" in told
    refused = vadbench(*RUN, "--datasets", "avenue", code=2).stderr
    assert "only streams on tracks do without" in refused
