"""A method that takes what it is told to take, installed for a test as a package is."""

from functools import cache
from pathlib import Path

from vadbench import registry

METHOD = '''
"""Sleeper: sleeps, allocates and ends as its settings say."""

import hashlib
import os
import subprocess
import sys
import time

import numpy as np

from vadbench.detector import Detector, DetectorInfo, MethodConfig


class SleeperConfig(MethodConfig):
    numbers: int = 10
    loading: float = 0.0
    fitting: float = 0.0
    scoring: float = 0.0
    mebibytes: int = 0
    holding: float = 0.0
    stuck: bool = False
    starts: str = ""
    ends: bool = False
    fails: bool = False


class Sleeper(Detector):
    Config = SleeperConfig
    info = DetectorInfo("sleeper", "sleeper", "nobody", deterministic=True, threads=1)
    loaded = False
    calls = []

    def fit(self, train):
        time.sleep(self.config.fitting + (0 if Sleeper.loaded else self.config.loading))
        Sleeper.loaded = True
        self.learnt = np.arange(self.config.numbers, dtype=np.float64)
        held = np.ones(self.config.mebibytes * 2**17)
        if self.config.starts:
            subprocess.Popen([sys.executable, "-c", self.config.starts])
        time.sleep(self.config.holding)
        del held
        if self.config.stuck:  # in a library that heeds nothing
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)

    def score(self, test):
        if self.config.ends:
            os._exit(9)
        if self.config.fails:
            raise ValueError("cannot score")
        time.sleep(self.config.scoring)
        Sleeper.calls.append(len(test))
        return np.abs(test.x).sum(1, dtype=np.float64)[:, None]

    def arrays(self):
        return {"learnt": self.learnt}

    def restore(self, arrays):
        self.learnt = arrays["learnt"]
'''
METADATA = "Metadata-Version: 2.1\nName: sleeper\nVersion: 0.1\n"


def put_on_path(folder: Path, monkeypatch) -> None:
    """Install it for this process and those that it starts."""
    (folder / "sleeper_method.py").write_text(METHOD)
    described = folder / "sleeper-0.1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(METADATA)
    (described / "entry_points.txt").write_text(
        "[vadbench.detectors]\nsleeper = sleeper_method:Sleeper\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    # what the registry then remembers is forgotten with the path
    monkeypatch.setattr(registry, "_entries", cache(registry._entries.__wrapped__))
