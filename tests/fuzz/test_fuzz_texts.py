"""Suites, dataset.toml, published.csv, `--set` and numbers of the command line, whatever they hold:
what is meant, or one line and exit code 2.
"""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import BROKEN, DOCUMENTS, LONGEST, NUMBERS, ROOT, assert_refused, few, mutate, run

from vadbench.datasets.manifest import read_manifest
from vadbench.errors import BadInput
from vadbench.files.documents import parse_json, read_json, read_toml
from vadbench.plans.plan import plan_suite
from vadbench.report.published import read_published
from vadbench.suite import Suite, make_suite, parse_settings, read_suite

SUITE = (ROOT / "benchmarks" / "mulde-beta.toml").read_bytes()
PUBLISHED = (ROOT / "benchmarks" / "published.csv").read_bytes()[:4000].rpartition(b"\n")[0]
MANIFEST = b"""tracks = "tracks.csv"
labelled_by = "me"
[[clip]]
path = "a.mp4"
split = "train"
[[clip]]
path = "b"
split = "test"
name = "b"
scene = "1"
anomalous = [[3, 9], [20, 29]]
[[clip]]
path = "c"
split = "test"
masks = "masks/c"
"""
TOKENS = st.sampled_from(
    [b"\x00", b"[", b"]]", b"=", b'"', b"nan", b"inf", b"9" * 400, b"9" * 5000, b"\\u0000", b"..",
     b"/", b"\xff", b"a" * 300, b"1979-05-27", b"true", b"{}", b"-1", b"\n", b","]
)  # fmt: skip


@st.composite
def mutated(draw, text):
    """A text changed in a place or two."""
    if draw(st.integers(0, 9)) == 0:
        return draw(BROKEN)
    for _ in range(draw(st.integers(1, 2))):
        if draw(st.booleans()):
            place = draw(st.integers(0, len(text)))
            text = text[:place] + draw(TOKENS) + text[place:]
        else:
            text = mutate(draw, text)
    return text


def assert_short(told, *names):
    """One short line that names these."""
    assert len(told.splitlines()) == 1
    assert len(told) < LONGEST
    assert all(name in told for name in names)


def read(reader, name, text):
    """What a reader makes of a file; a refusal is one short line that names it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(text)
        try:
            return reader(path)
        except BadInput as error:
            assert_short(str(error), str(path))
            return None


@given(mutated(SUITE))
def test_a_suite_is_read_or_refused(text):
    suite = read(lambda path: read_suite(str(path), ROOT / "benchmarks"), "mine.toml", text)
    assert suite is None or isinstance(suite, Suite)


@given(mutated(MANIFEST))
def test_a_manifest_is_read_or_refused(text):
    manifest = read(read_manifest, "dataset.toml", text)
    for clip in () if manifest is None else manifest.clip:
        assert "\x00" not in clip.path
        assert len(clip.clip_name) < 300


@given(mutated(PUBLISHED))
def test_published_figures_are_read_or_refused(text):
    figures = read(read_published, "published.csv", text)
    assert all(0 <= figure.value <= 1 for figure in figures or ())


@given(st.one_of(st.binary(max_size=200), BROKEN, DOCUMENTS.map(json.dumps).map(str.encode)))
def test_a_document_is_read_or_refused(text):
    read(read_json, "a.json", text)
    read(read_toml, "a.toml", text)


@given(DOCUMENTS)
def test_a_document_comes_back(document):
    text = json.dumps(document)
    try:
        assert parse_json(text) == document
    except ValueError as error:  # of half a character
        assert "half a character" in str(error) or len(text) > 4300  # noqa: PT017


COMPONENTS = st.sampled_from(["mulde", "knn", "velocity", "protocol", "foreground", "", "x", "a.b"])
FIELDS = st.sampled_from(["beta", "k", "smoothing", "macro", "calibration", "units", "", "\x00"])
VALUES = st.one_of(
    st.text(max_size=20),
    DOCUMENTS.map(json.dumps),
    NUMBERS.map(str),
    st.sampled_from(["NaN", "inf", "1e999", "[" * 5000, "9" * 5000, "-0", "none", "1e-400"]),
)


@given(COMPONENTS, FIELDS, VALUES)
def test_a_setting_is_planned_or_refused(component, field, value):
    try:
        settings = parse_settings([f"{component}.{field}={value}"])
        suite = make_suite(
            {"methods": ["mulde", "knn"], "datasets": ["synthetic"], "settings": settings}
        )
        plan = plan_suite(suite)
    except BadInput as error:
        assert_short(str(error))
        return
    for job in plan.jobs:
        assert parse_json(json.dumps(job.document)) == json.loads(json.dumps(job.document))


@few()
@given(COMPONENTS, FIELDS, VALUES.filter(lambda text: "\x00" not in text))
def test_a_setting_on_the_command_line_is_planned_or_refused(component, field, value):
    methods = ("--methods", "mulde,knn", "--datasets", "synthetic")
    code, _, lines = run("table", *methods, "--set", f"{component}.{field}={value}",
                         "--results", ROOT / "results")  # fmt: skip
    if code:
        assert_refused(code, lines)


OPTIONS = [
    ("plan", "--methods", "mulde", "--datasets", "synthetic", "--seeds"),
    ("run", "--methods", "mulde", "--datasets", "no-such", "--jobs"),
    ("binarised", "ped2/nothing", "--results", "/nowhere", "--batch"),
    ("binarised", "ped2/nothing", "--results", "/nowhere", "--k"),
    ("show", "ped2", "Test001", "--method", "nothing", "--fps"),
    ("show", "ped2", "Test001", "--method", "nothing", "--seed"),
    ("features", "extract", "--datasets", "no-such", "--jobs"),
    ("demo", "density", "--methods", "nothing", "--seed"),
    ("serve", "--site", "/nowhere", "--port"),
    ("score", "frames", "--scores", "/nowhere", "--labels", "/nowhere", "--smoothing"),
]


@pytest.mark.parametrize("command", OPTIONS, ids=lambda command: f"{command[0]} {command[-1]}")
@few()
@given(
    st.one_of(NUMBERS.map(str), st.sampled_from(["NaN", "inf", "-inf", "1e999", "9" * 5000, "x"]))
)
def test_a_number_of_the_command_line_is_taken_or_refused(command, number):
    code, _, lines = run(*command[:-1], f"{command[-1]}={number}")
    assert code in (0, 1, 2), lines
    assert not any("Traceback" in line for line in lines)
