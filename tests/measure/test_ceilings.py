"""Measuring what a machine can do: scripted probes and caches, then a few real ones with tiny sizes."""

from __future__ import annotations

import pytest
import torch
from helpers.machine import Machine

from archprof.measure import ceilings as measuring
from archprof.measure import disturbance
from archprof.measure.ceilings import Prepared, cpu_caches, filled, prepare, timed, tried
from archprof.results import ceilings as records
from archprof.results.ceilings import ARITHMETIC, CALLS, STREAMS, Cache, Lacking, Probe
from archprof.results.conditions import Conditions, Sampling
from archprof.results.latency import Block, Latency


def probe(work: str, what: str = "", flops: int = 0) -> Probe:
    return Probe(work, what, "float32", flops, 0, 0)


def scripted(machine: Machine, work: str, seconds: float, what: str = "", flops: int = 0) -> Prepared:
    return Prepared(probe(work, what, flops), machine.step(work, seconds))


def sampled(machine: Machine, prepared: list[Prepared], **how) -> tuple[Probe, ...]:
    witness = disturbance.Witness(threads=1, cpus=1, look=machine.look)
    return timed(prepared, Sampling(**how), clock=machine.clock, witness=witness)


# -- the machine is scripted -------------------------------------------------------------------------------------------


def test_every_probe_has_blocks_over_the_whole_time_and_the_fastest_counts():
    machine = Machine()
    machine.slowed = lambda now: 1.0 if 3.0 < now < 5.0 else 1.02  # faster for a while, without a counter that tells
    fast, slow = sampled(
        machine, [scripted(machine, "product", 0.01, flops=10**9), scripted(machine, "copy", 0.02)], time_budget=8.0
    )
    assert fast.best_s == pytest.approx(0.01) and slow.best_s == pytest.approx(0.02)
    assert max(fast.seconds) == pytest.approx(0.0102)
    assert len(fast.seconds) >= 30 and not fast.disturbed_seconds and fast.why is None
    assert fast.flops == 10**9 and fast.work == "product"


def test_disturbed_blocks_stand_apart():
    """A neighbour takes a third of the CPU in the last part: the threads wait, and the kernel says so."""
    machine = Machine()
    machine.slowed = lambda now: 1.5 if now > 2.0 else 1.0
    (seen,) = sampled(machine, [scripted(machine, "copy", 0.02)], time_budget=4.0)
    assert max(seen.seconds) == pytest.approx(0.02) and min(seen.disturbed_seconds) > 0.02
    assert seen.cause.startswith("waiting for a CPU")


def test_a_machine_that_is_busy_throughout_marks_everything():
    machine = Machine()
    machine.slowed = lambda now: 2.0
    (seen,) = sampled(machine, [scripted(machine, "copy", 0.02)], time_budget=1.0)
    assert seen.seconds == () and seen.best_s == pytest.approx(0.04)
    assert "blocks were disturbed (waiting for a CPU" in seen.why


def test_a_probe_that_fails_later_is_not_measured_and_the_others_are():
    machine = Machine()

    def fails() -> None:
        raise RuntimeError("the device went away")

    gone, there = sampled(machine, [Prepared(probe("copy"), fails), scripted(machine, "read", 0.01)], time_budget=1.0)
    assert not gone.measured and there.measured
    assert records.Ceilings({}, (gone, there)).memory == ()


def test_times_of_a_measurement_become_those_of_the_probe():
    steal, some, more = (
        "steal by the hypervisor (9 % of the CPUs)",
        "other work (50 % of the CPUs)",
        "other work (60 %)",
    )
    observed = [(0.1, None), (0.5, steal), (0.2, None), (0.7, some), (0.6, more)]
    blocks = tuple(Block(seconds, 5, i, i, cause) for i, (seconds, cause) in enumerate(observed))
    seen = filled(probe("copy"), Latency(1, blocks))
    assert (seen.seconds, seen.disturbed_seconds) == ((0.1, 0.2), (0.5, 0.7, 0.6))
    assert seen.cause == "other work, 60 %"
    assert filled(probe("copy"), Latency(1, error="out of memory")) == probe("copy")


