"""Two imported streams on the same objects: regions of their fusion, as in MULDE's table of RBDC
and TBDC.
"""

import numpy as np
import pytest
from figure_records import ANOMALOUS, FRAMES, run, write_dataset

from vadbench.datasets.open import open_dataset
from vadbench.features.importers import import_features
from vadbench.results.records import Results
from vadbench.spec import REGIONS

FUSED = "mulde@deep@import.mine+velocity@import.mine"
TINY = {"mulde": {"units": [8], "max_steps": 20, "read_outs": ["gmm1"]}}
CLIPS = {"train": ["train"], "test": list(ANOMALOUS)}


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    write_dataset(tmp_path / "data")
    return Results(tmp_path / "results")


def write_objects(path, split, seed, dim, shift=0.0):
    """Two objects a frame: one in the rows of the picture where the fast square is, one below;
    `shift` moves the boxes.
    """
    generator = np.random.default_rng(seed)
    rows = 2 * FRAMES * len(CLIPS[split])
    boxes = np.tile(np.float32([[10, 20, 40, 44], [50, 60, 80, 84]]), (rows // 2, 1)) + np.float32(
        shift
    )
    np.savez(
        path,
        x=generator.normal(size=(rows, dim)).astype(np.float32),
        count=np.full(rows // 2, 2),
        xyxy=boxes,
    )
    return path


def import_objects(tmp_path, stream, seed, dim, shift=0.0):
    paths = {
        split: write_objects(tmp_path / f"{stream}-{split}.npz", split, seed, dim, shift)
        for split in CLIPS
    }
    import_features(open_dataset("folder"), stream, paths, "", {}, tmp_path / "cache", None)


def regions_of(results):
    (record,) = results.all_records()
    return [value for value in record.values if value.metric in REGIONS and value.video is None]


def test_a_fusion_of_imports_on_the_same_boxes_has_regions(results, tmp_path):
    import_objects(tmp_path, "deep@import.mine", 1, 6)
    import_objects(tmp_path, "velocity@import.mine", 2, 4)
    run(results, methods=(FUSED,), settings=TINY)
    regions = regions_of(results)
    assert [value.metric for value in regions] == list(REGIONS)
    assert all(value.value is not None for value in regions), regions


def test_a_fusion_of_imports_on_other_boxes_says_why_it_has_none(results, tmp_path):
    import_objects(tmp_path, "deep@import.mine", 1, 6)
    import_objects(tmp_path, "velocity@import.mine", 2, 4, shift=1.0)
    run(results, methods=(FUSED,), settings=TINY)
    assert [(value.value, value.reason) for value in regions_of(results)] == [
        (None, "streams on different boxes")
    ] * 2
