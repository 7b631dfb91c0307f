"""Scores that were not computed here become records like any other: measured, marked, ranked apart
unless declared free of test labels, and found out when they are edited.
"""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from vadbench import cli
from vadbench.datasets.open import open_dataset
from vadbench.datasets.synthetic import Synthetic
from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import evaluate_all
from vadbench.evaluation.frames import read_frame_scores
from vadbench.external.declared import Declared, check_name
from vadbench.external.rows import find_rows, split_names, take_apart
from vadbench.external.score import score_frames
from vadbench.external.submit import Submission, submit
from vadbench.report.compare import compare
from vadbench.report.leaderboard.entries import make_entries
from vadbench.report.leaderboard.places import add_places
from vadbench.report.leaderboard.site import build
from vadbench.report.tables.make import make_table
from vadbench.report.wandb.publication import publications
from vadbench.results.export import export_results
from vadbench.results.frame import Frame, load_results, value_of
from vadbench.results.records import Results
from vadbench.spec import METRICS
from vadbench.suite import make_suite

FREE = Declared(paper="Doe, 2026", code="https://example.org/x", test_free=("protocol", "code"))
FORMS = ("csv", "npy", "npz", "txt", "folder")


@pytest.fixture(autouse=True)
def street(street_cache, monkeypatch):
    """The synthetic street is here."""
    monkeypatch.setenv("VADBENCH_CACHE", str(street_cache))
    return open_dataset("synthetic")


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results")


def make_scores(labels, seed=0, noise=1.0):
    random = np.random.default_rng(seed)
    return {name: own + noise * random.normal(size=len(own)) for name, own in labels.videos.items()}


def write(scores, form, folder):
    """The scores as one of the forms."""
    path, flat = folder / f"scores.{form}", np.concatenate(list(scores.values()))
    if form == "csv":
        rows = [(video, i, x) for video, own in scores.items() for i, x in enumerate(own)]
        pd.DataFrame(rows, columns=["video", "frame", "score"]).to_csv(path, index=False)
    elif form == "npy":
        np.save(path, flat)
    elif form == "npz":
        np.savez(path, **scores)
    elif form == "txt":
        np.savetxt(path, flat, fmt="%.17g")
    else:
        path.mkdir()
        for video, own in scores.items():
            np.save(path / f"{video}.npy", own)
    return path


@pytest.fixture
def enter(street, results, tmp_path):
    """Submits scores of a seed, and gives the record."""

    def run(name="theirs", seed=0, form="npy", noise=1.0, declared=FREE, replace=False, **fields):
        folder = tmp_path / f"{name}-{seed}-{form}-{noise}"
        folder.mkdir(exist_ok=True)
        path = write(make_scores(street.labels(), seed, noise), form, folder)
        given = Submission(path, name, "synthetic", seed, declared, **fields)
        return submit(given, results, replace=replace)

    return run


def refusal(call, *arguments, **options):
    with pytest.raises(BadInput) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_same_scores_in_five_forms_give_identical_metrics(enter):
    records = [enter(f"form-{form}", form=form) for form in FORMS]
    assert len({record.values for record in records}) == 1
    assert len({record.identity for record in records}) == 5


def test_values_are_those_of_the_scores_and_have_their_intervals(enter, tmp_path):
    record = enter()
    scored = score_frames(tmp_path / "theirs-0-npy-1.0" / "scores.npy", dataset="synthetic")
    (wanted,) = [row for row in scored["rows"] if row["metric"] == "micro_auc"]
    value = value_of(record, METRICS["micro AUC"])
    assert scored["smoothing"] == 3
    assert [value.value, value.low, value.high] == pytest.approx(
        [wanted[name] for name in ("value", "low", "high")], abs=1e-6
    )


