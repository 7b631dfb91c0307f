"""Values of one file in the order of another's videos, refused unless both are of the same
frames.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vadbench.datasets.matching import match_names
from vadbench.errors import BadInput
from vadbench.external.lengths import Known, why_lengths_differ
from vadbench.files.tables import FrameTable


def align(table: FrameTable, known: Known) -> FrameTable:
    """The values in the order of the known videos.

    Raises:
        BadInput: if names have no partner, or a video has more or fewer frames, with the cause that
            fits.
    """
    matched = match_names(table.lengths, known.lengths)
    if matched.lone:
        raise BadInput(
            f"{table.path}: its videos against those of {known.source}: {matched.lone}; expected"
            " the same names in both"
        )
    of = {partner: name for name, partner in matched.partner.items()}
    found = {video: table.lengths[of[video]] for video in known.lengths}
    for video, frames in known.lengths.items():
        if found[video] != frames:
            raise BadInput(
                f"{table.path}: video {video} has {found[video]} frames, {known.source} has"
                f" {frames}; {why_lengths_differ(found, known.lengths)}"
            )
    ends = np.cumsum(list(table.lengths.values()))[:-1]
    parts = dict(zip(table.lengths, np.split(table.values, ends), strict=True))
    values = np.concatenate([parts[of[video]] for video in known.lengths])
    return replace(table, lengths=dict(known.lengths), values=values)
