"""`check_extractor`: the contract that every extractor must keep, ours or a user's, learnt ones
above all; `vadbench check EXTRACTOR` runs it on a few synthetic clips.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from vadbench import registry
from vadbench.datasets.base import Check, Dataset, Labels, Split, Video
from vadbench.errors import BadInput, ContractError
from vadbench.features.boxes.provider import Objects
from vadbench.features.extractors.extractor import Extractor, LearntExtractor, Vectors
from vadbench.features.footage import Footage
from vadbench.features.networks.session import Session
from vadbench.files.canonical import canonical_hash
from vadbench.spec import PRESETS

HEIGHT, WIDTH, LONG, SHORT = 64, 96, 40, 9  # pixels; frames of the long clips and of the short one
FEW = 6  # steps of a training, where an option is named so
Arrays = dict[str, NDArray[Any]]


class Clips(Dataset):
    """Three training clips and a test clip of a disc that moves over a texture; it has no labels,
    and says so where they are asked for.
    """

    name: ClassVar[str] = "clips"
    revision: ClassVar[str] = "1"
    generated: ClassVar[bool] = True
    boxes: ClassVar[str] = "grid"

    def videos(self, split: Split) -> tuple[Video, ...]:
        """The clips of a split."""
        lengths = {"train": (LONG, LONG, SHORT), "test": (LONG,)}.get(split, ())
        return tuple(Video(f"{split}{k}", split, count) for k, count in enumerate(lengths))

    def read(self, video: Video) -> Iterator[NDArray[np.uint8]]:
        """The frames of a clip, [64, 96]."""
        chance = np.random.default_rng(len(video.name) + video.frames)
        still = chance.integers(60, 120, (HEIGHT, WIDTH)).astype(np.uint8)
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        for t in range(video.frames):
            disc = (x - 8 - 2 * t) ** 2 + (y - 30) ** 2 < 64
            yield np.where(disc, np.uint8(220), still)

    def labels(self) -> Labels:
        """None: an extractor that asks for them is refused.

        Raises:
            ContractError: always.
        """
        raise ContractError("labels are never seen: the extractor has asked for them")

    def check(self) -> list[Check]:
        """Nothing to check."""
        return []


class StoppedSession(Session):
    """A session that is interrupted in the middle of each training, as by Ctrl-C."""

    seconds_between_copies = 0.0

    def fit(self, net: Any, batch: Any, loss: Any, *, steps: int, **others: Any) -> None:
        """As `Session.fit`, until half of the steps."""

        def stopping(step: int) -> Any:
            if step >= steps // 2:
                raise KeyboardInterrupt
            return batch(step)

        super().fit(net, stopping, loss, steps=steps, **others)


@dataclass(frozen=True)
class Trial:
    """An extractor under test, with small options."""

    cls: type[Extractor]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def learnt(self) -> bool:
        """Whether it trains a network."""
        return bool(getattr(self.cls, "learnt", False))

    def make(self, variant: str | None = None) -> Any:
        """A new one."""
        return self.cls(variant or self.cls.variants[0], self.cls.Options(**self.options))

    def footage(self, split: Split) -> list[Footage]:
        """The clips of a split."""
        dataset = Clips(Path("nowhere"))
        return [Footage(dataset, video) for video in dataset.videos(split)]

    def train(self, seed: int, folder: Path, session: type[Session] = Session) -> LearntExtractor:
        """A new one, trained on the training clips."""
        from vadbench.training import reproducible, resolve_device

        extractor: LearntExtractor = self.make()
        device = resolve_device("cpu")
        with reproducible(seed, device):
            extractor.train(
                self.footage("train"), session(folder, self.cls.name, seed, device, quiet=True)
            )
        return extractor

    @cached_property
    def arrays(self) -> Arrays:
        """What it learns with seed 0."""
        with tempfile.TemporaryDirectory() as folder:
            return _copy(self.train(0, Path(folder)).arrays())

    def ready(self) -> Extractor:
        """A new one that can extract."""
        extractor = self.make()
        if self.learnt:
            from vadbench.training import resolve_device

            extractor.restore(_copy(self.arrays), resolve_device("cpu"))
        return cast(Extractor, extractor)

    def objects(self, footage: Footage) -> Objects:
        """A box around the disc in each frame, where boxes are needed."""
        if not self.cls.needs_boxes:
            return Objects([np.zeros((0, 4), np.float32)] * len(footage))
        frames = range(len(footage))
        return Objects([np.array([[2 * t, 20, 2 * t + 16, 40]], np.float32) for t in frames])

    def extract(self, extractor: Extractor, footage: Footage) -> Vectors:
        """The rows of a clip, of `objects`."""
        return extractor.extract(footage, self.objects(footage), lambda frames: None)

    def require(self, holds: Any, clause: str, seen: str) -> None:
        """Raise a ContractError unless `holds`."""
        if not bool(holds):
            raise ContractError(f"{self.cls.__name__}: {clause}: {seen}")


def declares_itself(trial: Trial) -> None:
    """Name, variants, options and columns are there; an option decides one stage alone."""
    cls, extractor = trial.cls, trial.make()
    undescribed = [name for name, one in cls.Options.model_fields.items() if not one.description]
    trial.require(not undescribed, "every option is described", f"no description for {undescribed}")
    resolved = cls.resolve(extractor.options, cls.variants[0], "grid")
    canonical_hash(resolved)  # JSON-ready
    columns = extractor.columns()
    trial.require(len(set(columns)) == len(columns) > 0, "columns have names", f"{columns[:5]} ...")
    if trial.learnt:
        training = [trial.make(variant).training() for variant in cls.variants]
        trial.require(
            len({canonical_hash(one) for one in training}) == 1,
            "variants share one network",
            f"training() gives {training}",
        )
        both = sorted(training[0].keys() & resolved.keys())
        trial.require(not both, "an option decides one stage", f"{both} stand in both")


def identity_makes_it_again(trial: Trial) -> None:
    """What stands in identities makes an extractor of the same training and vectors, in every
    preset: a plan keeps nothing else.
    """
    cls = trial.cls
    presets: list[dict[str, Any]] = [trial.options]
    if hasattr(cls, "preset"):
        presets += [cls.preset(name, of) for name in PRESETS for of in ("ped2", "shanghaitech")]
    clause = "its identity makes it again"
    for options in presets:
        for variant in cls.variants:
            try:
                resolved, training = _describe(cls, variant, cls.Options(**options))
            except BadInput:  # a variant that needs a setting, or cannot be with these
                continue
            try:
                again = _describe(cls, variant, cls.Options(**{**resolved, **training}))
            except ValidationError as error:
                told = registry.first_fault(error, cls.Options)
                trial.require(False, clause, f"with {options}: {told}")
            trial.require(again == (resolved, training), clause, f"with {options}: {again}")


def _describe(
    cls: type[Extractor], variant: str, options: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `resolve` and `training` say, as JSON has it."""
    resolved = cls.resolve(options, variant, "grid")
    made: Any = cls(variant, options)
    training = made.training() if getattr(cls, "learnt", False) else {}
    return json.loads(json.dumps(resolved)), json.loads(json.dumps(training))


