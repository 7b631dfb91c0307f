"""vadbench features list, remove and verify, and check of an extractor, as a user calls them."""

import numpy as np
import pytest
from learnt import FEW, Yard, put_on_path
from typer.testing import CliRunner

from vadbench import cli, registry
from vadbench.features.extract import ensure
from vadbench.features.networks import store as networks
from vadbench.features.stream import plan_stream


@pytest.fixture
def cached(tmp_path, tmp_path_factory, monkeypatch):
    """A plan whose network and features are in the cache."""
    put_on_path(tmp_path_factory.mktemp("package"), monkeypatch)
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    yard = Yard(tmp_path / "data")
    plan = plan_stream(yard, "frame-code", FEW)
    ensure(yard, plan, tmp_path / "cache", quiet=True)
    yield plan, tmp_path / "cache"
    registry._entries.cache_clear()


def call(*words):
    return CliRunner().invoke(cli.app, words)


def test_the_list_names_what_remove_takes(cached):
    listed = call("features", "list").stdout.splitlines()
    assert listed[0].split() == ["name", "holds", "MiB"]
    names = [line.split()[0] for line in listed[1:3]]
    assert [name.partition("@")[0] for name in names] == ["yard", "yard"]
    assert listed[-1].startswith("2 under ")
    removed = call("features", "remove", *names)
    assert removed.exit_code == 0
    assert removed.stdout.count("removed yard@1/") == 2
    nothing = call("features", "list")
    assert isinstance(nothing.exception, ValueError)
    assert "no cached features" in str(nothing.exception)


def test_a_name_that_is_not_cached_is_refused_with_the_nearest(cached):
    plan, _ = cached
    wrong = f"yard@1/networks/frame-code@{plan.network_fingerprint[:-1]}"
    answer = call("features", "remove", wrong)
    assert "did you mean yard@1/networks/frame-code@" in str(answer.exception)


def test_verify_reads_networks_too(cached):
    plan, cache = cached
    whole = call("features", "verify")
    assert whole.exit_code == 0
    assert whole.stdout.startswith("3 of 3 folders")  # a network, two splits
    path = plan.network_folder(cache) / networks.MODEL
    weights = bytearray(path.read_bytes())
    weights[-1] ^= 1
    path.write_bytes(weights)
    damaged = call("features", "verify")
    assert damaged.exit_code == 2
    assert "model.safetensors: damaged" in damaged.output


def test_verify_names_features_of_other_weights(cached):
    plan, cache = cached
    folder = plan.network_folder(cache)
    known = networks.read_network(folder)
    arrays = {name: np.zeros_like(values) for name, values in known.arrays.items()}
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    networks.write_network(folder, known.manifest.model_dump(exclude={"sha256"}), arrays)
    answer = call("features", "verify")
    assert answer.exit_code == 2
    assert answer.output.count("made with another network than is there now") == 2


def test_an_extractor_is_checked_by_its_name(cached):
    answer = call("check", "frame-code", "--set", "frame-code.steps=4")
    assert answer.exit_code == 0
    assert "ok  interrupted ends the same" in answer.stdout
    assert answer.stdout.endswith("frame-code: passes the contract\n")
    unknown = call("check", "frame-cod")
    assert "unknown method or extractor 'frame-cod'" in str(unknown.exception)