def test_a_record_says_whose_scores_they_are(enter, results):
    record = enter()
    run = results.run_of(record, 0)
    assert record.result.given == "Doe, 2026"
    assert record.result.parts[0].config == {
        "paper": "Doe, 2026",
        "code": "https://example.org/x",
        "test_free": ["code", "protocol"],
    }
    assert len(run.job["scores_sha256"]) == 64
    assert run.job["labels_sha256"] == record.labels["sha256"]
    assert results.folder_of(record).is_relative_to(results.root / "submitted")
    assert not (results.root / "recipes").exists()


def test_frame_scores_are_kept_as_a_runs_are(enter, results, street):
    record = enter()
    kept = read_frame_scores(record, results)
    assert kept.videos == tuple(street.labels().videos)
    assert kept.scores == pytest.approx(
        np.concatenate(list(make_scores(street.labels()).values())), abs=1e-6
    )


def test_evaluate_computes_it_again_and_changes_nothing(enter, results):
    path = results.folder_of(enter()) / "metrics.json"
    before = path.read_bytes()
    refused = []
    assert evaluate_all(results, {}, refused.append) == 1
    assert not refused
    assert path.read_bytes() == before
    assert evaluate_all(results, {"smoothing": 7}, refused.append) == 1
    assert len(list(results.all_records())) == 2


def test_given_scores_have_no_training_scores_to_be_calibrated_by(enter, results):
    enter()
    refused = []
    assert evaluate_all(results, {"calibration": "minmax"}, refused.append) == 0
    assert "what training rows scored is not known" in refused[0]


def test_seeds_of_a_name_are_one_entry(enter, results):
    values = [value_of(enter(seed=seed), METRICS["micro AUC"]).value for seed in (0, 1, 2)]
    (entry,) = make_entries(load_results(results.root), results.all_runs())
    assert entry.seeds == (0, 1, 2)
    assert entry.cells[0].value == pytest.approx(np.mean(values))
    assert entry.cells[0].spread == pytest.approx(np.std(values, ddof=1))


def test_seeds_of_a_name_declare_the_same(enter):
    enter()
    told = refusal(enter, seed=1, declared=Declared(paper="Roe, 2026", test_free=FREE.test_free))
    assert "seed 0 declares another code, paper" in told


def test_a_record_of_the_same_seed_is_replaced_when_asked_alone(enter, results):
    old = enter()
    assert "--replace" in refusal(enter, noise=2.0)
    new = enter(noise=2.0, replace=True)
    assert [record.identity for record in results.all_records()] == [new.identity]
    assert [run.identity for run in results.all_runs()] == [*new.runs]
    assert new.identity != old.identity
    assert len(list((results.root / "submitted" / "frames").rglob("*.npz"))) == 1


def test_what_was_submitted_before_may_be_submitted_again(enter, results):
    first, again = enter(), enter()
    assert (first.identity, first.values) == (again.identity, again.values)
    assert len(list(results.all_records())) == 1


@pytest.mark.parametrize(
    ("declared", "apart"),
    [
        (FREE, None),
        (Declared(), "not declared free of test labels"),
        (Declared(test_free=("code",)), "not declared free of test labels"),
        (Declared(train_data="Kinetics", test_free=("code", "protocol")), "other data (Kinetics)"),
    ],
)
def test_they_are_ranked_apart_unless_declared_free_of_test_labels(enter, results, declared, apart):
    record = enter(declared=declared)
    (entry,) = make_entries(load_results(results.root), results.all_runs())
    if apart is None:
        assert record.result.apart is None
        assert "scores given" not in entry.group.training
    else:
        assert apart in record.result.apart
        assert entry.group.training.endswith(record.result.apart)
    assert entry.settings == "scores given, metrics computed here"
    assert entry.usual
    assert add_places([entry])[0].places[0] == 1


