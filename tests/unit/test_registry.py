import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from vadbench import registry
from vadbench.errors import BadInput


def test_unknown_name_lists_the_choices_and_the_nearest():
    with pytest.raises(BadInput, match=r"unknown detector 'muldee': choose from .*knn.*; did you mean mulde\?"):
        registry.load("detectors", "muldee")


@pytest.mark.parametrize("kind", ["detectors", "recipes", "extractors", "datasets"])
def test_every_entry_has_a_title(kind):
    for name in registry.names(kind):
        assert registry.title(kind, name), name


HEAVY = {"torch", "pytorch_lightning", "sklearn", "pandas", "cv2", "faiss", "scipy", "matplotlib"}


@pytest.mark.parametrize("arguments", [["--help"], ["list", "methods"], ["list", "suites"], ["run", "--help"]])
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
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "HEAVY []" in told


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """Registers one detector of a package `tmp_path`: called with what the entry point names and the source of its module."""
    monkeypatch.syspath_prepend(tmp_path)

    def register(value, source=""):
        (tmp_path / "acme_methods.py").write_text(source)
        monkeypatch.setattr(registry, "_entries", lambda kind: {"acme": EntryPoint("acme", value, f"vadbench.{kind}")})
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
