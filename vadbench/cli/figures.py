"""Commands that draw: plot …, show."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from vadbench.cli.options import (
    MOST_SEED,
    RESULTS,
    Datasets,
    Options,
    ResultsDir,
    Seeds,
    Streams,
    split,
)
from vadbench.cli.terminal import echo, echo_lines, say


def drawable(out: Path) -> Path:
    """`out`, refused before anything is read if it cannot be drawn."""
    from vadbench.report.figures.style import require_drawable

    require_drawable(out)
    return out


Records = Annotated[
    list[str],
    typer.Argument(
        metavar="RECORD...",
        help="Records: [dataset/]recipe[:seed], the beginning of an identity, or a folder.",
    ),
]
Record = Annotated[
    str,
    typer.Argument(
        help="A record: [dataset/]recipe[:seed], the beginning of its identity, or its folder."
    ),
]
Out = Annotated[
    Path, typer.Option("--out", help="The picture: .png, .svg or .pdf.", callback=drawable)
]
Metric = Annotated[str, typer.Option(help="A column of the table, such as 'micro AUC' or 'RBDC'.")]
Caption = Annotated[bool, typer.Option("--caption", help="Draw the caption below the panels too.")]
Suite = Annotated[
    str,
    typer.Option(
        "--suite",
        help="An ablation (vadbench list suites); --datasets, --features, --seeds vary it.",
    ),
]


class What(StrEnum):
    """What `show` shows of a clip."""

    scores = "scores"
    reconstruction = "reconstruction"


app = typer.Typer()
plot = typer.Typer(
    help="Draw figures of records: PNG, SVG or PDF. The caption is printed, and drawn on request.",
    no_args_is_help=True,
)
app.add_typer(plot, name="plot")


@plot.command("timeline")
def plot_timeline(
    records: Records,
    video: Annotated[str, typer.Option("--video", help="A test video, such as Test004.")],
    scale: Annotated[
        str, typer.Option(help="range (of a record's scores over the whole test set), or rank.")
    ] = "range",
    out: Out = Path("timeline.png"),
    caption: Caption = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Frame scores of one video over time, a panel a record, anomalous frames shaded."""
    from vadbench.report.figures.scored import read_scored, why_no_labels
    from vadbench.report.figures.timeline import draw_timeline
    from vadbench.results.records import Results

    scored = read_scored(Results(results), records)
    _say(draw_timeline(scored, video, out, scale, below=caption), out)
    reason = why_no_labels(scored[0].record)
    if reason:
        say(f"no ground truth: {reason}")