@pytest.mark.parametrize("name", ["mulde", "MULDE", "accivad", "", ".x", "../x", "a/b", "a b", "é"])
def test_a_name_is_no_methods_and_no_path(name):
    assert "--as" in refusal(check_name, name)


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        (Declared(code="javascript:x"), "--code 'javascript:x'; expected an address"),
        (Declared(paper="a\x1b[1m"), "--paper"),
        (Declared(notes="x" * 501), "--notes has 501 characters"),
        (Declared(test_free=("data",)), "unknown part in --test-free 'data'"),
    ],
)
def test_what_cannot_be_declared_is_told(enter, results, declared, told):
    assert told in refusal(enter, declared=declared)
    assert not results.root.exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda flat: flat[:-1], "1199 values where the test split of synthetic has 1200 frames"),
        (lambda flat: np.where(flat > 2, np.inf, flat), "expected finite scores"),
        (lambda flat: np.where(flat > 2, np.nan, flat), "has score nan; expected a number"),
    ],
)
def test_scores_that_do_not_fit_leave_nothing_behind(street, results, tmp_path, change, told):
    flat = np.concatenate(list(make_scores(street.labels()).values()))
    np.save(tmp_path / "s.npy", change(flat))
    given = Submission(tmp_path / "s.npy", "theirs", "synthetic")
    assert told in refusal(submit, given, results)
    assert not results.root.exists()


@pytest.mark.parametrize("scale", [1e-30, 1e60])
def test_scores_of_any_size_keep_their_order(street, results, tmp_path, scale):
    scores = make_scores(street.labels())
    values = []
    for name, factor in (("plain", 1.0), ("scaled", scale)):
        np.savez(tmp_path / f"{name}.npz", **{v: factor * own for v, own in scores.items()})
        record = submit(Submission(tmp_path / f"{name}.npz", name, "synthetic"), results)
        values.append(value_of(record, METRICS["micro AUC, unsmoothed"]).value)
    assert values[0] == pytest.approx(values[1], abs=1e-6)


@pytest.fixture
def absent(monkeypatch):
    """The data set is not here."""

    def labels(self):
        raise BadInput("synthetic is not there")

    monkeypatch.setattr(Synthetic, "labels", labels)


@pytest.fixture
def flat_labels(street):
    return street.labels().flat()


@pytest.fixture
def boxes(street, tmp_path):
    """The regions themselves, scored at random."""
    tracks = street.tracks().drop(columns="track")
    path = tmp_path / "boxes.csv"
    tracks.assign(score=np.random.default_rng(0).random(len(tracks))).to_csv(path, index=False)
    return path


def test_boxes_give_region_metrics_that_evaluate_keeps(enter, results, boxes):
    record = enter(detections=boxes)
    for title in ("RBDC", "TBDC"):
        value = value_of(record, METRICS[title])
        assert 0.5 < value.value <= 1
        assert value.videos
    refused = []
    assert evaluate_all(results, {"smoothing": 7}, refused.append) == 1
    values = {value_of(one, METRICS["RBDC"]).value for one in results.all_records()}
    assert values == {value_of(record, METRICS["RBDC"]).value}
    assert enter("without").digests.regions != record.digests.regions


def test_boxes_that_do_not_fit_are_told(enter, results, boxes):
    table = pd.read_csv(boxes)
    table.assign(frame=table["frame"] + 1000).to_csv(boxes, index=False)
    assert "boxes.csv: " in refusal(enter, detections=boxes)
    table.assign(video="elsewhere").to_csv(boxes, index=False)
    assert "elsewhere" in refusal(enter, detections=boxes)
    assert not results.root.exists()


def test_without_the_data_set_its_labels_are_checked(
    enter, results, tmp_path, street, flat_labels, request
):
    scores = write(make_scores(street.labels()), "npy", tmp_path)
    here = enter()
    shutil.rmtree(results.root)
    np.save(tmp_path / "labels.npy", flat_labels)
    request.getfixturevalue("absent")
    given = Submission(scores, "theirs", "synthetic", declared=FREE, labels=tmp_path / "labels.npy")
    assert submit(given, results).values == here.values
    assert "--labels FILE" in refusal(submit, Submission(scores, "x", "synthetic"), results)


