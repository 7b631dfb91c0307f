"""Markdown tables that read well unrendered too."""

from __future__ import annotations

from collections.abc import Sequence


def table_lines(heads: Sequence[str], body: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """The lines of a Markdown table, its columns padded to one width; the first `left` columns flush left, the others right."""
    widths = [max(3, *(len(line[column]) for line in (heads, *body))) for column in range(len(heads))]
    rule = ["-" * width if column < left else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    return [_line(texts, widths, left) for texts in (heads, rule, *body)]


def _line(texts: Sequence[str], widths: Sequence[int], left: int) -> str:
    padded = (text.ljust(width) if column < left else text.rjust(width) for column, (text, width) in enumerate(zip(texts, widths, strict=True)))
    return "| " + " | ".join(padded) + " |"
