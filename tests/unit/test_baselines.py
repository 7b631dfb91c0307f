import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, spearmanr
from sklearn.covariance import ledoit_wolf
from sklearn.ensemble import IsolationForest as SklearnForest
from vadbench_methods import gaussian, iforest, ocsvm
from vadbench_methods.autoencoder import Autoencoder
from vadbench_methods.gaussian import Gaussian, shrink
from vadbench_methods.iforest import IsolationForest
from vadbench_methods.magnitude import Magnitude
from vadbench_methods.ocsvm import OCSVM

from vadbench.detector import Detector, Features, Nature, Standardisation
from vadbench.features.stream import declared_nature


def features(x: np.ndarray) -> Features:
    return Features(x.astype(np.float32), np.arange(len(x)) * 4 // len(x), np.arange(len(x)))


@pytest.fixture(scope="module")
def train() -> Features:
    generator = np.random.default_rng(0)
    return features(generator.normal(size=(600, 5)) @ generator.normal(size=(5, 5)) + 3)


def fit_on(cls: type[Detector], train: Features, seed: int = 0, **changes: object) -> Detector:
    quick = {"progress": "off", "max_steps": 30} if cls is Autoencoder else {}
    detector = cls(
        cls.Config(**{**cls.preset("fast", "", Nature()), **quick, **changes}), seed=seed
    )
    detector.fit(train)
    return detector


@pytest.mark.parametrize(
    ("stream", "columns"),
    [
        ("velocity", (0, 1, 2, 3)),
        ("velocity@grid", (0, 1, 2, 3)),
        ("velocity.hof8", None),
        ("tracks", (0,)),
        ("tracks@import.x", None),
        ("velocity@import.x", None),
        ("deep", None),
        ("clip@import.x", None),
    ],
)
def test_magnitude_adds_columns_of_speed_where_others_stand_beside_them(
    stream: str, columns: tuple[int, ...] | None
) -> None:
    for preset in ("fast", "paper"):
        assert (
            Magnitude.Config(
                **Magnitude.preset(preset, "shanghaitech", declared_nature(stream))
            ).columns
            == columns
        )


@pytest.mark.parametrize("cls", [Gaussian, IsolationForest, OCSVM, Autoencoder])
def test_saved_and_loaded_scores_are_equal_to_the_bit(
    cls: type[Detector], train: Features, tmp_path
) -> None:
    detector = fit_on(cls, train)
    detector.save(tmp_path)
    np.testing.assert_array_equal(cls.load(tmp_path).score(train), detector.score(train))


@pytest.mark.parametrize(
    ("cls", "module"), [(Gaussian, gaussian), (IsolationForest, iforest), (OCSVM, ocsvm)]
)
def test_blocks_of_rows_do_not_show(
    cls: type[Detector], module, train: Features, monkeypatch
) -> None:
    whole = fit_on(cls, train).score(train)
    monkeypatch.setattr(module, "BLOCK", 7)
    np.testing.assert_allclose(fit_on(cls, train).score(train), whole, rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(3, 60), dim=st.integers(1, 8), seed=st.integers(0, 99))
def test_shrinkage_is_that_of_scikit_learn(rows: int, dim: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(rows, dim)) * np.arange(1, dim + 1)
    x -= x.mean(0)
    ours = shrink(x.T @ x / rows, float(np.square(np.square(x).sum(1)).mean()), rows)
    np.testing.assert_allclose(ours, ledoit_wolf(x, assume_centered=True)[0], rtol=1e-9, atol=1e-12)


def test_gaussian_is_the_log_density_of_a_gaussian() -> None:
    covariance = np.array([[2.0, 0.8], [0.8, 1.0]])
    x = np.random.default_rng(0).multivariate_normal([3, -1], covariance, size=50_000)
    found = fit_on(Gaussian, features(x)).score(features(x[:500]))[:, 0]
    expected = -multivariate_normal([3, -1], covariance).logpdf(x[:500])
    np.testing.assert_allclose(found - found.mean(), expected - expected.mean(), atol=0.1)
    assert spearmanr(found, expected).statistic > 0.999


@pytest.mark.parametrize("rows", [60, 2000])
def test_constant_columns_change_no_ranking(rows: int) -> None:
    """A thousand of them would otherwise undo the Gaussian's shrinkage and flatten the kernel."""
    x = (
        np.random.default_rng(0)
        .multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], rows + 200)
        .astype(np.float32)
    )
    wide = np.concatenate([x, np.full((len(x), 1000), 3.0, np.float32)], 1)
    for cls in (Gaussian, OCSVM):
        alone, among = (cls(cls.Config(), seed=0) for _ in range(2))
        alone.fit(features(x[:rows]))
        among.fit(features(wide[:rows]))
        first, second = (
            one.score(features(test[rows:])) for one, test in ((alone, x), (among, wide))
        )
        np.testing.assert_allclose(first - first[0], second - second[0], rtol=1e-6, atol=1e-6)


