"""The pages: what they hold, link to and replace."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from leaderboard_records import EER, MICRO, write_row
from record_builder import write_record

from vadbench.errors import BadInput
from vadbench.report.leaderboard import build, write_site
from vadbench.report.leaderboard.site import slug
from vadbench.results.frame import load_results
from vadbench.results.records import Results

SHARED, OWN = np.random.default_rng(0).normal(size=(2, 8)) * [[0.1], [0.001]]
ENTRIES = re.compile(r'<script type="application/json" id="entries">(.*?)</script>', re.DOTALL)


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results")


def data_of(page):
    return json.loads(ENTRIES.search(page.read_text()).group(1))


def plain_of(page):
    """What the page shows without scripts: the text of its table."""
    (inside,) = re.findall(r"<noscript>(.*?)</noscript>", page.read_text(), re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", inside).split())


def test_the_table_of_the_page_has_places_and_videos(results, tmp_path):
    for method, micro in (("alpha", 0.8), ("beta", 0.79999)):
        write_row(results, method, micro, moves=SHARED + OWN * (method == "alpha"))
    data = data_of(build(results.root, tmp_path / "site"))
    assert [row[9][MICRO] for row in data["rows"]] == [1, 1]
    assert [row[7][MICRO][4] for row in data["rows"]] == [8, 8]
    assert "no place" in data["texts"][-1 - data["rows"][0][9][EER]]


def test_the_first_view_is_readable_without_scripts(results, tmp_path):
    write_row(results, "alpha", 0.8, dataset="ped2", moves=SHARED)
    write_row(results, "zenith", None, dataset="ped2")
    write_row(results, "alpha", 0.9, dataset="ped2", stream="velocity@grid")
    site = build(results.root, tmp_path / "site").parent
    for page in (site / "index.html", site / "datasets" / "ped2.html"):
        text = plain_of(page)
        assert "alpha fast velocity 80.0 [" in text
        assert "zenith fast velocity –" in text
        assert "velocity@grid" not in text
    assert "velocity 80.0 [" in plain_of(site / "methods" / "alpha.html")


def test_the_page_of_a_method_without_usual_rows_shows_what_there_is_without_scripts(
    results, tmp_path
):
    write_row(results, "alpha", 0.8, dataset="ped2")
    write_row(results, "beta", 0.9, dataset="ped2", stream="velocity@grid")
    site = build(results.root, tmp_path / "site").parent
    assert "velocity@grid 90.0" in plain_of(site / "methods" / "beta.html")


def test_the_ranks_page_says_what_it_rests_on_and_what_takes_no_part(results, tmp_path):
    for dataset in ("ped1", "ped2"):
        for method in ("alpha", "beta", "magnitude"):
            write_row(results, method, 0.8, dataset=dataset)
    write_row(results, "gamma", 0.8, dataset="shanghaitech", stream="tracks")
    page = (build(results.root, tmp_path / "site").parent / "ranks.html").read_text()
    text = " ".join(re.sub(r"<[^>]*>", "", page).split())
    assert "velocity (one-class, pooled): 2 of 4 methods over 2 data sets, ped1, ped2." in text
    assert "Without results there: gamma." in text
    assert "magnitude: settled with test figures known" in text
    assert "shanghaitech takes no part: by default its features are tracks" in text


def test_read_outs_that_are_not_ranked_stand_on_the_methods_page_alone(results, tmp_path):
    write_row(results, "alpha", 0.8, read_outs=("mixture", "zenith"))
    site = build(results.root, tmp_path / "site").parent
    assert "zenith" in (site / "methods" / "alpha.html").read_text()
    assert "zenith" not in (site / "index.html").read_text()


def test_pages_tell_title_paper_settings_versions_and_clips(results, tmp_path):
    write_row(results, "knn", 0.8, dataset="ped2", config={"k": 5})
    site = build(results.root, tmp_path / "site").parent
    method = (site / "methods" / "knn.html").read_text()
    dataset = (site / "datasets" / "ped2.html").read_text()
    for text in ("k nearest neighbours", "Reiss &amp; Hoshen", "<code>5</code>", "numpy 2"):
        assert text in method, f"the method's page lacks {text}"
    assert "c" * 10 in method, "the method's page lacks the commit"
    for text in ("Test001", "80.0", "a file", "official"):
        assert text in dataset, f"the data set's page lacks {text}"


# names and links


@given(st.lists(st.text(min_size=1, max_size=80), min_size=2, max_size=5, unique=True))
def test_file_names_are_plain_and_no_two_names_share_one(names):
    slugs = [slug(name) for name in names]
    assert len({one.lower() for one in slugs}) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_-][a-z0-9_.-]*", one) for one in slugs)


HOSTILE = "<script>alert(1)</script>\"'&/../../x"
TEXTS = (
    *("dataset", "method", "features", "settings", "options", "reason", "labels", "labels_sha256"),
    *("split", "scope", "train_dataset", "read_out", "commit"),
)


def test_text_from_records_is_text_on_every_page(results, tmp_path):
    write_row(results, "alpha", None)
    frame = load_results(results.root)
    for column in TEXTS:
        frame[column] = HOSTILE
    frame["config"] = json.dumps([{"method": HOSTILE, "stream": HOSTILE, HOSTILE: HOSTILE}])
    site = write_site(frame, tmp_path / "site").parent
    pages = sorted(site.rglob("*.html"))
    assert {path.parent.name for path in pages} == {"site", "methods", "datasets"}
    for page in pages:
        assert "<script>alert" not in page.read_text()
        assert "alert(1)</script>" not in page.read_text()
    data = data_of(site / "index.html")
    assert data["methods"][0]["name"] == HOSTILE
    assert data["texts"][data["rows"][0][7][MICRO]] == HOSTILE
    assert (site / data["methods"][0]["href"]).is_file()


def test_the_site_loads_nothing_from_elsewhere_and_its_links_lead_somewhere(results, tmp_path):
    for dataset in ("street", "ped2"):
        for method in ("alpha", "knn"):
            write_row(results, method, 0.8, dataset=dataset)
    site = build(results.root, tmp_path / "site").parent
    for page in site.rglob("*.html"):
        for address in re.findall(r'(?:href|src)="([^"]*)"', page.read_text()):
            foreign = address.startswith(("http:", "https:", "//", "data:"))
            assert not foreign, f"{page.name} loads {address}"
            file = address.partition("#")[0]
            target = page.parent / file if file else page
            assert target.is_file(), f"{page.name} links to {address}"
    for name in ("table.js", "theme.js", "style.css"):
        assert "http" not in (site / "assets" / name).read_text()


def test_labels_of_which_less_is_recorded_are_told_all_the_same(results, tmp_path):
    labels = {"name": "own", "sha256": "0" * 64}
    write_record(results, "knn@velocity", 0.5, labels=labels, videos={"Test001": 0.5})
    site = build(results.root, tmp_path / "site").parent
    page = (site / "datasets" / "ped2.html").read_text()
    assert "own, from a source that is not recorded" in page


# files and serving


@pytest.mark.parametrize("mask", [0o077, 0o022])
def test_every_file_of_the_site_is_readable_to_whom_the_mask_says(results, tmp_path, mask):
    write_row(results, "alpha", 0.9)
    before = os.umask(mask)
    try:
        site = build(results.root, tmp_path / "site").parent
    finally:
        os.umask(before)
    for path in (site, *site.rglob("*")):
        usual = 0o777 if path.is_dir() else 0o666
        assert path.stat().st_mode & 0o777 == usual & ~mask, path


def test_another_folder_is_never_replaced_and_a_site_is(results, tmp_path):
    write_row(results, "alpha", 0.9)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "index.html").write_text("mine")
    with pytest.raises(BadInput, match="no leaderboard"):
        build(results.root, tmp_path / "thesis")
    assert (tmp_path / "thesis" / "index.html").read_text() == "mine"
    build(results.root, tmp_path / "site")
    (tmp_path / "site" / "methods" / "gone.html").write_text("stale")
    build(results.root, tmp_path / "site")
    assert not (tmp_path / "site" / "methods" / "gone.html").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "site", "thesis"]


def test_a_frame_without_records_is_refused(results, tmp_path):
    write_row(results, "alpha", 0.9)
    with pytest.raises(BadInput, match="no record"):
        write_site(load_results(results.root).iloc[:0], tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_serve_shows_a_site_on_localhost_until_it_is_interrupted(results, tmp_path):
    write_row(results, "alpha", 0.9)
    site = build(results.root, tmp_path / "site").parent
    command = [sys.executable, "-m", "vadbench.cli", "serve", "--port", "0", "--site", str(site)]
    # a suite that a shell started in the background inherits an ignored SIGINT, and would pass it
    # on
    heed = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **heed) as server:
        try:
            address = server.stderr.readline().split()[0]
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with direct.open(address) as answer:
                assert answer.read() == (site / "index.html").read_bytes()
            server.send_signal(signal.SIGINT)
            assert server.wait(20) == 0
        finally:
            server.kill()


def test_serve_says_what_is_missing(tmp_path):
    command = [sys.executable, "-m", "vadbench.cli", "serve", "--site", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "vadbench leaderboard --out" in done.stderr
