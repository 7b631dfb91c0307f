"""`check_detector`: the contract every method must pass, ours or a user's; `vadbench check METHOD`
runs it.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from vadbench.detector import Detector, Features, MethodConfig
from vadbench.errors import BadInput, ContractError

ROWS, DIM, VIDEOS, SEED = 300, 6, 5, 3
STEPS = 40  # epochs and optimiser steps of a neural method whose config the caller does not give
TOLERANCE = 1e-5  # of a score or of its column's spread, whichever is larger
INTEGERS, REALS = (
    (100, 30, 10, 3, 2, 1, 0),
    (0.1, 0.5, 1e-3, 10.0),
)  # tried where a field has no number to start from, or its neighbours change nothing


@dataclass(frozen=True)
class Trial:
    """A method under test: its config, synthetic features of several videos, and the method fitted
    to them.

    Attributes:
        cls, config: the method.
        make: rows, videos and a seed make features; `synthetic_maps` for methods of maps; None:
            those that the method takes.
    """

    cls: type[Detector]
    config: MethodConfig
    make: Callable[[int, int, int], Features] | None = None

    @cached_property
    def train(self) -> Features:
        """Normal rows to fit."""
        return self._make(ROWS, VIDEOS, 0)

    @cached_property
    def bulk(self) -> Features:
        """Normal rows to score."""
        return self._make(ROWS // 2, VIDEOS, 1)

    def _make(self, rows: int, videos: int, seed: int) -> Features:
        usual = synthetic_poses if self.cls.takes == "poses" else synthetic_rows
        return (self.make or usual)(rows, videos, seed)

    @cached_property
    def fitted(self) -> Detector:
        """The method fitted to `train`."""
        return self.fit()

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """What `fitted` says of `bulk`."""
        return self.fitted.score(self.bulk)

    def fit(
        self, train: Features | None = None, config: MethodConfig | None = None, seed: int = SEED
    ) -> Detector:
        """A new detector, fitted."""
        detector = self.cls(config or self.config, seed=seed)
        detector.fit(self.train if train is None else train)
        return detector

    def require(self, holds: Any, clause: str, seen: str) -> None:
        """Raise a ContractError unless `holds`."""
        if not bool(holds):
            raise ContractError(f"{self.cls.__name__}: {clause}: {seen}")

    def require_equal_rows(
        self, found: NDArray[np.float64], expected: NDArray[np.float64], clause: str, how: str
    ) -> None:
        """The same scores up to the contract's tolerance."""
        self.require(
            found.shape == expected.shape,
            clause,
            f"{how}: shape {found.shape} instead of {expected.shape}",
        )
        allowed = TOLERANCE * np.maximum(np.abs(expected), self.scores.std(0))
        excess = np.abs(found - expected) - allowed
        if excess.size and excess.max() > 0:
            row, column = np.unravel_index(int(excess.argmax()), excess.shape)
            self.require(
                False,
                clause,
                f"{how}: row {row} scores {found[row, column]!r} instead of"
                f" {expected[row, column]!r}",
            )


def synthetic_rows(rows: int, videos: int, seed: int) -> Features:
    """Correlated rows on a noisy ring in 6-D, in units of different sizes, from several videos of
    equal length.
    """
    generator = np.random.default_rng(seed)
    angle = generator.uniform(0, 2 * np.pi, rows)
    latent = np.stack(
        [np.cos(angle), np.sin(angle), np.cos(2 * angle)], 1
    ) + 0.2 * generator.normal(size=(rows, 3))
    mixing = np.random.default_rng(7).normal(size=(3, DIM))
    x = (latent @ mixing + 0.3 * generator.normal(size=(rows, DIM)) + 5) * np.array(
        [1, 10, 0.1, 1, 3, 1]
    )
    video, frame = np.arange(rows) * videos // rows, np.arange(rows) % (rows // videos)
    return Features(
        x.astype(np.float32),
        video,
        frame,
        np.tile(np.array([10, 20, 30, 60], np.float32), (rows, 1)),
        "synthetic",
    )


def synthetic_maps(rows: int, videos: int, seed: int) -> Features:
    """Rows of two maps of 4 x 8: a smooth pattern that moves, in two units, with noise."""
    generator = np.random.default_rng(seed)
    angle = generator.uniform(0, 2 * np.pi, rows)
    y, x = np.meshgrid(np.arange(4) / 4, np.arange(8) / 8, indexing="ij")
    phase = angle[:, None, None] + 2 * np.pi * (x + y)
    maps = np.stack([np.cos(phase), np.sin(2 * phase)], 1)
    maps = (maps + 0.3 * generator.normal(size=maps.shape) + 5) * np.array([[[[1]], [[10]]]])
    features = synthetic_rows(rows, videos, seed)
    return replace(features, x=maps.reshape(rows, -1).astype(np.float32), shape=(2, 4, 8))


