"""Output on terminals that are not UTF-8: readable, and never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vadbench.cli.terminal import in_ascii
from vadbench.files.printable import UNSEEN

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "vadbench"

SCRIPT = """
import typer
from vadbench.cli.terminal import prepare_output
prepare_output()
typer.echo("1.0 – 2.0 ± ≈ Tür 日 \\udcff")
typer.echo("Δ²", err=True)
print("σ")
"""
KINDS = {
    "ascii": ({"PYTHONIOENCODING": "ascii"}, b"1.0 - 2.0 +- ~ Tur ? \\udcff\nsigma\n", b"d2\n"),
    "C": (
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        b"1.0 - 2.0 +- ~ Tur ? \\udcff\nsigma\n",
        b"d2\n",
    ),
    "latin-1": (
        {"PYTHONIOENCODING": "latin-1"},
        "1.0 - 2.0 ± ~ Tür ? \\udcff\nsigma\n".encode("latin-1"),
        "d²\n".encode("latin-1"),
    ),
    "cp1252": (
        {"PYTHONIOENCODING": "cp1252"},
        "1.0 – 2.0 ± ~ Tür ? \\udcff\nsigma\n".encode("cp1252"),
        "d²\n".encode("cp1252"),
    ),
    "utf-8": (
        {"PYTHONIOENCODING": "utf-8"},
        "1.0 – 2.0 ± ≈ Tür 日 \\udcff\nσ\n".encode(),
        "Δ²\n".encode(),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_encoding_lacks_is_written_in_ascii(tmp_path, kind):
    variables, out, err = KINDS[kind]
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        capture_output=True,
        env={**os.environ, **variables},
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, out, err)


@pytest.mark.parametrize("arguments", [["--help"], ["list", "suites"], ["list", "nonsense–σ"]])
def test_no_command_ends_in_a_traceback(arguments):
    call = [sys.executable, "-m", "vadbench.cli", *arguments]
    done = subprocess.run(
        call, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=False
    )
    assert b"Traceback" not in done.stderr
    assert (done.stdout + done.stderr).isascii()


def test_what_is_printed_and_what_is_written_as_csv_passes_one_place():
    ways = {"typer.echo(": "cli/terminal.py", "csv.writer(": "files/spreadsheet.py"}
    ways |= {"DictWriter(": "", "click.echo(": "", "rich.print": "", "console.print(f": ""}
    for path in sorted(PACKAGE.rglob("*.py")):
        own = path.relative_to(PACKAGE).as_posix()
        found = [way for way, place in ways.items() if way in path.read_text() and own != place]
        assert not found, f"{own}: {found}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["table", "x\x1b[31m\u202ey\nz"],
        ["x\x1b]8;;http://x\x07y"],
        ["list", "[red]\x9b2J"],
        ["compare", "a\x1b[2J", "b\rc"],
        ["export", "--out", "a\u2028b.\x1b[1m"],
        ["table", "--metrics", "\x1b[31m", "--methods", "knn", "--datasets", "ped2\u200b"],
    ],
)
def test_a_wrong_text_is_told_in_a_line_that_no_terminal_obeys(arguments):
    call = [sys.executable, "-m", "vadbench.cli", *arguments]
    done = subprocess.run(call, capture_output=True, cwd=ROOT, check=False)
    told = done.stderr.decode()
    assert done.returncode == 2
    assert "Traceback" not in told
    assert not UNSEEN.search((done.stdout.decode() + told).replace("\n", ""))
    assert told.startswith(("vadbench: ", "Usage: "))


def test_letters_lose_their_accents():
    assert in_ascii("Å é ﬁ") == "A e fi"
