"""The simulation behind docs/protocol.md does what the page says, in a few repetitions."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def simulation(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import simulate_uncertainty

    yield simulate_uncertainty
    for name in ("simulate_uncertainty", "simulated_clips"):
        sys.modules.pop(name, None)


def percents(answers):
    return {method: percent for _, _, _, method, percent, _ in answers}


def test_the_same_numbers_come_every_time(simulation):
    first, second = (
        list(simulation.false_claims(simulation.made("equal in law"), "made", 3, 5))
        for _ in range(2)
    )
    assert first == second


def test_the_bootstrap_s_draws_are_the_metrics_of_the_drawn_videos(simulation):
    (clips,) = simulation.make_clips(np.random.default_rng(0), 5, 1, 0.81)
    counts = simulation.counts_of(np.random.default_rng(1), 5)[:10]
    drawn = [
        [clip for clip, count in zip(clips, row, strict=True) for _ in range(int(count))]
        for row in counts
    ]
    assert simulation.drawn_micro(clips, counts) == pytest.approx(
        [simulation.whole(some, "auc") for some in drawn], nan_ok=True
    )
    assert simulation.drawn_macro(clips, counts) == pytest.approx(
        [simulation.mean_of(simulation.video_aucs(some)) for some in drawn], nan_ok=True
    )


def test_swapped_videos_keep_their_labels_and_are_each_of_one_seed(simulation):
    first, second = simulation.make_clips(np.random.default_rng(0), 4, 2, 0.81)
    drawn = simulation.swapped((first, second))(np.random.default_rng(1), 9)
    for one, other in zip(*drawn, strict=True):
        assert np.array_equal(one[1], other[1])
        assert not np.array_equal(one[0], other[0])


def test_the_methods_that_are_made_have_the_auc_that_was_asked_for(simulation):
    for other in (False, True):
        for clips in simulation.make_clips(np.random.default_rng(0), 600, 2, 0.81, other=other):
            assert simulation.whole(clips, "auc") == pytest.approx(0.81, abs=0.02)


@pytest.mark.slow
def test_the_percentile_claims_what_the_jackknife_does_not(simulation):
    found = percents(simulation.false_claims(simulation.made("equal in law"), "made", 5, 300))
    assert found["micro AUC, percentile"] > 12
    assert found["micro AUC, jackknife t"] < 9
