"""Watched frames as lines of text, csv or JSON: each is written whole, when its frame is scored."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Literal

from vadbench.models.watching import Watched

Format = Literal["csv", "json"]
FORMATS: tuple[Format, ...] = ("csv", "json")
CORNERS = ("x0", "y0", "x1", "y1")


def make_writer(
    format_: Format, columns: Sequence[str], write: Callable[[str], None]
) -> Callable[[Watched], None]:
    """What writes a line a frame: number, time, score, box of the highest object (inclusive
    pixels). Numbers keep every digit; what is not known is empty, in JSON null.

    Args:
        format_: of the lines; csv begins with the columns' names.
        columns: more of `Watched` between score and box: `smoothed`, `threshold`.
        write: receives each line, without its end.
    """
    names = ["frame", "time", "score", *columns]
    if format_ == "csv":
        write(",".join([*names, *CORNERS]))

    def write_csv(one: Watched) -> None:
        values = [getattr(one, name) for name in names]
        box = one.box or (None,) * len(CORNERS)
        write(",".join("" if value is None else f"{value!r}" for value in (*values, *box)))

    def write_json(one: Watched) -> None:
        write(json.dumps({**{name: getattr(one, name) for name in names}, "box": one.box}))

    return write_csv if format_ == "csv" else write_json
