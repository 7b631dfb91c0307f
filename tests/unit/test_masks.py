"""Masks: what is not zero is anomalous at any depth, and what could be read in two ways is
refused.
"""

import numpy as np
import pytest
from PIL import Image
from test_images import encode, palette, picture_bytes, with_orientation

from vadbench.datasets.masks import iterate_masks, mark, read_ids, read_mask
from vadbench.errors import BadInput

MARKED = np.zeros((12, 16), np.uint8)
MARKED[3:6, 4:9] = 1
THREE = MARKED * np.uint8(3)
BLACK = np.zeros_like(MARKED)
WHITE = np.full_like(MARKED, 255)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "001.png"


READ = {
    "white": picture_bytes(MARKED * np.uint8(255)),
    "ones": picture_bytes(MARKED),
    "an id in 16 bits": encode(THREE.astype(np.uint16)),
    "a high id in 16 bits": encode(MARKED.astype(np.uint16) * 256),
    "an id in 32 bits": picture_bytes(THREE.astype(np.int32), "TIFF"),
    "whole floats": picture_bytes(THREE.astype(np.float32), "TIFF"),
    "one bit": picture_bytes(Image.fromarray(MARKED > 0)),
    "blue": picture_bytes(np.dstack([BLACK, BLACK, THREE])),
    "16 bits in colour": encode(np.dstack([THREE, BLACK, BLACK]).astype(np.uint16)),
    "a palette, black at 0": picture_bytes(
        palette(THREE, [(0, 0, 0), (9, 9, 9), (8, 8, 8), (200, 0, 0)])
    ),
    "a palette in a tiff": picture_bytes(palette(MARKED, [(0, 0, 0), (200, 0, 0)]), "TIFF"),
    "an opaque alpha": picture_bytes(np.dstack([THREE, BLACK, BLACK, WHITE])),
    "painted on transparency": picture_bytes(
        np.dstack([THREE, BLACK, BLACK, MARKED * np.uint8(255)])
    ),
    "turned twice": picture_bytes(MARKED[::-1, ::-1].copy(), exif=with_orientation(3)),
}


@pytest.mark.parametrize("kind", READ)
def test_what_is_not_zero_is_anomalous(path, kind):
    path.write_bytes(READ[kind])
    np.testing.assert_array_equal(read_mask(path), MARKED)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (picture_bytes(palette(THREE, [(0, 0, 0)] * 4)), "palette index 3 is black"),
        (
            picture_bytes(palette(1 - MARKED, [(255, 255, 255), (0, 0, 0)])),
            "palette index 1 is black",
        ),
        (
            picture_bytes(palette(MARKED, [(255, 255, 255), (9, 9, 9)])),
            "palette index 0 is not black",
        ),
        (
            picture_bytes(np.dstack([BLACK, BLACK, BLACK, MARKED * np.uint8(255)])),
            "colour and opacity mark different pixels",
        ),
        (
            picture_bytes(np.dstack([WHITE, WHITE, WHITE, MARKED * np.uint8(255)])),
            "colour and opacity mark different pixels",
        ),
        (picture_bytes((MARKED * np.float32(0.7)), "TIFF"), "32-bit floating point with fractions"),
        (picture_bytes(-THREE.astype(np.int32), "TIFF"), "negative values, the least -3"),
        (
            picture_bytes(Image.fromarray(MARKED * np.uint8(255)), "JPEG"),
            "a JPEG, whose compression leaves values from 1 to 31",
        ),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(path, data, told):
    path.write_bytes(data)
    with pytest.raises(BadInput) as raised:
        read_mask(path)
    assert f"001.png: {told}" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_jpeg_without_a_region_is_normal(path):
    path.write_bytes(picture_bytes(Image.fromarray(BLACK), "JPEG"))
    assert not read_mask(path).any()


def test_ids_keep_their_depth(path):
    path.write_bytes(encode(MARKED.astype(np.uint16) * 300))
    assert np.unique(read_ids(path)).tolist() == [0, 300]


def test_ids_in_colour_are_refused(path):
    path.write_bytes(picture_bytes(np.dstack([THREE] * 3)))
    with pytest.raises(BadInput, match="3 channels, expected one that holds the objects' ids"):
        read_ids(path)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int64, np.float64])
def test_arrays_of_any_type_are_marked(dtype):
    np.testing.assert_array_equal(mark(MARKED.astype(dtype), "a.npy"), MARKED)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (MARKED * 0.5, "a.npy: 64-bit floating point with fractions"),
        (np.where(MARKED, np.nan, 0), "a.npy: 64-bit floating point with fractions"),
        (-MARKED.astype(int), "a.npy: negative values"),
        (MARKED.astype(object), "a.npy: values of type object"),
        (MARKED.astype(str), "a.npy: values of type <U"),
    ],
)
def test_arrays_that_are_no_masks_are_refused(values, told):
    with pytest.raises(BadInput, match=told):
        mark(values, "a.npy")


@pytest.mark.parametrize("shape", [(6, 8), (24, 32), (16, 12)])
def test_a_mask_of_another_size_than_the_frames_is_refused(path, shape):
    path.write_bytes(picture_bytes(MARKED))
    with pytest.raises(
        BadInput, match=rf"001\.png: a mask: 16 x 12 where clip a has {shape[1]} x {shape[0]}"
    ):
        list(iterate_masks(path.parent, shape, "clip a"))
