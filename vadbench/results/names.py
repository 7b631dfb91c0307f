"""Which record a text names, such as `ped2/knn@velocity:0`; where several have the name, the usual
one, and what tells the others apart.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from vadbench.errors import QUOTED, BadInput, quote
from vadbench.results.records import SUBMITTED, Results
from vadbench.results.schema import ResultRecord

SHORTEST = 4  # digits of an identity
MOST_LISTED = 20  # names in a refusal


def locate(results: Results, text: str) -> tuple[Results, ResultRecord]:
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
            are and what differs; or one that was edited after it was written.
    """
    found = _locate(results, text)
    if found[1].edited is not None:
        raise BadInput(
            f"{found[1].name}: edited after it was written ({found[1].edited}); vadbench evaluate"
            f" --results {found[0].root} computes it again"
        )
    return found


def _locate(results: Results, text: str) -> tuple[Results, ResultRecord]:
    if os.path.lexists(text) and (Path(text) / "metrics.json").is_file():
        return _open_folder(text)
    records = sorted(results.all_records(), key=lambda record: record.edited is not None)
    named = [one for one in records if _has_name(one, text)]
    found = named + [one for one in records if one not in named and _has_identity(one, text)]
    whole = [one for one in found if one.edited is None]
    if len(whole or found) == 1:
        return results, (whole or found)[0]
    usual = [one for one in named if one.result.words in ((), ("preset paper",))]
    usual = [one for one in usual if one.edited is None] or usual
    if len(usual) == 1:
        return results, usual[0]
    raise _ambiguous(results, text, found, records)


def _open_folder(text: str) -> tuple[Results, ResultRecord]:
    folder = Path(text).resolve()
    if len(folder.parents) > 3 and folder.parents[2].name == "recipes":
        above = folder.parents[3]
        results = Results(above.parent if above.name == SUBMITTED else above)
        record = results.record(*folder.parts[-3:])
        if record is not None:
            return results, record
        raise BadInput(f"{text}: its metrics.json is damaged; vadbench run makes it again")
    raise BadInput(
        f"{text}: not a record's place; expected RESULTS/recipes/DATASET/RECIPE/IDENTITY"
    )


def _ambiguous(
    results: Results, text: str, found: list[ResultRecord], records: list[ResultRecord]
) -> BadInput:
    """The refusal of a text that names none or several, with those there are."""
    found.sort(key=lambda one: (one.dataset, one.recipe, one.seed, one.result.words))
    names = [_describe(one, found) for one in found] or [one.name for one in records]
    if len(names) > MOST_LISTED:
        near = difflib.get_close_matches(text[:QUOTED], names, MOST_LISTED, 0)
        names = [*near, f"and {len(names) - MOST_LISTED} others"]
    there = "; ".join(names) or "no recipe yet; vadbench run makes them"
    many = f"{len(found) or 'no'} record{'s' * (len(found) != 1)}"
    return BadInput(f"{quote(text)} names {many} under {results.root}; there are: {there}")


def _describe(record: ResultRecord, among: list[ResultRecord]) -> str:
    """The record's name, what is unusual in it, and its features' fingerprints where others of that
    name have other ones.
    """
    alike = [one for one in among if (one.dataset, one.recipe) == (record.dataset, record.recipe)]
    several = len({_fingerprints(one) for one in alike}) > 1
    features = [f"features {_fingerprints(record)}"] if several else []
    words = ", ".join([*record.result.words, *features])
    return f"{record.name} ({words})" if words else record.name


def _fingerprints(record: ResultRecord) -> str:
    return "+".join(part.fingerprint for part in record.result.parts)


def _has_name(record: ResultRecord, text: str) -> bool:
    recipe, colon, seed = text.partition(":")
    called = (
        [record.recipe] if record.result.given is None else [record.recipe, record.result.method]
    )
    names = [*called, *(f"{record.dataset}/{name}" for name in called)]
    return recipe in names and (not colon or seed == str(record.seed))


def _has_identity(record: ResultRecord, text: str) -> bool:
    return len(text) >= SHORTEST and record.identity.startswith(text)
