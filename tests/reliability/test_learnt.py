"""A learnt extractor is killed again and again, in training and in extraction, and its features are
those of an undisturbed one, to the bit.
"""

import random
import shutil
import signal
import subprocess
import time

import pytest
from clips import LEARN, VADBENCH, digests, make_environment, write_dataset

STEPS = 400  # some seconds
COMMAND = (VADBENCH, *LEARN, "--set", f"itae.steps={STEPS}", "--quiet")


def networks_and_vectors(cache):
    weights = {path.name: path.read_bytes() for path in cache.rglob("model.safetensors")}
    assert weights
    return weights, digests(cache)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The data, how long the command takes on them, and what it makes."""
    place = tmp_path_factory.mktemp("learnt")
    write_dataset(place / "data", clips=2, frames=200, size=(32, 48))
    environment = make_environment(place)
    began = time.monotonic()
    subprocess.run(COMMAND, cwd=place, env=environment, check=True, capture_output=True)
    return place, time.monotonic() - began, networks_and_vectors(place / "cache")


def kill_until_done(place, kills, seconds, chance):
    """Run the command until it ends by itself, after so many kills: the phases they hit."""
    hit = []
    for number in range(10 * kills):
        with subprocess.Popen(
            COMMAND,
            cwd=place,
            env=make_environment(place),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            if len(hit) < kills:
                try:
                    process.wait(chance.uniform(0.2, 1.0) * seconds)
                except subprocess.TimeoutExpired:
                    process.send_signal((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[number % 3])
                    process.wait(20)
                    hit.append(phase(place / "cache"))
            process.wait(120)
        if process.returncode == 0:
            if len(hit) == kills:
                return hit
            forget(place / "cache", chance)
    raise AssertionError(f"not done after {hit}")


def phase(cache):
    trained = list(cache.rglob("model.safetensors"))
    checkpoints = list(cache.rglob("checkpoint-*.safetensors"))
    return "extraction" if trained else "training, kept" if checkpoints else "training"


def forget(cache, chance):
    """So that there is something to do: the features, or the network too."""
    place = next(cache.glob("folder@*"))
    for folder in place.iterdir():
        if folder.name != "networks" or chance.random() < 0.5:
            shutil.rmtree(folder)


def try_kills(undisturbed, tmp_path, kills, seed):
    data, seconds, expected = undisturbed
    shutil.copytree(data / "data", tmp_path / "data")
    hit = kill_until_done(tmp_path, kills, seconds, random.Random(seed))
    weights, found = networks_and_vectors(tmp_path / "cache")
    assert weights == expected[0]
    assert found == expected[1]
    assert not list((tmp_path / "cache").rglob(".parts*"))
    return hit


def test_a_kill_changes_no_bit(undisturbed, tmp_path):
    assert len(try_kills(undisturbed, tmp_path, 1, seed=1)) == 1


@pytest.mark.slow
def test_many_kills_change_no_bit(undisturbed, tmp_path, record_property):
    hit = try_kills(undisturbed, tmp_path, 20, seed=0)
    record_property("kills", len(hit))
    assert {"extraction", "training, kept"} <= set(hit)  # or they show nothing of these
