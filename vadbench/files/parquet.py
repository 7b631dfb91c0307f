"""Columns of parquet files, opened in one place: by Python, which takes any path, and never more
rows than are plausible for the file's size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from vadbench.files.npz import MOST_TIMES, PLAUSIBLE

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

CELL = 8  # bytes that a number takes once it is read


def parquet_names(path: Path) -> list[str]:
    """The names of a file's columns; raises as `read_parquet`."""
    with _open(path) as file:
        return list(file.schema_arrow.names)


def read_parquet(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Some columns [N] of a file by name.

    Raises:
        ValueError: if it is damaged, lacks a column, or holds many more rows than it has bytes; the
            message is for the caller's line.
        OSError: if it cannot be opened.
    """
    with _open(path, names) as file:
        rows, size = file.metadata.num_rows, path.stat().st_size
        if rows * len(names) * CELL > max(PLAUSIBLE, MOST_TIMES * size):
            raise ValueError(f"{rows} rows in a file of {size} bytes, which is not plausible")
        table = file.read(columns=list(names))
        missing = [name for name in names if name not in table.column_names]
        if missing:
            raise ValueError(f"no column {', '.join(missing)}")
        # pandas decodes categories
        return {name: table[name].to_pandas().to_numpy() for name in names}


@contextmanager
def _open(path: Path, texts: Sequence[str] = ()) -> Iterator[ParquetFile]:
    """The file; columns of `texts` that are texts stay dictionaries, in which a name that many rows
    have is there once.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    with path.open("rb") as source:
        try:
            with ParquetFile(
                source, read_dictionary=list(texts), page_checksum_verification=True
            ) as file:
                yield file
        # one of a dozen kinds, OSError among them
        except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, MemoryError) as error:
            told = " ".join(str(error).split())[:200] or type(error).__name__
            raise ValueError(told) from error
