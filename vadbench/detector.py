"""The interface of every method: `Detector`, what it may see (`Features`) and how its settings are
declared (`MethodConfig`).
"""

from __future__ import annotations

import json
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vadbench.errors import BadInput, cut, quote
from vadbench.files.digest import sha256
from vadbench.files.documents import read_json
from vadbench.spec import Part as Part
from vadbench.spill import take_rows

MODEL = "model.safetensors"
BLOCK = 65536  # rows at a time at most, so that temporaries are small beside a memory map,
VALUES = 2**22  # and values
COLUMNS = "columns"  # the array of how many there are, of a method that learns none as long as that
APPROXIMATE = "approximate: "  # begins a note that captions show
Role = Literal["fit", "scoring", "runtime"]


@dataclass(frozen=True)
class Nature:
    """What the columns of a stream are: methods and their presets decide by this, never by a name.

    Attributes:
        one_unit: whether all columns share one unit and one scale, so that unscaled distances mean
            something.
        embedding: whether a row is a network's embedding of pictures.
        windows: whether a row describes the window around its frame (frame-centric), else an
            object.
        speeds: the columns that are speeds, where others stand beside them; None: all, or none.
        network: which network made an embedding, such as `r3d-18`; empty: not known.
        maps: whether a row is maps laid out one after the other, as `Features.shape` says.
        motion: the columns that grow with motion, and are 0 without: speeds and their parts, of one
            unit.
    """

    one_unit: bool = False
    embedding: bool = False
    windows: bool = False
    speeds: tuple[int, ...] | None = None
    network: str = ""
    maps: bool = False
    motion: tuple[int, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        """Its fields as an identity hashes them: `maps` only where it is true, for an identity may
        be older than the field; never `motion`, which decides through presets alone, whose settings
        are in the identity.

        >>> "maps" in Nature().document, "maps" in Nature(maps=True).document
        (False, True)
        """
        document = asdict(self)
        left_out = {"motion"} if self.maps else {"maps", "motion"}
        return {name: value for name, value in document.items() if name not in left_out}


@dataclass(frozen=True)
class Features:
    """One stream of feature vectors, without labels: a method cannot select anything on the test
    set.

    Attributes:
        x: [N, D] float32, one row an object or a window; may be memory-mapped; finite.
        video: [N] integers, the row's video as its index in the split.
        frame: [N] integers, the row's frame in its video, from 0.
        box: [N, 4] float32 pixels (x0, y0, x1, y1), or None for frame-centric streams.
        nature: what the columns are.
        shape: (maps, rows, columns) of the maps that a row holds in C order; None: it holds none.

    Raises:
        BadInput: on arrays whose shapes disagree, or on a value that is not finite.

    >>> x = np.float32([[1.0, 2.0], [1.5, 2.5], [9.0, 9.0]])  # three rows of two columns
    >>> features = Features(x, video=np.array([0, 0, 1]), frame=np.array([0, 1, 0]))
    >>> len(features), len(features.rows(features.video == 0))
    (3, 2)
    """

    x: NDArray[np.float32]
    video: NDArray[np.integer[Any]]
    frame: NDArray[np.integer[Any]]
    box: NDArray[np.float32] | None = None
    name: str = field(default="features", compare=False)
    nature: Nature = Nature()
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or self.x.dtype != np.float32:
            raise BadInput(
                f"{self.name}: x must be a [N, D] float32 array, got {self.x.dtype} of shape"
                f" {self.x.shape}"
            )
        if self.shape is not None and math.prod(self.shape) != self.x.shape[1]:
            raise BadInput(
                f"{self.name}: {self.x.shape[1]} columns are no maps of shape {self.shape}, which"
                f" have {math.prod(self.shape)} (vadbench features verify)"
            )
        rows = len(self.x)
        for label, values in (("video", self.video), ("frame", self.frame), ("box", self.box)):
            if values is not None and len(values) != rows:
                raise BadInput(f"{self.name}: {label} has {len(values)} rows, x has {rows}")
        for block in row_blocks(self.x):
            finite = np.isfinite(self.x[block])
            if not finite.all():
                row, column = np.argwhere(~finite)[0]
                row += block.start
                value = self.x[row, column]
                raise BadInput(
                    f"{self.name}: row {row}, column {column} is {value}; features must be"
                    " finite (vadbench features verify)"
                )

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, index: NDArray[Any] | slice) -> Features:
        """The features of the rows that `index` selects; many of them lie on disk."""
        box = None if self.box is None else self.box[index]
        video, frame = self.video[index], self.frame[index]
        x = take_rows(self.x, index, f"{self.name}: a copy of {len(video)} rows")
        return Features(x, video, frame, box, self.name, self.nature, self.shape)

    def require_rows(self, least: int) -> None:
        """Refuse to train on fewer rows than a method needs.

        Raises:
            BadInput: if there are fewer than `least` rows.
        """
        if len(self) < least:
            raise BadInput(
                f"{self.name}: {len(self)} training rows, at least {least} are needed (vadbench"
                " features verify)"
            )

    def require_columns(self, count: int, method: str) -> None:
        """Refuse to score rows of another number of columns than a method was trained on.

        Args:
            count: columns that it was trained on.
            method: its name.

        Raises:
            BadInput: if these have more or fewer.
        """
        if self.x.shape[1] != count:
            raise BadInput(
                f"{self.name}: {self.x.shape[1]} columns, {method} was trained on {count}"
            )

    def without_outliers(self, summary: NDArray[np.float32] | None = None) -> Features:
        """These features for a method that standardises: without the few rows that decide a
        column's deviation alone.

        Beside such a row, a glitch of a tracker or of optical flow, all others would look alike.
        What is left out is said in a `LeftOut` warning.

        Args:
            summary: [N, K] what is looked at in place of the columns; None: the columns.
        """
        from vadbench.outliers import find_outliers

        found = find_outliers(self.x if summary is None else summary)
        if not found:
            return self
        rows = np.unique(np.concatenate([outlier.all_rows for outlier in found]))
        first = found[0]
        where = (
            f"row {first.row} (video {self.video[first.row]} of the split, counted from 0, frame"
            f" {self.frame[first.row]})"
        )
        told = (
            f"{where}, column {first.column} is {first.value:g}, all others lie within"
            f" {first.largest:g} of the median"
        )
        many = "1 training row decides" if len(rows) == 1 else f"{len(rows)} training rows decide"
        warnings.warn(
            f"{self.name}: {many} a column's deviation alone, left out of the training: {told}",
            LeftOut,
            stacklevel=2,
        )
        return self.rows(np.setdiff1d(np.arange(len(self)), rows))