def test_isolation_forest_scores_as_scikit_learn(train: Features) -> None:
    test = features(np.random.default_rng(1).normal(size=(300, 5)) * 5)
    reference = SklearnForest(n_estimators=100, max_samples=256, random_state=7).fit(train.x)
    np.testing.assert_allclose(
        fit_on(IsolationForest, train, seed=7).score(test)[:, 0],
        -reference.score_samples(test.x),
        rtol=1e-12,
    )


def test_ocsvm_folds_the_map_into_one_weight_a_landmark(train: Features) -> None:
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import SGDOneClassSVM

    detector = fit_on(OCSVM, train, landmarks=50)
    x = (
        ((train.x - train.x.mean(0, dtype=float)) / train.x.std(0, ddof=1, dtype=float))
        .astype(np.float32)
        .astype(float)
    )
    mapped = Nystroem(gamma=0.2, n_components=50, random_state=0)
    svm = SGDOneClassSVM(nu=0.05, max_iter=20, tol=None, average=True, random_state=0).fit(
        mapped.fit_transform(x)
    )
    np.testing.assert_allclose(
        detector.score(train)[:, 0], -svm.decision_function(mapped.transform(x)), atol=1e-4
    )


def test_ocsvm_leaves_about_nu_of_the_training_rows_outside(train: Features) -> None:
    outside = (fit_on(OCSVM, train, nu=0.2).score(train) > 0).mean()
    assert 0.1 < outside < 0.3


def test_ocsvm_uses_no_more_rows_than_told(train: Features) -> None:
    learnt = fit_on(OCSVM, train, rows=50).learnt
    standard = Standardisation(learnt["mean"], learnt["scale"]).apply(train.x)
    used = np.flatnonzero(np.isclose(standard[:, None], learnt["landmarks"]).all(2).any(1))
    assert learnt["landmarks"].shape == (50, 5)
    assert len(used) == 50
    assert used.max() >= 50


def test_autoencoder_reconstructs_a_curve_through_its_bottleneck() -> None:
    t = np.random.default_rng(0).uniform(-2, 2, size=(2000, 1))
    curve = np.concatenate([t, t**2, np.sin(t)], 1)
    detector = fit_on(
        Autoencoder,
        features(curve),
        code=1,
        units=(64, 32),
        max_steps=300,
        epochs=300,
        batch_size=512,
    )
    off = curve[:200] + np.array([0, 2, 0])
    assert np.median(detector.score(features(off))) > 10 * np.median(
        detector.score(features(curve[:200]))
    )


def test_autoencoder_bottleneck_is_an_eighth_of_the_features() -> None:
    widths = [
        layer.out_features
        for layer in Autoencoder(Autoencoder.Config(), seed=0).build(2048)
        if hasattr(layer, "out_features")
    ]
    assert widths == [1024, 512, 256, 512, 1024, 2048]
