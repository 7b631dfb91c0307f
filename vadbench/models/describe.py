"""A model in words, and whether what it needs is here."""

from __future__ import annotations

from vadbench import registry
from vadbench.errors import BadInput
from vadbench.features.follow import Pace, pace_of
from vadbench.features.names import IMPORT
from vadbench.features.stream import StreamPlan, digests, make_extractor, make_provider, require
from vadbench.models.held_out import describe_threshold
from vadbench.models.manifest import KeptFit, ModelManifest
from vadbench.models.source import Nothing
from vadbench.models.store import AGAIN, Kept
from vadbench.spec import ScoredPart
from vadbench.versions import code_of

NETWORK_SAW = (
    "  the stream's network was trained on these videos too: new ones may raise more alarms"
)
PACES: dict[Pace, str] = {
    "live": "frame by frame, as it comes",
    "opening": "frame by frame, after a pass over the clip (or its first frames, --warm-up)",
    "clip": "scored after the clip: its features are made of whole clips",
}


def describe_model(kept: Kept) -> str:
    """A few lines: what was trained, on what, its parts and their streams."""
    manifest = kept.manifest
    result = manifest.result
    lines = [
        f"{manifest.name} in {kept.folder}",
        f"settings: {result.settings_label}",
        f"trained: {', '.join(result.training.words) or f'on {result.dataset}, pooled'}",
        f"smoothing in the benchmark: {result.protocol.filter}; a watched video is not smoothed",
    ]
    for part, fit in zip(result.parts, manifest.fits, strict=True):
        lines += _describe_part(part, fit)
    return "\n".join([*lines, *describe_thresholds(manifest)])


def describe_thresholds(manifest: ModelManifest) -> list[str]:
    """A line on each scene's threshold, or on why there is none."""
    if manifest.threshold is None:
        return [f"threshold: none; {manifest.bare or 'none was asked for'}"]
    lines = [
        f"threshold{f' of scene {scene}' if scene else ''}:"
        f" {describe_threshold(own, manifest.threshold.rate)}"
        for scene, own in manifest.threshold.scenes.items()
    ]
    saw = manifest.held_out is not None and manifest.held_out.network_saw
    return [*lines, *([NETWORK_SAW] if saw else [])]


def _describe_part(part: ScoredPart, fit: KeptFit) -> list[str]:
    scenes = [scene for scene in fit.detectors if scene]
    own = f", one detector for each of {len(scenes)} scenes ({', '.join(scenes)})" if scenes else ""
    size = "" if fit.frame_shape is None else f", frames of {describe_shape(fit.frame_shape)}"
    weight = "" if part.weight == 1 else f", weight {part.weight:g}"
    calibrated = "" if part.calibration == "none" else f", calibration {part.calibration}{weight}"
    return [
        f"part: {part.method} on {part.stream}{calibrated}{own}",
        f"  {fit.train_rows} training rows of {fit.columns} columns{size}",
        f"  watched: {how_watched(fit)}",
    ]


def describe_shape(shape: tuple[int, ...]) -> str:
    """A picture's size and colour.

    >>> describe_shape((240, 360, 3))
    '360 x 240 colour'
    """
    return f"{shape[1]} x {shape[0]} {'grey' if len(shape) == 2 else 'colour'}"


def how_watched(fit: KeptFit) -> str:
    """When a frame of a new video is scored, in a few words; or why never."""
    try:
        check_fit(fit)
        plan = fit.plan
        extractor = make_extractor(plan)
        provider = make_provider(plan, Nothing()) if plan.boxes else None
    except BadInput as error:
        return f"cannot be: {error}"
    return PACES[pace_of(provider, extractor)]


def check_fit(fit: KeptFit) -> None:
    """Refuse a part that cannot be used here.

    Raises:
        BadInput: if its method, extractor or boxes are not installed or of another version, its
            stream cannot be made from a video, or its weights are missing or other ones.
    """
    plan = fit.plan
    if plan.stream.imported:
        raise BadInput(
            f"{plan.name}: its features were imported ({IMPORT}), no video can be turned into them"
        )
    _check_code("extractors", plan.stream.extractor, plan.extractor)
    if plan.boxes:
        name = plan.stream.provider.partition(".")[0]
        _check_code("boxes", name, plan.boxes)
        if not getattr(registry.load("boxes", name), "reads_frames", True):
            raise BadInput(
                f"{plan.name}: its boxes {plan.stream.provider} are read from files of the data"
                " set; train on boxes that are found in frames, such as foreground or grid"
            )
    _check_weights(plan)


def check_method(method: str, fit: KeptFit) -> None:
    """Refuse a method that is not installed, or is not the code that was trained.

    Raises:
        BadInput: naming it.
    """
    if method not in registry.names("detectors"):
        raise BadInput(
            f"model of method {method}, which is not installed here; install its package"
        )
    if code_of("detectors", method) != fit.code:
        raise BadInput(f"model of another version of method {method} than is installed; {AGAIN}")


def _check_code(kind: registry.Kind, name: str, described: dict[str, object]) -> None:
    if name not in registry.names(kind):
        raise BadInput(f"model on {name}, which is not installed here; install its package")
    code = code_of(kind, name)
    kept = described.get("code", {})
    if code.get("version", 1) != described.get("version") or ("package" in code and code != kept):
        raise BadInput(f"model on another version of {name} than is installed; {AGAIN}")


def _check_weights(plan: StreamPlan) -> None:
    """Refuse weights that are missing, or others than were trained on."""
    extractor = make_extractor(plan)
    needed = [(extractor.files(), plan.extractor)]
    if plan.boxes:
        needed.append((make_provider(plan, Nothing()).files(), plan.boxes))
    for files, described in needed:
        require(files)
        if files and described.get("files") != digests(files):
            raise BadInput(
                f"{plan.name}: the weights {', '.join(file.path.name for file in files)} are not"
                f" those that the model was trained with; {AGAIN}"
            )
