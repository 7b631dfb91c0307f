import shutil

import numpy as np
import pytest
from clips import RUN, make_environment, vadbench, write_dataset


@pytest.fixture(scope="session")
def states(tmp_path_factory):
    """Folders to run in: nothing there (`empty`), a run and its site there (`full`), a clone of it
    with outdated values (`clone`); beside them vectors to import.
    """
    root = tmp_path_factory.mktemp("states")
    write_dataset(root / "data")
    (root / "empty").mkdir()
    (root / "full").mkdir()
    vadbench(make_environment(root), root / "full", *RUN)
    vadbench(make_environment(root), root / "full", "leaderboard", "--out", "site")
    shutil.copytree(root / "full", root / "clone")
    for rows in (root / "clone").rglob("rows.npz"):
        rows.unlink()  # it stays out of git
    for record in (root / "clone").rglob("metrics.json"):
        outdated = record.read_text().replace('"evaluation": 2', '"evaluation": 1')
        record.write_text(outdated)
    for split in ("train0", "test"):
        (root / split).mkdir()
        vectors = np.random.default_rng(0).normal(size=(24, 5)).astype(np.float32)
        np.save(root / split / f"{split}.npy", vectors)
    return root
