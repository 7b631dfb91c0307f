"""The command line: parses, calls the API, prints. Heavy imports live inside the commands, so that `--help` and `list` are quick."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vadbench.errors import BadInput

if TYPE_CHECKING:
    from vadbench.plan import Plan

app = typer.Typer(
    help="The comparative benchmark of density-based video anomaly detection.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
features_app = typer.Typer(help="Extract and verify cached features.", no_args_is_help=True)
data_app = typer.Typer(help="Fetch and check the data sets on this machine.", no_args_is_help=True)
demo_app = typer.Typer(help="Pictures that explain methods.", no_args_is_help=True)
score_app = typer.Typer(help="Score the output files of any code: csv, parquet, npz, folders of txt.", no_args_is_help=True)
app.add_typer(score_app, name="score")
app.add_typer(demo_app, name="demo")
app.add_typer(features_app, name="features")
app.add_typer(data_app, name="data")

Methods = Annotated[str, typer.Option("--methods", help="Comma-separated detectors, recipes, or method@stream+stream.")]
Datasets = Annotated[str, typer.Option("--datasets", help="Comma-separated data sets.")]
Streams = Annotated[str, typer.Option("--features", help="Comma-separated streams, each extractor[.variant][@boxes]; default: the data set's own.")]
Seeds = Annotated[int | None, typer.Option(min=1, help="Seeds 0 to N-1 of methods that are not deterministic; default: 1, or the suite's.")]
Preset = Annotated[str, typer.Option(help="fast (CPU-sized) or paper (as published).")]
Set = Annotated[list[str] | None, typer.Option("--set", help="component.field=value, for example mulde.beta=0.1; repeatable.")]
Scope = Annotated[str, typer.Option(help="pooled: one training for all scenes; scene: one for each camera.")]
TrainOn = Annotated[str, typer.Option("--train-on", help="Another data set to train on; the tested ones are --datasets.")]
SuiteName = Annotated[str, typer.Option("--suite", help="A suite (vadbench list suites); --datasets, --features, --seeds vary it.")]
ResultsDir = Annotated[Path, typer.Option("--results", help="Folder of the records and tables.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON: fractions between 0 and 1, full precision.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
RESULTS = Path("results")


@app.command()
def run(
    methods: Methods = "",
    datasets: Datasets = "",
    features: Streams = "",
    seeds: Seeds = None,
    preset: Preset = "fast",
    settings: Set = None,
    scope: Scope = "pooled",
    train_on: TrainOn = "",
    suite: SuiteName = "",
    existing: Annotated[str, typer.Option(help="What to do with finished jobs: skip, rerun or fail.")] = "skip",
    executor: Annotated[str, typer.Option(help="Where jobs run: local.")] = "local",
    jobs: Annotated[int, typer.Option(min=1, help="Jobs at a time; each gets its share of the cores.")] = 1,
    results: ResultsDir = RESULTS,
    quiet: Quiet = False,
) -> None:
    """Run methods on data sets: features, training, scores, metrics, table. What is finished is not run again."""
    from vadbench import registry
    from vadbench.benchmark import run_suite
    from vadbench.records import Results

    if existing not in ("skip", "rerun", "fail"):
        raise registry.unknown("choice for --existing", existing, ("skip", "rerun", "fail"))
    if executor != "local":
        raise registry.unknown("executor", executor, ("local",))
    plan = _plan(methods, datasets, features, seeds, preset, settings, suite, scope, train_on)
    outcome = run_suite(plan, Results(results), existing=existing, processes=jobs, quiet=quiet, say=_say)  # type: ignore[arg-type]
    _print_table(outcome.table, outcome.path)
    for job, error in outcome.failed:
        _say(f"failed: {job.method} on {job.dataset} {job.stream.name}, seed {job.seed}: {error}")
    raise typer.Exit(1 if outcome.failed else 0)


@app.command()
def plan(
    methods: Methods = "",
    datasets: Datasets = "",
    features: Streams = "",
    seeds: Seeds = None,
    preset: Preset = "fast",
    settings: Set = None,
    scope: Scope = "pooled",
    train_on: TrainOn = "",
    suite: SuiteName = "",
    results: ResultsDir = RESULTS,
) -> None:
    """Show the jobs of a run, which of them are finished and what the others will cost; runs nothing."""
    from vadbench.benchmark import job_states
    from vadbench.cost import are_cached, expected_seconds, told
    from vadbench.locations import cache_root
    from vadbench.records import Results

    planned = _plan(methods, datasets, features, seeds, preset, settings, suite, scope, train_on)
    states, seconds = job_states(planned, Results(results)), expected_seconds(planned, Results(results), cache_root())
    for job in planned.jobs:
        cost = (
            ""
            if states[job.identity] == "done"
            else f"  {'' if are_cached(job, cache_root()) else 'features to extract, then '}{told(seconds[job.identity])}"
        )
        named = f"{job.method:12} {job.dataset:12} {job.stream.name:24} seed {job.seed}"
        typer.echo(f"{states[job.identity]:8} {job.identity[:12]}  {named}{cost}")
    counts = ", ".join(f"{list(states.values()).count(state)} {state}" for state in ("done", "failed", "missing"))
    typer.echo(f"{len(planned.jobs)} jobs ({counts}), {len({job.fit_identity for job in planned.jobs})} fits, {len(planned.recipes)} table entries")
    left = [seconds[identity] for identity, state in states.items() if state != "done"]
    known = [value for value in left if value is not None]
    if left:
        typer.echo(f"estimated time left on this machine: {told(sum(known))} for {len(known)} jobs; {len(left) - len(known)} unknown")


@app.command()
def evaluate(
    methods: Methods = "",
    datasets: Datasets = "",
    features: Streams = "",
    seeds: Seeds = None,
    preset: Preset = "fast",
    settings: Set = None,
    suite: SuiteName = "",
    results: ResultsDir = RESULTS,
) -> None:
    """Recompute metrics from stored scores and write the table again; with no methods and no suite, of every record. Trains nothing.

    Another protocol is a setting: --set protocol.smoothing=7, protocol.calibration_level=frame, protocol.calibration=sqrt, ...
    """
    from vadbench.benchmark import evaluate_all, evaluate_suite
    from vadbench.plan import parse_settings
    from vadbench.records import Results

    if not (methods or datasets or suite):
        chosen = parse_settings(settings or ())
        if set(chosen) - {"protocol"}:
            raise BadInput("--set: of all records only protocol.field=value can be set; name methods and data sets to set more")
        typer.echo(f"{evaluate_all(Results(results), chosen.get('protocol', {}), _say)} recipes evaluated under {results}")
        return
    _print_table(*evaluate_suite(_plan(methods, datasets, features, seeds, preset, settings, suite), Results(results)))


@app.command()
def table(
    suite: Annotated[str, typer.Argument(help="The suite's name (vadbench list suites), or its table's file name.")],
    format_: Annotated[str, typer.Option("--format", help="markdown or csv.")] = "markdown",
    results: ResultsDir = RESULTS,
) -> None:
    """Print a suite's table from the records there are; needs no data set."""
    from vadbench import registry
    from vadbench.benchmark import plan_suite
    from vadbench.locations import suites_root
    from vadbench.plan import read_suite
    from vadbench.records import Results
    from vadbench.report import csv, markdown
    from vadbench.report.table import make_table

    renderers = {"markdown": markdown.render, "csv": csv.render}
    if format_ not in renderers:
        raise registry.unknown("format", format_, renderers)
    typer.echo(renderers[format_](make_table(plan_suite(read_suite(suite, suites_root())), Results(results))), nl=False)


