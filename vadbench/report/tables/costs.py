"""What a table's rows cost, from the records of their runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vadbench.report.tables.table import Cost, Row, Table

if TYPE_CHECKING:
    import pandas as pd

TITLES = {
    "network_seconds": "network, s",
    "fit_seconds": "fit, s",
    "score_ms_a_frame": "score, ms a frame",
    "parameters": "parameters",
    "peak_memory_mib": "peak, MiB",
}
NOTE = (
    "Cost: mean over seeds, streams summed, on the machine that ran; features are not counted."
    " Network: training what a learnt stream is made with, once for all that share it."
    " Peak: resident size of the process, earlier jobs of the same process included."
)


def cost_columns(table: Table, results: pd.DataFrame) -> Table:
    """The table with what its rows cost on each data set.

    Args:
        table: of records.
        results: as `vadbench.results.frame.load_results` gives them.
    """
    costs = _costs_of_records(results)
    datasets = dict.fromkeys(column.dataset for column in table.columns)
    columns = [
        Cost(dataset, title, key, tuple(values))
        for dataset in datasets
        for key, title in TITLES.items()
        if any(values := [_mean(costs, table, row, dataset, key) for row in table.rows])
    ]
    return replace(table, costs=tuple(columns))


def _costs_of_records(results: pd.DataFrame) -> pd.DataFrame:
    """One row a record, by its identity; `n` of the micro AUC are the test frames."""
    of_frames = results[results["metric"] == "micro_auc"]
    records = of_frames.drop_duplicates("identity").set_index("identity")
    frames = records["n"].astype("float64")
    score = 1000 * records["score_seconds"] / frames
    return records.assign(score_ms_a_frame=score)[list(TITLES)].astype("float64")


def _mean(costs: pd.DataFrame, table: Table, row: Row, dataset: str, key: str) -> float | None:
    """The mean over the records of a row on a data set; None where one does not know it."""
    known = costs.index.intersection(_records(table, row, dataset))
    values: NDArray[np.float64] = costs.loc[known, key].to_numpy()
    return float(values.mean()) if len(values) and not np.isnan(values).any() else None


def _records(table: Table, row: Row, dataset: str) -> list[str]:
    pairs = zip(table.columns, row.cells, strict=True)
    identities = [cell.records for column, cell in pairs if column.dataset == dataset]
    return list(dict.fromkeys(identity for of_cell in identities for identity in of_cell))
