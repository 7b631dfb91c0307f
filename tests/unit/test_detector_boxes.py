"""Boxes of a detector: what ONNX files say, what is chosen of it, and what moves beside it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx_files import brightest_detector, constant_detector
from shown import footage

from vadbench.errors import BadInput
from vadbench.features.boxes.detections import Detections
from vadbench.features.boxes.detector import DetectorBoxes, DetectorOptions, choose, moving
from vadbench.features.boxes.onnx import NANODET, YOLOV8, YOLOX, OnnxBoxes, cells, letterbox
from vadbench.features.extractors.raft import Raft

PLAIN = DetectorOptions(gradient=False, min_area=0)


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VADBENCH_WEIGHTS", str(tmp_path))
    return tmp_path


def detections(*rows: tuple[float, float, float, float, float, bool]) -> Detections:
    """Rows x0, y0, x1, y1, score, person."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5] > 0)


def say(path: Path, raw: np.ndarray, side: tuple[int, int] = (64, 64)) -> OnnxBoxes:
    return OnnxBoxes(constant_detector(path, side, raw))


def test_a_letterbox_keeps_the_shape_in_the_upper_left() -> None:
    picture, scale = letterbox(np.full((50, 100, 3), 200, np.uint8), 64, 64)

    assert scale == 0.64
    assert picture.shape == (64, 64, 3)
    assert (picture[:32] == 200).all()
    assert (picture[32:] == 114).all()


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([(64, 64), (96, 32), (320, 416)]))
def test_a_letterbox_fits_any_frame(height: int, width: int, side: tuple[int, int]) -> None:
    picture, scale = letterbox(np.zeros((height, width, 3), np.uint8), *side)

    assert picture.shape == (*side, 3)
    assert scale * height <= side[0] + 1e-6
    assert scale * width <= side[1] + 1e-6
    rows, columns = (picture == 0).any(2).any(1).sum(), (picture == 0).any(2).any(0).sum()
    assert abs(rows - scale * height) <= 1
    assert abs(columns - scale * width) <= 1


def test_cells_are_those_of_each_stride_row_by_row() -> None:
    grid = cells(32, 64, (8, 16, 32))

    assert len(grid) == 4 * 8 + 2 * 4 + 2
    assert grid[[0, 1, 8, 32, 40, 41]].tolist() == [
        [0, 0, 8],
        [8, 0, 8],
        [0, 8, 8],
        [0, 0, 16],
        [0, 0, 32],
        [32, 0, 32],
    ]


def test_yolov8_gives_centre_and_size_in_pixels_of_its_input(tmp_path: Path) -> None:
    raw = np.zeros((1, 4 + 3, 84))
    raw[0, :, 5] = [20, 10, 8, 4, 0.2, 0.7, 0.1]
    model = say(tmp_path / "a.onnx", raw)

    answer = model(np.zeros((128, 128, 3), np.uint8))  # half the size in the letterbox

    assert model.form is YOLOV8
    np.testing.assert_allclose(answer.boxes[5], [32, 16, 48, 24])
    assert answer.scores[5] == np.float32(0.7)
    assert not answer.person[5]


def test_yolox_gives_offsets_in_strides_and_objectness_times_class(tmp_path: Path) -> None:
    raw = np.zeros((1, 84, 5 + 2))
    row = 64 + 4 + 2  # stride 16, second row, third cell: corner (32, 16)
    raw[0, row] = [0.5, 0.25, np.log(2), np.log(1.5), 0.8, 0.5, 0.25]
    model = say(tmp_path / "a.onnx", raw)

    answer = model(np.zeros((64, 32, 3), np.uint8))

    assert model.form is YOLOX
    np.testing.assert_allclose(answer.boxes[row], [40 - 16, 20 - 12, 40 + 16, 20 + 12], rtol=1e-6)
    assert answer.scores[row] == pytest.approx(0.4)
    assert answer.person[row]


