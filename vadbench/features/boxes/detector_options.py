"""What may be chosen of an object detector: thresholds, tiles, the temporal gradient beside it.

Source of the presets: Reiss and Hoshen, Attribute-based Representations for Accurate and
Interpretable Video Anomaly Detection (AccI-VAD, 2022).
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from vadbench.errors import BadInput

# of efficientdet-lite0 alone, and what it has no use for
OF_TILES = (
    "tile_rows",
    "tile_columns",
    "overlap",
    "whole",
    "kinds",
    "largest",
    "contained",
    "still",
)
NOT_OF_TILES = ("covered",)


class DetectorOptions(BaseModel):
    """Sizes are pixels of the frames as they are, which is how AccI-VAD states them for each data
    set; `accivad` gives its values.

    | data set | score | classes | min_area | covered | gradient_blur | gradient_threshold |
    gradient_min_area |
    |---|---|---|---|---|---|---|---|
    | ped2 (240 x 360) | .5 | all | 100 | .6 | 3 | 18 | 100 |
    | avenue (360 x 640) | .8 | person | 400 | .6 | 5 | 18 | 1600 |
    | shanghaitech (480 x 856) | .8 | all | 64 | .65 | 5 | 15 | 1600 |

    Those from `tile_rows` on are of efficientdet-lite0 alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    score: NonNegativeFloat = Field(0.25, description="least confidence of a detection", le=1.0)
    nms: NonNegativeFloat = Field(
        0.5,
        description=(
            "of two boxes whose intersection over union is larger, the less confident one is"
            " dropped"
        ),
        le=1.0,
    )
    classes: Literal["all", "person"] = Field(
        "all", description="detections of which classes are objects"
    )
    min_area: NonNegativeFloat = Field(
        100.0, description="least width x height of a detection, inside the frame"
    )
    covered: NonNegativeFloat = Field(
        0.6,
        description="boxes of which more than this share lies in a larger one are dropped",
        le=1.0,
    )
    gradient: bool = Field(
        True, description="add boxes of what changes from frame to frame outside the detections"
    )
    gradient_blur: Literal[1, 3, 5, 7, 9] = Field(
        3,
        description=(
            "side of the Gaussian kernel that frames are blurred with before their difference"
        ),
    )
    gradient_threshold: NonNegativeInt = Field(
        18,
        description="grey levels by which a pixel that changes differs from the frame before",
        le=255,
    )
    gradient_min_area: PositiveFloat = Field(
        100.0, description="least width x height of a box of changing pixels"
    )
    gradient_max_aspect: PositiveFloat = Field(
        10.0, description="sides of a box of changing pixels differ by less than this factor"
    )

    tile_rows: PositiveInt = Field(2, description="tiles of a frame's height", le=16)
    tile_columns: PositiveInt = Field(3, description="tiles of its width", le=16)
    overlap: NonNegativeFloat = Field(
        0.25, description="share of a tile's side that it has in common with the next one", le=0.9
    )
    whole: bool = Field(
        False, description="look at the whole frame too, for objects that no tile holds"
    )
    kinds: Literal["street", "all"] = Field(
        "street",
        description=(
            "which of COCO's classes are looked for; street: persons and what they ride or drive"
        ),
    )
    largest: PositiveFloat = Field(
        0.1, description="share of the frame that a detection covers at most", le=1.0
    )
    contained: NonNegativeFloat = Field(
        0.7,
        description=(
            "boxes of which more than this share lies in a more confident one are dropped"
        ),
        le=1.0,
    )
    still: NonNegativeInt = Field(
        0,
        description=(
            "tiles are not looked at in which fewer pixels differ from the clip's background by 20"
            " grey levels; 0: all are looked at"
        ),
    )

    @classmethod
    def accivad(cls, dataset: str) -> Self:
        """AccI-VAD's values for a data set.

        Raises:
            BadInput: if AccI-VAD has none for it.
        """
        presets = {
            "ped2": cls(
                score=0.5,
                min_area=100,
                covered=0.6,
                gradient_blur=3,
                gradient_threshold=18,
                gradient_min_area=100,
            ),
            "avenue": cls(
                score=0.8,
                classes="person",
                min_area=400,
                covered=0.6,
                gradient_blur=5,
                gradient_threshold=18,
                gradient_min_area=1600,
            ),
            "shanghaitech": cls(
                score=0.8,
                min_area=64,
                covered=0.65,
                gradient_blur=5,
                gradient_threshold=15,
                gradient_min_area=1600,
            ),
        }
        if dataset not in presets:
            raise BadInput(
                f"detector: AccI-VAD states no thresholds for {dataset!r}; it has them for"
                f" {', '.join(presets)}"
            )
        return presets[dataset]
