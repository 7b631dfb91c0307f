"""EfficientDet-Lite0: tiles, anchors, decoding: on arrays, on small files, on the real weights."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shown import footage

from vadbench.errors import BadInput
from vadbench.features.boxes.detections import Detections
from vadbench.features.boxes.detector import DetectorBoxes, choose
from vadbench.features.boxes.detector_options import DetectorOptions
from vadbench.features.boxes.efficientdet import (
    LABEL,
    SIZE,
    STREET,
    EfficientDet,
    anchors,
    choose_rows,
    decode,
)
from vadbench.features.boxes.tiles import drop_contained, is_whole, lay_tiles
from vadbench.features.stream import plan_stream
from vadbench.locations import weights_root

NUMBER = 19206
REAL = weights_root() / f"{LABEL}.tflite"  # before a test moves the folder


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VADBENCH_WEIGHTS", str(tmp_path))
    return tmp_path


# anchors and decoding


def anchor_by_index(index: int) -> tuple[float, float, float, float]:
    """One anchor from its place in the list alone, by arithmetic on the index."""
    for level in (3, 4, 5, 6, 7):
        stride = 1 << level
        side = (320 + stride - 1) >> level
        if index < side * side * 9:
            cell, kind = divmod(index, 9)
            octave, aspect = divmod(kind, 3)
            area = (3.0 * stride * 2.0 ** (octave / 3)) ** 2
            ratio = (1.0, 2.0, 0.5)[aspect]  # width over height; width x height = area
            height = (area / ratio) ** 0.5
            row, column = divmod(cell, side)
            return (column * stride + stride / 2, row * stride + stride / 2, ratio * height, height)
        index -= side * side * 9
    raise AssertionError


def test_anchors_are_those_of_their_index() -> None:
    found = anchors()

    assert found.shape == (NUMBER, 4)
    assert NUMBER == 9 * (40**2 + 20**2 + 10**2 + 5**2 + 3**2)
    wanted = np.array([anchor_by_index(index) for index in range(NUMBER)])
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


boxes_of_picture = st.tuples(
    st.floats(5, 300), st.floats(5, 300), st.floats(4, 200), st.floats(4, 200)
)


@given(boxes_of_picture, st.integers(0, NUMBER - 1))
def test_decoding_undoes_what_training_encodes(
    box: tuple[float, float, float, float], index: int
) -> None:
    x, y, width, height = box
    ax, ay, aw, ah = anchor_by_index(index)
    codes = np.array(
        [[(y - ay) / ah, (x - ax) / aw, np.log(height / ah), np.log(width / aw)]], np.float32
    )

    found = decode(codes, anchors()[[index]])[0]

    wanted = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_rows_are_those_whose_best_chosen_class_reaches_the_score() -> None:
    confidences = np.zeros((4, 90), np.float32)
    confidences[0, 17] = 0.9  # a dog is not looked for
    confidences[1, [0, 40]] = 0.2, 0.5
    confidences[2, 0] = 0.25
    confidences[3, 2] = 0.2499

    rows, scores, kinds = choose_rows(confidences, np.array(STREET), 0.25)
    every, _, animals = choose_rows(confidences, np.arange(90), 0.25)

    assert rows.tolist() == [1, 2]
    assert scores.tolist() == [0.5, 0.25]
    assert kinds.tolist() == [40, 0]
    assert every.tolist() == [0, 1, 2]
    assert animals.tolist() == [17, 40, 0]


# tiles


@given(
    st.integers(1, 2000),
    st.integers(1, 2000),
    st.integers(1, 8),
    st.integers(1, 8),
    st.floats(0, 0.9),
)
def test_tiles_cover_the_frame_and_lie_in_it(
    height: int, width: int, rows: int, columns: int, overlap: float
) -> None:
    tiles = lay_tiles(height, width, rows, columns, overlap)

    covered = np.zeros((height, width), bool)
    for x0, y0, x1, y1 in tiles:
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        covered[y0:y1, x0:x1] = True
    assert covered.all()
    assert len(tiles) == rows * columns


def test_tiles_of_ped2_overlap_by_a_quarter() -> None:
    tiles = lay_tiles(240, 360, 2, 3, 0.25)

    assert [tile[2] - tile[0] for tile in tiles] == [144] * 6
    assert {tile[3] - tile[1] for tile in tiles} == {137}
    assert tiles[0][2] - tiles[1][0] == 36  # of 144
    assert tiles[0][3] - tiles[3][1] == 34  # of 137
    assert lay_tiles(240, 360, 1, 1, 0.25) == [(0, 0, 360, 240)]


def test_a_box_near_an_inner_border_is_cut_off_and_one_at_the_frames_is_not() -> None:
    tile = (100, 0, 200, 80)
    boxes = np.array(
        [
            [110, 10, 150, 60],
            [110, -3, 150, 60],  # the frame's upper edge
            [102, 10, 150, 60],  # two pixels from the left border
            [103, 10, 150, 60],
            [110, 10, 198, 60],
            [110, 10, 150, 79],
        ],
        np.float32,
    )

    assert is_whole(boxes, tile, 240, 360).tolist() == [True, True, False, True, False, False]
    assert is_whole(boxes, tile, 80, 200).tolist() == [True, True, False, True, True, True]


def test_contained_boxes_go_by_confidence_and_not_by_size() -> None:
    small, large, beside = [10, 10, 20, 20], [0, 0, 40, 40], [36, 0, 46, 10]

    assert drop_contained(np.float32([large, small]), 0.7).tolist() == [large]
    assert drop_contained(np.float32([small, large]), 0.7).tolist() == [small, large]
    assert drop_contained(np.float32([large, beside]), 0.3).tolist() == [large]
    assert drop_contained(np.zeros((0, 4), np.float32), 0.7).shape == (0, 4)


def test_what_was_dropped_drops_nothing() -> None:
    chain = np.float32([[0, 0, 10, 10], [1, 0, 11, 10], [2, 0, 12, 10]])

    assert drop_contained(chain, 0.85).tolist() == [chain[0].tolist(), chain[2].tolist()]


def test_chosen_are_small_enough_and_not_contained_in_stronger_ones() -> None:
    options = DetectorOptions(min_area=0)
    found = Detections(
        np.float32([[0, 0, 60, 60], [0, 0, 90, 90], [5, 5, 15, 15], [80, 80, 95, 95]]),
        np.float32([0.6, 0.9, 0.5, 0.3]),
        np.array([True] * 4),
    )

    kept = choose(found, 200, 200, options, LABEL)

    assert kept.tolist() == [[0, 0, 60, 60], [80, 80, 95, 95]]  # 90 x 90 is over a tenth


# identity


def plan(boxes: str, **options: object) -> dict:
    from vadbench.datasets.open import open_dataset

    return plan_stream(open_dataset("synthetic"), f"velocity@{boxes}", {"detector": options}).boxes[
        "options"
    ]


def test_options_of_tiles_are_of_this_label_alone() -> None:
    own, others = plan(f"detector.{LABEL}"), plan("detector.yolov8n")

    assert own["tile_rows"] == 2
    assert "covered" not in own
    assert "tile_rows" not in others
    assert others == plan("detector.yolov8n", overlap=0.5)
    assert own != plan(f"detector.{LABEL}", overlap=0.5)
    assert own == plan(f"detector.{LABEL}", covered=0.1)


def test_every_option_of_another_label_is_what_it_was() -> None:
    assert set(plan("detector.yolov8n")) == {
        "score", "nms", "classes", "min_area", "covered", "gradient", "gradient_blur",
        "gradient_threshold", "gradient_min_area", "gradient_max_aspect",
    }  # fmt: skip


# small files


def encoded(*found: tuple[int, float, int]) -> tuple[np.ndarray, np.ndarray]:
    """Confidences and codes that say, at these anchors, this of a class."""
    confidences = np.zeros((1, NUMBER, 90), np.float32)
    for index, score, kind in found:
        confidences[0, index, kind] = score
    return confidences, np.zeros((1, NUMBER, 4), np.float32)


def small_file(
    path: Path, *found: tuple[int, float, int], swap: bool = False, bright: bool = False
):
    from tflite_files import known_model

    confidences, codes = encoded(*found)
    outputs, shares = (
        [0 * confidences if bright else confidences, codes],
        [confidences / 255, codes],
    )
    shares = shares if bright else [0 * one for one in shares]
    if swap:
        outputs, shares = outputs[::-1], shares[::-1]
    return known_model(path / f"{LABEL}.tflite", SIZE, np.uint8, outputs, shares)


MIDDLE = (20 * 40 + 20) * 9  # level 3, the cell whose centre is 164, 164: an anchor of 24 x 24


@pytest.fixture
def runtime() -> None:
    pytest.importorskip("ai_edge_litert", reason="the extra `mobile` is not installed")


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("swap", [False, True])
def test_a_box_is_placed_in_every_tile(weights: Path, swap: bool) -> None:
    path = small_file(weights, (MIDDLE, 0.8, 0), (MIDDLE + 3, 0.9, 17), swap=swap)

    found = EfficientDet(path, 0.25, (1, 2), 0.0)(np.zeros((160, 640, 3), np.uint8))

    assert found.boxes.tolist() == [[152, 76, 176, 88], [472, 76, 496, 88]]
    np.testing.assert_allclose(found.scores, 0.8, rtol=1e-6)
    assert found.person.all()


@pytest.mark.usefixtures("runtime")
def test_only_the_tile_that_changed_is_looked_at(weights: Path) -> None:
    small_file(weights, (MIDDLE, 0.8, 0))
    frames = [np.zeros((200, 600), np.uint8) for _ in range(4)]
    frames[2][90:110, 440:460] = 100
    clip = footage(frames)
    options = {"gradient": False, "tile_rows": 1, "tile_columns": 2, "overlap": 0.0, "min_area": 0}

    every = DetectorBoxes(DetectorOptions(**options), None, LABEL)
    changed = DetectorBoxes(DetectorOptions(**options, still=400), None, LABEL)
    more = DetectorBoxes(DetectorOptions(**options, still=401), None, LABEL)

    assert [len(boxes) for boxes in every.objects(clip).boxes] == [2, 2, 2, 2]
    assert [len(boxes) for boxes in changed.objects(clip).boxes] == [0, 0, 1, 0]
    assert changed.objects(clip).boxes[2][0, 0] > 300
    assert [len(boxes) for boxes in more.objects(clip).boxes] == [0, 0, 0, 0]
    assert not every.needs_opening
    assert changed.needs_opening


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("options", [{}, {"gradient": False, "still": 30}])
def test_frame_by_frame_is_as_the_whole_clip(weights: Path, options: dict) -> None:
    small_file(weights, (MIDDLE, 1.0, 0), bright=True)
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (96, 160), dtype=np.uint8) for _ in range(5)]
    boxes = DetectorBoxes(DetectorOptions(min_area=0, **options), None, LABEL)

    whole = boxes.objects(footage(frames)).boxes
    followed = list(boxes.follow(iter(frames), footage(frames)))

    assert sum(map(len, whole))
    for one, other in zip(whole, followed, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("size", [(1, 1), (1, 700), (3, 2), (240, 1)])
def test_frames_of_any_size_are_looked_at(weights: Path, size: tuple[int, int]) -> None:
    small_file(weights, (MIDDLE, 0.8, 0))
    frames = [np.zeros(size, np.uint8)] * 2

    boxes = DetectorBoxes(DetectorOptions(min_area=0, whole=True), None, LABEL)

    assert len(boxes.objects(footage(frames)).boxes) == 2


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("threads", ["1", "3"])
def test_threads_change_nothing(
    weights: Path, monkeypatch: pytest.MonkeyPatch, threads: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    path = small_file(weights, (MIDDLE, 1.0, 0), bright=True)
    frame = np.arange(120 * 200 * 3).reshape(120, 200, 3).astype(np.uint8)

    model = EfficientDet(path, 0.1)

    assert model.model.threads == int(threads)
    assert len(model(frame).boxes) == 6
    assert np.array_equal(model(frame).scores, EfficientDet(path, 0.1)(frame).scores)


@pytest.mark.usefixtures("runtime")
def test_other_files_are_refused_in_one_line(weights: Path) -> None:
    from tflite_files import known_model

    confidences, codes = encoded((0, 1.5, 0))
    bad = {
        "of another size": known_model(weights / "a", 64, np.uint8, [confidences, codes]),
        "of floats": known_model(weights / "b", SIZE, np.float32, [confidences, codes]),
        "with one output": known_model(weights / "c", SIZE, np.uint8, [codes]),
        "no model": weights / "d",
        "cut": weights / "e",
        "empty": weights / "f",
        "not there": weights / "g",
        "a folder": weights,
    }
    (weights / "d").write_bytes(b"PK\3\4" + bytes(400))
    (weights / "e").write_bytes((weights / "c").read_bytes()[:300])
    (weights / "f").touch()
    for path in bad.values():
        with pytest.raises(BadInput) as raised:
            EfficientDet(path, 0.25)
        assert str(path) in str(raised.value)
        assert "\n" not in str(raised.value)

    over = EfficientDet(known_model(weights / "h", SIZE, np.uint8, [confidences, codes]), 0.25)
    with pytest.raises(BadInput, match=r"gives a confidence of 1\.5"):
        over(np.zeros((32, 32, 3), np.uint8))


@pytest.mark.usefixtures("runtime")
def test_opening_a_file_writes_nothing(weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    EfficientDet(small_file(weights, (0, 0.5, 0)), 0.25)

    assert capfd.readouterr() == ("", "")


def test_without_the_runtime_its_extra_is_named(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)

    with pytest.raises(BadInput, match=r"pip install 'vadbench\[mobile\]'"):
        EfficientDet(weights / "x", 0.25)


def test_missing_weights_are_told_with_the_command(weights: Path) -> None:
    (file,) = DetectorBoxes(DetectorOptions(), None, LABEL).files()

    assert file.path == weights / f"{LABEL}.tflite"
    assert f"vadbench data fetch weights:{LABEL}" in file.what


# the real weights


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
@pytest.mark.skipif(not REAL.is_file(), reason=f"{REAL} is not here: vadbench data fetch")
def test_the_real_weights_find_the_published_persons_of_ped2() -> None:
    from vadbench.datasets.open import open_dataset
    from vadbench.features.boxes.file import BoxesFile, FileOptions
    from vadbench.features.footage import Footage

    if "VADBENCH_DATA" not in os.environ:
        pytest.skip("Ped2 and its boxes are under $VADBENCH_DATA")
    dataset = open_dataset("ped2")
    published = BoxesFile(FileOptions(), dataset, "vec")
    if not all(file.path.is_file() for file in published.files()):
        pytest.skip("boxes/ped2/bboxes_vec_train.npz is not under $VADBENCH_DATA")
    clip = Footage(dataset, dataset.videos("train")[0])
    wanted = published.objects(clip).boxes[::30]
    own = DetectorBoxes(DetectorOptions(gradient=False), dataset, LABEL)
    found = list(own.follow(iter(list(clip)[::30]), None))

    hit = sum(
        int((_iou(box, theirs) >= 0.5).any())
        for mine, theirs in zip(wanted, found, strict=True)
        for box in mine
    )

    assert hit / sum(map(len, wanted)) > 0.8


def _iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    width = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
    height = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
    common = np.maximum(width, 0) * np.maximum(height, 0)
    return common / (_area(box[None]) + _area(others) - common)


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
