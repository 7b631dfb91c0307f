import json
import re
import signal
import subprocess
import sys
import urllib.request
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from leaderboard_records import LENGTH, VIDEOS, write_failure, write_record
from shown import Shown

from vadbench.datasets.base import Labels
from vadbench.errors import BadInput
from vadbench.evaluation.metrics.uncertainty import Jackknife, combine, interval
from vadbench.report.leaderboard import build, write_site
from vadbench.report.leaderboard.charts import LANE, POINTS, runs_of_ones, scatter, timeline
from vadbench.report.leaderboard.entries import make_entries
from vadbench.report.leaderboard.failures import add_failures
from vadbench.report.leaderboard.methods import other_read_outs
from vadbench.report.leaderboard.payload import payload
from vadbench.report.leaderboard.places import add_places
from vadbench.report.leaderboard.site import slug
from vadbench.report.leaderboard.standings import make_standings, shared_datasets
from vadbench.report.leaderboard.videos import make_clips
from vadbench.results.frame import load_results
from vadbench.results.records import Results
from vadbench.spec import METRICS

MICRO, EER, RBDC = (list(METRICS).index(name) for name in ("micro AUC", "EER", "RBDC"))


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results")


def entries_of(results):
    return add_failures(
        make_entries(load_results(results.root), results.all_runs()), results.all_runs()
    )


def placed(results, metric=MICRO):
    """Method -> place by a metric, or why it has none."""
    return {
        entry.method: entry.places[metric] for entry in add_places(entries_of(results), results)
    }


def one(results, **fields):
    found = [
        entry
        for entry in entries_of(results)
        if all(getattr(entry, name) == value for name, value in fields.items())
    ]
    assert len(found) == 1, f"{len(found)} entries with {fields}"
    return found[0]


def data_of(page):
    return json.loads(
        re.search(
            r'<script type="application/json" id="entries">(.*?)</script>',
            page.read_text(),
            re.DOTALL,
        ).group(1)
    )


def test_seeds_become_one_entry_with_mean_and_deviation(results):
    for seed, micro in enumerate((0.8, 0.9)):
        write_record(results, "street", "alpha", micro, seed=seed, seconds=2.0 + seed)
    entry = one(results, method="alpha")
    cell = entry.cells[MICRO]
    assert (cell.value, cell.spread, cell.n) == (
        pytest.approx(0.85),
        pytest.approx(np.std([0.8, 0.9], ddof=1)),
        2,
    )
    assert (cell.low, cell.high, cell.why) == (
        None,
        None,
        "its seeds' records are not at hand together",
    )
    assert entry.seeds == (0, 1)
    assert entry.cost["fit_seconds"] == 2.5


def test_an_undefined_value_keeps_its_reason_and_is_never_zero(results):
    write_record(results, "street", "alpha", None)
    entry = one(results, method="alpha")
    assert (entry.cells[MICRO].value, entry.cells[MICRO].note) == (None, "one class only")
    assert entry.cells[RBDC].note == "no region annotations"
    shown = payload([entry], lambda kind, name: name)
    assert shown["texts"][shown["rows"][0][7][MICRO]] == "one class only"


def test_a_value_that_some_seeds_lack_says_so(results):
    write_record(results, "street", "alpha", 0.8, seed=0)
    write_record(results, "street", "alpha", None, seed=1)
    cell = one(results, method="alpha").cells[MICRO]
    assert (cell.value, cell.n, cell.note) == (0.8, 1, "undefined for 1 of 2 seeds")


def test_unsmoothed_records_fill_the_columns_of_smoothed_ones(results):
    record = write_record(results, "street", "alpha", 0.8, protocol={"smoothing": None})
    results.write_recipe(
        record.model_copy(
            update={"rows": tuple(row for row in record.rows if row["smoothing"] == "none")}
        ),
        {},
    )
    assert one(results, method="alpha").cells[MICRO].value == 0.8


