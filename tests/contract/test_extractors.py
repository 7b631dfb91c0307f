"""Every registered extractor whose weights are here keeps the contract of `check_extractor`, and
ones that break a clause of it are found out.
"""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from vadbench import registry
from vadbench.errors import BadInput, ContractError
from vadbench.features.contract import check_extractor

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add-extractor.md"
SMALL = {"itae": {"size": (32, 48), "width": 0.05, "steps": 4, "stride": 8}}


@pytest.mark.parametrize("name", registry.names("extractors"))
def test_an_extractor_keeps_the_contract(name):
    try:
        check_extractor(registry.load("extractors", name), SMALL.get(name))
    except BadInput as error:
        if "tracks" not in str(error) and "weights" not in str(error):
            raise
        pytest.skip(f"needs a file: {error}")


@pytest.fixture(scope="module")
def frame_code(tmp_path_factory):
    """The class of the page."""
    folder = tmp_path_factory.mktemp("page")
    block = re.search(r'^```python title="frame_code.py"\n(.*?)^```', PAGE.read_text(), re.S | re.M)
    (folder / "frame_code.py").write_text(block[1])
    sys.path.insert(0, str(folder))
    try:
        yield __import__("frame_code").FrameCode
    finally:
        sys.path.remove(str(folder))
        del sys.modules["frame_code"]


def breaks(cls, clause):
    with pytest.raises(ContractError, match=clause):
        check_extractor(cls, {"steps": 6, "units": 3})


def test_the_example_keeps_the_contract(frame_code):
    passed = []
    check_extractor(frame_code, {"steps": 6, "units": 3}, passed=passed.append)
    assert passed[-1] == "restores what it learnt"


def test_labels_are_out_of_reach(frame_code):
    class Peeks(frame_code):
        def train(self, videos, session):
            videos[0].dataset.labels()

    breaks(Peeks, "labels are never seen")


def test_vectors_by_chance_are_found_out(frame_code):
    class Chance(frame_code):
        def extract(self, *arguments):
            rows = super().extract(*arguments)
            rows.x[:] += np.random.default_rng().random(rows.x.shape, np.float32)
            return rows

    breaks(Chance, "same clip, same vectors")


def test_a_training_that_ignores_its_seed_is_found_out(frame_code):
    class Stubborn(frame_code):
        def train(self, videos, session):
            import torch

            torch.manual_seed(0)
            session.seed = 0
            super().train(videos, session)

    breaks(Stubborn, "another seed, another network")


def test_batches_that_remember_are_found_out(frame_code):
    class Session:
        """Gives batches of a generator that goes on."""

        def __init__(self, session):
            self.session = session
            self.chance = np.random.default_rng(session.seed)

        def __getattr__(self, name):
            return getattr(self.session, name)

        def fit(self, net, batch, loss, **others):
            self.session.fit(net, lambda step: batch(int(self.chance.integers(99))), loss, **others)

    class Remembers(frame_code):
        def train(self, videos, session):
            super().train(videos, Session(session))

    breaks(Remembers, "an interrupted training ends the same")


def test_a_training_that_keeps_nothing_is_found_out(frame_code):
    class Session:
        def __init__(self, session):
            self.session = session

        def __getattr__(self, name):
            return getattr(self.session, name)

        def fit(self, net, batch, loss, *, steps, optimiser, items):
            for step in range(steps):
                loss(batch(step)).backward()
                optimiser.step()

    class Forgets(frame_code):
        def train(self, videos, session):
            super().train(videos, Session(session))

    breaks(Forgets, "nothing was kept; train with session.fit")


def test_other_shapes_than_declared_are_found_out(frame_code):
    class Wide(frame_code):
        def columns(self):
            return (*super().columns(), "one more")

    breaks(Wide, "vectors are finite float32")


def test_an_option_of_both_stages_is_found_out(frame_code):
    class Both(frame_code):
        @classmethod
        def resolve(cls, options, variant, provider):
            return {"units": options.units}

    breaks(Both, "an option decides one stage")


def test_taking_any_weights_is_found_out(frame_code):
    class Greedy(frame_code):
        def restore(self, arrays, device):
            if all(values.size for values in arrays.values()):
                super().restore(arrays, device)

    breaks(Greedy, "it takes arrays of other shapes")


def test_an_identity_that_makes_no_extractor_is_found_out(frame_code):
    class Blanks(frame_code):
        def training(self):
            return {**super().training(), "steps": None}

    breaks(Blanks, r"its identity makes it again: with .*steps")


def test_a_preset_that_makes_no_extractor_is_found_out(frame_code):
    class Preset(frame_code):
        @classmethod
        def preset(cls, name, dataset):
            return {"units": 5} if name == "paper" else {}

        def training(self):
            return {**super().training(), "units": self.options.units + (self.options.units > 4)}

    breaks(Preset, "its identity makes it again")
