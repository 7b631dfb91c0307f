"""The report's definition: which panels show the leaderboard and each data set, as JSON in the
words of the package wandb-workspaces.

Saving a report needs an account, so `publish` only writes the definition; with an account,
`as_report(json.load(file), entity).save()` makes it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vadbench.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

Node = dict[str, Any]  # {"is": a class of wandb_workspaces.reports.v2, its fields...}


def report_definition(project: str, board: str, table: pd.DataFrame) -> Node:
    """The definition of a report on the leaderboard `board`: its table, then for each data set bars
    of micro AUC, costs and training curves.
    """
    blocks: list[Node] = [
        {
            "is": "MarkdownBlock",
            "text": (
                f"Leaderboard `{board}`: a row a metric of a record, values are fractions. Made by"
                " `vadbench publish wandb`."
            ),
        },
        {
            "is": "PanelGrid",
            "runsets": [_runs(project, "leaderboard", f"Config('leaderboard') = '{board}'")],
            "panels": [
                {
                    "is": "WeavePanelSummaryTable",
                    "table_name": "leaderboard",
                    "layout": {"is": "Layout", "w": 24, "h": 16},
                }
            ],
        },
    ]
    for dataset, rows in table.groupby("dataset", sort=True):
        smoothed = rows[(rows["metric"] == "micro_auc") & (rows["smoothing"] != "none")]
        shown = smoothed if len(smoothed) else rows[rows["metric"] == "micro_auc"]
        metrics = [
            f"{dataset}/micro_auc/{smoothing}" for smoothing in sorted(set(shown["smoothing"]))
        ]
        panels: list[Node] = [
            {
                "is": "BarPlot",
                "title": metric,
                "metrics": [_summary(metric)],
                "max_runs_to_show": 100,
                "orientation": "h",
            }
            for metric in metrics
        ]
        panels += [
            {"is": "ScatterPlot", "x": _summary("cost/fit_seconds"), "y": _summary(metric)}
            for metric in metrics
        ]
        panels += [
            {"is": "LinePlot", "title": name, "x": "trainer/global_step", "y": [name]}
            for name in ("train/loss", "train/lr", "train/samples_per_s")
        ]
        blocks += [
            {"is": "H2", "text": str(dataset)},
            {
                "is": "PanelGrid",
                "runsets": [_runs(project, str(dataset), f"Config('dataset') = '{dataset}'")],
                "panels": panels,
            },
        ]
    return {
        "is": "Report",
        "project": project,
        "title": f"vadbench: {board}",
        "width": "fluid",
        "blocks": blocks,
    }


def as_report(definition: Node, entity: str) -> Any:
    """The definition as a `wandb_workspaces.reports.v2.Report` of an account; its method `save`
    needs a key.

    Raises:
        BadInput: where the package wandb-workspaces is absent.
    """
    try:
        reports = import_module("wandb_workspaces.reports.v2")
    except ModuleNotFoundError as error:
        raise BadInput("wandb-workspaces is not installed; pip install wandb-workspaces") from error

    def built(value: Any) -> Any:
        if isinstance(value, list):
            return [built(item) for item in value]
        if not isinstance(value, dict):
            return value
        fields = {name: built(item) for name, item in value.items() if name != "is"}
        return getattr(reports, value["is"])(
            **fields, **({"entity": entity} if value["is"] in ("Report", "Runset") else {})
        )

    return built(definition)


def _summary(name: str) -> Node:
    return {"is": "SummaryMetric", "name": name}


def _runs(project: str, name: str, filters: str) -> Node:
    return {"is": "Runset", "project": project, "name": name, "filters": filters}