@pytest.mark.parametrize(
    "other",
    [
        {"protocol": {"smoothing": 7.0}},
        {"part": {"train_dataset": "elsewhere"}},
        {"part": {"scope": "scene"}},
        {"part": {"resplit": {"name": "every-second", "sha256": "0"}}},
        {"sha256": "1" * 64},
    ],
    ids=["smoothing", "train_dataset", "scope", "resplit", "labels"],
)
def test_what_is_not_comparable_is_another_group_and_never_ranked_with_the_rest(results, other):
    for dataset in ("street", "square"):
        for method in ("alpha", "beta"):
            write_record(results, dataset, method, 0.8)
        write_record(results, dataset, "gamma", 0.9, **other)
    entries = entries_of(results)
    groups = {entry.method: entry.group for entry in entries if entry.group.dataset == "street"}
    assert groups["alpha"] == groups["beta"] != groups["gamma"]
    assert len(payload(entries, lambda kind, name: name)["groups"]) == 4
    standings, _ = make_standings(entries)
    assert [{row.method for row in standing.tables[MICRO].rows} for standing in standings] == [
        {"alpha", "beta"}
    ]


def test_of_several_settings_none_but_presets_are_ranked(results):
    from vadbench import registry
    from vadbench.plans.config import resolve_config

    preset = resolve_config(
        registry.load("detectors", "knn"), "fast", "street", "velocity", {}
    ).settings("fit", "scoring")
    write_record(results, "street", "knn", 0.8, config=preset)
    write_record(results, "street", "knn", 0.9, config={**preset, "k": 77})
    usual, ablated = sorted(entries_of(results), key=lambda entry: entry.level)
    assert (usual.settings, usual.unranked) == ("fast", None)
    assert ablated.settings == "fast, k=77"
    assert "several settings" in ablated.unranked


def test_published_settings_that_were_chosen_by_test_labels_are_not_ranked(results):
    from vadbench import registry
    from vadbench.plans.config import resolve_config

    config = resolve_config(
        registry.load("detectors", "diffusion"), "paper", "street", "velocity", {}
    ).settings("fit", "scoring")
    write_record(results, "street", "diffusion", 0.9, config=config)
    told = (
        "preset paper: its authors chose diffusion's t, diffusion's p_mean, diffusion's p_std by"
        " test labels"
    )
    assert one(results, method="diffusion").unranked == told


def parts(*calibrated, method="gmm"):
    """A protocol whose parts are calibrated so."""
    return {
        "parts": [
            {"method": method, "stream": stream, "calibration": calibration}
            for stream, calibration in calibrated
        ]
    }


@pytest.mark.parametrize(
    ("dataset", "method", "told", "more"),
    [
        ("street", "diffusion", "P_mean", {}),
        ("street", "accivad-root", "a squared one drowns them", {}),
        (
            "street",
            "gmm",
            "a squared one drowns them",
            {"stream": "velocity+deep", "protocol": parts(("velocity", "sqrt"), ("deep", "sqrt"))},
        ),
        ("street", "magnitude", "columns of speed alone", {}),
        ("street", "magnitude", "columns of speed alone", {"stream": "tracks"}),
        ("street", "knn", "orientation bin", {"stream": "velocity.hof1@grid"}),
        (
            "ped2",
            "knn",
            "224 px",
            {"stream": "deep@file.maskrcnn", "part": {"extraction": {"deep": {"size": 224}}}},
        ),
    ],
)
def test_what_was_settled_with_test_figures_known_is_shown_and_not_ranked(
    results, dataset, method, told, more
):
    write_record(results, dataset, method, 0.9, **more)
    entry = one(results, method=method)
    assert entry.cells[MICRO].value == 0.9
    assert entry.unranked.startswith("settled with test figures known")
    assert told in entry.unranked


@pytest.mark.parametrize(
    ("dataset", "method", "more"),
    [
        ("street", "accivad", {}),
        ("street", "gmm", {"protocol": parts(("velocity", "none"))}),
        ("street", "magnitude", {"stream": "deep"}),
        ("street", "knn", {"stream": "velocity.hof1@file.vec"}),
        (
            "ped2",
            "knn",
            {"stream": "deep@file.maskrcnn", "part": {"extraction": {"deep": {"size": 64}}}},
        ),
        (
            "ped1",
            "knn",
            {"stream": "deep@file.maskrcnn", "part": {"extraction": {"deep": {"size": 224}}}},
        ),
    ],
)
def test_what_only_resembles_what_was_settled_is_ranked(results, dataset, method, more):
    write_record(results, dataset, method, 0.9, **more)
    assert one(results, method=method).unranked is None


SHARED, OWN = np.random.default_rng(0).normal(size=(2, 8)) * [[0.1], [0.001]]