def test_nanodet_gives_distances_as_distributions(tmp_path: Path) -> None:
    raw = np.zeros((1, 85, 2 + 32))
    row = 9  # stride 8, second row, second cell: corner (8, 8)
    logits = np.full((4, 8), -100.0)
    # 1, 0, 7 and 2.5 strides
    logits[0, 1] = logits[1, 0] = logits[2, 7] = logits[3, 2] = logits[3, 3] = 0
    raw[0, row] = [0.1, 0.9, *logits.ravel()]
    model = say(tmp_path / "a.onnx", raw)

    answer = model(np.zeros((64, 64, 3), np.uint8))

    assert model.form is NANODET
    np.testing.assert_allclose(answer.boxes[row], [0, 8, 64, 28], rtol=1e-5)
    assert answer.scores[row] == np.float32(0.9)
    assert not answer.person[row]


@pytest.mark.parametrize(
    ("shape", "colour", "seen"),
    [
        ((1, 6, 84), (51, 255, 255), 51 / 255),  # YOLOv8: red / 255
        ((1, 84, 7), (255, 255, 51), 51),  # YOLOX: blue as it is
        ((1, 85, 34), (255, 255, 151), (151 - 103.53) / 57.375),  # NanoDet-Plus: blue, standardised
    ],
)
def test_every_form_sees_the_colours_it_was_trained_on(
    tmp_path: Path, shape: tuple[int, int, int], colour: tuple[int, int, int], seen: float
) -> None:
    raw, first_channel = np.zeros(shape), np.zeros(shape)
    if shape[2] == 7:
        raw[..., 4] = 1  # objectness
    person = np.s_[0, 4, 3] if shape[1] == 6 else np.s_[0, 3, 5 if shape[2] == 7 else 0]
    first_channel[person] = 0.5 / seen

    answer = OnnxBoxes(constant_detector(tmp_path / "a.onnx", (64, 64), raw, first_channel))(
        np.full((64, 64, 3), colour, np.uint8)
    )

    assert answer.scores.argmax() == 3
    assert answer.scores.max() == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((1, 300, 6), r"gives \[1, 300, 6\] for an input of 64 x 64; expected YOLOv8"),
        ((1, 252, 85), r"gives \[1, 252, 85\]"),
        ((84, 7), r"gives \[84, 7\]"),
    ],
)
def test_other_outputs_are_refused_in_one_line(
    tmp_path: Path, shape: tuple[int, ...], told: str
) -> None:
    with pytest.raises(BadInput, match=told) as error:
        say(tmp_path / "a.onnx", np.zeros(shape))
    assert "\n" not in str(error.value)
    assert "a.onnx" in str(error.value)


def test_confidences_without_their_sigmoid_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput,
        match=r"a\.onnx: read as YOLOv8, class confidences run from -3 to 0, expected 0 to 1",
    ):
        say(
            tmp_path / "a.onnx",
            np.concatenate([np.zeros((1, 5, 84)), np.full((1, 1, 84), -3.0)], 1),
        )(np.zeros((64, 64, 3), np.uint8))


def test_an_absent_model_is_named_with_its_file(tmp_path: Path) -> None:
    (file,) = DetectorBoxes(PLAIN, None, "yolox_s").files()
    (torch_file,) = DetectorBoxes(PLAIN, None, "maskrcnn").files()

    assert file.path == tmp_path / "yolox_s.onnx"
    assert "export" in file.what
    assert torch_file.path == tmp_path / "maskrcnn_resnet50_fpn_v2.pth"
    assert (
        "https://download.pytorch.org/models/maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth"
        in torch_file.what
    )
    (tmp_path / "maskrcnn_resnet50_fpn_v2.safetensors").touch()
    assert DetectorBoxes(PLAIN, None, "maskrcnn").files()[0].path.suffix == ".safetensors"


def test_without_torchvision_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)

    with pytest.raises(BadInput, match=r"torchvision.* pip install 'vadbench\[vision\]'"):
        DetectorBoxes(PLAIN, None, "fasterrcnn").objects(footage(np.zeros((2, 40, 60), np.uint8)))
    with pytest.raises(BadInput, match=r"torchvision.* pip install 'vadbench\[vision\]'"):
        Raft(tmp_path / "raft_large.pth")


