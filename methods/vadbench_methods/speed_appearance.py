"""Plain speed and kNN on appearance, calibrated and added: the bar for every fusion of densities.

Nothing is learnt of motion: the first part is the magnitude of the velocity itself, which on scenes
of walkers passes most densities.
"""

from __future__ import annotations

from vadbench.detector import Part, Recipe

RECIPE = Recipe(
    name="speed-appearance",
    title="plain speed + kNN on appearance",
    paper="a baseline of ours",
    parts=(
        Part("magnitude", "velocity", "minmax-p99.9"),
        Part("knn", "deep", "minmax"),
    ),
)