@pytest.mark.parametrize(("gap", "second"), [(0.05, 2), (0.0003, 1)])
def test_rows_that_do_not_differ_share_a_place(results, gap, second):
    write_record(results, "street", "alpha", 0.8, moves=SHARED)
    write_record(results, "street", "beta", 0.8 - gap, moves=SHARED + OWN)
    assert placed(results) == {"alpha": 1, "beta": second}


def test_a_place_is_one_more_than_the_rows_that_are_better(results):
    for method, micro, moves in (
        ("alpha", 0.9, SHARED + OWN[::-1]),
        ("beta", 0.8, SHARED + OWN),
        ("gamma", 0.7999, SHARED),
        ("delta", 0.5, SHARED - OWN),
    ):
        write_record(results, "street", method, micro, moves=moves)
    assert placed(results) == {"alpha": 1, "beta": 2, "gamma": 2, "delta": 4}


def test_a_place_counts_the_seeds_spread(results):
    for seed, values in enumerate(((0.7, 0.65), (0.9, 0.85))):
        for method, micro in zip(("alpha", "beta"), values, strict=True):
            write_record(
                results,
                "street",
                method,
                micro,
                seed=seed,
                moves=SHARED + OWN if method == "alpha" else SHARED,
            )
    assert placed(results) == {"alpha": 1, "beta": 1}


def test_what_is_not_ranked_takes_no_place_from_others(results):
    write_record(results, "street", "magnitude", 0.9, moves=SHARED)
    write_record(results, "street", "alpha", 0.8, moves=SHARED + OWN)
    assert placed(results)["alpha"] == 1


@pytest.mark.parametrize(
    ("moves", "why"), [(SHARED[:2], "too few videos"), (None, "not computed by this version")]
)
def test_where_no_difference_can_be_tested_there_is_no_place(results, moves, why):
    for method, micro in (("alpha", 0.8), ("beta", 0.3)):
        write_record(results, "street", method, micro, moves=moves)
    assert all(why in place for place in placed(results).values())


def test_a_metric_without_a_test_has_no_places(results):
    for method, micro in (("alpha", 0.8), ("beta", 0.3)):
        write_record(results, "street", method, micro, moves=SHARED)
    assert all("EER: no place" in place for place in placed(results, EER).values())


def test_the_interval_of_seeds_is_over_videos_and_seeds(results):
    for seed, micro in enumerate((0.8, 0.9)):
        write_record(results, "street", "alpha", micro, seed=seed, moves=SHARED)
    (entry,) = add_places(entries_of(results), results)
    expected = interval(combine([0.8, 0.9], [Jackknife.of_left_out(-SHARED)] * 2))
    cell = entry.cells[MICRO]
    assert (cell.low, cell.high, cell.videos) == (
        pytest.approx(expected.low),
        pytest.approx(expected.high),
        8,
    )


def test_the_table_of_the_page_has_places_and_videos(results, tmp_path):
    for method, micro in (("alpha", 0.8), ("beta", 0.79999)):
        write_record(results, "street", method, micro, moves=SHARED + OWN * (method == "alpha"))
    data = data_of(build(results.root, tmp_path / "site"))
    assert [row[9][MICRO] for row in data["rows"]] == [1, 1]
    assert [row[7][MICRO][4] for row in data["rows"]] == [8, 8]
    assert "no place" in data["texts"][-1 - data["rows"][0][9][EER]]


def test_a_single_choice_of_settings_is_ranked_whatever_it_is(results):
    write_record(results, "street", "alpha", 0.8, config={"width": 3})
    assert one(results, method="alpha").unranked is None


def test_read_outs_that_are_not_the_default_are_never_ranked(results):
    write_record(results, "street", "alpha", 0.8, read_outs=("mixture", "mean"))
    write_record(
        results, "street", "beta", 0.9, read_outs=("mixture", "mean"), part={"read_out": "mean"}
    )
    assert one(results, method="alpha").read_out == "mixture"
    assert (
        one(results, method="beta").unranked == "read-out mean, which is not the method's default"
    )


def test_two_extractions_of_one_feature_are_told_apart(results):
    write_record(results, "street", "alpha", 0.8, part={"fingerprint": "aaaaaaaa"})
    write_record(results, "street", "alpha", 0.9, part={"fingerprint": "bbbbbbbb"})
    assert sorted(entry.extraction for entry in entries_of(results)) == ["aaaaaa", "bbbbbb"]


