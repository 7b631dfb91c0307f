"""Why a record has no regions, told by what its streams are before its rows are looked for."""

import pytest

from vadbench.features.names import describes_frames


@pytest.mark.parametrize(
    ("stream", "frames"),
    [
        ("itae.error", True),
        ("itae", True),
        ("clip", True),
        ("velocity", False),
        ("deep@file.vec", False),
        ("clip@import.c3d", False),
        ("not-installed", False),
    ],
)
def test_a_streams_name_tells_whether_its_rows_are_frames(stream, frames):
    assert describes_frames(stream) == frames
