"""Figures of records: what the curves are, what the pictures say, and what is refused."""

import re
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from figure_records import ANOMALOUS, FRAMES, run, write_dataset
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from typer.testing import CliRunner

pytest.importorskip("matplotlib")

from vadbench.cli import app
from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import read_rows
from vadbench.evaluation.metrics.frame import micro_auc
from vadbench.evaluation.metrics.regions import match, region_metrics
from vadbench.files.box_arrays import read_boxes, read_scores
from vadbench.locations import suites_root
from vadbench.report.figures.curves import percent, rate_at, region_curves, roc_curve
from vadbench.report.figures.detected import read_detected
from vadbench.report.figures.heatmap import draw_heatmap
from vadbench.report.figures.histogram import BINS, bin_edges, draw_histogram
from vadbench.report.figures.region_curves import draw_regions
from vadbench.report.figures.roc import draw_roc
from vadbench.report.figures.scales import draw_scales
from vadbench.report.figures.scored import names, read_scored, tracks_of
from vadbench.report.figures.style import line_style, picture
from vadbench.report.figures.sweep import axis_label, differences, sweeps
from vadbench.report.figures.timeline import draw_timeline, paint_timeline, spans
from vadbench.results.records import Results
from vadbench.spec import Training, Value
from vadbench.suite import read_suite