def vectors_are_finite_float32(trial: Trial) -> None:
    """Of the declared columns, in order, of a long clip and of a short one."""
    extractor = trial.ready()
    for footage in (trial.footage("test")[0], trial.footage("train")[2]):
        rows = trial.extract(extractor, footage)
        clause, clip = "vectors are finite float32", f"a clip of {len(footage)} frames"
        shape = rows.x.dtype == np.float32 and rows.x.shape[1:] == (len(extractor.columns()),)
        trial.require(shape, clause, f"{clip}: {rows.x.dtype} {rows.x.shape}")
        trial.require(np.isfinite(rows.x).all(), clause, f"{clip}: one is not finite")
        places = np.arange(len(footage)) if rows.of is None else rows.of
        trial.require(
            len(places) == len(rows.x) and (np.diff(places) > 0).all(),
            "rows say what they are of",
            f"{clip}: {len(rows.x)} rows of {places}",
        )


def same_clip_same_vectors(trial: Trial) -> None:
    """To the bit, whatever clips were read before."""
    clip, other = trial.footage("test")[0], trial.footage("train")[0]
    first = trial.extract(trial.ready(), clip).x
    extractor = trial.ready()
    trial.extract(extractor, other)
    trial.require(
        np.array_equal(first, trial.extract(extractor, clip).x),
        "same clip, same vectors",
        "others after another clip was read",
    )


