"""What a user did wrong, told in one line: the command line prints it and exits with code 2."""

from typing import Any

QUOTED = 80  # characters that a line quotes of what was found
TOLD = 200  # characters of what a library says of it


class BadInput(ValueError):
    """Input that cannot be used; the message is one line naming the file or field, what was
    expected and what helps.
    """


def quote(value: Any, most: int = QUOTED) -> str:
    """What was found, as a line quotes it: its `repr`, a long one cut.

    >>> quote("a" * 100, most=12)
    "'aaaaaaaaaa…"
    """
    if isinstance(value, str):
        value = value[: most + 1]
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of more digits than Python writes
        return f"a {type(value).__name__} too large to write"
    return text if len(text) <= most else f"{text[: most - 1]}…"


def cut(text: str, most: int = TOLD) -> str:
    r"""A library's message as part of one line: its blanks single, a long one cut.

    >>> cut("a\n  b")
    'a b'
    """
    text = " ".join(text[: 2 * most].split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