METHODS = ("magnitude", "gaussian", "iforest")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A data set, features and records of three methods, made once."""
    base = tmp_path_factory.mktemp("figures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VADBENCH_DATA", str(base / "data"))
        patch.setenv("VADBENCH_CACHE", str(base / "cache"))
        write_dataset(base / "data")
        run(Results(base / "results"), methods=METHODS, features=("velocity@grid",))
    return base


@pytest.fixture
def results(place, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(place / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(place / "cache"))
    return Results(place / "results")


@pytest.fixture
def scored(results):
    return read_scored(results, [f"{method}@velocity@grid" for method in METHODS])


@pytest.fixture
def without_data(results, tmp_path, monkeypatch):
    """The records on a machine without the data set."""
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "nothing"))
    return results


def texts(path):
    """What a reader can select in an SVG picture."""
    return [
        re.sub(r"<[^>]+>", "", found).strip()
        for found in re.findall(r"<text.*?</text>", path.read_text(), flags=re.DOTALL)
    ]


def change_result(scored, **fields):
    """The record as one of another result."""
    result = scored.record.result.model_copy(update=fields)
    return replace(scored, record=scored.record.model_copy(update={"result": result}))


# the curves


@st.composite
def frames_of_videos(draw):
    lengths = np.array(draw(st.lists(st.integers(1, 8), min_size=1, max_size=5)))
    total = int(lengths.sum())
    scores = draw(arrays(np.float64, total, elements=st.integers(0, 6).map(float)))
    anomalous = draw(arrays(bool, total))
    return scores, anomalous, lengths


@given(frames_of_videos())
def test_the_area_under_the_roc_curve_is_the_micro_auc(drawn):
    scores, anomalous, _ = drawn
    curve = roc_curve(scores, anomalous)
    expected = micro_auc(scores, anomalous.astype(int))
    if np.isnan(expected):
        assert np.isnan(curve.x).any() or np.isnan(curve.y).any()
    else:
        assert np.trapezoid(curve.y, curve.x) == pytest.approx(expected)
        assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)


def test_a_rate_at_a_step_is_its_upper_end_and_holds_after_the_last_point():
    x, y = np.array([0.0, 0.0, 0.5, 0.5]), np.array([0.0, 0.2, 0.4, 0.8])
    assert rate_at(x, y, np.array([0.0, 0.25, 0.5, 1.0])).tolist() == pytest.approx(
        [0.2, 0.3, 0.8, 0.8]
    )


def test_region_curves_are_those_of_the_metric_and_their_areas_the_records(scored):
    one = scored[0]
    truth, boxes = tracks_of(one.record), read_detected(one).boxes
    frames = dict(zip(one.videos, map(int, one.lengths), strict=True))
    regions = read_boxes({name: truth[name].to_numpy() for name in truth}, "ground_truth")
    found = match(read_boxes(boxes, "detections"), read_scores(boxes), regions, videos=frames)
    curves = region_curves(found, one.lengths)
    wanted = region_metrics(boxes, truth, frames, curves=True).curves
    for metric, rate in (("rbdc", wanted.rbdr), ("tbdc", wanted.tbdr)):
        np.testing.assert_allclose(curves[metric].x, wanted.fpr)
        np.testing.assert_allclose(curves[metric].y, rate)
        x = np.unique(np.append(curves[metric].x[curves[metric].x <= 1], np.linspace(0, 1, 20001)))
        assert np.trapezoid(rate_at(curves[metric].x, curves[metric].y, x), x) == pytest.approx(
            one.value(metric.upper()).value, abs=1e-3
        )


# what is drawn


@given(arrays(bool, st.integers(0, 30)))
def test_spans_are_the_anomalous_frames(anomalous):
    again = np.zeros_like(anomalous)
    for first, last in spans(anomalous):
        assert not again[max(first - 1, 0) : last + 1].any()
        again[first : last + 1] = True
    assert (again == anomalous).all()


def test_anomalous_frames_are_shaded_from_edge_to_edge():
    from matplotlib.figure import Figure

    axis = Figure().subplots()
    paint_timeline(axis, np.linspace(0, 1, 10), np.arange(10) >= 7)
    (shade,) = axis.patches
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == (6.5, 9.5)


def test_a_timeline_has_a_panel_a_record_scaled_over_the_whole_test_set(scored, tmp_path):
    caption = draw_timeline(scored, "b", tmp_path / "t.svg")
    shown = texts(tmp_path / "t.svg")
    assert set(METHODS) <= set(shown)
    assert "frame of b" in shown
    assert "score, scaled to its own range over the whole test set" in " ".join(shown)
    assert caption.endswith("Shaded: anomalous frames.")
    for one in scored:
        scaled = one.scaled()
        assert (scaled.min(), scaled.max()) == (0, 1)
        assert f"AUC of this video {100 * one.video_auc('b'):.1f}" in shown


def test_ranks_keep_the_order_of_frames(scored):
    for one in scored:
        assert (
            np.argsort(one.scaled("rank"), kind="stable") == np.argsort(one.scores, kind="stable")
        ).all()


def test_a_video_without_an_anomaly_says_so(scored, tmp_path):
    assert "No frame is anomalous." in draw_timeline(scored, "c", tmp_path / "t.png")


def test_frames_of_a_video_are_its_own(scored):
    assert [scored[0].frames_of(video) for video in ANOMALOUS] == [
        slice(i * FRAMES, (i + 1) * FRAMES) for i in range(3)
    ]


def test_the_roc_legend_has_the_values_of_the_tables(scored, tmp_path):
    draw_roc(scored, tmp_path / "r.svg")
    shown = texts(tmp_path / "r.svg")
    for name, one in zip(METHODS, scored, strict=True):
        assert f"{name}: {percent(one.value('micro AUC'))}" in shown


def test_an_interval_in_a_legend_has_its_videos_and_a_value_without_one_stands_alone():
    value = Value("micro_auc", value=0.9)
    assert percent(value) == "90.0"
    assert percent(replace(value, low=0.85, high=0.93, videos=7)) == "90.0 [85.0, 93.0] n=7"
    assert percent(Value("micro_auc", reason="one class only")) == "–"


def test_the_region_legend_has_both_areas(scored, tmp_path):
    draw_regions(scored, tmp_path / "r.svg")
    shown = texts(tmp_path / "r.svg")
    for name, one in zip(METHODS, scored, strict=True):
        assert (
            f"{name}: RBDC {percent(one.value('RBDC'))}, TBDC {percent(one.value('TBDC'))}" in shown
        )


def test_a_histogram_counts_both_classes(scored, tmp_path):
    draw_histogram(scored[0], tmp_path / "h.svg")
    counts = sum(len(frames) for frames in ANOMALOUS.values())
    assert {f"normal ({3 * FRAMES - counts} frames)", f"anomalous ({counts} frames)"} <= set(
        texts(tmp_path / "h.svg")
    )


@given(arrays(np.float64, st.integers(1, 50), elements=st.floats(-1e6, 1e6)))
@example(np.array([5e-324, 1.0, 0.0, 0.0, 0.0]))
def test_bins_begin_at_the_lowest_score_and_end_at_the_highest_at_most(scores):
    edges = bin_edges(scores)
    assert len(edges) == BINS + 1
    assert (np.diff(edges) > 0).all() or np.ptp(scores) < 1e-6
    assert edges[0] == scores.min()
    assert edges[-1] <= max(scores.max(), scores.min() + 1)


def test_a_few_extremes_do_not_squeeze_the_bins():
    assert bin_edges(np.append(np.linspace(0, 1, 1000), 1e6))[-1] < 3


def test_one_record_is_named_by_its_method_and_others_by_what_differs(results):
    assert names(read_scored(results, ["gaussian@velocity@grid"])) == ["gaussian"]
    assert names(read_scored(results, ["gaussian@velocity@grid", "iforest@velocity@grid"])) == [
        "gaussian",
        "iforest",
    ]
    same = read_scored(results, ["iforest@velocity@grid", "iforest@velocity@grid"])
    apart = [same[0], change_result(same[1], training=Training(scope="scene"))]
    assert names(apart) == ["iforest", "iforest (per scene)"]
    assert names(same) == [f"iforest, seed 0, {one.record.identity[:8]}" for one in same]


def test_28_curves_look_different():
    assert len({tuple(line_style(index).values()) for index in range(28)}) == 28


# how pictures are saved


@pytest.mark.parametrize(
    ("suffix", "beginning"),
    [(".png", b"\x89PNG\r\n\x1a\n"), (".svg", b"<?xml"), (".pdf", b"%PDF")],
    ids=["png", "svg", "pdf"],
)
def test_the_suffix_is_the_format_and_equal_pictures_are_equal_files(
    scored, tmp_path, suffix, beginning
):
    for name in ("one", "two"):
        draw_timeline(scored, "a", tmp_path / "new" / f"{name}{suffix}")
    first, second = ((tmp_path / "new" / f"{name}{suffix}").read_bytes() for name in ("one", "two"))
    assert first.startswith(beginning)
    clip = rb"p[0-9a-f]{10}\b"  # matplotlib names an SVG's clip paths after places in memory
    assert re.sub(clip, b"", first) == re.sub(clip, b"", second)
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_text_in_a_pdf_stays_text(scored, tmp_path):
    draw_timeline(scored, "a", tmp_path / "t.pdf")
    content = (tmp_path / "t.pdf").read_bytes()
    assert b"/Type42" in content or b"/CIDFontType2" in content
    assert b"/Type3" not in content


def test_a_picture_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), picture(tmp_path / "p.png", 2, 2, "caption"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_nothing_runs_out_of_the_picture(scored, tmp_path):
    from matplotlib.image import imread

    draws = {
        "r": draw_roc,
        "g": draw_regions,
        "t": lambda scored, out: draw_timeline(scored, "a", out),
    }
    for name, draw in draws.items():
        draw(scored, tmp_path / f"{name}.png")
        grey = imread(tmp_path / f"{name}.png")[..., :3].mean(-1)
        assert 0.005 < (grey < 0.5).mean() < 0.3
        for edge in (grey[0], grey[-1], grey[:, 0], grey[:, -1]):
            assert edge.min() == 1


def test_long_names_stay_inside_the_picture(results, scored, tmp_path):
    from matplotlib.image import imread

    streams = "velocity.hof8@file.vec+deep.clip-vit-b16@file.vec+pose@import.accivad"
    long = []
    for one in scored:
        (part,) = one.record.result.parts
        of_stream = [
            part.model_copy(update={"stream": stream})
            for stream in (*streams.split("+"), one.method)
        ]
        long.append(change_result(one, parts=tuple(of_stream)))
    draw_roc(long, tmp_path / "r.png")
    grey = imread(tmp_path / "r.png")[..., :3].mean(-1)
    for edge in (grey[:, 0], grey[:, -1]):
        assert edge.min() == 1


# sweeps


def test_rows_of_the_shipped_ablations_differ_in_what_the_papers_vary():
    scales = differences(read_suite("mulde-scales", suites_root()))
    assert len([row for row in scales.values() if "@" in row["read_out"]]) == 16
    noise = differences(read_suite("diffusion-noise", suites_root()))
    assert {tuple(row) for row in noise.values()} == {
        ("diffusion.p_mean", "diffusion.p_std", "read_out")
    }
    assert [
        row["mulde.scales"] for row in differences(read_suite("mulde-l", suites_root())).values()
    ] == [4, 8, 16, 32, 64]


def test_an_axis_is_named_by_the_settings_description():
    assert axis_label("knn.k").startswith("k: ")
    assert axis_label("velocity.bins") == "velocity.bins"


def ablation(values, method="iforest", **fields):
    rows = [
        {
            "label": f"{method} {number}",
            "method": method,
            "settings": {method: dict(zip(fields, given, strict=True))},
        }
        for number, given in enumerate(values)
    ]
    return {"rows": rows, "features": ("velocity@grid",)}


def test_a_sweep_over_a_number_is_a_curve(results, tmp_path):
    plan = run(Results(tmp_path / "results"), **ablation([(10,), (20,), (40,)], trees=None))
    caption = draw_scales(
        plan.suite, plan.wanted, Results(tmp_path / "results"), tmp_path / "s.svg"
    )
    assert "the best is no result of the method" in caption
    assert "have not run" not in caption
    assert {"10", "20", "40", "folder, velocity@grid"} <= set(texts(tmp_path / "s.svg"))


def test_a_sweep_over_two_settings_is_a_heat_map_and_says_what_has_not_run(results, tmp_path):
    from vadbench.plans.plan import plan_suite
    from vadbench.suite import make_suite

    store = Results(tmp_path / "results")
    grid = [(trees, samples) for trees in (10, 20) for samples in (32, 64)]
    run(store, **ablation(grid[:3], trees=None, tree_rows=None))
    whole = plan_suite(
        make_suite(
            {"name": "small", "datasets": ("folder",), **ablation(grid, trees=None, tree_rows=None)}
        )
    )
    caption = draw_heatmap(whole.suite, whole.wanted, store, tmp_path / "n.svg")
    assert "1 of 4 cells have not run or failed." in caption
    (sweep,) = sweeps(whole.suite, whole.wanted, store, "micro AUC")
    shown = texts(tmp_path / "n.svg")
    for point in sweep.points[:3]:
        assert f"{100 * point.cell.value:.1f}" in shown
    assert sweep.points[3].cell.value is None


def test_an_ablation_that_has_not_run_is_refused_with_the_command(tmp_path):
    answer = CliRunner().invoke(
        app, ["plot", "scales", "--results", str(tmp_path), "--out", str(tmp_path / "s.png")]
    )
    assert isinstance(answer.exception, BadInput)
    assert "vadbench run --suite mulde-scales" in str(answer.exception)
    assert not list(tmp_path.iterdir())


def test_two_settings_are_no_curve(results, tmp_path):
    plan = run(
        Results(tmp_path / "results"),
        **ablation([(10, 32), (10, 64), (20, 32), (20, 64)], trees=None, tree_rows=None),
    )
    with pytest.raises(
        BadInput,
        match=r"expected one number a row, as in mulde-scales \(vadbench plot noise takes two\)",
    ):
        draw_scales(plan.suite, plan.wanted, Results(tmp_path / "results"), tmp_path / "n.png")


def test_a_suite_of_other_rows_is_no_sweep(results, tmp_path):
    plan = run(Results(tmp_path / "results"), **ablation([(10,), (20,)], trees=None))
    with pytest.raises(BadInput, match="a heat map needs two"):
        draw_heatmap(plan.suite, plan.wanted, Results(tmp_path / "results"), tmp_path / "n.png")
    with pytest.raises(BadInput, match="unknown metric 'AUC'"):
        draw_scales(
            plan.suite, plan.wanted, Results(tmp_path / "results"), tmp_path / "n.png", "AUC"
        )


# what is refused


def test_a_timeline_needs_no_data_set_and_says_that_it_was_not_there(without_data, tmp_path):
    caption = draw_timeline(
        read_scored(without_data, ["gaussian@velocity@grid"]), "a", tmp_path / "t.png"
    )
    assert "Ground truth is not shown: its labels are not here." in caption
    assert "/" not in caption


@pytest.mark.parametrize(
    "draw",
    [draw_roc, draw_regions, lambda scored, out: draw_histogram(scored[0], out)],
    ids=["roc", "regions", "histogram"],
)
def test_other_figures_need_the_data_set_and_say_how_to_get_it(without_data, tmp_path, draw):
    with pytest.raises(BadInput, match=r"dataset\.toml: not there; write dataset\.toml"):
        draw(read_scored(without_data, ["gaussian@velocity@grid"]), tmp_path / "r.png")
    assert not (tmp_path / "r.png").exists()


def test_labels_other_than_the_records_are_refused(results, place, tmp_path, monkeypatch):
    shutil.copytree(place / "data", tmp_path / "data")
    manifest = tmp_path / "data" / "folder" / "dataset.toml"
    manifest.write_text(manifest.read_text().replace('masks = "masks/a"', "anomalous = [[0, 3]]"))
    monkeypatch.setenv("VADBENCH_DATA", str(tmp_path / "data"))
    with pytest.raises(BadInput, match="not those of the record; vadbench evaluate"):
        draw_roc(read_scored(results, ["gaussian@velocity@grid"]), tmp_path / "r.png")


def test_regions_need_the_row_scores_and_name_the_command(results, place, tmp_path):
    shutil.copytree(place / "results", tmp_path / "results")
    for path in (tmp_path / "results").rglob("rows.npz"):
        path.unlink()
    (one,) = read_scored(Results(tmp_path / "results"), ["gaussian@velocity@grid"])
    with pytest.raises(
        BadInput,
        match=(
            r"rows\.npz: not there .*vadbench run --methods gaussian --datasets folder --features"
            r" velocity@grid .*rerun"
        ),
    ):
        read_rows(one.record, one.results)
    with pytest.raises(BadInput, match=r"rows\.npz: not there"):
        draw_regions([one], tmp_path / "r.png")


def test_an_unknown_video_names_those_there_are(scored, tmp_path):
    with pytest.raises(BadInput, match="unknown test video of folder 'd': choose from a, b, c"):
        draw_timeline(scored, "d", tmp_path / "t.png")


def test_an_unknown_scale_names_those_there_are(scored, tmp_path):
    with pytest.raises(BadInput, match="unknown scale 'log': choose from range, rank"):
        draw_timeline(scored, "a", tmp_path / "t.png", "log")


@pytest.mark.parametrize("kind", ["timeline", "roc", "regions", "histogram"])
def test_commands_draw_and_print_the_caption(results, tmp_path, kind):
    out = tmp_path / f"{kind}.png"
    more = ["--video", "b"] if kind == "timeline" else []
    answer = CliRunner().invoke(
        app,
        [
            "plot",
            kind,
            "gaussian@velocity@grid",
            *more,
            "--results",
            str(results.root),
            "--out",
            str(out),
        ],
    )
    assert answer.exit_code == 0, answer.output
    assert out.stat().st_size > 5000
    assert "folder: 3 test videos, 72 frames; gaussian on velocity@grid, seed 0." in answer.output
    assert f"written to {out}" in answer.output.replace("\n", "")


@pytest.mark.parametrize("below", [False, True])
def test_the_caption_is_drawn_on_request_alone(scored, tmp_path, below):
    draw = partial(draw_roc, scored, below=below)
    caption = draw(out=tmp_path / "r.svg")
    first_words = " ".join(caption.split()[:4])
    assert any(first_words in text for text in texts(tmp_path / "r.svg")) is below
    draw(out=tmp_path / "r.png")
    edges = imread_grey(tmp_path / "r.png")
    assert edges[-1].min() == 1


def imread_grey(path):
    from matplotlib.image import imread

    return imread(path)[..., :3].mean(-1)


def test_what_a_machine_lacks_is_said_on_the_terminal_and_not_drawn(without_data, tmp_path):
    out = tmp_path / "t.svg"
    record = ["gaussian@velocity@grid", "--video", "a", "--caption", "--out", str(out)]
    answer = CliRunner().invoke(
        app, ["plot", "timeline", *record, "--results", str(without_data.root)]
    )
    assert answer.exit_code == 0, answer.output
    assert "no ground truth: " in answer.stderr
    assert "dataset.toml" in answer.stderr
    assert "dataset.toml" not in answer.stdout
    assert not any("dataset.toml" in text or "/" in text for text in texts(out))


def test_regions_say_in_one_line_all_that_they_need(without_data, place, tmp_path):
    shutil.copytree(place / "results", tmp_path / "results")
    for path in (tmp_path / "results").rglob("rows.npz"):
        path.unlink()
    (one,) = read_scored(Results(tmp_path / "results"), ["gaussian@velocity@grid"])
    with pytest.raises(
        BadInput, match=r"this needs the regions of folder .*dataset\.toml"
    ) as error:
        draw_regions([one], tmp_path / "r.png")
    assert "; and the row scores of gaussian on velocity@grid, seed 0 (" in str(error.value)
    assert "rows.npz: not there" in str(error.value)
    assert "\n" not in str(error.value)


def test_another_format_is_refused_before_anything_is_read(tmp_path):
    answer = CliRunner().invoke(
        app, ["plot", "roc", "no-such-record", "--results", str(tmp_path), "--out", "r.txt"]
    )
    assert isinstance(answer.exception, BadInput)
    assert str(answer.exception).startswith(
        "--out r.txt: no picture format; expected a name that ends in .png, .svg, .pdf"
    )
