"""How many edits by hand of a record are seen: `python tests/unit/count_edits.py`.

Every field of the run.json and metrics.json of one committed record, edited in every way of
`record_edits`; as it is, and with a digest of what it then says.
"""

import contextlib
import io
import json
import shutil
import sys
import tempfile
from pathlib import Path

from record_edits import list_edits, reseal, write

from vadbench.results.records import Results

COMMITTED = Results(Path(__file__).resolve().parents[2] / "results")


def copy_record(folder: Path) -> Results:
    """One record with its run, alone."""
    record = next(
        one
        for one in COMMITTED.all_records()
        if one.result.name == "ped2/knn@velocity:0" and not one.result.words
    )
    run = COMMITTED.run_of(record, 0)
    assert run is not None
    places = (
        COMMITTED.record_folder(record.dataset, record.recipe, record.identity),
        COMMITTED.run_folder(run.job, run.identity),
    )
    for place in places:
        shutil.copytree(place, folder / place.relative_to(COMMITTED.root))
    return Results(folder)


def is_seen(results: Results) -> bool:
    """Whether nothing of the record is believed, and a line says so."""
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        believed = [one for one in results.all_records() if one.edited is None]
    return not believed and bool(told.getvalue())


def main() -> None:
    """Print, for each file, how many of the edits are seen."""
    with tempfile.TemporaryDirectory() as folder:
        results = copy_record(Path(folder))
        for path in sorted(results.root.rglob("*.json")):
            honest = json.loads(path.read_text())
            edits = list(list_edits(honest))
            for sealed in (False, True):
                seen = 0
                for _, document in edits:
                    write(path, reseal(document) if sealed else document)
                    seen += is_seen(Results(results.root))
                again = ", sealed again" if sealed else ""
                sys.stdout.write(f"{path.name}{again}: {seen} of {len(edits)} edits seen\n")
            write(path, honest)


if __name__ == "__main__":
    main()
