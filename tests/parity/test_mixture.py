"""MULDE's auxiliary mixture: the same negative log-likelihoods as the released pipeline
(scikit-learn, random_state 0, absolute floor).
"""

import numpy as np
import pytest
from vadbench_methods.mixture import fit_mixture


@pytest.fixture(scope="module")
def oracle(oracles):
    with np.load(oracles / "methods" / "mulde_oracle.npz", allow_pickle=False) as arrays:
        return {
            name.removeprefix("gmm/"): arrays[name]
            for name in arrays.files
            if name.startswith("gmm/")
        }


@pytest.mark.parametrize("components", [1, 3, 5])
def test_negative_log_likelihood_is_the_reference_s(oracle, components):
    mixture = fit_mixture(oracle["train"], components, 0, absolute=True)
    np.testing.assert_allclose(mixture.nll(oracle["test"]), oracle[f"nll_{components}"], rtol=1e-6)


@pytest.mark.parametrize("components", [1, 3, 5])
def test_parameters_are_the_reference_s(oracle, components):
    mixture = fit_mixture(oracle["train"], components, 0, absolute=True)
    np.testing.assert_allclose(mixture.weights, oracle[f"w_{components}"], rtol=1e-6)
    np.testing.assert_allclose(mixture.means, oracle[f"means_{components}"], rtol=1e-6)
    np.testing.assert_allclose(
        mixture.covariances, oracle[f"cov_{components}"], rtol=1e-6, atol=1e-12
    )