def test_figures_of_two_extractions_are_never_averaged_or_ranked_together(results):
    for dataset in ("street", "square"):
        for method in ("alpha", "beta"):
            write_record(results, dataset, method, 0.8, part={"fingerprint": "aaaaaaaa"})
        write_record(results, dataset, "gamma", 0.9, part={"fingerprint": "bbbbbbbb"})
    (standing,), _ = make_standings(entries_of(results))
    assert {row.method for row in standing.tables[MICRO].rows} == {"alpha", "beta"}


def test_what_is_usual_comes_first(results):
    write_record(results, "street", "alpha", 0.8, part={"train_dataset": "elsewhere"})
    write_record(results, "street", "alpha", 0.8, part={"scope": "scene"})
    write_record(results, "street", "alpha", 0.8)
    assert [entry.group.training for entry in entries_of(results)] == [
        "one-class, pooled",
        "one-class, per scene",
        "one-class, pooled, trained on elsewhere",
    ]


def test_a_failed_job_is_an_entry_of_dashes_with_its_error(results):
    write_record(results, "ped2", "alpha", 0.8)
    write_failure(results, "ped2", "beta", "out of memory")
    failed, done = one(results, method="beta"), one(results, method="alpha")
    assert failed.group == done.group
    assert {cell.value for cell in failed.cells} == {None}
    assert failed.unranked == "seed 0 failed: out of memory"


def test_a_failed_seed_stands_beside_those_that_ran(results):
    write_record(results, "ped2", "alpha", 0.8, seed=0)
    write_failure(results, "ped2", "alpha", "out of memory", seed=1)
    entry = one(results, method="alpha")
    assert (entry.seeds, entry.failures, entry.unranked) == (
        (0,),
        ("seed 1 failed: out of memory",),
        None,
    )


def test_ranks_are_averaged_over_shared_data_sets_and_null_where_a_result_is_missing(results):
    known = {
        "street": {"alpha": 0.9, "beta": 0.8, "gamma": 0.7},
        "square": {"alpha": 0.9, "beta": 0.8},
    }
    for dataset, methods in known.items():
        for method, micro in methods.items():
            write_record(results, dataset, method, micro)
    (standing,), count = make_standings(entries_of(results))
    table = standing.tables[MICRO]
    ranks = {row.method: (row.ranks, row.average, row.borda) for row in table.rows}
    assert ranks == {"alpha": ((1, 1), 1, 2), "beta": ((2, 2), 2, 0), "gamma": (None, None, None)}
    assert "square" in next(row.reason for row in table.rows if row.method == "gamma")
    # the lowest error is the best
    assert {row.method: row.average for row in standing.tables[EER].rows}["alpha"] == 1
    assert count == 1


def test_streams_fused_in_another_order_are_the_same_features(results):
    for dataset in ("street", "square"):
        write_record(results, dataset, "alpha", 0.9, stream="velocity+deep")
        write_record(results, dataset, "beta", 0.8, stream="deep+velocity")
    (standing,), _ = make_standings(entries_of(results))
    assert [row.method for row in standing.tables[MICRO].ranked] == ["alpha", "beta"]


@given(st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("uvwxyz")), max_size=6))
def test_no_other_choice_of_data_sets_gives_more_ranked_results(there):
    def results_of(chosen):
        methods = set.intersection(*(there[dataset] for dataset in chosen))
        return len(methods) * len(chosen) if len(methods) > 1 else 0

    every = [
        chosen
        for count in range(2, len(there) + 1)
        for chosen in combinations(sorted(there), count)
    ]
    found = shared_datasets(there)
    assert (results_of(found) if found else 0) == max(map(results_of, every), default=0)


@given(st.lists(st.text(min_size=1, max_size=80), min_size=2, max_size=5, unique=True))
def test_file_names_are_plain_and_no_two_names_share_one(names):
    slugs = [slug(name) for name in names]
    assert len({one.lower() for one in slugs}) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_-][a-z0-9_.-]*", one) for one in slugs)


HOSTILE = "<script>alert(1)</script>\"'&/../../x"


