"""What a user did wrong, told in one line: the command line prints it and exits with code 2."""

LONGEST = 2000  # characters of a message: a file may hold a name of a million


class BadInput(ValueError):
    """Input that cannot be used; the message is one line naming the file or field, what was
    expected and what helps.

    A message of more than 2000 characters keeps its beginning and its end.

    >>> len(str(BadInput(f"a.npz: no column {'x' * 10_000}; expected a score a frame")))
    2000
    """

    def __init__(self, message: str) -> None:
        super().__init__(_cut(message))


def _cut(message: str) -> str:
    if len(message) <= LONGEST:
        return message
    half = (LONGEST - 3) // 2
    return f"{message[: LONGEST - 3 - half]} … {message[-half:]}"
