"""AUC by kind of anomaly on a data set's page."""

import numpy as np
import pytest
from leaderboard_records import LENGTH, VIDEOS, read_entries, write_scored_row
from scipy.ndimage import gaussian_filter1d

from vadbench.datasets.base import Labels
from vadbench.datasets.events import Event
from vadbench.errors import BadInput
from vadbench.report.events import Truth, Truths
from vadbench.report.leaderboard import build
from vadbench.report.leaderboard.kinds import make_kinds
from vadbench.results.records import Results

EVENTS = (
    Event(VIDEOS[0], 0, 9, "cart"),
    Event(VIDEOS[1], 5, 24, "bike"),
    Event(VIDEOS[2], 30, 39, "cart"),
)


@pytest.fixture
def results(tmp_path):
    results = Results(tmp_path / "results")
    write_scored_row(results, "alpha", 0.9)
    return results


def know(monkeypatch, events):
    labels = {name: np.zeros(LENGTH, np.uint8) for name in VIDEOS}
    for event in EVENTS:
        labels[event.video][event.frames] = 1
    truth = Truth(Labels("official", "a file", labels), tuple(events), 10.0)
    monkeypatch.setattr(Truths, "of", lambda self, record: truth)
    return np.concatenate(list(labels.values()))


def test_each_kind_is_held_against_all_normal_frames(results, monkeypatch):
    marked = know(monkeypatch, EVENTS)
    kinds = make_kinds(read_entries(results), results)
    assert kinds.categories == (("bike", 1, 20), ("cart", 2, 20))
    # frame scores of `write_scored_row`, smoothed clip by clip; pairs counted one by one
    clips = np.random.default_rng(0).normal(size=(3, LENGTH))
    scores = gaussian_filter1d(clips, sigma=3, axis=1).ravel()
    normal = scores[marked == 0]
    own = {"bike": scores[45:65], "cart": np.concatenate([scores[:10], scores[110:]])}
    expected = [float((own[name][:, None] > normal).mean()) for name in ("bike", "cart")]
    ((name, values),) = kinds.rows
    assert name == "alpha"
    assert values == pytest.approx(expected, abs=1e-12)


def test_events_without_names_have_no_table(results, monkeypatch):
    know(monkeypatch, [Event(one.video, one.start, one.end) for one in EVENTS])
    assert make_kinds(read_entries(results), results) is None


def test_a_data_set_that_is_not_here_has_none_and_its_page_names_no_folder(results, tmp_path):
    assert make_kinds(read_entries(results), results) is None
    page = (build(results.root, tmp_path / "site").parent / "datasets" / "street.html").read_text()
    assert "Kinds of anomaly" not in page
    assert str(tmp_path) not in page


def test_labels_that_do_not_fit_are_no_reason_to_fail(results, monkeypatch):
    def refuse(self, record):
        raise BadInput("other labels")

    monkeypatch.setattr(Truths, "of", refuse)
    assert make_kinds(read_entries(results), results) is None


def test_the_page_shows_kinds_with_their_events(results, tmp_path, monkeypatch):
    know(monkeypatch, EVENTS)
    page = (build(results.root, tmp_path / "site").parent / "datasets" / "street.html").read_text()
    assert "bike <small>(1)</small>" in page
    assert "cart 20 frames" in page
