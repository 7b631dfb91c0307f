import os
import subprocess
import sys

import pytest
import threadpoolctl

from vadbench import registry
from vadbench.threads import COUNTS, count_cores, count_threads, limit_threads
from vadbench.workers import open_workers

SPIN = "import vadbench, os; print(os.environ.get('{}'))"


def waiting(name="GOMP_SPINCOUNT", **variables):
    """A variable after `import vadbench`, where these are set."""
    own = {"GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OPENBLAS_THREAD_TIMEOUT"}
    clean = {name: value for name, value in os.environ.items() if name not in own}
    done = subprocess.run(
        [sys.executable, "-c", SPIN.format(name)],
        env=clean | variables,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_threads_sleep_while_they_wait_unless_the_user_says_how_they_wait():
    assert waiting() == "0"
    assert waiting(GOMP_SPINCOUNT="7") == "7"
    assert waiting(OMP_WAIT_POLICY="ACTIVE") == "None"
    assert waiting("OPENBLAS_THREAD_TIMEOUT") == "4"
    assert waiting("OPENBLAS_THREAD_TIMEOUT", OPENBLAS_THREAD_TIMEOUT="20") == "20"


def test_a_limit_holds_in_the_block_alone():
    import torch

    def counts():
        pools = {pool["filepath"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
        return torch.get_num_threads(), pools, {name: os.environ.get(name) for name in COUNTS}

    before = counts()
    with limit_threads(3):
        threads, pools, variables = counts()
        assert threads == count_threads() == 3
        assert set(pools.values()) == {3}
        assert set(variables.values()) == {"3"}
    assert counts() == before
    with pytest.raises(KeyError), limit_threads(1):
        raise KeyError
    assert counts() == before


def test_a_worker_has_its_share_of_the_cores():
    with limit_threads(4), open_workers(2) as workers:
        assert workers.submit(count_threads).result() == 2


@pytest.mark.parametrize(
    ("given", "cores"),
    [("3", 3), ("2,1", 2), (" 4 ", 4), ("0", 1), ("", None), ("many", None), ("²", None)],
)
def test_cores_are_counted_whatever_the_variable_says(given, cores, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    all_of_them = count_cores()
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert count_cores() == (cores or all_of_them)


def test_every_method_says_how_many_threads_it_takes():
    for name in registry.names("detectors"):
        assert registry.load("detectors", name).info.threads in (None, 1)
