"""Write the generated blocks of docs/methods/: citation, presets, settings and parts, as the
registered methods declare them; and the list of methods.

    python docs/make_methods.py
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from blocks import with_block

from vadbench import registry
from vadbench.detector import Detector, MethodConfig, Part, Recipe
from vadbench.features.stream import declared_nature
from vadbench.training import NeuralConfig

PAGES = Path(__file__).with_name("methods")
ROLES = ("fit", "scoring", "runtime")
# what the columns `fast` and `paper` are resolved for
SHOWN = ("ped2", "velocity")
# the order of the list: densities, baselines, fusions
ORDER = (
    *("mulde", "msma", "msma-mulde", "flow", "diffusion", "gmm", "knn"),
    *("stg-nf", "stg-nf-skeleton"),
    *("gaussian", "iforest", "ocsvm", "autoencoder", "magnitude", "directed", "spread-x"),
    *("accivad", "accivad-root", "speed-appearance", "directed-appearance"),
    *("itae", "itae-nf", "itae-nf-paper"),
)


def detector_block(name: str, detector: type[Detector]) -> str:
    """What a detector declares: citation, read-outs, seeds, calibration, presets, settings."""
    info = detector.info
    seeds = "the same for every seed" if info.deterministic else "differs from seed to seed"
    facts = [
        "## Citation and settings",
        "",
        f"**Source**: {info.paper}. **Scores**: {seeds}. **In fusions**: calibrated by"
        f" `{detector.calibration}`.",
        "",
    ]
    if info.test_chosen:
        chosen = ", ".join(f"`{field}`" for field in info.test_chosen)
        facts += [f"Its authors chose by test labels, in preset `paper`: {chosen}.", ""]
    return "\n".join(facts + presets(detector) + settings(name, detector)).rstrip()


def presets(detector: type[Detector]) -> list[str]:
    """What the docstring of its presets says, where it has presets of its own."""
    if detector.preset.__func__ is Detector.preset.__func__:  # type: ignore[attr-defined]
        return []
    paragraphs = inspect.cleandoc(detector.preset.__doc__ or "").split("\n\n")
    lines = [" ".join(paragraph.split()) for paragraph in paragraphs]
    return [line for paragraph in lines for line in (paragraph, "")]


def settings(name: str, detector: type[Detector]) -> list[str]:
    """The table of its settings, with what the presets make of them."""
    config, fields = detector.Config, detector.Config.model_fields
    if not fields:
        return ["It has no settings."]
    dataset, stream = SHOWN
    configs = [config(), *(preset_config(detector, each) for each in ("fast", "paper"))]
    rows = [
        f"| `{field}` | {' | '.join(value(getattr(each, field)) for each in configs)}"
        f" | {escaped(described.description or '')}{role(config, field)} |"
        for field, described in sorted(fields.items(), key=lambda item: place(config, item[0]))
    ]
    return [
        f"`--set {name}.FIELD=VALUE` changes a setting. The presets are shown as they are for"
        f" `{stream}` on `{dataset}`; *scoring*: changes only what is computed from a fitted"
        " model; *runtime*: changes nothing but speed.",
        "",
        "| setting | default | `fast` | `paper` | what |",
        "|---|---|---|---|---|",
        *rows,
    ]


def preset_config(detector: type[Detector], preset: str) -> Any:
    """The settings that a preset gives for the stream that is shown."""
    dataset, stream = SHOWN
    return detector.Config(**detector.preset(preset, dataset, declared_nature(stream)))


def place(config: type[MethodConfig], field: str) -> tuple[int, bool]:
    """What decides first stands first; a method's own settings before those of all networks."""
    return ROLES.index(config.role(field)), field in NeuralConfig.model_fields


def role(config: type[MethodConfig], field: str) -> str:
    """The role of a field, where it is not the usual one."""
    named = config.role(field)
    return "" if named == "fit" else f" (*{named}*)"


