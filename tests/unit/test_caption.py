"""What a table's caption says of how its settings came about."""

import pytest

from vadbench.benchmark import plan_suite
from vadbench.report.caption import caption_of
from vadbench.suite import make_suite

ORACLE = "Preset `paper` takes t of diffusion as published, which the authors chose by test labels: an oracle's figures."


@pytest.mark.parametrize(("method", "preset", "told"), [("diffusion", "paper", True), ("diffusion", "fast", False), ("knn", "paper", False)])
def test_settings_that_authors_chose_by_test_labels_are_told(method, preset, told):
    plan = plan_suite(make_suite({"methods": (method,), "datasets": ("synthetic",), "preset": preset}))
    assert (ORACLE in caption_of(plan, [], ())) == told
