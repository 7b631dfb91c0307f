"""vadbench features: extract, import and verify what is cached."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vadbench.cli.options import Datasets, Options, Quiet, Set, Streams
from vadbench.cli.options import split as listed
from vadbench.cli.terminal import echo, say
from vadbench.errors import BadInput
from vadbench.spec import MOST_SEEDS

app = typer.Typer(help="Extract, import and verify cached features.", no_args_is_help=True)


@app.command("extract")
def features_extract(
    datasets: Datasets = "",
    features: Streams = "",
    settings: Set = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_SEEDS, help="Networks of learnt streams: seeds 0 to N-1."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            help=(
                "Clips at a time; each gets its share of the cores. Default: one, or one a core"
                " where no network is run."
            ),
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Make anew what the cache has of files that have changed since."
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Extract features into the cache; what is there is kept."""
    from vadbench.plans.needs import extract_features

    if not datasets:
        raise BadInput(
            "give --datasets, and --features for other streams than their own (vadbench list"
            " datasets|features)"
        )
    options = Options("magnitude", datasets, features, seeds, settings=settings)
    refused = extract_features(options.read_plan().jobs, quiet, jobs, again)
    if refused:
        raise BadInput("; ".join(refused.values()))


@app.command("import")
def features_import(
    dataset: Annotated[str, typer.Argument(help="A data set (vadbench list datasets).")],
    stream: Annotated[
        str,
        typer.Argument(
            help=(
                "<extractor>@import.<label>, for example pose@import.accivad: what the vectors are,"
                " and your label."
            )
        ),
    ],
    train: Annotated[
        Path,
        typer.Option(
            help="The training features: a file of all clips, or a folder with a file a clip."
        ),
    ],
    test: Annotated[
        Path, typer.Option(help="The test features; may be the same folder, csv or parquet.")
    ],
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            help="Of the videos that only the unsupervised setting trains on (ucf_crime)."
        ),
    ] = None,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help=(
                "accivad, frames, npy, c3d, npz, csv, parquet, mat, alphapose or trajectories;"
                " default: guessed."
            ),
        ),
    ] = "",
    crops: Annotated[
        str | None,
        typer.Option(help="What becomes of several crops a row: average (default) or keep."),
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option(min=0, max=99, help="Take one crop of several alone, by its number."),
    ] = None,
    snippet: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**31,
            help="Frames that a row of a clip covers; default 16; 0: equal shares of the clip.",
        ),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(help="objects or windows; default: objects where a table has boxes."),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=2**31,
            help="Frames of windows that overlap; poses of a window, 24 where not given.",
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(
            min=1, max=2**31, help="Frames from one window's first to the next one's; default 1."
        ),
    ] = None,
    window_frame: Annotated[
        str | None,
        typer.Option(help="Which frame a window scores: first, centre (default) or last."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            help="A table's features, by name or pattern: 'f*' or speed,height; default: all."
        ),
    ] = None,
    suffix: Annotated[
        str | None, typer.Option(help="What follows a clip's name in file names, for example _i3d.")
    ] = None,
    train_stride: Annotated[
        int | None,
        typer.Option(
            min=1, max=2**31, help="Of poses: --stride in training; default 6, of STG-NF."
        ),
    ] = None,
    missing: Annotated[
        int | None,
        typer.Option(
            min=0, max=2**31, help="Of poses: frames a window may lack a pose in; default 2."
        ),
    ] = None,
    ratio: Annotated[
        float | None,
        typer.Option(help="Of poses: what x is multiplied by; default 1, in STG-NF's code .5607."),
    ] = None,
    starts: Annotated[
        str | None,
        typer.Option(help="Of poses: whole (default), or released, the windows of STG-NF's code."),
    ] = None,
    nature: Annotated[
        str,
        typer.Option(
            help=(
                "What the columns are: mixed, one-unit or embedding, with network=NAME, speeds=0-3;"
                " default: the extractor's."
            )
        ),
    ] = "",
) -> None:
    """Read released features, check them against the data set and put them into the cache, all
    splits or none.
    """
    from vadbench.datasets.open import open_dataset
    from vadbench.features.importers import import_features, suspicions
    from vadbench.features.nature import parse_nature
    from vadbench.locations import cache_root

    options: dict[str, Any] = {
        "crops": crops,
        "crop": crop,
        "snippet": snippet,
        "window": window,
        "stride": stride,
        "window_frame": window_frame,
    }
    options |= {
        "rows": rows,
        "columns": None if columns is None else listed(columns),
        "suffix": suffix,
        "train_stride": train_stride,
        "missing": missing,
        "ratio": ratio,
        "starts": starts,
    }
    given = {name: value for name, value in options.items() if value is not None}
    paths = {"train": train, "test": test} | (
        {} if unlabelled is None else {"unlabelled": unlabelled}
    )
    stated = parse_nature(nature) if nature else None
    stored = import_features(
        open_dataset(dataset),
        stream,
        paths,  # type: ignore[arg-type]
        format_,
        given,
        cache_root(),
        stated,
    )
    for split, found in stored.items():
        kind = (
            "windows"
            if found.windows
            else "objects without boxes"
            if found.box is None
            else "objects"
        )
        echo(f"{dataset} {stream} {split}: {len(found.x)} {kind} of {found.x.shape[1]} numbers")
    for doubt in suspicions(stored):
        say(f"WARNING: {dataset} {stream}: {doubt}")


@app.command("list")
def features_list() -> None:
    """List what is cached: boxes, networks and streams, with what they hold and their sizes."""
    from vadbench.cli.terminal import print_grid
    from vadbench.features.cached import list_cached
    from vadbench.locations import cache_root

    found = list_cached(cache_root())
    if not found:
        raise BadInput(
            f"{cache_root()}: no cached features; vadbench features extract makes them,"
            " $VADBENCH_CACHE names another folder"
        )
    rows = [(one.name, one.holds, f"{one.bytes / 2**20:.1f}") for one in found]
    print_grid(("name", "holds", "MiB"), rows, left=(0, 1))
    total = sum(one.bytes for one in found)
    echo()
    echo(f"{len(found)} under {cache_root()}, {total / 2**20:.0f} MiB")


@app.command("remove")
def features_remove(
    names: Annotated[list[str], typer.Argument(help="As vadbench features list prints them.")],
) -> None:
    """Remove boxes, networks or streams from the cache; what was made with them stays."""
    from vadbench.features.cached import remove_cached
    from vadbench.locations import cache_root

    for name in names:
        removed = remove_cached(cache_root(), name.rstrip("/"))
        echo(f"removed {removed.name} ({removed.holds}), {removed.bytes / 2**20:.1f} MiB")


@app.command("verify")
def features_verify() -> None:
    """Verify every cached file against its manifest, and the videos it was made from where they are
    here.
    """
    from vadbench.features.verify import verify_features
    from vadbench.locations import cache_root

    folders, troubles = verify_features()
    if not folders:
        raise BadInput(
            f"{cache_root()}: no cached features; vadbench features extract makes them,"
            " $VADBENCH_CACHE names another folder"
        )
    for trouble in troubles:
        say(trouble)
    echo(f"{folders - len(troubles)} of {folders} folders under {cache_root()} are whole")
    raise typer.Exit(2 if troubles else 0)
