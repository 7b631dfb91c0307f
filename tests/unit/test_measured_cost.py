"""`vadbench cost` measures what a method takes, here of one that takes what it is told to."""

import csv
import io
import json

import cv2
import numpy as np
import pytest
from sleeper import put_on_path

from vadbench import cli, registry
from vadbench.detector import Features
from vadbench.errors import BadInput
from vadbench.features.store import Stream
from vadbench.locations import cache_root
from vadbench.plans.needs import extract_features
from vadbench.plans.plan import plan_suite
from vadbench.report.timings import COLUMNS, Timing, describe, make_grid, read_csv, render
from vadbench.runner import cost
from vadbench.runner.keep import train_models
from vadbench.suite import make_suite

STREAM = "velocity@grid"
TIMING = Timing(
    method="mulde",
    dataset="synthetic",
    features="velocity",
    seed=0,
    settings="fast, beta=0.2",
    identity="ab" * 32,
    fit_seconds=12.3456,
    fit_peak_mib=512.0,
    frame_ms=0.123456,
    frame_ms_p99=1.5,
    batch_ms=0.01,
    batch_rows_a_second=123456.7,
    parameters=68097,
    size_kib=300.25,
    score_peak_mib=400.0,
    train_rows=6000,
    test_rows=8000,
    columns=6,
    frames=1000,
    device="cpu",
    threads=1,
    cpu="A | B",
    cores=2,
    load=1.5,
    platform="Linux",
    python="3.11.7",
    torch=None,
)


def write_clips(folder):
    """Two training clips and a test clip of two squares that move, and what they are."""
    entries = []
    for number, split in enumerate(("train", "train", "test")):
        clip = folder / f"{split}{number}"
        clip.mkdir(parents=True)
        for frame in range(12):
            image = np.full((64, 96), 90, np.uint8)
            for top, left in ((8, 4 + 3 * frame + number), (40, 70 - 4 * frame)):
                image[top : top + 16, left : left + 12] = 220
            assert cv2.imwrite(str(clip / f"{frame:03d}.png"), image)
        labels = "anomalous = [[4, 7]]\n" if split == "test" else ""
        entries.append(f'[[clip]]\npath = "{clip.name}"\nsplit = "{split}"\n{labels}')
    (folder / "dataset.toml").write_text("\n".join(entries))


@pytest.fixture(autouse=True)
def place(tmp_path, tmp_path_factory, monkeypatch):
    """Data and cache of a test, with the method installed."""
    put_on_path(tmp_path_factory.mktemp("package"), monkeypatch)
    write_clips(tmp_path / "data" / "folder")
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    registry.load("detectors", "sleeper").loaded = False
    registry.load("detectors", "sleeper").calls.clear()
    yield tmp_path
    registry._entries.cache_clear()


def plan_of(methods="sleeper", **settings):
    suite = {"methods": methods.split(","), "datasets": ["folder"], "features": [STREAM]}
    plan = plan_suite(make_suite({**suite, "settings": {"sleeper": settings} if settings else {}}))
    assert not extract_features(plan.jobs, quiet=True)
    return plan


def job_of(**settings):
    (job,) = plan_of(**settings).jobs
    return job


def fit_here(job, folder):
    return cost._fit_and_save(job, cache_root(), folder, None)


def score_here(job, folder, frames=100):
    return cost._load_and_score(job, cache_root(), fit_here(job, folder).folders, frames, None)


def test_the_time_of_training_is_that_of_a_fit_whose_libraries_are_loaded(tmp_path):
    fitted = fit_here(job_of(loading=1.0, fitting=0.05), tmp_path / "saved")
    assert 0.05 <= fitted.seconds < 1.0


def test_a_long_fit_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "LONG", 0.1)
    fitted = fit_here(job_of(loading=0.2), tmp_path / "saved")
    assert fitted.seconds >= 0.2


def test_a_frame_takes_what_a_call_of_score_takes(tmp_path):
    scored = score_here(job_of(scoring=0.03), tmp_path)
    assert scored.frame_ms_p99 >= scored.frame_ms >= 30
    # all rows are one call, which sleeps once
    assert 30 / scored.frames <= scored.batch_ms < scored.frame_ms
    assert scored.batch_rows_a_second <= scored.test_rows / 0.03


