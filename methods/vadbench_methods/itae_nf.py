"""ITAE and ITAE+NF: reconstruction error of a two-path autoencoder, and normalizing flows of its
two paths' maps (Cho et al., Pattern Recognition 2022).

The extractor `itae` is the autoencoder: its error R, and the maps of its static and its dynamic
path. A flow each makes them negative log-likelihoods, whose sum is L.
"""

from __future__ import annotations

from vadbench.detector import Part, Recipe

CITATION = (
    "Cho et al., Unsupervised Video Anomaly Detection via Normalizing Flows with Implicit Latent"
    " Features, Pattern Recognition 2022"
)

ERROR = Recipe(
    name="itae",
    title="ITAE",
    paper=CITATION,
    parts=(Part("magnitude", "itae.error", "none"),),  # R, Eq. 12: one column, its own norm
)

RECIPE = Recipe(
    name="itae-nf",
    title="ITAE+NF, calibrated by training scores",
    paper=f"after {CITATION}; the calibrations and weights of 1 are ours",
    parts=(
        Part("magnitude", "itae.error", "minmax-p99.9"),
        Part("flow", "itae.static", "sqrt"),
        Part("flow", "itae.dynamic", "sqrt"),
    ),
)

PAPER = Recipe(
    name="itae-nf-paper",
    title="ITAE+NF as published, normalised within test clips",
    paper=CITATION,
    parts=(  # S = R + lambda L, Eq. 14; L is the sum of both, normalised in each clip, Eq. 13
        Part("magnitude", "itae.error", "none"),
        Part("flow", "itae.static", "minmax-video", group="L"),
        Part("flow", "itae.dynamic", "minmax-video", group="L"),
    ),
    weights={  # lambda of Sec. 4.3.4, the best by test AUC of .1, .3, .5, .7, .9 and 1
        "ped1": (1, 0.3, 0.3),
        "ped2": (1, 0.3, 0.3),
        "avenue": (1, 0.1, 0.1),
        "shanghaitech": (1, 0.7, 0.7),
        "ucf_crime": (1, 0.7, 0.7),  # "all settings are the same as ST"
    },
)
