"""`vadbench events` on records that a run wrote: one record, the methods of a data set, a suite."""

import re

import numpy as np
import pytest
from figure_records import run, write_dataset
from typer.testing import CliRunner

from vadbench.cli import app
from vadbench.datasets import open as opened
from vadbench.datasets.events import Event
from vadbench.datasets.folder import Folder
from vadbench.errors import BadInput
from vadbench.evaluation.frames import read_frame_scores
from vadbench.evaluation.metrics.events import event_metrics
from vadbench.evaluation.metrics.ranges import range_volumes
from vadbench.evaluation.smoothing import smooth
from vadbench.report.events import measure_events
from vadbench.results.frame import value_of
from vadbench.results.records import Results
from vadbench.spec import METRICS

MANIFEST = """{fps}
[[clip]]
path = "clips/train"
split = "train"

[[clip]]
path = "clips/a"
split = "test"
anomalous = [[8, 15]]
categories = ["bicycle"]

[[clip]]
path = "clips/b"
split = "test"
anomalous = [[4, 11], [10, 19]]
categories = ["fight", "bicycle"]

[[clip]]
path = "clips/c"
split = "test"
anomalous = []
"""
EVENTS = [
    Event("a", 8, 15, "bicycle"),
    Event("b", 4, 11, "fight"),
    Event("b", 10, 19, "bicycle"),
]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    write_dataset(tmp_path / "data")
    return tmp_path


def say(home, fps="fps = 10", interval="[[8, 15]]"):
    """Another manifest, as another process would read it."""
    text = MANIFEST.format(fps=fps).replace("[[8, 15]]", interval)
    (home / "data/folder/dataset.toml").write_text(text)
    opened._open.cache_clear()


@pytest.fixture
def results(home):
    say(home)
    results = Results(home / "results")
    run(results, methods=("magnitude", "gmm"), features=("velocity@grid",), seeds=2)
    return results


def events(results, *options):
    return CliRunner().invoke(app, ["events", *options, "--results", str(results.root)])


def cells(answer, name):
    """The cells of the line that begins with a name."""
    (line,) = [one for one in answer.output.splitlines() if one.startswith(f"| {name} ")]
    return [cell.strip() for cell in line.strip("| ").split("|")]


def raw(found, results):
    frames = read_frame_scores(found.record, results)
    parts = np.split(frames.scores, np.cumsum(frames.lengths)[:-1])
    return dict(zip(frames.videos, parts, strict=True)), frames


def test_a_record_is_measured_on_its_own_scores(results):
    found = measure_events(results, "magnitude@velocity@grid")
    assert list(found.truth.events) == EVENTS
    assert found.micro.value == value_of(found.record, METRICS["micro AUC"]).value
    assert [(one.category, one.events, one.frames) for one in found.categories] == [
        ("bicycle", 2, 18),
        ("fight", 1, 8),
    ]
    _, frames = raw(found, results)
    smoothed = smooth(frames.scores, frames.lengths, 3.0)
    parts = np.split(smoothed, np.cumsum(frames.lengths)[:-1])
    smoothed = dict(zip(frames.videos, parts, strict=True))
    assert found.buffer == 20  # 2 seconds
    assert found.volumes == range_volumes(smoothed, found.truth.labels.videos, 20)
    assert found.above is None


def test_the_table_of_a_record_has_a_line_a_category(results):
    found = measure_events(results, "magnitude@velocity@grid")
    answer = events(results, "magnitude@velocity@grid")
    assert answer.exit_code == 0, answer.output
    for name, one in zip(("bicycle", "fight"), found.categories, strict=True):
        auc = f"{100 * one.auc.value:.1f}"
        assert cells(answer, name) == [name, str(one.events), str(one.frames), auc]
    assert cells(answer, "all") == ["all", "3", "24", f"{100 * found.micro.value:.1f}"]
    assert f"AMOC {100 * found.early.value:.1f}." in answer.output
    assert "folder/magnitude@velocity@grid:0" in answer.output
    assert "Above" not in answer.output


def test_with_a_threshold_events_are_found_late_and_alarms_false(results):
    found = measure_events(results, "magnitude@velocity@grid")
    scores, frames = raw(found, results)
    threshold = float(np.quantile(frames.scores, 0.6))
    told = event_metrics(scores, EVENTS, found.truth.labels.videos, threshold, 10)
    fight = event_metrics(scores, [EVENTS[1]], found.truth.labels.videos, threshold, 10)
    assert told.false_alarms  # else the next lines say little
    answer = events(results, "magnitude@velocity@grid", "--threshold", str(threshold))
    assert cells(answer, "all")[4:] == [
        f"{100 * told.found.value:.1f}",
        f"{told.delay.value:.2f}",
        f"{told.median_delay.value:.2f}",
    ]
    assert cells(answer, "fight")[4:6] == [
        f"{100 * fight.found.value:.1f}",
        f"{fight.delay.value:.2f}",
    ]
    hourly = f"{told.false_alarms_per_hour.value:.1f} an hour of normal frames"
    alarms = f"{told.false_alarms} alarm{'' if told.false_alarms == 1 else 's'}"
    assert f": {alarms} without an anomalous frame, {hourly}" in answer.output
    nothing = events(results, "magnitude@velocity@grid", "--threshold", "1e9")
    assert cells(nothing, "all")[4:] == ["0.0", "–", "–"]
    assert "–: no event was found." in nothing.output


