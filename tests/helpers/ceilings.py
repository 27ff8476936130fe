"""The ceilings of a machine whose figures are round: 100 GFLOP/s, 50 GB/s from L2, 10 GB/s from memory, 1 us a call."""

from __future__ import annotations

from archprof.results.ceilings import CONVOLUTION, ELEMENTWISE, PRODUCT, Cache, Ceilings, Lacking, Probe

ENVIRONMENT = {
    "device": "cpu",
    "device_name": "Example CPU @ 2.0 GHz",
    "threads": 2,
    "dtype": "float32",
    "torch": "2.13.0",
    "date": "2026-01-31T12:00:00+00:00",
}
MIB = 2**20


def thrice(seconds: float) -> tuple[float, ...]:
    """A block of that time, and two that take a little longer."""
    return (seconds * 1.02, seconds, seconds * 1.01)


def stream(work: str, working_set: int, bytes_per_s: float, moved: int | None = None, call_s: float = 1e-6) -> Probe:
    """Data that move at that rate, beside the time of the call."""
    moved = working_set if moved is None else moved
    return Probe(work, "", "float32", 0, moved, working_set, thrice(moved / bytes_per_s + call_s))


def arithmetic(work: str, dtype: str, flops_per_s: float, **more) -> Probe:
    known = {"seconds": thrice(2 * 512**3 / flops_per_s), **more}
    return Probe(work, "512x512x512", dtype, 2 * 512**3, 3 * MIB, 3 * MIB, **known)


PROBES = (
    Probe(ELEMENTWISE, "relu_ of 1 number", "float32", 0, 0, 0, thrice(1e-6)),
    Probe(PRODUCT, "linear, 8 to 8", "float32", 0, 0, 0, thrice(3e-6)),
    Probe(CONVOLUTION, "1x1 of 1 position, 8 to 8", "float32", 0, 0, 0, thrice(8e-6)),
    stream("copy", MIB, 30e9),
    stream("read", MIB, 50e9),
    stream("in place", MIB, 80e9, 2 * MIB),
    stream("copy", 4 * MIB, 20e9),
    stream("copy", 64 * MIB, 8e9),
    stream("read", 64 * MIB, 10e9),
    stream("in place", 64 * MIB, 16e9, 128 * MIB),
    arithmetic("product", "float32", 90e9),
    arithmetic("convolution", "float32", 100e9),
    arithmetic("product", "bfloat16", 25e9),
)
CACHES = (Cache("L2", 2 * MIB), Cache("L3", 16 * MIB))


def ceilings(*more: Probe, without: str = "", **how) -> Ceilings:
    """Those, with more probes, without one kind of work."""
    kept = tuple(probe for probe in PROBES if probe.work != without)
    return Ceilings(
        **{"environment": ENVIRONMENT, "probes": (*kept, *more), "caches": CACHES,
           "lacking": (Lacking("float16", "no kernel for 'Half'."),), **how}
    )  # fmt: skip
