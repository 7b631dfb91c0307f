"""Importers of released features: files of vectors that others extracted, read, checked against a
data set and put into the store.

One file a kind: `concatenated` (one entry a frame over all clips), `flat` (one row a frame),
`per_video` (an array or a file a clip), `table` (a row names its clip and frame). `read.FORMATS`
says which format is read by what; `placement` which frame a row scores, `columns` and `doubts` what
is no feature.
"""

from vadbench.features.importers.clips import Clips, ImportedRows, Layout
from vadbench.features.importers.doubts import suspicions
from vadbench.features.importers.read import FORMATS, guess_format, import_features, read_features

__all__ = [
    "FORMATS",
    "Clips",
    "ImportedRows",
    "Layout",
    "guess_format",
    "import_features",
    "read_features",
    "suspicions",
]
