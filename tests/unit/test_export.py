"""The export is the records, row for row."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import vadbench
from vadbench.errors import BadInput
from vadbench.results.frame import COLUMNS, TYPES, export_results, load_results
from vadbench.results.records import ResultRecord, Results, RunRecord

ROOT = Path(__file__).resolve().parents[2]


def run(identity, **changes):
    fields = {
        "status": "done",
        "identity": identity,
        "fit_identity": identity,
        "runtime": {},
        "train_rows": 10,
        "test_rows": 20,
        "parameters": 5,
    }
    job = {"dataset": "toy", "stream": "velocity", "method": "knn"}
    measured = {
        "seconds": {"fit": 1.5, "score": 0.5},
        "peak_memory_mib": 100.0,
        "environment": {"git": {"commit": "abc", "dirty": True}},
    }
    return RunRecord(**{**fields, "job": job, **measured, **changes})


def metric(value, **changes):
    return {
        "metric": "micro_auc",
        "convention": None,
        "smoothing": "none",
        "read_out": "score",
        "video": None,
        "value": value,
        "n": 3,
        **changes,
    }


def record(rows, runs=("a",), read_outs=("score",), **part):
    described = {
        "method": "knn",
        "stream": "velocity",
        "config": {"k": 1},
        "fingerprint": "f00",
        **part,
    }
    fields = {
        "identity": "f" * 64,
        "dataset": "toy",
        "recipe": "knn@velocity",
        "seed": 2,
        "protocol": {"smoothing": 3.0},
        "labels": {"name": "exact", "sha256": "e" * 64},
    }
    return ResultRecord(
        **fields, parts=(described,) * len(runs), runs=runs, read_outs=read_outs, rows=tuple(rows)
    )


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results")


def loaded(results, *runs_and_record, videos=False):
    *runs, of = runs_and_record
    for one in runs:
        results.write_run(one, None)
    results.write_recipe(of, {"scores": np.zeros(1)})
    return load_results(results.root, videos=videos)


def test_a_row_says_what_was_measured_of_what(results):
    (row,) = loaded(
        results,
        run("a"),
        record([metric(0.75, low=0.5, high=0.875, videos=7, interval_reason=None)]),
    ).to_dict("records")
    assert (row["dataset"], row["method"], row["features"], row["seed"], row["labels_sha256"]) == (
        "toy",
        "knn",
        "velocity",
        2,
        "e" * 64,
    )
    assert (row["value"], row["low"], row["high"], row["videos"], row["n"], row["ranked"]) == (
        0.75,
        0.5,
        0.875,
        7,
        3,
        True,
    )
    assert json.loads(row["config"]) == [{"method": "knn", "stream": "velocity", "k": 1}]
    assert (row["fit_seconds"], row["peak_memory_mib"], row["commit"], row["runs"]) == (
        1.5,
        100.0,
        "abc+",
        "a",
    )


def test_an_interval_of_an_earlier_version_is_left_out_and_told(results):
    (row,) = loaded(results, run("a"), record([metric(0.75, low=0.5, high=0.875)])).to_dict(
        "records"
    )
    assert np.isnan(row["low"])
    assert row["interval_reason"] == "not computed by this version; run vadbench evaluate"


def test_the_extraction_is_told_where_it_is_not_the_default(results):
    (row,) = loaded(
        results, run("a"), record([metric(0.75)], extraction={"deep": {"size": 224}})
    ).to_dict("records")
    assert json.loads(row["extraction"]) == [{"deep": {"size": 224}}]


def test_an_undefined_value_is_missing_with_its_reason(results):
    (row,) = loaded(results, run("a"), record([metric(None, reason="no normal frame")])).to_dict(
        "records"
    )
    assert np.isnan(row["value"])
    assert row["reason"] == "no normal frame"
    assert row["convention"] is None


def test_single_videos_come_on_request(results):
    of = record([metric(0.75), metric(0.5, video="Test001")])
    assert len(loaded(results, run("a"), of)) == 1
    assert load_results(results.root, videos=True)["video"].tolist() == [None, "Test001"]


def test_the_costs_of_a_fusion_are_added(results):
    (row,) = loaded(
        results, run("a"), run("b", peak_memory_mib=300.0), record([metric(0.75)], runs=("a", "b"))
    ).to_dict("records")
    assert (row["fit_seconds"], row["score_seconds"], row["train_rows"], row["parameters"]) == (
        3.0,
        1.0,
        20,
        10,
    )
    assert (row["peak_memory_mib"], row["runs"], row["fingerprints"]) == (300.0, "a,b", "f00+f00")


def test_an_unknown_cost_is_missing_and_not_zero(results):
    of = record([metric(0.75)], runs=("a", "b"))
    (row,) = loaded(
        results,
        run("a"),
        run("b", parameters=None, peak_memory_mib=None, seconds={"score": 1.0}),
        of,
    ).to_dict("records")
    assert pd.isna([row["parameters"], row["peak_memory_mib"], row["fit_seconds"]]).all()
    assert row["score_seconds"] == 1.5


def test_costs_are_missing_where_the_record_of_a_job_is_not_there(results):
    (row,) = loaded(results, run("a"), record([metric(0.75)], runs=("a", "gone"))).to_dict(
        "records"
    )
    assert pd.isna(
        [
            row[name]
            for name in (
                "fit_seconds",
                "score_seconds",
                "train_rows",
                "test_rows",
                "parameters",
                "peak_memory_mib",
            )
        ]
    ).all()


@pytest.mark.parametrize(("part", "ranked"), [({}, ["gmm5"]), ({"read_out": "mean"}, ["mean"])])
def test_the_read_out_that_tables_show_is_ranked(results, part, ranked):
    rows = [metric(0.75, read_out="gmm5"), metric(0.5, read_out="mean")]
    table = loaded(results, run("a"), record(rows, read_outs=("gmm5", "mean"), **part))
    assert table.loc[table["ranked"], "read_out"].tolist() == ranked


def test_a_setting_that_is_not_usual_is_told(results):
    part = {"resplit": {"name": "every second"}, "scope": "scene", "train_dataset": "other"}
    (row,) = loaded(results, run("a"), record([metric(0.75, left_out=["pose"])], **part)).to_dict(
        "records"
    )
    assert (row["setting"], row["split"], row["scope"], row["train_dataset"]) == (
        "unsupervised",
        "every second",
        "scene",
        "other",
    )
    assert row["left_out"] == "pose"


@pytest.mark.parametrize(("suffix", "read"), [(".csv", pd.read_csv), (".parquet", pd.read_parquet)])
def test_what_is_written_is_read_back(results, tmp_path, suffix, read):
    table = loaded(
        results,
        run("a"),
        record([metric(1 / 3), metric(None, video="v", reason="one class")]),
        videos=True,
    )
    path = tmp_path / "new" / f"records{suffix}"
    assert export_results(results.root, path) == 2
    back = read(path)
    assert list(back) == list(COLUMNS)
    assert back["value"].tolist()[0] == 1 / 3
    for name in COLUMNS:
        kept = [None if pd.isna(value) else value for value in back[name]]
        assert kept == [None if pd.isna(value) else value for value in table[name]], name
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_text_column_without_text_keeps_its_type(results, tmp_path):
    loaded(results, run("a"), record([metric(0.75)]))
    export_results(results.root, tmp_path / "records.parquet")
    assert pd.read_parquet(tmp_path / "records.parquet")["split"].dtype == "string"


def test_no_records_give_an_empty_table_with_types(results):
    (results.root / "recipes").mkdir(parents=True)
    table = load_results(results.root)
    assert table.empty
    assert {name: str(table[name].dtype) for name in TYPES} == TYPES


def test_another_suffix_and_a_folder_without_records_are_refused(results, tmp_path):
    with pytest.raises(
        BadInput, match=r"records\.xlsx: suffix \.xlsx; expected \.parquet or \.csv"
    ):
        export_results(results.root, tmp_path / "records.xlsx")
    with pytest.raises(BadInput, match="no records; expected a folder that vadbench run"):
        load_results(results.root)


def test_a_write_that_fails_leaves_nothing(results, tmp_path, monkeypatch):
    loaded(results, run("a"), record([metric(0.75)]))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "records.csv").write_text("before")

    def break_off(table, path, **options):
        path.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", break_off)
    with pytest.raises(OSError, match="disk full"):
        export_results(results.root, tmp_path / "out" / "records.csv")
    assert [(entry.name, entry.read_text()) for entry in (tmp_path / "out").iterdir()] == [
        ("records.csv", "before")
    ]


def test_the_committed_records_are_all_there():
    records = list(Results(ROOT / "results").all_records())
    table = vadbench.load_results(ROOT / "results", videos=True)
    assert len(table) == sum(len(one.rows) for one in records)
    assert set(table["identity"]) == {one.identity for one in records}
    assert table["value"].dropna().between(0, 1).all()
    assert (table["value"].isna() == table["reason"].notna()).all()


def test_the_documented_columns_are_those_of_the_table():
    page = (ROOT / "docs" / "export.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \|$", page, re.MULTILINE)
    kinds = {"float64": "number", "Int64": "integer", "bool": "boolean"}
    assert listed == [
        (name, kinds[TYPES[name]] if name in TYPES else "text", meaning)
        for name, meaning in COLUMNS.items()
    ]


def test_the_command_writes_the_file_and_says_how_much(tmp_path, results):
    loaded(results, run("a"), record([metric(0.75)]))
    command = [str(Path(sys.executable).with_name("vadbench")), "export", "--out", "records.csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "1 rows written to records.csv\n"
    assert pd.read_csv(tmp_path / "records.csv")["value"].tolist() == [0.75]
