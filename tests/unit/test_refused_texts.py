"""Texts that fuzzing found to end in another exception than one line: suites, `dataset.toml`,
`published.csv`, `--set`, remembered JSON, saved detectors.
"""

import json

import pytest

from vadbench.datasets.manifest import read_manifest
from vadbench.datasets.memory import read_memory
from vadbench.errors import BadInput
from vadbench.files.documents import parse_json, read_json, read_toml
from vadbench.locations import suites_root
from vadbench.plans.plan import plan_suite
from vadbench.registry import load
from vadbench.report.published import read_published
from vadbench.suite import make_suite, parse_settings, read_suite

BROKEN = {
    "not UTF-8": b"\xff\xff",
    "UTF-16": "a = 1".encode("utf-16"),
    "nested": b"a = " + b"[" * 100_000,
    "5,000 digits": b"a = " + b"9" * 5000,
}
CLIPS = """[[clip]]
path = {path}
split = "train"
[[clip]]
path = "b"
split = "test"
anomalous = {intervals}
"""


def refusal(reader, path):
    """The one line that a file is refused with."""
    with pytest.raises(BadInput) as refused:
        reader(path)
    told = str(refused.value)
    assert str(path) in told
    assert len(told.splitlines()) == 1
    assert len(told) < 1000
    return told


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("dataset.toml", read_manifest),
        ("mine.toml", lambda path: read_suite(str(path), suites_root())),
        ("a.toml", read_toml),
        ("a.json", read_json),
        ("published.csv", read_published),
    ],
)
def test_a_broken_text_is_one_line_with_its_file(tmp_path, name, reader, kind):
    (tmp_path / name).write_bytes(BROKEN[kind])
    refusal(reader, tmp_path / name)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ('"a\\u0000b"', "a character that no file name"),
        ('"a\\nb"', "a character that no file name"),
        ('"' + "a" * 300 + '"', "a longer name"),
        ('"' + "a/" * 4000 + 'b"', "a longer name"),
        ('"."', "names no file"),
        ('""', "at least 1 character"),
        ("7", "valid string"),
    ],
)
def test_a_path_that_no_file_has_is_refused_by_its_clip(tmp_path, path, told):
    (tmp_path / "dataset.toml").write_text(CLIPS.format(path=path, intervals="[]"))
    line = refusal(read_manifest, tmp_path / "dataset.toml")
    assert "clip 1" in line
    assert told in line


@pytest.mark.parametrize("name", ["masks", "tracks"])
def test_paths_of_masks_and_tracks_are_checked_too(tmp_path, name):
    text = CLIPS.format(path='"a"', intervals="[]")
    path = 'masks = "\\u0000"\n'
    text = path.replace("masks", "tracks") + text if name == "tracks" else text + path
    (tmp_path / "dataset.toml").write_text(text)
    assert name in refusal(read_manifest, tmp_path / "dataset.toml")


def test_a_huge_frame_number_is_refused(tmp_path):
    text = CLIPS.format(path='"a"', intervals=f"[[0, {10**400}]]")
    (tmp_path / "dataset.toml").write_text(text)
    assert "clip 2" in refusal(read_manifest, tmp_path / "dataset.toml")


HEAD, FIRST = (suites_root() / "published.csv").read_text().splitlines()[:2]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (FIRST.rpartition(",")[0], "smoothing is missing"),
        (FIRST + ",more", "'more' is one too many"),
        ("only,three,fields", "3 fields"),
        (FIRST.replace(",", ",\x00", 1), "expected a line of text"),
        ('"' + FIRST, "not CSV"),
    ],
)
def test_a_row_of_published_figures_is_refused_by_file_line_and_field(tmp_path, line, told):
    path = tmp_path / "published.csv"
    path.write_text("\n".join((HEAD, FIRST, line)) + "\n")
    refused = refusal(read_published, path)
    assert f"{path}:3" in refused
    assert told in refused


@pytest.mark.parametrize("value", ["1e999", "NaN", "-1", "nan%", "101", "1e1", "٣"])
def test_a_value_that_no_paper_prints_is_refused(tmp_path, value):
    names, fields = HEAD.split(","), FIRST.split(",")
    fields[names.index("value")] = value
    path = tmp_path / "published.csv"
    path.write_text("\n".join((HEAD, ",".join(fields))) + "\n")
    assert "expected a percentage" in refusal(read_published, path)


