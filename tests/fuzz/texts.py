"""What hypothesis makes of texts, and the command line that is given them."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st

from vadbench import cli

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 1000  # characters of a line, its path apart

NUMBERS = st.one_of(
    st.integers(),
    st.sampled_from([10**400, -(10**30), 2**53 + 1, 0, -1, 1e308, -1e-320, 7.5, -0.0]),
    st.floats(allow_nan=False, allow_infinity=False),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=20), st.just("x" * 5000))
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
# texts that no document is
BROKEN = st.sampled_from(
    [b"", b"\xff\xfe{\x00", b"\xff", b"[" * 100_000, b"9" * 5000, b"NaN", b'{"a": 1e999}', b"null"]
)


def few(share: int = 10) -> settings:
    """Fewer examples than usual, of what takes long."""
    return settings(max_examples=max(settings().max_examples // share, 3))


def mutate(draw: st.DrawFn, text: bytes) -> bytes:
    """A text with bytes cut out, put in, or cut off."""
    first = draw(st.integers(0, len(text)))
    last = draw(st.integers(first, min(len(text), first + 50)))
    inserted = draw(st.one_of(st.binary(max_size=8), st.sampled_from([b"{", b'"', b",", b"\x00"])))
    kept = text[last:] if draw(st.booleans()) else b""
    return text[:first] + inserted + kept


def edit(draw: st.DrawFn, document: object) -> object:
    """A document with one field replaced by whatever there is, or removed."""
    edited = json.loads(json.dumps(document))
    parent, step = edited, None
    inner = edited
    while isinstance(inner, dict | list) and inner and (step is None or draw(st.booleans())):
        parent = inner
        steps = sorted(inner) if isinstance(inner, dict) else list(range(len(inner)))
        step = draw(st.sampled_from(steps))
        inner = inner[step]
    if step is not None and draw(st.booleans()):
        del parent[step]
    elif step is not None:
        parent[step] = draw(DOCUMENTS)
    return edited


def run(*arguments: object) -> tuple[int, str, list[str]]:
    """The command line in this process: exit code, stdout, and the lines on stderr.

    Any other exception than the program's end fails the test.
    """
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    argv = ["vadbench", *map(str, arguments)]
    with (
        patch.object(sys, "argv", argv),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
    assert isinstance(code, int)
    return code, out.getvalue(), err.getvalue().splitlines()


def assert_refused(code: int, lines: list[str], *names: str) -> None:
    """Exit code 2 and one short line that names these."""
    assert code == 2, lines
    assert len(lines) == 1, lines
    assert lines[0].startswith("vadbench: ")
    assert len(lines[0]) < LONGEST
    assert all(name in lines[0] for name in names), lines
