"""A record that was edited after it was written is named and ranked nowhere; the others are shown
as ever.
"""

import json
import shutil

import numpy as np
import pytest
from record_builder import make_run, write_record
from record_edits import UNSEEN, list_edits, move_run, reseal, write

from vadbench import cli
from vadbench.errors import BadInput
from vadbench.evaluation.frames import PartFrames, read_frame_scores
from vadbench.plans.plan import plan_suite
from vadbench.report.compare import compare
from vadbench.report.leaderboard.entries import make_entries
from vadbench.report.leaderboard.failures import add_failures
from vadbench.report.leaderboard.methods import other_read_outs
from vadbench.report.leaderboard.places import add_places
from vadbench.report.ranks import rank_table
from vadbench.report.tables.make import make_table
from vadbench.results.frame import Frame, load_results
from vadbench.results.records import Results
from vadbench.suite import make_suite

METHODS, DATASETS = ("gmm", "knn", "iforest"), ("ped1", "ped2")
VICTIM, OTHER = "knn", "gmm"
HONEST, BEST = 0.75, 0.5  # the victim's value and everybody else's


@pytest.fixture(scope="module")
def plan():
    return plan_suite(
        make_suite({"methods": METHODS, "datasets": DATASETS, "features": ("velocity",)})
    )


def draw_frames(random):
    """Frame maxima of two videos of 40 frames."""
    rows = {
        f"{split}_{name}": values
        for split in ("train", "test")
        for name, values in (
            ("scores", random.normal(size=(80, 1))),
            ("video", np.repeat([0, 1], 40)),
            ("frame", np.tile(np.arange(40), 2)),
        )
    }
    lengths = np.full(2, 40)
    return PartFrames.of_rows(rows, lengths).arrays(lengths)


@pytest.fixture(scope="module")
def stored(tmp_path_factory, plan):
    """Records of three methods on two data sets; the victim is the best."""
    results = Results(tmp_path_factory.mktemp("stored") / "results")
    random = np.random.default_rng(0)
    for one in plan.planned:
        fields = {"read_outs": ("score",), "test_videos": (("a", 40), ("b", 40))}
        runs = [
            make_run(one.result, place, identity=job.identity, job=job.document, **fields)
            for place, job in enumerate(one.jobs)
        ]
        for run in runs:
            results.write_frames(run, draw_frames(random))
        value = HONEST if one.result.method == VICTIM else BEST
        moves = random.normal(scale=1e-4, size=12)
        write_record(
            results, value=value, result=one.result, runs=runs, moves=moves, videos={"a": 0.5}
        )
    return results.root


@pytest.fixture
def results(stored, tmp_path):
    shutil.copytree(stored, tmp_path / "results")
    return Results(tmp_path / "results")


def path_of(root, name, method=VICTIM, dataset="ped2"):
    parts = {
        "metrics.json": f"recipes/{dataset}/{method}@*/*",
        "run.json": f"runs/{dataset}/*/{method}/*",
    }
    (path,) = root.glob(f"{parts[name]}/{name}")
    return path


def read(path):
    return json.loads(path.read_text())


def show(plan, results):
    """What each view says of every method on ped2: whether it has a value, and whether it is
    ranked, best, better than another, or compared.
    """
    shared = Frame(results)
    table = make_table(plan.suite, plan.wanted, shared)
    column = next(i for i, one in enumerate(table.columns) if one.dataset == "ped2")
    cells = {row.method: row.cells[column] for row in table.rows}
    ranked = {row.method for row in rank_table(table).ranked}
    frame = load_results(results.root, videos=True)
    of_ped2 = frame[(frame["dataset"] == "ped2") & frame["edited"].isna()]
    runs = list(shared.runs.values())
    jackknives = {name: results.jackknife(one) for name, one in shared.records.items()}
    entries = make_entries(shared.values, runs, jackknives.get)
    entries = add_places(add_failures(entries, runs))
    board = [one for one in entries if one.group.dataset == "ped2" and one.unranked is None]
    placed = {one.method for one in board if isinstance(one.places[0], int)}
    return {
        name: (
            cell.value is not None,
            cell.best > 0 or bool(cell.beats) or cell.peer,
            name in ranked,
            name in set(of_ped2["method"]),
            any(
                one.method == name and one.cells[0].value is not None
                for one in entries
                if one.group.dataset == "ped2"
            ),
            name in placed,
        )
        for name, cell in cells.items()
    }


