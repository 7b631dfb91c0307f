"""Scores of files are the metrics of their arrays, whatever the order of rows, with intervals over
videos.
"""

import json
import re

import numpy as np
import pandas as pd
import pytest

from vadbench.errors import BadInput
from vadbench.evaluation.metrics.frame import macro_auc, micro_auc
from vadbench.evaluation.metrics.regions import match, region_metrics
from vadbench.evaluation.metrics.uncertainty import (
    QUANTILE,
    combine,
    frame_jackknives,
    interval,
    region_jackknives,
)
from vadbench.evaluation.smoothing import smooth
from vadbench.external.score import NO_LENGTHS, render, score_frames, score_regions
from vadbench.files.box_arrays import read_boxes, read_scores

LENGTHS = {"01": 30, "02": 40, "03": 20, "04": 25}


@pytest.fixture
def frames():
    """Scores and labels of four videos, the last without anomalies."""
    rng = np.random.default_rng(0)
    table = pd.concat(
        [pd.DataFrame({"video": video, "frame": range(n)}) for video, n in LENGTHS.items()],
        ignore_index=True,
    )
    label = ((table["frame"] > 10) & (table["video"] != "04")).astype(int)
    return table.assign(label=label, score=rng.normal(size=len(table)) + label)


@pytest.fixture
def boxes():
    """Detections, of which some hit, and tracks."""
    rng = np.random.default_rng(1)
    tracks = pd.DataFrame(
        [
            (v, t, f, 10 + f, 10, 29 + f, 29)
            for v in ("01", "02", "03")
            for t in (0, 1)
            for f in range(5 * t, 9)
        ]
    )
    tracks.columns = ["video", "track", "frame", "x0", "y0", "x1", "y1"]
    near = tracks.drop(columns="track").sample(20, random_state=0)
    far = pd.DataFrame(
        {
            "video": rng.choice(list(LENGTHS), 40),
            "frame": rng.integers(0, 20, 40),
            "x0": 200,
            "y0": 200,
            "x1": 220,
            "y1": 220,
        }
    )
    detections = pd.concat([near, far], ignore_index=True)
    return detections.assign(score=rng.integers(0, 5, 60) / 4), tracks


def save(folder, **tables):
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return [folder / f"{name}.csv" for name in tables]


def value(result, metric, convention=None):
    return next(
        row["value"]
        for row in result["rows"]
        if (row["metric"], row["convention"]) == (metric, convention)
    )


def test_rows_are_the_metrics_of_the_arrays(tmp_path, frames):
    result = score_frames(
        *save(
            tmp_path,
            scores=frames[["video", "frame", "score"]],
            labels=frames[["video", "frame", "label"]],
        )
    )
    arrays = frames["score"].to_numpy(), frames["label"].to_numpy()
    lengths = list(LENGTHS.values())
    assert value(result, "micro_auc") == micro_auc(*arrays)
    for convention in ("skip", "pad-rank"):
        assert value(result, "macro_auc", convention) == macro_auc(*arrays, lengths, convention)
    ends = interval(
        combine([micro_auc(*arrays)], [frame_jackknives(*arrays, lengths)["micro_auc", None]])
    )
    assert [result["rows"][0][name] for name in ("low", "high", "videos")] == [
        ends.low,
        ends.high,
        4,
    ]
    assert [row["value"] is None for row in result["per_video"]] == [False, False, False, True]
    assert {(row["metric"], row["convention"]) for row in result["rows"]} > {
        ("eer", None),
        ("average_precision", None),
        ("prevalence", None),
    }
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_frame_results_do_not_depend_on_the_order_of_rows(tmp_path, frames):
    mixed = frames.sample(frac=1, random_state=5)
    path, shuffled = save(tmp_path, frames=frames, mixed=mixed)
    assert score_frames(path, path, smoothing=3) == score_frames(shuffled, path, smoothing=3)


def test_smoothing_is_within_videos(tmp_path, frames):
    (path,) = save(tmp_path, frames=frames)
    smoothed = smooth(frames["score"].to_numpy(), list(LENGTHS.values()), 3.0)
    assert value(score_frames(path, path, smoothing=3.0), "micro_auc") == micro_auc(
        smoothed, frames["label"].to_numpy()
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table[:-1], "scores.csv: video 04 has 24 frames, "),
        (lambda table: table[table["video"] != "02"], "labels.csv: expected and not found: '02'"),
        (
            lambda table: pd.concat(
                [table, pd.DataFrame([("03", 20, 1.0)], columns=table.columns)]
            ),
            "scores.csv: video 03 has 21 frames, ",
        ),
        (
            lambda table: table.assign(frame=table["frame"] + 1),
            "scores.csv: frame 0 of video 01 is missing",
        ),
    ],
)
def test_scores_and_labels_cover_the_same_frames(tmp_path, frames, change, message):
    paths = save(tmp_path, scores=change(frames[["video", "frame", "score"]]), labels=frames)
    with pytest.raises(BadInput) as caught:
        score_frames(*paths)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_class_is_undefined_with_a_reason(tmp_path, frames):
    (path,) = save(tmp_path, frames=frames.assign(label=0))
    result = score_frames(path, path)
    told = {
        "metric": "micro_auc",
        "convention": None,
        "value": None,
        "n": 115,
        "reason": "no anomalous frame",
    }
    assert result["rows"][0] == {
        **told,
        **dict.fromkeys(("low", "high", "videos", "interval_reason")),
    }
    assert "no anomalous frame" in render(result)