def synthetic_poses(rows: int, videos: int, seed: int) -> Features:
    """Pose sequences of 4 poses of 18 joints: joints that swing about their places with a common
    phase, and noise, each window normalised.
    """
    generator = np.random.default_rng(seed)
    place = np.random.default_rng(7).normal(size=(2, 1, 18)) * np.array([[[0.3]], [[1.0]]])
    swing = np.random.default_rng(8).normal(size=(2, 1, 18)) * 0.2
    phase = generator.uniform(0, 2 * np.pi, (rows, 1, 1, 1)) + np.arange(4)[:, None] / 2
    x = place + swing * np.sin(phase) + 0.05 * generator.normal(size=(rows, 2, 4, 18))
    x = (x - x.mean((2, 3), keepdims=True)) / x[:, 1:].std((2, 3), keepdims=True)
    features = synthetic_rows(rows, videos, seed)
    return replace(features, x=x.reshape(rows, -1).astype(np.float32), shape=(2, 4, 18))


def declares_itself(trial: Trial) -> None:
    """Info, config and read-outs are filled in."""
    info, fields = trial.cls.info, trial.cls.Config.model_fields
    for name in ("name", "title", "paper"):
        trial.require(getattr(info, name), "info is filled in", f"info.{name} is empty")
    undescribed = [name for name, field in fields.items() if not field.description]
    trial.require(
        not undescribed,
        "every config field is described",
        f"no description for {', '.join(undescribed)}",
    )
    required = [name for name, field in fields.items() if field.is_required()]
    trial.require(
        not required, "every config field has a default", f"none for {', '.join(required)}"
    )
    names = trial.fitted.read_outs
    trial.require(
        names and len(set(names)) == len(names), "read-outs have distinct names", f"got {names}"
    )


def scores_are_finite_float64(trial: Trial) -> None:
    """[N, C] finite float64, of test rows and of the training rows themselves."""
    clause = "scores are finite float64 [N, C]"
    for what, rows, scores in (
        ("score", trial.bulk, trial.scores),
        ("score_normal", trial.train, trial.fitted.score_normal(trial.train)),
    ):
        shape = (len(rows), len(trial.fitted.read_outs))
        trial.require(scores.dtype == np.float64, clause, f"{what} gave {scores.dtype}")
        trial.require(
            scores.shape == shape, clause, f"{what} gave shape {scores.shape}, expected {shape}"
        )
        trial.require(
            np.isfinite(scores).all(),
            clause,
            f"{what} gave {np.count_nonzero(~np.isfinite(scores))} values that are not finite",
        )


def outliers_score_higher(trial: Trial) -> None:
    """Rows far from all training rows score above the bulk, in the ranked column."""
    mean, std = trial.train.x.mean(0), trial.train.x.std(0)
    far = replace(
        trial.bulk.rows(slice(0, 4)),
        x=(mean + np.array([[20], [30], [40], [60]], np.float32) * std).astype(np.float32),
    )
    lowest, bulk = trial.fitted.score(far)[:, 0].min(), np.quantile(trial.scores[:, 0], 0.95)
    name = trial.fitted.read_outs[0]
    seen = (
        f"{name} gives rows 20 to 60 standard deviations off {lowest:.4g}, normal rows up to"
        f" {bulk:.4g}; higher must mean more anomalous"
    )
    trial.require(lowest > bulk, "an obvious outlier scores above the bulk", seen)


def rows_are_independent(trial: Trial) -> None:
    """A row's score does not depend on the rows beside it."""
    clause, detector = "each row's score depends on that row alone", trial.fitted
    order = np.random.default_rng(0).permutation(len(trial.bulk))
    trial.require_equal_rows(
        detector.score(trial.bulk.rows(order)), trial.scores[order], clause, "permuted"
    )
    trial.require_equal_rows(
        detector.score(trial.bulk.rows(slice(7, 60))), trial.scores[7:60], clause, "a slice alone"
    )
    alone = np.concatenate(
        [detector.score(trial.bulk.rows(slice(row, row + 1))) for row in range(5)]
    )
    trial.require_equal_rows(alone, trial.scores[:5], clause, "rows one by one")