SHOWN, HIDDEN = (True,) * 6, (False,) * 6


def test_what_was_written_is_shown_and_ranked(plan, results, capsys):
    assert show(plan, results)[VICTIM] == SHOWN
    assert compare(results, f"ped2/{VICTIM}@velocity", f"ped2/{OTHER}@velocity").metrics
    assert capsys.readouterr().err == ""


def edits(stored, name):
    return dict(list_edits(read(path_of(stored, name))))


@pytest.fixture
def alone(results):
    """The victim's record and run on ped2 alone."""
    for path in (*results.root.glob("runs/*/*/*/*"), *results.root.glob("recipes/*/*/*")):
        if "ped2" not in path.parts or VICTIM not in str(path.relative_to(results.root)):
            shutil.rmtree(path)
    return results


def test_every_edit_of_a_record_is_seen_as_it_is_read(stored, alone, capsys):
    """Every field of metrics.json and of run.json, changed, out of range, of another kind, or
    removed.
    """
    tried = 0
    for name in ("metrics.json", "run.json"):
        path = path_of(alone.root, name)
        for edit, document in edits(stored, name).items():
            write(path, document)
            own = [one for one in Results(alone.root).all_records() if one.edited is None]
            assert not own, edit
            assert str(path) in capsys.readouterr().err, edit
            tried += 1
        shutil.copy(path_of(stored, name), path)
    assert tried > 300


def is_seen(edit):
    field = edit.rpartition(" ")[0]
    return not any(part in UNSEEN for part in field.split("."))


def test_an_edit_of_what_a_record_is_of_is_seen_though_it_was_sealed_again(stored, alone, capsys):
    path, tried = path_of(alone.root, "metrics.json"), 0
    (honest,) = (one for one in alone.all_records() if one.name.startswith(f"ped2/{VICTIM}@"))
    for edit, document in edits(stored, "metrics.json").items():
        if is_seen(edit) and not edit.startswith("sha256"):
            write(path, reseal(document))
            own = [one for one in Results(alone.root).all_records() if one.edited is None]
            told = capsys.readouterr().err
            # a field that is not there has its default, which may be what was written
            same = edit.endswith(" removed") and honest in own
            assert same or (not own and str(path) in told), edit
            tried += 1
    assert tried > 100


def values_with(document, **fields):
    """The document with the first value of the victim changed."""
    table = document["values"]
    rows = [dict(zip(table["columns"], row, strict=False)) for row in table["rows"]]
    rows[0] |= fields
    defaults = dict.fromkeys(table["columns"]) | {"left_out": [], "n": 0}
    listed = [[row.get(name, defaults[name]) for name in table["columns"]] for row in rows]
    return {**document, "values": {**table, "rows": listed}}


IMPOSSIBLE = {
    "7.5": {"value": 7.5},
    "-0.1": {"value": -0.1},
    "no value": {"value": None},
    "a text": {"value": "0.9"},
    "true": {"value": True},
    "huge": {"value": 10**400},
    "interval elsewhere": {"low": 0.9, "high": 0.95},
    "interval upside down": {"low": 0.8, "high": 0.7},
    "half an interval": {"low": 0.7, "high": None},
    "interval out of range": {"low": 0.7, "high": 1.5},
    "negative count": {"n": -1},
    "half a frame": {"n": 1.5},
    "huge count": {"n": 10**30},
    "videos -1": {"videos": -1},
    "a reason for a value": {"reason": "one class only"},
    "no metric": {"metric": "accuracy"},
    "another smoothing": {"smoothing": "gaussian-9"},
}
SEEN = {
    "value .999": (False, {"value": 0.999, "low": None, "high": None}),
    **{name: (False, fields) for name, fields in IMPOSSIBLE.items()},
    **{f"{name}, sealed again": (True, fields) for name, fields in IMPOSSIBLE.items()},
}


