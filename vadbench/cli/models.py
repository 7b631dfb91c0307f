"""Commands on kept models: train, models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vadbench.cli.options import (
    RESULTS,
    Json,
    Options,
    Preset,
    Quiet,
    ResultsDir,
    Scope,
    Set,
    Streams,
)
from vadbench.cli.runs import silent
from vadbench.cli.signals import end
from vadbench.cli.terminal import echo, echo_lines, print_grid, say
from vadbench.errors import BadInput
from vadbench.spec import MOST_SEEDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vadbench.models.held_out import KeptRate
    from vadbench.models.tested import TestedRate

app = typer.Typer()
models = typer.Typer(
    help="Kept models: list, show, export, remove (vadbench train makes them).",
    no_args_is_help=True,
)
Name = Annotated[
    str,
    typer.Argument(
        help="[dataset/]method@stream[:seed], the beginning of its identity, or its folder."
    ),
]


@app.command()
def train(
    method: Annotated[str, typer.Argument(help="A detector, a recipe, or method@stream+stream.")],
    dataset: Annotated[str, typer.Option(help="The data set whose training videos are learnt.")],
    features: Streams = "",
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEEDS - 1, help="Of what is random.")] = 0,
    preset: Preset = None,
    settings: Set = None,
    scope: Scope = "pooled",
    alarms: Annotated[
        str,
        typer.Option(
            help="How many alarms normal video may raise, such as 1/hour: sets the threshold, from"
            " training videos that further fits do not see. none: no threshold, one fit."
        ),
    ] = "1/hour",
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Threads; default: what the method gains from."),
    ] = None,
    results: ResultsDir = RESULTS,
    quiet: Quiet = False,
) -> None:
    """Train a method and keep what it learnt, for vadbench watch; planned exactly as run plans it.

    Reads the training videos alone; tests nothing. The threshold for alarms takes five fits more.
    """
    from vadbench.evaluation.alarms import read_rate
    from vadbench.runner.keep import choose_seed, train_models

    rate = read_rate(alarms)
    for name, given in (("METHOD", method), ("--dataset", dataset)):
        if "," in given:
            raise BadInput(
                f"{name} {given}: expected one; vadbench run --keep-models takes several"
            )
    options = Options(
        methods=method,
        datasets=dataset,
        features=features,
        preset=preset,
        seeds=seed + 1,
        settings=settings,
        scope=scope,
    )
    plan, progress = choose_seed(options.read_plan(), seed), silent if quiet else say
    kept = train_models(plan, results, quiet=quiet, threads=threads, say=progress, alarms=rate)
    for one in kept:
        echo(f"{one.manifest.name} {one.folder}")


@app.command()
def watch(
    source: Annotated[
        str,
        typer.Argument(
            help="A video file, a folder of numbered pictures, or a camera (rtsp://...)."
        ),
    ],
    model: Annotated[
        str, typer.Option(help="As vadbench models show takes it; also the path of a .zip.")
    ],
    smoothing: Annotated[
        str, typer.Option(help="none, or causal-SIGMA (frames), such as causal-3.")
    ] = "none",
    alarms: Annotated[
        str | None,
        typer.Option(
            help="How many alarms normal video may raise, such as 1/hour; none: no threshold."
            " Default: as the model was trained."
        ),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Frames with a higher score raise an alarm.")
    ] = None,
    alarm_list: Annotated[
        Path | None, typer.Option(help="Also a file of the alarms: .csv, a line each.")
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="csv or json, a line a frame.")] = "csv",
    out: Annotated[Path | None, typer.Option(help="File of the lines; default: stdout.")] = None,
    video: Annotated[Path | None, typer.Option(help="Also an annotated video: .mp4.")] = None,
    warm_up: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=10_000,
            help="Take backgrounds from so many first frames, and not from a pass over the clip.",
        ),
    ] = None,
    scene: Annotated[
        str, typer.Option(help="Whose detector scores, of a model with one for each scene.")
    ] = "",
    fps: Annotated[
        float | None,
        typer.Option(min=0.001, max=1000, help="Of a folder of pictures, and of the film."),
    ] = None,
    results: ResultsDir = RESULTS,
    quiet: Quiet = False,
) -> None:
    """Score a new video frame by frame with a kept model: frame, time, score, threshold, box of the
    highest object; and its alarms.

    Ends with frames a second and the times of each stage. Ctrl-C leaves what was scored.
    """
    from vadbench import registry
    from vadbench.models.clock import Clock
    from vadbench.models.film import check_film
    from vadbench.models.lines import FORMATS
    from vadbench.models.model import load_model
    from vadbench.models.recording import Recording, check_places
    from vadbench.models.watching import STAGES

    if format_ not in FORMATS:
        raise registry.unknown("choice for --format", format_, FORMATS)
    if video is not None:
        check_film(video)
    check_places(source, out, alarm_list, video)
    progress, clock = silent if quiet else say, Clock(STAGES)
    loaded = load_model(model, results)
    frames = loaded.watch(
        source,
        smoothing=smoothing,
        scene=scene,
        warm_up=warm_up,
        fps=fps,
        threshold=threshold,
        alarms=alarms,
        listed=alarm_list is not None,
        say=progress,
        clock=clock,
    )
    scale = loaded.scale(scene) if video else (0.0, 1.0)
    join = loaded.join_frames(fps)
    record = Recording(out, format_, alarm_list, join, video, scale, fps, echo, progress)
    interrupted = record.write(frames)
    for line in clock.words.splitlines():
        progress(line)
    if interrupted:
        kept = f" in {out}" if out else ""
        say(f"vadbench: interrupted; what was scored is kept{kept}")
        end()


@models.command("list")
def list_models_command(results: ResultsDir = RESULTS) -> None:
    """List the models that are kept, with their parts and size."""
    from vadbench.models.store import Kept, list_models

    rows = []
    for one in list_models(results):
        if not isinstance(one, Kept):
            say(f"vadbench: {one}")
            continue
        manifest = one.manifest
        words = ", ".join(manifest.result.words)
        rows.append((manifest.name, one.folder.name, f"{manifest.bytes / 1024:.0f}", words))
    if rows:
        print_grid(("model", "identity", "KiB", "unusual"), rows, left=(0, 1, 3))
    else:
        echo(f"no models under {results}; vadbench train METHOD --dataset DATASET makes one")


@models.command("show")
def show_model(name: Name, results: ResultsDir = RESULTS, as_json: Json = False) -> None:
    """Check a model's files and say what it is: parts, settings, streams, how they are watched."""
    from vadbench.models.describe import describe_model
    from vadbench.models.store import find_model, read_model

    kept = read_model(find_model(results, name).folder)
    if as_json:
        echo_lines(kept.manifest.model_dump_json(indent=1))
        return
    echo_lines(describe_model(kept))