def test_boxes_follow_what_the_model_sees_in_pixels_of_the_frame(tmp_path: Path) -> None:
    brightest_detector(tmp_path / "spot.onnx", (128, 128), 16, len(cells(128, 128, (8, 16, 32))))
    clip = np.full((5, 96, 256), 30, np.uint8)
    for t in range(5):
        clip[t, 20 + 8 * t : 24 + 8 * t, 60 + 20 * t : 64 + 20 * t] = 250

    for shown in (clip, np.repeat(clip[..., None], 3, 3)):
        objects = DetectorBoxes(PLAIN, None, "spot").objects(footage(shown))
        assert [len(boxes) for boxes in objects.boxes] == [1] * 5
        for t, boxes in enumerate(objects.boxes):
            centre = (boxes[0, :2] + boxes[0, 2:]) / 2
            # a pixel of the letterbox is 2 of the frame
            np.testing.assert_allclose(centre, (62 + 20 * t, 22 + 8 * t), atol=2)
            # 16 pixels of the letterbox
            np.testing.assert_allclose(boxes[0, 2:] - boxes[0, :2], 32)
            assert boxes.dtype == np.float32


def test_a_model_that_sees_nothing_gives_frames_without_boxes(tmp_path: Path) -> None:
    constant_detector(tmp_path / "blind.onnx", (64, 64), np.zeros((1, 6, 84)))

    objects = DetectorBoxes(DetectorOptions(), None, "blind").objects(
        footage(np.full((3, 40, 60), 90, np.uint8))
    )

    assert [boxes.shape for boxes in objects.boxes] == [(0, 4)] * 3


def test_choosing_keeps_the_confident_and_the_most_confident_of_what_overlaps() -> None:
    answer = detections(
        (10, 10, 30, 50, 0.6, True),
        (11, 10, 31, 50, 0.9, True),
        (60, 10, 80, 50, 0.24, True),
        (100, 10, 120, 50, 0.25, True),
    )

    assert choose(answer, 240, 360, PLAIN).tolist() == [[11, 10, 31, 50], [100, 10, 120, 50]]


def test_one_object_called_two_names_stays_one() -> None:
    assert (
        len(
            choose(
                detections((10, 10, 30, 50, 0.6, True), (10, 10, 30, 49, 0.5, False)),
                240,
                360,
                PLAIN,
            )
        )
        == 1
    )


def test_choosing_can_be_limited_to_persons() -> None:
    answer = detections((10, 10, 30, 50, 0.6, False), (60, 10, 80, 50, 0.5, True))

    assert choose(answer, 240, 360, PLAIN.model_copy(update={"classes": "person"})).tolist() == [
        [60, 10, 80, 50]
    ]


def test_what_is_small_inside_the_frame_is_dropped() -> None:
    answer = detections(
        (-30, 10, 4, 30, 0.9, True),
        (350, 10, 380, 20, 0.9, True),
        (100, 100, 110, 110, 0.9, True),
        (400, 10, 420, 50, 0.9, True),
    )
    options = DetectorOptions(min_area=100)

    assert choose(answer, 240, 360, options).tolist() == [[350, 10, 360, 20], [100, 100, 110, 110]]


def test_what_a_larger_box_covers_is_dropped() -> None:
    answer = detections(
        (0, 0, 100, 100, 0.5, True), (90, 0, 110, 20, 0.9, True), (50, 50, 70, 90, 0.8, True)
    )

    assert choose(answer, 240, 360, PLAIN).tolist() == [[90, 0, 110, 20], [0, 0, 100, 100]]


@st.composite
def answers(draw: st.DrawFn) -> Detections:
    number = draw(st.integers(0, 12))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    low = random.uniform(-40, 140, (number, 2))
    boxes = np.concatenate([low, low + random.uniform(0, 60, (number, 2))], 1).astype(np.float32)
    return Detections(boxes, random.random(number).astype(np.float32), random.random(number) < 0.5)


@given(answers())
def test_chosen_boxes_lie_in_the_frame_and_hardly_overlap(answer: Detections) -> None:
    boxes = choose(answer, 100, 120, DetectorOptions(min_area=9)).astype(np.float64)

    assert boxes.shape[1] == 4
    assert ((boxes[:, :2] >= 0) & (boxes[:, 2:] <= (120, 100))).all()
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    assert (area >= 9 - 1e-3).all()
    for a in range(len(boxes)):
        for b in range(a):
            common = np.maximum(
                np.minimum(boxes[a, 2:], boxes[b, 2:]) - np.maximum(boxes[a, :2], boxes[b, :2]), 0
            ).prod()
            assert common <= 0.5 * (area[a] + area[b] - common) + 1e-3
            assert common <= 0.6 * min(area[a], area[b]) + 1e-3


