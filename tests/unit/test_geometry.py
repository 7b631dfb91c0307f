import numpy as np
import pytest

from vadbench.datasets.geometry import check_boxes, check_size
from vadbench.errors import BadInput

SIZE = (120, 160)


def refusal(*box: list[float]) -> str:
    with pytest.raises(BadInput) as error:
        check_boxes(np.array(box, np.float32), SIZE, "boxes.npz")
    return str(error.value)


def test_boxes_may_overrun_and_touch_the_frame() -> None:
    box = [[-20, -3, 30, 125], [150, 100, 171, 121], [0, 0, 160, 120], [160.4, 10, 160.9, 20]]
    check_boxes(np.array(box, np.float32), SIZE, "boxes.npz")
    check_boxes(np.zeros((0, 4), np.float32), SIZE, "boxes.npz")


def test_fractions_are_refused_with_the_frames_size() -> None:
    assert "within one pixel, the frames are 160 x 120" in refusal([0.1, 0.2, 0.4, 1.0])


@pytest.mark.parametrize(
    "box", [[200, 10, 230, 40], [-40, 10, -5, 40], [10, 130, 40, 150], [100, 10, 300, 40]]
)
def test_boxes_of_other_frames_are_refused_with_both_sizes(box: list[float]) -> None:
    told = refusal([10, 10, 20, 20], box)
    assert "row 1" in told
    assert "160 x 120" in told
    assert f"reach to {max(20, box[2]):g} x {max(20, box[3]):g}" in told


def test_a_picture_of_another_size_is_refused_with_both_sizes() -> None:
    check_size((120, 160), SIZE, "mask.png", "the clip")
    with pytest.raises(BadInput, match="80 x 60 where the clip has 160 x 120"):
        check_size((60, 80), SIZE, "mask.png", "the clip")
