import numpy as np

from vadbench.detector import Part
from vadbench.evaluation.calibration import calibration_statistics
from vadbench.evaluation.detections import detections, why_no_regions


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
    parts = [Part("gmm", "velocity", "minmax")] * len(streams)
    return detections(
        streams,
        parts,
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


def test_what_has_no_regions_says_why():
    row = stream([0], [1.0])
    frame_centric = {name: values for name, values in row.items() if name != "test_box"}
    assert why_no_regions([row], ["a"]) is None
    assert why_no_regions([frame_centric], ["a"]) == "no boxes"
    assert why_no_regions([row, row], ["a", "b"]) == "streams on different boxes"
    assert why_no_regions([row, None], ["a", "a"]) == "row scores (rows.npz) are not here"