@app.command()
def ranks(
    suite: Annotated[str, typer.Argument(help="A suite over two or more data sets (vadbench list suites).")],
    metric: Annotated[str, typer.Option(help="A column of the table, such as 'micro AUC' or 'RBDC'.")] = "micro AUC",
    plot: Annotated[Path | None, typer.Option(help="Also draw the critical-difference diagram: .png, .svg or .pdf.")] = None,
    results: ResultsDir = RESULTS,
) -> None:
    """Rank a suite's rows over its data sets: average and Borda ranks, Friedman's test, Nemenyi's critical difference."""
    from vadbench.benchmark import plan_suite
    from vadbench.locations import suites_root
    from vadbench.plan import read_suite
    from vadbench.records import Results
    from vadbench.report import ranks as ranking
    from vadbench.report.table import make_table

    ranked = ranking.rank_table(make_table(plan_suite(read_suite(suite, suites_root())), Results(results)), metric)
    if plot is not None:
        ranking.draw_critical_difference(ranked, plot)
    typer.echo(ranking.render(ranked), nl=False)


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A record: [dataset/]recipe[:seed], the beginning of its identity, or its folder.")],
    second: Annotated[str, typer.Argument(help="The record it is compared with.")],
    results: ResultsDir = RESULTS,
) -> None:
    """Print the differences of two records with their 95 % intervals, and the videos that make them; needs no data set."""
    from vadbench import compare as comparing
    from vadbench.records import Results

    typer.echo(comparing.render(comparing.compare(Results(results), first, second)), nl=False)


