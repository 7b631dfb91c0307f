"""Every registered method keeps the contract of `vadbench.testing.check_detector`, clause by
clause.
"""

from functools import cache
from importlib.metadata import entry_points
from typing import Any

import pytest

from vadbench.testing import CLAUSES, Trial, small_config

METHODS = {entry.name: entry for entry in entry_points(group="vadbench.detectors")}
SMALL: dict[str, dict[str, Any]] = {
    "autoencoder": {"epochs": 20, "max_steps": 20},
    "diffusion": {"units": (32, 16), "epochs": 20, "max_steps": 20},
    "flow": {"layers": 2, "hidden": 16},
    "msma": {"units": (32, 32), "epochs": 20, "max_steps": 20, "batch_size": 200},
    "msma-mulde": {"units": (32, 32), "epochs": 20, "max_steps": 20, "batch_size": 200},
    "mulde": {"units": (32, 32), "epochs": 20, "max_steps": 20, "batch_size": 200},
    "stg-nf": {"layers": 2, "epochs": 5, "max_steps": 10},
    "stg-nf-skeleton": {"layers": 2, "epochs": 5, "max_steps": 10},
}


@cache
def trial(name: str) -> Trial:
    cls = METHODS[name].load()
    return Trial(cls, small_config(cls, SMALL.get(name)))


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
@pytest.mark.parametrize("name", METHODS)
def test_method_keeps_the_contract(name, clause):
    clause(trial(name))
