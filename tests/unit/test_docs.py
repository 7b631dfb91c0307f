"""The documentation runs: its Python blocks, its commands, the method and the data set that it
adds, the site.
"""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

import vadbench
from vadbench import registry
from vadbench.locations import suites_root
from vadbench.suite import make_suite, suite_names

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
FENCED = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def script(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


examples = script("run_examples")


def blocks(page, title):
    """The code of the page's blocks with this title."""
    return [
        found["code"]
        for found in examples.BLOCK.finditer((DOCS / page).read_text())
        if found["title"] == title
    ]


def commands():
    """Every command line of the pages' blocks that begins with vadbench, with the page's name."""
    for page in PAGES:
        for language, text in FENCED.findall(page.read_text()):
            lines = (
                text.replace("\\\n", " ").translate(str.maketrans("[]", "  ")).splitlines()
                if language in ("", "bash")
                else []
            )
            for line in lines:
                if line.startswith("vadbench "):
                    words = shlex.split(line, comments=True)[1:]
                    yield page.name, tuple("1" if word == "N" else word for word in words)


COMMANDS = sorted(set(commands()))
ADDED = {"pca", "corridor"}  # what the pages add
KNOWN = {
    "suite": set(suite_names(suites_root())),
    "methods": {*registry.names("detectors", "recipes"), *ADDED},
    "datasets": {*registry.names("datasets"), *ADDED},
    "dataset": {*registry.names("datasets"), *ADDED},
}


def parsed(words):
    """The values of a command line's options and arguments, nothing being run; fails where there is
    no such command or option.
    """
    from vadbench.cli import app

    command, words = typer.main.get_command(app), list(words)
    context = command.make_context("vadbench", words[:], resilient_parsing=True)
    while hasattr(command, "commands"):
        assert words, f"vadbench {command.name} needs a command"
        name, words = words[0], words[1:]
        assert name in command.commands, (
            f"there is no command {name!r}, only {', '.join(command.commands)}"
        )
        command = command.commands[name]
        context = command.make_context(
            name, words[:], parent=context, resilient_parsing=hasattr(command, "commands")
        )
    return context.params


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```python" in page.read_text()], ids=lambda page: page.stem
)
def test_the_blocks_of_a_page_run_and_print_what_it_shows(page):
    with examples.workplace() as folder:
        assert examples.run_page(page, folder) == page.read_text(), (
            "run `python docs/run_examples.py`"
        )


@pytest.mark.parametrize(
    ("page", "words"),
    COMMANDS,
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_command_of_the_pages_can_be_called_as_it_stands(page, words):
    values = parsed(words)
    for kind, names in KNOWN.items():
        # DATASET stands for one
        given = [
            name for name in str(values.get(kind) or "").split(",") if name and not name.isupper()
        ]
        assert {re.split("--|@", name)[0] for name in given} <= names


def test_a_command_that_is_none_is_found():
    with pytest.raises(AssertionError, match="there is no command 'tabel'"):
        parsed(["tabel", "demo"])
    with pytest.raises(Exception, match="--sed"):
        parsed(["run", "--sed", "3"])


def test_commands_that_the_text_mentions_exist():
    from vadbench.cli import app

    known = typer.main.get_command(app).commands
    for page in PAGES:
        for first in re.findall(r"`vadbench ([a-z]+)", FENCED.sub("", page.read_text())):
            assert first in known, f"{page.name}: vadbench {first}"


def test_the_method_of_the_page_is_short():
    (code,) = blocks("add-method.md", "pca_residual.py")
    assert len(code.splitlines()) <= 30


@pytest.mark.parametrize(
    ("page", "module", "arguments", "answer"),
    [
        ("add-method.md", "pca_residual", ["check", "pca"], "pca: passes the contract"),
        (
            "add-method.md",
            "pca_residual",
            ["list", "methods"],
            "pca              PCA: the distance of a row",
        ),
        (
            "add-dataset.md",
            "corridor",
            ["list", "datasets"],
            "corridor         Corridor: clips as arrays",
        ),
    ],
)
def test_what_the_page_adds_is_known_once_its_entry_point_is_installed(
    page, module, arguments, answer, tmp_path
):
    (code,), (project,) = blocks(page, f"{module}.py"), blocks(page, "pyproject.toml")
    (tmp_path / f"{module}.py").write_text(code)
    installed = tmp_path / f"{module}-0.1.dist-info"  # what pip makes of the page's pyproject.toml
    installed.mkdir()
    described = tomllib.loads(project)["project"]
    (installed / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {described['name']}\nVersion: {described['version']}\n"
    )
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in names.items())
        for group, names in described["entry-points"].items()
    ]
    (installed / "entry_points.txt").write_text("\n".join(groups))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [str(Path(sys.executable).with_name("vadbench")), *arguments]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert answer in done.stdout


def test_the_suite_of_the_page_is_one():
    (text,) = [
        code
        for language, code in FENCED.findall((DOCS / "paper-tables.md").read_text())
        if language == "toml"
    ]
    assert make_suite({"name": "page", **tomllib.loads(text)}).rows[0].settings == {"knn": {"k": 5}}


def test_the_reference_has_every_public_name():
    documented = re.findall(
        r"^::: vadbench\.[\w.]+\.(\w+)$", (DOCS / "api.md").read_text(), re.MULTILINE
    )
    assert set(vadbench.__all__) <= set(documented)


def test_the_gallery_has_a_page_for_every_committed_table():
    pytest.importorskip("mkdocs", reason="mkdocs is not installed (pip install -e '.[docs]')")
    gallery = script("make_gallery")
    found = gallery.tables()
    assert set(found) == {path.stem for path in (ROOT / "results" / "tables").glob("*.md")} - {
        "latest"
    }
    for suite, table in found.items():
        assert f"(results/{suite}.md)" in gallery.index_page(found)
        rows = [line for line in table.splitlines() if line.startswith("|")]
        page = gallery.page_of(suite, table).replace("\\[", "[").replace("\\]", "]")
        assert all(row in page for row in rows)


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_asks_for_nothing_elsewhere(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed (pip install -e '.[docs]')")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--site-dir",
        str(tmp_path / "site"),
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        asked = re.findall(
            r'<(?:script|img|iframe|link)\b[^>]*(?:src|href)="((?:https?:)?//[^"]+)"',
            page.read_text(),
        )
        assert not asked, f"{page.name}: {asked}"
    for sheet in (tmp_path / "site").rglob("*.css"):
        assert not re.findall(
            r"""(?:@import|url\()\s*["']?(?:https?:)?//[^)"']+""", sheet.read_text()
        ), sheet.name
