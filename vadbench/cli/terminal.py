"""Output on terminals: all that is printed passes here.

Signs that they would obey are shown instead, those that their encoding lacks are written in ASCII,
tables fit them, and no print ends in an error.
"""

from __future__ import annotations

import codecs
import io
import re
import sys
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from vadbench.files.printable import visible, visible_lines

if TYPE_CHECKING:
    from vadbench.report.tables.table import Table

SIGNS = str.maketrans(
    {
        "–": "-",
        "—": "-",
        "−": "-",
        "‐": "-",
        "‑": "-",
        "…": "...",
        "×": "x",
        "±": "+-",
        "≈": "~",
        "≠": "!=",
        "≤": "<=",
        "≥": ">=",
    }
    | {
        "→": "->",
        "←": "<-",
        "↔": "<->",
        "↑": "^",
        "↓": "v",
        "√": "sqrt",
        "∞": "inf",
        "•": "*",
        "†": "+",
        "‡": "++",
    }
    | {
        "“": '"',
        "”": '"',
        "‘": "'",
        "’": "'",
        "Δ": "d",
        "σ": "sigma",
        "β": "beta",
        "λ": "lambda",
        "μ": "mu",
        "µ": "mu",
        "ß": "ss",
    }
    | {"│": "|", "─": "-", "━": "-", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "╸": "-", "╺": "-"}
)
_ERRORS, _ASCII = "vadbench-signs", "vadbench-ascii"
# what rich draws colours and progress bars with; it stays on a terminal
_DRAWN = re.compile("(\x1b\\[[0-9;?]*[A-Za-z]|\r)")


def in_ascii(text: str) -> str:
    """The text in ASCII: known signs spelt out, letters without their accents, `?` for the rest.

    >>> in_ascii("Δ ≈ 0.5 ± 0.1 – Tür")
    'd ~ 0.5 +- 0.1 - Tur'
    """
    plain = unicodedata.normalize("NFKD", text.translate(SIGNS))
    return (
        "".join(sign for sign in plain if not unicodedata.combining(sign))
        .encode("ascii", "replace")
        .decode()
    )


def echo(line: str = "") -> None:
    """Print a line on stdout, as `visible`."""
    typer.echo(visible(line))


def echo_lines(text: str) -> None:
    """Print a text of several lines on stdout, as `visible_lines`."""
    typer.echo(visible_lines(text.removesuffix("\n")))


def say(line: str) -> None:
    """Print a line of progress or an error, on stderr, as `visible`."""
    typer.echo(visible(line), err=True)


def prepare_output() -> None:
    """Make stdout and stderr show what they would obey, whoever prints it, and write what their
    encoding lacks as `in_ascii`.

    An ASCII stream gets an encoding of another name: click takes `ascii` for a mistake and writes
    UTF-8 all the same.
    """
    codecs.register_error(_ERRORS, _replace)
    codecs.register(_ascii_codec)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=_ASCII if ascii_only else stream.encoding, errors=_ERRORS)
            setattr(sys, name, _Shown(stream))


class _Shown:
    """A stream that shows what its terminal would obey: for what libraries print past `echo`, such
    as a wrong option.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text as `visible_lines`."""
        if not self._stream.isatty():
            return self._stream.write(visible_lines(text))
        pieces = enumerate(_DRAWN.split(text))
        shown = (piece if place % 2 else visible_lines(piece) for place, piece in pieces)
        return self._stream.write("".join(shown))

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts as `write`."""
        for line in lines:
            self.write(line)


def print_table(table: Table, *, full: bool = False, fit: bool | None = None) -> None:
    """Print a table: one that fits the terminal, and Markdown where stdout is none.

    Args:
        table: of records.
        full: give the whole caption and every note on a terminal too.
        fit: fit it to a width, whatever stdout is; None: on a terminal.
    """
    if sys.stdout.isatty() if fit is None else fit:
        from rich.console import Console

        from vadbench.report.tables import terminal

        terminal.draw(table, Console(highlight=False), full=full)
        return
    from vadbench.report.tables import markdown

    echo_lines(markdown.render(table))


def print_grid(
    head: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] = ()
) -> None:
    """Print rows in columns that are as wide as they have to be, plain on every output.

    Args:
        head: of each column.
        rows: of texts.
        left: places of the columns that begin, rather than end, at one edge.
    """
    lines = [[visible(text) for text in line] for line in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            f"{text:<{width}}" if place in left else f"{text:>{width}}"
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        echo("  ".join(cells).rstrip())


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return in_ascii(error.object[error.start : error.end]), error.end


def _ascii_codec(name: str) -> codecs.CodecInfo | None:
    if name.replace("_", "-") != _ASCII:
        return None
    ascii_ = codecs.lookup("ascii")
    return codecs.CodecInfo(
        name=_ASCII,
        encode=ascii_.encode,
        decode=ascii_.decode,
        streamreader=ascii_.streamreader,
        streamwriter=ascii_.streamwriter,
        incrementalencoder=ascii_.incrementalencoder,
        incrementaldecoder=ascii_.incrementaldecoder,
    )
