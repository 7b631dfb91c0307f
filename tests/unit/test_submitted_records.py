"""Every record under results/submitted/ is whole, well formed, of the labels that are known, and
says what its scores give.
"""

import re
import shutil
from pathlib import Path

import pytest

from vadbench.datasets.facts import read_facts
from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import evaluate_given
from vadbench.external.declared import Declared, check_name
from vadbench.external.truth import find_truth
from vadbench.results.records import SUBMITTED, Results
from vadbench.results.schema import same_record
from vadbench.spec import GIVEN, Protocol

RESULTS = Results(Path(__file__).resolve().parents[2] / "results")
HOME = RESULTS.root / SUBMITTED
RECORDS = [one for one in RESULTS.all_records() if one.result.given is not None]
SHA256 = re.compile(r"[0-9a-f]{64}")


@pytest.fixture(params=RECORDS, ids=lambda record: record.name)
def record(request):
    return request.param


def test_there_is_an_example():
    assert {"synthetic", "ped2"} <= {record.dataset for record in RECORDS}


def test_it_is_as_it_was_written(record):
    assert record.edited is None
    RESULTS.require_own_frames(record, [0])
    run = RESULTS.run_of(record, 0)
    assert run is not None
    assert RESULTS.frames_path(run).is_file()
    assert RESULTS.jackknife(record)


def test_its_name_and_what_is_declared_are_well_formed(record):
    (part,) = record.result.parts
    check_name(record.result.method)
    assert (part.method, part.stream, part.calibration) == (record.result.method, GIVEN, "none")
    declared = Declared(**part.config)
    assert declared.document() == part.config
    assert record.result.given == (declared.paper or declared.code or record.result.method)


def test_its_origin_is_said(record):
    run = RESULTS.run_of(record, 0)
    assert SHA256.fullmatch(run.job["scores_sha256"])
    assert run.job["labels_sha256"] == record.labels["sha256"]
    assert run.job["config"] == record.result.parts[0].config


def test_it_is_of_the_videos_and_labels_that_are_known(record):
    facts, run = read_facts(record.dataset), RESULTS.run_of(record, 0)
    if facts is None or record.result.training.split is not None:
        pytest.skip(f"of {record.dataset} nothing is known without its files")
    assert dict(run.test_videos) == facts.lengths
    told = {name: value for name, value in facts.truth.items() if value is not None}
    known = {name: told[name] for name in told if name != "source"}  # files bear several names
    assert known.items() <= record.labels.items()


def test_its_metrics_are_those_of_its_scores(record, tmp_path, street_cache, monkeypatch):
    monkeypatch.setenv("VADBENCH_CACHE", str(street_cache))
    try:
        truth = find_truth(record.dataset, setting=record.result.training.setting)
    except BadInput:
        pytest.skip(f"the labels of {record.dataset} are not here")
    assert record.result.protocol == Protocol(smoothing=truth.smoothing)
    again = Results(tmp_path)
    run = RESULTS.run_of(record, 0)
    again.write_run(run, None)
    again.frames_path(run).parent.mkdir(parents=True)
    shutil.copyfile(RESULTS.frames_path(run), again.frames_path(run))
    computed = evaluate_given(
        record.result, run.identity, truth.labels, truth.document, truth.scenes, again
    )
    arrays = again.jackknife(computed), RESULTS.jackknife(record)
    assert same_record(computed, arrays[0], record, arrays[1])


def test_nothing_else_lies_there():
    known = set()
    for record in RECORDS:
        run, folder = RESULTS.run_of(record, 0), RESULTS.folder_of(record)
        known |= {folder / "metrics.json", folder / "jackknife.npz"}
        known |= {RESULTS.run_folder(run.job, run.identity) / "run.json", RESULTS.frames_path(run)}
    assert {path for path in HOME.rglob("*") if path.is_file()} == known


def test_a_record_that_was_changed_is_noticed(record, tmp_path):
    copy = Results(tmp_path / "results")
    shutil.copytree(HOME, copy.root / SUBMITTED)
    path = copy.folder_of(record) / "metrics.json"
    value = next(one.value for one in record.values if one.value)
    text = path.read_text()
    path.write_text(text.replace(str(value), str(value / 2)))
    assert path.read_text() != text
    edited = [one.edited for one in copy.all_records() if one.identity == record.identity]
    assert edited != [None]