def same_seed_same_network(trial: Trial) -> None:
    """To the bit; another seed gives another one."""
    with tempfile.TemporaryDirectory() as folder:
        again = trial.train(0, Path(folder, "again")).arrays()
        other = trial.train(1, Path(folder, "other")).arrays()
    trial.require(_same(again, trial.arrays), "same seed, same network", "the weights differ")
    trial.require(
        not _same(other, trial.arrays), "another seed, another network", "the weights are the same"
    )


def interrupted_ends_the_same(trial: Trial) -> None:
    """A training that was interrupted and goes on ends equal to the bit."""
    with tempfile.TemporaryDirectory() as folder:
        with suppress(KeyboardInterrupt):
            trial.train(0, Path(folder), StoppedSession)
        kept = list(Path(folder).glob("checkpoint-*"))
        found = trial.train(0, Path(folder)).arrays()
    clause = "an interrupted training ends the same"
    trial.require(kept, clause, "nothing was kept; train with session.fit")
    trial.require(_same(found, trial.arrays), clause, "the weights differ")


def restores_what_it_learnt(trial: Trial) -> None:
    """`arrays` after `restore` are those that were given; those of another network are refused."""
    from vadbench.training import resolve_device

    extractor = cast(LearntExtractor, trial.ready())
    trial.require(
        _same(extractor.arrays(), trial.arrays), "restores what it learnt", "other arrays"
    )
    size = sum(values.size for values in trial.arrays.values())
    trial.require(
        0 < extractor.parameter_count() <= size,
        "counts its parameters",
        f"{extractor.parameter_count()} of {size} numbers",
    )
    wrong = {name: values[..., :0] for name, values in trial.arrays.items() if values.ndim}
    try:
        trial.make().restore(wrong, resolve_device("cpu"))
    except (ValueError, KeyError, RuntimeError):
        return
    trial.require(False, "restores what it learnt", "it takes arrays of other shapes")


def frame_by_frame_the_same(trial: Trial) -> None:
    """`follow` gives a frame's rows as `extract` gives the clip's, to 1e-5; asked for where there
    is one.
    """
    extractor = cast(Any, trial.ready())
    for footage in (trial.footage("test")[0], trial.footage("train")[2]):
        boxes = iter(trial.objects(footage).boxes)
        rows = [one.x for one in extractor.follow(iter(footage), boxes, footage)]
        whole = trial.extract(extractor, footage).x
        clause = "frame by frame the same"
        trial.require(len(rows) == len(footage), clause, f"{len(rows)} of {len(footage)} frames")
        found = np.concatenate(rows)
        same = found.shape == whole.shape and np.allclose(found, whole, rtol=1e-5, atol=1e-6)
        trial.require(same, clause, f"other rows in a clip of {len(footage)} frames")


CLAUSES: tuple[Callable[[Trial], None], ...] = (
    declares_itself,
    identity_makes_it_again,
    vectors_are_finite_float32,
    same_clip_same_vectors,
)
LEARNT: tuple[Callable[[Trial], None], ...] = (
    same_seed_same_network,
    interrupted_ends_the_same,
    restores_what_it_learnt,
)


def check_extractor(
    cls: type[Extractor],
    options: dict[str, Any] | None = None,
    *,
    passed: Callable[[str], None] = lambda clause: None,
) -> None:
    """Hold an extractor to its contract, on a few small synthetic clips that have no labels.

    Args:
        cls: the extractor.
        options: its options; by default few `steps`, where it has an option of that name.
        passed: called with the name of each clause that holds.

    Raises:
        ContractError: naming the clause that does not hold and what was seen.
        BadInput: if its weights are not on this machine.
    """
    few = {"steps": FEW} if "steps" in cls.Options.model_fields else {}
    trial = Trial(cls, few if options is None else options)
    for file in trial.make().files():
        if not file.path.is_file():
            raise BadInput(f"{file.path}: {file.what}")
    follows = (frame_by_frame_the_same,) if hasattr(cls, "follow") else ()
    for clause in (*CLAUSES, *follows, *(LEARNT if trial.learnt else ())):
        clause(trial)
        passed(clause.__name__.replace("_", " "))


def _copy(arrays: Arrays) -> Arrays:
    return {name: np.array(values) for name, values in arrays.items()}


def _same(one: Arrays, other: Arrays) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(one[name], other[name]) for name in one
    )
