"""What decides the windows of a stream of pose sequences."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt

from vadbench.datasets.base import Split

# x in units of the frame's width and y of its height, as STG-NF's code has it for all data sets
RELEASED_RATIO = 480 / 856


class SequenceOptions(BaseModel):
    """Defaults are those of STG-NF on ShanghaiTech unless a field says otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    window: int = Field(
        24, ge=2, le=1024, description="poses of a window, T; UBnormal's published one is 16"
    )
    stride: PositiveInt = Field(
        1, description="poses from one window's first to the next one's, in testing"
    )
    train_stride: PositiveInt = Field(6, description="the same in training")
    missing: NonNegativeInt = Field(2, description="frames without a pose that a window may hold")
    ratio: PositiveFloat = Field(
        1.0,
        description=(
            "x is multiplied by it; 1: pixels are square; .5607 (480/856): as STG-NF's code, to"
            " whose density it is immaterial"
        ),
    )
    starts: Literal["whole", "released"] = Field(
        "whole",
        description=(
            "whole: every window of T poses; released: STG-NF's code, which has none of a person"
            " with just T poses and never the last one, and lets the last poses lie anywhere later"
        ),
    )

    def stride_of(self, split: Split) -> int:
        """The stride of a split's windows: only tested videos have the one of testing."""
        return self.stride if split == "test" else self.train_stride