def candidates(machine: Machine, flops_per_s: float, sizes: tuple[float, ...], made: list[float]):
    def make(flops: float) -> Prepared:
        made.append(flops)
        return scripted(machine, "product", flops / flops_per_s, f"{flops:g}", flops=int(flops))

    return [lambda flops=flops: make(flops) for flops in sizes]


def test_larger_ones_are_tried_until_they_take_long():
    machine, made = Machine(), []
    found, why = tried(candidates(machine, 1e9, (1e6, 1e7, 1e8, 1e9), made), lambda: None, machine.clock)
    assert [one.probe.flops for one in found] == [1e6, 1e7, 1e8] and why == "larger ones take long"
    assert len(machine.passes) == 2 * 3  # what would take a second was made, never run


def test_the_smallest_is_kept_although_it_is_slow_but_not_if_it_takes_seconds():
    machine, made = Machine(), []
    found, _ = tried(candidates(machine, 1e6, (1e6, 1e7), made), lambda: None, machine.clock)
    assert len(found) == 1
    found, why = tried(candidates(machine, 1e5, (1e6, 1e7), made), lambda: None, machine.clock)
    assert found == [] and why == "one product (1e+06) takes 10.0 s"


def test_what_the_device_cannot_do_says_why():
    def fails() -> Prepared:
        raise RuntimeError("\"addmm_impl_cpu_\" not implemented for 'Half'\nmore lines")

    assert tried([fails], lambda: None, Machine().clock) == ([], "\"addmm_impl_cpu_\" not implemented for 'Half'")


def test_types_that_are_not_to_be_had_are_named(monkeypatch):
    random = measuring._random

    def only_float32(shape, conditions, dtype):
        if dtype != "float32":
            raise RuntimeError(f"no kernel for {dtype}")
        return random(shape, conditions, dtype)

    monkeypatch.setattr(measuring, "_random", only_float32)
    small(monkeypatch)
    found, lacking = prepare(Conditions(), lambda doing, left_s: None, Machine().clock)
    assert {one.probe.dtype for one in found} == {"float32"}
    assert lacking == tuple(Lacking(dtype, f"no kernel for {dtype}") for dtype in ("bfloat16", "float16", "float64"))


# -- caches as Linux lists them ----------------------------------------------------------------------------------------


def cpu(root, number: int, *caches: tuple[int, str, str, str]) -> None:
    for place, facts in enumerate(caches):
        folder = root / f"cpu{number}" / "cache" / f"index{place}"
        folder.mkdir(parents=True)
        for name, fact in zip(("level", "type", "size", "shared_cpu_list"), facts, strict=True):
            (folder / name).write_text(f"{fact}\n")


def test_caches_of_the_threads_count_together_and_shared_ones_once(tmp_path):
    for number in range(4):
        cpu(tmp_path, number, (1, "Data", "32K", f"{number}"), (1, "Instruction", "64K", f"{number}"),
            (2, "Unified", "512K", f"{number}"), (3, "Unified", "32768K", "0-3"))  # fmt: skip
    assert cpu_caches(1, tmp_path) == (Cache("L1", 2**15), Cache("L2", 2**19), Cache("L3", 2**25))
    assert cpu_caches(3, tmp_path) == (Cache("L1", 3 * 2**15), Cache("L2", 3 * 2**19), Cache("L3", 2**25))
    assert cpu_caches(64, tmp_path)[0] == Cache("L1", 4 * 2**15)


def test_caches_that_the_system_does_not_tell_are_not_guessed(tmp_path):
    assert cpu_caches(2, tmp_path / "nowhere") == ()
    cpu(tmp_path, 0, (1, "Data", "much", "0"), (2, "Unified", "512K", "0"))
    (tmp_path / "cpu0/cache/index1/size").unlink()
    assert cpu_caches(2, tmp_path) == ()


