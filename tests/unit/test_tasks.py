"""A suite handed over as tasks: what they make together is what `vadbench run` makes."""

import json
import os
import shutil
import signal

import numpy as np
import pytest
from typer.testing import CliRunner
from vadbench_methods.knn import KNN

from vadbench.cli import app
from vadbench.errors import BadInput
from vadbench.executors.local import one_fit_each
from vadbench.executors.slurm import Alive, find_alive, read_options
from vadbench.executors.submission import Submission, TaskList, write_tasks
from vadbench.plans.plan import plan_suite
from vadbench.results.records import Results
from vadbench.runner import on_slurm
from vadbench.runner.job import failed_record
from vadbench.runner.on_slurm import Handed, Queue, describe_states
from vadbench.runner.run import run_suite
from vadbench.runner.tasks import TimeLimitNear, run_task
from vadbench.suite import make_suite

SUITE = {"methods": ["magnitude", "knn"], "datasets": ["synthetic"], "settings": {"knn": {"k": 2}}}


@pytest.fixture
def plan(street_cache, monkeypatch):
    monkeypatch.setenv("VADBENCH_CACHE", str(street_cache))
    return plan_suite(make_suite(SUITE))


def hand_over(plan, root, **fields):
    """The folder of a submission of all jobs of a plan."""
    fits = tuple(tuple(job.identity for job in group) for group in one_fit_each(plan.jobs))
    suite = plan.suite.model_dump(mode="json")
    tasks = TaskList(suite=suite, features=("synthetic",), fits=fits, **fields)
    return write_tasks(root, tasks).folder


def test_tasks_make_what_one_run_makes(plan, tmp_path):
    said = []
    folder = hand_over(plan, tmp_path / "tasks")
    done = [("features", 0), ("fits", 0), ("fits", 1), ("table", 0)]
    assert all(run_task(folder / "plan.json", stage, index, said.append) for stage, index in done)
    run_suite(plan, Results(tmp_path / "local"), quiet=True, say=said.append)
    ours, theirs = Results(tmp_path / "tasks"), Results(tmp_path / "local")
    for job in plan.jobs:
        one, other = (each.rows(each.run(job.document, job.identity)) for each in (ours, theirs))
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    tables = [(each.root / "tables/latest.csv").read_text() for each in (ours, theirs)]
    assert tables[0] == tables[1]


def test_what_has_left_no_record_is_recorded_by_the_last_task(plan, tmp_path):
    folder = hand_over(plan, tmp_path)
    said = []
    assert run_task(folder / "plan.json", "fits", 0, said.append)
    assert not run_task(folder / "plan.json", "table", 0, said.append)
    results = Results(tmp_path)
    (lost,) = (run for job in plan.jobs if (run := results.run(job.document, job.identity)).error)
    assert "EndedWithoutRecord: cancelled, killed, out of time, or its node has died" in lost.error
    assert "fits-1.log" in lost.error
    states = describe_states(plan, results, Queue({}, table=False))
    assert states == "2 jobs: 1 done, 0 running, 0 waiting, 1 failed, 0 missing"


def test_a_suite_of_settings_comes_back_as_it_was(tmp_path):
    suite = make_suite(
        {
            "methods": ["mulde", "accivad"],
            "datasets": ["ped2", "synthetic"],
            "features": ["velocity@file.vec", "deep"],
            "fusions": ["velocity+deep"],
            "seeds": 2,
            "rows": [{"label": "narrow", "method": "mulde", "settings": {"mulde": {"beta": 0.5}}}],
            "settings": {"mulde": {"units": [8, 8]}, "protocol": {"smoothing": None}},
        }
    )
    fits = (("a" * 64,),)
    tasks = TaskList(suite=suite.model_dump(mode="json"), features=(), fits=fits)
    assert write_tasks(tmp_path, tasks).read_tasks().read_suite() == suite


def test_a_job_of_another_version_is_refused_and_the_others_run(plan, tmp_path):
    folder = hand_over(plan, tmp_path)
    document = json.loads((folder / "plan.json").read_text())
    document["fits"][0] = ["0" * 64]
    (folder / "plan.json").write_text(json.dumps(document))
    with pytest.raises(BadInput, match="none of this version or these data, which have changed"):
        run_task(folder / "plan.json", "fits", 0, print)
    said = []
    assert run_task(folder / "plan.json", "fits", 1, said.append)
    assert not run_task(folder / "plan.json", "table", 0, said.append)
    assert any("1 job of this submission have not run" in line for line in said)
    assert any("evaluated synthetic/" in line for line in said)


