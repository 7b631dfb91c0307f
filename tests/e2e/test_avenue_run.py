"""From the files of Avenue to a table, on a miniature in the official layout; only the counts (and
links) are the miniature's.
"""

import csv
import json
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[1] / "unit"


@pytest.fixture
def counts(tmp_path, monkeypatch):
    """What differs from the shipped class, of a miniature that is written under `tmp_path /
    "data"`; no link leads out of this machine.
    """
    monkeypatch.syspath_prepend(UNIT)
    from avenue_files import COUNTS, write_avenue

    write_avenue(tmp_path / "data")
    return {**COUNTS, "archives": ()}


@pytest.fixture
def avenue(counts, shrunk):
    """Runs the command line on the miniature."""
    return shrunk("avenue", counts)


def test_check_prints_one_table(avenue, tmp_path):
    lines = avenue("data", "check", "avenue").stdout.splitlines()
    assert all(line.startswith("ok  ") for line in lines)
    assert "test frames decoded" in " ".join(lines)
    (tmp_path / "data" / "Avenue Dataset" / "testing_videos" / "02.avi").write_bytes(b"cut")
    broken = avenue("data", "check", "avenue", code=2)
    assert [line for line in broken.stdout.splitlines() if line.startswith("BAD")] != []
    assert len(broken.stderr.strip().splitlines()) == 1


def test_a_run_goes_from_videos_to_a_table(avenue, tmp_path):
    told = avenue("run", "--methods", "gmm,magnitude", "--datasets", "avenue", "--quiet").stdout
    for word in ("| gmm", "| magnitude", "micro AUC", "masks-not-empty"):
        assert word in told
    (table,) = (tmp_path / "results" / "tables").glob("*.csv")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 1
    # the odd thing is three times as fast as the walkers: whoever sees the videos and labels in
    # step ranks its frames first
    micro = [
        float(row["value"])
        for row in rows
        if row.get("metric") == "micro_auc" and row.get("method") == "magnitude"
    ]
    assert all(value > 0.9 for value in micro)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def links(avenue, tmp_path):
    """Both archives of Avenue on a server of our own, as the release has them; the data are
    gone.
    """
    web, data = tmp_path / "web", tmp_path / "data"
    web.mkdir()
    names = {"Avenue_Dataset": "Avenue Dataset", "ground_truth_demo": "ground_truth_demo"}
    for archive, folder in names.items():
        shutil.make_archive(str(web / archive), "zip", data, folder)
        shutil.rmtree(data / folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=web))
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    ).start()
    yield tuple(f"http://127.0.0.1:{server.server_port}/{name}.zip" for name in names)
    server.shutdown()
    server.server_close()


def test_fetched_data_pass_their_check(avenue, shrunk, counts, links, tmp_path):
    assert "`vadbench data fetch avenue`" in avenue("data", "check", "avenue", code=2).stderr
    told = shrunk("avenue", {**counts, "archives": links})("data", "fetch", "avenue")
    assert "vadbench data check avenue verifies it" in told.stdout
    assert "ok  test frames decoded" in avenue("data", "check", "avenue").stdout
    assert len(json.loads((tmp_path / "data" / ".checksums.json").read_text())) == 2


def test_without_a_link_the_steps_are_told(avenue):
    assert "made on first use" in avenue("data", "fetch", "synthetic").stdout
    assert "did you mean avenue?" in avenue("data", "fetch", "avenu", code=2).stderr
