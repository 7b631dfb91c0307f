"""`python -m vadbench.cli`."""

from vadbench.cli import main

main()
