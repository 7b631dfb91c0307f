"""vadbench binarised: the AUC of decisions, as Tur et al. report it."""

from __future__ import annotations

from typing import Annotated

import typer

from vadbench.cli.options import RESULTS, ResultsDir
from vadbench.cli.terminal import echo

app = typer.Typer()


@app.command()
def binarised(
    record: Annotated[
        str,
        typer.Argument(
            help=(
                "A record, such as diffusion@velocity, ped2/diffusion@clip:0 or the beginning of"
                " its identity."
            )
        ),
    ],
    k: Annotated[
        list[float] | None,
        typer.Option(help="Sensitivities of the threshold; default: the paper's."),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1, max=2**53, help="Frames a batch, in a fixed random order; default: the released."
        ),
    ] = None,
    results: ResultsDir = RESULTS,
) -> None:
    """AUC of the decisions score > mean + k std of a batch, for every k: to set beside Tur et al.'s
    figures, and never ranked.
    """
    from vadbench.errors import BadInput
    from vadbench.evaluation.frames import read_frame_scores
    from vadbench.evaluation.metrics.binarised import PAPER_K, RELEASED_BATCH, by_sensitivity
    from vadbench.report.figures.scored import all_labels_of
    from vadbench.results.names import locate
    from vadbench.results.records import Results

    where, scored = locate(Results(results), record)
    frames = read_frame_scores(scored, where)
    if frames is None:
        raise BadInput(
            f"{scored.name}: its frame scores are not here; vadbench evaluate makes them"
        )
    size = batch or RELEASED_BATCH
    labels = all_labels_of(scored)
    scores, anomalous = labels.cut(frames.scores), labels.kept.flat()
    values = by_sensitivity(scores, anomalous, k or PAPER_K, size)
    echo(
        f"{scored.dataset} {scored.recipe}, seed {scored.seed}; {scored.read_outs[0]}, unsmoothed"
        f" frame scores, batches of {size}; percent"
    )
    for sensitivity, value in values.items():
        echo(f"auc_binarised  k={sensitivity:<6g} {100 * value:.1f}")
    echo(
        "Which k a paper prints is chosen on the test labels: all are given, none is ranked. Tables"
        " rank by the scores themselves."
    )