@app.command(name="list")
def list_(what: Annotated[str, typer.Argument(help="methods, datasets, features or suites.")]) -> None:
    """List what there is, with one line each."""
    from vadbench import registry

    kinds: dict[str, tuple[registry.Kind, ...]] = {"methods": ("detectors", "recipes"), "datasets": ("datasets",), "features": ("extractors",)}
    if what == "suites":
        import tomllib

        from vadbench.locations import suites_root

        for path in sorted(suites_root().glob("*.toml")):
            typer.echo(f"{path.stem:16} {tomllib.loads(path.read_text(encoding='utf-8')).get('title', '')}")
        return
    if what not in kinds:
        raise registry.unknown("list", what, (*kinds, "suites"))
    for kind in kinds[what]:
        for name in registry.names(kind):
            typer.echo(f"{name:16} {registry.title(kind, name)}")


@app.command()
def check(
    method: Annotated[str, typer.Argument(help="A registered method.")],
    settings: Set = None,
) -> None:
    """Test a method against the contract that every method must pass."""
    from vadbench import registry
    from vadbench.plan import parse_settings
    from vadbench.testing import ContractError, check_detector, small_config

    detector = registry.load("detectors", method)
    config = small_config(detector, parse_settings(settings or ()).get(method, {}))
    try:
        check_detector(detector, config, passed=lambda clause: typer.echo(f"ok  {clause}"))
    except ContractError as error:
        typer.echo(f"{method}: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{method}: passes the contract")


@score_app.command("frames")
def score_frames_command(
    scores: Annotated[Path, typer.Option(help="Columns video, frame, score; frames from 0, higher = more anomalous.")],
    labels: Annotated[Path, typer.Option(help="Columns video, frame, label: 0 or 1; the same frames.")],
    smoothing: Annotated[float | None, typer.Option(min=0, help="Sigma in frames of a Gaussian filter within each video; default: none.")] = None,
    as_json: Json = False,
) -> None:
    """Frame metrics of a file of scores, with 95 % intervals from a bootstrap over videos."""
    from vadbench.scoring import score_frames

    _print_scored(score_frames(scores, labels, smoothing=smoothing), as_json)


