"""Text that a terminal or a page shows and does not obey."""

from __future__ import annotations

import re
from typing import Any

# signs that move, colour, hide or turn round what a terminal shows, or are nothing there: of
# Unicode the categories Cc (control), Cf (format, such as the direction of a text and joiners
# without width), Zl and Zp (ends of lines and paragraphs) and Cs (halves of a sign), and the two
# that no XML may hold
UNSEEN = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u2064\u2066-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0001\U000e0020-\U000e007f"
    "]"
)


def visible(text: str) -> str:
    r"""The text on one line, each sign that a terminal would obey or not show written by its
    number.

    >>> visible("\x1b[31mred\u202e\n")
    '\\x1b[31mred\\u202e\\n'
    """
    return UNSEEN.sub(_write_number, text)


def visible_lines(text: str) -> str:
    r"""As `visible`, of a text of several lines.

    >>> visible_lines("a\r\nb")
    'a\\r\nb'
    """
    return "\n".join(map(visible, text.split("\n")))


def storable(text: str) -> str:
    r"""A text that UTF-8 can hold: half of a sign, as in a file's name that is no Unicode, is
    written by its number.

    >>> storable("clip\udcff")
    'clip\\udcff'
    """
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def show_text(value: Any) -> Any:
    """A value as a page shows it: a text as `visible_lines`; markup and all else as they are."""
    return visible_lines(value) if type(value) is str else value


def _write_number(sign: re.Match[str]) -> str:
    return sign[0].encode("unicode_escape").decode("ascii")