class Note(UserWarning):
    """What a method says of its training; it is kept in the job's record."""


class Approximation(Note):
    """What was learnt or scored of some rows alone, or nearly; the text begins with `APPROXIMATE`,
    and captions show it.
    """


class LeftOut(Note):
    """Training rows that a method has left out."""


@dataclass(frozen=True)
class DetectorInfo:
    """What tables say of a method.

    Attributes:
        name: as commands call it.
        title: as tables may call it.
        paper: its citation.
        deterministic: whether the seed changes nothing.
        version: rises with every change of what is learnt or scored; part of a job's identity.
        test_chosen: settings of the preset `paper` that its authors chose by test labels: such
            figures are shown, and not ranked.
        threads: how many threads a job takes where the user does not say; None: one a core. 1 where
            two give less than 1.3 times the speed (benchmarks/speed/threads.py).
    """

    name: str
    title: str
    paper: str
    deterministic: bool
    version: int = 1
    test_chosen: tuple[str, ...] = ()
    threads: int | None = None


@dataclass(frozen=True)
class Recipe:
    """A named fusion of several jobs, evaluated as the weighted sum of its calibrated parts.

    Attributes:
        name, title, paper: as of `DetectorInfo`.
        parts: what is added.
        weights: data set -> weight of each part there, in place of the parts' own. They are those
            that the authors chose by test labels: such figures are shown, and not ranked.
    """

    name: str
    title: str
    paper: str
    parts: tuple[Part, ...]
    weights: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