@pytest.mark.parametrize("edit", SEEN)
def test_an_impossible_value_is_shown_nowhere(plan, results, edit, capsys):
    sealed, fields = SEEN[edit]
    path = path_of(results.root, "metrics.json")
    document = values_with(read(path), **fields)
    write(path, reseal(document) if sealed else document)
    assert_hidden(plan, results, path, capsys)


def assert_hidden(plan, results, path, capsys, others=SHOWN):
    shown = show(plan, results)
    assert shown[VICTIM] == HIDDEN
    assert all(shown[name][0] and shown[name][2] for name in METHODS if name != VICTIM)
    assert str(path) in capsys.readouterr().err
    with pytest.raises(BadInput, match=r"edited|no record|damaged"):
        compare(results, f"ped2/{VICTIM}@velocity", f"ped2/{OTHER}@velocity")


def edit_seed(root):
    path = path_of(root, "metrics.json")
    document = read(path)
    document["result"]["training"]["seed"] = 3
    write(path, reseal(document))


def edit_protocol(root):
    path = path_of(root, "metrics.json")
    document = read(path)
    document["result"]["protocol"]["smoothing"] = 15.0
    write(path, reseal(document))


def empty_protocol(root):
    path = path_of(root, "metrics.json")
    document = read(path)
    document["result"]["protocol"] = {}
    write(path, reseal(document))


def swap_record(root):
    """Another method's numbers under the victim's name."""
    shutil.copy(path_of(root, "metrics.json", OTHER), path_of(root, "metrics.json"))


def rename_record(root):
    """Another method's record, which says that it is the victim's."""
    path = path_of(root, "metrics.json")
    victim, other = read(path), read(path_of(root, "metrics.json", OTHER))
    write(path, reseal({**victim, "values": other["values"], "runs": other["runs"]}))


def swap_jackknife(root):
    other = path_of(root, "metrics.json", OTHER).with_name("jackknife.npz")
    shutil.copy(other, path_of(root, "metrics.json").with_name("jackknife.npz"))


def drop_digests(root):
    path = path_of(root, "metrics.json")
    document = read(path)
    del document["sha256"], document["digests"]
    write(path, document)


def not_utf_8(root):
    path_of(root, "metrics.json").write_bytes(b'{"identity": "\xff"}')


def nested(root):
    path_of(root, "metrics.json").write_text("[" * 100_000)


def long_number(root):
    path_of(root, "metrics.json").write_text('{"schema_version": ' + "9" * 5000 + "}")


def not_a_number(root):
    path = path_of(root, "metrics.json")
    path.write_text(path.read_text().replace("0.75", "NaN"))


def infinite(root):
    path = path_of(root, "metrics.json")
    path.write_text(path.read_text().replace("0.75", "1e999"))


def half_a_character(root):
    path = path_of(root, "metrics.json")
    path.write_text(path.read_text().replace('"none"', '"\\ud800"'))


def cut_off(root):
    path = path_of(root, "metrics.json")
    path.write_text(path.read_text()[:-100])


def empty(root):
    path_of(root, "metrics.json").write_text("")


OTHERS = (
    edit_seed,
    edit_protocol,
    empty_protocol,
    swap_record,
    rename_record,
    swap_jackknife,
    drop_digests,
    not_utf_8,
    nested,
    long_number,
    not_a_number,
    infinite,
    half_a_character,
    cut_off,
    empty,
)


@pytest.mark.parametrize("edit", OTHERS, ids=lambda edit: edit.__name__)
def test_a_swapped_or_damaged_record_is_shown_nowhere(plan, results, edit, capsys):
    edit(results.root)
    assert_hidden(plan, results, path_of(results.root, "metrics.json"), capsys)


def test_a_record_copied_under_another_identity_stands_in_nobody_s_way(plan, results, capsys):
    path = path_of(results.root, "metrics.json")
    copied = path.parent.with_name("0" * 12)
    shutil.copytree(path.parent, copied)
    assert show(plan, results)[VICTIM] == SHOWN
    assert str(copied) in capsys.readouterr().err


