"""Which record a text names, such as `ped2/knn@velocity:0`; where several have the name, the usual
one, and what tells the others apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from vadbench import registry
from vadbench.errors import BadInput
from vadbench.evaluation.evaluate import described, protocol_of
from vadbench.evaluation.protocol import read_protocol
from vadbench.files.npz import Arrays
from vadbench.plans.plan import PlannedRecipe
from vadbench.plans.suite import Preset, make_suite
from vadbench.results.records import RecipeRecord, Results
from vadbench.runner.run import plan_suite

SHORTEST = 4  # digits of an identity


def find(results: Results, text: str) -> tuple[RecipeRecord, Arrays | None]:
    """The record that a text names, and its stored arrays.

    Raises:
        BadInput: as `locate`.
    """
    where, record = locate(results, text)
    return record, where.frames(record)


def locate(results: Results, text: str) -> tuple[Results, RecipeRecord]:
    """The record that a text names, and the results that hold it: other ones where the text is a
    folder elsewhere.

    Args:
        results: where the records are.
        text: the folder of a record, the beginning of its identity, or `[dataset/]recipe[:seed]`,
            such as `gmm@velocity`, `ped2/gmm@velocity` or `mulde@velocity:2`. Of several records
            with one name it means the usual one: a preset's settings, the data set's protocol,
            trained on all of its own training videos.

    Raises:
        BadInput: if it names none, or several and not one of them alone is usual, with those there
            are and what differs.
    """
    if (Path(text) / "metrics.json").is_file():
        folder = Path(text).resolve()
        record = None
        if len(folder.parents) > 3 and folder.parents[2].name == "recipes":
            results = Results(folder.parents[3])
            record = results.recipe(*folder.parts[-3:])
        if record is None:
            raise BadInput(
                f"{text}: not a record's place; expected RESULTS/recipes/DATASET/RECIPE/IDENTITY"
            )
        return results, record
    records = list(results.all_recipes())
    found = [record for record in records if _has_name(record, text) or _has_identity(record, text)]
    if len(found) == 1:
        return results, found[0]
    unusual = {record.identity: departures(record) for record in found}
    usual = [
        record
        for record in found
        if _has_name(record, text) and unusual[record.identity] in ((), ("preset paper",))
    ]
    if len(usual) == 1:
        return results, usual[0]
    found.sort(
        key=lambda record: (record.dataset, record.recipe, record.seed, unusual[record.identity])
    )
    told = [_told_apart(record, found, unusual[record.identity]) for record in found] or [
        called(record) for record in records
    ]
    there = "; ".join(told) or "no recipe yet; vadbench run makes them"
    raise BadInput(
        f"{text!r} names {len(found) or 'no'} record{'s' * (len(found) != 1)} under {results.root};"
        f" there are: {there}"
    )


def called(record: RecipeRecord) -> str:
    """`dataset/recipe:seed identity`."""
    return f"{record.dataset}/{record.recipe}:{record.seed} {record.identity[:12]}"


def departures(record: RecipeRecord) -> tuple[str, ...]:
    """What a record was not made with by a plain `vadbench run`: settings, training, read-out,
    protocol; `preset paper` for all of that preset's.
    """
    told = []
    for preset in get_args(Preset):
        try:
            suite = make_suite(
                {
                    "methods": (record.recipe,),
                    "datasets": (record.dataset,),
                    "seeds": record.seed + 1,
                    "preset": preset,
                }
            )
            planned = plan_suite(suite).recipes[-1]
        except BadInput:  # a method or data set that is not installed here any more
            return ("not known to this version",)
        told.append(tuple(dict.fromkeys(_differences(planned, record))))
    fast, paper = told
    return ("preset paper",) if fast and not paper else fast


def _differences(planned: PlannedRecipe, record: RecipeRecord) -> Iterator[str]:
    """Each departure from the planned recipe, as a few words."""
    for wanted, there in zip(described(planned), record.parts, strict=False):
        yield from (
            _setting(name, value)
            for name, value in there["config"].items()
            if wanted["config"].get(name) != value
        )
        yield from (
            f"{component}.{_setting(name, value)}"
            for component, own in there.get("extraction", {}).items()
            for name, value in own.items()
        )
        if there["calibration"] != wanted["calibration"]:
            yield f"calibration={there['calibration']}"
        if "read_out" in there:
            yield f"read-out {there['read_out']}"
        if there.get("scope") == "scene":
            yield "per scene"
        if "train_dataset" in there:
            yield f"trained on {there['train_dataset']}"
        if "resplit" in there:
            yield "unsupervised"
    usual = protocol_of(planned, registry.load("datasets", record.dataset)).model_dump(
        mode="json", exclude={"parts"}
    )
    chosen = read_protocol(record.protocol).model_dump(mode="json", exclude={"parts"})
    yield from (_setting(name, value) for name, value in chosen.items() if usual[name] != value)


def _setting(name: str, value: Any) -> str:
    return f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"


def _told_apart(record: RecipeRecord, among: list[RecipeRecord], unusual: tuple[str, ...]) -> str:
    """The record's name, what is unusual in it, and its features' fingerprints where others of that
    name have other ones.
    """
    several = {
        _fingerprints(other)
        for other in among
        if (other.dataset, other.recipe) == (record.dataset, record.recipe)
    }
    told = [
        *unusual,
        *([f"features {'+'.join(_fingerprints(record))}"] if len(several) > 1 else []),
    ]
    return f"{called(record)} ({', '.join(told)})" if told else called(record)


def _fingerprints(record: RecipeRecord) -> tuple[str, ...]:
    return tuple(part.get("fingerprint", "") for part in record.parts)


def _has_name(record: RecipeRecord, text: str) -> bool:
    recipe, colon, seed = text.partition(":")
    return recipe in (record.recipe, f"{record.dataset}/{record.recipe}") and (
        not colon or seed == str(record.seed)
    )


def _has_identity(record: RecipeRecord, text: str) -> bool:
    return len(text) >= SHORTEST and record.identity.startswith(text)
