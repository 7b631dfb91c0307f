"""Directed density of motion and kNN on appearance, as p-values, combined by Fisher's rule: nothing
is scaled, and no weight is chosen.
"""

from __future__ import annotations

from vadbench.detector import Part, Recipe

RECIPE = Recipe(
    name="directed-appearance",
    title="directed density + kNN on appearance",
    paper="a recipe of ours",
    parts=(Part("directed", "velocity", "tail"), Part("knn", "deep", "tail")),
)
