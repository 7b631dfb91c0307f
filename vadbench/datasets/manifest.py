"""The manifest of a user's own videos: `dataset.toml`, its fields and their checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from vadbench import registry
from vadbench.datasets.base import SPLITS
from vadbench.errors import BadInput, cut
from vadbench.files.documents import read_toml
from vadbench.spec import MOST_COUNTED

LONGEST_NAME, LONGEST_PATH = 255, 4000  # bytes that file systems take
LONGEST_CATEGORY = 40  # signs: it heads a column


def _check_path(path: str) -> str:
    """Refuse a path that no file can have."""
    if not path.isprintable():
        raise ValueError("a character that no file name should have")
    parts = PurePosixPath(path).parts
    longest = max((len(part.encode()) for part in parts), default=0)
    if longest > LONGEST_NAME or len(path.encode()) > LONGEST_PATH:
        raise ValueError("a longer name than a file can have")
    if not PurePosixPath(path).name:
        raise ValueError("names no file or folder")
    return path


RelativePath = Annotated[str, AfterValidator(_check_path)]
Category = Annotated[str, Field(pattern=r"^[^\W_][\w. -]*$", max_length=LONGEST_CATEGORY)]
FrameNumber = Annotated[int, Field(ge=-MOST_COUNTED, le=MOST_COUNTED)]


class ClipEntry(BaseModel):
    """One `[[clip]]`. Paths are relative to the manifest and stay inside its folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: RelativePath = Field(
        description="a video file, or a folder of images numbered from 0 or 1", min_length=1
    )
    split: Literal["train", "test"] = Field(description="train (normal clips) or test")
    name: str = Field(
        "",
        description=(
            "what records call the clip; the file's name without suffix where it is not given"
        ),
        pattern=r"^[\w.-]*$",
        max_length=LONGEST_NAME // 4,
    )
    scene: str = Field(
        "0", description="the camera", pattern=r"^[\w.-]+$", max_length=LONGEST_NAME // 4
    )
    anomalous: tuple[tuple[FrameNumber, FrameNumber], ...] | None = Field(
        None,
        description=(
            "first and last frame of each anomalous interval, from 0 and both inclusive; [] for a"
            " normal test clip. A test clip with neither this nor masks is scored, and nothing is"
            " measured"
        ),
    )
    categories: tuple[Category, ...] | None = Field(
        None, description="what each anomalous interval shows, in their order, such as bicycle"
    )
    masks: RelativePath | None = Field(
        None,
        description=(
            "instead of intervals: a folder of numbered images, one a frame, or a MATLAB file"
            " (.mat) with a cell a frame or [H, W, T]; non-zero = anomalous"
        ),
    )

    @property
    def unlabelled(self) -> bool:
        """Whether it is tested and nobody has labelled it."""
        return self.split == "test" and self.anomalous is None and self.masks is None

    @property
    def clip_name(self) -> str:
        """The clip's name."""
        return self.name or PurePosixPath(self.path).stem


class Manifest(BaseModel):
    """The file as a whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clip: tuple[ClipEntry, ...] = Field(description="the clips, in order", min_length=1)
    tracks: RelativePath | None = Field(
        None,
        description=(
            "anomalous regions: csv, parquet or npz with video, track, frame (from 0), x0, y0, x1,"
            " y1 (inclusive), or x1, y1, x2, y2 for these"
        ),
    )
    labels: Literal["", "tracks"] = Field(
        "",
        description=(
            "tracks: a frame of a test clip with neither intervals nor masks is anomalous where it"
            " has a region"
        ),
    )
    fps: float | None = Field(
        None,
        description="frames a second of the clips, for alarms an hour and delays in seconds",
        gt=0,
        le=1000,
        allow_inf_nan=False,
    )
    labelled_by: str = Field(
        "", description="who or what made the labels, recorded beside every number"
    )


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file.

    Raises:
        BadInput: if it cannot be read or is no TOML; naming the number of the clip and the field
            that is wrong.
    """
    try:
        document = read_toml(path)
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be read ({error.strerror}); expected the manifest of the videos"
        ) from error
    try:
        manifest = _parse(document)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    if manifest.labels and manifest.tracks is None:
        raise BadInput(f'{path}: labels = "tracks" without tracks; name the file of the regions')
    for (split, name), count in Counter(
        (clip.split, clip.clip_name) for clip in manifest.clip
    ).items():
        if count > 1:
            raise BadInput(
                f"{path}: two {split} clips are named {name}; give one of them a name = ..."
            )
    for wanted in SPLITS:
        if wanted not in {clip.split for clip in manifest.clip}:
            raise BadInput(f'{path}: no clip has split = "{wanted}"; expected one or more')
    return manifest


def _parse(document: dict[str, object]) -> Manifest:
    """The manifest in a TOML document.

    Raises:
        BadInput: naming the clip and the field that is wrong.
    """
    _check_fields(document, Manifest)
    listed = document.get("clip", [])
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise BadInput("clip: expected one [[clip]] (two brackets) for each clip")
    clips = [_clip(number, entry) for number, entry in enumerate(listed, 1)]
    try:
        return Manifest.model_validate({**document, "clip": clips})
    except ValidationError as error:
        raise BadInput(registry.first_fault(error, Manifest)) from error


def _clip(number: int, entry: dict[str, object]) -> ClipEntry:
    told = f"clip {number} ({cut(str(entry.get('path', 'no path')))})"
    try:
        _check_fields(entry, ClipEntry)
        clip = ClipEntry.model_validate(entry)
    except ValidationError as error:
        raise BadInput(f"{told}: {registry.first_fault(error, ClipEntry)}") from error
    except BadInput as error:
        raise BadInput(f"{told}: {error}") from error
    labelled = [name for name in ("anomalous", "masks") if getattr(clip, name) is not None]
    if clip.split == "train" and (clip.anomalous or clip.masks is not None):
        raise BadInput(
            f"{told}: {labelled[0]} of a training clip, which is taken as normal; make its split"
            f" test, or remove {labelled[0]}"
        )
    if len(labelled) > 1:
        raise BadInput(
            f"{told}: {' and '.join(labelled)}; expected anomalous ([] for a normal clip) or masks,"
            " one of them"
        )
    _check_categories(told, clip)
    return clip


def _check_categories(told: str, clip: ClipEntry) -> None:
    """Refuse categories that are not one an anomalous interval."""
    if clip.categories is None:
        return
    if clip.anomalous is None:
        raise BadInput(
            f"{told}: categories without anomalous; expected one for each anomalous interval,"
            " masks have none"
        )
    if len(clip.categories) != len(clip.anomalous):
        raise BadInput(
            f"{told}: {len(clip.categories)} categories for {len(clip.anomalous)} anomalous"
            " intervals; expected one for each, in their order"
        )


def _check_fields(fields: Iterable[str], model: type[BaseModel]) -> None:
    """Refuse an unknown field before any that it was meant for is called missing."""
    for field in fields:
        if field not in model.model_fields:
            raise registry.unknown("field", field, model.model_fields)