class MethodConfig(BaseModel):
    """Settings of a method; each field has a description, a default and a role.

    A field's role, from `json_schema_extra={"role": ...}`: `fit` (the default) changes what is
    learnt, `scoring` only what is computed from a fitted model, `runtime` neither. Runtime fields
    stay outside a job's identity.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def role(cls, name: str) -> Role:
        """The role of the field `name`."""
        extra = cls.model_fields[name].json_schema_extra
        role: Role = extra.get("role", "fit") if isinstance(extra, dict) else "fit"  # type: ignore[assignment]
        return role

    def applies(self, name: str) -> bool:
        """Whether the field `name` means something beside the others: one with
        `json_schema_extra={"where": {other: value}}` does where `other` has that value, one with
        `{"left_out": value}` where it has another: records that are older than the field have that
        value, and their identity is without it.
        """
        extra = type(self).model_fields[name].json_schema_extra
        known: dict[str, Any] = dict(extra) if isinstance(extra, dict) else {}
        where: Any = known.get("where", {})
        if "left_out" in known and known["left_out"] == getattr(self, name):
            return False
        return all(getattr(self, other) == value for other, value in where.items())

    def settings(self, *roles: Role) -> dict[str, Any]:
        """The fields with one of `roles` that apply, as JSON-ready values."""
        return {
            name: value
            for name, value in self.model_dump(mode="json").items()
            if self.role(name) in roles and self.applies(name)
        }


def scoring(default: Any, description: str, **constraints: Any) -> Any:
    """A field that changes only what is computed from a fitted model."""
    return Field(
        default, description=description, json_schema_extra={"role": "scoring"}, **constraints
    )


def runtime(default: Any, description: str, **constraints: Any) -> Any:
    """A field that changes neither the model nor its scores."""
    return Field(
        default, description=description, json_schema_extra={"role": "runtime"}, **constraints
    )


class Detector(ABC):
    """A method: learns what is normal from `Features` and scores how improbable each row of others
    is.

    Subclasses set `Config` and `info`, and implement `fit`, `score`, `arrays` and `restore`.
    """

    Config: ClassVar[type[MethodConfig]]
    info: ClassVar[DetectorInfo]
    # of this method's scores where streams are fused (vadbench.evaluation.protocol)
    calibration: ClassVar[str] = "minmax-p99.9"
    # rows it takes: any, or pose sequences alone (`Features.shape` is (2, poses, joints))
    takes: ClassVar[str] = "any"

    def __init__(self, config: Any, *, seed: int) -> None:
        self.config = config
        self.seed = seed

    @classmethod
    def preset(cls, name: str, dataset: str, nature: Nature) -> dict[str, Any]:
        """Settings that the preset `name` (`fast` or `paper`) changes; none unless a method says
        so.

        Args:
            name: of the preset.
            dataset: trained on.
            nature: of the stream.
        """
        return {}

    def require(self) -> None:
        """Refuse settings that this machine lacks something for, such as a package or a GPU; none
        unless a method says so. It is asked before anything is extracted.

        Raises:
            BadInput: naming what is lacking, and another setting.
        """
        return

    @abstractmethod
    def fit(self, train: Features) -> None:
        """Learn from normal rows.

        Raises:
            BadInput: if there are fewer than two rows.
        """

    @abstractmethod
    def score(self, test: Features) -> NDArray[np.float64]:
        """[N, C] scores, higher = more anomalous, one column a read-out; each row's score depends
        on that row alone.

        Raises:
            BadInput: if the rows have another number of columns than those of training
                (`Features.require_columns`).
        """

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """What was learnt, as named arrays."""

    @abstractmethod
    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take up what `arrays` of a fitted detector with the same config gave."""

    @property
    def read_outs(self) -> tuple[str, ...]:
        """Names of the score columns; the first is the method's declared default, the only one
        ranked.
        """
        return ("score",)

    def score_normal(self, train: Features) -> NDArray[np.float64]:
        """What normal rows score, for calibration; a method that remembers its training rows leaves
        out each row's own video.
        """
        return self.score(train)

    def reconfigured(self, config: Any, train: Features) -> Self | None:
        """A detector with this one's fit under a config that differs in scoring and runtime fields
        alone; this one stays as it is.

        Its scores equal, to the bit, those of a detector fitted with `config`. None, the default:
        fitting again is the only way.

        Args:
            config: the other config.
            train: the rows this detector was fitted to.
        """
        return None

    def flops(self, rows: int, dim: int, test_rows: int = 0) -> float | None:
        """Floating-point operations of fitting `rows` rows of `dim` columns and of scoring them and
        `test_rows` others; None: not known.

        From the config alone; `vadbench plan` turns it into time.
        """
        return None

    def parameter_count(self) -> int:
        """How many numbers were learnt; that of the columns, kept as `COLUMNS`, is none of them."""
        learnt = (values for name, values in self.arrays().items() if name != COLUMNS)
        return sum(int(np.size(values)) for values in learnt)

    def save(self, folder: Path) -> None:
        """Write the config (JSON) and what was learnt (safetensors) into `folder`."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: np.ascontiguousarray(values) for name, values in self.arrays().items()},
            folder / MODEL,
        )
        described = {
            "method": self.info.name,
            "seed": self.seed,
            "config": self.config.model_dump(mode="json"),
            "sha256": sha256(folder / MODEL),
        }
        (folder / "detector.json").write_text(
            json.dumps(described, indent=1, sort_keys=True) + "\n"
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The detector that `save` wrote.

        Raises:
            BadInput: if the folder holds no detector, a damaged one, or one of another method, or
                if what it is made of is not here.
        """
        path = folder / "detector.json"
        if not path.is_file():
            raise BadInput(f"{path}: no saved detector there; write one with Detector.save")
        described = read_json(path)
        if not isinstance(described, dict) or not {"method", "config", "seed"} <= set(described):
            raise BadInput(f"{path}: no saved detector; write one with Detector.save")
        if described["method"] != cls.info.name:
            raise BadInput(f"{path}: holds a {quote(described['method'])}, not a {cls.info.name}")
        try:
            config = cls.Config.model_validate(described["config"])
        except ValidationError as error:
            fault = error.errors()[0]
            field = cut(".".join(map(str, fault["loc"])))
            raise BadInput(f"{path}: config {field}: {fault['msg']}") from error
        if type(described["seed"]) is not int:
            raise BadInput(f"{path}: seed {quote(described['seed'])}; expected a whole number")
        detector = cls(config, seed=described["seed"])
        # None: saved before it was kept
        arrays = _load_arrays(folder / MODEL, described.get("sha256"))
        try:
            detector.restore(arrays)
        except BadInput:  # it says itself what is lacking, such as a package
            raise
        except (KeyError, ValueError, RuntimeError) as error:
            raise BadInput(
                f"{folder / MODEL}: of other settings than detector.json ({cut(str(error))})"
            ) from error
        return detector


