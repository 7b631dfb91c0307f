"""Row scores to metrics: protocol, metrics, uncertainty. Never trains."""
