"""The documentation runs: its Python blocks, its commands, the method and the data set that it
adds, the site.
"""

import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import make_cost
import make_gallery
import make_methods
import make_objects
import make_readme
import pytest
import run_examples as examples
import typer
from blocks import block_of

import vadbench
from vadbench import registry
from vadbench.datasets.synthetic import Synthetic
from vadbench.evaluation.frames import read_frame_scores
from vadbench.features.packaged import CARRIED
from vadbench.locations import suites_root
from vadbench.results.records import Results
from vadbench.suite import make_suite, suite_names

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    *sorted(DOCS.glob("*.md")),
    *sorted((DOCS / "methods").glob("*.md")),
    ROOT / "benchmarks" / "README.md",
]
FENCED = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


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
                line = line.removeprefix(".venv/bin/")
                if line.startswith("vadbench "):
                    words = shlex.split(line, comments=True)[1:]
                    yield page.name, tuple("1" if word == "N" else word for word in words)


COMMANDS = sorted(set(commands()))
ADDED = {"pca", "corridor"}  # what the pages add
KNOWN = {
    "suite": set(suite_names(suites_root())),
    "methods": {*registry.names("detectors", "recipes"), *ADDED},
    "datasets": {*registry.names("datasets"), *ADDED},
    "dataset": {
        *registry.names("datasets"),
        *ADDED,
        *(f"weights:{name}" for name in CARRIED),
    },
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
    assert len(code.splitlines()) <= 31


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
    environment = install(page, module, tmp_path)
    done = call(arguments, environment, tmp_path)
    assert answer in done.stdout


def test_the_method_of_the_page_is_trained_watched_and_alarms_without_a_line_more(
    street_cache, tmp_path
):
    environment = install("add-method.md", "pca_residual", tmp_path)
    environment["VADBENCH_CACHE"] = str(street_cache)
    call(["train", "pca", "--dataset", "synthetic", "--alarms", "60/hour"], environment, tmp_path)
    clip = str(Synthetic(street_cache).folder / "test" / "test03")
    options = ["--model", "pca@velocity", "--alarm-list", "alarms.csv", "--out", "scores.csv"]
    call(["watch", clip, *options], environment, tmp_path)
    with (tmp_path / "scores.csv").open() as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    assert len(scores) == Synthetic.length
    call(["run", "--methods", "pca", "--datasets", "synthetic"], environment, tmp_path)
    results = Results(tmp_path / "results")
    (record,) = results.all_records()
    frames = read_frame_scores(record, results)
    place = frames.videos.index("test03") * Synthetic.length
    assert scores == pytest.approx(frames.scores[place : place + Synthetic.length])
    told = call(["models", "alarms", "pca@velocity"], environment, tmp_path).stdout
    assert "events found" in told
    events = call(["events", "synthetic/pca@velocity"], environment, tmp_path).stdout
    assert "wrong-direction" in events


def call(arguments, environment, folder):
    command = [str(Path(sys.executable).with_name("vadbench")), *arguments]
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def install(page, module, folder):
    """Put what the page adds where pip would; the environment that finds it."""
    (code,), (project,) = blocks(page, f"{module}.py"), blocks(page, "pyproject.toml")
    (folder / f"{module}.py").write_text(code)
    installed = folder / f"{module}-0.1.dist-info"  # what pip makes of the page's pyproject.toml
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
    return {**os.environ, "PYTHONPATH": str(folder)}


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
    tables = make_gallery.read_tables()
    assert set(tables) == {path.stem for path in make_gallery.TABLES.glob("*.md")} - {"latest"}
    for suite, table in tables.items():
        assert f"({suite}.md)" in make_gallery.index_page(tables)
        assert f"({suite}.md)" in make_gallery.navigation(tables)
        rows = [line for line in table.splitlines() if line.startswith("|")]
        page = make_gallery.page_of(suite, table).replace("\\[", "[").replace("\\]", "]")
        assert all(row in page for row in rows)


def test_tables_with_measured_figures_stand_before_those_without():
    measured = [make_gallery.is_measured(suite) for suite in make_gallery.read_tables()]
    assert any(measured)
    assert not all(measured)
    assert measured == sorted(measured, reverse=True)


def test_the_table_of_the_front_page_is_that_of_the_committed_results():
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert block_of(page, "results") == make_readme.results_block(), "run `make pages`"


def test_the_page_of_objects_shows_what_was_measured():
    page = (DOCS / "objects.md").read_text()

    assert block_of(page, "recall") == make_objects.recall_block(), "run `docs/make_objects.py`"
    assert block_of(page, "results") == make_objects.results_block(), "run `docs/make_objects.py`"


def test_the_costs_of_the_page_are_those_that_were_measured():
    page = (DOCS / "cost.md").read_text(encoding="utf-8")
    assert block_of(page, "measured") == make_cost.measured_block(), "run `docs/make_cost.py`"
    known = [one.method for one in make_cost.read_measured()]
    takes = {name: registry.load("detectors", name).takes for name in registry.names("detectors")}
    assert sorted(known) == [name for name, rows in takes.items() if rows == "any"]


def test_the_picture_of_the_front_page_is_small():
    assert "docs/images/demo.jpg" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert 10_000 < make_readme.PICTURE.stat().st_size < 60_000


@pytest.mark.parametrize("name", registry.names("detectors", "recipes"))
def test_the_page_of_a_method_says_what_the_method_declares(name):
    page = (DOCS / "methods" / f"{name}.md").read_text(encoding="utf-8")
    assert block_of(page, "method") == make_methods.method_block(name), "run `make pages`"
    assert "| what | here | why |" in page


def test_the_page_of_itae_says_what_its_extractor_declares():
    page = (DOCS / "methods" / "itae.md").read_text(encoding="utf-8")
    assert block_of(page, "options") == make_methods.extractor_block("itae"), "run `make pages`"


def test_the_list_of_methods_has_them_all():
    page = (DOCS / "methods" / "index.md").read_text(encoding="utf-8")
    assert block_of(page, "methods") == make_methods.list_block(), "run `make pages`"
    assert sorted(make_methods.ORDER) == registry.names("detectors", "recipes")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_files_lead_somewhere(page):
    written = {"results/index.md"}  # by docs/make_gallery.py
    links = re.findall(
        r"\]\(([^)#:]+\.[a-z]+|[^)#:]+/)(?:#[^)]*)?\)", FENCED.sub("", page.read_text())
    )
    missing = [link for link in links if not (page.parent / link).exists()]
    assert set(missing) <= written


def test_nothing_that_a_reader_opens_points_at_papers_of_the_workshop():
    folders = [*DOCS.rglob("*.md"), *DOCS.glob("*.py"), *(ROOT / "benchmarks").rglob("*")]
    read = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *folders]
    for path in read:
        if path.suffix in (".md", ".py", ".toml", ".csv"):
            found = re.search(r"specs/|\.\./shared|closing note", path.read_text(encoding="utf-8"))
            assert not found, f"{path}: {found[0]}"


