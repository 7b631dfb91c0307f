import numpy as np
import pytest

from vadbench.evaluation.calibration import calibration_statistics
from vadbench.evaluation.detections import detections, why_no_regions, with_boxes


def stream(object_id, scores):
    number = len(object_id)
    return {
        "test_scores": np.array(scores, float)[:, None],
        "test_video": np.zeros(number, np.int32),
        # one object a frame keeps the example readable
        "test_frame": np.array(object_id, np.int32),
        "test_object_id": np.array(object_id),
        "test_box": np.array([[i, 0, i + 10, 20] for i in object_id], np.float32),
    }


def join_streams(*streams):
    return detections(
        streams,
        ["minmax"] * len(streams),
        [calibration_statistics(np.array([[0.0], [2.0]]))] * len(streams),
        ["Test001"],
    )


def test_a_box_has_its_objects_own_calibrated_score():
    found = join_streams(stream([0, 1], [1.0, 4.0]))
    np.testing.assert_array_equal(found["score"], [0.5, 2.0])


def test_streams_are_added_on_the_object_and_an_object_that_one_lacks_keeps_what_it_has():
    found = join_streams(stream([0, 1, 2], [2.0, 2.0, 2.0]), stream([2, 0], [4.0, 6.0]))
    np.testing.assert_array_equal(found["frame"], [0, 1, 2])
    np.testing.assert_array_equal(found["score"], [1.0 + 3.0, 1.0, 1.0 + 2.0])


def test_boxes_end_on_their_last_pixel():
    found = join_streams(stream([5], [1.0]))
    assert (found["x0"][0], found["x1"][0], found["y0"][0], found["y1"][0]) == (5, 14, 0, 19)
    assert found["video"][0] == "Test001"


def test_without_boxes_there_are_no_regions():
    row = stream([0], [1.0])
    bare = {name: values for name, values in row.items() if name != "test_box"}
    assert why_no_regions([row]) is None
    assert why_no_regions([bare]) == "no boxes"
    assert with_boxes([bare, row]) == [1]
    assert why_no_regions([bare, row]) is None


def test_streams_on_the_same_boxes_have_regions_though_each_lacks_objects():
    assert why_no_regions([stream([0, 1, 2], [1.0] * 3), stream([3, 2, 0], [2.0] * 3)]) is None


@pytest.mark.parametrize("name", ["test_box", "test_frame", "test_video"])
def test_an_object_that_is_another_in_one_of_the_streams_leaves_no_regions(name):
    first, second, third = (stream([0, 1, 2], [1.0] * 3) for _ in range(3))
    assert why_no_regions([first, second, third]) is None
    third[name] = third[name].copy()
    third[name][1] += 1
    assert why_no_regions([first, second, third]) == "streams on different boxes"