def takes_zero_rows(trial: Trial) -> None:
    """No rows, no scores."""
    scores = trial.fitted.score(trial.bulk.rows(slice(0, 0)))
    expected = (0, len(trial.fitted.read_outs))
    trial.require(
        scores.shape == expected and scores.dtype == np.float64,
        "score takes zero rows",
        f"got {scores.dtype} of shape {scores.shape}",
    )


def refuses_too_few_rows(trial: Trial) -> None:
    """Fewer than two training rows are a clear error."""
    for rows in (0, 1):
        try:
            trial.fit(trial.train.rows(slice(0, rows)))
        except BadInput:
            continue
        trial.require(
            False,
            "fit refuses fewer than two rows with BadInput",
            f"{rows} rows were accepted (call train.require_rows(2))",
        )
    trial.fit(trial.train.rows(slice(0, 2)))


def refuses_other_columns(trial: Trial) -> None:
    """Rows of fewer or more columns than those of training are a clear error."""
    clause, x = "score refuses rows of other columns with BadInput", trial.bulk.x
    for other in (x[:, :-1], np.concatenate([x, x[:, :1]], axis=1)):
        change = f"{other.shape[1]} columns, {x.shape[1]} were fitted,"
        try:
            trial.fitted.score(replace(trial.bulk, x=other, shape=None))
        except BadInput:
            continue
        except Exception as error:
            raise ContractError(
                f"{trial.cls.__name__}: {clause}: {change} fail with {type(error).__name__}:"
                f" {error} (call test.require_columns)"
            ) from error
        trial.require(False, clause, f"{change} were scored (call test.require_columns)")


def refuses_nan(trial: Trial) -> None:
    """A value that is not finite never reaches a method: Features refuse it."""
    x = trial.train.x.copy()
    x[3, 1] = np.nan
    try:
        replace(trial.train, x=x)
    except BadInput:
        return
    trial.require(False, "NaN is refused with BadInput", "Features accepted it")


def same_seed_same_scores(trial: Trial) -> None:
    """A second fit gives the same scores to the bit; a deterministic method gives them with any
    seed.
    """
    clause = "the same seed gives the same scores to the bit"
    again = trial.fit().score(trial.bulk)
    trial.require(
        np.array_equal(again, trial.scores),
        clause,
        f"they differ by up to {np.abs(again - trial.scores).max():.3g}",
    )
    if trial.cls.info.deterministic:
        other = trial.fit(seed=SEED + 1).score(trial.bulk)
        trial.require(
            np.array_equal(other, trial.scores),
            "info.deterministic is true",
            "another seed gives other scores",
        )


def goes_on_where_it_ended(trial: Trial) -> None:
    """A network's training that is interrupted goes on, and ends with the same scores to the bit;
    other methods are not asked.
    """
    clause = "a training that goes on ends with the scores of one that was not interrupted"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "training.safetensors"
        if not interrupt_training(trial, path):
            return
        detector: Any = trial.cls(trial.config, seed=SEED)
        detector.checkpoint = path
        try:
            detector.fit(trial.train)
        except Exception as error:
            raise ContractError(
                f"{trial.cls.__name__}: {clause}: it fails with {type(error).__name__}: {error}"
            ) from error
    scores = detector.score(trial.bulk)
    trial.require(
        np.array_equal(scores, trial.scores),
        clause,
        f"scores differ by up to {np.abs(scores - trial.scores).max():.3g}; is all that changes"
        " while it trains a parameter or a buffer of the network?",
    )


def interrupt_training(trial: Trial, path: Path) -> bool:
    """End the training of a network before its third step and keep where it stood; whether it is
    one, and has so many steps.
    """
    training = sys.modules.get("vadbench.training")
    if training is None or not issubclass(trial.cls, training.LightningDetector):
        return False
    from vadbench.trainer import Keeper

    class Interrupted(trial.cls):  # type: ignore[name-defined, misc]
        steps = 0

        def loss(self, batch: Any) -> Any:
            self.steps += 1
            if self.steps == 3:
                raise KeyboardInterrupt
            return super().loss(batch)

    detector: Any = Interrupted(trial.config, seed=SEED)
    detector.checkpoint = path
    usual, Keeper.COPIES = Keeper.COPIES, 0.0
    try:
        detector.fit(trial.train)
    except KeyboardInterrupt:
        if detector.steps < 3:  # the user's own
            raise
        return True
    finally:
        Keeper.COPIES = usual
    return False


