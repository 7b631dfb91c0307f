"""What Weights & Biases would be told of records, without its program; and without its library."""

import subprocess
import sys

import pytest
from wandb_records import Trained, metric, records_of, run_of, store, store_all

from vadbench.report.wandb import Sink
from vadbench.report.wandb.publication import COLUMNS, publications


@pytest.fixture
def results(tmp_path):
    return store_all(tmp_path / "results")


def test_summary_names_metric_convention_smoothing_and_a_read_out_that_is_not_ranked(results):
    told = {
        each.identity: each for each in publications(results, records_of(results, "mulde@velocity"))
    }
    ((identity, publication),) = told.items()
    assert identity == run_of(results, "velocity").identity
    assert publication.summary == {
        "ped2/micro_auc/none": 1 / 3,
        "ped2/micro_auc/none/low": 0.1,
        "ped2/micro_auc/none/high": 0.9,
        "ped2/micro_auc/gaussian-3": 0.1 + 0.2,
        "ped2/micro_auc/gaussian-3/low": 0.2,
        "ped2/micro_auc/gaussian-3/high": 0.4,
        "ped2/micro_auc/gaussian-3/max": 0.7,
        "ped2/macro_auc/skip/gaussian-3": 0.8,
        "cost/fit_seconds": 2.0,
        "cost/score_seconds": 0.5,
        "cost/train_rows": 40,
        "cost/test_rows": 20,
        "cost/parameters": 7,
        "cost/peak_memory_mib": 100.0,
    }


def test_an_undefined_metric_is_in_the_table_with_its_reason_and_in_no_summary(results):
    (publication,) = publications(results, records_of(results, "mulde@deep"))
    row = next(
        dict(zip(COLUMNS, row, strict=True))
        for row in publication.rows
        if row[COLUMNS.index("metric")] == "rbdc"
    )
    assert (row["value"], row["reason"]) == (None, "no boxes")
    assert not any("rbdc" in name for name in publication.summary)


def test_records_of_one_job_share_its_run_and_what_they_disagree_in_names_the_record(results):
    values = (metric("micro_auc", 1 / 3), metric("micro_auc", 0.9, "gaussian-3"))
    other = store(results, "mulde@velocity", values, alpha=0.5)
    records = records_of(results, "mulde@velocity")
    (publication,) = publications(results, records)
    assert len(records) == 2
    assert publication.summary["ped2/micro_auc/none"] == 1 / 3
    assert publication.summary[f"ped2/micro_auc/gaussian-3/{other.identity[:12]}"] == 0.9
    assert "ped2/micro_auc/gaussian-3" not in publication.summary


def test_a_fusion_is_a_run_of_its_own_with_the_cost_of_its_jobs(results):
    (record,) = records_of(results, "mulde@velocity+deep")
    (publication,) = publications(results, [record])
    assert publication.identity == record.identity
    assert publication.summary["cost/fit_seconds"] == 4.0
    assert publication.summary["cost/peak_memory_mib"] == 100.0
    assert publication.described["name"] == "mulde@velocity+deep seed 0"


def test_without_the_package_the_line_says_how_to_install_it(tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "wandb", None)
    sink = Sink("offline", tmp_path / "results")
    with sink.curves(Trained()) as logger:
        assert logger is None
    sink.publish(set(), "latest", print)
    assert capfd.readouterr() == (
        "",
        (
            "vadbench: nothing more is logged to Weights & Biases: Weights & Biases is not"
            " installed; pip install 'vadbench[wandb]'\n"
        ),
    )


def test_neither_help_nor_the_sink_imports_the_library():
    script = (
        "import sys, vadbench.cli, vadbench.report.wandb; sys.exit('wandb' in sys.modules or"
        " 'pytorch_lightning' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
