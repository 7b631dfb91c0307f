"""Whether cached features are of the videos that lie on this machine now."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from vadbench.datasets.base import SPLITS, Dataset, Split
from vadbench.datasets.contents import contents_of
from vadbench.errors import BadInput
from vadbench.features import store
from vadbench.features.networks.store import read_manifest
from vadbench.features.networks.train import (
    count_held_out,
    digest_contents,
    training_dataset,
    training_videos,
)
from vadbench.features.parts import remove_stage
from vadbench.features.stream import StreamPlan


def check_current(
    dataset: Dataset,
    plan: StreamPlan,
    cache: Path,
    splits: tuple[Split, ...] = SPLITS,
    thorough: bool = False,
) -> None:
    """Refuse cached features of other videos, or of files that have changed since; where the files
    are not here, nothing is compared.

    Args:
        dataset: whose videos.
        plan: the stream.
        cache: the store's root.
        splits: which are looked at.
        thorough: whether the contents are read although names, sizes and times are known ones.

    Raises:
        BadInput: naming the stage, what differs and the command that extracts again.
    """
    differs = _network_difference(dataset, plan, cache, thorough)
    if differs:
        raise BadInput(
            f"{dataset.name} {plan.name}: the network in {plan.network_folder(cache)} is of"
            f" {differs}; {_explain_again(dataset, plan)}"
        )
    for split in splits:
        for folder, reads_frames in _stages(plan, cache, split):
            differs = _difference(dataset, folder, split, reads_frames, cache, thorough)
            differs = differs or _made_by_another(folder, plan, cache)
            if differs:
                raise BadInput(
                    f"{dataset.name} {plan.name}: {split} features in {folder} are of {differs};"
                    f" {_explain_again(dataset, plan)}"
                )


def remove_outdated(
    dataset: Dataset, plan: StreamPlan, cache: Path, splits: tuple[Split, ...] = SPLITS
) -> None:
    """Remove the cached features that `check_current` refuses, and a network with what is of it."""
    for split in splits:
        removed = False
        for folder, reads_frames in _stages(plan, cache, split):
            is_outdated = partial(_is_outdated, dataset, plan, cache, split, folder, reads_frames)
            # with boxes go the vectors that were made of them
            removed = remove_stage(folder, (lambda: True) if removed else is_outdated)
    if plan.network:
        remove_stage(
            plan.network_folder(cache), lambda: bool(_network_difference(dataset, plan, cache))
        )


def _is_outdated(
    dataset: Dataset,
    plan: StreamPlan,
    cache: Path,
    split: Split,
    folder: Path,
    reads_frames: bool,
) -> bool:
    differs = _difference(dataset, folder, split, reads_frames, cache)
    differs = differs or _made_by_another(folder, plan, cache)
    vectors = folder == plan.folder(cache, split)
    return bool(differs or (vectors and _network_difference(dataset, plan, cache)))


def _stages(plan: StreamPlan, cache: Path, split: Split) -> Iterator[tuple[Path, bool]]:
    """The cached folders of a split, boxes first, and whether frames decided them."""
    if plan.stream.imported:
        return
    if plan.boxes:
        yield plan.boxes_folder(cache, split), plan.boxes_read_frames
    yield plan.folder(cache, split), plan.reads_frames


def _network_difference(
    dataset: Dataset, plan: StreamPlan, cache: Path, thorough: bool = False
) -> str:
    """What a stream's network was trained on that is not there any more; empty where it is up to
    date, or not stored.
    """
    if not plan.network or not (plan.network_folder(cache) / store.MANIFEST).is_file():
        return ""
    known = read_manifest(plan.network_folder(cache))
    trained = training_dataset(dataset, plan)
    try:
        videos = training_videos(trained, plan)
    except BadInput:  # where the files are not here, nothing is compared
        return ""
    now = [(f"{video.split}/{video.name}", video.frames) for video in videos]
    kept = now[: len(now) - count_held_out(plan, len(now))]
    if [(name, int(frames)) for name, frames in known.trained_on] != kept:
        return f"other videos than {trained.name} has now"
    there = digest_contents(trained, plan, cache, thorough)
    changed = [split for split in there if known.contents.get(split, there[split]) != there[split]]
    return f"other files than those of {trained.root}" if changed else ""


def _made_by_another(folder: Path, plan: StreamPlan, cache: Path) -> str:
    """Whether a stream's vectors were made with other weights than its network has now."""
    network = plan.network_folder(cache) if plan.network else None
    if network is None or not folder.is_dir() or not (network / store.MANIFEST).is_file():
        return ""
    made = store.read_manifest(folder).get("network", {}).get("sha256")
    return "" if made == read_manifest(network).sha256 else f"another network than {network} is now"


