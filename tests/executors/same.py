"""What two results folders have in common: all of it."""

import numpy as np


def scores(folder):
    """Path of a run's scores under a results folder -> its arrays."""
    found = {}
    for path in sorted(folder.rglob("rows.npz")):
        with np.load(path) as arrays:
            found[str(path.relative_to(folder))] = {name: arrays[name] for name in arrays}
    return found


def require_same(one, other):
    """Two results folders have the same scores to the bit, and the same tables."""
    ours, theirs = scores(one), scores(other)
    assert ours.keys() == theirs.keys()
    assert ours
    for path, arrays in ours.items():
        for name, values in arrays.items():
            np.testing.assert_array_equal(values, theirs[path][name], err_msg=f"{path} {name}")
    tables = [sorted(folder.glob("tables/*.csv")) for folder in (one, other)]
    assert [path.read_text() for path in tables[0]] == [path.read_text() for path in tables[1]]
    assert len(tables[0]) == len(tables[1]) > 0