def survives_saving(trial: Trial) -> None:
    """What was saved and loaded scores the same to the bit."""
    with tempfile.TemporaryDirectory() as folder:
        trial.fitted.save(Path(folder))
        loaded = trial.cls.load(Path(folder))
    clause = "save and load keep everything"
    try:
        scores = loaded.score(trial.bulk)
    except Exception as error:
        raise ContractError(
            f"{trial.cls.__name__}: {clause}: the loaded detector fails with"
            f" {type(error).__name__}: {error}"
        ) from error
    trial.require(
        np.array_equal(scores, trial.scores),
        clause,
        f"scores differ by up to {np.abs(scores - trial.scores).max():.3g}",
    )


def survives_constant_features(trial: Trial) -> None:
    """A column that never changes in training gives finite scores, also where it changes in the
    test.
    """
    train = trial.train.x.copy()
    train[:, 2] = 4
    scores = trial.fit(replace(trial.train, x=train)).score(trial.bulk)
    trial.require(np.isfinite(scores).all(), "constant features survive", "scores are not finite")


def leaves_everything_as_it_was(trial: Trial) -> None:
    """Neither the features nor the global random generators are touched."""
    with moved_generators() as states:
        before = states()
        trial.fit().score(trial.bulk)
        after = states()
    for name in before:
        trial.require(
            after[name] == before[name],
            "the global random state is untouched",
            f"{name}'s generator has moved",
        )
    untouched = Trial(trial.cls, trial.config, trial.make)
    same = np.array_equal(trial.train.x, untouched.train.x) and np.array_equal(
        trial.bulk.x, untouched.bulk.x
    )
    trial.require(same, "features are not modified", "x has changed in place")


@contextmanager
def moved_generators() -> Iterator[Callable[[], dict[str, bytes]]]:
    """The global generators in a state no earlier fit has left them in, until the end; gives a
    function that describes them.
    """
    torch = sys.modules.get("torch")
    saved = random.getstate(), np.random.get_state(), torch.get_rng_state() if torch else None
    random.seed(987654321)
    np.random.seed(987654321)
    if torch:
        torch.manual_seed(987654321)

    def states() -> dict[str, bytes]:
        described = {
            "random": repr(random.getstate()).encode(),
            "numpy": repr([np.asarray(part).tolist() for part in np.random.get_state()]).encode(),
        }
        return (
            {**described, "torch": torch.get_rng_state().numpy().tobytes()} if torch else described
        )

    try:
        yield states
    finally:
        random.setstate(saved[0])
        np.random.set_state(saved[1])
        if torch:
            torch.set_rng_state(saved[2])


def every_field_counts(trial: Trial) -> None:
    """Each config field changes the scores, or is declared runtime and does not."""
    for name in trial.cls.Config.model_fields:
        if not trial.config.applies(name):
            continue
        if trial.config.role(name) == "runtime":
            changes_nothing(trial, name)
        else:
            changes_scores(trial, name)


def changes_scores(trial: Trial, name: str) -> None:
    """Some other value of the field gives other scores."""
    tried = []
    for config in perturbed(trial.config, name):
        tried.append(getattr(config, name))
        try:
            scores = trial.fit(config=config).score(trial.bulk)
        except BadInput:
            continue
        if not np.array_equal(scores, trial.scores):
            return
    seen = (
        f"{name} = {getattr(trial.config, name)!r} does as well as"
        f" {', '.join(map(repr, tried)) or 'nothing else: no other value was found'}"
    )
    trial.require(
        False,
        "every config field changes the scores",
        f"{seen}; use it, declare it runtime, or give the field examples=[...] that matter",
    )


def changes_nothing(trial: Trial, name: str) -> None:
    """The fitted method scores the same with other values of the field."""
    for config in perturbed(trial.config, name):
        detector = trial.cls(config, seed=SEED)
        detector.restore(trial.fitted.arrays())
        try:
            scores = detector.score(trial.bulk)
        except BadInput:  # a device this machine lacks
            continue
        trial.require_equal_rows(
            scores,
            trial.scores,
            "a runtime field changes no score",
            f"{name} = {getattr(config, name)!r}",
        )


