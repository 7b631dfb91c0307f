"""Persons whose joints the data set itself knows, each in the box of their extent."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from vadbench.errors import BadInput
from vadbench.features.boxes.provider import NeededFile, Objects

if TYPE_CHECKING:
    from vadbench.datasets.base import Dataset
    from vadbench.features.footage import Footage


class PersonsOptions(BaseModel):
    """Persons that are known have no options."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Persons:
    """The extent of the joints of every person of `Dataset.poses`; the tracks are the persons."""

    name: ClassVar[str] = "persons"
    version: ClassVar[int] = 1
    reads_frames: ClassVar[bool] = False
    labelled: ClassVar[bool] = False
    Options: ClassVar[type[BaseModel]] = PersonsOptions

    def __init__(self, options: PersonsOptions, dataset: Dataset, label: str) -> None:
        self.dataset = dataset

    def files(self) -> tuple[NeededFile, ...]:
        """None: the data set knows."""
        return ()

    def objects(self, footage: Footage) -> Objects:
        """The persons of this clip.

        Raises:
            BadInput: where the data set knows no poses.
        """
        video = footage.video
        poses = self.dataset.poses(video)
        if poses is None:
            raise BadInput(
                f"{self.dataset.name}: boxes `persons` are of data sets that know the joints of"
                " their persons (walkers); name boxes that are found in frames, such as foreground"
            )
        poses = poses.by_frame()
        edges = np.searchsorted(poses.frame, np.arange(1, video.frames))
        return Objects(np.split(poses.boxes(), edges), poses.person)