def value(setting: Any) -> str:
    """A setting as `--set` would take it."""
    if setting is None or setting == ():
        return "none"
    if isinstance(setting, tuple):
        return "`" + ", ".join(map(str, setting)) + "`"
    return f"`{setting}`"


def escaped(text: str) -> str:
    """Text in a cell of a table."""
    return text.replace("|", "\\|").replace("[", "\\[")


def recipe_block(recipe: Recipe) -> str:
    """What a recipe declares: citation and parts."""
    empty = {"train-min": "the training minimum", "zero": "a raw 0"}
    return "\n".join(
        [
            "## Citation and parts",
            "",
            f"**Source**: {recipe.paper}.",
            "",
            "| stream | method | calibration | a frame without objects scores |",
            "|---|---|---|---|",
            *(
                f"| `{part.stream}` | [`{part.method}`]({part.method}.md) |"
                f" `{part.calibration}`{summed(part)} | {empty[part.empty]} |"
                for part in recipe.parts
            ),
            *weights(recipe),
        ]
    )


def summed(part: Part) -> str:
    """With what a part is calibrated as one."""
    return f" of the sum {part.group}" if part.group else ""


def weights(recipe: Recipe) -> list[str]:
    """The weights of its parts on each data set."""
    listed = [
        f"{', '.join(f'{weight:g}' for weight in own)} on `{dataset}`"
        for dataset, own in recipe.weights.items()
    ]
    told = (
        f"Weights of the parts, chosen by its authors by test labels: {'; '.join(listed)}; else 1."
    )
    return ["", told] if listed else []


def method_block(name: str) -> str:
    """The generated block of a method's page."""
    if name in registry.names("recipes"):
        return recipe_block(registry.load("recipes", name))
    return detector_block(name, registry.load("detectors", name))


def extractor_block(name: str) -> str:
    """The options of a learnt extractor, with what its preset `paper` makes of them."""
    extractor = registry.load("extractors", name)
    fields, dataset = extractor.Options.model_fields, SHOWN[0]
    configs = [extractor.Options(), extractor.Options(**extractor.preset("paper", dataset))]
    rows = [
        f"| `{field}` | {' | '.join(value(getattr(each, field)) for each in configs)}"
        f" | {escaped(described.description or '')}{of_training(described)} |"
        for field, described in fields.items()
    ]
    return "\n".join(
        [
            f"`--set {name}.FIELD=VALUE` changes an option of the extractor; `paper` is shown for"
            f" `{dataset}`. *Training*: part of the network's identity.",
            "",
            "| option | default | `paper` | what |",
            "|---|---|---|---|",
            *rows,
        ]
    )


def of_training(field: Any) -> str:
    """Whether an option decides the network."""
    extra = field.json_schema_extra
    learnt = isinstance(extra, dict) and extra.get("role") == "training"
    return " (*training*)" if learnt else ""


def list_block() -> str:
    """The table of all methods."""
    rows = []
    for name in ORDER:
        recipe = name in registry.names("recipes")
        declared: Any = registry.load("recipes" if recipe else "detectors", name)
        info = declared if recipe else declared.info
        rows.append(
            f"| [`{name}`]({name}.md) | {info.title}{' (recipe)' * recipe} | {info.paper} |"
        )
    return "\n".join(["| name | what | source |", "|---|---|---|", *rows])


def main() -> None:
    """Rewrite the pages."""
    for name in ORDER:
        path = PAGES / f"{name}.md"
        page = path.read_text(encoding="utf-8")
        page = with_block(page, "method", method_block(name))
        if name == "itae":
            page = with_block(page, "options", extractor_block(name))
        path.write_text(page, encoding="utf-8")
    index = PAGES / "index.md"
    page = index.read_text(encoding="utf-8")
    index.write_text(with_block(page, "methods", list_block()), encoding="utf-8")


if __name__ == "__main__":
    main()
