"""What a user did wrong, told in one line: the command line prints it and exits with code 2."""

from typing import Any

LONGEST = 2000  # characters of a message: a file may hold a name of a million
QUOTED = 80  # characters that a line quotes of what was found
TOLD = 200  # characters of what a library says of it


class BadInput(ValueError):
    r"""Input that cannot be used; the message is one line naming the file or field, what was
    expected and what helps.

    What a file says may stand in it: of more than 2000 characters the beginning and the end are
    kept, line breaks become spaces, and what cannot be printed is written as Python does.

    >>> len(str(BadInput(f"a.npz: no column {'x' * 10_000}; expected a score a frame")))
    2000
    >>> print(BadInput("\udcff.csv: no column \x1b[1mscore\n; expected one"))
    \udcff.csv: no column \x1b[1mscore ; expected one
    """

    def __init__(self, message: str) -> None:
        super().__init__(_in_one_line(message))


class ContractError(AssertionError):
    """A method or an extractor breaks a clause of its contract; the message names it, the clause
    and what was seen.
    """


def _in_one_line(message: str) -> str:
    if not message.isprintable():
        message = "".join(map(_printed, message))
    if len(message) <= LONGEST:
        return message
    half = (LONGEST - 3) // 2
    return f"{message[: LONGEST - 3 - half]} … {message[-half:]}"


def _printed(letter: str) -> str:
    if letter.isprintable():
        return letter
    return " " if letter.isspace() else letter.encode("unicode_escape").decode()


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
