r"""Any text as LaTeX that pdflatex compiles: ASCII only, every special character escaped."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from vadbench.report.tables.layout import code_spans

if TYPE_CHECKING:
    from pylatexenc.latexencode import UnicodeToLatexEncoder

# what a text may mean in LaTeX although it is no special character: |, < and > are dashes and
# punctuation of another kind in its first fonts; [ and * after a line's \\ are its options
READABLE = {
    "|": r"\textbar{}",
    "[": "{[}",
    "*": "{*}",
    "–": "--",
    "—": "---",
    "`": r"\`{}",
    '"': "''",
    "‐": "-",
    "‑": "-",
}
# beyond Latin and Greek letters, what LaTeX's first fonts have, and what they lack of those
SIGNS = "‘’“”…•†‡−≤≥≠≈∞√∈∑∇→←↔↑↓"
LACKING = "«»ÐÞðþĄąĐđĘęĮįŉŊŋŲų"
LATIN = range(0x20, 0x180)
GREEK = range(0x391, 0x3CA)
LONG = 30  # characters of a word that would spoil the lines of a caption


def escape(text: str) -> str:
    r"""Plain text as LaTeX, on one line; a character that LaTeX does not know becomes its number,
    such as `U+4E2D`.

    Control characters are left out.

    >>> escape("5 % of α")
    '5 \\% of \\ensuremath{\\alpha}'
    """
    plain = unicodedata.normalize("NFC", re.sub(r"\s+", " ", text))
    visible = "".join(sign for sign in plain if not unicodedata.category(sign).startswith("C"))
    # -- would become a dash, '' a quotation mark
    pieces = re.split(r"(?<=[-',`])(?=[-',`])", visible)
    return "{}".join(_encoder().unicode_to_latex(piece) for piece in pieces)


def prose(text: str) -> str:
    r"""Running text with code between backticks, the code in a typewriter face; long names may
    break after + and @.

    >>> prose("preset `fast`")
    'preset \\texttt{fast}'
    """
    return "".join(
        f"\\texttt{{{_breakable(piece)}}}" if code else _breakable(piece)
        for piece, code in code_spans(text)
    )


def _breakable(text: str) -> str:
    return re.sub(
        rf"\S{{{LONG},}}", lambda word: re.sub("([+@])", r"\1\\allowbreak{}", word[0]), escape(text)
    )


@cache
def _encoder() -> UnicodeToLatexEncoder:
    from pylatexenc import latexencode

    readable = latexencode.UnicodeToLatexConversionRule(
        latexencode.RULE_DICT, {ord(sign): tex for sign, tex in READABLE.items()}
    )
    numbers = latexencode.UnicodeToLatexConversionRule(
        latexencode.RULE_CALLABLE, _number_what_lacks
    )
    return latexencode.UnicodeToLatexEncoder(
        conversion_rules=[readable, numbers, "defaults"],
        replacement_latex_protection="braces-after-macro",
        unknown_char_policy=_number,
        unknown_char_warning=False,
    )


def _number_what_lacks(text: str, position: int) -> tuple[int, str] | None:
    """A rule of pylatexenc's: how many characters it replaces by what; None: it does not."""
    sign = text[position]
    letter = ord(sign) in LATIN or ord(sign) in GREEK
    if (letter or sign in SIGNS) and sign not in LACKING:
        return None
    return 1, _number(sign)


def _number(sign: str) -> str:
    return f"U+{ord(sign):04X}"
