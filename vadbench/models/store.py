"""Kept models on disk: written whole or not at all, checked before they are used.

    models/<identity[:12]>/{model.json, part-<n>/..., networks/<name>@<fingerprint>/...}

A model may also lie anywhere else, as a folder or as one .zip that `export_model` wrote.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vadbench.environment import read_environment
from vadbench.errors import BadInput, quote
from vadbench.files.atomic import remove_folder, replace_file, replace_folder
from vadbench.files.digest import sha256
from vadbench.models.fits import FIT, FOLDS, read_fit
from vadbench.models.held_out import FILE as HELD_OUT
from vadbench.models.held_out import NormalScores, read_scores, set_thresholds
from vadbench.models.manifest import (
    DAMAGED,
    MANIFEST,
    SHORT,
    KeptFile,
    KeptFit,
    ModelManifest,
    parse_manifest,
    write_manifest,
)
from vadbench.spec import Result

AGAIN = "train it again (vadbench train), or copy it again"
SHORTEST = 4  # digits of an identity
# what Python raises on an archive that is none
_BROKEN = (OSError, KeyError, RuntimeError, EOFError, zlib.error, zipfile.BadZipFile)
_DATE = (1980, 1, 1, 0, 0, 0)  # of files in an archive: equal models give equal archives


@dataclass(frozen=True)
class Kept:
    """A model on disk: its manifest, and the folder that it lies in."""

    manifest: ModelManifest
    folder: Path


def models_folder(root: Path) -> Path:
    """Where models lie under a results folder."""
    return root / "models"


def write_model(
    root: Path,
    identity: str,
    result: Result,
    runs: Sequence[str],
    networks: Sequence[Path | None],
    normal: NormalScores | None = None,
    bare: str = "",
) -> Kept:
    """Make the model of a result whose jobs' fits wait.

    Args:
        root: the results folder.
        identity: of the result.
        result: what was trained.
        runs: identities of its jobs, one a part.
        networks: of each part the folder of its stream's network, None where it has none.
        normal: what held-out normal videos score, and the rate whose threshold is set from it;
            None: there is none.
        bare: why, where one was asked for.

    Raises:
        BadInput: if a fit is not there.
    """
    folder = models_folder(root) / identity[:SHORT]
    with replace_folder(folder) as aside:
        fits = []
        for place, (run, network) in enumerate(zip(runs, networks, strict=True)):
            waiting = read_fit(root, run)
            if waiting is None:
                raise BadInput(f"{result.name}: no fit of {run[:SHORT]} waits; {AGAIN}")
            fits.append(_take_fit(aside, place, *waiting, network))
        threshold = None
        if normal is not None:
            np.save(aside / HELD_OUT, normal.scores)
            threshold = normal.threshold(fits[0].detectors)
        manifest = ModelManifest(
            identity=identity,
            result=result,
            fits=tuple(fits),
            held_out=None if normal is None else normal.held_out,
            threshold=threshold,
            bare=bare,
            files=_describe_files(aside),
            environment=read_environment(),
        )
        write_manifest(aside / MANIFEST, manifest)
    return Kept(manifest, folder)


def change_rate(kept: Kept, rate: float) -> Kept:
    """The same model with the threshold of another rate, where it knows held-out videos."""
    held_out, known = kept.manifest.held_out, kept.manifest.threshold
    if held_out is None or (known is not None and known.rate == rate):
        return kept
    scores, scenes = read_scores(kept.folder, held_out), kept.manifest.fits[0].detectors
    threshold = set_thresholds(held_out, scores, rate, "none", scenes)
    manifest = kept.manifest.model_copy(update={"threshold": threshold})
    with replace_file(kept.folder / MANIFEST) as aside:
        write_manifest(aside, manifest)
    return Kept(manifest, kept.folder)


def _take_fit(aside: Path, place: int, fit: KeptFit, folder: Path, network: Path | None) -> KeptFit:
    """Copy a fit and its stream's network into a model; the fit as the model names it."""
    shutil.copytree(folder, aside / f"part-{place}", ignore=shutil.ignore_patterns(FIT, FOLDS))
    named = {scene: f"part-{place}/{own}" for scene, own in fit.detectors.items()}
    if network is not None:
        shutil.copytree(network, aside / "networks" / network.name, dirs_exist_ok=True)
    kept = None if network is None else f"networks/{network.name}"
    return fit.model_copy(update={"detectors": named, "network": kept})


def _describe_files(folder: Path) -> dict[str, KeptFile]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): KeptFile(
            bytes=path.stat().st_size, sha256=sha256(path)
        )
        for path in paths
    }


def read_model(folder: Path) -> Kept:
    """A model in a folder, all its files checked.

    Raises:
        BadInput: if it is none, damaged, edited, or of another format.
    """
    kept = read_manifest(folder)
    for name, file in kept.manifest.files.items():
        _check_file(folder / name, file)
    return kept