def _explain_again(dataset: Dataset, plan: StreamPlan) -> str:
    """The command that makes a stream anew."""
    own = f"{dataset.name}@{dataset.revision}"
    if plan.network and (plan.network["dataset"] != own or plan.network["videos"] is not None):
        return "`vadbench features list` names it, `vadbench features remove` removes it"
    return (
        f"`vadbench features extract --datasets {dataset.name} --features"
        f" {plan.name}{_options(plan)} --again` extracts again"
    )


def _options(plan: StreamPlan) -> str:
    """The options of the command line that name the plan's own settings."""
    chosen = [
        (component, name, value)
        for component, options in plan.changed.items()
        for name, value in options.items()
    ]
    if plan.seeded and plan.network["seed"]:
        chosen.append((plan.stream.extractor, "seed", plan.network["seed"]))
    return "".join(
        f" --set {shlex.quote(f'{component}.{name}={json.dumps(value)}')}"
        for component, name, value in chosen
    )


def _difference(
    dataset: Dataset,
    folder: Path,
    split: Split,
    reads_frames: bool,
    cache: Path,
    thorough: bool = False,
) -> str:
    """What a stored stage is of that is not there any more; empty where it is up to date, or not
    stored.
    """
    if not folder.is_dir():
        return ""
    manifest = store.read_manifest(folder)
    was, now = (
        store.lengths(manifest),
        {video.name: video.frames for video in dataset.videos(split)},
    )
    if list(was.items()) != list(now.items()):
        changed = next(
            name
            for name in [*now, *was]
            if was.get(name) != now.get(name) or list(was) != list(now)
        )
        return (
            f"other videos ({changed} had {was.get(changed, 0)} frames and now has"
            f" {now.get(changed, 0)})"
        )
    held = manifest.get("contents")  # not in features that were cached before contents were kept
    if not (reads_frames and held):
        return ""
    there = contents_of(dataset, split, cache, thorough)
    return (
        ""
        if there in (None, held)
        else f"other files than those of {dataset.root} (their contents have changed)"
    )


def outdated_folders(dataset: Dataset, folders: Iterable[Path], cache: Path) -> list[Path]:
    """Of the cached stages in `folders` those of this data set whose files hold something else now;
    the files are read.
    """
    held = {
        folder: store.read_manifest(folder).get("contents")
        for folder in folders
        if _is_of(dataset, folder, cache)
    }
    splits = {folder.name for folder, contents in held.items() if contents}
    there = {
        split: contents_of(dataset, split, cache, thorough=True)
        for split in dataset.splits
        if split in splits
    }
    return [
        folder
        for folder, contents in held.items()
        if contents and there[folder.name] not in (None, contents)  # type: ignore[index]
    ]


def outdated_networks(dataset: Dataset, folders: Iterable[Path], cache: Path) -> list[Path]:
    """Of the cached networks in `folders` those of this data set whose files hold something else
    now; the files are read.
    """
    held = {
        folder: read_manifest(folder).contents
        for folder in folders
        if _is_of(dataset, folder, cache)
    }
    splits = {split for contents in held.values() for split in contents}
    there = {
        str(split): contents_of(dataset, split, cache, thorough=True)
        for split in dataset.splits
        if split in splits
    }
    return [
        folder
        for folder, contents in held.items()
        if any(there.get(split) not in (None, digest) for split, digest in contents.items())
    ]


def _is_of(dataset: Dataset, folder: Path, cache: Path) -> bool:
    return folder.relative_to(cache).parts[0] == f"{dataset.name}@{dataset.revision}"
