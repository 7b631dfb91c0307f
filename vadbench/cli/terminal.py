"""Output on terminals: tables that fit them; signs that they lack are written in ASCII, and no
print ends in an error.
"""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import typer

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


def prepare_output() -> None:
    """Make stdout and stderr write what their encoding lacks as `in_ascii`; nothing changes where
    they are UTF-8.

    An ASCII stream gets an encoding of another name: click takes `ascii` for a mistake and writes
    UTF-8 all the same.
    """
    codecs.register_error(_ERRORS, _replace)
    codecs.register(_ascii_codec)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=_ASCII if ascii_only else stream.encoding, errors=_ERRORS)


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

    typer.echo(markdown.render(table), nl=False)


def print_grid(
    head: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] = ()
) -> None:
    """Print rows in columns that are as wide as they have to be, plain on every output.

    Args:
        head: of each column.
        rows: of texts.
        left: places of the columns that begin, rather than end, at one edge.
    """
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            f"{text:<{width}}" if place in left else f"{text:>{width}}"
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        typer.echo("  ".join(cells).rstrip())


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
