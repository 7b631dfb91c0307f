"""The formats that can be imported; all splits of a stream are read, checked against each other and
stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from vadbench import registry
from vadbench.datasets.base import SPLITS, Dataset, Split
from vadbench.detector import Nature
from vadbench.errors import BadInput
from vadbench.features.importers.archive import read_mat_features, read_npz_features
from vadbench.features.importers.clips import Clips, ImportedRows, Layout
from vadbench.features.importers.concatenated import read_accivad
from vadbench.features.importers.flat import read_frames
from vadbench.features.importers.per_video import clip_files, read_c3d_folder, read_npy_folder
from vadbench.features.importers.placement import SNIPPET
from vadbench.features.importers.poses import (
    pose_files,
    read_pose_files,
    read_trajectory_folders,
    trajectory_files,
)
from vadbench.features.importers.scores import nature_of_numbers, refuse_labels
from vadbench.features.importers.sizes import check_frames
from vadbench.features.importers.table import read_table
from vadbench.features.importers.write import write_import
from vadbench.features.names import StreamName
from vadbench.features.stream import Imported, declared_nature, import_record
from vadbench.files.digest import sha256
from vadbench.files.npy import read_header


@dataclass(frozen=True)
class Format:
    """A format: what reads it, which fields of `Layout` it looks at, and, of a folder of files,
    their extension and, where one a clip does not say it, which a clip's are.
    """

    read: Callable[[Path, Clips, Layout], ImportedRows]
    looks_at: tuple[str, ...] = ()
    extension: str = ""
    files: Callable[[Path, Clips, Layout], dict[int, list[Path]]] | None = None


POSES = ("window", "stride", "train_stride", "missing", "ratio", "starts")
LATER = ("crop", "window_frame", "columns", *POSES)
CHOICES = {
    "crops": ("average", "keep"),
    "rows": ("objects", "windows"),
    "window_frame": ("centre", "first", "last"),
    "starts": ("whole", "released"),
}
PLACING = ("snippet", "window", "stride", "window_frame")
FORMATS = {
    "accivad": Format(read_accivad),
    "frames": Format(read_frames),
    "npy": Format(read_npy_folder, ("crops", "crop", *PLACING, "suffix"), ".npy"),
    "c3d": Format(read_c3d_folder, ("suffix",), ".txt"),
    "npz": Format(read_npz_features, ("crops", "crop", *PLACING, "rows")),
    "csv": Format(read_table, ("rows", "columns")),
    "parquet": Format(read_table, ("rows", "columns")),
    "mat": Format(read_mat_features, ("crops", "crop", *PLACING)),
    "alphapose": Format(read_pose_files, (*POSES, "suffix"), ".json", pose_files),
    "trajectories": Format(read_trajectory_folders, POSES, ".csv", trajectory_files),
}


def read_features(
    path: Path,
    format: str,
    dataset: Dataset,
    split: Split,
    layout: Layout | None = None,
    splits: Iterable[Split] = SPLITS,
) -> ImportedRows:
    """The rows that a file or a folder holds for a split, checked against its clips.

    Args:
        path: the file, or the folder of files.
        format: a name in `FORMATS`; empty: guessed from the path.
        dataset: whose clips they are.
        split: which of them.
        layout: what the file does not say of itself; default: `Layout()`.
        splits: those whose clips the file may hold beside.

    Raises:
        BadInput: in one line: a file that is missing, broken or hostile; the first clip that
            differs; the first number that is not finite; a single column of labels.
    """
    format = check_format(format or guess_format(path))
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder; expected the {split} features")
    rows = FORMATS[format].read(path, Clips.of(dataset, split, splits), layout or Layout())
    if not len(rows.x):
        few = "no person has as many poses as a window" if rows.shape else "get the file anew"
        raise BadInput(f"{path}: no row for the {split} clips of {dataset.name}; {few}")
    refuse_labels(rows.x, str(path))
    return rows


def import_features(
    dataset: Dataset,
    stream: str,
    paths: dict[Split, Path],
    format: str,
    given: dict[str, Any],
    cache: Path,
    nature: Nature | None = None,
) -> dict[Split, ImportedRows]:
    """Read, check and store a stream's released features, all splits or none.

    Args:
        dataset: whose clips they are.
        stream: `<extractor>@import.<label>`.
        paths: where the features of train, of test and, for the unsupervised setting, of the
            unlabelled videos are; one folder may hold all.
        format: a name in `FORMATS`; empty: guessed from the training path.
        given: fields of `Layout` that the user set.
        cache: the store's root.
        nature: what the columns are; none: what the stream's extractor declares of all its
            variants, and of a single column that it has one unit.

    Returns:
        What was stored.

    Raises:
        BadInput: as `read_features`; if the splits disagree; on a stream or a field that does not
            fit.
    """
    if not StreamName.parse(stream, dataset.boxes).imported:
        raise BadInput(
            f"stream {stream!r}: expected <extractor>@import.<label>, for example"
            " pose@import.accivad"
        )
    if unknown := next((split for split in paths if split not in dataset.splits), None):
        raise BadInput(
            f"--{unknown}: {dataset.name} has no {unknown} videos, its splits are"
            f" {', '.join(dataset.splits)}; leave it out"
        )
    format = check_format(format or guess_format(paths["train"]))
    layout = make_layout(format, given)
    rows = {
        split: read_features(path, format, dataset, split, layout, paths)
        for split, path in paths.items()
    }
    for split, path in paths.items():
        check_frames(rows[split], dataset, split, path)
    for split in paths:
        _require_alike(rows, paths, split)
    digests: dict[str, str] = {
        split: digest(path, format, Clips.of(dataset, split, paths), layout)
        for split, path in paths.items()
    }
    notes = [*(of_split.note for of_split in rows.values())]
    notes.append(_differs(dataset, stream, digests, cache))
    rows["train"] = replace(rows["train"], note="; ".join(filter(None, notes)))
    write_import(
        dataset,
        stream,
        rows,
        digests,
        {"format": format, **_record_layout(layout, format)},
        cache,
        nature or nature_of_numbers(rows["train"], declared_nature(stream)),
        paths,
    )
    return rows


def _differs(dataset: Dataset, stream: str, digests: Mapping[str, str], cache: Path) -> str:
    """What is to be said of an import of the same name before, if its files held something else."""
    name = StreamName.parse(stream, dataset.boxes)
    path = import_record(cache, f"{dataset.name}@{dataset.revision}", name)
    try:
        before = Imported.model_validate_json(path.read_bytes()).files
    except (OSError, ValidationError):  # none before, or none that can be compared
        return ""
    other = [split for split in digests if split in before and before[split] != digests[split]]
    if not other:
        return ""
    split = other[0]
    return (
        f"the {', '.join(other)} files are others than those imported under this name before"
        f" (sha256 {digests[split][:12]}…, then {before[split][:12]}…)"
    )


def make_layout(format: str, given: dict[str, Any]) -> Layout:
    """The layout with these fields.

    Raises:
        BadInput: on a field that the format does not look at, or a value that there is not.
    """
    looks_at = FORMATS[format].looks_at
    for name in given:
        if name not in looks_at:
            takes = ", ".join(map(_option, looks_at)) or "none of these options"
            raise BadInput(
                f"{_option(name)}: means nothing for {format} features, which take {takes}; leave"
                " it out"
            )
    for name, choices in CHOICES.items():
        if given.get(name, choices[0]) not in choices:
            raise registry.unknown(f"choice for {_option(name)}", given[name], choices)
    if given.get("columns") == ():
        raise BadInput(
            "--columns: names no column; give names or patterns, such as 'f*' or speed,height"
        )
    if "window" in given and "snippet" in given:
        raise BadInput(
            "--snippet: rows that follow one another; windows that overlap take --window and"
            " --stride; leave one out"
        )
    if "crop" in given and "crops" in given:
        raise BadInput(
            "--crop: takes one crop, --crops says what becomes of all of them; leave one out"
        )
    placed = ("stride", "window_frame") if "snippet" in looks_at else ()
    lone = next((name for name in placed if name in given and "window" not in given), None)
    if lone:
        raise BadInput(f"{_option(lone)}: is of windows, whose frames --window says; give it too")
    return Layout(**given)


def check_format(format: str) -> str:
    """`format` if it is one.

    Raises:
        BadInput: if not, with the choices.
    """
    if format not in FORMATS:
        raise registry.unknown("format", format, tuple(FORMATS))
    return format


def guess_format(path: Path) -> str:
    """The format that a path's suffix, or a folder's files, leave no doubt about.

    Raises:
        BadInput: if they do.
    """
    if path.is_dir():
        found = [
            name
            for name, format in FORMATS.items()
            if format.extension and next(path.rglob(f"*{format.extension}"), None)
        ]
        if len(found) == 1:
            return found[0]
        kinds = {name: format.extension for name, format in FORMATS.items() if format.extension}
        trouble = f"both {' and '.join(kinds[name] for name in found)} files"
        if not found:
            trouble = f"no {' and no '.join(kinds.values())} files"
        raise BadInput(
            f"{path}: a folder with {trouble}; give --format (npy: a .npy a clip, c3d: a .txt a"
            " clip, alphapose: a .json a clip, trajectories: a .csv a person)"
        )
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder; expected the features of a split")
    guessed = {
        ".npy": _guess_npy(path),
        ".txt": "frames",
        **{f".{name}": name for name in ("npz", "csv", "parquet", "mat")},
    }.get(path.suffix.lower())
    if guessed is None:
        raise BadInput(
            f"{path}: {path.suffix or 'no suffix'} says no format; give --format"
            f" ({', '.join(FORMATS)})"
        )
    return guessed


def _guess_npy(path: Path) -> str:
    """`frames` where an .npy file holds an array [frames] or [frames, D] of numbers."""
    try:
        with path.open("rb") as file:
            header = read_header(file)
    except (OSError, ValueError):  # another file, or one that its reader will refuse
        return "accivad"
    return "accivad" if header.dtype is None or len(header.shape) > 2 else "frames"


def digest(path: Path, format: str, clips: Clips, layout: Layout) -> str:
    """Sha256 of the file, or of the names and digests of a folder's files for these clips."""
    extension = FORMATS[format].extension
    if not extension:
        return sha256(path)
    find = FORMATS[format].files
    if find is not None:
        files = find(path, clips, layout)
    else:
        crops = clip_files(path, clips, layout, extension)
        files = {number: list(of_clip.values()) for number, of_clip in crops.items()}
    lines = [
        f"{clips.videos[number].name} {sha256(file)}\n"
        for number, own in files.items()
        for file in own
    ]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _record_layout(layout: Layout, format: str) -> dict[str, Any]:
    """What the format looked at, for the record: options that came later only where they are
    given.
    """
    plain, looked = Layout(snippet=SNIPPET), asdict(layout)
    looked["snippet"] = SNIPPET if layout.snippet is None else layout.snippet
    later = {name for name in LATER if looked[name] == getattr(plain, name)}
    return {
        name: value
        for name, value in looked.items()
        if name in FORMATS[format].looks_at and name not in later
    }


