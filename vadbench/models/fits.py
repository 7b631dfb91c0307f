"""Fitted detectors on their way into a model: what one job learnt, written when it has.

    models/.fits/<identity[:12]>/{fit.json, detector-<n>/{model.safetensors, detector.json}}

They lie there until the models of a command are whole; a killed command finds them again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from vadbench.detector import Detector
from vadbench.errors import BadInput
from vadbench.files.atomic import replace_file, replace_folder
from vadbench.files.canonical import canonical_hash
from vadbench.files.npz import Arrays, load_arrays
from vadbench.models.manifest import SHORT, KeptFit, unseal, write_manifest

FIT = "fit.json"
FOLDS = "folds"  # folder of what folds scored


def fits_folder(root: Path) -> Path:
    """Where fits wait, under a results folder."""
    return root / "models" / ".fits"


def write_fit(root: Path, fit: KeptFit, detectors: Mapping[str, Detector]) -> None:
    """Keep what a job learnt: whole, or not at all.

    Args:
        root: the results folder.
        fit: what is known of it; its `detectors` name the folders.
        detectors: scene -> fitted detector.
    """
    with replace_folder(fits_folder(root) / fit.identity[:SHORT]) as aside:
        for scene, place in fit.detectors.items():
            detectors[scene].save(aside / place)
        write_manifest(aside / FIT, fit)


def read_fit(root: Path, identity: str) -> tuple[KeptFit, Path] | None:
    """A fit and its folder; None where none waits, or a damaged one."""
    folder = fits_folder(root) / identity[:SHORT]
    path = folder / FIT
    if not path.is_file():
        return None
    try:
        document = unseal(path.read_text(encoding="utf-8"), str(path), "train again", None)
        fit = KeptFit.model_validate_json(json.dumps(document))
    except (BadInput, OSError, UnicodeDecodeError, ValidationError):
        return None
    return (fit, folder) if fit.identity == identity else None


def write_fold(root: Path, identity: str, held: Sequence[str], arrays: Arrays) -> None:
    """Keep what a fit without some videos scored on them, beside the job's fit."""
    with replace_file(_fold_path(root, identity, held)) as aside, aside.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's own names of arguments


def read_fold(root: Path, identity: str, held: Sequence[str]) -> Arrays | None:
    """The arrays of a fold; None where none wait, or damaged ones."""
    path = _fold_path(root, identity, held)
    try:
        return load_arrays(path) if path.is_file() else None
    except BadInput:
        return None


def _fold_path(root: Path, identity: str, held: Sequence[str]) -> Path:
    name = canonical_hash(list(held))[:SHORT]
    return fits_folder(root) / identity[:SHORT] / FOLDS / f"{name}.npz"


def remove_fits(root: Path, identities: set[str]) -> None:
    """Forget fits whose models are whole."""
    for identity in identities:
        shutil.rmtree(fits_folder(root) / identity[:SHORT], ignore_errors=True)
    folder = fits_folder(root)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