def test_without_a_frame_rate_delays_are_in_frames_and_a_buffer_is_asked_for(results, home):
    say(home, fps="")
    answer = events(results, "magnitude@velocity@grid", "--threshold", "0")
    assert "mean delay, frames" in answer.output
    assert "VUS-ROC –, VUS-PR –" in answer.output
    assert "–: the frame rate is not known; --buffer gives it in frames." in answer.output
    assert "– an hour of normal frames (the frame rate is not known)" in answer.output
    given = events(results, "magnitude@velocity@grid", "--buffer", "4")
    assert "VUS-ROC –" not in given.output
    assert "buffers of up to 4 frames" in given.output


def test_the_methods_of_a_data_set_are_rows_and_its_categories_columns(results):
    answer = events(results, "--datasets", "folder")
    assert answer.exit_code == 0, answer.output
    seeds = [measure_events(results, f"gmm@velocity@grid:{seed}") for seed in (0, 1)]
    means = [
        np.mean([one.categories[0].auc.value for one in seeds]),
        np.mean([one.categories[1].auc.value for one in seeds]),
        np.mean([one.micro.value for one in seeds]),
        np.mean([one.volumes.roc.value for one in seeds]),
        np.mean([one.volumes.pr.value for one in seeds]),
        np.mean([one.early.value for one in seeds]),
    ]
    assert cells(answer, "gmm")[2:] == ["2", *(f"{100 * mean:.1f}" for mean in means)]
    assert cells(answer, "method")[3:] == ["bicycle", "fight", "all", "VUS-ROC", "VUS-PR", "AMOC"]
    assert "bicycle 2 (18 frames), fight 1 (8 frames)" in answer.output
    alone = events(results, "--datasets", "folder", "--methods", "magnitude")
    assert "| gmm" not in alone.output
    assert cells(alone, "magnitude") == cells(answer, "magnitude")


def test_a_suite_has_a_row_for_what_was_not_run_and_for_scores_that_are_gone(results, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'datasets = ["folder"]\nmethods = ["magnitude", "knn"]\nfeatures = ["velocity@grid"]\n'
    )
    answer = events(results, "--suite", str(path))
    assert answer.exit_code == 0, answer.output
    assert cells(answer, "knn [1]")[2:] == ["0", "–", "–", "–", "–", "–", "–"]
    assert "[1] not run; `vadbench plan --datasets folder --methods knn`" in answer.output
    (found,) = [one for one in results.all_records() if one.result.method == "magnitude"]
    run_record = results.run_of(found, 0)
    results.frames_path(run_record).unlink()
    gone = events(results, "--suite", str(path))
    assert cells(gone, "magnitude [1]")[2:] == ["0", "–", "–", "–", "–"]
    assert "frame" in gone.output.split("[1] ")[-1]


def test_events_without_categories_have_no_columns_of_them(home):
    results = Results(home / "results")
    run(results, methods=("magnitude",), features=("velocity@grid",))
    answer = events(results, "--datasets", "folder")
    assert cells(answer, "method")[3:] == ["all", "VUS-ROC", "VUS-PR", "AMOC"]
    assert "Events: no category 2 (24 frames)" in answer.output
    one = events(results, "magnitude@velocity@grid", "--threshold", "0")
    assert "| no category" not in one.output
    assert cells(one, "all")[:3] == ["all", "2", "24"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), r"give a RECORD, or --suite or --datasets"),
        (("gmm@velocity@grid:0", "--datasets", "folder"), r"give a RECORD, or"),
        (("--datasets", "folder", "--threshold", "1"), r"--threshold goes with a RECORD"),
        (("gmm@velocity@grid:0", "--methods", "gmm"), r"--methods and --features choose records"),
        (("gmm@velocity@grid:0", "--threshold", "nan"), r"threshold: nan; expected a number"),
        (("--datasets", "folder", "--methods", "knn"), r"unknown method with records 'knn'"),
        (("--datasets", "folder", "--methods", "gmm,nope"), r"unknown method with records 'nope'"),
        (("gmm@velocity@grid:0", "--threshold", "inf"), r"threshold: inf; expected a number"),
        (("knn@velocity@grid",), r"knn@velocity@grid"),
    ],
)
def test_what_cannot_be_printed_is_refused_in_one_line(results, options, reason):
    answer = events(results, *options)
    assert isinstance(answer.exception, BadInput)
    assert re.search(reason, str(answer.exception))


def test_other_labels_than_the_record_s_are_refused(results, home):
    say(home, interval="[[8, 14]]")
    answer = events(results, "magnitude@velocity@grid")
    assert "labels `own` here are not those of the record" in str(answer.exception)


def test_events_that_differ_from_the_labels_are_refused(results, monkeypatch):
    monkeypatch.setattr(Folder, "events", lambda self: EVENTS[:2])
    answer = events(results, "magnitude@velocity@grid")
    assert "frame 12 of b is anomalous, but in no event" in str(answer.exception)