def test_another_file_of_labels_is_told(results, tmp_path, street, flat_labels, request):
    scores = write(make_scores(street.labels()), "npy", tmp_path)
    other = flat_labels.copy()
    other[:3] = 1 - other[:3]
    np.save(tmp_path / "labels.npy", other)
    given = Submission(scores, "theirs", "synthetic", labels=tmp_path / "labels.npy")
    assert "differ from those of synthetic here in 3 frames" in refusal(submit, given, results)
    request.getfixturevalue("absent")
    told = refusal(submit, given, results)
    assert f"{int(other.sum())} anomalous frames, `exact` has {int(flat_labels.sum())}" in told


def test_the_labels_of_avenue_that_circulate_are_known(results, tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path))
    labels = np.zeros(15324, int)
    labels[:3867] = 1
    np.save(tmp_path / "labels.npy", labels)
    np.save(tmp_path / "s.npy", labels + 0.5)
    given = Submission(tmp_path / "s.npy", "x", "avenue", labels=tmp_path / "labels.npy")
    told = refusal(submit, given, results)
    assert "this is mnad-interval; the two differ on 441 frames" in told
    labels[3712:] = 0
    np.save(tmp_path / "labels.npy", labels)
    assert submit(given, results).labels["name"] == "masks-not-empty"


def edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def set_declared(document):
    document["result"]["parts"][0]["config"]["test_free"] = ["code", "protocol"]


def set_scores(document):
    document["job"]["scores_sha256"] = "0" * 64


def test_an_edited_record_is_found_out(enter, results, capsys):
    record = enter(declared=Declared())
    edit(results.folder_of(record) / "metrics.json", set_declared)
    (found,) = results.all_records()
    assert found.edited is not None
    assert not load_results(results.root)["ranked"].any()


def test_an_edited_origin_is_found_out(enter, results, capsys):
    record = enter()
    run = results.run_of(record, 0)
    edit(results.run_folder(run.job, run.identity) / "run.json", set_scores)
    (found,) = results.all_records()
    assert "damaged or was edited" in found.edited


def test_other_frame_scores_are_found_out(enter, results):
    record = enter()
    path = results.frames_path(results.run_of(record, 0))
    arrays = dict(np.load(path))
    arrays["maxima.0"] = arrays["maxima.0"][::-1]
    np.savez_compressed(path, **arrays)
    assert "not the frame maxima" in refusal(read_frame_scores, record, results)