@pytest.mark.parametrize("names", [["01"], ["01", "02"]])
def test_too_few_videos_have_no_interval_and_are_told(tmp_path, frames, names):
    (path,) = save(tmp_path, frames=frames[frames["video"].isin(names)])
    result = score_frames(path, path)
    assert (result["rows"][0]["low"], result["rows"][0]["high"]) == (None, None)
    assert (
        result["rows"][0]["interval_reason"]
        == f"too few videos ({len(names)}; 3 or more are needed)"
    )
    assert "No interval for micro_auc, macro_auc (skip)" in render(result)


def test_metrics_that_are_quantiles_have_no_interval(tmp_path, frames):
    (path,) = save(tmp_path, frames=frames)
    reasons = {
        row["metric"]: row["interval_reason"]
        for row in score_frames(path, path)["rows"]
        if "interval_reason" in row
    }
    assert [reasons[metric] for metric in ("fpr_at_95_tpr", "micro_auc")] == [QUANTILE, None]


def test_a_value_near_one_is_told_to_be_less_sure_than_it_says(tmp_path, frames):
    for shift, told in ((0.0, False), (1.5, True)):
        five = frames.assign(
            video=frames["video"] + "a", score=frames["score"] + shift * frames["label"]
        )
        (path,) = save(
            tmp_path,
            frames=pd.concat(
                [frames.assign(score=frames["score"] + shift * frames["label"]), five]
            ),
        )
        assert ("covers less than it says" in render(score_frames(path, path))) == told


def test_infinite_scores_rank_but_are_not_smoothed(tmp_path, frames):
    (path,) = save(
        tmp_path, frames=frames.assign(score=frames["score"].where(frames["score"] < 1, np.inf))
    )
    assert value(score_frames(path, path), "micro_auc") > 0.5
    with pytest.raises(BadInput, match="cannot be smoothed"):
        score_frames(path, path, smoothing=1.0)


def test_regions_are_the_metrics_of_the_tables(tmp_path, boxes):
    detections, tracks = boxes
    lengths = pd.DataFrame(LENGTHS.items(), columns=["video", "frames"])
    result = score_regions(*save(tmp_path, detections=detections, tracks=tracks, lengths=lengths))
    expected = region_metrics(detections, tracks, LENGTHS)
    assert (result["rbdc"], result["tbdc"]) == (expected.rbdc, expected.tbdc)
    matched = match(
        read_boxes(detections, "detections"),
        read_scores(detections),
        read_boxes(tracks, "ground_truth"),
        videos=LENGTHS,
    )
    jackknives = region_jackknives(matched, list(LENGTHS.values()))
    for metric in ("rbdc", "tbdc"):
        ends = interval(combine([result[metric]], [jackknives[metric, "average"]]))
        assert result[f"{metric}_interval"] == [ends.low, ends.high]
        assert result[f"{metric}_interval_reason"] is None
    assert json.loads(json.dumps(result, allow_nan=False))["n_frames"] == 115


def test_region_results_do_not_depend_on_the_order_of_rows(tmp_path, boxes, frames):
    detections, tracks = boxes
    mixed = [table.sample(frac=1, random_state=7) for table in (detections, tracks, frames)]
    plain = save(tmp_path, d=detections, t=tracks, f=frames)
    assert score_regions(*save(tmp_path, d2=mixed[0], t2=mixed[1], f2=mixed[2])) == score_regions(
        *plain
    )


def test_a_number_of_frames_gives_the_same_values_without_intervals(tmp_path, boxes, frames):
    detections, tracks, counted = save(tmp_path, d=boxes[0], t=boxes[1], f=frames)
    whole, known = (
        score_regions(detections, tracks, "115"),
        score_regions(detections, tracks, counted),
    )
    assert (whole["rbdc"], whole["tbdc"]) == (known["rbdc"], known["tbdc"])
    assert whole["rbdc_interval"] is whole["tbdc_interval"] is None
    assert whole["rbdc_interval_reason"] == NO_LENGTHS
    assert NO_LENGTHS in render(whole)


