"""What a table's caption says of how its settings came about."""

import pytest

from vadbench.benchmark import plan_suite
from vadbench.report.caption import caption_of
from vadbench.suite import make_suite

ORACLE = "of diffusion as published, which the authors chose by test labels: an oracle's figures."


@pytest.mark.parametrize(("method", "preset", "told"), [("diffusion", "paper", True), ("diffusion", "fast", False), ("knn", "paper", False)])
def test_settings_that_authors_chose_by_test_labels_are_told(method, preset, told):
    plan = plan_suite(make_suite({"methods": (method,), "datasets": ("synthetic",), "preset": preset}))
    assert (ORACLE in caption_of(plan, [], ())) == told


@pytest.mark.parametrize(
    ("method", "features", "told"),
    [
        ("accivad", ("velocity", "deep"), "Not the whole recipe: accivad on deep + velocity is without pose."),
        ("speed-appearance", ("velocity",), "Not the whole recipe: speed-appearance on velocity is without deep."),
        ("speed-appearance", ("velocity.hof1", "deep"), None),
        ("speed-appearance@velocity", (), None),  # asked for so
        ("knn", (), None),
    ],
)
def test_a_recipe_that_lacks_a_stream_is_told(method, features, told):
    plan = plan_suite(make_suite({"methods": (method,), "datasets": ("synthetic",), "features": features}))
    caption = caption_of(plan, [], ())
    assert told in caption if told else "Not the whole recipe" not in caption
