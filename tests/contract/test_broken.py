"""Methods that break one clause each are refused, with a message that says which and why."""

import numpy as np
import pytest
from pydantic import Field

from vadbench.detector import Detector, DetectorInfo, Features, MethodConfig, runtime, scoring
from vadbench.testing import check_detector


class Settings(MethodConfig):
    power: float = Field(2.0, gt=0, description="exponent of the distance")


class Sound(Detector):
    """Distance to a random linear image of the training mean: keeps every clause."""

    Config = Settings
    info = DetectorInfo("sound", "Sound", "none", deterministic=False)

    def fit(self, train):
        train.require_rows(2)
        self.mean, self.spread = (
            train.x.mean(0, dtype=np.float64),
            train.x.std(0, dtype=np.float64) + 1.0,
        )
        self.weight = self.generator().uniform(1, 2, train.x.shape[1])

    def generator(self):
        return np.random.default_rng(self.seed)

    def score(self, test):
        test.require_columns(len(self.mean), "sound")
        distance = np.abs((test.x - self.mean) / self.spread) * self.weight
        return (distance**self.config.power).sum(1, keepdims=True)

    def arrays(self):
        return {"mean": self.mean, "spread": self.spread, "weight": self.weight}

    def restore(self, arrays):
        self.mean, self.spread, self.weight = arrays["mean"], arrays["spread"], arrays["weight"]


class Normalised(Sound):
    """Scores are min-max normalised over whatever rows are scored together."""

    def score(self, test):
        scores = super().score(test)
        return (scores - scores.min()) / (np.ptp(scores) or 1.0) if len(scores) else scores


class SinglePrecision(Sound):
    def score(self, test):
        return super().score(test).astype(np.float32)


class Unseeded(Sound):
    def generator(self):
        return np.random.default_rng()


class Forgetful(Sound):
    """The spread is not saved."""

    def arrays(self):
        return {"mean": self.mean, "weight": self.weight}

    def restore(self, arrays):
        self.mean, self.weight, self.spread = arrays["mean"], arrays["weight"], 1.0


class Inverted(Sound):
    """A likelihood instead of an anomaly score."""

    def score(self, test):
        return -super().score(test)


class Unused(Sound):
    class Config(Settings):
        temperature: float = Field(1.0, description="nobody reads this")


class NotRuntime(Sound):
    class Config(MethodConfig):
        power: float = runtime(2.0, "said to be runtime only", gt=0)


class GlobalGenerator(Sound):
    def generator(self):
        np.random.seed(self.seed)
        return np.random


class Greedy(Sound):
    """Learns from a single row."""

    def fit(self, train):
        if len(train):
            super().fit(train.rows(np.arange(max(len(train), 2)) % len(train)))


class Careless(Sound):
    """Takes rows as they come."""

    def score(self, test):
        distance = np.abs((test.x - self.mean) / self.spread) * self.weight
        return (distance**self.config.power).sum(1, keepdims=True)


class Lenient(Sound):
    """Leaves columns out that are too many."""

    def score(self, test):
        columns = slice(0, len(self.mean))
        return super().score(Features(test.x[:, columns], test.video, test.frame))


class Destructive(Sound):
    """Standardises the training rows in place."""

    def fit(self, train):
        super().fit(train)
        train.x[:] -= self.mean


class BrokenByConstants(Sound):
    def fit(self, train):
        super().fit(train)
        self.spread -= 1.0

    def score(self, test):
        with np.errstate(divide="ignore", invalid="ignore"):
            return super().score(test)


class FalselyDeterministic(Sound):
    info = DetectorInfo("false", "False", "none", deterministic=True)


class Wide(Sound):
    """One read-out is named, two columns are given."""

    def score(self, test):
        return np.tile(super().score(test), (1, 2))


class Undescribed(Sound):
    class Config(MethodConfig):
        power: float = 2.0


class Scaled(Sound):
    """A sound method with a scoring field and an optional one."""

    class Config(Settings):
        root: bool = scoring(False, "take the square root")
        cap: float | None = Field(None, gt=0, description="largest score")

    def score(self, test):
        scores = np.sqrt(super().score(test)) if self.config.root else super().score(test)
        return np.minimum(scores, self.config.cap or np.inf)


class Reconfigured(Scaled):
    """A sound method that keeps its fit under another scoring."""

    def reconfigured(self, config, train):
        other = type(self)(config, seed=self.seed)
        other.restore(self.arrays())
        return other


class Stale(Reconfigured):
    """The old config goes on."""

    def reconfigured(self, config, train):
        return super().reconfigured(self.config, train)


class Overwritten(Reconfigured):
    """The new config is taken up by the detector itself."""

    def reconfigured(self, config, train):
        self.config = config
        return self


@pytest.mark.parametrize("cls", [Sound, Scaled, Reconfigured])
def test_a_sound_method_passes_every_clause(cls):
    passed = []
    check_detector(cls, passed=passed.append)
    assert len(passed) == 15


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (Normalised, "each row's score depends on that row alone"),
        (SinglePrecision, "score gave float32"),
        (Unseeded, "the same seed gives the same scores to the bit"),
        (Forgetful, "save and load keep everything"),
        (Inverted, "an obvious outlier scores above the bulk.*higher must mean more anomalous"),
        (Unused, "every config field changes the scores: temperature = 1.0 does as well as"),
        (NotRuntime, "a runtime field changes no score: power = "),
        (GlobalGenerator, "the global random state is untouched: numpy's generator has moved"),
        (Greedy, r"fit refuses fewer than two rows with BadInput: 0 rows were accepted"),
        (Careless, r"refuses rows of other columns .*: 5 columns, 6 were fitted, fail with Value"),
        (Lenient, r"refuses rows of other columns .*: 7 columns, 6 were fitted, were scored"),
        (Destructive, "features are not modified: x has changed in place"),
        (BrokenByConstants, "constant features survive: scores are not finite"),
        (FalselyDeterministic, "info.deterministic is true: another seed gives other scores"),
        (Wide, r"score gave shape \(150, 2\), expected \(150, 1\)"),
        (Undescribed, "every config field is described: no description for power"),
        (Stale, "reconfigured scores like a new fit: with root = True, score gives scores up to "),
        (
            Overwritten,
            (
                "reconfigured scores like a new fit: root = True has changed the detector it was"
                " asked of"
            ),
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_broken_method_is_refused_with_the_reason(cls, message):
    with pytest.raises(AssertionError, match=message) as refusal:
        check_detector(cls)
    assert str(refusal.value).startswith(f"{cls.__name__}: ")
    assert "\n" not in str(refusal.value)