@plot.command("roc")
def plot_roc(
    records: Records,
    out: Out = Path("roc.png"),
    caption: Caption = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Micro ROC curves; needs the data set's labels."""
    from vadbench.report.figures.roc import draw_roc
    from vadbench.report.figures.scored import read_scored
    from vadbench.results.records import Results

    scored = read_scored(Results(results), records)
    _say(draw_roc(scored, out, below=caption), out)


@plot.command("regions")
def plot_regions(
    records: Records,
    out: Out = Path("regions.png"),
    caption: Caption = False,
    results: ResultsDir = RESULTS,
) -> None:
    """RBDC and TBDC curves; needs the row scores (rows.npz) and the data set's regions."""
    from vadbench.report.figures.region_curves import draw_regions
    from vadbench.report.figures.scored import read_scored
    from vadbench.results.records import Results

    scored = read_scored(Results(results), records)
    _say(draw_regions(scored, out, below=caption), out)


@plot.command("histogram")
def plot_histogram(
    record: Record,
    out: Out = Path("histogram.png"),
    caption: Caption = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Scores of normal and of anomalous frames; needs the data set's labels."""
    from vadbench.report.figures.histogram import draw_histogram
    from vadbench.report.figures.scored import read_scored
    from vadbench.results.records import Results

    (scored,) = read_scored(Results(results), [record])
    _say(draw_histogram(scored, out, below=caption), out)


@plot.command("bits")
def plot_bits(
    record: Record,
    out: Out = Path("bits.png"),
    caption: Caption = False,
    results: ResultsDir = RESULTS,
) -> None:
    """Bits per dimension of normal and of anomalous frames, of flows on maps (ITAE+NF's Fig. 5);
    needs the data set's labels and the features.
    """
    from vadbench.report.figures.bits import draw_bits, read_bits
    from vadbench.results.records import Results

    _say(draw_bits(*read_bits(Results(results), record), out, below=caption), out)


@plot.command("scales")
def plot_scales(
    suite: Suite = "mulde-scales",
    datasets: Datasets = "",
    features: Streams = "",
    seeds: Seeds = None,
    metric: Metric = "micro AUC",
    out: Out = Path("scales.png"),
    caption: Caption = False,
    results: ResultsDir = RESULTS,
) -> None:
    """One noise scale against mixtures over all, as in MULDE's Fig. 4; or another ablation over one
    number. Needs no data set.
    """
    from vadbench.report.figures.scales import draw_scales
    from vadbench.results.records import Results

    options = Options("", datasets, features, seeds, suite=suite)
    plan = options.read_plan()
    drawn = draw_scales(plan.suite, plan.wanted, Results(results), out, metric, below=caption)
    _say(drawn, out)
    _say_what_runs_the_rest(drawn, plan.suite.called)


@plot.command("noise")
def plot_noise(
    suite: Suite = "diffusion-noise",
    datasets: Datasets = "",
    features: Streams = "",
    seeds: Seeds = None,
    metric: Metric = "micro AUC",
    out: Out = Path("noise.png"),
    caption: Caption = False,
    results: ResultsDir = RESULTS,
) -> None:
    """P_mean x P_std x t of the diffusion as heat maps; or another ablation over two settings.

    Needs no data set.
    """
    from vadbench.report.figures.heatmap import draw_heatmap
    from vadbench.results.records import Results

    options = Options("", datasets, features, seeds, suite=suite)
    plan = options.read_plan()
    drawn = draw_heatmap(plan.suite, plan.wanted, Results(results), out, metric, below=caption)
    _say(drawn, out)
    _say_what_runs_the_rest(drawn, plan.suite.called)


@app.command()
def show(
    dataset: Annotated[str, typer.Argument(help="A data set (vadbench list datasets).")],
    video: Annotated[str, typer.Argument(help="A test video, such as Test004.")],
    what: Annotated[
        What,
        typer.Option(
            "--what",
            help=(
                "scores, or reconstruction: each frame beside what a learnt network, such as"
                " itae's, makes of it; no record is needed."
            ),
        ),
    ] = What.scores,
    method: Annotated[str, typer.Option("--method", help="A detector or recipe.")] = "",
    features: Annotated[
        str,
        typer.Option(
            "--features",
            help=(
                "Its streams joined by +; default: the data set's own, or the only ones. Of a"
                " reconstruction one of the network's; default: itae.error."
            ),
        ),
    ] = "",
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, help="The seed of the record or the network.")
    ] = 0,
    record: Annotated[
        str,
        typer.Option(
            help=(
                "A record as `vadbench compare` takes it, in place of --method, --features and"
                " --seed."
            )
        ),
    ] = "",
    first: Annotated[
        int | None, typer.Option("--from", help="Of a reconstruction: the first frame.")
    ] = None,
    last: Annotated[
        int | None, typer.Option("--to", help="Of a reconstruction: the last frame.")
    ] = None,
    frames: Annotated[
        str,
        typer.Option(
            "--frames", help="Of a reconstruction as a picture: its frames, such as 60,80,100."
        ),
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Of a reconstruction: what its network was trained with, such as itae.width=0.5.",
        ),
    ] = None,
    fps: Annotated[int, typer.Option(min=1, max=1000, help="Frames a second.")] = 10,
    out: Annotated[
        Path | None,
        typer.Option(
            help=(
                "The video, .mp4; default: DATASET-VIDEO-METHOD.mp4. Of a reconstruction also a"
                " picture of a few frames: .png, .svg or .pdf."
            )
        ),
    ] = None,
    results: ResultsDir = RESULTS,
) -> None:
    """Write a test clip as a video: boxes coloured by their scores, below it the running timeline
    of the frame scores; or its frames beside their reconstructions and errors.
    """
    from vadbench.errors import BadInput
    from vadbench.report.video.show import record_of, write_show
    from vadbench.results.records import Results

    name = f"{dataset}-{video.replace('/', '-')}"
    if what is What.reconstruction:
        if method or record:
            raise BadInput("--what reconstruction shows a network, not --method or --record")
        path = out or Path(f"{name}-reconstruction.mp4")
        span = _Span(first, last, _read_numbers(frames))
        _say(_write_reconstruction(dataset, video, path, features, settings, seed, span, fps), path)
        return
    if first is not None or last is not None or frames or settings:
        raise BadInput("--from, --to, --frames and --set go with --what reconstruction")
    if bool(method) == bool(record):
        raise BadInput("give either --method (with --features and --seed where needed) or --record")
    path = out or Path(f"{name}-{method or record[:12]}.mp4")
    chosen = record or record_of(Results(results), dataset, method, features, seed)
    _say(write_show(Results(results), dataset, chosen, video, path, fps), path)


class _Span(NamedTuple):
    """The frames of a clip that are shown."""

    first: int | None
    last: int | None
    frames: tuple[int, ...]


def _write_reconstruction(
    dataset: str,
    video: str,
    out: Path,
    features: str,
    settings: list[str] | None,
    seed: int,
    span: _Span,
    fps: int,
) -> str:
    from vadbench.report.video.reconstruction import STREAM, Which, write_reconstruction
    from vadbench.suite import parse_settings

    which = Which(features or STREAM, parse_settings(settings or ()), seed)
    return write_reconstruction(dataset, video, out, which, **span._asdict(), fps=fps, quiet=False)


def _read_numbers(text: str) -> tuple[int, ...]:
    """The numbers of a comma-separated list."""
    from vadbench.errors import BadInput, quote

    try:
        return tuple(int(part) for part in split(text))
    except ValueError:
        raise BadInput(
            f"--frames {quote(text)}: expected frame numbers, such as 60,80,100"
        ) from None


def _say(caption: str, out: Path) -> None:
    echo_lines(caption)
    echo(f"written to {out}")


def _say_what_runs_the_rest(caption: str, suite: str) -> None:
    from vadbench.report.figures.sweep import MISSING

    if MISSING in caption:
        say(f"vadbench run --suite {suite} runs them")
