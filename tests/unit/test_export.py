"""The export is the records, row for row."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow.parquet import read_table
from record_builder import make_result, make_run, write_record

import vadbench
from vadbench.errors import BadInput
from vadbench.results.export import export_results
from vadbench.results.frame import COLUMNS, TYPES, load_results
from vadbench.results.records import Results
from vadbench.spec import COSTS, Split, Value

ROOT = Path(__file__).resolve().parents[2]


GIT = {"git": {"commit": "abc", "dirty": True}}
COST = {
    "seconds": {"fit": 1.5, "score": 0.5},
    "train_rows": 10,
    "test_rows": 20,
    "parameters": 5,
    "peak_memory_mib": 100.0,
    "environment": GIT,
}
LABELS = {"name": "exact", "sha256": "e" * 64}


SPLIT = Split(name="every second", sha256="0" * 64, train_videos=1, test_videos=1)


def metric(value, **changes):
    return Value("micro_auc", value=value, **{"n": 3, **changes})


def store(
    results,
    values,
    *,
    recipe="knn@velocity",
    runs=({},),
    read_outs=("score",),
    labels=LABELS,
    **fields,
):
    """A record of these values; `runs` are what differs from `COST`, one a stream."""
    result = make_result(recipe, **{"dataset": "toy", "config": {"k": 1}, "seed": 2, **fields})
    jobs = [
        make_run(result, place, read_outs=read_outs, **{**COST, **changes})
        for place, changes in enumerate(runs)
    ]
    return write_record(
        results, result=result, values=values, runs=jobs, read_outs=read_outs, labels=labels
    )


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results")


def load(results, values, videos=False, **fields):
    store(results, values, **fields)
    return load_results(results.root, videos=videos)


def load_row(results, values, **fields):
    """The only row."""
    (row,) = load(results, values, **fields).to_dict("records")
    return row


def test_a_row_says_what_was_measured_of_what(results):
    record = store(results, [metric(0.75, low=0.5, high=0.875, videos=7)])
    (row,) = load_results(results.root).to_dict("records")
    assert {
        "dataset": "toy",
        "method": "knn",
        "features": "velocity",
        "seed": 2,
        "labels": "exact",
        "labels_sha256": "e" * 64,
        "value": 0.75,
        "low": 0.5,
        "high": 0.875,
        "videos": 7,
        "n": 3,
        "ranked": True,
        "fit_seconds": 1.5,
        "peak_memory_mib": 100.0,
        "commit": "abc+",
        "runs": record.runs[0],
        "identity": record.identity,
        "key": record.result.key,
        "sigma": 3.0,
        "fingerprints": "f" * 12,
    }.items() <= row.items()
    assert json.loads(row["config"]) == [{"method": "knn", "stream": "velocity", "k": 1}]
    assert json.loads(row["protocol"])["smoothing"] == 3.0


def test_a_row_says_how_its_settings_were_asked_for(results):
    row = load_row(results, [metric(0.75)], presets=("paper",), settings={"k": 3})
    assert (row["preset"], row["settings"]) == ("paper", "paper, k=3")
    assert json.loads(row["config"])[0]["k"] == 3


def test_a_row_says_what_was_chosen_of_the_protocol(results):
    row = load_row(results, [metric(0.75)], protocol={"alpha": 0.5})
    assert json.loads(row["chosen"]) == {"alpha": 0.5}
    assert load_results(results.root)["given"].tolist() == [None]


def test_the_reason_why_there_is_no_interval_is_kept(results):
    row = load_row(results, [metric(0.75, interval_reason="one video")])
    assert np.isnan(row["low"])
    assert row["interval_reason"] == "one video"


def test_the_extraction_is_told_where_it_is_not_the_default(results):
    row = load_row(results, [metric(0.75)], part={"extraction": {"deep": {"size": 224}}})
    assert json.loads(row["extraction"]) == [{"deep": {"size": 224}}]
    assert row["options"] == "deep.size=224"


def test_an_undefined_value_is_missing_with_its_reason(results):
    row = load_row(results, [metric(None, reason="no normal frame")])
    assert np.isnan(row["value"])
    assert row["reason"] == "no normal frame"
    assert row["convention"] is None


def test_single_videos_come_on_request(results):
    assert len(load(results, [metric(0.75), metric(0.5, video="Test001")])) == 1
    assert load_results(results.root, videos=True)["video"].tolist() == [None, "Test001"]


def test_the_costs_of_a_fusion_are_added(results):
    row = load_row(
        results,
        [metric(0.75)],
        recipe="knn@velocity+deep",
        runs=({}, {"peak_memory_mib": 300.0}),
    )
    assert [row[name] for name in COSTS[:6]] == [3.0, 1.0, 20, 40, 10, 300.0]
    assert COSTS[6:] == ("network_seconds",)
    assert pd.isna(row["network_seconds"])  # no stream is learnt
    assert (len(row["runs"].split(",")), row["fingerprints"]) == (2, "f" * 12 + "+" + "f" * 12)


def test_an_unknown_cost_is_missing_and_not_zero(results):
    unknown = {"parameters": None, "peak_memory_mib": None, "seconds": {"score": 1.0}}
    row = load_row(results, [metric(0.75)], recipe="knn@velocity+deep", runs=({}, unknown))
    assert pd.isna([row["parameters"], row["peak_memory_mib"], row["fit_seconds"]]).all()
    assert row["score_seconds"] == 1.5


def test_costs_are_missing_where_the_record_of_a_job_is_not_there(results):
    record = store(results, [metric(0.75)], recipe="knn@velocity+deep", runs=({}, {}))
    shutil.rmtree(results.run_folder(results.run_of(record, 1).job, record.runs[1]))
    (row,) = load_results(results.root).to_dict("records")
    assert pd.isna([row[name] for name in COSTS]).all()


@pytest.mark.parametrize(("shown", "ranked"), [(None, ["gmm5"]), ("mean", ["mean"])])
def test_the_read_out_that_tables_show_is_ranked(results, shown, ranked):
    values = [metric(0.75, read_out="gmm5"), metric(0.5, read_out="mean")]
    table = load(results, values, read_outs=("gmm5", "mean"), read_out=shown)
    assert table.loc[table["ranked"], "read_out"].tolist() == ranked


def test_a_setting_that_is_not_usual_is_told(results):
    row = load_row(
        results,
        [metric(0.75, left_out=("pose", "deep"))],
        split=SPLIT,
        scope="scene",
        source="other",
    )
    assert {
        "setting": "unsupervised",
        "split": "every second",
        "scope": "scene",
        "train_dataset": "other",
        "left_out": "pose+deep",
    }.items() <= row.items()


@pytest.mark.parametrize(("suffix", "read"), [(".csv", pd.read_csv), (".parquet", pd.read_parquet)])
def test_what_is_written_is_read_back(results, tmp_path, suffix, read):
    values = [metric(1 / 3), metric(None, video="v", reason="one class")]
    table = load(results, values, videos=True)
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
    store(results, [metric(0.75)])
    export_results(results.root, tmp_path / "records.parquet")
    assert pd.read_parquet(tmp_path / "records.parquet")["split"].dtype == "string"


@pytest.mark.parametrize("videos", [("v",), ()])
def test_the_files_are_those_that_pandas_writes_of_the_whole_frame(
    results, tmp_path, monkeypatch, videos
):
    monkeypatch.setattr("vadbench.results.export.GROUP", 2)
    singles = [metric(1, video=name, n=None, reason='a "text",\nof two lines') for name in videos]
    store(results, [metric(1e-17), metric(None, reason=""), *singles])
    store(results, [metric(0.5, low=0.25)], seed=3, split=SPLIT, runs=({}, {}), recipe="a@b+c")
    frame = load_results(results.root, videos=True)
    frame.to_csv(tmp_path / "whole.csv", index=False)
    texts = {name: "string" for name in COLUMNS if name not in TYPES}
    frame.astype(texts).to_parquet(tmp_path / "whole.parquet", index=False)
    for suffix in ("csv", "parquet"):
        export_results(results.root, tmp_path / f"streamed.{suffix}")
    assert (tmp_path / "streamed.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    one, other = (read_table(tmp_path / f"{name}.parquet") for name in ("streamed", "whole"))
    assert one.schema.equals(other.schema, check_metadata=True)
    assert one.equals(other)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_record_with_a_name_that_is_no_unicode_is_named_and_left_out(
    results, tmp_path, suffix, capsys
):
    store(results, [metric(0.5, video="v\udcff")])
    store(results, [metric(0.5, video="v")], seed=3)
    path = tmp_path / f"records.{suffix}"
    export_results(results.root, path)
    read = pd.read_csv if suffix == "csv" else pd.read_parquet
    assert read(path)["video"].tolist() == ["v"]
    assert "metrics.json" in capsys.readouterr().err


@pytest.mark.parametrize("start", ["=1+1", "+cmd", "-1+1", "@sum", "\t=1", "\r=1", "\n=1", "＝1"])
def test_no_text_of_the_csv_is_a_formula(results, tmp_path, start):
    store(results, [metric(-0.5, reason=start, video="-")], labels={"name": start})
    export_results(results.root, tmp_path / "records.csv")
    with (tmp_path / "records.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["reason"], row["labels"]) == (f"'{start}", f"'{start}")
    assert (row["value"], row["video"]) == ("-0.5", "-")


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
    store(results, [metric(0.75)])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "records.csv").write_text("before")

    def break_off(store):
        raise OSError("disk full")
        yield

    monkeypatch.setattr(Results, "all_records", break_off)
    with pytest.raises(OSError, match="disk full"):
        export_results(results.root, tmp_path / "out" / "records.csv")
    assert [(entry.name, entry.read_text()) for entry in (tmp_path / "out").iterdir()] == [
        ("records.csv", "before")
    ]


def test_the_committed_records_are_all_there():
    records = list(Results(ROOT / "results").all_records())
    table = vadbench.load_results(ROOT / "results", videos=True)
    assert len(table) == sum(len(one.values) for one in records)
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
    store(results, [metric(0.75)])
    command = [str(Path(sys.executable).with_name("vadbench")), "export", "--out", "records.csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "1 rows written to records.csv\n"
    assert pd.read_csv(tmp_path / "records.csv")["value"].tolist() == [0.75]
