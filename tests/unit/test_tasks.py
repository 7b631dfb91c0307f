"""A suite handed over as tasks: what they make together is what `vadbench run` makes."""

import json

import numpy as np
import pytest

from vadbench.errors import BadInput
from vadbench.executors.local import one_fit_each
from vadbench.executors.slurm import Alive, find_alive, read_options
from vadbench.executors.submission import (
    Numbers,
    Submission,
    TaskList,
    list_submissions,
    read_tasks,
    write_numbers,
    write_tasks,
)
from vadbench.plans.plan import plan_suite
from vadbench.results.records import Results
from vadbench.runner.run import run_suite
from vadbench.runner.tasks import Queue, describe_states, run_task
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
    return write_tasks(root, TaskList(suite=suite, features=("synthetic",), fits=fits, **fields))


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
    assert "EndedWithoutRecord: cancelled, killed, or its node has died" in lost.error
    assert "fits-1.log" in lost.error
    states = describe_states(plan, results, Queue({}, table=False, submissions=()))
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
    assert read_tasks(write_tasks(tmp_path, tasks) / "plan.json").read_suite() == suite


def test_jobs_of_another_version_are_refused(plan, tmp_path):
    folder = hand_over(plan, tmp_path)
    document = json.loads((folder / "plan.json").read_text())
    document["fits"][0] = ["0" * 64]
    (folder / "plan.json").write_text(json.dumps(document))
    with pytest.raises(BadInput, match="none of this version or these data; submit again"):
        run_task(folder / "plan.json", "fits", 1, print)


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
        run_task(tmp_path / "nowhere/plan.json", "fits", 0, print)


def test_tasks_are_found_by_the_numbers_of_the_queue(tmp_path):
    tasks = TaskList(suite={}, features=("ped2",), fits=tuple((f"{n}",) for n in range(1500)))
    numbers = Numbers(stages={"features": ((7, 0),), "fits": ((8, 0), (9, 1000))})
    submission = Submission(tmp_path, tasks, numbers)
    alive = [Alive(8, 3, "RUNNING"), Alive(9, 3, "PENDING"), Alive(10, 0, "RUNNING")]
    assert find_alive(submission, alive) == {("fits", 3): alive[0], ("fits", 1003): alive[1]}


def test_what_was_not_submitted_to_its_end_is_not_listed(plan, tmp_path):
    hand_over(plan, tmp_path)
    assert list(list_submissions(tmp_path)) == []
    write_numbers(hand_over(plan, tmp_path), {"fits": [(3, 0)], "table": [(4, 0)]})
    (submission,) = list_submissions(tmp_path)
    assert submission.place(4, 0) == ("table", 0)


@pytest.mark.parametrize(
    "text", ["time=1;ls", "a b", "=3", "--time=3", "time=$(ls)", "mem=8G,dependency=3", "time='3'"]
)
def test_options_that_are_none_are_refused(text):
    with pytest.raises(BadInput, match="--slurm: "):
        read_options(text)
