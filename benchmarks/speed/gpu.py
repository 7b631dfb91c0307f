"""What a GPU makes of vadbench: steps over the floor of their matrix products, how often one waits
for the GPU, scoring, neighbours, mixtures, peak memory; whether its scores are the processor's, and
what TF32 and bfloat16 do to them. Under six minutes on an H100.

    PYTHONPATH=.:methods python benchmarks/speed/gpu.py [--out gpu.json]

runs from a folder of sources; nothing need be installed but torch, pytorch-lightning, scikit-learn,
pydantic and rich (Python 3.11 or later), and for `flow` normflows. `--cpu --small` runs all of it
on the processor in a minute, which shows nothing but that it runs. Each part's figures are written
as soon as they are there; a part that fails says so, and the others run.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

NEEDED = ("numpy", "torch", "pytorch_lightning", "sklearn", "scipy", "pydantic", "rich")
lacking = [name for name in NEEDED if importlib.util.find_spec(name) is None]
if lacking or importlib.util.find_spec("vadbench_methods") is None:
    name = Path(__file__).name
    told = f"is lacking: {', '.join(lacking)}" if lacking else "PYTHONPATH=.:methods is not set"
    print(f"{name}: {told} (pip install --target site ..., PYTHONPATH=.:methods:site)")
    sys.exit(2)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from vadbench_methods import mixture_device  # noqa: E402
from vadbench_methods.diffusion import Diffusion  # noqa: E402
from vadbench_methods.flow import Flow  # noqa: E402
from vadbench_methods.knn import KNN, KNNConfig  # noqa: E402
from vadbench_methods.mixture import Mixture  # noqa: E402
from vadbench_methods.msma import MSMA  # noqa: E402
from vadbench_methods.mulde import MULDE  # noqa: E402

from vadbench import loading  # noqa: E402
from vadbench.detector import Features, Nature  # noqa: E402
from vadbench.errors import BadInput  # noqa: E402
from vadbench.trainer import train_network  # noqa: E402
from vadbench.training import (  # noqa: E402
    LightningDetector,
    reproducible,
    require_precision,
    resolve_device,
    rounding,
)

METHODS: dict[str, type[LightningDetector]] = {
    "mulde": MULDE,
    "msma": MSMA,
    "diffusion": Diffusion,
    "flow": Flow,
}
PRECISIONS = ("32-true", "tf32", "bf16-mixed")
NOTES = ("not", "failed", "waits_at")
Figures = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """What is measured."""

    dim: int = 512
    units: int = 4096
    batch: int = 2048
    rows: int = 50_000  # trained on
    steps: int = 100
    scored: int = 100_000
    near_rows: int = 1_000_000
    near_queries: int = 10_000
    mixture_rows: int = 1_000_000
    few: int = 2_000  # scored by GPU and processor
    effect_steps: int = 600
    effect_units: int = 1_024


SMALL = Sizes(16, 32, 64, 300, 6, 200, 3_000, 20, 2_000, 100, 20, 32)


def normal_rows(rows: int, dim: int, seed: int, odd: float = 0.0) -> Features:
    """Rows near a curved surface of 8 dimensions in `dim`; a share of odd ones beside it."""
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(1).normal(size=(16, dim)).astype(np.float32) / 4
    latent = generator.normal(size=(rows, 8)).astype(np.float32)
    x = np.concatenate([latent, np.sin(2 * latent)], 1) @ mixing
    x += 0.1 * generator.normal(size=x.shape).astype(np.float32)
    x[: int(odd * rows)] += 0.15 * generator.normal(size=(int(odd * rows), dim)).astype(np.float32)
    return Features(x, np.arange(rows) * 10 // rows, np.arange(rows), name="made")


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def seconds(device: torch.device, work: Callable[[], object], repeats: int = 1) -> float:
    """Of one call: the least of so many, everything that was queued done."""
    taken = []
    for _ in range(repeats):
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        taken.append(time.perf_counter() - began)
    return min(taken)


@contextmanager
def peak_memory(device: torch.device, into: Figures) -> Iterator[None]:
    """MiB that tensors took on the GPU at most."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    yield
    into["peak_mib"] = torch.cuda.max_memory_allocated() / 2**20


def configure(name: str, sizes: Sizes, **settings: Any) -> Any:
    """The preset `paper`; in the small run its networks are small."""
    cls = METHODS[name]
    paper = cls.preset("paper", "ped2", Nature())
    if sizes == SMALL:
        paper |= {"units": (sizes.units, sizes.units)} if name != "flow" else {"layers": 2}
        paper |= {"batch_size": sizes.batch}
    common = {"epochs": 10**6, "progress": "off", "device": settings.pop("device", "auto")}
    return cls.Config(**{**paper, **common, **settings})


