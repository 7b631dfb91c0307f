"""Fitted detectors on their way into a model: what one job learnt, written when it has.

    models/.fits/<identity[:12]>/{fit.json, detector-<n>/{model.safetensors, detector.json}}

They lie there until the models of a command are whole; a killed command finds them again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from vadbench.detector import Detector
from vadbench.errors import BadInput
from vadbench.files.atomic import replace_folder
from vadbench.models.manifest import SHORT, KeptFit, unseal, write_manifest

FIT = "fit.json"


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


def remove_fits(root: Path, identities: set[str]) -> None:
    """Forget fits whose models are whole."""
    for identity in identities:
        shutil.rmtree(fits_folder(root) / identity[:SHORT], ignore_errors=True)
    folder = fits_folder(root)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