@score_app.command("regions")
def score_regions_command(
    detections: Annotated[Path, typer.Option(help="Columns video, frame, x0, y0, x1, y1, score; or a folder with a txt a video.")],
    tracks: Annotated[Path, typer.Option(help="Columns video, track, frame, x0, y0, x1, y1; or a folder with a txt a video.")],
    frames: Annotated[str, typer.Option(help="Frames of all test videos: a number, or a file with video, frames (or video, frame, label).")],
    alpha: Annotated[float, typer.Option(help="Part of a track's regions that has to be detected.")] = 0.1,
    beta: Annotated[float, typer.Option(help="Least IoU of a detection with a region.")] = 0.1,
    ties: Annotated[str, typer.Option(help="Equal scores: average, or order (of rows, as the published script).")] = "average",
    as_json: Json = False,
) -> None:
    """RBDC and TBDC of a file of scored boxes, with 95 % intervals where --frames is a file."""
    from vadbench.scoring import score_regions

    _print_scored(score_regions(detections, tracks, frames, alpha=alpha, beta=beta, ties=ties), as_json)  # type: ignore[arg-type]


@data_app.command("check")
def data_check(dataset: Annotated[str, typer.Argument(help="A data set (vadbench list datasets).")]) -> None:
    """Verify a data set's counts, sizes, files and labels."""
    from vadbench.benchmark import open_dataset

    checks = open_dataset(dataset).check()
    width = max(len(line.what) for line in checks)
    for line in checks:
        typer.echo(f"{'ok ' if line.good else 'BAD'} {line.what:{width}}  {line.found}" + ("" if line.good else f" (expected {line.expected})"))
    if not all(line.good for line in checks):
        raise BadInput(f"{dataset}: {sum(not line.good for line in checks)} checks failed; get it again as the data set's page says")


@data_app.command("fetch")
def data_fetch(dataset: Annotated[str, typer.Argument(help="A data set (vadbench list datasets).")]) -> None:
    """Download and unpack a data set under $VADBENCH_DATA; where there is no public link, print how to get it."""
    from vadbench.benchmark import open_dataset
    from vadbench.datasets.fetch import fetch

    wanted = open_dataset(dataset)
    typer.echo(f"{wanted.title}: licence: {wanted.licence}. Cite: {wanted.citation}")
    if fetch(wanted, _say):
        typer.echo(f"unpacked into {wanted.root}; vadbench data check {dataset} verifies it")
    else:
        typer.echo(wanted.how_to_get)