def _load_arrays(path: Path, known: str | None) -> dict[str, NDArray[Any]]:
    """What was learnt, if the file's sha256 is the known one; None: it is not known."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays: dict[str, NDArray[Any]] = load(path.read_bytes())
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise BadInput(f"{path}: damaged; save the detector again") from error
    if known not in (None, sha256(path)):
        raise BadInput(f"{path}: damaged, its sha256 is not what was saved; save it again")
    return arrays


@dataclass(frozen=True)
class Standardisation:
    """Component-wise x' = (x - mean) / scale with the training set's statistics; a constant feature
    keeps scale 1.

    Source: MULDE, Sec. 4 (unbiased std, + 1e-8).

    Attributes:
        mean: [D] float64.
        scale: [D] float64, positive.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, x: NDArray[np.float32]) -> Standardisation:
        """Statistics of x [N, D] in float64, in blocks: two passes, nothing the size of x is
        made.
        """
        blocks = [slice(start, start + BLOCK) for start in range(0, len(x), BLOCK)]
        mean = sum(x[block].sum(0, dtype=np.float64) for block in blocks) / len(x)
        squares = np.zeros(x.shape[1])
        for block in blocks:
            for some in _split_columns(len(x[block]), x.shape[1]):
                squares[some] += _sum_squares(x[block, some] - mean[some])
        std = np.sqrt(squares / max(len(x) - 1, 1))
        constant = std <= 1e-6 * np.maximum(np.abs(mean), 1e-6)
        return cls(np.asarray(mean), np.where(constant, 1.0, std + 1e-8))

    def apply(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """x [N, D] standardised, float32; float64 of a few rows at a time."""
        out = np.empty(x.shape, np.float32)
        step = max(1, 2**20 // max(1, x.shape[1]))
        for start in range(0, len(x), step):
            rows = x[start : start + step] - self.mean
            rows /= self.scale
            out[start : start + step] = rows
        return out


def row_blocks(x: NDArray[Any]) -> list[slice]:
    """Blocks of the rows of x [N, D], for what is computed row by row: their size changes no digit.

    >>> row_blocks(np.empty((100_000, 2)))
    [slice(0, 65536, None), slice(65536, 131072, None)]
    """
    step = min(BLOCK, max(1, VALUES // max(1, x.shape[1])))
    return [slice(start, start + step) for start in range(0, len(x), step)]


def _split_columns(rows: int, columns: int) -> list[slice]:
    """Stretches of the columns, so that blocks of `rows` rows are small, for sums over rows.

    A sum over the rows of several columns adds row after row, whatever stands beside a column; over
    those of a single one NumPy adds in another order: no stretch is a single column.
    """
    count = max(1, -(-rows * columns // VALUES))
    edges = [columns * part // count for part in range(count + 1)]
    return [slice(start, end) for start, end in pairwise(edges)]


def _sum_squares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[D] of values [N, D], which are overwritten."""
    squares: NDArray[np.float64] = np.square(values, out=values).sum(0)
    return squares
