"""Events of data sets: what they say is what the frame labels say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadbench.datasets.checks import events_agree
from vadbench.datasets.events import Event, check_events, events_of_labels, find_stretches
from vadbench.datasets.resplit import events_tested, resplit_of
from vadbench.datasets.synthetic import Synthetic
from vadbench.errors import BadInput

MARKED = st.lists(st.integers(0, 1), max_size=30).map(lambda marks: np.array(marks, np.uint8))


@given(MARKED)
def test_stretches_hold_the_marked_frames_alone_and_have_normal_ones_between(marked):
    stretches = find_stretches(marked)
    again = np.zeros_like(marked)
    for start, end in stretches:
        again[start : end + 1] += 1
        assert start == 0 or not marked[start - 1]
        assert end == len(marked) - 1 or not marked[end + 1]
    np.testing.assert_array_equal(again, marked)


@given(st.dictionaries(st.sampled_from("abc"), MARKED))
def test_events_of_labels_agree_with_them(labels):
    check_events(events_of_labels(labels), labels, "own")


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([Event("a", 1, 1)], "frame 2 of a is anomalous, but in no event"),
        ([Event("a", 0, 2)], "frame 0 of a is in an event, but labelled normal"),
        ([Event("a", 1, 4)], "event 1 to 4 of a is outside its 4 frames"),
        ([Event("a", 2, 1)], "event 2 to 1 of a is outside"),
        ([Event("b", 0, 0)], "event 0 to 0 of b is outside its 0 frames"),
    ],
)
def test_events_that_differ_from_the_labels_are_refused_in_one_line(events, reason):
    labels = {"a": np.array([0, 1, 1, 0], np.uint8)}
    with pytest.raises(BadInput, match=rf"own: {reason}.*vadbench data check own"):
        check_events(events, labels, "own")


@pytest.fixture
def street(street_cache):
    return Synthetic(street_cache)


def test_the_street_knows_who_is_anomalous_when(street):
    events = street.events()
    check_events(events, street.labels().videos, "synthetic")
    scripts = [(one.name, actor.kind) for one in street.scripts["test"] for actor in one.anomalies]
    assert [(event.video, event.category) for event in events] == scripts
    first = Event("test08", 0, 82, "cyclist")
    assert first in events  # and the third one appears while it is there
    assert any(event.video == "test08" and event.start < first.end for event in events[10:])


def test_the_check_counts_events_by_category_and_tells_what_differs(street, monkeypatch):
    found = events_agree(street)
    assert (found.good, found.found) == (
        True,
        "13: car 2, cyclist 3, runner 3, thrown 2, wrong-direction 3",
    )
    monkeypatch.setattr(Synthetic, "events", lambda self: [Event("test01", 29, 104)])
    bad = events_agree(street)
    assert not bad.good
    assert "frame 104 of test01 is in an event, but labelled normal" in bad.found


def test_labels_that_cannot_be_read_are_told_once_by_their_own_line(street, monkeypatch):
    def damaged(self):
        raise BadInput("labels.csv: damaged")

    monkeypatch.setattr(Synthetic, "labels", damaged)
    found = events_agree(street)
    assert (found.good, found.found) == (True, "not counted: the labels cannot be read")


def test_an_instance_that_is_hidden_for_a_while_is_two_events(street, monkeypatch):
    table = street._table("tracks.csv", ["video", "kind", "track", "frame"])
    hidden = table[(table["video"] == "test01") & (table["frame"] != 50)]
    monkeypatch.setattr(Synthetic, "_table", lambda *_: hidden)
    assert [(event.start, event.end) for event in street.events()] == [(29, 49), (51, 103)]


def test_only_events_of_tested_videos_count_in_another_split(street):
    tested = events_tested(street, resplit_of(street))
    assert {event.video for event in tested} == {"test01", "test03", "test05", "test07"}
    assert events_tested(street, None) == street.events()
