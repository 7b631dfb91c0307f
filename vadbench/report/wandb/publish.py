"""Records -> W&B, each content once: the folder of a W&B run keeps the hash of what was published
in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vadbench.evaluation.frames import read_frame_scores
from vadbench.files.canonical import canonical_hash
from vadbench.report.wandb.publication import COLUMNS, LAYOUT, Publication, publications
from vadbench.report.wandb.session import ID_LENGTH, Target, library, mark, marks, start
from vadbench.report.wandb.timeline import draw_timeline
from vadbench.results.frame import make_frame
from vadbench.results.records import Results
from vadbench.results.schema import ResultRecord

if TYPE_CHECKING:
    import pandas as pd
    import wandb


def publish(target: Target, records: Sequence[ResultRecord], board: str) -> str:
    """Publish records as W&B runs, their leaderboard as one more; what is there already is left
    alone.

    Args:
        target: where they go; its folder holds the records.
        records: what to publish.
        board: the leaderboard's name.

    Returns:
        A sentence that says what was done.

    Raises:
        NotInstalled: where there is something to publish and no library.
        BadInput: online, without an account.
        Exception: whatever the library raises; what was published until then is not published
            again.
    """
    results, there = Results(target.folder), marks(target)
    records = [record for record in records if record.edited is None]
    table = leaderboard(results, records)
    new = [
        _once(
            target,
            there,
            each.identity,
            each.content,
            each.described,
            partial(_fill, each, results),
        )
        for each in publications(results, records)
    ]
    identity = canonical_hash(["leaderboard", board])
    described = {
        "name": f"leaderboard {board}",
        "job_type": "leaderboard",
        "config": {"leaderboard": board},
    }
    columns, values = list(table.columns), _values(table)
    content = canonical_hash([LAYOUT, described, columns, values])
    new.append(
        _once(target, there, identity, content, described, partial(_fill_board, columns, values))
    )
    sentence = (
        f"Weights & Biases, {target.mode}: {sum(new)} runs published, {len(new) - sum(new)} there"
        " already and unchanged"
    )
    if target.mode != "offline" or not any(new):
        return sentence
    return (
        f"{sentence}; to send them, from here: wandb sync {target.folder / 'wandb'}/offline-run-*"
    )


def leaderboard(results: Results, records: Sequence[ResultRecord]) -> pd.DataFrame:
    """The rows of `load_results` of these records' ranked read-outs, without the columns that the
    runs' configs hold.
    """
    known = [run for run in results.all_runs() if run.status == "done"]
    table = make_frame(records, known)
    return table[table["ranked"]].drop(columns=["config", "protocol"]).reset_index(drop=True)


def _once(
    target: Target,
    there: dict[str, str | None],
    identity: str,
    content: str,
    described: dict[str, Any],
    fill: Callable[[Any], None],
) -> bool:
    """Fill a W&B run, unless this content has been published under its id; returns whether it was
    done.
    """
    if there.get(identity[:ID_LENGTH]) == content:
        return False
    with start(target, identity, **described) as run:
        fill(run)
    mark(target, run, content)
    return True


def _fill(publication: Publication, results: Results, run: wandb.Run) -> None:
    """Metrics, their table, the picture of the scores over time, and the artifact.

    All in the summary, which a second time overwrites.
    """
    wandb, folder = library(), Path(run.dir).parent
    run.summary.update({**publication.summary, "metrics": _table(list(COLUMNS), publication.rows)})
    frames = read_frame_scores(publication.first, results)
    if frames is not None and draw_timeline(frames, folder / "timeline.png"):
        run.summary["timeline"] = wandb.Image(str(folder / "timeline.png"))
    artifact = wandb.Artifact(
        f"scores-{publication.identity[:ID_LENGTH]}",
        type="scores",
        metadata={"identity": publication.identity},
    )
    for name, path in publication.files.items():
        # beside the run: the record may be evaluated again before the copy is sent
        copy = folder / "scores" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        artifact.add_file(str(copy), name=name, policy="immutable", skip_cache=True)
    run.log_artifact(artifact)


def _fill_board(columns: list[str], values: list[list[Any]], run: wandb.Run) -> None:
    run.summary["leaderboard"] = _table(columns, values)


def _table(columns: list[str], rows: list[list[Any]]) -> wandb.Table:
    table = library().Table
    # 10,000 by default, and what is beyond would be cut off
    table.MAX_ROWS = max(table.MAX_ROWS, len(rows))
    made: wandb.Table = table(columns=columns, data=rows, allow_mixed_types=True)
    return made


def _values(frame: pd.DataFrame) -> list[list[Any]]:
    """The frame's cells as Python's own values, None where one is missing."""
    rows: list[list[Any]] = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    return rows
