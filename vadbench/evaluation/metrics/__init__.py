"""What scores are worth: frame metrics, region metrics, and how sure they are."""

from vadbench.evaluation.metrics.frame import frame_metrics
from vadbench.evaluation.metrics.regions import region_metrics

__all__ = ["frame_metrics", "region_metrics"]
