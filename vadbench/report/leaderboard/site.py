"""Write the leaderboard: pages of text with their data inside, which open from disk, need no
network and load nothing from elsewhere.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadbench.errors import BadInput
from vadbench.files.atomic import replace_folder
from vadbench.files.printable import show_text
from vadbench.report.leaderboard.catalogue import about, dataset_class
from vadbench.report.leaderboard.entries import Entry, Jackknives, fill_first_view, make_entries
from vadbench.report.leaderboard.failures import add_failures
from vadbench.report.leaderboard.groups import Group
from vadbench.report.leaderboard.kinds import make_kinds
from vadbench.report.leaderboard.methods import method_page, other_read_outs
from vadbench.report.leaderboard.payload import payload
from vadbench.report.leaderboard.places import add_places
from vadbench.report.leaderboard.standings import Standing, list_outside, make_standings
from vadbench.report.leaderboard.videos import by_features, make_clips
from vadbench.results.records import Results
from vadbench.spec import BOARD, USUAL

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Environment

HERE = Path(__file__).parent
# the generator that our pages name: only a folder with such an index.html is replaced
MARK = "vadbench leaderboard"
MOST_DIAGRAMS, MOST_RANKED = 10, 40  # critical-difference diagrams, and the rows of one
MOST_PLAIN = 200  # rows that a page shows without scripts


def build(results: str | Path, out: str | Path) -> Path:
    """Write the site of all records under a results folder.

    Args:
        results: folder of the records.
        out: folder of the site; a site that is there is replaced.

    Returns:
        The path of its index.html.

    Raises:
        BadInput: if there is no record, or `out` holds something else.
    """
    from vadbench.results.frame import make_frame

    store = Results(Path(results))
    store.require_records()
    frame = make_frame(store.all_records(), store.all_runs())
    return write_site(frame, Path(out), store)


def write_site(frame: pd.DataFrame, out: Path, results: Results | None = None) -> Path:
    """Write the site of a data frame as `vadbench.results.frame.load_results` gives it.

    Args:
        frame: one row a metric; rows of whole test sets are used.
        out: folder of the site; a site that is there is replaced.
        results: the records themselves, for what the frame does not hold: places, failed jobs,
            versions, clips, timelines. None: without these.

    Returns:
        The path of its index.html.

    Raises:
        BadInput: if the frame is empty, or `out` holds something else.
    """
    runs = [] if results is None else list(results.all_runs())
    jackknives = None if results is None else _read_jackknives(results)
    entries = fill_first_view(add_failures(make_entries(frame, runs, jackknives), runs))
    if results is not None:
        entries = add_places(entries)
    if not entries:
        raise BadInput("leaderboard: no record; vadbench run makes some")
    by_dataset: dict[str, list[Entry]] = {}
    for entry in entries:
        by_dataset.setdefault(entry.group.dataset, []).append(entry)
    methods = sorted({entry.method for entry in entries})
    write = _Writer(methods, sorted(by_dataset))
    with _replace(out) as folder:
        (folder / "assets").mkdir()
        for asset in (HERE / "assets").iterdir():  # readable to whom the other pages are
            shutil.copyfile(asset, folder / "assets" / asset.name)
        write(
            folder,
            "index.html",
            "index.html",
            entries=entries,
            records=sum(len(entry.seeds) for entry in entries),
        )
        standings, count = make_standings(entries)
        diagrams = _draw_diagrams(standings, folder)
        write(
            folder,
            "ranks.html",
            "ranks.html",
            standings=standings,
            count=count,
            diagrams=diagrams,
            outside=list_outside(entries, standings),
        )
        by_identity, others = {run.identity: run for run in runs}, other_read_outs(frame)
        rivals = {name: by_features(of_dataset) for name, of_dataset in by_dataset.items()}
        for name in methods:
            page = method_page(
                name,
                [entry for entry in entries if entry.method == name],
                rivals,
                by_identity,
                others.get(name, []),
            )
            write(
                folder, "method.html", f"methods/{slug(name)}.html", entries=page.entries, page=page
            )
        for name, of_dataset in by_dataset.items():
            clips = None if results is None else make_clips(of_dataset, results)
            kinds = None if results is None else make_kinds(of_dataset, results)
            write(
                folder,
                "dataset.html",
                f"datasets/{slug(name)}.html",
                entries=of_dataset,
                name=name,
                known=dataset_class(name),
                clips=clips,
                kinds=kinds,
            )
    return out / "index.html"


def _read_jackknives(results: Results) -> Jackknives:
    """What each video does to a record's values, by its identity."""
    bare = {"values": ()}  # most of what a record takes
    whole = (one for one in results.all_records() if one.edited is None)
    records = {one.identity: one.model_copy(update=bare) for one in whole}
    return lambda identity: results.jackknife(records[identity])