def test_frames_are_scored_one_a_call_and_then_all_rows_at_once(tmp_path):
    scored = score_here(job_of(), tmp_path, frames=3)
    calls = registry.load("detectors", "sleeper").calls
    assert scored.frames == 3
    assert len(calls) == 3 + 3 + cost.PASSES  # three to warm up
    assert calls[-cost.PASSES :] == [scored.test_rows] * cost.PASSES


def test_parameters_and_size_are_those_of_what_is_saved(tmp_path):
    job = job_of(numbers=1234)
    timing = cost.measure_cost(job, cache_root(), frames=2)
    fitted = fit_here(job, tmp_path / "saved")
    files = [path for path in (tmp_path / "saved").rglob("*") if path.is_file()]
    assert timing.parameters == 1234
    assert timing.size_kib == sum(path.stat().st_size for path in files) / 1024
    assert 1234 * 8 / 1024 < timing.size_kib < 1234 * 8 / 1024 + 2
    assert timing.train_rows == fitted.train_rows
    assert (timing.settings, timing.device) == ("default, numbers=1234", "cpu")


@pytest.mark.slow
def test_a_method_has_the_peak_of_its_own_training_alone():
    hungry, modest = job_of(mebibytes=400), job_of()
    (_, large), (_, small) = cost.measure_costs([hungry, modest], cache_root(), frames=2)
    assert large.fit_peak_mib - small.fit_peak_mib > 300
    assert abs(large.score_peak_mib - small.score_peak_mib) < 100


@pytest.mark.slow
def test_a_method_that_fails_is_told_and_the_others_are_measured():
    jobs = [job_of(ends=True), job_of(fails=True), job_of()]
    killed, failed, whole = (one for _, one in cost.measure_costs(jobs, cache_root(), frames=2))
    assert "was killed" in killed
    assert failed == "ValueError: cannot score"
    assert isinstance(whole, Timing)


def test_a_kept_model_is_not_trained_again(tmp_path):
    plan = plan_of(numbers=77)
    train_models(plan, tmp_path / "results", quiet=True)
    timing = cost.measure_cost(plan.jobs[0], cache_root(), frames=2, kept=tmp_path / "results")
    assert (timing.fit_seconds, timing.fit_peak_mib) == (None, None)
    assert (timing.parameters, timing.train_rows > 0) == (77, True)


def test_each_scene_is_scored_by_its_own_detector():
    rows = Features(
        np.zeros((5, 2), np.float32), np.array([0, 0, 1, 2, 2]), np.array([0, 1, 0, 0, 1])
    )
    lengths = {"a": 2, "b": 1, "c": 2}
    test = Stream(rows, np.arange(5), lengths, {"scenes": ["01", "02", "01"]})
    groups = dict(cost._group_rows({"01": "one", "02": "two"}, test))
    assert groups["one"].video.tolist() == [0, 0, 2, 2]
    assert groups["two"].video.tolist() == [1]


