"""Whether flows are to see ITAE's maps standardised, by what they say of held-out normal videos:
nats a dimension of the maps as they are, less is better. No label is read.

    python benchmarks/itae_standardise.py

A network is kept from the last fifth of Ped2's training videos, and so is each flow.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from vadbench_methods.flow import Flow

from vadbench.datasets.open import open_dataset
from vadbench.detector import Standardisation
from vadbench.features.extract import ensure
from vadbench.locations import cache_root
from vadbench.plans.plan import plan_suite
from vadbench.runner.inputs import open_streams, split_held_out
from vadbench.suite import make_suite

STREAMS = ("itae.static", "itae.dynamic")


class AsTheyAre(Flow):
    """The same flow of maps that are not standardised."""

    def standardise(self, x: Any) -> Standardisation:
        """Nothing, of the maps that vary; the others are left out of both densities."""
        scale = super().standardise(x).scale
        return Standardisation(np.zeros(len(scale)), np.where(scale == 1.0, 1.0, 1.0 + 1e-9))


def main() -> None:
    """Print a line a stream and kind."""
    settings = {"itae": {"holdout": 0.2}}
    suite = {"methods": ["flow"], "datasets": ["ped2"], "features": STREAMS, "settings": settings}
    for job in plan_suite(make_suite(suite)).jobs:
        ensure(open_dataset("ped2"), job.stream, cache_root(), quiet=False, splits=("train",))
        fitted, held = split_held_out(job, open_streams(job, cache_root(), ("train",))["train"])
        for kind, method in (("standardised by map", Flow), ("as they are", AsTheyAre)):
            flow = method(job.config.model_copy(update={"progress": "off"}), seed=0)
            flow.fit(fitted.features)
            scale = np.log(np.asarray(flow.standardisation.scale, np.float64)).sum()
            nats = (flow.score(held.features)[:, 0] + scale) / held.features.x.shape[1]
            line = f"{job.stream.name}: {kind}: {nats.mean():.3f} (median {np.median(nats):.3f})"
            sys.stdout.write(f"{line} nats a dimension of {len(nats)} held-out rows\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