def slug(name: str) -> str:
    """A file name for any name: the name itself if it is plain, else its plain letters and a hash,
    so that no two names share one.
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,59}", name):
        return name
    plain = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")[:50]
    return f"{plain or 'page'}.{hashlib.sha256(name.encode()).hexdigest()[:8]}"


class _Writer:
    """Fills templates: every page knows the names of all methods and data sets, and how to get to
    them from where it lies.
    """

    def __init__(self, methods: list[str], datasets: list[str]) -> None:
        self.environment = _environment()
        self.common = {
            "methods": [about(name) for name in methods],
            "datasets": datasets,
            "mark": MARK,
            "usual": [(place, name) for place, name in enumerate(BOARD) if name in USUAL],
        }

    def __call__(
        self,
        folder: Path,
        template: str,
        path: str,
        *,
        entries: Sequence[Entry] = (),
        **context: Any,
    ) -> None:
        """Write the page `path`; `entries` are the rows of its table."""
        root = "../" * path.count("/")

        def link(kind: str, name: str) -> str:
            return f"{root}{kind}/{slug(name)}.html"

        text = self.environment.get_template(template).render(
            **self.common,
            **context,
            root=root,
            link=link,
            data=payload(entries, link) if entries else None,
            plain=[entry for entry in entries if entry.usual][:MOST_PLAIN] or entries[:MOST_PLAIN],
            path=path,
        )
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def _environment() -> Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        finalize=show_text,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {
        "separators": (",", ":"),
        "ensure_ascii": False,
        "allow_nan": False,
    }
    environment.filters["by_group"] = _by_group
    environment.filters["percent"] = lambda value: "–" if value is None else f"{100 * value:.1f}"
    return environment


def _by_group(entries: Sequence[Entry]) -> list[tuple[Group, list[Entry]]]:
    """The entries of each group, the best micro AUC first."""
    groups: dict[Group, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.group, []).append(entry)
    return [(group, sorted(same, key=lambda entry: -entry.level)) for group, same in groups.items()]


def _draw_diagrams(standings: list[Standing], folder: Path) -> dict[tuple[int, str], str]:
    """Critical-difference diagrams as figures/*.svg, by number of the standing and metric; none
    where nothing is ranked or matplotlib is missing.
    """
    from vadbench.report.ranks import draw_critical_difference

    wanted = [
        (number, table)
        for position in range(len(BOARD))
        for number, standing in enumerate(standings)
        if (table := standing.tables[position]).critical_difference is not None
        and len(table.ranked) <= MOST_RANKED
    ]
    drawn = {}
    for number, table in wanted[:MOST_DIAGRAMS]:
        path = f"figures/ranks-{number}-{slug(table.metric)}.svg"
        try:
            draw_critical_difference(table, folder / path)
        except BadInput:  # no matplotlib; the table beside it says the same
            break
        drawn[number, table.metric] = path
    return drawn


@contextmanager
def _replace(out: Path) -> Iterator[Path]:
    """A folder aside that takes the place of `out` when it is whole.

    Raises:
        BadInput: if `out` is something else than a site of ours or an empty folder.
    """
    index = out / "index.html"
    ours = index.is_file() and f'content="{MARK}"' in index.read_text(
        encoding="utf-8", errors="replace"
    )
    if out.exists() and not ours and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(
            f"{out}: is there and is no leaderboard; remove it or name another folder with --out"
        )
    with replace_folder(out.resolve()) as aside:  # a link stays, and what it leads to is replaced
        yield aside
