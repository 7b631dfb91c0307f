"""vadbench score: other code's output files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vadbench.cli.options import Json
from vadbench.cli.terminal import echo_lines

FirstFrame = Annotated[
    int,
    typer.Option(min=0, max=1, help="Number of a video's first frame in the file of scores."),
]
FirstLabel = Annotated[
    int | None,
    typer.Option(
        min=0, max=1, help="The same in the labels; default: as in the scores. UCF-Crime's have 1."
    ),
]
app = typer.Typer(
    help="Score the output files of any code: csv, parquet, npz, folders with a file a video.",
    no_args_is_help=True,
)


@app.command("frames")
def score_frames_command(
    scores: Annotated[
        Path,
        typer.Option(
            help=(
                "A score a frame, higher = more anomalous: csv, parquet or npz with the columns"
                " video, frame, score; npz or mat with an array a video; npy, npz, mat or txt of"
                " all frames in the data set's order; or a folder, a txt or npy a video."
            )
        ),
    ],
    labels: Annotated[
        Path | None,
        typer.Option(
            help=(
                "A label a frame, 0 or 1, of the same frames in any of these forms (column label);"
                " a txt of intervals, `video start end` or UCF-Crime's lines; UCSD's m file;"
                " or a folder of masks; or the name of other labels of --dataset, such as hr."
                " Default: its official ones."
            )
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Take labels, videos and smoothing from this data set."),
    ] = None,
    smoothing: Annotated[
        float | None,
        typer.Option(
            min=0,
            help=(
                "Sigma in frames of a Gaussian filter within each video, 0 for none; default: that"
                " of --dataset, else none."
            ),
        ),
    ] = None,
    first_frame: FirstFrame = 0,
    first_label: FirstLabel = None,
    as_json: Json = False,
) -> None:
    """Frame metrics of a file of scores, with 95 % intervals over the videos."""
    from vadbench.external.score import score_frames

    result = score_frames(
        scores,
        labels,
        smoothing=smoothing,
        dataset=dataset,
        first_frame=first_frame,
        first_label=first_label,
    )
    _print_scored(result, as_json)


@app.command("regions")
def score_regions_command(
    detections: Annotated[
        Path,
        typer.Option(
            help="Columns video, frame, x0, y0, x1, y1, score; or a folder with a txt a video."
        ),
    ],
    tracks: Annotated[
        Path,
        typer.Option(
            help="Columns video, track, frame, x0, y0, x1, y1; or a folder with a txt a video."
        ),
    ],
    frames: Annotated[
        str,
        typer.Option(
            help=(
                "Frames of all test videos: a number, a file with video, frames, or a file or"
                " folder of labels."
            )
        ),
    ],
    alpha: Annotated[
        float, typer.Option(help="Part of a track's regions that has to be detected.")
    ] = 0.1,
    beta: Annotated[float, typer.Option(help="Least IoU of a detection with a region.")] = 0.1,
    ties: Annotated[
        str,
        typer.Option(help="Equal scores: average, or order (of rows, as the published script)."),
    ] = "average",
    as_json: Json = False,
) -> None:
    """RBDC and TBDC of a file of scored boxes, with 95 % intervals where --frames is a file."""
    from vadbench.external.score import score_regions

    given: Any = ties
    _print_scored(
        score_regions(detections, tracks, frames, alpha=alpha, beta=beta, ties=given), as_json
    )


def _print_scored(result: dict[str, Any], as_json: bool) -> None:
    import json

    from vadbench.external.score import render

    echo_lines(json.dumps(result, allow_nan=False) if as_json else render(result))
