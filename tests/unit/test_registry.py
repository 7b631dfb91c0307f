import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
from typer.testing import CliRunner

from vadbench import registry
from vadbench.cli import app
from vadbench.errors import BadInput


def test_unknown_name_lists_the_choices_and_the_nearest():
    with pytest.raises(
        BadInput, match=r"unknown detector 'muldee': choose from .*knn.*; did you mean mulde\?"
    ):
        registry.load("detectors", "muldee")


@pytest.mark.parametrize("kind", ["detectors", "recipes", "extractors", "datasets"])
def test_every_entry_has_a_title(kind):
    for name in registry.names(kind):
        assert registry.title(kind, name), name


HEAVY = {"torch", "pytorch_lightning", "sklearn", "pandas", "cv2", "faiss", "scipy", "matplotlib"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list", "methods"], ["list", "suites"], ["run", "--help"]]
)
def test_help_and_list_import_nothing_heavy(arguments):
    script = f"""
import sys
from vadbench.cli import main
sys.argv = ["vadbench", *{arguments!r}]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print("HEAVY", sorted({HEAVY!r} & set(sys.modules)))
"""
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert "HEAVY []" in told


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """Registers one detector of a package `tmp_path`: called with what the entry point names and
    the source of its module.
    """
    monkeypatch.syspath_prepend(tmp_path)

    def register(value, source=""):
        (tmp_path / "acme_methods.py").write_text(source)
        entry = EntryPoint("acme", value, "vadbench.detectors")
        monkeypatch.setattr(
            registry, "_entries", lambda kind: {"acme": [entry]} if kind == "detectors" else {}
        )
        monkeypatch.delitem(sys.modules, "acme_methods", raising=False)

    return register


@pytest.mark.parametrize(
    ("value", "source", "cause"),
    [
        ("acme_gone:Acme", "", "No module named 'acme_gone'"),
        ("acme_methods:Acme", "", "no attribute 'Acme'"),
        ("acme_methods:Acme", "class Acme: pass", "it is no Detector"),
        ("acme_methods:Acme", "class Acme(", "SyntaxError"),
    ],
)
def test_a_broken_plug_in_is_named_with_the_cause(plugins, value, source, cause):
    plugins(value, source)
    with pytest.raises(BadInput) as error:
        registry.load("detectors", "acme")
    assert f"entry point acme = {value} (vadbench.detectors)" in str(error.value)
    assert cause in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("value", ["acme_gone:Acme", "acme_gone.below:Acme"])
def test_the_title_of_a_missing_module_says_so(plugins, value):
    plugins(value)
    assert registry.title("detectors", "acme").startswith("cannot be loaded: ")


def test_titles_of_two_entries_in_one_module_differ():
    titles = [registry.title("detectors", name) for name in registry.names("detectors")]
    assert len(set(titles)) == len(titles)


# two packages, one name

KINDS = ["detectors", "recipes", "extractors", "boxes", "datasets"]


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a package on the path that registers one name; called again, another one."""

    def put(package, group, name, value, place=""):
        path = tmp_path / (place or package)
        (path / f"{package}-1.0.dist-info").mkdir(parents=True)
        (path / f"{package}-1.0.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        )
        (path / f"{package}-1.0.dist-info" / "entry_points.txt").write_text(
            f"[vadbench.{group}]\n{name} = {value}\n"
        )
        monkeypatch.syspath_prepend(path)
        registry._entries.cache_clear()

    yield put
    monkeypatch.undo()
    registry._entries.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_of_two_packages_is_refused_naming_both(install, kind):
    install("red", kind, "acme", "red_methods:Acme")
    install("blue", kind, "acme", "blue_methods:Acme")
    with pytest.raises(
        BadInput,
        match=(
            "'acme' is registered more than once, by package blue as blue_methods:Acme and package"
            " red as red_methods:Acme"
        ),
    ):
        registry.load(kind, "acme")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("detectors", "knn"),
        ("recipes", "accivad"),
        ("extractors", "velocity"),
        ("datasets", "ped2"),
    ],
)
def test_a_name_of_ours_is_not_taken_over(install, kind, name):
    install("red", kind, name, "red_methods:Acme")
    with pytest.raises(BadInput, match="package vadbench") as raised:
        registry.load(kind, name)
    assert "package red as red_methods:Acme" in str(raised.value)


def test_a_method_called_as_a_recipe_is_refused(install):
    install("red", "detectors", "accivad", "red_methods:Acme")
    for kind in ("detectors", "recipes"):
        with pytest.raises(BadInput, match="'accivad' is registered more than once"):
            registry.load(kind, "accivad")


def test_other_names_still_work_and_the_double_is_listed_with_its_packages(install):
    install("red", "detectors", "knn", "red_methods:Acme")
    assert registry.load("detectors", "gmm").info.name == "gmm"
    assert registry.names("detectors").count("knn") == 1
    assert "package red" in registry.title("detectors", "knn")


@pytest.mark.parametrize("package", ["red", "red_fork"])
def test_the_same_entry_seen_twice_is_no_double(install, tmp_path, monkeypatch, package):
    install("red", "detectors", "acme", "vadbench_methods.knn:KNN", place="editable")
    install(package, "detectors", "acme", "vadbench_methods.knn:KNN", place="installed")
    assert registry.load("detectors", "acme") is registry.load("detectors", "knn")


def test_streams_are_listed_beside_a_double(install):
    install("red", "extractors", "velocity", "red_features:Acme")
    install("blue", "boxes", "grid", "red_features:Acme")
    listed = CliRunner().invoke(app, ["list", "features"]).output
    assert (
        "velocity               cannot be loaded: extractor 'velocity' is registered more than once"
        in listed
    )
    assert "…@foreground" in listed
