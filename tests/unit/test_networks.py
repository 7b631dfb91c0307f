"""Networks of learnt extractors: found by what decides them, trained once, resumed, checked."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from learnt import FEW, Yard, put_on_path

from vadbench import registry
from vadbench.checkpoints import read_checkpoint, write_checkpoint
from vadbench.errors import BadInput
from vadbench.features.cached import list_cached, remove_cached
from vadbench.features.current import check_current
from vadbench.features.extract import ensure
from vadbench.features.networks import store as networks
from vadbench.features.networks.session import Session
from vadbench.features.networks.train import count_held_out, train_network
from vadbench.features.stream import make_extractor, open_stream, plan_stream, trained_extractor


class Garden(Yard):
    name = "garden"


@pytest.fixture(autouse=True)
def frame_code(tmp_path_factory, monkeypatch):
    put_on_path(tmp_path_factory.mktemp("package"), monkeypatch)
    yield
    registry._entries.cache_clear()


@pytest.fixture
def yard(tmp_path):
    return Yard(tmp_path / "data")


def plan_of(dataset, settings=FEW, stream="frame-code", seed=0, **where):
    return plan_stream(dataset, stream, settings, **where).take_seed(seed)


def weights(folder):
    return networks.read_network(folder).arrays


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


# what a network is found by


def test_a_network_is_found_by_options_seed_data_set_and_videos(yard, tmp_path):
    usual = plan_of(yard)
    others = [
        plan_of(yard, {"frame-code": {"steps": 13, "units": 3}}),
        plan_of(yard, seed=1),
        plan_of(yard, trained=Garden(tmp_path)),
        plan_of(yard, videos=("train/train0",)),
    ]
    assert plan_of(yard) == usual
    prints = {plan.network_fingerprint for plan in (usual, *others)}
    assert len(prints) == 5
    assert len({plan.fingerprint for plan in (usual, *others)}) == 5


def test_all_streams_of_itae_share_one_network(yard):
    plans = [plan_of(yard, {}, f"itae{variant}") for variant in ("", ".error", ".static")]
    assert len({plan.network_fingerprint for plan in plans}) == 1
    assert len({plan.fingerprint for plan in plans}) == 3


@pytest.mark.parametrize("stream", ["itae", "itae.error", "itae.static", "itae.dynamic"])
def test_the_papers_preset_plans_the_papers_network(yard, stream):
    plan = plan_of(yard, {}, stream, preset="paper")
    options = plan.network["options"]
    assert (options["width"], options["epochs"], options["steps"]) == (1.0, 100, None)
    made = make_extractor(plan)
    assert made.parameter_count() == 7_740_491  # RGB, as printed
    assert made.training() == options
    assert plan.network_fingerprint != plan_of(yard, {}, stream).network_fingerprint


def test_how_itae_is_read_is_no_part_of_its_network(yard):
    usual, other = (plan_of(yard, {"itae": {"stride": k}}, "itae.error") for k in (4, 2))
    assert usual.network_fingerprint == other.network_fingerprint
    assert usual.fingerprint != other.fingerprint


def test_a_stream_without_a_network_hashes_what_it_always_has(yard):
    plan = plan_stream(yard, "velocity@grid", {})
    assert plan.network == {}
    assert plan.take_seed(3) is plan
    assert "network" not in plan.manifest


def test_a_pinned_seed_is_that_of_every_job(yard):
    pinned = plan_of(yard, {"itae": {"seed": 5}}, "itae", seed=2)
    assert pinned.network["seed"] == 5
    assert pinned.changed["itae"]["seed"] == 5
    assert pinned.network_fingerprint == plan_of(yard, {}, "itae", seed=5).network_fingerprint


# training


def test_it_is_trained_once_for_all_splits_and_found_again(yard, tmp_path, capsys):
    plan, cache = plan_of(yard), tmp_path / "cache"
    ensure(yard, plan, cache)
    told = capsys.readouterr().err
    assert told.count("network frame-code, seed 0: 192 clips") == 1  # 12 steps of 16
    assert "loss " in told
    written = (plan.network_folder(cache) / networks.MODEL).stat().st_mtime_ns
    shutil.rmtree(plan.folder(cache, "test"))
    ensure(yard, plan, cache, quiet=True)
    assert (plan.network_folder(cache) / networks.MODEL).stat().st_mtime_ns == written
    assert sorted(path.name for path in plan.network_folder(cache).parent.iterdir()) == [
        f".lock-frame-code@{plan.network_fingerprint}",
        f"frame-code@{plan.network_fingerprint}",
    ]


def test_its_manifest_and_the_streams_say_what_it_is(yard, tmp_path):
    plan, cache = plan_of(yard, seed=2), tmp_path / "cache"
    ensure(yard, plan, cache, quiet=True)
    known = networks.read_manifest(plan.network_folder(cache))
    assert known.network == plan.network
    assert known.trained_on == [("train/train0", 6), ("train/train1", 5), ("train/train2", 4)]
    assert known.parameters == (16 * 24 + 1) * 3 + (3 + 1) * 16 * 24
    assert known.loss[-1][0] == 12
    assert known.threads == [torch.get_num_threads()]
    assert known.libraries["torch"]
    stream = open_stream(plan.dataset, plan, cache, "test")
    assert stream.manifest["network"]["sha256"] == known.sha256
    assert stream.manifest["network"]["seed"] == 2


def test_the_rows_are_those_of_the_network(yard, tmp_path):
    plan, cache = plan_of(yard), tmp_path / "cache"
    ensure(yard, plan, cache, quiet=True)
    first = weights(plan.network_folder(cache))
    frame = next(yard.read(yard.videos("test")[0])).reshape(1, -1).astype(np.float32) / 255
    expected = np.tanh(frame @ first["0.weight"].T + first["0.bias"])
    x = open_stream(plan.dataset, plan, cache, "test").features.x
    np.testing.assert_allclose(x[:1], expected, atol=1e-6)


def test_another_seed_learns_another_network(yard, tmp_path):
    folders = [train_network(yard, plan_of(yard, seed=k), tmp_path, quiet=True) for k in (0, 1)]
    assert not same(*map(weights, folders))


def test_the_network_of_another_data_set_lies_there_and_serves_both(yard, tmp_path, monkeypatch):
    garden, cache = Garden(tmp_path / "data"), tmp_path / "cache"
    monkeypatch.setattr("vadbench.features.networks.train.open_dataset", lambda name: garden)
    plans = {data: plan_of(data, trained=garden) for data in (yard, garden)}
    for data, plan in plans.items():
        ensure(data, plan, cache, quiet=True)
    assert plans[yard].network_folder(cache) == plans[garden].network_folder(cache)
    assert plans[yard].network_folder(cache).parent.parent.name == "garden@1"
    assert not (cache / "yard@1" / "networks").exists()


def test_the_named_videos_alone_are_learnt_from(yard, tmp_path):
    named = ("test/test0", "train/train1")
    plan = plan_of(yard, videos=named)
    known = networks.read_manifest(train_network(yard, plan, tmp_path, quiet=True))
    assert [name for name, _ in known.trained_on] == list(named)
    missing = plan_of(yard, videos=("train/nowhere",))
    with pytest.raises(BadInput, match="no video train/nowhere"):
        train_network(yard, missing, tmp_path, quiet=True)


def test_held_out_videos_are_not_learnt_from_and_named(yard, tmp_path):
    plan = plan_of(yard, {"itae": SMALL | {"holdout": 0.34}}, "itae.error")
    ensure(yard, plan, tmp_path, quiet=True)
    known = networks.read_manifest(plan.network_folder(tmp_path))
    assert [name for name, _ in known.trained_on] == ["train/train0"]
    assert known.held_out == ["train/train1", "train/train2"]
    manifest = open_stream(plan.dataset, plan, tmp_path, "train").manifest
    assert manifest["held_out"] == known.held_out
    whole = plan_of(yard, {"itae": SMALL | {"holdout": 0.99}}, "itae.error")
    with pytest.raises(BadInput, match="all 3 training videos are held out"):
        ensure(yard, whole, tmp_path, quiet=True)


@pytest.mark.parametrize(
    ("videos", "share", "held"),
    # 0.07 x 100 is 7.000000000000001 in floating point
    [(5, 0, 0), (5, 0.2, 1), (5, 0.21, 2), (100, 0.07, 7), (2, 0.5, 1), (15, 0.2, 3)],
)
def test_the_last_share_of_videos_is_held_out(yard, videos, share, held):
    plan = plan_of(yard, {"itae": {"holdout": share}}, "itae")
    assert count_held_out(plan, videos) == held


SMALL = {"size": [16, 24], "width": 0.01, "steps": 4, "batch": 1, "losses": ["l2"]}


# interrupted


class Impatient(Session):
    """Keeps every step, and ends at one of them."""

    seconds_between_checkpoints = seconds_between_copies = 0.0
    last = 3

    def _step(self, step, *others):
        if step == self.last:
            raise KeyboardInterrupt
        return super()._step(step, *others)


@pytest.mark.parametrize("last", [1, 4, 7, 11])
def test_an_interrupted_training_goes_on_and_ends_the_same(
    yard, tmp_path, monkeypatch, capsys, last
):
    plan = plan_of(yard)
    whole = weights(train_network(yard, plan, tmp_path / "whole", quiet=True))
    monkeypatch.setattr(Impatient, "last", last)
    with monkeypatch.context() as patched:
        patched.setattr("vadbench.features.networks.train.Session", Impatient)
        with pytest.raises(KeyboardInterrupt):
            train_network(yard, plan, tmp_path / "cut", quiet=True)
    folder = train_network(yard, plan, tmp_path / "cut")
    assert f"goes on after {last} steps" in capsys.readouterr().err
    assert same(weights(folder), whole)
    curves = [
        networks.read_manifest(plan.network_folder(tmp_path / cache)).loss
        for cache in ("whole", "cut")
    ]
    assert curves[0] == curves[1]
    assert not list(folder.parent.glob(".parts*"))


def test_another_number_of_threads_is_told(yard, tmp_path, monkeypatch, capsys):
    plan = plan_of(yard)
    with monkeypatch.context() as patched:
        patched.setattr("vadbench.features.networks.train.Session", Impatient)
        patched.setattr("vadbench.features.networks.session.count_threads", lambda: 77)
        with pytest.raises(KeyboardInterrupt):
            train_network(yard, plan, tmp_path, quiet=True)
    folder = train_network(yard, plan, tmp_path)
    assert "threads where it began with 77" in capsys.readouterr().err
    assert networks.read_manifest(folder).threads == [77, torch.get_num_threads()]


def test_a_damaged_checkpoint_is_not_believed(tmp_path):
    from vadbench.checkpoints import Checkpoint

    path = tmp_path / "checkpoint"
    arrays = {"net.w": np.ones((3, 4), np.float32), "moments.0.step": np.float32(5)}
    facts = {"rates": [0.1], "schedule": {"last_epoch": 5}, "seconds": 12.25}
    write_checkpoint(path, Checkpoint(5, arrays, facts))
    whole = path.read_bytes()
    known = read_checkpoint(path)
    assert (known.step, known.facts) == (5, facts)
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        found = read_checkpoint(path)
        assert found is None or contents(found) == contents(known), place
    path.write_bytes(whole[:-3])
    assert read_checkpoint(path) is None
    assert read_checkpoint(tmp_path / "nowhere") is None


def contents(checkpoint):
    arrays = checkpoint.arrays
    described = {name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()}
    return checkpoint.step, checkpoint.facts, described


@pytest.mark.parametrize(
    ("name", "other"), [('"step"', '"stop"'), ('"rates"', '"ratez"'), ("0.1", "0.2"), ("5", "6")]
)
def test_a_checkpoint_with_another_fact_is_not_believed(tmp_path, name, other):
    from vadbench.checkpoints import Checkpoint

    path = tmp_path / "checkpoint"
    write_checkpoint(path, Checkpoint(5, {"net.w": np.ones(3, np.float32)}, {"rates": [0.1]}))
    escaped = [text.replace('"', '\\"').encode() for text in (name, other)]
    whole = path.read_bytes()
    assert escaped[0] in whole
    path.write_bytes(whole.replace(*escaped, 1))
    assert read_checkpoint(path) is None


# damaged, changed, removed


@pytest.fixture
def extracted(yard, tmp_path):
    plan, cache = plan_of(yard), tmp_path / "cache"
    ensure(yard, plan, cache, quiet=True)
    return plan, cache


@pytest.mark.parametrize("name", [networks.MODEL, networks.MANIFEST])
def test_a_changed_byte_of_a_network_is_seen(extracted, yard, name):
    plan, cache = extracted
    path = plan.network_folder(cache) / name
    whole = path.read_bytes()
    for place in range(len(whole) // 50, len(whole), len(whole) // 9):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(BadInput, match=r"damaged|format|elsewhere") as told:
            networks.read_network(plan.network_folder(cache))
        assert "vadbench features remove yard@1/networks/frame-code@" in str(told.value)
        shutil.rmtree(plan.folder(cache, "test"), ignore_errors=True)
        with pytest.raises(BadInput):
            ensure(yard, plan, cache, quiet=True)
    path.unlink()
    with pytest.raises(BadInput, match=r"not there|missing"):
        networks.read_network(plan.network_folder(cache))


def test_a_network_that_was_moved_to_another_name_is_refused(extracted, yard):
    plan, cache = extracted
    other = plan_of(yard, seed=1)
    shutil.copytree(plan.network_folder(cache), other.network_folder(cache))
    with pytest.raises(BadInput, match="of another network, which belongs elsewhere"):
        ensure(yard, other, cache, quiet=True)


def test_weights_of_other_options_are_refused(extracted, yard):
    plan, cache = extracted
    options = {**plan.network["options"], "units": 4}
    wrong = dataclasses.replace(plan, network={**plan.network, "options": options})
    with pytest.raises(BadInput, match="of another network than its manifest says"):
        trained_extractor(wrong, plan.network_folder(cache))


def test_a_stream_of_a_network_that_was_trained_again_is_refused(extracted, yard):
    plan, cache = extracted
    folder = plan.network_folder(cache)
    arrays = weights(folder)
    arrays["0.bias"] = arrays["0.bias"] + 1
    described = networks.read_manifest(folder).model_dump(exclude={"sha256"})
    shutil.rmtree(folder)
    networks.write_network(folder, described, arrays)
    with pytest.raises(BadInput, match=r"of another network than .* is now"):
        check_current(yard, plan, cache)
    ensure(yard, plan, cache, quiet=True, again=True)
    check_current(yard, plan, cache)


def test_a_network_of_videos_that_have_changed_is_refused_and_made_anew(
    extracted, yard, monkeypatch
):
    plan, cache = extracted
    monkeypatch.setattr(Yard, "counts", {"train": (6, 5, 5), "test": (5,)})
    with pytest.raises(BadInput, match=r"the network in .* is of other videos than yard has now"):
        check_current(yard, plan, cache)
    ensure(yard, plan, cache, quiet=True, again=True)
    check_current(yard, plan, cache)
    assert networks.read_manifest(plan.network_folder(cache)).trained_on[-1] == ("train/train2", 5)


def test_what_is_cached_is_listed_and_removed(extracted, yard):
    plan, cache = extracted
    network = plan.network_folder(cache).relative_to(cache).as_posix()
    stream = plan.folder(cache, "test").parent.relative_to(cache).as_posix()
    listed = {one.name: one for one in list_cached(cache)}
    assert listed.keys() == {network, stream}
    assert listed[network].holds.startswith("network, seed 0, 2691 parameters, trained in")
    assert listed[stream].holds == (
        f"test 5 x 3, train 15 x 3 by frame-code@{plan.network_fingerprint}"
    )
    assert listed[network].bytes > 2691 * 4
    remove_cached(cache, network)
    assert [one.name for one in list_cached(cache)] == [stream]
    ensure(yard, plan, cache, quiet=True)  # its streams are there: nothing is trained
    assert not plan.network_folder(cache).exists()
    with pytest.raises(BadInput, match="unknown cached features"):
        remove_cached(cache, "../data")


# what cannot be


def test_a_loss_that_is_not_finite_is_told_with_step_and_rate(tmp_path):
    session = Session(tmp_path, "yard network x, seed 0", 0, torch.device("cpu"), quiet=True)
    net = torch.nn.Linear(1, 1)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.5)

    def batch(step):
        return torch.full((1, 1), float("inf") if step == 3 else 0.0)

    with pytest.raises(BadInput, match=r"the loss is .* at step 4, learning rate 0.5; try a tenth"):
        session.fit(net, batch, lambda x: net(x).sum(), steps=9, optimiser=optimiser)


def test_frames_that_the_disk_cannot_hold_are_refused_before_they_are_written(
    yard, tmp_path, monkeypatch
):
    from collections import namedtuple

    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(100))
    with pytest.raises(BadInput, match="15 training frames at 16 x 24 take"):
        train_network(yard, plan_of(yard), tmp_path, quiet=True)
    assert not list(tmp_path.rglob("*.raw"))


def test_a_full_disk_while_a_checkpoint_is_written_is_told(yard, tmp_path, monkeypatch):
    import errno
    import os
    from pathlib import Path

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(BadInput, match="the disk is full; free some space"):
            train_network(yard, plan_of(yard), tmp_path, quiet=True)
    assert not plan_of(yard).network_folder(tmp_path).exists()
    train_network(yard, plan_of(yard), tmp_path, quiet=True)


def test_frames_that_are_kept_are_those_of_the_videos(yard, tmp_path):
    from vadbench.features.footage import Footage

    videos = [Footage(yard, video) for video in yard.videos("train")]
    session = Session(tmp_path, "yard", 0, torch.device("cpu"), quiet=True)
    kept = session.map_frames(videos, (16, 24))
    assert kept.firsts == (0, 6, 11)
    np.testing.assert_array_equal(kept.frames[6:11], np.stack(list(videos[1])))
    small = session.map_frames(videos, (4, 6), colour=True)
    assert small.frames.shape == (15, 4, 6, 3)


def test_what_a_kill_left_of_a_training_is_removed_by_the_next(extracted, yard):
    plan, cache = extracted
    folder = plan.network_folder(cache)
    left = folder.with_name(f".parts-{folder.name}")
    left.mkdir()
    (left / "frames-16x24.raw").write_bytes(b"as large as all training frames")
    shutil.rmtree(plan.folder(cache, "test"))
    ensure(yard, plan, cache, quiet=True)
    assert not left.exists()
