"""Methods that claim a density rank as the exact one does: a mixture of four Gaussians in 8
dimensions (the flow's: test_flow.py).
"""

import numpy as np
import pytest
from known_mixture import mixture
from scipy.stats import spearmanr
from vadbench_methods.gmm import GMM
from vadbench_methods.mulde import MULDE

from vadbench.detector import Detector, Features, Nature


def features(x: np.ndarray) -> Features:
    return Features(x, np.arange(len(x)) * 4 // len(x), np.arange(len(x)), name="toy")


def agreement(detector: Detector, rows: int) -> float:
    """Spearman's rank correlation of the scores of 3000 fresh rows with their exact -log
    density.
    """
    train, _ = mixture(rows, seed=2)
    fresh, exact = mixture(3000, seed=3)
    detector.fit(features(train))
    return float(spearmanr(detector.score(features(fresh))[:, 0], exact).statistic)


def test_gmm_finds_the_density() -> None:
    """The training: preset `fast` on 20,000 rows."""
    assert agreement(GMM(GMM.Config(**GMM.preset("fast", "", Nature())), seed=0), 20_000) > 0.99


@pytest.mark.slow
def test_mulde_finds_the_density() -> None:
    """The training: preset `fast` on 50,000 rows, at noise of .05 to .5 deviations and without the
    regulariser, which bends the density.

    Read out as the mean over the scales. With the paper's noise up to 1 the density is blurred
    beyond this, and the mixtures over the scales do not claim it: they tell how usual a row's
    values are.
    """
    settings = {
        **MULDE.preset("fast", "", Nature()),
        "beta": 0.0,
        "sigma_low": 0.05,
        "sigma_high": 0.5,
        "read_outs": ("mean",),
        "epochs": 1000,
    }
    assert agreement(MULDE(MULDE.Config(**settings, progress="off"), seed=0), 50_000) > 0.99
