"""What holds for every test."""

import os

# OpenCV's FFmpeg reads this once in a process, at its first use, and the tests' own VideoWriter may
# be that use (vadbench/datasets/video.py).
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
