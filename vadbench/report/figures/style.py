"""What all pictures share: colours that colour-blind readers tell apart, sizes, the caption below,
and how a picture is saved.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadbench.errors import BadInput
from vadbench.files.atomic import replace_file
from vadbench.files.printable import visible_lines
from vadbench.report.ranks import FORMATS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito 2008, without its yellow
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":")  # the colours' second, third and fourth round
ANOMALOUS = "#F9E0CB"  # the shade behind anomalous frames
GREY = "0.35"
WIDTH = 7.0  # inches: a page's text
RULES: Any = {
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "legend.fontsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.2,
    "svg.fonttype": "none",  # text stays text
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a name with dollar signs is a name
    # ids that do not change from run to run, but for those of clip paths
    "svg.hashsalt": "vadbench",
}
_METADATA: dict[str, dict[str, str | None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": "vadbench"},
    ".pdf": {"CreationDate": None, "Creator": "vadbench"},
}
# where each format keeps a caption
_TEXT_OF = {".png": "Description", ".svg": "Description", ".pdf": "Subject"}
_LINE = 0.125  # inches a caption's line, at 7 points
_LETTERS = 19.5  # of a caption in an inch


def line_style(index: int) -> dict[str, Any]:
    """Colour and dashes of the curve with this index; 28 differ."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": DASHES[index // len(COLOURS) % len(DASHES)],
    }


def require_drawable(path: Path) -> None:
    """Refuse what could not be saved, before anything is computed.

    Raises:
        BadInput: on another suffix than `.png`, `.svg` or `.pdf`, or if matplotlib is not
            installed.
    """
    if path.suffix not in FORMATS:
        raise BadInput(
            f"--out {path}: no picture format; expected a name that ends in {', '.join(FORMATS)}"
        )
    require_matplotlib()


def require_matplotlib() -> None:
    """Refuse to draw without matplotlib.

    Raises:
        BadInput: if it is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise BadInput("matplotlib is not installed; pip install 'vadbench[plot]'") from error


@contextmanager
def picture(
    path: Path, width: float, height: float, caption: str, *, below: bool = False
) -> Iterator[Figure]:
    """An empty figure that is saved when the block ends; nothing is written if it fails.

    Args:
        path: of the picture; its suffix is the format.
        width: inches.
        height: inches, the caption's lines not counted.
        caption: the file's description.
        below: draw the caption below the panels too.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    lines = _wrap(caption, width) if below else []
    foot = _LINE * len(lines) + 0.1  # inches that the panels may not use
    with rc_context(RULES):
        figure = Figure(
            figsize=(width, height + foot),
            layout=ConstrainedLayoutEngine(
                rect=(0, foot / (height + foot), 1, height / (height + foot))
            ),
        )
        FigureCanvasAgg(figure)
        yield figure
        place = (0.07 / width, (foot - 0.03) / (height + foot))
        if below:
            text = "\n".join(lines)
            look: Any = {"va": "top", "fontsize": 7, "color": GREY, "linespacing": 1.25}
            figure.text(*place, text, in_layout=False, **look)
        show_texts(figure)
        metadata = {**_METADATA[path.suffix], _TEXT_OF[path.suffix]: visible_lines(caption)}
        with replace_file(path) as aside:
            figure.savefig(
                aside, format=path.suffix[1:], dpi=200, facecolor="white", metadata=metadata
            )


def show_texts(figure: Figure) -> None:
    """Have what no file of a picture can hold, such as a control character in a name, be shown."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text(visible_lines(text.get_text()))


def _wrap(caption: str, width: float) -> list[str]:
    """A caption's lines; a number stays with its percent sign."""
    whole = caption.replace(" %", "\N{NO-BREAK SPACE}%")
    return textwrap.wrap(whole, int(width * _LETTERS))