def test_the_protocol_is_passed_on(tmp_path, boxes):
    detections, tracks = save(tmp_path, d=boxes[0], t=boxes[1])
    for protocol in ({"alpha": 0.7}, {"beta": 1.0}, {"ties": "order"}):
        expected = region_metrics(*boxes, 115, **protocol)
        found = score_regions(detections, tracks, 115, **protocol)
        assert (found["rbdc"], found["tbdc"], found["ties"]) == (
            expected.rbdc,
            expected.tbdc,
            expected.ties,
        )


def test_mistakes_between_the_files(tmp_path, boxes):
    detections, tracks, short = save(
        tmp_path, d=boxes[0], t=boxes[1], short=pd.DataFrame({"video": list(LENGTHS), "frames": 8})
    )
    cases = [
        ((detections, tracks, short), {}, "d.csv: row .* which has 8 frames"),
        ((detections, tracks, "many"), {}, "frames: many is neither a number nor a file"),
        ((detections, tracks, 0), {}, "frames: 0"),
        ((detections, tracks, 115), {"alpha": 0}, "alpha"),
    ]
    for arguments, options, message in cases:
        with pytest.raises(BadInput, match=message):
            score_regions(*arguments, **options)


def test_other_names_and_repeated_boxes_are_refused(tmp_path, boxes):
    named, tracks, twice = save(
        tmp_path, d=boxes[0].assign(video="x"), t=boxes[1], t2=pd.concat([boxes[1]] * 2)
    )
    with pytest.raises(
        BadInput,
        match=(
            r"d\.csv: its videos against .*t\.csv: found and not expected: 'x'; expected and not"
            r" found: '01', '02'"
        ),
    ):
        score_regions(named, tracks, 115)
    (detections,) = save(tmp_path, d=boxes[0])
    with pytest.raises(BadInput, match=r"t2\.csv: row .* second box of track"):
        score_regions(detections, twice, 115)


def test_without_regions_the_reason_stands_in_the_text(tmp_path, boxes):
    result = score_regions(*save(tmp_path, d=boxes[0], t=boxes[1][:0]), 115)
    assert result["rbdc"] is result["rbdc_interval"] is None
    assert "no ground-truth region" in render(result)


def test_text_shows_values_intervals_and_wide_ties(tmp_path, boxes, frames):
    detections, tracks, counted = save(tmp_path, d=boxes[0], t=boxes[1], f=frames)
    result = score_regions(detections, tracks, counted)
    lines = render(result).splitlines()
    assert (
        lines[0]
        == "60 detections, 39 regions, 6 tracks, 115 frames of 4 videos; alpha 0.1, beta 0.1, ties"
        " average; values in %"
    )
    assert f"{100 * result['rbdc']:.2f}" in lines[2]
    assert "orders of equal scores" in lines[2]
    text = render(score_frames(counted, counted, smoothing=2.0))
    assert text.startswith("4 videos, 115 frames; Gaussian smoothing sigma 2; values in %")
    assert "mean over 3 videos" in text
    assert re.search(r"micro_auc +\S+  \[\S+, \S+\] +4$", text, re.MULTILINE)


def respelt(table, spell):
    return table.assign(video=table["video"].map(spell))