@pytest.fixture
def site(tmp_path):
    """A copy of what the site is built from, beside the packages that its reference describes."""
    shutil.copytree(DOCS, tmp_path / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    for name in ("vadbench", "methods", "results", "benchmarks"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def build(site):
    """Build the site as `make docs` does; its exit code and what it said."""
    subprocess.run([sys.executable, "docs/make_gallery.py"], cwd=site, check=True)
    zensical = str(Path(sys.executable).with_name("zensical"))
    done = subprocess.run(
        [zensical, "build", "--strict"],
        cwd=site,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_asks_for_nothing_elsewhere(site):
    pytest.importorskip("zensical", reason="zensical is not installed (pip install -e '.[docs]')")
    code, said = build(site)
    assert code == 0, said
    assert "No issues found" in said
    pages = list((site / "build" / "docs").rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        asked = re.findall(
            r'<(?:script|img|iframe|link)\b[^>]*(?:src|href)="((?:https?:)?//[^"]+)"',
            page.read_text(),
        )
        assert not asked, f"{page.name}: {asked}"
    for sheet in (site / "build" / "docs").rglob("*.css"):
        assert not re.findall(
            r"""(?:@import|url\()\s*["']?(?:https?:)?//[^)"']+""", sheet.read_text()
        ), sheet.name
    reference = (site / "build" / "docs" / "api.html").read_text()
    assert 'id="vadbench.detector.Detector.fit"' in reference


@pytest.mark.slow
@pytest.mark.parametrize("link", ["no-such-page.md", "protocol.md#no-such-heading"])
def test_a_broken_link_stops_the_build(site, link):
    pytest.importorskip("zensical", reason="zensical is not installed (pip install -e '.[docs]')")
    page = site / "docs" / "index.md"
    page.write_text(f"{page.read_text()}\n[nowhere]({link})\n")
    code, said = build(site)
    assert code != 0
    assert "1 issue found" in said