def prepare(name: str, train: Features, config: Any, device: torch.device) -> LightningDetector:
    """A detector whose training can begin, as in `fit`."""
    require_precision(config.precision, device)
    detector = METHODS[name](config, seed=0)
    detector.standardisation = detector.standardise(train.x)
    detector.net = detector.build(train.x.shape[1])
    return detector


def train(name: str, rows: Features, config: Any, device: torch.device) -> LightningDetector:
    """Trained as by `fit`, without scoring the training rows."""
    with reproducible(0, device), rounding(device, config.precision == "tf32"):
        detector = prepare(name, rows, config, device)
        train_network(detector, detector._batches(rows), device)
    return detector


def lightning_steps(
    name: str, rows: Features, config: Any, device: torch.device, steps: int
) -> Figures:
    """ms of a step by Lightning, and how often it waits, of many less those of a few: what a
    training costs once is in neither.
    """
    few = max(steps // 10, 1)
    taken, waits = [], []
    for count in (few, few + steps):
        limited = config.model_copy(update={"max_steps": count})
        with count_waits(device) as found:
            taken.append(seconds(device, partial(train, name, rows, limited, device)))
        waits.append(len(found))
    return {
        "lightning_ms": 1e3 * (taken[1] - taken[0]) / steps,
        "lightning_waits": waits[1] - waits[0],
    }


def bare_steps(name: str, rows: Features, config: Any, device: torch.device, steps: int) -> Figures:
    """ms of a step without Lightning, and how often all of them together wait, and where."""
    config = config.model_copy(update={"max_steps": steps + 3})
    with reproducible(0, device), rounding(device, config.precision == "tf32"):
        detector = prepare(name, rows, config, device)
        detector.net.to(device).train()
        optimiser, batches = detector.optimiser(), iter(detector._batches(rows))

        def one() -> None:
            optimiser.zero_grad()
            with torch.autocast(
                device.type, torch.bfloat16, enabled=config.precision == "bf16-mixed"
            ):
                loss = detector.loss(next(batches))
            loss.backward()
            optimiser.step()

        for _ in range(3):
            one()
        with count_waits(device) as waits:
            taken = seconds(device, lambda: [one() for _ in range(steps)])
    found = {"bare_ms": 1e3 * taken / steps, "waits": len(waits)}
    return found | ({"waits_at": " ".join(sorted(set(waits)))} if waits else {})


@contextmanager
def count_waits(device: torch.device) -> Iterator[list[str]]:
    """Where the processor waits for the GPU, as torch sees it."""
    found: list[str] = []
    if device.type != "cuda":
        yield found
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode("default")
    found += [
        f"{Path(each.filename).name}:{each.lineno}"
        for each in caught
        if "synchroniz" in str(each.message)
    ]


def floor_ms(sizes: Sizes, precision: str, device: torch.device) -> float:
    """Of the matrix products that MULDE's step cannot do without: nine with the second layer's
    weights, seven with the first's, each alone in a loop, as large as there.
    """
    kind = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
    left = torch.randn(sizes.batch, sizes.units, device=device, dtype=kind)
    right = torch.randn(sizes.units, sizes.units, device=device, dtype=kind)
    thin = right[:, : sizes.dim].contiguous()
    repeats = 50 if device.type == "cuda" else 3
    each = []
    with rounding(device, precision == "tf32"):
        for other in (right, thin):
            out = left @ other

            def work(other: torch.Tensor = other, out: torch.Tensor = out) -> None:
                for _ in range(repeats):
                    torch.mm(left, other, out=out)

            seconds(device, work)
            each.append(1e3 * seconds(device, work, 3) / repeats)
    return 9 * each[0] + 7 * each[1]


def measure_mulde(sizes: Sizes, device: torch.device) -> Iterator[Figures]:
    """MULDE at the paper's size: a step over its floor, by precision."""
    rows = normal_rows(sizes.rows, sizes.dim, 0)
    for precision in PRECISIONS:
        row: Figures = {"what": f"mulde, step, {precision}"}
        config = configure(
            "mulde",
            sizes,
            units=(sizes.units, sizes.units),
            batch_size=sizes.batch,
            precision=precision,
            device=device.type,
        )
        try:
            with peak_memory(device, row):
                row["floor_ms"] = floor_ms(sizes, precision, device)
                row |= bare_steps("mulde", rows, config, device, sizes.steps)
                row |= lightning_steps("mulde", rows, config, device, sizes.steps)
            row["floor_share"] = row["floor_ms"] / row["bare_ms"]
        except BadInput as error:
            row["not"] = str(error)
        yield row


def measure_sent_rows(sizes: Sizes, device: torch.device) -> Iterator[Figures]:
    """Rows in pinned blocks instead of on the GPU: the same weights, to the bit?"""
    rows = normal_rows(sizes.rows, sizes.dim, 0)
    config = configure("msma", sizes, device=device.type, max_steps=sizes.steps, memory_gib=0.0)
    trained, before = [], loading.SHARE
    for share, what in ((before, "held on the GPU"), (-1.0, "sent in blocks")):
        loading.SHARE = share
        row: Figures = {"what": f"msma, rows {what}"}
        try:
            row |= lightning_steps("msma", rows, config, device, sizes.steps)
            trained.append(train("msma", rows, config, device).net.state_dict())
        finally:
            loading.SHARE = before
        row["same_bits"] = all(
            torch.equal(values, trained[0][name]) for name, values in trained[-1].items()
        )
        yield row


def measure_methods(sizes: Sizes, device: torch.device) -> Iterator[Figures]:
    """Every neural method at its paper's size: a step, scoring, and the processor's scores."""
    rows = normal_rows(sizes.rows, sizes.dim, 0)
    test = normal_rows(sizes.scored, sizes.dim, 2, odd=0.1)
    few = test.rows(slice(0, sizes.few))
    for name in METHODS:
        if name == "flow" and importlib.util.find_spec("normflows") is None:
            yield {"what": "flow", "not": "normflows is not installed"}
            continue
        row: Figures = {"what": name}
        config = configure(name, sizes, device=device.type)
        with peak_memory(device, row):
            row |= bare_steps(name, rows, config, device, sizes.steps)
            row |= lightning_steps(name, rows, config, device, sizes.steps)
            detector = train(
                name, rows, config.model_copy(update={"max_steps": sizes.steps}), device
            )
        detector._learn_read_outs(rows.rows(slice(0, sizes.few)))
        one = test.rows(slice(0, 1))
        with peak_memory(device, scored := {}):
            detector.score(one)
            row["one_row_ms"] = 1e3 * seconds(device, partial(detector.score, one), 20)
            row["rows_s"] = seconds(device, partial(detector.score, test))
        row["scored_mib"] = scored.get("peak_mib")
        row |= compare(detector, few)
        yield row


def compare(detector: LightningDetector, rows: Features) -> Figures:
    """The same network's scores on the processor, the largest difference in deviations of them."""
    there = detector.score(rows)[:, 0]
    device = detector.config.device
    detector.config = detector.config.model_copy(update={"device": "cpu"})
    here = detector.score(rows)[:, 0]
    detector.config = detector.config.model_copy(update={"device": device})
    return {
        "cpu_difference": float(np.abs(there - here).max() / here.std()),
        "cpu_rank": rank_correlation(there, here),
    }


def rank_correlation(one: Any, other: Any) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic)