@pytest.fixture
def vadbench(tmp_path, monkeypatch, capsys):
    """Runs the command line in this process; gives its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["vadbench", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code, *capsys.readouterr()

    return run


def test_a_submitted_row_stands_in_every_view(enter, results, vadbench, tmp_path, street):
    first, second = enter("theirs"), enter("Other", noise=3.0, declared=Declared())
    enter("theirs", seed=1)
    code, told, _ = vadbench(
        *("table", "--methods", "theirs,Other", "--datasets", "synthetic", "--format", "markdown")
    )
    assert code == 0
    assert "| theirs (scores given) | given" in told
    assert "Scores given by others, metrics computed here; as they declare: `theirs" in told
    assert "paper: Doe, 2026" in told
    assert "`Other (scores given)`: scores given, code and protocol not declared" in told
    code, told, _ = vadbench("compare", "theirs:0", "Other")
    assert code == 0
    assert "A  synthetic/theirs@given:0" in told
    site = build(results.root, tmp_path / "site").parent
    assert "scores given, metrics computed here" in (site / "index.html").read_text()
    assert "As declared: Doe, 2026." in (site / "methods" / "theirs.html").read_text()
    export_results(results.root, tmp_path / "all.csv")
    exported = pd.read_csv(tmp_path / "all.csv")
    assert set(exported["given"]) == {"Doe, 2026", "Other"}
    assert {one.identity for one in publications(results, [first, second])} == {
        *first.runs,
        *second.runs,
    }
    difference = compare(results, "theirs:0", "Other").metrics[0]
    assert difference.first == value_of(first, METRICS["micro AUC"]).value
    assert difference.low is not None


def test_submitted_scores_stand_beside_a_suites_rows(enter, results, vadbench):
    enter("theirs")
    enter("Other", declared=Declared())
    enter("Third", noise=2.0, declared=Declared())
    options = ("--add", "theirs,Other,Third", "--format", "csv", "--metrics", "micro AUC")
    code, told, _ = vadbench("table", "synthetic", *options)
    assert code == 0
    rows = {line.split(",")[2]: line for line in told.splitlines() if "(scores given)" in line}
    assert set(rows) == {f"{name} (scores given)" for name in ("theirs", "Other", "Third")}


def test_rows_that_are_ranked_apart_are_a_list_of_their_own(enter, results):
    enter("theirs")
    enter("Other", declared=Declared())
    enter("Third", noise=2.0, declared=Declared())
    frame = Frame(results)
    suite = make_suite({"methods": ["theirs", "Other", "Third"], "datasets": ["synthetic"]})
    rest, names = split_names(suite, frame)
    assert rest.methods == ()
    rows = find_rows(names, suite.datasets, {}, frame)
    table = make_table(rest, rows, frame)
    assert [row.unranked is None for row in table.rows] == [True, False, False]
    apart = take_apart(table, rows)
    assert [row.method for row in apart.rows] == ["Other (scores given)", "Third (scores given)"]
    assert all(row.unranked is None for row in apart.rows)
    assert take_apart(table, rows[:2]) is None


def test_one_command_makes_a_row_of_a_suites_table(street, vadbench, tmp_path):
    path = write(make_scores(street.labels()), "npz", tmp_path)
    arguments = ("submit", str(path), "--as", "theirs", "--dataset", "synthetic")
    code, told, _ = vadbench(*arguments, "--table", "synthetic")
    assert code == 0
    assert "| theirs (scores given)" in told
    code, _, _ = vadbench(*arguments, "--seed", "1", "--table", "nowhere")
    assert code == 2
    assert len(list((tmp_path / "results").rglob("metrics.json"))) == 1


def test_a_name_that_is_nowhere_is_refused_as_a_method(enter, vadbench):
    enter("theirs")
    code, _, told = vadbench("table", "synthetic", "--add", "nobody")
    assert code == 2
    assert "unknown method 'nobody'" in told
    code, _, told = vadbench("table", "ped2", "--add", "theirs")
    assert code == 2
    assert "submitted on synthetic" in told


def test_the_command_says_what_it_wrote(street, vadbench, tmp_path):
    path = write(make_scores(street.labels()), "npz", tmp_path)
    arguments = ("submit", str(path), "--as", "theirs", "--dataset", "synthetic")
    code, told, _ = vadbench(*arguments, "--seed", "3", "--test-free", "code,protocol")
    assert code == 0
    assert "synthetic/theirs@given:3" in told
    assert "Ranked among the methods here." in told
    assert "Record: results/submitted/recipes/synthetic/theirs@given/" in told
    code, told, _ = vadbench(*arguments, "--seed", "4", "--table", "synthetic")
    assert code == 2, "another declaration"
    code, told, failed = vadbench(*arguments, "--test-free", "all")
    assert (code, told) == (2, "")
    assert failed.count("\n") == 1


def test_another_folders_scores_of_a_seed_are_not_merged(enter, results, vadbench, tmp_path):
    enter()
    results.root.rename(tmp_path / "others")
    kept = enter(noise=2.0)
    code, _, told = vadbench("merge", "others", "--results", "results")
    assert code == 1
    assert told.count("scores of theirs, seed 0, are here already") == 2
    assert [record.identity for record in results.all_records()] == [kept.identity]


def test_a_table_refuses_a_seed_that_was_copied_beside_another(enter, results, vadbench, tmp_path):
    enter()
    results.root.rename(tmp_path / "others")
    enter(noise=2.0)
    shutil.copytree(tmp_path / "others", results.root, dirs_exist_ok=True)
    code, _, told = vadbench("table", "--methods", "theirs", "--datasets", "synthetic")
    assert (code, "theirs: two records of seed 0 on synthetic" in told) == (2, True)