@models.command("alarms")
def try_alarms(
    name: Name,
    alarms: Annotated[
        str, typer.Option(help="Rates to try, comma-separated, such as 12/hour,60/hour.")
    ] = "6/hour,30/hour,60/hour",
    smoothing: Annotated[
        str, typer.Option(help="none, or causal-SIGMA (frames), such as causal-3.")
    ] = "none",
    results: ResultsDir = RESULTS,
) -> None:
    """Try how a model's thresholds keep their promise: set from four fifths of the held-out normal
    videos, tried on the others, each fifth once, without a label. And what they give on the tested
    videos, where these were run.
    """
    from vadbench.evaluation.alarms import read_rates
    from vadbench.models.model import load_model
    from vadbench.models.tested import measure_alarms
    from vadbench.results.records import Results

    rates, model = read_rates(alarms), load_model(name, results)
    _print_tried(model.try_rates(rates, smoothing))
    try:
        tested = measure_alarms(model, Results(results), rates)
    except BadInput as error:
        say(f"tested videos: {error}")
        return
    echo()
    _print_tested(tested)


def _print_tried(tried: Iterable[KeptRate]) -> None:
    rows = [
        (
            one.scene,
            f"{one.rate:g}",
            f"{one.hours * 60:.3g}",
            f"{one.asked:.1f}",
            str(one.raised),
            "-" if one.ratio is None else f"{one.ratio:.2f}",
        )
        for one in tried
    ]
    print_grid(("scene", "asked an hour", "minutes", "asked", "raised", "ratio"), rows, left=(0,))


def _print_tested(tested: Iterable[TestedRate]) -> None:
    rows: list[tuple[str, ...]] = []
    for one in tested:
        values = one.metrics
        if values is None:
            rows.append((f"{one.rate:g}", "-", "-", "-"))
            continue
        measures = (
            (values.false_alarms_per_hour, "{:.3g}"),
            (values.found, f"{{:.0%}} of {values.found.n}"),
            (values.median_delay, "{:.2f}"),
        )
        shown = [
            "-" if measure.value is None else form.format(measure.value)
            for measure, form in measures
        ]
        rows.append((f"{one.rate:g}", *shown))
    heads = ("tested: asked an hour", "false an hour", "events found", "median delay, s")
    print_grid(heads, rows, left=())
    echo("of unsmoothed scores; false alarms an hour of normal frames")


@models.command("export")
def export_model_command(
    name: Name,
    out: Annotated[Path, typer.Argument(help="A file .zip, or a folder that is not there yet.")],
    results: ResultsDir = RESULTS,
) -> None:
    """Copy a model to one file or folder; vadbench watch --model takes it by its path."""
    from vadbench.models.store import export_model, find_model

    export_model(find_model(results, name), out)
    echo(f"written to {out}")


@models.command("remove")
def remove_model_command(name: Name, results: ResultsDir = RESULTS) -> None:
    """Remove a model; records and features stay."""
    from vadbench.models.store import find_model, remove_model

    kept = find_model(results, name)
    remove_model(kept)
    echo(f"removed {kept.manifest.name} {kept.folder}")
