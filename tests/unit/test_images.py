"""Image files of every depth and kind: read as they are, or refused by name in one line."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from vadbench.datasets.images import read_image
from vadbench.errors import BadInput

GREY = np.random.default_rng(0).integers(1, 255, (12, 16)).astype(np.uint8)
COLOUR = np.random.default_rng(1).integers(1, 255, (12, 16, 3)).astype(np.uint8)
OPAQUE = np.full((12, 16), 255, np.uint8)


def picture_bytes(image, kind="PNG", **options):
    """The bytes of a picture of Pillow's or of an array."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def encode(image, suffix=".png"):
    return cv2.imencode(suffix, image)[1].tobytes()


def palette(indices, colours):
    image = Image.fromarray(indices.astype(np.uint8)).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette([value for colour in colours for value in colour])
    return image


def with_orientation(tag):
    exif = Image.Exif()
    exif[0x112] = tag
    return exif


@pytest.fixture
def read(tmp_path):
    def of(data, name="001.png"):
        (tmp_path / name).write_bytes(data)
        return read_image(tmp_path / name)

    return of


TWO = GREY > 128
COLOURS = np.array([[0, 0, 0], [200, 10, 30]], np.uint8)
READ = {
    "grey": (picture_bytes(GREY), GREY),
    "grey bmp": (picture_bytes(GREY, "BMP"), GREY),
    "colour": (picture_bytes(COLOUR), COLOUR),
    "colour tiff": (picture_bytes(COLOUR, "TIFF"), COLOUR),
    "palette": (picture_bytes(palette(TWO, COLOURS)), COLOURS[TWO.astype(int)]),
    "palette tiff": (picture_bytes(palette(TWO, COLOURS), "TIFF"), COLOURS[TWO.astype(int)]),
    "palette bmp": (picture_bytes(palette(TWO, COLOURS), "BMP"), COLOURS[TWO.astype(int)]),
    "opaque alpha": (picture_bytes(np.dstack([COLOUR, OPAQUE])), COLOUR),
    "one bit": (picture_bytes(Image.fromarray(TWO)), TWO * np.uint8(255)),
    "one bit tiff": (
        picture_bytes(Image.fromarray(TWO), "TIFF", compression="group4"),
        TWO * np.uint8(255),
    ),
    "turned png": (picture_bytes(COLOUR, exif=with_orientation(3)), COLOUR[::-1, ::-1]),
    "turned tiff": (
        picture_bytes(COLOUR, "TIFF", tiffinfo=with_orientation(6)),
        np.rot90(COLOUR, -1),
    ),
}


@pytest.mark.parametrize("kind", READ)
def test_pictures_of_eight_bits_are_read_as_they_are(read, kind):
    data, expected = READ[kind]
    np.testing.assert_array_equal(read(data), expected)


def test_a_jpeg_is_turned_as_its_tag_says(read):
    smooth = cv2.resize(COLOUR, (64, 48))
    upright = read(picture_bytes(smooth, "JPEG"), "1.jpg")
    np.testing.assert_array_equal(
        read(picture_bytes(smooth, "JPEG", exif=with_orientation(6)), "2.jpg"),
        np.rot90(upright, -1),
    )


def test_a_jpeg_with_a_preview_behind_it_is_one_picture(read):
    data = picture_bytes(
        Image.fromarray(COLOUR), "MPO", save_all=True, append_images=[Image.fromarray(COLOUR)]
    )
    assert read(data, "1.jpg").shape == (12, 16, 3)


def tiff(data, bits, sample=1):
    """An uncompressed grey TIFF of 12 x 16 pixels of any depth."""
    sizes = {
        256: 16,
        257: 12,
        258: bits,
        259: 1,
        262: 1,
        273: 8,
        277: 1,
        278: 12,
        279: len(data),
        339: sample,
    }
    tags = b"".join(
        np.array([tag, 4], "<u2").tobytes() + np.array([1, value], "<u4").tobytes()
        for tag, value in sizes.items()
    )
    return (
        b"II*\0"
        + np.uint32(8 + len(data)).tobytes()
        + data
        + np.uint16(len(sizes)).tobytes()
        + tags
        + bytes(4)
    )


CMYK = Image.fromarray(COLOUR).convert("CMYK")
REFUSED = {
    "16 bits": (
        encode(GREY.astype(np.uint16) * 16),
        "a whole image of 16 bits a channel; expected 8 bits",
    ),
    "16 bits in colour": (
        encode(COLOUR.astype(np.uint16) * 256),
        "a whole image of 16 bits a channel",
    ),
    "16 bits tiff": (encode(GREY.astype(np.uint16), ".tif"), "a whole image of 16 bits a channel"),
    "signed 16 bits": (
        tiff(GREY.astype("<i2").tobytes(), 16, 2),
        "a whole image of signed 16 bits a channel",
    ),
    "32 bits": (
        picture_bytes(GREY.astype(np.int32), "TIFF"),
        "a whole image of signed 32 bits a channel",
    ),
    "float": (
        picture_bytes(GREY.astype(np.float32), "TIFF"),
        "a whole image of 32-bit floating point a channel",
    ),
    "four bits": (
        tiff(GREY.reshape(-1)[::2].tobytes(), 4),
        "a whole image of a kind that is not read (4 bits, mode L)",
    ),
    "transparent": (
        picture_bytes(np.dstack([COLOUR, GREY])),
        "has transparent pixels; expected an opaque frame",
    ),
    "transparent grey": (
        picture_bytes(Image.merge("LA", [Image.fromarray(GREY)] * 2)),
        "has transparent pixels",
    ),
    "transparent colour of a palette": (
        picture_bytes(palette(TWO, COLOURS), transparency=0),
        "has transparent pixels",
    ),
    "CMYK jpeg": (picture_bytes(CMYK, "JPEG"), "CMYK colours; expected grey or RGB"),
    "CMYK tiff": (picture_bytes(CMYK, "TIFF"), "CMYK colours; expected grey or RGB"),
    "pages": (
        picture_bytes(GREY, "TIFF", save_all=True, append_images=[Image.fromarray(GREY)]),
        "holds 2 pictures; expected one",
    ),
    "animated gif": (
        picture_bytes(GREY, "GIF", save_all=True, append_images=[Image.fromarray(255 - GREY)]),
        "holds 2 pictures",
    ),
    "animated png": (
        picture_bytes(GREY, save_all=True, append_images=[Image.fromarray(255 - GREY)]),
        "holds 2 pictures",
    ),
    "cut off in its pixels": (tiff(GREY.tobytes(), 8)[:-150], "truncated or not an image"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_depths_and_kinds_are_refused_by_name(read, capfd, kind):
    data, told = REFUSED[kind]
    with pytest.raises(BadInput) as raised:
        read(data)
    assert f"001.png: {told}" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")
