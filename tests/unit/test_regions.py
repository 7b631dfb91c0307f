"""Region tracks derived from masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp

from vadbench.datasets.derived_tracks import COLUMNS, box_iou, components, derive_tracks, link


def mask(*boxes, shape=(40, 60)):
    image = np.zeros(shape, np.uint8)
    for x0, y0, x1, y1 in boxes:
        image[y0 : y1 + 1, x0 : x1 + 1] = 255
    return image


def test_a_component_is_its_inclusive_box():
    assert components(mask((3, 5, 12, 9))).tolist() == [[3, 5, 12, 9]]


def test_specks_are_dropped():
    # 9 and 10 pixels
    assert components(mask((0, 0, 2, 2), (20, 20, 29, 20))).tolist() == [[20, 20, 29, 20]]


def test_diagonal_neighbours_are_one_component():
    assert len(components(mask((0, 0, 4, 4), (5, 5, 9, 9)))) == 1


def test_iou_counts_inclusive_pixels():
    a, b = np.array([[0, 0, 9, 9]]), np.array([[9, 0, 18, 9], [10, 0, 19, 9], [0, 0, 9, 9]])
    np.testing.assert_allclose(box_iou(a, b), [[10 / 190, 0, 1]])


def test_two_objects_that_pass_keep_their_tracks():
    clip = [mask((2 * t, 5, 2 * t + 9, 14), (50 - 2 * t, 25, 59 - 2 * t, 34)) for t in range(20)]
    tracks = derive_tracks({"a": clip})
    upper = tracks[tracks["y0"] == 5]
    assert tracks["track"].nunique() == 2
    assert upper["track"].nunique() == 1
    assert upper["x0"].tolist() == list(range(0, 40, 2))


def test_overlap_is_summed_over_all_pairs():
    before = np.array([[0, 0, 9, 9], [8, 0, 17, 9]])
    # the best single pair would leave the others apart
    after = np.array([[5, 0, 14, 9], [13, 0, 22, 9]])
    assert [numbers.tolist() for numbers in link([before, after])] == [[0, 1], [0, 1]]


def test_a_region_that_returns_is_a_new_track():
    box = (5, 5, 20, 20)
    tracks = derive_tracks({"a": [mask(box), mask(), mask(box)]})
    assert tracks[["track", "frame"]].to_numpy().tolist() == [[0, 0], [1, 2]]


def test_a_jump_is_a_new_track():
    assert [
        numbers.tolist() for numbers in link([np.array([[0, 0, 9, 9]]), np.array([[9, 0, 18, 9]])])
    ] == [[0], [1]]


def test_videos_are_kept_apart():
    clip = [mask((5, 5, 20, 20))]
    tracks = derive_tracks({"b": clip, "a": clip})
    assert tracks["video"].tolist() == ["b", "a"]
    assert tracks["track"].tolist() == [0, 0]


@pytest.mark.parametrize("masks", [{}, {"a": []}, {"a": [mask(), mask()]}])
def test_nothing_anomalous_is_an_empty_table(masks):
    tracks = derive_tracks(masks)
    assert len(tracks) == 0
    assert tuple(tracks.columns) == COLUMNS
    assert tracks["frame"].dtype == np.int64


@given(stnp.arrays(np.uint8, (5, 12, 14), elements=st.sampled_from([0, 0, 255])))
def test_every_track_has_one_box_a_frame_and_no_gap(clip):
    tracks = derive_tracks({"a": clip}, least_area=1)
    for _, track in tracks.groupby("track"):
        frames = track["frame"].to_numpy()
        assert (np.diff(frames) == 1).all()
    assert sorted(set(tracks["frame"])) == [
        frame for frame, image in enumerate(clip) if image.any()
    ]
