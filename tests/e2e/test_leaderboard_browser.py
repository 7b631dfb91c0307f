"""The leaderboard of real records of the synthetic street, used as a reader does: headless
Chromium, from disk, without a network.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("leaderboard.mjs")
CHROMIUM = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
METHODS = "magnitude,gaussian,knn,iforest"

pytestmark = pytest.mark.slow


def lacking():
    """What is not installed of what drives a browser."""
    if CHROMIUM is None:
        return "no chromium on the PATH"
    node = shutil.which("node")
    if node is None:
        return "no node on the PATH"
    packages = subprocess.run(
        [node, "-e", "require('playwright-core'); require('axe-core')"], capture_output=True
    )
    return "playwright-core and axe-core are not in NODE_PATH" if packages.returncode else None


def figures(column):
    return [float(text.split()[0]) for text in column]


def test_a_reader_sorts_filters_and_opens_pages_without_a_fault(vadbench, tmp_path):
    reason = lacking()
    if reason:
        pytest.skip(f"needs a browser: {reason}")
    vadbench("run", "--methods", METHODS, "--datasets", "synthetic", "--seeds", "2", "--quiet")
    # one that is no row of the first view
    variant = ("--methods", "knn", "--set", "knn.k=3")
    vadbench("run", *variant, "--datasets", "synthetic", "--quiet")
    vadbench("leaderboard", "--out", "site")
    done = subprocess.run(
        ["node", str(DRIVER), str(tmp_path / "site"), CHROMIUM],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    assert found["errors"] == []
    assert found["requests"] == []  # nothing but files
    assert found["faults"] == []  # of axe-core: light, dark, 390 px
    assert found["overflow"] == []  # no page is wider than its window

    used = found["used"]
    assert used["before"] == {"sorted": [["0", "descending"]], "status": "4 of 5 rows"}
    assert used["variants"] == {"status": "5 of 5 rows", "hash": "#variants=all", "checked": True}
    assert used["alone"] == "1 of 5 rows; variants, as no row of the first view matches"
    assert used["eer"]["sorted"] == [["3", "ascending"]]
    assert used["eer"]["focus"] == "3"
    assert figures(used["eer"]["figures"]) == sorted(figures(used["eer"]["figures"]))
    assert figures(used["reversed"]["figures"]) == sorted(
        figures(used["eer"]["figures"]), reverse=True
    )
    assert used["filtered"] == {
        "status": "4 of 5 rows",
        "headings": ["synthetic"],
        "hash": "#dataset=synthetic",
    }
    assert {"training, s", "scoring, s", "parameters", "peak memory, MiB"} <= set(used["cost"])
    assert len(found["plain"]["rows"]) == 4
    assert found["plain"]["filters"] == 0
    assert used["nothing"].startswith("No row matches")
    assert used["dark"][0] == used["method"]["theme"] == "dark"
    assert used["method"]["charts"] == 1
    assert used["dataset"]["url"] == "datasets/synthetic.html"
    # magnitude is not ranked
    assert used["dataset"]["lines"] == 3 * used["dataset"]["timelines"] > 0
    assert used["dataset"]["shaded"] >= used["dataset"]["timelines"]
    defined = [float(text) for text in used["clips"] if not text.startswith("–")]
    assert defined == sorted(defined)
    assert all(text.startswith("–") for text in used["clips"][len(defined) :])