def measure_neighbours(sizes: Sizes, device: torch.device) -> Iterator[Figures]:
    """kNN among 10^6 x 512 rows; some of the queries by the processor too, bit by bit."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((sizes.near_rows, sizes.dim), np.float32)
    queries = generator.standard_normal((sizes.near_queries, sizes.dim), np.float32)
    rows, test = (
        Features(values, np.arange(len(values)) * 20 // len(values), np.arange(len(values)))
        for values in (x, queries)
    )
    row: Figures = {"what": f"knn, {len(x)} x {sizes.dim}, {len(queries)} queries"}
    with peak_memory(device, row):
        detector = KNN(KNNConfig(k=1, device=device.type), seed=0)
        detector.fit(rows)
        one = test.rows(slice(0, 1))
        row["first_s"] = seconds(device, lambda: detector.score(one))
        row["one_row_ms"] = 1e3 * seconds(device, lambda: detector.score(one), 5)
        row["rows_s"] = seconds(device, lambda: detector.score(test))
        row["rows_per_s"] = len(test) / row["rows_s"]
    on_cpu = KNN(KNNConfig(k=1, device="cpu"), seed=0)
    on_cpu.fit(rows)
    few = test.rows(slice(0, 32))
    row["same_bits"] = bool(np.array_equal(on_cpu.score(few), detector.score(test)[:32]))
    yield row


def measure_mixtures(sizes: Sizes, device: torch.device) -> Iterator[Figures]:
    """Likelihoods in float64, by the GPU and by the processor."""
    for dim, share in ((16, 1), (sizes.dim, 20)):
        x = normal_rows(max(sizes.mixture_rows // share, 100), dim, 3).x
        mixture = make_mixture(5, dim)
        row: Figures = {"what": f"mixture of 5, {len(x)} x {dim}"}
        with peak_memory(device, row):
            mixture_device.nll_on(mixture, x[:100], device)
            row["rows_s"] = seconds(device, partial(mixture_device.nll_on, mixture, x, device))
        row["cpu_s"] = seconds(device, partial(mixture.nll, x))
        there, here = mixture_device.nll_on(mixture, x, device), mixture.nll(x)
        row["cpu_difference"] = float(np.abs(there / here - 1).max())
        yield row


def make_mixture(components: int, dim: int) -> Mixture:
    generator = np.random.default_rng(0)
    factors = np.stack(
        [np.eye(dim) + np.triu(generator.normal(size=(dim, dim))) / dim for _ in range(components)]
    )
    covariances = np.linalg.inv(factors @ factors.transpose(0, 2, 1))
    means = generator.normal(size=(components, dim))
    return Mixture(np.full(components, 1 / components), means, covariances, factors, 1e-6)


def measure_effect(sizes: Sizes, device: torch.device) -> Iterator[Figures]:
    """What a precision of training does to scores, beside what another seed does: AUC, and the rank
    correlation with the float32 training of seed 0.
    """
    from sklearn.metrics import roc_auc_score

    rows = normal_rows(sizes.few * 5, sizes.dim, 0)
    test = normal_rows(sizes.few, sizes.dim, 2, odd=0.3)
    odd = np.arange(len(test)) < int(0.3 * len(test))
    for name in ("mulde", "msma", "diffusion"):
        plain = None
        for precision, seed in (("32-true", 0), ("32-true", 1), ("tf32", 0), ("bf16-mixed", 0)):
            row: Figures = {"what": f"{name}, {precision}, seed {seed}"}
            config = configure(
                name,
                sizes,
                units=(sizes.effect_units, sizes.effect_units),
                batch_size=min(512, sizes.batch),
                max_steps=sizes.effect_steps,
                precision=precision,
                device=device.type,
            )
            detector = METHODS[name](config, seed=seed)
            try:
                row["seconds"] = seconds(device, partial(detector.fit, rows))
            except BadInput as error:
                yield row | {"not": str(error)}
                continue
            scores = detector.score(test)[:, 0]
            plain = scores if plain is None else plain
            row["auc"] = float(roc_auc_score(odd, scores))
            row["rank"] = rank_correlation(plain, scores)
            yield row


PARTS: dict[str, Callable[[Sizes, torch.device], Iterator[Figures]]] = {
    "steps": measure_mulde,
    "effect of precision": measure_effect,
    "methods": measure_methods,
    "rows": measure_sent_rows,
    "neighbours": measure_neighbours,
    "mixtures": measure_mixtures,
}


def describe_machine(device: torch.device) -> Figures:
    about: Figures = {"python": platform.python_version(), "torch": torch.__version__}
    about["cores"] = os.cpu_count()
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        about |= {"gpu": found.name, "memory_gib": found.total_memory / 2**30}
        about["cuda"] = torch.version.cuda
    return about


def write_value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)


def print_table(rows: list[Figures]) -> None:
    """A column a figure; what is long, such as a reason, stands below."""
    names = list(dict.fromkeys(name for row in rows for name in row if name not in NOTES))
    cells = [names, *([write_value(row.get(name)) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))
    for row in rows:
        for name in NOTES:
            if name in row:
                print(f"  {row['what']}: {name} {row[name]}")
    print(flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu", action="store_true", help="on the processor")
    parser.add_argument("--small", action="store_true", help="small, to see that it runs")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--seconds", type=float, default=330.0, help="no part begins after these")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    if not options.cpu and not torch.cuda.is_available():
        print(f"{Path(__file__).name}: torch sees no GPU; --cpu --small shows whether it runs")
        return 0
    device = resolve_device("cpu" if options.cpu else "cuda")
    sizes = SMALL if options.small else Sizes()
    warnings.filterwarnings("ignore", category=UserWarning)
    found: Figures = {"machine": describe_machine(device), "parts": {}, "seconds": {}}
    print(", ".join(f"{name} {write_value(value)}" for name, value in found["machine"].items()))
    began, failed = time.monotonic(), False
    for part in options.parts:
        at = time.monotonic()
        if at - began > options.seconds:
            print(f"{part}: left out, {options.seconds:.0f} s are over")
            continue
        print(f"{part}: {' '.join(PARTS[part].__doc__.split())}")
        rows = found["parts"][part] = []
        try:
            rows.extend(PARTS[part](sizes, device))
        except Exception as error:  # of one part; a machine is lent for a short time
            failed = True
            rows.append({"what": part, "failed": f"{type(error).__name__}: {error}"})
        print_table(rows)
        found["seconds"][part] = time.monotonic() - at
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{time.monotonic() - began:.0f} s; written to {options.out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