SPELLINGS = {
    "without zeros": (lambda name: name, lambda name: name.lstrip("0")),
    "with zeros": (lambda name: f"Test{name}", lambda name: f"Test0{name}"),
    "case": (lambda name: f"Clip_{name}", lambda name: f"CLIP_{name}"),
    "decomposed": (lambda name: f"caf\u00e9-{name}", lambda name: f"cafe\u0301-{name}"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("counted", [False, True], ids=["number", "file"])
def test_regions_of_videos_spelt_in_two_ways_are_those_of_one(
    tmp_path, boxes, frames, spelling, counted
):
    ours, theirs = SPELLINGS[spelling]
    t, f, other = save(
        tmp_path,
        t=respelt(boxes[1], ours),
        f=respelt(frames, ours),
        other=respelt(boxes[0], theirs),
    )
    expected = region_metrics(*boxes, 115)
    found = score_regions(other, t, f if counted else 115)
    assert (found["rbdc"], found["tbdc"]) == (expected.rbdc, expected.tbdc)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_scores_of_videos_spelt_in_two_ways_are_those_of_one(tmp_path, frames, spelling):
    ours, theirs = SPELLINGS[spelling]
    plain, labels, scores = save(
        tmp_path, f=frames, l=respelt(frames, ours), s=respelt(frames, theirs)
    )
    assert score_frames(scores, labels)["rows"] == score_frames(plain, plain)["rows"]


def test_names_whose_order_differs_keep_their_scores(tmp_path):
    table = pd.DataFrame(
        {"video": np.repeat([f"{n:02}" for n in range(1, 13)], 4), "frame": np.tile(range(4), 12)}
    )
    table = table.assign(label=np.arange(48) % 4 // 2 * (np.arange(48) % 8 > 3), score=0.0)
    table["score"] = table["label"] + 0.0  # perfect, where no video takes another's
    labels, scores = save(tmp_path, l=table, s=respelt(table, lambda name: name.lstrip("0")))
    assert value(score_frames(scores, labels), "micro_auc") == 1


@pytest.mark.parametrize("other", ["1.0", "x01", "01b"])
def test_scores_of_another_video_name_both(tmp_path, frames, other):
    labels, scores = save(
        tmp_path, l=frames, s=respelt(frames, lambda name: other if name == "01" else name)
    )
    with pytest.raises(
        BadInput, match=f"found and not expected: '{other}'; expected and not found: '01'"
    ):
        score_frames(scores, labels)


def test_a_video_spelt_twice_is_refused(tmp_path, boxes):
    detections, tracks = boxes
    both = pd.concat([detections, detections[:1].assign(video="1")])
    lengths = pd.DataFrame(LENGTHS.items(), columns=["video", "frames"])
    with pytest.raises(BadInput, match="found and not expected: '1'"):
        score_regions(*save(tmp_path, d=both, t=tracks, f=lengths))


def test_videos_without_detections_are_allowed_where_the_others_have_partners(tmp_path, boxes):
    detections = boxes[0][boxes[0]["video"] != "02"]
    expected = region_metrics(detections, boxes[1], 115)
    assert score_regions(
        *save(tmp_path, d=detections[detections["video"] == "01"], t=boxes[1]), 115
    )["regions"] == len(boxes[1])
    lengths = pd.DataFrame(LENGTHS.items(), columns=["video", "frames"])
    assert (
        score_regions(*save(tmp_path, d=detections, t=boxes[1], f=lengths))["rbdc"] == expected.rbdc
    )


def test_more_frames_in_all_videos_than_said_are_refused(tmp_path, boxes):
    with pytest.raises(BadInput, match="frames: 30, but the boxes of the 4 videos together"):
        score_regions(*save(tmp_path, d=boxes[0], t=boxes[1]), 30)


CORNERS = ["x0", "y0", "x1", "y1"]


def scaled(table, factor):
    return table.assign(**{name: table[name] * factor for name in CORNERS})


@pytest.mark.parametrize(
    ("factors", "told"),
    [
        ((1 / 360, 1), "d.csv: all boxes lie within one pixel"),
        ((1, 1 / 360), "t.csv: all boxes lie within one pixel"),
        ((1 / 16, 1), "d.csv: detections reach to .* regions of .*t.csv reach to"),
        ((16, 1), "d.csv: detections reach to"),
    ],
)
def test_boxes_that_cannot_be_of_the_same_frames_are_refused(tmp_path, boxes, factors, told):
    detections, tracks = (
        scaled(table, factor) for table, factor in zip(boxes, factors, strict=True)
    )
    with pytest.raises(BadInput, match=told):
        score_regions(*save(tmp_path, d=detections, t=tracks), 115)


def test_detections_of_frames_of_half_the_size_are_refused(tmp_path, boxes):
    tracks = boxes[1]
    detections = scaled(tracks.drop(columns="track"), 0.5).assign(score=1.0)
    with pytest.raises(BadInput, match="expected boxes in pixels of the same frames"):
        score_regions(*save(tmp_path, d=detections, t=tracks), 115)


def test_small_regions_in_a_corner_are_scored(tmp_path, boxes):
    far = boxes[0].assign(x0=600, x1=620, y0=400, y1=420)  # misses all; an honest 0
    assert score_regions(*save(tmp_path, d=far, t=boxes[1]), 115)["rbdc"] == 0


def test_folders_of_scores_and_labels_are_the_files(tmp_path, frames):
    (path,) = save(tmp_path, frames=frames)
    for kind in ("txt", "npy"):
        for column in ("score", "label"):
            folder = tmp_path / f"{column}-{kind}"
            folder.mkdir()
            for video, rows in frames.groupby("video"):
                values = rows[column].to_numpy()
                (
                    np.save(folder / f"{video}.npy", values)
                    if kind == "npy"
                    else np.savetxt(folder / f"{video}.txt", values, fmt="%.17g")
                )
        folders = tmp_path / f"score-{kind}", tmp_path / f"label-{kind}"
        assert score_frames(*folders) == score_frames(path, path)


def test_frames_of_regions_are_counted_in_a_folder_of_labels(tmp_path, boxes, frames):
    folder = tmp_path / "labels"
    folder.mkdir()
    for video, rows in frames.groupby("video"):
        np.save(folder / f"{video}.npy", rows["label"].to_numpy())
    assert score_regions(*save(tmp_path, d=boxes[0], t=boxes[1]), folder)["n_frames"] == 115
