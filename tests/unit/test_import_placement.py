"""The frame that each row of an imported array scores, to the frame: snippets, windows, equal
shares, crops.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips_to_import import Toy, refusal
from hypothesis import assume, given
from hypothesis import strategies as st

from vadbench.datasets.base import Split, Video
from vadbench.errors import BadInput
from vadbench.evaluation.maxima import window_to_frames
from vadbench.features.importers import Layout, import_features, read_features
from vadbench.features.importers.placement import place_rows
from vadbench.features.importers.read import digest, make_layout


def dataset(root: Path, **frames: int) -> Toy:
    class Clips(Toy):
        clips = {"train": frames, "test": {}}

    return Clips(root)


def save(folder: Path, **arrays: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / name, array)
    return folder


def number_rows(rows: int) -> Any:
    """Rows whose first number is their place."""
    return np.arange(rows, dtype=float)[:, None] + [0.0, 0.5]


def of_frames(toy: Toy, folder: Path, **layout: Any) -> list[list[int]]:
    """For each clip the row whose score each of its frames takes."""
    found = read_features(folder, "npy", toy, "train", Layout(**layout))
    lengths = np.array([video.frames for video in toy.videos("train")])
    scores, _ = window_to_frames(found.x.astype(float), found.video, found.frame, lengths, window=1)
    return [part.astype(int).tolist() for part in np.split(scores[:, 0], np.cumsum(lengths)[:-1])]


# windows that overlap


@pytest.mark.parametrize(("frame", "first"), [("first", 0), ("centre", 8), ("last", 15)])
def test_windows_score_the_frame_that_is_asked_for(tmp_path: Path, frame: str, first: int) -> None:
    toy = dataset(tmp_path, a=60, b=41)
    folder = save(tmp_path / "w", a=number_rows(45), b=number_rows(26))
    for rows, found in zip(
        (45, 26), of_frames(toy, folder, window=16, window_frame=frame), strict=True
    ):
        assert found == np.clip(np.arange(rows + 15) - first, 0, rows - 1).tolist()


@pytest.mark.parametrize(("window", "stride"), [(16, 4), (16, 8), (24, 6), (30, 30)])
def test_windows_some_frames_apart(tmp_path: Path, window: int, stride: int) -> None:
    toy = dataset(tmp_path, a=200, b=77)
    rows = [(frames - window) // stride + 1 for frames in (200, 77)]
    folder = save(tmp_path / "w", a=number_rows(rows[0]), b=number_rows(rows[1]))
    found = read_features(folder, "npy", toy, "train", Layout(window=window, stride=stride))
    assert found.frame.tolist() == [
        k * stride + window // 2 for count in rows for k in range(count)
    ]


@pytest.mark.parametrize("window", [2, 16, 24, 64])
@pytest.mark.parametrize("snippet", [None, 0, 1, 8])
def test_windows_are_recognised_and_their_command_is_told(
    tmp_path: Path, window: int, snippet: int | None
) -> None:
    toy = dataset(tmp_path, a=180, b=150)
    folder = save(tmp_path / "w", a=number_rows(181 - window), b=number_rows(151 - window))
    told = refusal(folder, "npy", toy, snippet=snippet)
    assert f"--window {window}" in told
    assert "give --snippet" not in told
    assert (
        len(read_features(folder, "npy", toy, "train", Layout(window=window)).x) == 332 - 2 * window
    )


def test_windows_of_clips_of_one_length_are_recognised(tmp_path: Path) -> None:
    toy = dataset(tmp_path, a=180, b=180)
    folder = save(tmp_path / "w", a=number_rows(165), b=number_rows(165))
    for snippet in (None, 0, 1):
        assert "--window 16" in refusal(folder, "npy", toy, snippet=snippet)


def test_rows_that_are_snippets_or_windows_are_refused_with_both(tmp_path: Path) -> None:
    folder = save(tmp_path / "w", a=number_rows(2), b=number_rows(2))
    assert of_frames(dataset(tmp_path, a=31, b=17), folder) == [[0] * 16 + [1] * 15, [0] * 16 + [1]]
    same = dataset(tmp_path, a=17, b=17)
    told = refusal(folder, "npy", same)
    assert "--snippet 16" in told
    assert "--window 16" in told
    assert of_frames(same, folder, snippet=16)[0] == [0] * 16 + [1]
    assert of_frames(same, folder, window=16)[0] == [0] * 9 + [1] * 8


@pytest.mark.parametrize("frames", [30, 40, 48, 64, 180])
def test_snippets_of_clips_of_one_length_are_no_windows(tmp_path: Path, frames: int) -> None:
    rows = -(-frames // 16)
    folder = save(tmp_path / "w", a=number_rows(rows), b=number_rows(rows))
    assert (
        of_frames(dataset(tmp_path, a=frames, b=frames), folder)[1]
        == (np.arange(frames) // 16).tolist()
    )


def test_rows_that_are_no_windows_of_that_length_name_the_clip(tmp_path: Path) -> None:
    folder = save(tmp_path / "w", a=number_rows(45), b=number_rows(25))
    told = refusal(folder, "npy", dataset(tmp_path, a=60, b=41), window=16)
    assert (
        "b.npy: 25 rows for train clip b of toy, which has 41 frames, expected 26, windows of 16"
        " frames, one every 1" in told
    )
    assert "expected 0" in refusal(
        save(tmp_path / "s", a=number_rows(1)), "npy", dataset(tmp_path, a=9), window=16
    )


@given(
    st.lists(st.integers(70, 400), min_size=1, max_size=4), st.integers(2, 64), st.integers(1, 64)
)
def test_no_hint_moves_a_row(frames: list[int], window: int, stride: int) -> None:
    stride = min(stride, window - 1)
    rows = [(length - window) // stride + 1 for length in frames]
    assume(max(rows) > 1)
    videos = [Video(str(number), "train", length) for number, length in enumerate(frames)]
    with pytest.raises(BadInput) as told:  # no clip is so long
        place_rows(rows, videos, Layout(snippet=1000), str)
    hint = str(told.value).partition(";")[2]
    assert not re.findall(r"--snippet \d+", hint)
    assert {int(found) for found in re.findall(r"--window (\d+)", hint)} <= (
        {window} if stride == 1 else set()
    )


def test_a_hint_says_what_fits(tmp_path: Path) -> None:
    toy = dataset(tmp_path, a=320, b=100)
    assert "give --snippet 1" in refusal(
        save(tmp_path / "a", a=number_rows(320), b=number_rows(100)), "npy", toy
    )
    assert "--snippet 8 fits all clips" in refusal(
        save(tmp_path / "b", a=number_rows(40), b=number_rows(12)), "npy", toy
    )
    shared = refusal(save(tmp_path / "c", a=number_rows(32), b=number_rows(32)), "npy", toy)
    assert (
        "all clips have 32 rows: where these share their clip equally, give --snippet 0" in shared
    )
    assert of_frames(toy, tmp_path / "c", snippet=0)[0] == np.repeat(range(32), 10).tolist()


@pytest.mark.parametrize(
    ("given_", "told"),
    [
        ({"window": 16, "snippet": 4}, "--snippet: rows that follow one another"),
        ({"stride": 2}, "--stride: is of windows"),
        ({"crop": 0, "crops": "keep"}, "--crop: takes one crop"),
        ({"window_frame": "last"}, "--window-frame: is of windows"),
        ({"window": 16, "window_frame": "middle"}, "--window-frame"),
    ],
)
def test_options_that_do_not_go_together(given_: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        make_layout("npy", given_)


# snippets


@given(st.integers(1, 300), st.integers(1, 40), st.booleans())
def test_each_frame_takes_the_row_that_covers_it(frames: int, snippet: int, partial: bool) -> None:
    rows = -(-frames // snippet) if partial else max(1, frames // snippet)
    layout = Layout(snippet=snippet)
    (placed,) = place_rows([rows], [Video("a", "train", frames)], layout, str)
    assert placed.max() < frames
    scores, _ = window_to_frames(
        np.arange(rows, dtype=float)[:, None],
        np.zeros(rows, int),
        placed,
        np.array([frames]),
        window=1,
    )
    np.testing.assert_array_equal(scores[:, 0], np.minimum(np.arange(frames) // snippet, rows - 1))


def test_clips_whose_length_the_snippet_divides_may_lack_the_last_row(tmp_path: Path) -> None:
    toy = dataset(tmp_path, a=64, b=70, c=16)
    found = of_frames(
        toy, save(tmp_path / "l", a=number_rows(3), b=number_rows(4), c=number_rows(1))
    )
    assert found[0] == [0] * 16 + [1] * 16 + [2] * 32
    assert found[1] == [0] * 16 + [1] * 16 + [2] * 16 + [3] * 22
    eight = of_frames(dataset(tmp_path, a=24), save(tmp_path / "e", a=number_rows(2)), snippet=8)
    assert eight == [[0] * 8 + [1] * 16]


@pytest.mark.parametrize(("a", "b"), [(3, 5), (2, 4), (3, 3), (5, 4)])
def test_other_rows_that_lack_are_refused(tmp_path: Path, a: int, b: int) -> None:
    refusal(
        save(tmp_path / "l", a=number_rows(a), b=number_rows(b)),
        "npy",
        dataset(tmp_path, a=64, b=70),
    )


# a file a crop


def crops(folder: Path, name: str, values: Any, form: str = "{}__{}") -> Path:
    return save(
        folder,
        **{form.format(name, number): values[:, number] for number in range(values.shape[1])},
    )


@pytest.mark.parametrize("count", [2, 5, 10])
@pytest.mark.parametrize("form", ["{}__{}", "{}_i3d__{}", "{}__{}_i3d"])
def test_a_file_a_crop_is_as_one_array_of_crops(tmp_path: Path, count: int, form: str) -> None:
    toy = dataset(tmp_path, a=40, b=16)
    suffix = "_i3d" if "i3d" in form else ""
    random = np.random.default_rng(0)
    a, b = random.normal(size=(3, count, 4)), random.normal(size=(1, count, 4))
    crops(crops(tmp_path / "crops", "a", a, form).parent / "crops", "b", b, form)
    whole = save(tmp_path / "whole", a=a, b=b)
    for kind in ("average", "keep"):
        found = read_features(
            tmp_path / "crops", "", toy, "train", Layout(crops=kind, suffix=suffix)
        )  # type: ignore[arg-type]
        expected = read_features(whole, "", toy, "train", Layout(crops=kind))  # type: ignore[arg-type]
        np.testing.assert_array_equal(found.x, expected.x)
        np.testing.assert_array_equal(found.frame, expected.frame)


def test_crops_in_an_archive(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(3, 5, 4))
    np.savez(tmp_path / "f.npz", **{f"a__{number}": x[:, number] for number in range(5)})
    np.testing.assert_allclose(
        read_features(tmp_path / "f.npz", "", dataset(tmp_path, a=40), "train").x,
        x.mean(1),
        rtol=1e-6,
    )


def test_a_missing_crop_and_crops_of_other_rows_are_named(tmp_path: Path) -> None:
    toy = dataset(tmp_path, a=40, b=16)
    x = np.ones((3, 5, 4))
    folder = crops(crops(tmp_path / "c", "a", x), "b", x[:1])
    (folder / "b__2.npy").unlink()
    assert (
        "no file b__2 for train clip b of toy, expected the crops 0 to 4 of every clip"
        in refusal(folder, "npy", toy)
    )
    np.save(folder / "b__2.npy", np.ones((2, 4)))
    assert "b__2.npy: an array of shape [2, 4] beside [1, 4]" in refusal(folder, "npy", toy)
    np.save(folder / "b__2.npy", np.ones((1, 4)))
    (folder / "b__0.npy").unlink()
    (folder / "a__0.npy").unlink()
    assert read_features(folder, "", toy, "train").x.shape == (4, 4)  # numbered from 1
    np.save(folder / "a__7.npy", x[:, 0])
    assert "no file a__5 for train clip a" in refusal(folder, "npy", toy)


@pytest.mark.parametrize("crop", [0, 7, 9])
def test_one_crop_is_taken_by_its_number(tmp_path: Path, crop: int) -> None:
    toy = dataset(tmp_path, a=40, b=16)
    random = np.random.default_rng(0)
    a, b = random.normal(size=(3, 10, 4)), random.normal(size=(1, 10, 4))
    expected = np.concatenate([a[:, crop], b[:, crop]]).astype(np.float32)
    whole = save(tmp_path / "whole", a=a, b=b)
    for folder in (crops(crops(tmp_path / "c", "a", a), "b", b), whole):
        found = read_features(folder, "", toy, "train", Layout(crop=crop))
        np.testing.assert_array_equal(found.x, expected)
        assert found.frame.tolist() == [7, 23, 39, 7]


def test_crops_that_are_numbered_from_one_are_taken_by_these_numbers(tmp_path: Path) -> None:
    toy = dataset(tmp_path, a=40)
    folder = save(tmp_path / "c", a__1=np.ones((3, 2)), a__2=np.full((3, 2), 2.0))
    assert read_features(folder, "", toy, "train", Layout(crop=2)).x[0, 0] == 2
    assert "a__1.npy: has the crops 1 to 2; name one, or leave --crop 0 out" in refusal(
        folder, "npy", toy, crop=0
    )


def test_a_lone_crop_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = save(tmp_path / "c", a__0=np.ones((3, 2)))
    for crop in (0, None):
        found = read_features(folder, "", dataset(tmp_path, a=40), "train", Layout(crop=crop))
        assert found.x.shape == (3, 2)


def test_whole_clips_may_lie_beside_the_other_splits_crops(tmp_path: Path) -> None:
    class Both(Toy):
        clips = {"train": {"a": 40}, "test": {"b": 16}}

    folder = save(tmp_path / "c", a=np.ones((3, 2)), b__0=np.ones((1, 2)), b__1=np.ones((1, 2)))
    for split, rows in (("train", 3), ("test", 1)):
        assert len(read_features(folder, "", Both(tmp_path), split).x) == rows


def test_a_crop_that_is_not_there_is_refused(tmp_path: Path) -> None:
    toy = dataset(tmp_path, a=40)
    folder = save(tmp_path / "c", a=np.ones((3, 5, 4)))
    assert "a.npy: has the crops 0 to 4; name one" in refusal(folder, "npy", toy, crop=5)
    save(folder, a=np.ones((3, 4)))
    assert "a.npy: has no crops; leave --crop 0 out" in refusal(folder, "npy", toy, crop=0)


def test_one_crop_needs_all_others_as_well(tmp_path: Path) -> None:
    toy = dataset(tmp_path, a=40, b=16)
    x = np.ones((3, 5, 4))
    folder = crops(crops(tmp_path / "c", "a", x), "b", x[:1])
    np.save(folder / "b__2.npy", np.ones((2, 4)))
    assert "b__2.npy: an array of shape [2, 4]" in refusal(folder, "npy", toy, crop=0)
    (folder / "b__2.npy").unlink()
    assert "no file b__2 for train clip b" in refusal(folder, "npy", toy, crop=0)


def test_another_crop_is_another_stream_and_is_recorded(tmp_path: Path) -> None:
    class Both(Toy):
        clips = {"train": {"a": 40}, "test": {"b": 16}}

    toy, random = Both(tmp_path), np.random.default_rng(0)
    folder = crops(tmp_path / "c", "a", random.normal(size=(3, 5, 4)))
    crops(folder, "b", random.normal(size=(1, 5, 4)))
    paths: dict[Split, Path] = {"train": folder, "test": folder}
    records = []
    for given_ in ({}, {"crop": 0}, {"crop": 3}):
        import_features(toy, "clip@import.c", paths, "", given_, tmp_path / "cache")
        path = tmp_path / "cache" / "toy@1" / "imports" / "clip@import.c.json"
        records.append(json.loads(path.read_text()))
    assert [record["options"].get("crop") for record in records] == [None, 0, 3]
    assert len({json.dumps(record["vectors"]) for record in records}) == 3
    assert len({json.dumps(record["files"]) for record in records}) == 1


def test_a_crop_beside_the_whole_clip_is_refused(tmp_path: Path) -> None:
    toy = dataset(tmp_path, a=40)
    folder = crops(tmp_path / "c", "a", np.ones((3, 2, 4)))
    assert "leave --suffix out" in refusal(folder, "npy", toy, suffix="__0")
    np.save(folder / "a.npy", np.ones((3, 4)))
    assert "a crop of the same clip" in refusal(folder, "npy", toy)


def test_a_clip_named_like_a_crop_is_a_clip(tmp_path: Path) -> None:
    toy = dataset(tmp_path, a__0=40, a__1=16)
    assert (
        len(
            read_features(
                save(tmp_path / "c", a__0=np.ones((3, 2)), a__1=np.ones((1, 2))), "", toy, "train"
            ).x
        )
        == 4
    )


def test_clips_of_other_numbers_of_crops_are_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "c", a=np.ones((3, 10, 4)), b=np.ones((1, 5, 4)))
    assert "b.npy: 5 crops a row for train clip b of toy, the clips before it have 10" in refusal(
        folder, "npy", dataset(tmp_path, a=40, b=16)
    )


def test_every_crops_file_is_part_of_the_digest(tmp_path: Path) -> None:
    from vadbench.features.importers.clips import Clips

    clips = Clips.of(dataset(tmp_path, a=40), "train")
    folder = crops(tmp_path / "c", "a", np.ones((3, 2, 4)))
    before = digest(folder, "npy", clips, Layout())
    np.save(folder / "a__1.npy", np.zeros((3, 4)))
    assert digest(folder, "npy", clips, Layout()) != before


# names


SPELLINGS = {
    "zeros": ("01", "1"),
    "case": ("Clip01", "clip01"),
    "composed": ("caf\u00e9", "cafe\u0301"),
    "longer": ("Train1", "Train001"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_files_of_clips_spelt_otherwise_are_theirs(tmp_path: Path, spelling: str) -> None:
    ours, theirs = SPELLINGS[spelling]
    toy = dataset(tmp_path, **{ours: 40, "other": 16})
    found = read_features(
        save(tmp_path / "c", **{theirs: np.zeros((3, 1)), "other": np.full((1, 1), 7)}),
        "",
        toy,
        "train",
    )
    assert found.x.ravel().tolist() == [0, 0, 0, 7]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_rows_and_arrays_of_clips_spelt_otherwise_are_theirs(tmp_path: Path, spelling: str) -> None:
    ours, theirs = SPELLINGS[spelling]
    toy = dataset(tmp_path, **{ours: 40, "other": 16})
    np.savez(tmp_path / "clips.npz", **{theirs: np.zeros((3, 1)), "other": np.full((1, 1), 7)})
    assert read_features(tmp_path / "clips.npz", "", toy, "train").x.ravel().tolist() == [
        0,
        0,
        0,
        7,
    ]
    np.savez(tmp_path / "rows.npz", x=[[0.0], [7.0]], video=[theirs, "other"], frame=[0, 0])
    assert read_features(tmp_path / "rows.npz", "", toy, "train").x.ravel().tolist() == [0, 7]


def test_a_clip_spelt_in_two_ways_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "c", **{"1": np.zeros((3, 1)), "01": np.ones((3, 1))})
    assert "file 1 belongs to no clip" in refusal(folder, "npy", dataset(tmp_path, **{"01": 40}))


def test_what_has_no_partner_is_named_on_either_side(tmp_path: Path) -> None:
    told = refusal(
        save(tmp_path / "c", x1=np.zeros((3, 1)), x2=np.zeros((1, 1))),
        "npy",
        dataset(tmp_path, a=40, b=16),
    )
    assert "no file for train clip a of toy; x1, x2 belong to no clip" in told


# boxes against the frames


class Filmed(Toy):
    """Clips whose frames are 160 x 120, but for the last training clip's, which are twice as large,
    and a test clip that is absent.
    """

    def read(self, video: Any) -> Any:
        if video.name == "z":
            raise BadInput("no pixels")
        times = 2 if video.name == "c" else 1
        return iter([np.zeros((120 * times, 160 * times), np.uint8)])


def import_boxes(root: Path, **boxes: Any) -> None:
    """One object in the first frame of each clip, with a box in the middle where no other is
    given.
    """
    toy = Filmed(root)
    splits: tuple[Split, Split] = ("train", "test")
    paths: dict[Split, Path] = {}
    for number, split in enumerate(splits):
        names = list(toy.clips[split])
        paths[split] = root / f"{split}.npz"
        box = np.array([boxes.get(name, (40, 30, 80, 90)) for name in names], float)
        np.savez(
            paths[split],
            x=np.arange(len(names))[:, None] + 10.0 * number,
            video=names,
            frame=np.zeros(len(names), int),
            box=box,
        )
    import_features(toy, "velocity@import.mine", paths, "", {}, root / "cache")


def test_boxes_of_each_clips_frames_are_taken(tmp_path: Path) -> None:
    import_boxes(
        tmp_path, c=(200, 150, 319, 239), a=(-1, -1, 160.5, 120.5), z=(900, 900, 1000, 1000)
    )
    assert list((tmp_path / "cache").rglob("x.npy"))


@pytest.mark.parametrize(
    ("clip", "box", "told"),
    [
        (
            "a",
            (200, 150, 319, 239),
            "train clip a: frame 0: box .* lies outside, the frames are 160 x 120",
        ),
        ("y", (200, 0, 240, 50), "test clip y: frame 0: box"),
        (
            "b",
            (0.1, 0.2, 0.5, 0.9),
            "train clip b: all boxes lie within one pixel, the frames are 160 x 120",
        ),
        ("a", (40, 30, 20, 25), "of x, y, width, height: x, y, x . width"),
    ],
)
def test_boxes_of_other_frames_are_refused_and_nothing_is_stored(
    tmp_path: Path, clip: str, box: Any, told: str
) -> None:
    with pytest.raises(BadInput, match=told):
        import_boxes(tmp_path, **{clip: box})
    assert not list((tmp_path / "cache").rglob("x.npy"))


def test_fractions_are_refused_where_no_pixels_are_at_hand(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "f.npz",
        x=np.ones((2, 1)),
        video=[0, 1],
        frame=[0, 0],
        box=[[0, 0, 0.5, 1.0]] * 2,
    )
    from vadbench.features.importers.sizes import check_frames

    rows = read_features(tmp_path / "f.npz", "", Filmed(tmp_path), "test")
    with pytest.raises(BadInput, match="all boxes lie within one pixel"):
        check_frames(rows, Filmed(tmp_path), "test", tmp_path / "f.npz")
