"""Weights & Biases as a sink: training curves while jobs run, records afterwards.

Nothing is ever read back, and its failure fails no run.

A job's curves and metrics are one W&B run whose id is the beginning of the job's identity; a fusion
is another, with its record's.
"""

from vadbench.report.wandb.session import MODES, Mode
from vadbench.report.wandb.sink import Sink

__all__ = ["MODES", "Mode", "Sink"]
