import hashlib
import json

import pytest

from vadbench.results.records import Results

RUN = ("run", "--methods", "gaussian,knn,magnitude", "--datasets", "synthetic", "--quiet")


def files(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_run_writes_records_and_prints_the_table(vadbench, tmp_path):
    done = vadbench(*RUN)
    told = done.stdout
    assert "[1/3]" not in done.stderr  # --quiet
    for word in (
        "| gaussian",
        "| knn",
        "| magnitude",
        "micro AUC",
        "macro AUC (skip)",
        "sigma 3",
        "labels `",
    ):
        assert word in told
    runs = list((tmp_path / "results").glob("runs/synthetic/velocity/*/*/run.json"))
    assert len(runs) == 3
    record = json.loads(runs[0].read_text())
    assert record["status"] == "done"
    assert record["environment"]["packages"]["numpy"]
    for recipe in Results(tmp_path / "results").all_records():
        values = recipe.values
        assert {value.metric for value in values} >= {
            "micro_auc",
            "macro_auc",
            "eer",
            "average_precision",
        }
        assert {value.smoothing for value in values} == {"none", "gaussian-3"}
        whole = [
            value
            for value in values
            if value.video is None and value.metric in ("micro_auc", "rbdc", "tbdc")
        ]
        assert len(whole) == 4
        assert all(value.low <= value.value <= value.high for value in whole)
        assert all(0 <= value.value <= 1 for value in values if value.value is not None)
        assert all(value.reason for value in values if value.value is None)


def test_a_second_run_runs_nothing_and_changes_nothing(vadbench, tmp_path):
    first = vadbench(*RUN)
    before = files(tmp_path / "results")
    second = vadbench(*RUN)
    assert files(tmp_path / "results") == before
    assert second.stdout == first.stdout
    assert "training rows" not in second.stderr


def test_evaluate_recomputes_the_same_metrics_with_and_without_the_row_scores(vadbench, tmp_path):
    vadbench(*RUN)
    before = files(tmp_path / "results" / "recipes")
    vadbench("evaluate", *RUN[1:5])
    assert files(tmp_path / "results" / "recipes") == before
    for path in (tmp_path / "results").rglob("rows.npz"):
        path.unlink()
    vadbench("evaluate", *RUN[1:5])
    assert files(tmp_path / "results" / "recipes") == before


def test_a_fusion_keeps_no_frames_that_its_streams_keep(vadbench, tmp_path):
    fused = (
        "run",
        "--methods",
        "gaussian,gaussian@velocity+velocity.hof1",
        "--features",
        "velocity,velocity.hof1",
        "--datasets",
        "synthetic",
    )
    vadbench(*fused, "--quiet")
    before = files(tmp_path / "results" / "recipes")
    kept = {path.parts[-4:-1] for path in (tmp_path / "results" / "frames").rglob("*.npz")}
    assert kept == {("synthetic", stream, "gaussian") for stream in ("velocity", "velocity.hof1")}
    assert not list((tmp_path / "results" / "recipes").rglob("frames.npz"))
    for path in (tmp_path / "results").rglob("rows.npz"):
        path.unlink()
    vadbench("evaluate", *fused[1:])
    assert files(tmp_path / "results" / "recipes") == before


def test_every_record_is_evaluated_again_and_under_another_protocol(vadbench, tmp_path):
    vadbench(*RUN)
    before = files(tmp_path / "results" / "recipes")
    assert "3 recipes evaluated" in vadbench("evaluate").stdout
    assert files(tmp_path / "results" / "recipes") == before
    assert "3 recipes evaluated" in vadbench("evaluate", "--set", "protocol.smoothing=7").stdout
    protocols = [one.result.protocol for one in Results(tmp_path / "results").all_records()]
    assert sorted(protocol.smoothing for protocol in protocols) == [3, 3, 3, 7, 7, 7]
    assert "sigma 7" in vadbench("evaluate", *RUN[1:5], "--set", "protocol.smoothing=7").stdout
    assert "sigma 3" in vadbench("evaluate", *RUN[1:5]).stdout
    assert (
        "did you mean smoothing?"
        in vadbench("evaluate", "--set", "protocol.smooting=7", code=2).stderr
    )


def test_plan_tells_what_is_done(vadbench):
    assert "3 jobs (0 done, 0 failed, 3 missing)" in vadbench("plan", *RUN[1:5]).stdout
    vadbench(*RUN)
    assert "3 jobs (3 done, 0 failed, 0 missing)" in vadbench("plan", *RUN[1:5]).stdout


def test_existing_fail_refuses_and_rerun_gives_the_same_bytes(vadbench, tmp_path):
    vadbench(*RUN)
    scores = {
        path: sha for path, sha in files(tmp_path / "results").items() if path.name == "rows.npz"
    }
    assert "use --existing skip or rerun" in vadbench(*RUN, "--existing", "fail", code=2).stderr
    vadbench(*RUN, "--existing", "rerun")
    assert {
        path: sha for path, sha in files(tmp_path / "results").items() if path.name == "rows.npz"
    } == scores


def test_a_failing_job_is_a_footnote_and_the_others_go_on(vadbench, tmp_path):
    diverges = (
        "--methods",
        "mulde,gaussian",
        "--set",
        "mulde.lr=1e30",
        "--set",
        "mulde.max_steps=20",
    )
    told = vadbench("run", "--datasets", "synthetic", *diverges, "--quiet", code=1)
    assert "the loss is" in told.stderr
    assert "failed: FloatingPointError" in told.stdout
    assert "– [1] |" in " ".join(told.stdout.split())
    states = {
        json.loads(path.read_text())["status"] for path in (tmp_path / "results").rglob("run.json")
    }
    assert states == {"done", "failed"}
    assert "0 failed" not in vadbench("plan", "--datasets", "synthetic", *diverges).stdout


def test_two_processes_at_a_time_give_the_same_scores(vadbench, tmp_path):
    vadbench(*RUN)
    vadbench(*RUN, "--jobs", "2", "--results", "other")
    one, two = (
        {p.parent.name: s for p, s in files(tmp_path / name).items() if p.name == "rows.npz"}
        for name in ("results", "other")
    )
    assert one == two


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--methods", "gmmm", "--datasets", "synthetic"), "did you mean gmm?"),
        (("run", "--methods", "gmm", "--datasets", "ped3"), "did you mean ped2?"),
        (("run", "--methods", "gmm", "--datasets", "ped2"), "VADBENCH_DATA"),
        (("run", "--methods", "gmm"), "give --methods and --datasets"),
        (("run", "--suite", "demoo"), "did you mean demo?"),
        (("run", "--suite", "demo", "--set", "gmm.components=3"), "give a suite or these"),
        (("run", "--suite", "demo", "--add", "gmmm"), "did you mean gmm?"),
        (
            ("run", "--methods", "gmm", "--datasets", "synthetic", "--set", "gmm.colour=red"),
            "unknown field 'colour'",
        ),
        (("run", "--methods", "gmm", "--datasets", "synthetic", "--existing", "maybe"), "skip"),
        (("run", "--methods", "gmm", "--datasets", "synthetic", "--executor", "slurn"), "local"),
        (("list", "colours"), "methods"),
        (("data", "check", "ped2"), "VADBENCH_DATA"),
        (("table", "demo", "--format", "word"), "markdown"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(vadbench, tmp_path, arguments, message):
    done = vadbench(*arguments, code=2)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "results").exists()
