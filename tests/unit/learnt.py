"""The learnt extractor of docs/add-extractor.md, installed for a test as a package is, and a data
set for it.
"""

import re
from functools import cache
from pathlib import Path

import numpy as np

from vadbench import registry
from vadbench.datasets.base import Check, Dataset, Video

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add-extractor.md"
METADATA = "Metadata-Version: 2.1\nName: frame-code\nVersion: 0.1\n"


def install(folder):
    """Write the page's module, and what makes a folder on the path an installed package."""
    block = re.search(r'^```python title="frame_code.py"\n(.*?)^```', PAGE.read_text(), re.S | re.M)
    (folder / "frame_code.py").write_text(block[1])
    described = folder / "frame_code-0.1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(METADATA)
    (described / "entry_points.txt").write_text(
        "[vadbench.extractors]\nframe-code = frame_code:FrameCode\n"
    )
    return folder


def put_on_path(folder, monkeypatch):
    """Install it for this process."""
    install(folder)
    monkeypatch.syspath_prepend(str(folder))
    # what the registry then remembers is forgotten with the path
    monkeypatch.setattr(registry, "_entries", cache(registry._entries.__wrapped__))


FEW = {"frame-code": {"steps": 12, "units": 3}}


class Yard(Dataset):
    """Noise of a clip's own, in memory."""

    name = "yard"
    revision = "1"
    generated = True
    boxes = "grid"
    counts = {"train": (6, 5, 4), "test": (5,)}

    def videos(self, split):
        return tuple(
            Video(f"{split}{number}", split, frames)
            for number, frames in enumerate(self.counts[split])
        )

    def read(self, video):
        random = np.random.default_rng([ord(letter) for letter in video.name])
        return iter(random.integers(0, 255, (video.frames, 16, 24)).astype(np.uint8))

    def labels(self):
        raise AssertionError("labels are never seen")

    def check(self) -> list[Check]:
        return []
