"""The one frame of all results: how a metric is looked up, and how a new cost comes into it."""

import subprocess
import sys

import pytest
from record_builder import make_result, make_values, write_record

from vadbench.results.frame import Frame, value_of, video_values
from vadbench.results.records import Results
from vadbench.spec import METRICS, NOT_COMPUTED, USUAL, Value

AUC = METRICS["micro AUC"]


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results")


def look_up(results, title):
    frame = Frame(results)
    (value,) = frame.look_up(METRICS[title], frame.records.values())
    return value


@pytest.mark.parametrize("title", USUAL)
def test_each_metric_has_its_own_value(results, title):
    write_record(results, value={name: 0.1 * place for place, name in enumerate(USUAL)})
    assert look_up(results, title).value == pytest.approx(0.1 * USUAL.index(title))


def test_all_fields_of_a_value_come_back(results):
    value = Value(
        "micro_auc",
        smoothing="gaussian-3",
        value=0.5,
        n=7,
        low=0.25,
        high=0.75,
        videos=4,
        left_out=("pose", "clip"),
    )
    write_record(results, values=[value])
    assert look_up(results, "micro AUC") == value


def test_an_undefined_value_comes_back_with_its_reason(results):
    write_record(results, value=None, reason="one class only")
    value = look_up(results, "RBDC")
    assert (value.value, value.reason) == (None, "one class only")


def test_a_metric_that_a_record_has_not_says_that_it_is_not_computed(results):
    write_record(results, values=make_values(0.5, make_result().protocol, titles=("AP",)))
    value = look_up(results, "macro AUC (skip)")
    assert value == Value("macro_auc", "skip", reason=NOT_COMPUTED)


def test_values_stand_in_the_order_of_the_records_asked_for(results):
    records = [write_record(results, value=value, seed=value * 4) for value in (0.75, 0.25, 0.5)]
    frame = Frame(results)
    values = frame.look_up(AUC, [records[2], records[0]])
    assert [value.value for value in values] == [0.5, 0.75]


def test_without_smoothing_the_unsmoothed_values_are_those_of_every_column(results):
    write_record(results, value=0.5, protocol={"smoothing": None})
    assert look_up(results, "micro AUC") == look_up(results, "micro AUC, unsmoothed")


def test_regions_are_looked_up_however_ties_are_counted(results):
    write_record(results, value=0.5, protocol={"ties": "order"})
    assert (look_up(results, "TBDC").value, look_up(results, "TBDC").convention) == (0.5, "order")


def test_another_read_out_than_the_shown_one_is_not_looked_up(results):
    protocol = make_result().protocol
    values = [
        one
        for read_out, value in (("first", 0.25), ("second", 0.75))
        for one in make_values(value, protocol, read_out=read_out)
    ]
    write_record(results, values=values, read_outs=("first", "second"))
    assert look_up(results, "micro AUC").value == 0.25


def test_videos_have_values_of_their_own_and_scenes_are_none(results):
    record = write_record(results, value=0.5, videos={"a": 0.25, "b": None, "scene:01": 0.75})
    values = video_values(record, AUC)
    assert {name: value.value for name, value in values.items()} == {"a": 0.25, "b": None}


@pytest.mark.parametrize("smoothing", [3.0, None])
@pytest.mark.parametrize("title", [*METRICS])
def test_the_value_of_one_record_is_that_of_the_frame(results, title, smoothing):
    protocol = {"smoothing": smoothing}
    usual = make_result(protocol=protocol).protocol
    titles = [name for name in METRICS if name not in ("EER", "decision AUC")]
    values = [
        one
        for read_out, value in (("first", 0.25), ("second", 0.75))
        for one in make_values(value, usual, read_out=read_out, titles=titles, videos={"a": 0.5})
    ]
    record = write_record(
        results, values=values, read_outs=("first", "second"), read_out="second", protocol=protocol
    )
    (of_frame,) = Frame(results).look_up(METRICS[title], [record])
    assert value_of(record, METRICS[title]) == of_frame


def test_records_are_found_by_their_key_whatever_their_seed(results):
    for seed in (0, 1):
        write_record(results, seed=seed)
    write_record(results, "gmm@velocity")
    found = Frame(results).by_key[make_result().key]
    assert sorted(record.seed for record in found) == [0, 1]


NEW_COST = """
import sys
from pathlib import Path
from pydantic import create_model

from vadbench import spec
energy = spec._cost("energy", "J", "energy of all jobs")
memory = spec._cost("disk", "MiB", "largest folder of a job", over_jobs="max")
spec.Cost = create_model(
    "Cost", __base__=spec.Cost, joules=(float | None, energy), disk=(int | None, memory)
)
spec.COSTS = tuple(spec.Cost.model_fields)

from vadbench.results import frame
from vadbench.results.records import Results
from vadbench.results.schema import RunRecord
usual = RunRecord.cost.fget
RunRecord.cost = property(
    lambda run: usual(run).model_copy(update={"joules": run.seconds["fit"] * 10, "disk": 3})
)
table = frame.load_results(Path(sys.argv[1]))
assert frame.COLUMNS["joules"] == "energy of all jobs"
print(*table.loc[0, ["fit_seconds", "joules", "disk"]], table["joules"].dtype, table["disk"].dtype)
"""


def test_a_field_added_to_what_a_job_costs_is_a_column_of_its_type(results):
    write_record(results, "knn@velocity+deep")
    command = [sys.executable, "-c", NEW_COST, str(results.root)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["4.0", "40.0", "3.0", "float64", "Int64"]
