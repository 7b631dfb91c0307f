"""Training what a learnt extractor needs, if the cache lacks it: once, whoever asks for it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

from vadbench.datasets.base import Dataset, Split, Video
from vadbench.datasets.contents import contents_of
from vadbench.datasets.open import open_dataset
from vadbench.environment import read_versions
from vadbench.errors import BadInput
from vadbench.features.extractors.extractor import LearntExtractor
from vadbench.features.footage import Footage
from vadbench.features.networks.session import Session
from vadbench.features.networks.store import read_network, write_network
from vadbench.features.parts import Parts, lock_stage
from vadbench.features.progress import Frames
from vadbench.features.store import MANIFEST
from vadbench.features.stream import StreamPlan, new_extractor
from vadbench.files.canonical import canonical_hash


def train_network(dataset: Dataset, plan: StreamPlan, cache: Path, quiet: bool = False) -> Path:
    """Train the network of a stream, if the cache lacks it; an interrupted training goes on.

    Args:
        dataset: the tested data set; the network's own may be another.
        plan: of a learnt stream.
        cache: the store's root.
        quiet: no progress.

    Returns:
        The network's folder.

    Raises:
        BadInput: on videos that cannot be used, a loss that is not finite, a damaged network, or a
            full disk.
    """
    trained = training_dataset(dataset, plan)
    folder = plan.network_folder(cache)
    contents = digest_contents(trained, plan, cache)

    def wait() -> None:
        Frames(f"{folder}", 0, quiet).say("another process trains this; waiting for it")

    digest = canonical_hash(contents)
    with lock_stage(folder, lambda: is_trained(folder), digest, wait) as parts:
        if parts is not None:
            _train(trained, plan, folder, parts, contents, quiet)
    return folder


def training_dataset(dataset: Dataset, plan: StreamPlan) -> Dataset:
    """The data set that a stream's network learns on: the tested one, or the one it names."""
    name = str(plan.network["dataset"])
    own = f"{dataset.name}@{dataset.revision}"
    return dataset if name == own else open_dataset(name.partition("@")[0])


def training_videos(trained: Dataset, plan: StreamPlan) -> list[Video]:
    """The videos that a network may see, held-out ones last among them, in the order of their
    split.

    Raises:
        BadInput: if there is none.
    """
    named = plan.network["videos"]
    splits = ("train",) if named is None else trained.splits
    known = {f"{split}/{video.name}": video for split in splits for video in trained.videos(split)}
    missing = [name for name in named or () if name not in known]
    if not known or missing:
        raise BadInput(
            f"{trained.name}: no video {missing[0] if missing else 'to train on'}; `vadbench data"
            f" check {trained.name}` says what is missing"
        )
    return [known[name] for name in named] if named is not None else list(known.values())


def count_held_out(plan: StreamPlan, videos: int) -> int:
    """How many of the training videos, the last ones, a network does not see."""
    share = float(plan.network["options"].get("holdout", 0.0))
    # 0.2 x 15 is 3.0000000000000004 in floating point, and holds out three
    return math.ceil(round(share * videos, 9))


def digest_contents(
    trained: Dataset, plan: StreamPlan, cache: Path, thorough: bool = False
) -> dict[str, str]:
    """Split -> digest of the files that a network is trained on; nothing of generated ones.

    `thorough`: whether the files are read although names, sizes and times are known ones.
    """
    named = plan.network["videos"]
    of = {name.partition("/")[0] for name in named} if named is not None else {"train"}
    splits = [cast(Split, split) for split in sorted(of)]
    found = {split: contents_of(trained, split, cache, thorough) for split in splits}
    return {str(split): digest for split, digest in found.items() if digest is not None}


def is_trained(folder: Path) -> bool:
    """Whether a network is there, and whole.

    Raises:
        BadInput: if it is damaged.
    """
    if not (folder / MANIFEST).is_file():
        return False
    read_network(folder)
    return True


def _train(
    trained: Dataset,
    plan: StreamPlan,
    folder: Path,
    parts: Parts,
    contents: dict[str, str],
    quiet: bool,
) -> None:
    from vadbench.training import reproducible, resolve_device

    videos = training_videos(trained, plan)
    seen = videos[: len(videos) - count_held_out(plan, len(videos))]
    if not seen:
        raise BadInput(
            f"{trained.name}: all {len(videos)} training videos are held out; lower"
            f" {plan.stream.extractor}.holdout"
        )
    extractor = cast(LearntExtractor, new_extractor(plan))
    device = resolve_device("auto")
    what = f"{trained.name} network {plan.stream.extractor}, seed {plan.network['seed']}"
    session = Session(parts.folder, what, int(plan.network["seed"]), device, quiet)
    with reproducible(session.seed, device):
        extractor.train([Footage(trained, video, held=0) for video in seen], session)
    arrays = extractor.arrays()
    described: dict[str, Any] = {
        "fingerprint": plan.network_fingerprint,
        "network": plan.network,
        "trained_on": [(f"{video.split}/{video.name}", video.frames) for video in seen],
        "held_out": [f"{video.split}/{video.name}" for video in videos[len(seen) :]],
        "contents": contents,
        "parameters": extractor.parameter_count(),
        "seconds": round(session.log.seconds, 3),
        "cpu_seconds": round(session.log.cpu_seconds, 3),
        "loss": [(int(step), loss) for step, loss in session.log.curve],
        "threads": session.log.threads,
        "device": str(device),
        "libraries": read_versions(),
    }
    write_network(folder, described, arrays)
