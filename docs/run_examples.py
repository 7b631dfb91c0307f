"""Run the Python blocks of the documentation's pages, and write what they print below them.

    python docs/run_examples.py [PAGE ...]

A page's blocks run in order, in one namespace, in a temporary folder in which `results` and
`benchmarks` are the repository's. A block with a title is a file: it is written there and not run.
A block titled Output that follows a run one holds what that prints. tests/unit/test_docs.py runs
all pages and compares.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "methods").glob("*.md"))]
BLOCK = re.compile(
    r"^```(?P<language>python|toml)(?:"
    r' title="(?P<title>[^"\n]+)")?\n(?P<code>.*?)^```\n(?P<output>\n```text'
    r' title="Output"\n.*?^```\n)?',
    re.MULTILINE | re.DOTALL,
)
ROWS = np.zeros((4, 3), np.float32)
# what the blocks of a page take as given
GIVEN: dict[str, dict[str, Any]] = {
    "import.md": {
        "numpy": np,
        "x": ROWS,
        "count": np.array([2, 0, 2]),
        "boxes": np.zeros((4, 4), np.float32),
        "names": np.array(["Train001"] * 4),
        "frame": np.arange(4),
        "first": ROWS,
        "second": ROWS,
    },
}


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary folder to run in, from which modules are imported; folder, modules and
    environment are forgotten at the end.
    """
    before, modules, variables = Path.cwd(), set(sys.modules), dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("results", "benchmarks"):
            Path(folder, name).symlink_to(ROOT / name)
        os.chdir(folder)
        sys.path.insert(0, folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)
            os.environ.clear()
            os.environ.update(variables)
            sys.path.remove(folder)
            for name in set(sys.modules) - modules:
                if (getattr(sys.modules[name], "__file__", None) or "").startswith(folder):
                    del sys.modules[name]


def run_page(path: Path, folder: Path) -> str:
    """The page with the outputs that its blocks print now.

    Args:
        path: the page.
        folder: where files with a title are written; the current folder.
    """
    namespace: dict[str, Any] = {"__name__": path.stem, **GIVEN.get(path.name, {})}
    text = path.read_text(encoding="utf-8")

    def rerun(block: re.Match[str]) -> str:
        if block["title"]:
            (folder / block["title"]).write_text(block["code"], encoding="utf-8")
            return block[0]
        if block["language"] != "python":
            return block[0]
        printed = StringIO()
        with redirect_stdout(printed):
            above = text.count("\n", 0, block.start("code"))  # so that errors name the page's line
            exec(compile("\n" * above + block["code"], str(path), "exec"), namespace)
        if block["output"] is None:
            return block[0]
        source = block[0].removesuffix(block["output"])
        lines = "".join(f"{line.rstrip()}\n" for line in printed.getvalue().splitlines())
        return f'{source}\n```text title="Output"\n{lines}```\n'

    return BLOCK.sub(rerun, text)


def main() -> None:
    """Rewrite the outputs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", nargs="*", type=Path, default=PAGES)
    for path in [page.resolve() for page in parser.parse_args().pages]:
        with workplace() as folder:
            text = run_page(path, folder)
        if text != path.read_text(encoding="utf-8"):
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path}: outputs written\n")


if __name__ == "__main__":
    main()
