"""The frame of all values as a file: written a record at a time, however many there are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadbench.errors import BadInput
from vadbench.files.atomic import replace_file
from vadbench.files.printable import storable
from vadbench.files.spreadsheet import write_csv
from vadbench.results.frame import COLUMNS, FLOATS, INTEGERS, TYPES, Block, make_blocks
from vadbench.results.records import Results

if TYPE_CHECKING:
    import pyarrow as pa

GROUP = 1 << 13  # rows that a parquet file compresses together, and that are held at a time


def export_results(results: str | Path, path: Path) -> int:
    """Write `load_results(results, videos=True)` as .parquet or .csv; returns the number of rows.

    In a csv, texts that a spreadsheet would take for a formula begin with an apostrophe.

    Raises:
        BadInput: on another suffix, or as `load_results`.
    """
    writers = {".csv": _write_csv, ".parquet": _write_parquet}
    if path.suffix not in writers:
        raise BadInput(f"{path}: suffix {path.suffix or 'missing'}; expected .parquet or .csv")
    store = Results(Path(results))
    store.require_records()
    blocks = make_blocks(store.all_records(), store.all_runs(), videos=True)
    with replace_file(path) as aside:
        return writers[path.suffix](aside, blocks)


def _write_csv(path: Path, blocks: Iterable[Block]) -> int:
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        write_csv(file, [COLUMNS])
        for block in blocks:
            write_csv(
                file, zip(*(_typed(name, block.cells(name)) for name in COLUMNS), strict=True)
            )
            rows += block.rows
    return rows


def _write_parquet(path: Path, blocks: Iterable[Block]) -> int:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    rows = 0
    schema = _schema()
    with ParquetWriter(path, schema) as writer:
        for group in _group(blocks):
            columns = {
                name: list(chain.from_iterable(_typed(name, one.cells(name)) for one in group))
                for name in COLUMNS
            }
            writer.write_table(pa.Table.from_pydict(columns, schema))
            rows += sum(one.rows for one in group)
    return rows


def _group(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """The blocks, about `GROUP` rows together."""
    group: list[Block] = []
    rows = 0
    for block in blocks:
        group.append(block)
        rows += block.rows
        if rows >= GROUP:
            yield group
            group, rows = [], 0
    if group:
        yield group


def _typed(name: str, cells: list[Any]) -> list[Any]:
    """A column as its type, None where a value is missing."""
    if name in FLOATS:
        floats = (None if cell is None else float(cell) for cell in cells)
        return [None if cell is None or math.isnan(cell) else cell for cell in floats]
    if name in INTEGERS:
        return [None if cell is None else int(cell) for cell in cells]
    return cells if name in TYPES else [None if cell is None else storable(cell) for cell in cells]


def _schema() -> pa.Schema:
    """The columns' types, and what tells pandas that texts and whole numbers may be missing."""
    import pandas as pd
    import pyarrow as pa

    # a text column without any text would be stored without a type
    types = {name: TYPES.get(name, "string") for name in COLUMNS}
    empty = pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in types.items()})
    return pa.Schema.from_pandas(empty, preserve_index=False)
