"""What an ITAE network is, how it is trained, and how clips are read with it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

CELL = 4  # pixels of a frame to one cell of the latent maps, along either side
SMALLEST = 12  # pixels of a side in which the window of a structural similarity fits

Loss = Literal["l2", "ms-ssim", "gradient"]
Lateral = Literal["conv1", "conv2", "conv3"]


def training(default: Any, description: str, **constraints: Any) -> Any:
    """A field that decides the training: part of the network's identity."""
    return Field(
        default, description=description, json_schema_extra={"role": "training"}, **constraints
    )


class ItaeOptions(BaseModel):
    """Defaults train on Ped2 in less than ten CPU minutes; the preset `paper` has the paper's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: tuple[PositiveInt, PositiveInt] = training(
        (64, 96), "height and width in pixels to which frames are squashed, multiples of 4"
    )
    colour: bool = training(
        False, "RGB frames, grey ones with three equal channels; else luma of all frames"
    )
    width: PositiveFloat = training(
        0.25,
        "multiplies every channel count of the paper; rounded to a multiple of 4, at least 4",
        le=4,
    )
    paths: Literal["both", "static"] = training(
        "both", "both encoders, or the static one alone (the paper's one-path rows)"
    )
    lateral: tuple[Lateral, ...] = training(
        ("conv1",),
        "layers after which the dynamic map joins the static one, beside the last; the paper's"
        " parameter count fits one",
    )
    clip: PositiveInt = training(16, "frames of a clip, a multiple of tau", le=256)
    tau: Literal[1, 2, 4] = training(4, "the static path sees the first of so many frames")
    steps: PositiveInt | None = training(
        2000, "optimiser steps, where epochs does not say otherwise; none: epochs does"
    )
    epochs: PositiveInt | None = training(
        None, "passes over all clips of the training videos, in place of steps"
    )
    learning_rate: PositiveFloat = training(
        1e-3, "of Adam at the first step; a cosine takes it down to 0 at the last"
    )
    batch: PositiveInt = training(2, "clips a step")
    losses: tuple[Loss, ...] = training(
        ("gradient", "l2", "ms-ssim"), "what is summed, with equal weights", min_length=1
    )
    holdout: float = training(
        0.0,
        "the last so large a share of the training videos is not trained on",
        ge=0,
        lt=1,
    )
    seed: NonNegativeInt | None = training(None, "of the network's training; none: that of the job")
    stride: PositiveInt = Field(
        4, description="frames from one clip's start to the next's where a video is read"
    )
    patch: float = Field(
        1 / 15,
        gt=0,
        le=1,
        description="error: side of the square whose mean error counts, in heights of the frame",
    )
    error: Literal["absolute", "squared"] = Field(
        "absolute", description="error: what is averaged over the square"
    )

    @field_validator("size")
    @classmethod
    def _check_size(cls, size: tuple[int, int]) -> tuple[int, int]:
        if any(side % CELL for side in size):
            below = tuple(max(side // CELL, 1) * CELL for side in size)
            above = tuple(-(-side // CELL) * CELL for side in size)
            nearest = dict.fromkeys(f"{height} x {width}" for height, width in (below, above))
            raise ValueError(
                f"{size[0]} x {size[1]}: both sides have to be multiples of {CELL}; nearest:"
                f" {' and '.join(nearest)}"
            )
        return size

    @field_validator("lateral", "losses")
    @classmethod
    def _in_order(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """One order for what has none: it is part of an identity."""
        if len(set(names)) < len(names):
            raise ValueError(f"{', '.join(names)}: each may stand once")
        return tuple(sorted(names))

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.steps is None and self.epochs is None:
            raise ValueError("neither steps nor epochs says how long to train; give one")
        if self.clip % self.tau:
            raise ValueError(f"clip {self.clip} is no multiple of tau {self.tau}")
        if self.stride > self.clip:
            raise ValueError(
                f"stride {self.stride} is larger than clip {self.clip}: frames between the clips"
                " would have no row"
            )
        if "ms-ssim" in self.losses and min(self.size) < SMALLEST:
            raise ValueError(
                f"size {self.size[0]} x {self.size[1]}: ms-ssim needs {SMALLEST} pixels a side;"
                " enlarge it, or leave ms-ssim out of losses"
            )
        return self

    @property
    def channels(self) -> int:
        """Of a frame."""
        return 3 if self.colour else 1

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of the latent maps."""
        return self.size[0] // CELL, self.size[1] // CELL

    @property
    def side(self) -> int:
        """Pixels of the square whose mean error counts, along either side."""
        return min(max(round(self.patch * self.size[0]), 1), *self.size)


def count_steps(options: ItaeOptions, clips: int) -> int:
    """Optimiser steps of a training on so many clips, in whole batches."""
    if options.epochs is not None:
        return options.epochs * (clips // options.batch)
    assert options.steps is not None  # the options refuse neither
    return options.steps


def identity(options: ItaeOptions) -> dict[str, Any]:
    """What decides the training beside the seed, JSON-ready; what changes nothing stands empty, so
    that two ways to say one training are one. Options made of it are of the same training.
    """
    kept = {
        name
        for name, field in ItaeOptions.model_fields.items()
        if isinstance(field.json_schema_extra, dict)
        and field.json_schema_extra.get("role") == "training"
    }
    values = options.model_dump(mode="json", include=kept - {"seed"})
    if options.epochs is not None:
        values["steps"] = None
    if options.paths == "static":
        values["lateral"] = []
    return values


def paper(dataset: str) -> dict[str, Any]:
    """The paper's settings for a data set (Sec. 4.2), those of ShanghaiTech where it has none.

    How long it trained is not in it: 100 epochs are those of MemAE, whose network it takes up.
    """
    pedestrians = dataset in ("ped1", "ped2")
    return {
        "size": (240, 360) if pedestrians else (256, 256),
        "colour": not pedestrians,
        "width": 1.0,
        "epochs": 100,
        "learning_rate": 1e-3 if pedestrians else 1e-2,
        "batch": 2 if pedestrians or dataset == "avenue" else 8,
    }
