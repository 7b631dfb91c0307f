"""One process a training: claims on a results folder."""

import os
import subprocess
import sys
import threading
import time

import pytest

from vadbench.executors import claims
from vadbench.executors.claims import claim

HOLD = """
import sys, time
from pathlib import Path
from vadbench.executors.claims import claim
with claim(Path(sys.argv[1]), "f" * 64):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(folder):
    """Another process that holds the claim."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_a_claim_leaves_nothing_behind(tmp_path):
    with claim(tmp_path, "f" * 64):
        assert list(tmp_path.rglob("*.lock"))
    assert not list(tmp_path.rglob("*.lock"))


def test_what_another_thread_holds_is_waited_for(tmp_path):
    order, told = [], []
    inside = threading.Event()

    def first():
        with claim(tmp_path, "f" * 64):
            inside.set()
            time.sleep(0.5)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait()
    with claim(tmp_path, "f" * 64, lambda: told.append(True)):
        order.append("second")
    thread.join()
    assert (order, told) == (["first", "second"], [True])


def test_other_trainings_are_not_waited_for(tmp_path):
    with claim(tmp_path, "f" * 64), claim(tmp_path, "e" * 64, lambda: pytest.fail("waits")):
        pass


def test_a_killed_holder_is_not_waited_for_long(tmp_path):
    process = hold(tmp_path)
    process.kill()
    process.wait()
    began = time.monotonic()
    with claim(tmp_path, "f" * 64):
        assert time.monotonic() - began < 20


def test_a_holder_of_another_machine_that_has_died_is_waited_for_until_it_expires(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(claims, "EXPIRES", 3.0)
    with claim(tmp_path, "f" * 64):
        (path,) = tmp_path.rglob("*.lock")
        held = path.read_text()
    path.parent.mkdir()
    path.write_text(held.replace(os.uname().nodename, "other-machine"))  # nobody refreshes it
    began = time.monotonic()
    with claim(tmp_path, "f" * 64):
        assert time.monotonic() - began > 1
    assert not list(tmp_path.rglob("*.lock"))


def test_the_claim_of_a_killed_process_is_swept_and_a_living_one_is_not(tmp_path):
    process = hold(tmp_path)
    claims.sweep_claims(tmp_path)
    assert list(tmp_path.rglob("*.lock"))
    process.kill()
    process.wait()
    claims.sweep_claims(tmp_path)
    assert not list(tmp_path.iterdir())
