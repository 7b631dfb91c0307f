"""Bits per dimension of flows on maps, as a figure."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from figure_records import run, write_dataset
from typer.testing import CliRunner

pytest.importorskip("matplotlib")
pytest.importorskip("normflows", reason="normflows is not installed (the extra [flow])")

from vadbench.cli import app
from vadbench.errors import BadInput
from vadbench.evaluation.frames import read_frames
from vadbench.files.canonical import canonical_hash
from vadbench.report.figures.bits import bits_per_dimension, draw_bits, read_bits
from vadbench.results.records import Results
from vadbench.runner import inputs

STREAM, SHAPE = "velocity.hof8@grid", (2, 2, 2)
FLOW = {"architecture": "glow-maps", "layers": 1, "hidden": 4, "max_steps": 3, "progress": "off"}


def write_shape(cache):
    """Have the manifests of a stream of eight columns say that they are maps."""
    for path in cache.rglob(f"{STREAM}@*/*/manifest.json"):
        manifest = json.loads(path.read_text())
        manifest.pop("sha256")
        manifest["shape"] = list(SHAPE)
        path.write_text(json.dumps({**manifest, "sha256": canonical_hash(manifest)}))


def open_as_maps(*place):
    stream = plain(*place)
    return replace(stream, features=replace(stream.features, shape=SHAPE))


plain = inputs.open_stream


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A data set, and records of a flow on maps and of one on vectors."""
    base = tmp_path_factory.mktemp("bits")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VADBENCH_DATA", str(base / "data"))
        patch.setenv("VADBENCH_CACHE", str(base / "cache"))
        patch.setattr(inputs, "open_stream", open_as_maps)
        write_dataset(base / "data")
        results = Results(base / "results")
        run(results, methods=("flow",), features=(STREAM,), settings={"flow": FLOW})
        run(results, methods=("gaussian",), features=(STREAM,))
        write_shape(base / "cache")
    return base


@pytest.fixture
def results(place, monkeypatch):
    monkeypatch.setenv("VADBENCH_DATA", str(place / "data"))
    monkeypatch.setenv("VADBENCH_CACHE", str(place / "cache"))
    return Results(place / "results")


def test_bits_are_nats_over_the_number_of_cells():
    unit = 0.5 * math.log(2 * math.pi) * 8  # of zeros under a unit Gaussian
    assert bits_per_dimension(np.array([unit]), SHAPE) == pytest.approx(1.3257, abs=1e-4)


def test_each_frame_has_the_bits_of_its_stored_score(results):
    record, (found,) = read_bits(results, f"flow@{STREAM}")
    nll = read_frames(results.run_of(record, 0), results).maxima[:, 0]
    there = np.isfinite(nll)
    assert there.any()
    np.testing.assert_allclose(found.values[there], nll[there] / (8 * math.log(2)))
    assert (found.stream, found.shape) == (STREAM, SHAPE)
    assert np.isfinite(found.values).all()


def test_the_command_draws_both_classes_and_says_what_d_is(results, tmp_path):
    out = tmp_path / "bits.svg"
    answer = CliRunner().invoke(
        app, ["plot", "bits", f"flow@{STREAM}", "--out", str(out), "--results", str(results.root)]
    )
    assert answer.exit_code == 0, answer.output
    picture = out.read_text()
    for text in ("normal (", "anomalous (", f"bits per dimension, flow on {STREAM}"):
        assert text in picture
    assert "NLL / (D ln 2)" in " ".join(answer.output.split())
    assert "8 (2 x 2 x 2)" in answer.output


def test_a_recipe_has_a_panel_a_flow(results, tmp_path):
    record, found = read_bits(results, f"flow@{STREAM}")
    out = tmp_path / "bits.svg"
    caption = draw_bits(record, [*found, replace(found[0], stream="itae.dynamic")], out)
    assert out.read_text().count("bits per dimension, flow on ") == 2
    assert "itae.dynamic: 8" in caption


def test_a_record_without_a_flow_on_maps_is_refused(results):
    with pytest.raises(BadInput, match="none of its parts is a flow on maps"):
        read_bits(results, f"gaussian@{STREAM}")


def test_without_the_features_the_size_of_a_map_is_unknown(results, tmp_path, monkeypatch):
    monkeypatch.setenv("VADBENCH_CACHE", str(tmp_path))
    with pytest.raises(BadInput, match="which say how large a map is; vadbench features extract"):
        read_bits(results, f"flow@{STREAM}")
