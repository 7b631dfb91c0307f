"""Streams of one number a row: what another method scored."""

from __future__ import annotations

import numpy as np

from vadbench.detector import Nature
from vadbench.errors import BadInput
from vadbench.features.importers.clips import Floats, ImportedRows


def refuse_labels(x: Floats, where: str) -> None:
    """Refuse a single column [N, 1] of 0 and 1 and nothing else: labels look like this, and no
    score; several columns [N, D] are left.

    Raises:
        BadInput: if it is one.
    """
    if x.shape[1] == 1 and np.array_equal(np.unique(x), (0, 1)):
        raise BadInput(
            f"{where}: nothing but 0 and 1, as labels are, which no method may see; expected scores"
        )


def nature_of_numbers(rows: ImportedRows, usual: Nature) -> Nature | None:
    """What a single column is, where its extractor would say something else: of one unit, and no
    embedding.

    Args:
        rows: of the training split.
        usual: what the extractor declares of all its variants.
    """
    if rows.x.shape[1] != 1 or (usual.one_unit and not usual.embedding):
        return None
    return Nature(one_unit=True, windows=rows.windows)