def test_text_from_records_is_text_on_every_page(results, tmp_path):
    write_record(results, "street", "alpha", None)
    frame = load_results(results.root)
    for column in (
        "dataset",
        "method",
        "features",
        "reason",
        "labels",
        "labels_sha256",
        "split",
        "scope",
        "train_dataset",
        "read_out",
        "commit",
    ):
        frame[column] = HOSTILE
    frame["config"] = json.dumps([{"method": HOSTILE, "stream": HOSTILE, HOSTILE: HOSTILE}])
    site = write_site(frame, tmp_path / "site").parent
    pages = sorted(site.rglob("*.html"))
    assert {path.parent.name for path in pages} == {"site", "methods", "datasets"}
    for page in pages:
        assert "<script>alert" not in page.read_text()
        assert "alert(1)</script>" not in page.read_text()
    data = data_of(site / "index.html")
    assert data["methods"][0]["name"] == HOSTILE
    assert data["texts"][data["rows"][0][7][MICRO]] == HOSTILE
    assert (site / data["methods"][0]["href"]).is_file()


def test_the_site_loads_nothing_from_elsewhere_and_its_links_lead_somewhere(results, tmp_path):
    for dataset in ("street", "ped2"):
        for method in ("alpha", "knn"):
            write_record(results, dataset, method, 0.8)
    site = build(results.root, tmp_path / "site").parent
    for page in site.rglob("*.html"):
        for address in re.findall(r'(?:href|src)="([^"]*)"', page.read_text()):
            assert not address.startswith(("http:", "https:", "//", "data:")), (
                f"{page.name} loads {address}"
            )
            target = page.parent / address.partition("#")[0] if address.partition("#")[0] else page
            assert target.is_file(), f"{page.name} links to {address}"
    for name in ("table.js", "theme.js", "style.css"):
        assert "http" not in (site / "assets" / name).read_text()


def test_pages_tell_title_paper_settings_versions_and_clips(results, tmp_path):
    write_record(results, "ped2", "knn", 0.8, config={"k": 5})
    site = build(results.root, tmp_path / "site").parent
    method, dataset = (
        (site / "methods" / "knn.html").read_text(),
        (site / "datasets" / "ped2.html").read_text(),
    )
    for text in (
        "k nearest neighbours",
        "Reiss &amp; Hoshen",
        "<code>5</code>",
        "numpy 2",
        "cccccccccc",
    ):
        assert text in method, f"the method's page lacks {text}"
    for text in ("Test001", "80.0", "a file", "official"):
        assert text in dataset, f"the data set's page lacks {text}"


def test_read_outs_of_other_trainings_are_not_averaged(results):
    for micro, part in ((0.8, {}), (0.6, {"train_dataset": "elsewhere"})):
        write_record(results, "street", "alpha", micro, read_outs=("mixture", "mean"), part=part)
    found = other_read_outs(load_results(results.root))["alpha"]
    assert [(entry.read_out, entry.cells[MICRO].value) for entry in found] == [
        ("mean", 0.8),
        ("mean", 0.6),
    ]


def test_read_outs_that_are_not_ranked_stand_on_the_methods_page_alone(results, tmp_path):
    write_record(results, "street", "alpha", 0.8, read_outs=("mixture", "zenith"))
    site = build(results.root, tmp_path / "site").parent
    assert "zenith" in (site / "methods" / "alpha.html").read_text()
    assert "zenith" not in (site / "index.html").read_text()


def test_hardest_clips_come_first_and_one_class_clips_have_no_auc(results):
    write_record(results, "street", "alpha", 0.9)
    clips = make_clips(entries_of(results), results)
    assert [clip.name for clip in clips.hardest] == ["Test002", "Test001"]
    assert (clips.clips[2].mean, clips.clips[2].reason) == (None, "one class only")
    assert [one.video for one in clips.timelines] == ["Test002", "Test001"]


def test_timelines_of_a_data_set_that_is_not_here_say_why_nothing_is_shaded(results, tmp_path):
    write_record(results, "street", "alpha", 0.9)
    page = (build(results.root, tmp_path / "site").parent / "datasets" / "street.html").read_text()
    assert "street is not on the machine that made this page" in page
    assert 'class="anomaly"' not in page