def reconfigured_scores_like_fitted_anew(trial: Trial) -> None:
    """Under a config with another scoring, `reconfigured` gives None or what a new fit would score,
    to the bit, and changes nothing here.
    """
    for name in trial.cls.Config.model_fields:
        config = (
            next(perturbed(trial.config, name), None)
            if trial.config.role(name) == "scoring"
            else None
        )
        if config is None:
            continue
        clause, what = "reconfigured scores like a new fit", f"{name} = {getattr(config, name)!r}"
        try:
            other = trial.fitted.reconfigured(config, trial.train)
        except BadInput:
            continue
        if other is None:
            return
        new = trial.fit(config=config)
        for which, rows in (("score", trial.bulk), ("score_normal", trial.train)):
            found, anew = (getattr(detector, which)(rows) for detector in (other, new))
            same = found.shape == anew.shape and np.array_equal(found, anew)
            seen = (
                f"of shape {found.shape} and {anew.shape}"
                if found.shape != anew.shape
                else f"up to {np.abs(found - anew).max():.3g} apart"
            )
            trial.require(same, clause, f"with {what}, {which} gives scores {'' if same else seen}")
        trial.require(
            np.array_equal(trial.fitted.score(trial.bulk), trial.scores),
            clause,
            f"{what} has changed the detector it was asked of",
        )


def perturbed(config: MethodConfig, name: str) -> Iterator[MethodConfig]:
    """Valid configs that differ in one field: its `examples` if it has some, else neighbours by its
    type.
    """
    field, value = type(config).model_fields[name], getattr(config, name)
    for candidate in field.examples or neighbours(field.annotation, value):
        try:
            changed = type(config)(**{**config.model_dump(), name: candidate})
        except ValidationError:
            continue
        if getattr(changed, name) != value:
            yield changed


def neighbours(annotation: Any, value: Any) -> Iterator[Any]:
    """Other values of a field's type, near ones first."""
    if get_origin(annotation) is Literal:
        yield from (choice for choice in get_args(annotation) if choice != value)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value // 2, value + 1, 2 * value, *INTEGERS)
    elif isinstance(value, float):
        yield from (value / 2, 2 * value, *REALS)
    elif isinstance(value, tuple):
        yield from neighbouring_tuples(value)
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from neighbours(part, value)
    else:
        yield from (
            candidate
            for candidate in (*INTEGERS, *REALS, True, None)
            if fits(annotation, candidate)
        )


def neighbouring_tuples(value: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """One entry dropped, or one entry changed."""
    for index, entry in enumerate(value):
        for other in neighbours(type(entry), entry):
            yield (*value[:index], other, *value[index + 1 :])
    for index in range(len(value)):
        yield (*value[:index], *value[index + 1 :])


def fits(annotation: Any, candidate: Any) -> bool:
    """Whether the type takes the value as it is."""
    try:
        TypeAdapter(annotation).validate_python(candidate, strict=True)
    except ValidationError:
        return False
    return True


CLAUSES: tuple[Callable[[Trial], None], ...] = (
    declares_itself,
    scores_are_finite_float64,
    leaves_everything_as_it_was,
    rows_are_independent,
    outliers_score_higher,
    takes_zero_rows,
    refuses_too_few_rows,
    refuses_other_columns,
    refuses_nan,
    same_seed_same_scores,
    goes_on_where_it_ended,
    survives_saving,
    survives_constant_features,
    every_field_counts,
    reconfigured_scores_like_fitted_anew,
)


def check_detector(
    cls: type[Detector],
    config: MethodConfig | None = None,
    *,
    passed: Callable[[str], None] = lambda clause: None,
    make: Callable[[int, int, int], Features] | None = None,
) -> None:
    """Hold a method to the contract of `Detector`, on small synthetic features.

    Args:
        cls: the method.
        config: its settings; by default those of `small_config`.
        passed: called with the name of each clause that holds.
        make: rows, videos and a seed make features; None: `synthetic_rows`, or `synthetic_poses`
            for a method that takes these alone. `synthetic_maps` for a method of maps.

    Raises:
        ContractError: naming the clause that does not hold and what was seen.
    """
    trial = Trial(cls, config or small_config(cls), make)
    for clause in CLAUSES:
        clause(trial)
        passed(clause.__name__.replace("_", " "))


def small_config(cls: type[Detector], settings: dict[str, Any] | None = None) -> MethodConfig:
    """The preset `fast`, a neural method's with few steps and without progress lines, and what
    `settings` change of that.

    Raises:
        BadInput: naming the setting that is wrong, as `vadbench run` does.
    """
    # loads the features, which the contract does not need
    from vadbench.plans.presets import resolve_config

    fields = cls.Config.model_fields
    quick = {
        name: value
        for name, value in (("epochs", STEPS), ("max_steps", STEPS), ("progress", "off"))
        if name in fields
    }
    return resolve_config(cls, "fast", "synthetic", "velocity", {**quick, **(settings or {})})
