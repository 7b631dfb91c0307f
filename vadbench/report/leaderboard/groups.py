"""Which rows of the leaderboard are comparable: those of one group."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vadbench.spec import write_setting

# to be comparable
GROUPED = (
    "dataset",
    "setting",
    "split",
    "scope",
    "train_dataset",
    "labels",
    "labels_sha256",
    "regions_sha256",
)


@dataclass(frozen=True)
class Group:
    """What figures must share to be compared: data set, training, labels, protocol.

    Attributes:
        dataset: the tested one.
        setting: `one-class` or `unsupervised`.
        split: the re-split of an unsupervised setting.
        scope: `pooled` or `scene`.
        train_dataset: what was trained on.
        labels: name of the frame labels; empty where nothing was evaluated.
        labels_sha256: their hash; None where nothing was evaluated, or the record has none.
        regions_sha256: the hash of the region tracks; None where there are none, or the record has
            none.
        rules: what was chosen of the protocol, `field=value`, calibrations among it.
        smoothing: the protocol's sigma in frames, None without a filter.
        given: why given scores stand in a list of their own; empty of all others.
    """

    dataset: str
    setting: str
    split: str | None
    scope: str
    train_dataset: str
    labels: str
    labels_sha256: str | None
    regions_sha256: str | None
    rules: tuple[str, ...]
    smoothing: float | None
    given: str = ""

    @property
    def training(self) -> str:
        """The setting in words: `one-class, pooled`, `one-class, per scene, trained on avenue`,
        `unsupervised (every-second-test-video)`.
        """
        setting = self.setting if self.split is None else f"{self.setting} ({self.split})"
        scope = "per scene" if self.scope == "scene" else self.scope
        other = self.train_dataset != self.dataset
        trained = [f"trained on {self.train_dataset}"] if other else []
        return ", ".join([setting, scope, *trained, *filter(None, [self.given])])

    @property
    def protocol(self) -> str:
        """The protocol in words."""
        smoothing = (
            "no smoothing"
            if self.smoothing is None
            else f"Gaussian smoothing sigma {self.smoothing:g}"
        )
        return (
            f"{smoothing}; otherwise than the default protocol: {', '.join(self.rules)}"
            if self.rules
            else f"default protocol ({smoothing})"
        )

    @property
    def labelled(self) -> str:
        """The labels in words: name and beginning of the hash; likewise of the region tracks, where
        there are any.
        """
        name = self.labels or "none"
        frames = f"{name} ({self.labels_sha256[:8]})" if self.labels_sha256 else name
        return f"{frames}, regions {self.regions_sha256[:8]}" if self.regions_sha256 else frames

    @property
    def order(self) -> tuple[Any, ...]:
        """Where it stands among others: of a data set, what is usual comes first."""
        unusual = (
            self.setting != "one-class",
            self.train_dataset != self.dataset,
            bool(self.rules),
            self.scope != "pooled",
        )
        return self.dataset, *unusual, self.training, self.rules, self.labelled


def make_group(record: Mapping[str, Any]) -> Group:
    """The group of a row of `list_results`."""
    chosen = json.loads(record["chosen"]) if record["chosen"] else {}
    rules = tuple(f"{name}={write_setting(value)}" for name, value in chosen.items())
    trained = {name: record[name] for name in GROUPED}
    return Group(**trained, rules=rules, smoothing=record["sigma"], given=record.get("apart") or "")