class Street(Shown):
    """The data set of the records: the second half of every clip is anomalous."""

    def labels(self):
        halves = np.repeat(np.array([0, 1], np.uint8), LENGTH // 2)
        return Labels("official", "a file", dict.fromkeys(VIDEOS, halves))


@pytest.mark.parametrize(
    ("theirs", "stretches"),
    [(True, [1, 1]), (False, [0, 0])],
    ids=["the records' labels", "other labels"],
)
def test_what_is_anomalous_is_shaded_by_the_labels_of_the_records_alone(
    results, monkeypatch, theirs, stretches
):
    street = Street(np.zeros((1, 2, 2), np.uint8))
    monkeypatch.setattr("vadbench.runner.run.open_dataset", lambda name: street)
    write_record(
        results,
        "street",
        "alpha",
        0.9,
        sha256=street.labels().provenance()["sha256"] if theirs else "1" * 64,
    )
    clips = make_clips(entries_of(results), results)
    assert [len(one.anomalies) for one in clips.timelines] == stretches
    assert (clips.unshaded is None) == theirs


@given(st.lists(st.integers(0, 1), max_size=30))
def test_shaded_stretches_cover_the_anomalous_frames_and_no_others(labels):
    covered = np.zeros(len(labels), int)
    for start, length in runs_of_ones(np.array(labels, np.uint8)):
        covered[start : start + length] += 1
    assert covered.tolist() == labels


def test_a_long_clip_is_drawn_with_few_points_that_keep_its_extremes():
    scores = np.random.default_rng(0).normal(size=50_000)
    (lane,) = timeline("clip", [("alpha", "–", scores)], None).lanes
    heights = [float(point.split(",")[1]) for point in lane.points.split()]
    assert len(heights) <= POINTS
    assert (min(heights), max(heights)) == (2.0, LANE - 2)


def test_constant_scores_are_a_line_in_the_middle():
    (lane,) = timeline("clip", [("alpha", "–", np.ones(5))], np.zeros(5, np.uint8)).lanes
    assert {point.split(",")[1] for point in lane.points.split()} == {f"{LANE / 2:.1f}"}


def test_labels_of_a_scatter_plot_do_not_cover_each_other():
    chart = scatter(
        [(f"m{number}", 10.0 * (1 + number), 0.9 + 0.001 * number) for number in range(6)]
    )
    places = {(dot.label_x, dot.label_y) for dot in chart.dots}
    assert len(places) == 6
    assert all(
        chart.left <= dot.x <= chart.right and chart.top <= dot.y <= chart.bottom
        for dot in chart.dots
    )


def test_another_folder_is_never_replaced_and_a_site_is(results, tmp_path):
    write_record(results, "street", "alpha", 0.9)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "index.html").write_text("mine")
    with pytest.raises(BadInput, match="no leaderboard"):
        build(results.root, tmp_path / "thesis")
    assert (tmp_path / "thesis" / "index.html").read_text() == "mine"
    build(results.root, tmp_path / "site")
    (tmp_path / "site" / "methods" / "gone.html").write_text("stale")
    build(results.root, tmp_path / "site")
    assert not (tmp_path / "site" / "methods" / "gone.html").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "site", "thesis"]


def test_a_frame_without_records_is_refused(results, tmp_path):
    write_record(results, "street", "alpha", 0.9)
    with pytest.raises(BadInput, match="no record"):
        write_site(load_results(results.root).iloc[:0], tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_entries_keep_their_order_whatever_that_of_the_rows(results):
    for method in ("beta", "alpha"):
        write_record(results, "street", method, 0.9)
    frame = load_results(results.root)
    first, second = (make_entries(rows) for rows in (frame, frame.iloc[::-1]))
    assert (
        [entry.method for entry in first] == [entry.method for entry in second] == ["alpha", "beta"]
    )


def test_serve_shows_a_site_on_localhost_until_it_is_interrupted(results, tmp_path):
    write_record(results, "street", "alpha", 0.9)
    site = build(results.root, tmp_path / "site").parent
    command = [sys.executable, "-m", "vadbench.cli", "serve", "--port", "0", "--site", str(site)]
    # a suite that a shell started in the background inherits an ignored SIGINT, and would pass it
    # on
    heed = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **heed) as server:
        try:
            address = server.stderr.readline().split()[0]
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                address
            ) as answer:
                assert answer.read() == (site / "index.html").read_bytes()
            server.send_signal(signal.SIGINT)
            assert server.wait(20) == 0
        finally:
            server.kill()


def test_serve_says_what_is_missing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "vadbench.cli", "serve", "--site", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "vadbench leaderboard --out" in done.stderr