def test_a_run_that_was_moved_to_its_new_identity_takes_its_record_along(plan, results):
    path = path_of(results.root, "run.json")
    document = read(path)
    document["job"]["config"] = {**document["job"]["config"], "k": 99}
    move_run(path, document)
    record = next(
        one for one in Results(results.root).all_records() if one.name.startswith(f"ped2/{VICTIM}")
    )
    assert record.edited is None  # its own run is not here any more: nothing to hold it against
    assert Results(results.root).run_of(record, 0) is None


def test_spaces_and_the_order_of_fields_are_no_edit(plan, results, capsys):
    path = path_of(results.root, "metrics.json")
    path.write_text(json.dumps(dict(reversed(read(path).items()))))
    assert show(plan, results)[VICTIM] == SHOWN
    assert capsys.readouterr().err == ""


def test_a_record_of_an_earlier_schema_is_shown_and_said_to_carry_no_digest(plan, results, capsys):
    path = path_of(results.root, "metrics.json")
    document = read(path)
    del document["sha256"], document["digests"]
    write(path, {**document, "schema_version": 2})
    assert show(plan, results)[VICTIM] == SHOWN
    assert "1 record made before records carried digests" in capsys.readouterr().err
    table = make_table(plan.suite, plan.wanted, Frame(results))
    assert "1 of its 6 records made before records carried digests" in table.caption


def test_frame_maxima_of_another_record_are_refused_where_they_are_read(results):
    victim, other = (
        results.root / "frames" / "ped2" / "velocity" / method for method in (VICTIM, OTHER)
    )
    shutil.copy(next(other.iterdir()), next(victim.iterdir()))
    record = next(one for one in results.all_records() if one.name.startswith(f"ped2/{VICTIM}"))
    with pytest.raises(
        BadInput, match=r"\.npz: not the frame maxima that ped2/knn.*--existing rerun"
    ):
        read_frame_scores(record, results)


COMMANDS = {
    "table": ("table", "--methods", ",".join(METHODS), "--datasets", "ped1,ped2"),
    "table --cost": ("table", "--methods", ",".join(METHODS), "--datasets", "ped2", "--cost"),
    "export": ("export", "--out", "all.csv"),
    "leaderboard": ("leaderboard", "--out", "site"),
    "compare": ("compare", f"ped1/{VICTIM}@velocity", f"ped1/{OTHER}@velocity"),
    "plan": ("plan", "--methods", "knn", "--datasets", "ped1"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("damage", [cut_off, not_utf_8, nested, edit_seed])
def test_a_command_shows_the_other_records_and_names_this_one(
    results, command, damage, tmp_path, monkeypatch, capsys
):
    for name, folder in (("VADBENCH_DATA", "data"), ("VADBENCH_CACHE", "cache")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.chdir(tmp_path)
    damage(results.root)
    argv = ["vadbench", *COMMANDS[command], "--results", str(results.root)]
    monkeypatch.setattr("sys.argv", argv)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    lines = capsys.readouterr().err.splitlines()
    if command != "plan":  # which reads runs alone
        assert not stop.value.code
        path = path_of(results.root, "metrics.json")
        assert all(str(path) in line or "knn" in line for line in lines)
        assert any(str(path) in line for line in lines)


def test_of_many_records_a_refusal_lists_the_nearest(results, monkeypatch):
    monkeypatch.setattr("vadbench.results.names.MOST_LISTED", 2)
    with pytest.raises(BadInput, match=r"there are: ped2/knn.*; and 4 others"):
        compare(results, "ped2/knn@velocitx", "ped2/knn")


def test_a_methods_page_has_no_read_outs_of_edited_records(results):
    path = path_of(results.root, "metrics.json")
    document = read(path)
    document["labels"]["name"] = "edited"
    path.write_text(json.dumps(document))
    frame = load_results(results.root)
    assert frame["edited"].notna().any()
    assert other_read_outs(frame) == {}