# -- this machine ------------------------------------------------------------------------------------------------------


def small(monkeypatch) -> None:
    """Probes that take next to no time."""
    monkeypatch.setattr(measuring, "SIDES", {"cpu": (16, 32)})
    monkeypatch.setattr(measuring, "CONVOLUTIONS", ((1, 4, 3, 8), (1, 8, 1, 8)))
    monkeypatch.setattr(measuring, "SMALLEST", {"cpu": 2**16})
    monkeypatch.setattr(measuring, "LARGEST", {"cpu": 2**17})
    monkeypatch.setattr(measuring, "FAR_BEYOND", 0)


def test_probes_amount_to_what_they_say(monkeypatch):
    small(monkeypatch)
    found, _ = prepare(Conditions(), lambda doing, left_s: None, Machine().clock)
    by_work = {}
    for one in found:
        one.run()
        by_work.setdefault(one.probe.work, []).append(one.probe)
    assert set(by_work) == {*ARITHMETIC, *STREAMS, *CALLS}
    products = {probe.what: probe for probe in by_work["product"] if probe.dtype == "float32"}
    assert products["32x32x32"].flops == 2 * 32**3 and products["32x32x32"].moved_bytes == 3 * 32 * 32 * 4
    convolution = next(p for p in by_work["convolution"] if p.what.startswith("3x3") and p.dtype == "float32")
    # 8x8 positions, 4 filters of 3x3x4; images of 4x8x8 in and out
    assert convolution.flops == 2 * 8 * 8 * 4 * 3 * 3 * 4
    assert convolution.moved_bytes == (2 * 4 * 8 * 8 + 4 * 4 * 3 * 3) * 4
    for work, factor in (("copy", 1), ("read", 1), ("in place", 2)):
        assert [(p.working_set_bytes, p.moved_bytes) for p in by_work[work]] == [
            (2**16, factor * 2**16), (2**17, factor * 2**17)]  # fmt: skip
    assert len({measuring._name(one.probe) for one in found}) == len(found)


def test_streams_touch_as_many_bytes_as_they_say():
    room = torch.arange(64, dtype=torch.float32)
    measuring._copy(room, 128).run()
    assert room.tolist() == [*range(16), *range(16), *range(32, 64)]
    measuring._in_place(room, 64).run()
    read = measuring._read(torch.ones(64), 256)
    with torch.autograd.profiler.profile(record_shapes=True) as recorded:
        read.run()
    shapes = next(event.input_shapes for event in recorded.function_events if event.name == "aten::mv")
    assert shapes[0] == [8, 8]  # 64 numbers


def test_a_working_set_leaves_memory_to_others(monkeypatch):
    monkeypatch.setattr(measuring.device, "available_bytes", lambda conditions: 2**20)
    monkeypatch.setattr(measuring, "SMALLEST", {"cpu": 2**16})
    sizes = {one.probe.working_set_bytes for one in measuring._streams(Conditions())}
    assert sizes == {2**16, 2**17, 2**18}


def test_this_machine(monkeypatch):
    """Real probes, tiny ones: every figure is there, and no caller's setting is another than before."""
    small(monkeypatch)
    threads, told = torch.get_num_threads(), []
    state = torch.random.get_rng_state()
    found = measuring.ceilings(
        Conditions(threads=1), Sampling(time_budget=1.0), progress=lambda *said: told.append(said)
    )
    assert torch.get_num_threads() == threads and torch.equal(torch.random.get_rng_state(), state)
    assert found.environment["threads"] == 1 and found.date
    assert found.compute("float32").value > 0 and found.memory and all(found.call(kind).value > 0 for kind in CALLS)
    assert {*found.dtypes, *(one.dtype for one in found.lacking)} == {"float32", "bfloat16", "float16", "float64"}
    assert any("trying products" in doing for doing, _ in told) and any(left > 0 for _, left in told)
    assert not [doing for doing, _ in told if "batch" in doing]
    assert records.read(found.to_json()) == found
