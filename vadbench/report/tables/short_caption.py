"""The caption in one line, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def summarise(
    preset: str,
    setting: str,
    seeds: int,
    smoothing: Mapping[str, float | None],
    labels: Iterable[str] = (),
) -> str:
    """What a reader has to know of the numbers: preset, setting, seeds, smoothing.

    Args:
        preset: of the suite.
        setting: one-class or unsupervised.
        seeds: how many.
        smoothing: data set -> the Gaussian's sigma in frames; None: unsmoothed.
        labels: names of labels, where they are not the official ones.

    >>> summarise("fast", "one-class", 3, {"ped2": 3.0})
    'Preset fast, one-class, mean ± deviation over 3 seeds, smoothing sigma 3; percent.'
    """
    parts = [f"Preset {preset}", setting]
    parts.append("seed 0" if seeds == 1 else f"mean ± deviation over {seeds} seeds")
    sigmas = dict.fromkeys(smoothing.values())
    if len(sigmas) > 1:
        each = [f"{_sigma(sigma)} ({dataset})" for dataset, sigma in smoothing.items()]
        parts.append(f"smoothing {', '.join(each)}")
    elif sigmas:
        parts.append(f"smoothing {_sigma(next(iter(sigmas)))}")
    parts += [f"labels {', '.join(names)}"] if (names := dict.fromkeys(labels)) else []
    return f"{', '.join(parts)}; percent."


def _sigma(sigma: float | None) -> str:
    return "none" if sigma is None else f"sigma {sigma:g}"
