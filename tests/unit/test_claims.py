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


CLAIM = """filelock/2
pid=1
host=other-machine
mode=lease
token=0123456789abcdef
duration={duration}
"""
OTHERS = {
    "empty": "",
    "other-duration": CLAIM.format(duration=60.0),
    "exclusive": CLAIM.format(duration=120.0).replace("lease", "exclusive"),
    "other-version": CLAIM.format(duration=120.0).replace("lease", "shared"),
    "garbage": "\0\0\0",
}


def put(root, content, identity="f" * 64, age=0.0):
    """A claim file that nobody refreshes."""
    path = root / claims.FOLDER / f"{identity[:32]}.lock"
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_what_is_no_claim_is_waited_for_until_it_expires(tmp_path, monkeypatch, content):
    monkeypatch.setattr(claims, "EXPIRES", 0.9)
    put(tmp_path, content)
    told = []
    began = time.monotonic()
    with claim(tmp_path, "f" * 64, lambda: told.append(True)):
        assert 0.8 < time.monotonic() - began < 10
    assert told == [True]
    assert not list(tmp_path.rglob("*.lock"))


def test_a_disk_that_cannot_exchange_names_blocks_nobody(tmp_path, monkeypatch):
    from filelock import _soft

    monkeypatch.setattr(claims, "EXPIRES", 0.9)
    monkeypatch.setattr(_soft, "exchange_names", lambda *_: False)  # as NFS answers
    put(tmp_path, CLAIM.format(duration=claims.EXPIRES))
    with claim(tmp_path, "f" * 64):
        assert list(tmp_path.rglob("*.lock"))
    assert not list(tmp_path.iterdir())


def test_a_claim_of_another_version_that_is_refreshed_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "EXPIRES", 0.6)
    path = put(tmp_path, OTHERS["other-duration"])
    watch = claims._Watch(path)
    for _ in range(5):
        assert watch.seconds_unchanged() < claims.EXPIRES
        time.sleep(0.2)
        os.utime(path)


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_no_claim_of_another_training_ends_a_run(tmp_path, content):
    path = put(tmp_path, content, "e" * 64)
    claims.sweep_claims(tmp_path)
    assert path.exists()
    with claim(tmp_path, "f" * 64, lambda: pytest.fail("waits")):
        pass


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_what_was_left_days_ago_is_swept(tmp_path, content):
    put(tmp_path, content, age=3 * claims.DAY)
    put(tmp_path, CLAIM.format(duration=claims.EXPIRES), "e" * 64, age=3 * claims.DAY)
    claims.sweep_claims(tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_empty_claim_is_swept_after_minutes_and_one_of_another_machine_is_not(tmp_path):
    put(tmp_path, "", "e" * 64, age=2 * claims.EXPIRES)
    other = put(tmp_path, CLAIM.format(duration=claims.EXPIRES), age=2 * claims.EXPIRES)
    claims.sweep_claims(tmp_path)
    assert list(tmp_path.rglob("*.lock")) == [other]