def square(t: int, left: int = 40, side: int = 24, step: int = 12) -> np.ndarray:
    frame = np.full((120, 200), 60, np.uint8)
    frame[50 : 50 + side, left + step * t : left + step * t + side] = 200
    return frame


def test_a_moving_square_leaves_a_box_where_it_came_from_and_where_it_goes() -> None:
    options = DetectorOptions(gradient_blur=1, gradient_min_area=100)

    boxes = moving(square(0), square(1), np.zeros((0, 4), np.float32), options)

    assert sorted(boxes.tolist()) == [[40, 50, 52, 74], [64, 50, 76, 74]]


def test_what_a_detection_and_two_pixels_around_it_explain_is_not_found_again() -> None:
    options = DetectorOptions(gradient_blur=1, gradient_min_area=1)

    assert moving(
        square(0), square(1), np.array([[42, 52, 74, 72]], np.float32), options
    ).shape == (0, 4)
    left = moving(square(0), square(1), np.array([[43, 40, 90, 80]], np.float32), options)
    assert left.shape == (0, 4)  # a column of 1 x 24 pixels is too thin
    thin = moving(
        square(0),
        square(1),
        np.array([[43, 40, 90, 80]], np.float32),
        options.model_copy(update={"gradient_max_aspect": 30}),
    )
    assert thin.tolist() == [[40, 50, 41, 74]]


def test_small_and_faint_changes_are_no_objects() -> None:
    none = np.zeros((0, 4), np.float32)

    # each part has 12 x 24 = 288
    assert (
        len(
            moving(
                square(0), square(1), none, DetectorOptions(gradient_blur=1, gradient_min_area=289)
            )
        )
        == 0
    )
    assert (
        len(
            moving(
                square(0), square(1), none, DetectorOptions(gradient_blur=1, gradient_min_area=288)
            )
        )
        == 2
    )
    # the square is 140 brighter
    assert (
        len(
            moving(
                square(0), square(1), none, DetectorOptions(gradient_blur=1, gradient_threshold=140)
            )
        )
        == 0
    )


def test_the_provider_adds_what_moves_and_the_first_frame_has_the_next_pair(tmp_path: Path) -> None:
    constant_detector(tmp_path / "blind.onnx", (64, 64), np.zeros((1, 6, 84)))
    clip = np.stack([square(t) for t in range(4)])

    boxes = (
        DetectorBoxes(DetectorOptions(gradient_blur=1), None, "blind").objects(footage(clip)).boxes
    )

    assert boxes[0].tolist() == boxes[1].tolist()
    for t in (1, 2, 3):
        x = 40 + 12 * (t - 1)
        assert sorted(boxes[t].tolist()) == [[x, 50, x + 12, 74], [x + 24, 50, x + 36, 74]]
    with pytest.raises(BadInput, match="has 1 frame; a temporal gradient needs two"):
        DetectorBoxes(DetectorOptions(), None, "blind").objects(footage(clip[:1]))


def test_long_clips_give_what_held_ones_give(tmp_path: Path) -> None:
    brightest_detector(tmp_path / "spot.onnx", (64, 64), 8, 84)
    clip = np.stack([square(t) for t in range(6)])

    held, streamed = (
        DetectorBoxes(DetectorOptions(), None, "spot").objects(footage(clip, bytes_held))
        for bytes_held in (2**30, 0)
    )

    assert all(np.array_equal(a, b) for a, b in zip(held.boxes, streamed.boxes, strict=True))
    assert sum(map(len, held.boxes)) > 6


def test_presets_are_accivads() -> None:
    avenue = DetectorOptions.accivad("avenue")

    assert (avenue.score, avenue.classes, avenue.min_area, avenue.covered) == (
        0.8,
        "person",
        400,
        0.6,
    )
    assert (avenue.gradient_blur, avenue.gradient_threshold, avenue.gradient_min_area) == (
        5,
        18,
        1600,
    )
    assert DetectorOptions.accivad("shanghaitech").covered == 0.65
    assert DetectorOptions.accivad("ped2").min_area == 100
    with pytest.raises(
        BadInput, match="no thresholds for 'ubnormal'; it has them for ped2, avenue, shanghaitech"
    ):
        DetectorOptions.accivad("ubnormal")
