"""What a user did wrong, told in one line: the command line prints it and exits with code 2."""


class BadInput(ValueError):
    """Input that cannot be used; the message is one line naming the file or field, what was
    expected and what helps.
    """