def _require_alike(rows: dict[Split, ImportedRows], paths: dict[Split, Path], split: Split) -> None:
    """Refuse a split that is of another kind than the training split."""
    train, other = rows["train"], rows[split]
    for what, of_train, of_other in (
        ("numbers a row", train.x.shape[1], other.x.shape[1]),
        ("boxes", train.box is not None, other.box is not None),
        ("windows", train.windows, other.windows),
        ("shape of a row", train.shape, other.shape),
    ):
        if of_train != of_other:
            raise BadInput(
                f"{paths[split]}: {what}: {of_other}, but {of_train} in {paths['train']}; both"
                " splits have to be of one kind"
            )
    if train.columns != other.columns:
        number = next(
            k
            for k, names in enumerate(zip(train.columns, other.columns, strict=True))
            if names[0] != names[1]
        )
        told = (
            f"{paths[split]}: feature {number} is column {other.columns[number]!r}, but"
            f" {train.columns[number]!r} in {paths['train']}"
        )
        raise BadInput(f"{told}; give both files the same columns in the same order")
    same = split != "train" and train.x.shape == other.x.shape and np.array_equal(train.x, other.x)
    if same and paths["train"].resolve() == paths[split].resolve():
        raise BadInput(
            f"{paths[split]}: the same rows for train and {split}; give each split's own file"
        )
