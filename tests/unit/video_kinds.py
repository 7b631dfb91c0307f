"""Small videos of many codecs and containers, with sound, covers and gaps in time, for tests of the
reader.
"""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

QUIET = {"libx265": {"x265-params": "log-level=none"}, "libsvtav1": {"svtav1-params": "progress=0"}}


def write_kind(
    path: Path,
    frames,
    codec="libx264",
    pixels="yuv420p",
    kind=None,
    muxer=None,
    options=None,
    sound="",
    gaps=False,
) -> Path:
    """A video of [H, W, 3] RGB frames.

    Args:
        path: the file.
        frames: the pictures.
        codec, pixels: of the video; the test is skipped where PyAV has no such encoder.
        kind: the container, by the suffix if None.
        muxer: options of the container.
        options: options of the codec.
        sound: `first` or `last`, where a stream of silence goes.
        gaps: times that are not even.
    """
    try:
        av.codec.Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"PyAV has no encoder {codec} here")
    with av.open(str(path), "w", format=kind, options=muxer or {}) as container:
        silence = (
            container.add_stream("aac", rate=48000, layout="mono") if sound == "first" else None
        )
        stream = container.add_stream(
            codec, rate=25, options={**QUIET.get(codec, {}), **(options or {})}
        )
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], pixels
        silence = (
            container.add_stream("mp2", rate=48000, layout="mono") if sound == "last" else silence
        )
        for t, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if gaps:
                frame.time_base, frame.pts = Fraction(1, 25), t + t * t // 8
            container.mux(stream.encode(frame))
            if silence is not None:
                container.mux(silence.encode(_silence(silence, t)))
        container.mux(stream.encode())
        if silence is not None:
            container.mux(silence.encode())
    return path


def _silence(stream, t):
    kind = stream.codec_context.format.name
    values = np.zeros(
        (1, 1152 if kind == "s16" else 1024), np.int16 if kind == "s16" else np.float32
    )
    frame = av.AudioFrame.from_ndarray(values, format=kind, layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 48000, t * values.size, Fraction(1, 48000)
    return frame


class Pipe:
    """A file that a writer cannot go back in, as a recorder's."""

    def __init__(self, path: Path) -> None:
        self.path, self.parts = path, []

    def write(self, data: bytes) -> int:
        self.parts.append(bytes(data))
        return len(data)

    def close(self) -> None:
        self.path.write_bytes(b"".join(self.parts))


def write_live(path: Path, frames, codec: str, kind: str) -> Path:
    """A video whose lengths were never filled in."""
    pipe = Pipe(path)
    with av.open(pipe, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = (
            *frames[0].shape[:2],
            "yuvj420p" if codec == "mjpeg" else "yuv420p",
        )
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    pipe.close()
    return path
