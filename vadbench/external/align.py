"""Values of one file in the order of another's videos, refused unless both are of the same
frames.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from vadbench.datasets.lengths import why_lengths_differ
from vadbench.datasets.matching import match_names
from vadbench.errors import BadInput
from vadbench.external.lengths import Known
from vadbench.files.tables import FrameTable


def match_numbers(found: Iterable[str], expected: Iterable[str]) -> dict[str, str]:
    """Name in `found` -> its partner, where names are numbers alone (`01`, `01_0014`) and the
    others differ in their numbers; empty where that leaves a doubt.

    >>> match_numbers(["1", "02"], ["Test001", "Test002"])
    {'1': 'Test001', '02': 'Test002'}
    """
    names, wanted = list(found), list(expected)
    if not all(re.fullmatch(r"\d+(_\d+)*", name) for name in names):
        return {}
    of_numbers = {_numbers(video): video for video in wanted}
    own = {name: _numbers(name) for name in names}
    distinct = len(of_numbers) == len(wanted) and len(set(own.values())) == len(names)
    if not distinct or not set(own.values()) <= of_numbers.keys():
        return {}
    return {name: of_numbers[numbers] for name, numbers in own.items()}


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", name)))


def align(table: FrameTable, known: Known) -> FrameTable:
    """The values in the order of the known videos; those that were released for training may be
    called by their names alone, without `train/`.

    Raises:
        BadInput: if names have no partner, or a video has more or fewer frames, with the cause that
            fits.
    """
    table = _name_released(table, known)
    matched = match_names(table.lengths, known.lengths)
    partner = match_numbers(table.lengths, known.lengths) if matched.lone else matched.partner
    if len(partner) < max(len(table.lengths), len(known.lengths)):
        raise BadInput(
            f"{table.path}: its videos against those of {known.source}: {matched.lone}; expected"
            " the same names in both"
        )
    of = {video: name for name, video in partner.items()}
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


def _name_released(table: FrameTable, known: Known) -> FrameTable:
    """The table with `train/NAME` for NAME, where a re-split tests it and no other video."""

    def name(video: str) -> str:
        released = f"train/{video}"
        taken = video in known.lengths or released in table.lengths
        return released if released in known.lengths and not taken else video

    return replace(table, lengths={name(video): n for video, n in table.lengths.items()})