def test_after_the_time_limit_no_other_job_of_the_fit_begins(street_cache, tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_CACHE", str(street_cache))
    row = {"label": "two", "method": "knn", "settings": {"knn": {"k": 2}}}
    plan = plan_suite(make_suite({"methods": ["knn"], "datasets": ["synthetic"], "rows": [row]}))
    assert len({job.fit_identity for job in plan.jobs}) == 1 < len(plan.jobs)
    fits = []

    def tell(detector, train):
        fits.append(detector)
        os.kill(os.getpid(), signal.SIGUSR1)

    monkeypatch.setattr(KNN, "fit", tell)
    assert not run_task(hand_over(plan, tmp_path) / "plan.json", "fits", 0, print)
    assert len(fits) == 1
    results = Results(tmp_path)
    reasons = [results.run(job.document, job.identity).error for job in plan.jobs]
    assert all("TimeLimitNear: the batch system's time limit" in reason for reason in reasons)


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A squeue that fails so many times, and then knows of no task."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "squeue").write_text(
        "#!/bin/bash\n"
        'left=$(cat "${0%/*}/left"); echo $((left - 1)) > "${0%/*}/left"\n'
        "[ $left -le 0 ] || { echo Unable to contact slurm controller >&2; exit 1; }\n"
    )
    (folder / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(on_slurm, "POLL", 0.01)
    return folder / "left"


def test_a_queue_that_does_not_answer_is_asked_again(plan, tmp_path, queue):
    queue.write_text("3")
    said = []
    outcome = on_slurm.wait_for(plan, Results(tmp_path), said.append)
    assert said == ["squeue: Unable to contact slurm controller; asking again"]
    assert outcome.lacking == (
        f"2 jobs without a record; the logs in {tmp_path / 'slurm'} say why",
    )


def test_a_queue_that_never_answers_ends_the_waiting_alone(plan, tmp_path, queue, monkeypatch):
    queue.write_text("1000")
    monkeypatch.setattr(on_slurm, "PATIENCE", 0.1)
    with pytest.raises(BadInput, match="the jobs go on, and the same command follows them"):
        on_slurm.wait_for(plan, Results(tmp_path), print)


def test_what_an_earlier_submission_has_left_is_no_reason_of_this_one(plan, tmp_path):
    results, job = Results(tmp_path), plan.jobs[0]
    results.write_run(failed_record(job, TimeLimitNear("more time")), None)
    record = results.run_folder(job.document, job.identity) / "run.json"
    os.utime(record, (1e9, 1e9))
    folder = hand_over(plan, tmp_path)
    assert not run_task(folder / "plan.json", "table", 0, print)
    assert "EndedWithoutRecord" in results.run(job.document, job.identity).error
    results.write_run(failed_record(job, TimeLimitNear("more time")), None)
    assert not run_task(folder / "plan.json", "table", 0, print)
    assert "TimeLimitNear" in results.run(job.document, job.identity).error


def test_what_cannot_be_evaluated_is_told_by_the_last_task_and_by_who_waits(plan, tmp_path, queue):
    queue.write_text("0")
    folder = hand_over(plan, tmp_path)
    for number in range(2):
        assert run_task(folder / "plan.json", "fits", number, print)
    (rows,) = tmp_path.glob("runs/*/*/knn/*/rows.npz")
    rows.write_bytes(rows.read_bytes()[:-50])
    said = []
    assert run_task(folder / "plan.json", "table", 0, said.append)
    assert any(line.startswith("not evaluated: synthetic/knn@velocity:0: ") for line in said)
    assert len(list(Results(tmp_path).all_records())) == 1
    (line,) = on_slurm.wait_for(plan, Results(tmp_path), print).unevaluated
    assert "rows.npz" in line


def run_anew(plan, root):
    """A submission that runs finished jobs anew, and the task list's number of kNN."""
    run_suite(plan, Results(root), quiet=True, say=str)
    identities = [job.identity for job in plan.jobs]
    (place,) = (place for place, job in enumerate(plan.jobs) if job.method == "knn")
    return hand_over(plan, root, replace=frozenset(identities)), place


def follow(plan, folder, monkeypatch, say):
    """Wait for a submission none of whose tasks is left."""
    monkeypatch.setattr(on_slurm, "read_queue", lambda *_: Queue({}, table=False))
    anew = dict.fromkeys((job.identity for job in plan.jobs), Submission(folder))
    return on_slurm.wait_for(plan, Results(folder.parents[1]), say, Handed(anew=anew))


def break_down(*_):
    raise RuntimeError("out of memory")


def test_a_job_that_fails_as_it_runs_again_has_failed_and_its_record_stays(
    plan, tmp_path, monkeypatch
):
    folder, place = run_anew(plan, tmp_path)
    monkeypatch.setattr(KNN, "fit", break_down)
    assert not run_task(folder / "plan.json", "fits", place, print)
    assert run_task(folder / "plan.json", "fits", 1 - place, print)
    said = []
    assert not run_task(folder / "plan.json", "table", 0, said.append)
    assert any("knn on synthetic" in line and "failed: RuntimeError" in line for line in said)
    assert not any("evaluated synthetic/knn" in line for line in said)
    outcome = follow(plan, folder, monkeypatch, said.append)
    ((job, error),) = outcome.failed
    assert job.method == "knn"
    assert error.startswith("RuntimeError: out of memory (")
    assert not outcome.lacking
    assert said[-1].endswith(error)
    results = Results(tmp_path)
    assert {results.run(job.document, job.identity).status for job in plan.jobs} == {"done"}


def test_a_job_that_is_killed_as_it_runs_again_has_failed(plan, tmp_path, monkeypatch):
    folder, place = run_anew(plan, tmp_path)
    assert run_task(folder / "plan.json", "fits", 1 - place, print)
    assert not run_task(folder / "plan.json", "table", 0, print)
    outcome = follow(plan, folder, monkeypatch, str)
    ((job, error),) = outcome.failed
    assert job.method == "knn"
    assert error.startswith("EndedWithoutRecord: ")
    assert error.endswith(f"fits-{place}.log")


def test_a_job_at_its_time_limit_as_it_runs_again_has_failed(plan, tmp_path, monkeypatch):
    folder, place = run_anew(plan, tmp_path)
    monkeypatch.setattr(KNN, "fit", lambda *_: os.kill(os.getpid(), signal.SIGUSR1))
    assert not run_task(folder / "plan.json", "fits", place, print)
    outcome = follow(plan, folder, monkeypatch, str)
    assert [error.partition(":")[0] for _, error in outcome.failed] == ["TimeLimitNear"]


def test_a_job_that_ends_well_when_it_runs_once_more_has_not_failed(plan, tmp_path, monkeypatch):
    folder, place = run_anew(plan, tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(KNN, "fit", break_down)
        assert not run_task(folder / "plan.json", "fits", place, print)
    assert run_task(folder / "plan.json", "fits", place, print)
    assert run_task(folder / "plan.json", "fits", 1 - place, print)
    assert run_task(folder / "plan.json", "table", 0, print)
    assert not follow(plan, folder, monkeypatch, str).failed


def test_jobs_that_run_anew_are_known_while_their_submission_waits(plan, tmp_path, monkeypatch):
    folder, _ = run_anew(plan, tmp_path)
    submission = Submission(folder)
    monkeypatch.setattr(
        on_slurm.slurm, "list_alive", lambda: [Alive(submission.name("table", 0), 8, 0, "PENDING")]
    )
    queue = on_slurm.read_queue(Results(tmp_path), plan)
    assert queue.anew == dict.fromkeys((job.identity for job in plan.jobs), submission)
    monkeypatch.setattr(on_slurm.slurm, "list_alive", list)
    assert not on_slurm.read_queue(Results(tmp_path), plan).anew


@pytest.fixture
def command(plan, tmp_path, monkeypatch):
    """`vadbench run --executor slurm` on a Slurm that has nothing to do; what it says and prints,
    and its exit code. The street's jobs are done, and ped2 is not here.
    """
    run_suite(plan, Results(tmp_path / "results"), quiet=True, say=str)
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(on_slurm.slurm, "require_slurm", lambda: None)
    monkeypatch.setattr(on_slurm.slurm, "list_alive", list)

    def call(datasets, *more):
        chosen = ["--methods", "magnitude,knn", "--datasets", datasets, "--set", "knn.k=2"]
        where = ["--results", str(tmp_path / "results")]
        command = ["run", *chosen, *where, "--executor", "slurm", *more]
        done = CliRunner().invoke(app, command)
        assert done.exception is None or isinstance(done.exception, (SystemExit, BadInput))
        return done

    return call


def test_what_is_done_counts_where_other_data_are_not_here(command):
    done = command("synthetic,ped2", "--wait")
    assert done.exit_code == 1
    assert "| magnitude" in done.stdout
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("not run: "))
    assert line.startswith("not run: ped2 velocity: ")
    done = command("synthetic,ped2", "--quiet")
    assert done.exit_code == 1
    assert done.stderr == f"{line}\n"
    assert command("synthetic").exit_code == 0


def test_without_anything_to_run_or_done_the_reason_is_told(command):
    error = command("ped2").exception
    assert isinstance(error, BadInput)
    assert str(error).startswith("nothing of this can be run here: ped2 velocity: ")


def test_a_thorough_look_is_taken_where_jobs_are_submitted(command, monkeypatch):
    looks = []

    def look(name):
        real = getattr(on_slurm, name)

        def called(*given):
            looks.append((name, given[-1]))
            return real(*given)

        monkeypatch.setattr(on_slurm, name, called)

    look("job_states")
    look("find_lacking")
    command("synthetic", "--thorough")
    assert looks[:2] == [("job_states", True), ("find_lacking", True)]


@pytest.mark.parametrize(
    "suite",
    [{}, {"preset": "none"}, {"methods": ["knn"], "seeds": "x"}, {"colour": "red"}],
)
def test_a_damaged_suite_of_a_plan_is_one_line(plan, tmp_path, suite):
    folder = hand_over(plan, tmp_path)
    document = json.loads((folder / "plan.json").read_text())
    document["suite"] = suite if not suite else {**document["suite"], **suite}
    (folder / "plan.json").write_text(json.dumps(document))
    with pytest.raises(BadInput, match=r"plan\.json: suite"):
        run_task(folder / "plan.json", "fits", 0, print)


@pytest.mark.parametrize("place", ["plan.json", "x/y/plan.json", "slurm/one/other.json"])
def test_a_plan_that_lies_elsewhere_writes_nowhere(plan, tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(hand_over(plan, tmp_path / "results") / "plan.json", path)
    with pytest.raises(BadInput, match=r"expected RESULTS/slurm/NAME/plan\.json"):
        run_task(path, "fits", 0, print)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": 2}', '{"suite": {}, "features": [], "fits": []}', "\\x00"],
)
def test_what_is_no_plan_is_one_line(tmp_path, text):
    path = tmp_path / "results/slurm/one/plan.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(BadInput, match=r"plan\.json: "):
        run_task(path, "fits", 0, print)


def test_a_task_that_is_not_there_is_refused(plan, tmp_path):
    folder = hand_over(plan, tmp_path)
    with pytest.raises(BadInput, match="has 2 fits tasks, none number 2"):
        run_task(folder / "plan.json", "fits", 2, print)
    with pytest.raises(BadInput, match="No such file"):
        run_task(tmp_path / "slurm/nowhere/plan.json", "fits", 0, print)


def test_tasks_are_found_by_the_names_of_their_arrays(tmp_path):
    submission = Submission(tmp_path / "20261130-120000-abcdef")
    names = [submission.name("fits", 0), submission.name("fits", 1000)]
    other = Submission(tmp_path / "20261130-120000-abcde").name("fits", 0)
    alive = [
        Alive(names[0], 8, 3, "RUNNING"),
        Alive(names[1], 9, 3, "PENDING"),
        *(Alive(name, 8, 0, "RUNNING") for name in (other, "mine", names[0] + "x")),
    ]
    assert find_alive(submission, alive) == {("fits", 3): alive[0], ("fits", 1003): alive[1]}


@pytest.mark.parametrize(
    "text",
    [
        "time=1;ls",
        "a b",
        "=3",
        "--time=3",
        "time=$(ls)",
        "mem=8G,dependency=3",
        "time='3'",
        "test-only",
        "time=3,version",
        "mem=8G,=3",
    ],
)
def test_options_that_are_none_are_refused(text):
    with pytest.raises(BadInput, match="--slurm: "):
        read_options(text)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("partition=gpu,long,time=1:00", ("--partition=gpu,long", "--time=1:00")),
        ("exclude=n[1-3,5],exclusive", ("--exclude=n[1-3,5]", "--exclusive")),
        ("mail-type=END,FAIL,mem=8G", ("--mail-type=END,FAIL", "--mem=8G")),
        ("hold", ("--hold",)),
        ("", ()),
    ],
)
def test_a_value_may_have_commas(text, options):
    assert read_options(text) == options
