"""Facts of data sets' test splits, for machines without them: `vadbench/datasets/facts/*.json`.

    python tests/record_facts.py [NAME ...]

Of `HERE` they are read from the data set, which has to be here (of UCF-Crime the annotations and
`header.csv` alone); of `RECORDED` from committed records, whose runs have the frames of each video
and whose values have a hash of the labels; of Avenue from what its reader knows of the release. No
label is written.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from vadbench.datasets.avenue import Avenue
from vadbench.datasets.facts import FOLDER
from vadbench.datasets.open import open_dataset
from vadbench.datasets.truth import truth_of
from vadbench.errors import BadInput
from vadbench.locations import cache_root
from vadbench.results.records import Results

RESULTS = Path(__file__).resolve().parents[1] / "results"
HERE = ("ped2", "synthetic", "ucf_crime")
RECORDED = {"shanghaitech": 2}  # and the letters of a video's name that are its scene
MNAD = {"name": "mnad-interval", "anomalous": 3867, "differs": 441}


def read_here(name: str) -> dict[str, Any]:
    """The facts of a data set that is on this machine.

    Raises:
        BadInput: if it is not.
    """
    dataset = open_dataset(name)
    truth = truth_of(dataset, None, cache_root())
    return {"truth": truth, "videos": [[v.name, v.frames, v.scene] for v in dataset.videos("test")]}


def read_recorded(name: str, letters: int) -> dict[str, Any]:
    """The facts that the committed records hold."""
    results = Results(RESULTS)
    for record in results.all_records():
        run = results.run_of(record, 0) if record.dataset == name else None
        if run is not None and record.result.training.split is None:
            videos = [[video, frames, video[:letters]] for video, frames in run.test_videos]
            return {"truth": record.labels, "videos": videos}
    raise BadInput(f"{name}: no record")


def read_avenue() -> dict[str, Any]:
    """What Avenue's reader knows of the release, and of the other labels that circulate."""
    frames = Avenue.test_frames
    counts = {"videos": len(frames), "frames": sum(frames), "anomalous": Avenue.anomalous}
    truth = {
        "name": "masks-not-empty",
        "source": "ground_truth_demo/testing_label_mask/*_label.mat, volLabel not empty",
        **counts,
        "sha256": None,
        "tracks": "derived from the masks",
        "regions_sha256": None,
    }
    videos = [[f"{number:02d}", count, "0"] for number, count in enumerate(frames, 1)]
    return {"truth": truth, "videos": videos, "others": [MNAD]}


def write(name: str, facts: dict[str, Any]) -> None:
    """Write the facts of a data set, a video a line."""
    videos = ",\n".join(f"  {json.dumps(video)}" for video in facts["videos"])
    head = {key: value for key, value in facts.items() if key != "videos"}
    text = json.dumps(head, indent=1).removesuffix("\n}")
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(f'{text},\n "videos": [\n{videos}\n ]\n}}\n')


def read(name: str) -> dict[str, Any]:
    """The facts of a data set.

    Raises:
        BadInput: if it is neither here nor known otherwise.
    """
    if name == "avenue":
        return read_avenue()
    return read_recorded(name, RECORDED[name]) if name in RECORDED else read_here(name)


def main(names: list[str]) -> None:
    """Write the facts of these data sets, of all without a name."""
    for name in names or [*HERE, *RECORDED, "avenue"]:
        write(name, read(name))


if __name__ == "__main__":
    main(sys.argv[1:])