@demo_app.command("density")
def demo_density(
    methods: Annotated[str, typer.Option("--methods", help="Comma-separated methods; default: all.")] = "",
    out: Annotated[Path, typer.Option(help="The picture to write.")] = Path("density.png"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the toy and of the methods.")] = 0,
) -> None:
    """Train methods on a toy of four Gaussians and draw their anomaly maps side by side, as in MULDE's Fig. 2."""
    from vadbench.report.density import draw

    for title, auc in draw(_split(methods), out, seed).items():
        typer.echo(f"{title:40} AUC {100 * auc:.1f}")
    typer.echo(f"written to {out}")


@features_app.command("extract")
def features_extract(
    datasets: Datasets = "",
    features: Streams = "",
    settings: Set = None,
    jobs: Annotated[int, typer.Option(min=1, help="Clips at a time; each gets its share of the cores.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Extract features into the cache; what is there is kept."""
    from vadbench.benchmark import extract_features

    extract_features(_plan("magnitude", datasets, features, None, "fast", settings, ""), quiet, jobs)


@features_app.command("import")
def features_import(
    dataset: Annotated[str, typer.Argument(help="A data set (vadbench list datasets).")],
    stream: Annotated[str, typer.Argument(help="<extractor>@import.<label>, for example pose@import.accivad: what the vectors are, and your label.")],
    train: Annotated[Path, typer.Option(help="The training features: a file, or a folder with a file a clip.")],
    test: Annotated[Path, typer.Option(help="The test features; may be the same folder, csv or parquet.")],
    unlabelled: Annotated[Path | None, typer.Option(help="Of the videos that only the unsupervised setting trains on (ucf_crime).")] = None,
    format_: Annotated[str, typer.Option("--format", help="accivad, npy, c3d, npz, csv, parquet or mat; default: guessed.")] = "",
    crops: Annotated[str | None, typer.Option(help="What becomes of several crops a row: average (default) or keep.")] = None,
    snippet: Annotated[int | None, typer.Option(min=0, help="Frames that a row of a clip covers; default 16; 0: equal shares of the clip.")] = None,
    rows: Annotated[str | None, typer.Option(help="objects or windows; default: objects where a table has boxes.")] = None,
    suffix: Annotated[str | None, typer.Option(help="What follows a clip's name in file names, for example _i3d.")] = None,
) -> None:
    """Read released features, check them against the data set and put them into the cache, all splits or none."""
    from vadbench.benchmark import open_dataset
    from vadbench.features.importers import import_features
    from vadbench.locations import cache_root

    options = {"crops": crops, "snippet": snippet, "rows": rows, "suffix": suffix}
    given = {name: value for name, value in options.items() if value is not None}
    paths = {"train": train, "test": test} | ({} if unlabelled is None else {"unlabelled": unlabelled})
    stored = import_features(open_dataset(dataset), stream, paths, format_, given, cache_root())  # type: ignore[arg-type]
    for split, found in stored.items():
        kind = "windows" if found.windows else "objects without boxes" if found.box is None else "objects"
        typer.echo(f"{dataset} {stream} {split}: {len(found.x)} {kind} of {found.x.shape[1]} numbers")


@features_app.command("verify")
def features_verify() -> None:
    """Verify every cached file against its manifest."""
    from vadbench.features.store import verify
    from vadbench.locations import cache_root

    folders = sorted(path.parent for path in cache_root().rglob("manifest.json"))
    broken = 0
    for folder in folders:
        try:
            verify(folder)
        except BadInput as error:
            broken += 1
            typer.echo(str(error), err=True)
    typer.echo(f"{len(folders) - broken} of {len(folders)} folders under {cache_root()} are whole")
    raise typer.Exit(2 if broken else 0)


def _plan(
    methods: str,
    datasets: str,
    features: str,
    seeds: int | None,
    preset: str,
    settings: list[str] | None,
    suite: str,
    scope: str = "pooled",
    train_on: str = "",
) -> Plan:
    from vadbench.benchmark import plan_suite
    from vadbench.locations import suites_root
    from vadbench.plan import make_suite, parse_settings, read_suite, vary

    if suite:
        if methods or settings or train_on or (preset, scope) != ("fast", "pooled"):
            raise BadInput("--suite names methods, preset and settings itself; give either a suite or these; --datasets, --features, --seeds vary it")
        return plan_suite(vary(read_suite(suite, suites_root()), _split(datasets), _split(features), seeds))
    if not methods or not datasets:
        raise BadInput("give --methods and --datasets, or --suite (vadbench list methods|datasets|suites)")
    lists = {"methods": _split(methods), "datasets": _split(datasets), "features": _split(features)}
    chosen = {"preset": preset, "settings": parse_settings(settings or ()), "scope": scope, "train_on": train_on or None}
    return plan_suite(make_suite({**lists, **chosen, "seeds": seeds or 1}))


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _print_scored(result: dict[str, Any], as_json: bool) -> None:
    import json

    from vadbench.scoring import render

    typer.echo(json.dumps(result, allow_nan=False) if as_json else render(result))


def _print_table(table: Any, path: Path) -> None:
    from vadbench.report import markdown

    typer.echo("\n" + markdown.render(table))
    typer.echo(f"written to {path} and {path.with_suffix('.csv')}")


def _say(line: str) -> None:
    typer.echo(line, err=True)


def main() -> None:
    """Run the command line; exit 0 good, 1 a job failed, 2 bad input, 130 interrupted."""
    try:
        app()
    except SystemExit as stop:
        if stop.code == 130:  # typer's answer to Ctrl-C
            typer.echo("vadbench: interrupted; the same command goes on where this one stopped", err=True)
        raise
    except BadInput as error:
        typer.echo(f"vadbench: {' '.join(str(error).split())}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        where = error.filename or "the results or the cache"
        typer.echo(f"vadbench: no space left on the disk of {where}; free some, then run the same command", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
