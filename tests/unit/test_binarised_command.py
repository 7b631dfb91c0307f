"""`vadbench binarised` on a record that a run wrote."""

import pytest
from figure_records import run, write_dataset
from typer.testing import CliRunner

from vadbench.cli import app
from vadbench.datasets.open import open_dataset
from vadbench.errors import BadInput
from vadbench.evaluation.frames import read_frame_scores
from vadbench.evaluation.metrics.binarised import auc_binarised, by_sensitivity
from vadbench.results.records import Results


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    write_dataset(tmp_path / "data")
    results = Results(tmp_path / "results")
    run(results, methods=("magnitude",), features=("velocity@grid",))
    return results


def binarised(results, *options):
    return CliRunner().invoke(
        app, ["binarised", "magnitude@velocity@grid", *options, "--results", str(results.root)]
    )


def test_every_k_is_told_of_the_record_s_frame_scores(results):
    (record,) = results.all_records()
    scores = read_frame_scores(record, results).scores
    labels = open_dataset("folder").labels().flat()
    answer = binarised(results)
    assert answer.exit_code == 0, answer.output
    for k, value in by_sensitivity(scores, labels).items():
        assert f"auc_binarised  k={k:<6g} {100 * value:.1f}" in answer.output
    whole = 100 * auc_binarised(scores, labels, 2.0)
    assert f"k=2      {whole:.1f}" in binarised(results, "--k", "2").output


def test_without_labels_the_line_says_what_is_missing(results, tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "nothing"))
    answer = binarised(results)
    assert isinstance(answer.exception, BadInput)
    assert "dataset.toml" in str(answer.exception)
