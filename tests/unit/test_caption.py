"""What a table's caption says of how its settings came about."""

import pytest

from vadbench.detector import APPROXIMATE
from vadbench.plans.plan import plan_suite
from vadbench.report.tables.caption import write_caption
from vadbench.report.tables.table import PublishedRow
from vadbench.results.schema import RunRecord
from vadbench.suite import make_suite

ORACLE = "of diffusion as published, which the authors chose by test labels: an oracle's figures."


@pytest.mark.parametrize(
    ("method", "preset", "told"),
    [("diffusion", "paper", True), ("diffusion", "fast", False), ("knn", "paper", False)],
)
def test_settings_that_authors_chose_by_test_labels_are_told(method, preset, told):
    plan = plan_suite(
        make_suite({"methods": (method,), "datasets": ("synthetic",), "preset": preset})
    )
    assert (ORACLE in write_caption(plan.suite, plan.wanted, [], ())) == told


@pytest.mark.parametrize(
    ("method", "features", "told"),
    [
        (
            "accivad",
            ("velocity", "deep"),
            "Not the whole recipe: accivad on deep + velocity is without pose.",
        ),
        (
            "speed-appearance",
            ("velocity",),
            "Not the whole recipe: speed-appearance on velocity is without deep.",
        ),
        ("speed-appearance", ("velocity.hof1", "deep"), None),
        ("speed-appearance@velocity", (), None),  # asked for so
        ("knn", (), None),
    ],
)
def test_a_recipe_that_lacks_a_stream_is_told(method, features, told):
    plan = plan_suite(
        make_suite({"methods": (method,), "datasets": ("synthetic",), "features": features})
    )
    caption = write_caption(plan.suite, plan.wanted, [], ())
    assert told in caption if told else "Not the whole recipe" not in caption


NO_NETWORK = (
    "No network is stated of clip@import.mine: settings that depend on it are the usual ones"
)


@pytest.mark.parametrize(
    ("method", "dataset", "features", "preset", "told"),
    [
        ("diffusion", "shanghaitech", "clip@import.mine", "paper", True),
        ("diffusion", "shanghaitech", "clip@import.mine", "fast", False),
        ("diffusion", "shanghaitech", "clip.r3d-18", "paper", False),
        ("diffusion", "ucf_crime", "clip@import.mine", "paper", False),  # one t for all networks
        ("mulde", "shanghaitech", "clip@import.mine", "paper", False),
    ],
)
def test_a_network_that_is_not_stated_is_told_where_settings_depend_on_it(
    method, dataset, features, preset, told
):
    published = ("diffusion-vad-icip2023/table2a", "diffusion-vad-icip2023/table2b")
    suite = {"methods": (method,), "datasets": (dataset,), "features": (features,)}
    plan = plan_suite(make_suite({**suite, "preset": preset, "published": published}))
    caption = write_caption(
        plan.suite, plan.wanted, [], (PublishedRow("a paper", "X", "f", (0.5,)),)
    )
    assert (NO_NETWORK in caption) == told


@pytest.mark.parametrize(
    ("features", "scope", "told"),
    [
        (("itae", "velocity"), "pooled", "by a network on the training videos, another for each"),
        (("itae",), "scene", "by a network on the training videos, one for all scenes, another"),
        (("velocity",), "pooled", None),
    ],
)
def test_learnt_streams_are_named(features, scope, told):
    suite = {"methods": ("knn",), "datasets": ("synthetic",), "features": features, "scope": scope}
    plan = plan_suite(make_suite(suite))
    caption = write_caption(plan.suite, plan.wanted, [], ())
    assert ("Streams of itae are learnt" in caption) == (told is not None)
    assert told is None or told in caption


def run_of(seed: int, *notes: str) -> RunRecord:
    job = {"dataset": "ped2", "stream": "deep", "method": "knn", "seed": seed}
    known = {"identity": "0" * 64, "fit_identity": "0" * 64, "runtime": {}, "environment": {}}
    return RunRecord(status="done", job=job, notes=notes, **known)


def test_what_is_approximate_is_told_once():
    plan = plan_suite(make_suite({"methods": ("knn",), "datasets": ("synthetic",)}))
    runs = [
        run_of(0, "deep: 1 training row is left out", f"{APPROXIMATE}by ivf finds 98.5 %"),
        run_of(1, f"{APPROXIMATE}by ivf finds 98.5 %"),
        run_of(2, f"{APPROXIMATE}by ivf\nfinds 97.0 %"),
    ]
    caption = write_caption(plan.suite, plan.wanted, [], (), runs)
    told = "`knn` on deep (ped2): by ivf finds 98.5 %; `knn` on deep (ped2): by ivf finds 97.0 %"
    assert f"Approximate: {told}." in caption
    assert "left out" not in caption
    assert "Approximate" not in write_caption(plan.suite, plan.wanted, [], (), runs[:0])
