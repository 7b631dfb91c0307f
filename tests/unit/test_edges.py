"""Settings at the edge of what they may be: each is refused in one line, or a method can be fitted
with it and scores.
"""

import math
import warnings

import numpy as np
import pytest

from vadbench import registry
from vadbench.errors import BadInput
from vadbench.testing import small_config, synthetic_maps, synthetic_poses, synthetic_rows

SMALL = {
    "epochs": 2,
    "max_steps": 3,
    "batch_size": 32,
    "units": (8,),
    "hidden": 8,
    "layers": 2,
    "landmarks": 10,
    "trees": 3,
}
# settings beside which others mean something
WAYS = {
    "knn": ({}, {"index": "hnsw"}, {"index": "ivf"}),
    "gmm": ({}, {"absolute": True}),
    "directed": ({"columns": (0, 1)},),
    "diffusion": ({"also": ("scaled",), "t": (0,)}, {"sampler": "heun"}),
    "mulde": ({"read_outs": ("gmm5", "mean", "scales")},),
    "msma": ({"read_outs": ("gmm", "knn", "gmm-raw3", "scales")}, {"network": "log-density"}),
    "flow": ({}, {"architecture": "nsf"}, {"architecture": "glow-maps"}),
}


def find_edges(schema):
    """Values at the bounds that a field's JSON schema states, those of a tuple's entries in one."""
    for part in schema.get("anyOf", ()):
        yield from find_edges(part)
    if "prefixItems" in schema:
        entries = [list(find_edges(entry)) for entry in schema["prefixItems"]]
        yield from zip(*entries, strict=True)
    elif isinstance(schema.get("items"), dict):
        yield from ((edge,) for edge in find_edges(schema["items"]))
    whole = schema.get("type") == "integer"
    for bound, way in (("exclusiveMinimum", math.inf), ("exclusiveMaximum", -math.inf)):
        if bound in schema:
            near = schema[bound] + (1 if way > 0 else -1)
            yield near if whole else math.nextafter(schema[bound], way)
    yield from (schema[bound] for bound in ("minimum", "maximum") if bound in schema)


def list_edges():
    for method in registry.names("detectors"):
        fields = registry.load("detectors", method).Config.model_json_schema()["properties"]
        for name, schema in fields.items():
            for edge in dict.fromkeys(find_edges(schema)):
                for way in WAYS.get(method, ({},)):
                    yield pytest.param(
                        method, name, edge, way, id=f"{method}.{name}={edge}{way or ''}"
                    )


def make_rows(method, way):
    if registry.load("detectors", method).takes == "poses":
        return synthetic_poses
    return synthetic_maps if way.get("architecture") == "glow-maps" else synthetic_rows


@pytest.mark.parametrize(("method", "name", "edge", "way"), list_edges())
def test_an_edge_is_refused_or_works(method, name, edge, way):
    cls, make = registry.load("detectors", method), make_rows(method, way)
    small = {field: value for field, value in SMALL.items() if field in cls.Config.model_fields}
    try:
        config = small_config(cls, {**small, **way, name: edge})
    except BadInput:
        return
    detector = cls(config, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector.fit(make(60, 3, 0))
        scores = detector.score(make(10, 2, 1))
        normal = detector.score_normal(make(60, 3, 0))
    assert np.isfinite(scores).all()
    assert np.isfinite(normal).all()


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("diffusion", {"p_std": 300.0}, "noise levels that fall"),
        ("diffusion", {"p_std": 17.0}, "noise levels that fall"),
        ("diffusion", {"p_mean": -80.0}, "noise levels that fall"),
        ("diffusion", {"rho": 0.01}, "noise levels that fall"),
        ("mulde", {"sigma_low": 1e-6}, "above 0 and differ"),
        ("mulde", {"sigma_low": 0.5, "sigma_high": 0.5001}, "above 0 and differ"),
        ("mulde", {"sigma_low": 1e5, "sigma_high": 1e5 + 1, "read_outs": ("scales",)}, "differ"),
        ("msma", {"sigma_low": 0.9999, "read_outs": ("scales",)}, "must differ in 4 digits"),
        ("mulde", {"betas": (0.5, -1.0)}, "betas"),
        ("msma", {"betas": (1.0, 0.9)}, "betas"),
    ],
)
def test_settings_that_only_together_are_none_are_one_line(method, settings, message):
    with pytest.raises(BadInput, match=message) as refusal:
        small_config(registry.load("detectors", method), settings)
    assert "\n" not in str(refusal.value)
