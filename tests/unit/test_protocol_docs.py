"""docs/protocol.md holds measured blocks; its generator does what the page says."""

from pathlib import Path

import make_protocol
import numpy as np
import pytest
from blocks import block_of, with_block

from vadbench.datasets.base import Labels
from vadbench.errors import BadInput
from vadbench.report.settled import settled
from vadbench.results.records import Results

ROOT = Path(__file__).resolve().parents[2]
LABELS = Labels(
    "toy",
    "toy",
    {"a": np.repeat([0, 1], 20).astype(np.uint8), "b": np.tile([0, 1], 20).astype(np.uint8)},
)


@pytest.fixture
def scores():
    return np.random.default_rng(0).normal(size=80) + LABELS.flat()


def measured(name, scores):
    return make_protocol.CONVENTIONS[name](scores, LABELS)


@pytest.mark.parametrize("name", ["macro `skip`", "macro `pad-rank`"])
def test_a_constant_does_not_change_the_conventions_we_recommend(name, scores):
    assert measured(name, scores) == pytest.approx(measured(f"{name}, scores - 100", scores))


def test_a_constant_changes_zero_padded_filters_and_literal_padding(scores):
    assert measured("micro, sigma 15, zeros outside", scores) != pytest.approx(
        measured("the same, scores - 100", scores), abs=0.01
    )
    assert measured("macro `pad-0-1`", scores) != pytest.approx(
        measured("macro `pad-0-1`, scores - 100", scores), abs=0.01
    )


def test_a_block_is_replaced_between_its_marks():
    page = "before\n<!-- measured: toy -->\nold\n<!-- end -->\nafter\n"
    assert with_block(page, "measured: toy", "new") == page.replace("old", "new")
    assert with_block(page, "measured: other", "new") == page


def test_missing_records_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(
        make_protocol,
        "open_dataset",
        lambda name: type("Toy", (), {"labels": lambda self: LABELS})(),
    )
    with pytest.raises(BadInput, match="no record of mulde@velocity"):
        make_protocol.block(Results(tmp_path), "toy")


def test_the_page_has_a_filled_block_for_each_data_set():
    page = (ROOT / "docs" / "protocol.md").read_text()
    for dataset in ("synthetic", "ped2"):
        text = page.partition(f"<!-- measured: {dataset} -->")[2].partition("<!-- end -->")[0]
        assert all(f"| {name} " in text for name in make_protocol.CONVENTIONS)


PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("question", ["false claims", "seeds", "coverage", "false tables"])
def test_the_page_has_the_tables_of_the_simulation(question):
    assert block_of(PAGE, f"simulated: {question}") == make_protocol.simulated_block(question)


def test_the_page_lists_what_the_leaderboard_does_not_rank():
    listed = [line.removeprefix("- ") for line in block_of(PAGE, "settled").splitlines()]
    assert listed == list(dict.fromkeys(one.told for one in settled()))
