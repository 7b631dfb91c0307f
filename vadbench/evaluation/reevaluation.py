"""Every record's metrics again, from what the runs stored: a record is planned anew to find its
jobs, and nothing is trained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import evaluate, make_protocol, protocol_of
from vadbench.evaluation.protocol import read_protocol
from vadbench.plans.plan import PlannedRecipe
from vadbench.plans.suite import Preset, Settings, make_suite
from vadbench.results.records import RecipeRecord, Results
from vadbench.runner.run import open_dataset, plan_suite


def evaluate_all(results: Results, protocol: dict[str, Any], say: Callable[[str], None]) -> int:
    """Recompute the metrics of every recipe record from stored scores; trains nothing and writes no
    table.

    Args:
        results: the records.
        protocol: fields that differ from those that a record was evaluated under; such metrics are
            stored beside the old.
        say: receives a line for each reason why records cannot be evaluated.

    Returns:
        How many were evaluated.

    Raises:
        BadInput: on a field that the protocol has not, or a value it does not take.
    """
    make_protocol(protocol)
    evaluated: set[str] = set()
    refused: dict[tuple[str, str], list[str]] = {}
    for record in list(results.all_recipes()):
        try:
            recipe = _planned_again(record, _own_protocol(record) | protocol)
            dataset = open_dataset(recipe.dataset)
            evaluated.add(evaluate(recipe, dataset, results, protocol_of(recipe, dataset)).identity)
        except BadInput as error:
            refused.setdefault((record.dataset, str(error)), []).append(
                f"{record.recipe} seed {record.seed}"
            )
    for (name, reason), records in refused.items():
        others = f" and {len(records) - 1} others" if len(records) > 1 else ""
        say(f"{name} {records[0]}{others}: not evaluated: {reason}")
    return len(evaluated)


def _own_protocol(record: RecipeRecord) -> dict[str, Any]:
    """The fields of a record's protocol that are not the default ones, smoothing always: a data set
    may have its own.
    """
    own, usual = read_protocol(record.protocol), make_protocol({})
    changed = {
        name: value
        for name, value in own.model_dump(exclude={"parts"}).items()
        if value != getattr(usual, name)
    }
    return {**changed, "smoothing": "none" if own.smoothing is None else own.smoothing}


def _planned_again(record: RecipeRecord, protocol: dict[str, Any]) -> PlannedRecipe:
    """The recipe of a record, under a protocol.

    Raises:
        BadInput: if it can no longer be planned with the same identity: another version, other
            extraction options, or its boxes file is not here.
    """
    known: Settings = {"protocol": dict(protocol)}
    known |= {
        component: options
        for part in record.parts
        for component, options in part.get("extraction", {}).items()
    }
    for preset in get_args(Preset):
        for recipe in _plan_alone(record, preset, known, None):
            own = _departures(record, recipe)
            settings = {
                name: {**own.get(name, {}), **known.get(name, {})} for name in {**own, **known}
            }
            for again in _plan_alone(record, preset, settings, record.parts[0].get("read_out")):
                if tuple(planned.job.identity for planned in again.parts) == record.runs:
                    return again
    raise BadInput(
        "its runs are not what this version, these extraction options and these files plan;"
        " vadbench run makes it anew"
    )


def _plan_alone(
    record: RecipeRecord, preset: str, settings: Settings, read_out: str | None
) -> list[PlannedRecipe]:
    """A record's recipe with the preset, the settings and the read-out, of its seed; trained and
    tested as it was.
    """
    part = record.parts[0]
    row = {"label": "again", "method": record.recipe, "read_out": read_out}
    trained = {
        "setting": "unsupervised" if part.get("resplit") else "one-class",
        "scope": part.get("scope", "pooled"),
    }
    fields = {
        "rows": (row,),
        "datasets": (record.dataset,),
        "seeds": record.seed + 1,
        "preset": preset,
        "settings": settings,
    }
    planned = plan_suite(
        make_suite({**fields, **trained, "train_on": part.get("train_dataset")})
    ).recipes
    return [recipe for recipe in planned if recipe.seed == record.seed]


def _departures(record: RecipeRecord, recipe: PlannedRecipe) -> Settings:
    """Method -> the settings of a record that are not the planned recipe's (of a fusion, those of
    all its streams), and its calibration likewise.
    """
    found: Settings = {}
    for there, planned in zip(record.parts, recipe.parts, strict=False):
        usual = planned.job.document["config"]
        other = {name: value for name, value in there["config"].items() if usual.get(name) != value}
        found.setdefault(there["method"], {}).update(other)
    calibrations = [part["calibration"] for part in record.parts]
    if len(set(calibrations)) == 1 and calibrations != [
        planned.part.calibration for planned in recipe.parts
    ]:
        found["protocol"] = {"calibration": calibrations[0]}
    return {name: settings for name, settings in found.items() if settings}