SETTINGS = [
    "mulde.beta=NaN",
    "mulde.beta=Infinity",
    "mulde.beta=1e999",
    f"mulde.beta={10**400}",
    f"mulde.beta={'9' * 5000}",
    f"mulde.units=[{10**30}]",
    f"mulde.units={'[' * 5000}",
    f"mulde.units={'x' * 20_000}",
    'mulde.beta="\\ud800"',
    "mulde.beta=\x1b[31m",
    f"mulde.units={'[' * 30}{']' * 30}",
    "velocity.threshold=NaN",
    "velocity.threshold=1e999",
    "foreground.x=1",
    "protocol.smoothing=1e999",
    f"protocol.smoothing={10**400}",
    "=",
    "a=1",
    ".=1",
    f"{'a' * 5000}.b=1",
]


@pytest.mark.parametrize("text", SETTINGS, ids=range(len(SETTINGS)))
def test_a_setting_that_no_job_can_have_is_refused(text):
    suite = {"methods": ["mulde"], "datasets": ["synthetic"]}
    with pytest.raises(BadInput) as refused:
        plan_suite(make_suite({**suite, "settings": parse_settings([text])}))
    assert len(str(refused.value).splitlines()) == 1
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize("value", ["nan", "inf", "1979-05-27", str(10**400)])
def test_a_setting_of_a_suite_is_checked_as_one_of_the_command_line(tmp_path, value):
    path = tmp_path / "mine.toml"
    path.write_text(
        f'methods = ["mulde"]\ndatasets = ["synthetic"]\n[settings.mulde]\nbeta = {value}\n'
    )
    refusal(lambda _: read_suite(str(path), suites_root()), path)


@pytest.mark.parametrize("seeds", [0, -1, 101, 10_000_000, 10**400])
def test_seeds_have_bounds(seeds):
    with pytest.raises(BadInput, match="seeds"):
        make_suite({"methods": ["mulde"], "datasets": ["synthetic"], "seeds": seeds})


def test_a_plan_of_the_most_seeds_takes_seconds():
    suite = {"methods": ["mulde", "msma"], "datasets": ["synthetic"], "seeds": 100}
    assert len(plan_suite(make_suite(suite)).jobs) == 200


@pytest.mark.parametrize("text", ["NaN", "1e999", '"\\ud800"', "[" * 100_000, "9" * 5000])
def test_what_json_cannot_be_is_refused(text):
    with pytest.raises(ValueError, match=r".") as refused:
        parse_json(text)
    assert not isinstance(refused.value, BadInput)


def test_a_whole_character_in_two_halves_is_one():
    assert parse_json('"\\ud83d\\ude00"') == "😀"


@pytest.mark.parametrize("text", [b"\xff", b"[" * 100_000, b"[]", b"1"])
def test_a_memory_that_is_not_whole_is_none(tmp_path, text):
    (tmp_path / "memory.json").write_bytes(text)
    assert read_memory(tmp_path / "memory.json") == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda saved: saved.pop("config"),
        lambda saved: saved.update(seed="x"),
        lambda saved: saved.update(method=3),
        lambda saved: saved["config"].update(k=-1),
        lambda saved: saved["config"].update(x=1),
    ],
)
def test_a_saved_detector_that_was_edited_is_refused(tmp_path, change):
    knn = load("detectors", "knn")
    saved = {"method": "knn", "seed": 0, "config": knn.Config().model_dump(mode="json")}
    change(saved)
    (tmp_path / "detector.json").write_text(json.dumps(saved))
    refusal(lambda _: knn.load(tmp_path), tmp_path / "detector.json")


def test_a_saved_detector_without_its_numbers_is_refused(tmp_path):
    knn = load("detectors", "knn")
    saved = {"method": "knn", "seed": 0, "config": knn.Config().model_dump(mode="json")}
    (tmp_path / "detector.json").write_text(json.dumps(saved))
    (tmp_path / "model.safetensors").write_bytes(b"none")
    refusal(lambda _: knn.load(tmp_path), tmp_path / "model.safetensors")
