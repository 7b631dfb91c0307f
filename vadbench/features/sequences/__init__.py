"""Pose sequences: windows of a tracked person's poses, each normalised by itself."""
