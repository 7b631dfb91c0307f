"""Records that versions before 0.2 wrote keep loading, and say what they said."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from vadbench.evaluation.evaluate import EVALUATION
from vadbench.evaluation.frames import PartFrames, read_frame_scores, sum_frames
from vadbench.evaluation.intervals import read_jackknife
from vadbench.files.npz import load_arrays
from vadbench.plans.plan import plan_suite
from vadbench.report.tables.make import make_table
from vadbench.results.frame import Frame, load_results, value_of
from vadbench.results.identity import identity_of
from vadbench.results.records import Results
from vadbench.spec import METRICS, NOT_COMPUTED
from vadbench.suite import make_suite

STORED = Path(__file__).resolve().parents[1] / "data" / "schema1"
DOCUMENTS = {
    path.parent.name: json.loads(path.read_text()) for path in STORED.rglob("metrics.json")
}
SINGLE, SPLIT, READ_OUT = "0d08abc38cab", "0d2d70ca926f", "ff97fbfe0c26"
FUSION, SOURCE = "0b46bf9b13c5", "b7379c599b26"


@pytest.fixture(scope="module")
def frame():
    return Frame(Results(STORED))


@pytest.fixture
def results(tmp_path):
    """A copy that may be changed."""
    shutil.copytree(STORED, tmp_path / "results")
    return Results(tmp_path / "results")


def find(frame, short):
    return next(one for name, one in frame.records.items() if name.startswith(short))


def arrays_of(frame, record):
    folder = frame.results.record_folder(record.dataset, record.recipe, record.identity)
    return load_arrays(folder / "frames.npz")


@pytest.fixture(params=DOCUMENTS)
def document(request):
    return DOCUMENTS[request.param]


@pytest.fixture
def record(frame, document):
    return frame.records[document["identity"]]


def test_all_are_there_each_with_its_runs(frame):
    assert {SINGLE, SPLIT, READ_OUT, FUSION, SOURCE} == DOCUMENTS.keys()
    assert {name[:12] for name in frame.records} == DOCUMENTS.keys()
    assert {run for one in frame.records.values() for run in one.runs} == frame.runs.keys()


def test_the_values_are_those_of_the_document(record, document):
    assert record.evaluation == EVALUATION
    assert len(record.values) == len(document["rows"])
    for value, row in zip(record.values, document["rows"], strict=True):
        assert {name: getattr(value, name) for name in row} == row


def test_a_record_is_what_its_document_says(record, document):
    (first, *_), result = document["parts"], record.result
    assert (record.dataset, record.recipe, record.seed) == (
        document["dataset"],
        document["recipe"],
        document["seed"],
    )
    assert [
        (part.method, part.stream, part.calibration, part.empty, part.config, part.fingerprint)
        for part in result.parts
    ] == [
        tuple(
            part[name]
            for name in ("method", "stream", "calibration", "empty", "config", "fingerprint")
        )
        for part in document["parts"]
    ]
    assert result.read_out == first.get("read_out")
    assert result.protocol.model_dump(mode="json").items() <= document["protocol"].items()
    assert record.labels == document["labels"]


def test_the_preset_is_not_known(record):
    assert record.result.preset is None
    assert "preset not recorded" in record.result.words


def test_the_identity_is_the_one_it_had(record, document):
    assert identity_of(record.result, record.runs) == record.identity == document["identity"]


def test_what_is_unusual_of_the_training_is_known(frame):
    words = {name: find(frame, name).result.training.words for name in DOCUMENTS}
    assert words == {
        SINGLE: (),
        FUSION: (),
        SPLIT: ("unsupervised",),
        READ_OUT: ("unsupervised",),
        SOURCE: ("trained on synthetic",),
    }
    assert find(frame, READ_OUT).shown == "t0"
    assert find(frame, FUSION).seed == 1


def test_frame_scores_are_the_stored_ones(frame, record):
    scores, arrays = read_frame_scores(record, frame.results), arrays_of(frame, record)
    np.testing.assert_array_equal(scores.scores, arrays["scores"][:, 0])
    assert scores.videos == tuple(arrays["videos"])
    assert scores.lengths.tolist() == arrays["lengths"].tolist()


@pytest.mark.parametrize("short", [SINGLE, SPLIT, READ_OUT, SOURCE])
def test_stored_scores_are_the_filled_maxima_before_smoothing(frame, short):
    record = find(frame, short)
    own = {
        name.removeprefix("part0."): values
        for name, values in arrays_of(frame, record).items()
        if name.startswith("part0.")
    }
    own |= {f"maxima.{place}": column for place, column in enumerate(own.pop("maxima").T)}
    expected = sum_frames([PartFrames.from_arrays(own)], record.result.parts)[:, 0]
    np.testing.assert_array_equal(read_frame_scores(record, frame.results).scores, expected)


def test_what_each_video_does_is_read_from_beside_the_scores(frame, record):
    arrays = frame.results.jackknife(record)
    stored = read_jackknife(arrays, METRICS["micro AUC"], record.result.protocol)
    assert stored.videos == value_of(record, METRICS["micro AUC"]).videos
    np.testing.assert_array_equal(
        stored.left_out, arrays_of(frame, record)["left_out.micro_auc.plain"]
    )


def test_the_data_frame_has_every_row(frame):
    table = load_results(STORED, videos=True)
    assert len(table) == sum(len(document["rows"]) for document in DOCUMENTS.values())
    assert set(table["settings"]) == {"preset not recorded"}
    assert table["fit_seconds"].notna().all()
    assert (table["key"] == [frame.records[one].result.key for one in table["identity"]]).all()


def test_the_plan_of_today_finds_them_and_its_table_shows_their_values(
    frame, tmp_path, monkeypatch
):
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path))
    suite = make_suite({"methods": ["magnitude"], "datasets": ["synthetic"], "name": "old"})
    (wanted,) = (plan := plan_suite(suite)).wanted
    record = find(frame, SINGLE)
    assert wanted.place == (record.result.key, record.seed)
    (row,) = make_table(plan.suite, plan.wanted, frame).rows
    cells = dict(zip(METRICS, row.cells, strict=False))
    for title in ("micro AUC", "RBDC"):
        value = value_of(record, METRICS[title])
        cell = cells[title]
        assert (cell.value, cell.low, cell.high) == (value.value, value.low, value.high)


def test_intervals_older_than_the_jackknife_are_left_out_with_the_command_that_makes_them(results):
    (path,) = results.root.glob(f"recipes/*/*/{SINGLE}/metrics.json")
    document = json.loads(path.read_text())
    for row in document["rows"]:
        row.pop("interval_reason", None)
    path.write_text(json.dumps(document))
    record = find(Frame(results), SINGLE)
    value = value_of(record, METRICS["micro AUC"])
    assert (value.low, value.high, value.interval_reason) == (None, None, NOT_COMPUTED)
    assert value.value == value_of(find(Frame(Results(STORED)), SINGLE), METRICS["micro AUC"]).value
