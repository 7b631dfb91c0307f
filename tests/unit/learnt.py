"""The learnt extractor of docs/add-extractor.md, installed for a test as a package is."""

import re
from pathlib import Path

from vadbench import registry

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
    registry._entries.cache_clear()
