"""Comparisons of several machines, made up so that ranks and ratios can be checked by hand."""

from __future__ import annotations

from archprof.results import machines
from archprof.results.comparison import ArchitectureResult, Comparison
from archprof.results.latency import Block, Latency
from archprof.results.profile import StaticProfile


def measured(times, fingerprint="aaaa", device="EPYC", threads=2, macs=None, spread=0.01, batch_size=1):
    """A comparison of networks that take so many seconds, blocks `spread` apart."""
    rows = []
    for place, (name, seconds) in enumerate(times.items()):
        cost = (macs or {}).get(name, 1000 + place)
        profile = StaticProfile(name, "zoo", (3, 8, 8), 1, 10, 10, 0, cost, 5, 40, 0, 100, 0)
        blocks = tuple(Block(seconds * (1 + spread * (r % 3 - 1)), 1, r, r) for r in range(9))
        latency = (Latency(batch_size, blocks),) if seconds else ()
        rows.append(ArchitectureResult(name, "zoo", profile=profile, latency=latency))
    environment = {"fingerprint": fingerprint, "device_name": device, "threads": threads, "device": "cpu"}
    return Comparison(environment, tuple(rows))


FAST = {"a": 0.001, "b": 0.002, "c": 0.003, "d": 0.004}
TURNED = {"a": 0.010, "b": 0.030, "c": 0.020, "d": 0.040}  # b and c change places


def fleet(*more):
    return machines.merge([(None, measured(FAST)), ("slow", measured(TURNED, "bbbb", "Atom")), *more])
