"""What holds for every test."""

import os

from hypothesis import settings

# OpenCV's FFmpeg reads this once in a process, at its first use, and the tests' own VideoWriter may
# be that use (vadbench/datasets/video.py).
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

# a machine that does other work is slow now and then, which is no failure
settings.register_profile("vadbench", deadline=None)
settings.load_profile("vadbench")
