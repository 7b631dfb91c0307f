"""vadbench: the comparative benchmark of density-based video anomaly detection.

The names below are the public API; each is imported when it is first used, so that `import
vadbench` costs nothing.
"""

from importlib import import_module
from typing import Any

from vadbench.threads import stop_spinning

_PUBLIC = {
    "BadInput": "vadbench.errors",
    "Detector": "vadbench.detector",
    "DetectorInfo": "vadbench.detector",
    "Features": "vadbench.detector",
    "LightningDetector": "vadbench.training",
    "MethodConfig": "vadbench.detector",
    "NeuralConfig": "vadbench.training",
    "Results": "vadbench.results.records",
    "Suite": "vadbench.suite",
    "check_detector": "vadbench.testing",
    "load_model": "vadbench.models.model",
    "load_results": "vadbench.results.frame",
    "plan_suite": "vadbench.plans.plan",
    "region_metrics": "vadbench.evaluation.metrics.regions",
    "run_suite": "vadbench.runner.run",
}
__all__ = sorted(_PUBLIC)


stop_spinning()


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("vadbench")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'vadbench' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
