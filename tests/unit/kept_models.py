"""Small kept models for tests: detectors fitted to rows that are drawn, streams of one name."""

from pathlib import Path

from vadbench import registry
from vadbench.datasets.synthetic import Synthetic
from vadbench.detector import Detector
from vadbench.evaluation.frames import training_statistics
from vadbench.features.stream import plan_stream
from vadbench.files.canonical import canonical_hash
from vadbench.models.fits import write_fit
from vadbench.models.manifest import KeptFit, KeptStatistics, describe_plan
from vadbench.models.store import Kept, write_model
from vadbench.results.identity import identity_of
from vadbench.spec import Protocol, Result, ScoredPart
from vadbench.testing import small_config, synthetic_rows
from vadbench.versions import code_of

TRAIN = synthetic_rows(400, videos=4, seed=0)


def fitted(method: str) -> Detector:
    """A detector fitted to 400 rows."""
    loaded = registry.load("detectors", method)
    detector = loaded(small_config(loaded, {}), seed=0)
    detector.fit(TRAIN)
    return detector


def keep(root: Path, method: str = "magnitude", detector: Detector | None = None) -> Kept:
    """A model of one part under a results folder; its stream is `velocity`."""
    detector = detector or fitted(method)
    plan = plan_stream(Synthetic(root), "velocity", {})
    row, frame = training_statistics(detector.score_normal(TRAIN), TRAIN.video, TRAIN.frame)
    run = canonical_hash([method, "run"])
    fit = KeptFit(
        identity=run,
        stream=describe_plan(plan),
        code=code_of("detectors", method),
        read_outs=detector.read_outs,
        detectors={"": "detector-0"},
        row=KeptStatistics.of(row),
        frame=KeptStatistics.of(frame),
        windows=False,
        columns=TRAIN.x.shape[1],
        train_rows=len(TRAIN),
    )
    write_fit(root, fit, {"": detector})
    part = ScoredPart(method=method, stream="velocity", calibration="none", config={})
    result = Result(
        dataset="synthetic", method=method, parts=(part,), protocol=Protocol(smoothing=3)
    )
    return write_model(root, identity_of(result, [run]), result, [run], [None])