def read_manifest(folder: Path) -> Kept:
    """A model in a folder, its manifest alone checked.

    Raises:
        BadInput: as `read_model`.
    """
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(f"{path}: not there; expected the folder of a kept model") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {DAMAGED}, cannot be read; {AGAIN}") from error
    return Kept(parse_manifest(text, str(path), AGAIN), folder)


def _check_file(path: Path, file: KeptFile) -> None:
    if not path.is_file():
        raise BadInput(f"{path}: not there, the model is not whole; {AGAIN}")
    if path.stat().st_size != file.bytes or sha256(path) != file.sha256:
        raise BadInput(f"{path}: {DAMAGED}, its sha256 is not the one that was kept; {AGAIN}")


def list_models(root: Path) -> Iterator[Kept | BadInput]:
    """Every model under a results folder in the order of their names, what cannot be read as its
    refusal; of each the manifest alone is checked.
    """
    found: list[Kept] = []
    for path in sorted(models_folder(root).glob(f"*/{MANIFEST}")):
        if path.parent.name.startswith("."):
            continue
        try:
            found.append(read_manifest(path.parent))
        except BadInput as error:
            yield error
    yield from sorted(found, key=lambda kept: (kept.manifest.name, kept.manifest.identity))


def find_model(root: Path, text: str) -> Kept:
    """The model that a text names, its manifest alone checked.

    Args:
        root: the results folder.
        text: a folder, the beginning of an identity, or `[dataset/]method@stream[:seed]`.

    Raises:
        BadInput: if it names none, or several, with those there are.
    """
    if (Path(text) / MANIFEST).is_file():
        return read_manifest(Path(text))
    there = [one for one in list_models(root) if isinstance(one, Kept)]
    found = [one for one in there if _is_named(one.manifest, text)]
    usual = [one for one in found if one.manifest.result.words in ((), ("preset paper",))]
    if len(found) != 1 and len(usual) == 1:
        found = usual
    if len(found) == 1:
        return found[0]
    if not there:
        raise BadInput(
            f"{quote(text)}: no model under {models_folder(root)}; vadbench train METHOD --dataset"
            " DATASET makes one"
        )
    names = [f"{one.manifest.name} {one.folder.name}" for one in found or there][:20]
    many = f"{len(found)} models" if found else "no model"
    raise BadInput(
        f"{quote(text)} names {many} under {models_folder(root)}; there are: {'; '.join(names)}"
    )


def _is_named(manifest: ModelManifest, text: str) -> bool:
    recipe, colon, seed = text.partition(":")
    result = manifest.result
    named = recipe in (result.recipe, f"{result.dataset}/{result.recipe}")
    by_name = named and (not colon or seed == str(result.training.seed))
    return by_name or (len(text) >= SHORTEST and manifest.identity.startswith(text))


def remove_model(kept: Kept) -> None:
    """Remove a model: a kill leaves it whole, or none."""
    remove_folder(kept.folder)


def export_model(kept: Kept, out: Path) -> None:
    """Copy a model, checked before: to one file where the name ends in .zip, else to a folder.

    Raises:
        BadInput: if the model is damaged, or something else lies there.
    """
    read_model(kept.folder)
    if out.suffix == ".zip":
        with replace_file(out) as aside, zipfile.ZipFile(aside, "w") as archive:
            for name in (MANIFEST, *kept.manifest.files):
                data = (kept.folder / name).read_bytes()
                archive.writestr(zipfile.ZipInfo(name, _DATE), data)
        return
    if out.exists():
        raise BadInput(f"{out}: is there already; name a folder that is not, or a file .zip")
    with replace_folder(out) as aside:
        for name in (MANIFEST, *kept.manifest.files):
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(kept.folder / name, aside / name)


def unpack_model(path: Path) -> tuple[Kept, tempfile.TemporaryDirectory[str]]:
    """A model in a .zip, in a temporary folder that goes with its object; nothing is written but
    what the manifest names, of the size that it states.

    Raises:
        BadInput: if it is none, or damaged.
    """
    temporary = tempfile.TemporaryDirectory(prefix="vadbench-model-")
    folder = Path(temporary.name)
    try:
        with zipfile.ZipFile(path) as archive:
            text = _read_member(archive, MANIFEST, 2**28).decode("utf-8")
            manifest = parse_manifest(text, f"{path}: {MANIFEST}", AGAIN)
            (folder / MANIFEST).write_text(text, encoding="utf-8")
            for name, file in manifest.files.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(_read_member(archive, name, file.bytes))
    except (*_BROKEN, ValueError) as error:
        temporary.cleanup()
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path}: {DAMAGED}, no archive of a model; {AGAIN}") from error
    try:
        return read_model(folder), temporary
    except BadInput as error:
        temporary.cleanup()
        raise BadInput(str(error).replace(f"{folder}/", f"{path}: ")) from None


def _read_member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    with archive.open(name) as member:
        return member.read(most + 1)
