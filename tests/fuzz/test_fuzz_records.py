"""run.json and metrics.json, whatever they hold: every view is made of the other records, and what
is not as it was written is named and ranked nowhere.
"""

import json
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import BROKEN, DOCUMENTS, LONGEST, ROOT, edit, few, mutate, run

from vadbench.results.frame import load_results
from vadbench.results.records import Results
from vadbench.results.seals import SHA256, seal

RECIPES = ("gmm@velocity", "knn@velocity")
TABLE = ("--methods", "gmm,knn", "--datasets", "ped2", "--features", "velocity")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two committed records with their runs."""
    root = tmp_path_factory.mktemp("stored") / "results"
    committed = Results(ROOT / "results")
    for recipe in RECIPES:
        record = next(
            one
            for one in committed.all_records()
            if (one.dataset, one.recipe) == ("ped2", recipe) and not one.result.words
        )
        run_folder = committed.run_folder(committed.run_of(record, 0).job, record.runs[0])
        folders = (
            committed.record_folder(record.dataset, record.recipe, record.identity),
            run_folder,
        )
        for folder in folders:
            shutil.copytree(folder, root / folder.relative_to(committed.root))
    return root


@pytest.fixture(scope="module")
def working(stored):
    """A copy whose knn record is written over again and again."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(stored, Path(folder) / "results")
        yield Path(folder) / "results"


def path_of(root, name):
    return next(path for path in root.rglob(name) if "/knn" in str(path))


NAMES = st.sampled_from(["metrics.json", "run.json"])


@st.composite
def edited_files(draw, stored):
    """A file's name, what is written in its place, and whether it was sealed again."""
    name = draw(NAMES)
    text = path_of(stored, name).read_bytes()
    kind = draw(st.sampled_from(["bytes", "broken", "field", "field", "field", "other"]))
    if kind == "bytes":
        return name, mutate(draw, text)
    if kind == "broken":
        return name, draw(BROKEN)
    document = edit(draw, json.loads(text)) if kind == "field" else draw(DOCUMENTS)
    if isinstance(document, dict) and draw(st.booleans()):
        document[SHA256] = seal(document)
    return name, json.dumps(document).encode()


def put(working, name, text):
    path_of(working, name).write_bytes(text)


def restore(stored, working):
    for name in ("metrics.json", "run.json"):
        shutil.copy(path_of(stored, name), path_of(working, name))


@given(st.data())
def test_what_a_record_holds_stops_no_reading_of_the_others(stored, working, data):
    name, text = data.draw(edited_files(stored))
    try:
        put(working, name, text)
        frame = load_results(working, videos=True)
        assert "gmm" in set(frame[frame["ranked"]]["method"])
        honest = path_of(stored, name).read_bytes()
        sealed = b'"sha256"' in text and _has_own_seal(text)
        if not sealed and not _says_the_same(text, honest):
            ranked = frame[frame["ranked"] & (frame["method"] == "knn")]
            assert ranked.empty
    finally:
        restore(stored, working)


def _has_own_seal(text):
    try:
        document = json.loads(text)
        return document.get(SHA256) == seal(document)
    except (ValueError, AttributeError, RecursionError):
        return False


def _says_the_same(text, honest):
    try:
        return json.loads(text) == json.loads(honest)
    except (ValueError, RecursionError):
        return False


@few(40)
@given(st.data())
def test_every_view_is_made_whatever_a_record_holds(stored, working, data):
    name, text = data.draw(edited_files(stored))
    try:
        put(working, name, text)
        with tempfile.TemporaryDirectory() as out:
            for command in (
                ("table", *TABLE),
                ("table", *TABLE, "--cost", "--format", "csv"),
                ("export", "--out", f"{out}/all.csv"),
                ("leaderboard", "--out", f"{out}/site"),
            ):
                code, _, lines = run(*command, "--results", working)
                assert code == 0, lines
                assert all(len(line) < LONGEST for line in lines)
            code, _, lines = run("compare", "ped2/knn", "ped2/gmm@velocity", "--results", working)
            assert code == 2
    finally:
        restore(stored, working)
