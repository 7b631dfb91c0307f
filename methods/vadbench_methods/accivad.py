"""AccI-VAD: kNN on pose, kNN on deep features and a GMM on velocity, calibrated and added (Reiss &
Hoshen, 2022).

Three jobs of registered methods; only their evaluation is defined here. ShanghaiTech's published
row adds pose and velocity alone. The methods' `paper` presets give the released settings.
"""

from __future__ import annotations

from vadbench.detector import Part, Recipe

RECIPE = Recipe(
    name="accivad",
    title="AccI-VAD",
    paper=(
        "Reiss & Hoshen, Attribute-based Representations for Accurate and Interpretable Video"
        " Anomaly Detection, 2022"
    ),
    parts=(
        # a frame without a person scores a raw 0, before calibration
        Part("knn", "pose", "minmax-p99.9", empty="zero"),
        Part("knn", "deep", "minmax"),  # the true maximum, for this stream alone
        Part("gmm", "velocity", "minmax-p99.9"),
    ),
)
