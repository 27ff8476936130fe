"""Comparisons of the ten anchors as if they had been measured on a device whose speed is known."""

from __future__ import annotations

from collections.abc import Callable

from archprof.prediction import table
from archprof.results.comparison import ArchitectureResult, Comparison
from archprof.results.latency import Block, Latency

CPU = {"device": "cpu", "device_name": "CPU of a test", "dtype": "float32", "compile": "default", "torch": "2.13.0"}
GPU = {"device": "cuda", "device_name": "GPU of a test", "dtype": "float16", "compile": "default", "torch": "2.13.0"}


def published(name: str, benchmark: str) -> float:
    """Samples a second of `timm:NAME` in that table."""
    networks = table.networks()
    place = [one.name for one in table.fitted().benchmarks].index(benchmark)
    return float(networks.throughput[place, networks.row(name.removeprefix("timm:"))])


def measured(
    benchmark: str,
    factor: float,
    environment: dict[str, str],
    batch_size: int,
    why: Callable[[str], str | None] = lambda name: None,
    count: int = 10,
) -> Comparison:
    """The anchors at `factor` times the throughput of a table; `why` says why one is not reliable."""
    rows = []
    for name in table.fitted().anchors[:count]:
        seconds = batch_size / (factor * published(name, benchmark))
        blocks = tuple(Block(seconds, 1, place, place) for place in range(5))
        rows.append(ArchitectureResult(name, "timm", latency=(Latency(batch_size, blocks, why=why(name)),)))
    return Comparison(environment, tuple(rows))