def run(capsys, monkeypatch, *arguments):
    """Exit code, lines and lines on stderr of `vadbench cost`."""
    monkeypatch.setattr("sys.argv", ["vadbench", "cost", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    told = capsys.readouterr()
    return stop.value.code, told.out, told.err.splitlines()


HERE = ("--datasets", "folder", "--features", STREAM)


@pytest.mark.slow
def test_the_command_prints_a_line_a_method(capsys, monkeypatch):
    asked = ("--methods", "sleeper,magnitude", *HERE, "--frames", "5", "--format")
    code, out, errors = run(capsys, monkeypatch, *asked, "json", "--quiet")
    first, second = json.loads(out)
    assert (code, errors) == (0, [])
    assert (first["method"], first["parameters"], first["frames"]) == ("sleeper", 10, 5)
    assert (second["method"], second["parameters"]) == ("magnitude", 0)
    code, out, errors = run(capsys, monkeypatch, *asked, "terminal")
    head, *rows = out.splitlines()[:3]
    assert head.split()[:2] == ["method", "features"]
    assert [row.split()[:3] for row in rows] == [
        ["sleeper", "folder", STREAM],
        ["magnitude", "folder", STREAM],
    ]
    assert errors[0].startswith(f"[1/2] sleeper on folder {STREAM}, seed 0: ")


def test_the_command_writes_a_file(capsys, monkeypatch, tmp_path):
    asked = ("--methods", "magnitude", *HERE, "--frames", "5", "--out", "made/cost.csv", "--quiet")
    code, out, errors = run(capsys, monkeypatch, *asked)
    assert (code, out, errors) == (0, "csv table written to made/cost.csv\n", [])
    (one,) = read_csv((tmp_path / "made" / "cost.csv").read_text(), "cost.csv")
    assert (one.method, one.frames) == ("magnitude", 5)


@pytest.mark.slow
def test_the_command_ends_with_1_where_a_method_fails(capsys, monkeypatch):
    asked = ("--methods", "sleeper", *HERE, "--set", "sleeper.fails=true", "--quiet")
    code, out, errors = run(capsys, monkeypatch, *asked)
    assert (code, out) == (1, "")
    assert errors == [
        f"failed: sleeper on folder {STREAM}, seed 0: ValueError: cannot score",
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--methods", "gnn", *HERE), "unknown method 'gnn'"),
        (("--methods", "knn", "--datasets", "nowhere"), "unknown dataset"),
        (("--methods", "knn", *HERE, "--format", "xml"), "unknown format 'xml'"),
        (("--methods", "knn", "--datasets", "ped2"), "cannot be measured here"),
        (("--methods", "knn", *HERE, "--out", "cost.tex"), "expected a name that ends in .md"),
        (("--methods", "knn", *HERE, "--format", "terminal", "--out", "a.csv"), "is printed"),
        (("--datasets", "folder"), "give --methods"),
    ],
)
def test_a_mistake_is_one_line(capsys, monkeypatch, arguments, told):
    code, out, errors = run(capsys, monkeypatch, *arguments)
    assert (code, out, len(errors)) == (2, "", 1)
    assert told in errors[0]


def test_csv_and_json_have_every_field_and_digit():
    other = TIMING.model_copy(update={"fit_seconds": None, "torch": "2.0", "seed": 1})
    assert read_csv(render([TIMING, other], "csv"), "cost.csv") == [TIMING, other]
    assert [Timing(**one) for one in json.loads(render([TIMING, other], "json"))] == [TIMING, other]


def test_a_damaged_line_is_named():
    text = render([TIMING, TIMING], "csv")
    rows = list(csv.reader(io.StringIO(text)))
    damaged = text.replace(rows[2][rows[0].index("frame_ms")], "fast")
    with pytest.raises(BadInput, match=r"cost.csv, line 2: frame_ms: .*vadbench cost writes it"):
        read_csv(damaged, "cost.csv")


def test_the_grid_has_a_column_of_seeds_where_there_are_several():
    other = TIMING.model_copy(update={"seed": 1})
    heads, rows = make_grid([TIMING])
    assert heads[:3] == ["method", "features", "fit, s"]
    speeds = ("12.3", "0.123", "1.5", "0.01", "123k")
    assert rows == [["mulde", "synthetic velocity", *speeds, "68.1k", "300", "512", "400"]]
    heads, rows = make_grid([TIMING, other])
    assert (heads[2], [row[2] for row in rows]) == ("seed", ["0", "1"])
    assert all(len(row) == 3 + len(COLUMNS) for row in rows)


def test_a_method_with_several_settings_is_named_with_them():
    paper = TIMING.model_copy(update={"settings": "paper"})
    other = TIMING.model_copy(update={"method": "knn"})
    _, rows = make_grid([TIMING, paper, other, other.model_copy(update={"dataset": "ped2"})])
    assert [row[0] for row in rows] == ["mulde, fast, beta=0.2", "mulde, paper", "knn", "knn"]


def test_the_sentences_say_where_it_was_measured():
    slower = TIMING.model_copy(update={"load": 3.0, "settings": "default"})
    words = describe([TIMING, slower])
    assert words.startswith("A | B, 2 cores; 1 thread(s) a method, on cpu; Linux, Python 3.11.7.")
    assert "before each measurement: 1.5 to 3." in words
    assert "Settings: fast, beta=0.2 / default." in words
    assert "A \\| B" in render([TIMING], "markdown")
