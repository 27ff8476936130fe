"""Sampling on a scripted machine: its clock moves only when a pass runs."""

from __future__ import annotations

import gc
import random

import pytest
from helpers.machine import Machine
from hypothesis import given, settings
from hypothesis import strategies as st

from archprof.base.errors import BadOption
from archprof.measure import disturbance, sampling
from archprof.measure.sampling import STEADY_PASSES, SamplingInterrupted, Workload
from archprof.measure.schedule import FEWER_BLOCKS, LEAST_BLOCKS, SPREAD_S
from archprof.measure.workloads import BLOCK_S
from archprof.results.conditions import Sampling
from archprof.results.latency import FEWEST_BLOCKS
from archprof.results.ratios import ratio_of


def test_every_network_has_one_block_a_round_in_changing_order():
    machine = Machine()
    workloads = [machine.workload(name, 1, 0.01) for name in "abc"]
    seen = machine.measure(workloads, shuffle=random.Random(1))
    orders = {}
    for (name, _), found in seen.items():
        for block in found.blocks:
            orders.setdefault(block.round, []).append((block.order, name))
    assert all(sorted(name for _, name in blocks) == ["a", "b", "c"] for blocks in orders.values())
    assert len({tuple(name for _, name in sorted(blocks)) for blocks in orders.values()}) > 1


def test_memory_is_cut_up_anew_before_warm_up_and_once_a_round():
    machine, at = Machine(), []
    seen = machine.measure(
        [machine.workload(name, 1, 0.01) for name in "ab"], rearrange=lambda: at.append(len(machine.passes))
    )
    first = [block.round for block in seen["a", 1].blocks]
    assert len(at) == len(set(at)) == len(first) + 1 == max(first) + 1


def test_a_block_is_as_long_as_caches_need_or_one_pass():
    machine = Machine()
    seen = machine.measure([machine.workload("short", 1, 0.004), machine.workload("long", 1, 0.3)])
    assert {block.passes for block in seen["short", 1].blocks} == {13}  # 13 * 4 ms = 52 ms
    assert {block.passes for block in seen["long", 1].blocks} == {1}


def test_disturbed_blocks_are_made_up_for_before_intervals_are_made_narrower():
    """A neighbour takes half of the CPU during the first passes of the small batch: both get their three blocks."""
    machine = Machine()
    small = [0.010 + 0.0001 * (n * n % 7) for n in range(1000)]
    machine.slowed = lambda now: 2.0 if machine.passes.count("a@1") < 14 else 1.0
    workloads = [machine.workload("a", 1, small), machine.workload("a", 32, 0.4)]
    seen = machine.measure(workloads, time_budget=3.4, precision=1e-9)
    assert [len(found.blocks) - len(found.clean) for found in seen.values()] == [3, 1]
    assert min(len(found.clean) for found in seen.values()) >= FEWEST_BLOCKS


def test_lead_in_passes_are_not_timed():
    """After another network has run, the first passes find the caches cold: they take ten times as long."""
    machine = Machine()
    last = [""]

    def step(name: str):
        def run() -> None:
            machine.now += 0.05 if last[0] != name else 0.005
            last[0] = name

        return run

    seen = machine.measure([Workload(name, 1, lambda name=name: step(name)) for name in "ab"])
    assert seen["a", 1].p50_s == pytest.approx(0.005) and seen["b", 1].p90_s == pytest.approx(0.005)


def test_warm_up_lasts_until_times_stop_falling():
    machine = Machine()
    falling = [0.5, 0.04, 0.03, 0.02] + [0.02] * 10_000
    seen = machine.measure([machine.workload("a", 1, falling)], time_budget=200.0)
    assert seen["a", 1].seconds == pytest.approx([0.02] * LEAST_BLOCKS)
    # the first, three that fall, STEADY_PASSES that do not: then blocks of a lead-in and three passes
    assert len(machine.passes) == 4 + STEADY_PASSES + LEAST_BLOCKS * (1 + 3)


def test_compiling_is_not_charged_to_the_budget():
    machine = Machine()
    found = machine.measure([machine.workload("a", 1, [60.0] + [0.02] * 10_000)], time_budget=4.0)["a", 1]
    assert found.reliable and len(found.blocks) == LEAST_BLOCKS and found.p50_s == pytest.approx(0.02)


def test_a_large_batch_is_warm_after_one_pass_that_took_what_was_foretold():
    machine = Machine()
    machine.measure([machine.workload("a", 1, 0.1), machine.workload("a", 32, 3.2)], time_budget=20.0)
    first, second = (machine.passes.index("a@32"), len(machine.passes))
    assert machine.passes[first:second].count("a@32") == 1 + FEWEST_BLOCKS + 1  # a fifth block does not fit


def test_steady_times_stop_at_the_fewest_blocks_that_count():
    machine = Machine()
    found = machine.measure([machine.workload("a", 1, 0.02)])["a", 1]
    assert len(found.blocks) == LEAST_BLOCKS and found.reliable and found.note is None


def test_long_blocks_are_enough_when_they_are_fewer():
    """Blocks of 0.4 s end when SPREAD_S have passed; of 2 s, ten take longer than that."""
    machine = Machine()
    some, few = (
        len(machine.measure([machine.workload("a", 1, seconds)], time_budget=100.0)["a", 1].blocks)
        for seconds in (0.4, 2.0)
    )
    assert FEWER_BLOCKS < some == round(SPREAD_S / 0.4) < LEAST_BLOCKS and few == FEWER_BLOCKS


def test_the_time_budget_ends_it_and_says_so():
    draw = random.Random(2)
    machine = Machine()
    noisy = [0.3 * draw.uniform(0.9, 1.1) for _ in range(1000)]
    found = machine.measure([machine.workload("a", 1, noisy)], time_budget=8.0)["a", 1]
    assert machine.now <= 8.0 + max(noisy)
    assert "stopped at the time budget: +-" in found.note and "requested 2 %" in found.note


def test_a_slow_change_of_the_machine_leaves_the_ratio_alone():
    machine = Machine()
    machine.slowed = lambda now: 1.0 + now  # ever slower; nothing waits, so that no rule can see it
    witness = disturbance.Witness(1, 1, lambda: {"wall": machine.now, "own": machine.now, "switches": 0})
    seen = machine.measure(
        [machine.workload("a", 1, 0.04), machine.workload("b", 1, 0.01)],
        reference="b",
        witness=witness,
        time_budget=60.0,
    )
    ratio, (low, high) = ratio_of(seen["a", 1], seen["b", 1])
    assert ratio == pytest.approx(4.0, rel=0.005) and 3.9 < low < high < 4.1
    assert max(seen["a", 1].seconds) > 1.3 * min(seen["a", 1].seconds)


def test_disturbed_blocks_are_marked_and_left_out():
    """A neighbour takes half of the CPU in every other half second."""
    machine = Machine()
    machine.slowed = lambda now: 2.0 if int(2 * now) % 2 else 1.0
    found = machine.measure([machine.workload("a", 1, 0.02)])["a", 1]
    assert found.reliable and found.p50_s == pytest.approx(0.02, rel=0.03)
    disturbed = [block for block in found.blocks if block.disturbed]
    assert disturbed and all(block.seconds > 0.0205 and block.evidence["waiting"] > 0 for block in disturbed)


def test_a_neighbour_that_never_rests_makes_it_unreliable():
    machine = Machine()
    machine.slowed = lambda now: 2.0
    found = machine.measure([machine.workload("a", 1, 0.02)], time_budget=3.0)["a", 1]
    assert not found.reliable
    every = len(found.blocks)
    assert found.why == (
        f"{every} of {every} blocks were disturbed (waiting for a CPU, 0.50 s of each second, all threads); "
        "0 were not, 3 are needed"
    )


def test_a_wide_interval_is_unreliable_unless_asked_for():
    machine = Machine()
    swinging = [0.06, 0.06, 0.09, 0.09] * 1000  # a lead-in and a block of each
    found = machine.measure([machine.workload("a", 1, swinging)], time_budget=3.0)["a", 1]
    assert not found.reliable and "interval is +-" in found.why and "more than 5 %" in found.why
    machine = Machine()
    assert machine.measure([machine.workload("a", 1, swinging)], time_budget=9.0, precision=0.5)["a", 1].reliable


def test_the_reference_goes_on_while_a_ratio_needs_it():
    machine = Machine()
    draw = random.Random(5)
    noisy = [0.06 * draw.uniform(0.97, 1.03) for _ in range(10_000)]
    seen = machine.measure(
        [machine.workload("a", 1, noisy), machine.workload("b", 1, 0.06)], reference="b", precision=0.005
    )
    assert {block.round for block in seen["a", 1].blocks} == {block.round for block in seen["b", 1].blocks}
    assert len(seen["b", 1].blocks) > LEAST_BLOCKS


def test_costly_batches_get_fewer_rounds_and_no_fewer_than_three():
    machine = Machine()
    draw = random.Random(5)
    workloads = [
        machine.workload("a", size, [0.03 * size * draw.uniform(0.8, 1.2) for _ in range(10_000)])
        for size in (1, 8, 32)
    ]
    seen = machine.measure(workloads, time_budget=20.0)
    blocks = [len(seen["a", size].blocks) for size in (1, 8, 32)]
    assert blocks[0] > blocks[1] > blocks[2] >= FEWEST_BLOCKS
    assert machine.now <= 20.1


def test_where_time_lacks_for_all_small_batches_have_their_blocks():
    """A pass of the large batch takes 2.6 s: in 10 s there is no room for three rounds of it."""
    machine = Machine()
    seen = machine.measure([machine.workload("a", size, 0.08 * size) for size in (1, 8, 32)], time_budget=10.0)
    assert len(seen["a", 1].blocks) >= FEWEST_BLOCKS and len(seen["a", 8].blocks) >= FEWEST_BLOCKS
    assert seen["a", 32].measured and len(seen["a", 32].blocks) < FEWEST_BLOCKS


def test_a_round_that_does_not_fit_runs_without_its_costliest_cell():
    """Two passes of each warm it up (5.2 s), three rounds take 7.8 s: in 12 s the third has room for b alone."""
    machine = Machine()
    seen = machine.measure([machine.workload("a", 32, 2.0), machine.workload("b", 32, 0.6)], time_budget=12.0)
    assert (len(seen["a", 32].blocks), len(seen["b", 32].blocks)) == (2, FEWEST_BLOCKS)
    assert seen["b", 32].reliable and seen["a", 32].why == "there was time for 2 blocks, 3 are needed"
    assert machine.now <= 12.0


def test_a_block_that_a_neighbour_stretches_ends_early():
    """Passes of 1 ms make blocks of 50; ninety times as long, one would take 4.5 s."""
    machine = Machine()
    machine.slowed = lambda now: 90.0 if now > 0.5 else 1.0
    found = machine.measure([machine.workload("a", 1, 0.001)], time_budget=20.0, precision=1e-9)["a", 1]
    stretched = [block for block in found.blocks if block.seconds == pytest.approx(0.09)]
    assert stretched and {block.passes for block in stretched} == {3}  # the first past 0.2 s
    assert all(block.disturbed for block in stretched) and found.reliable


def test_a_failure_keeps_its_place_and_the_others_go_on():
    def broken():
        raise ValueError("no such layer\nsecond line")

    machine = Machine()
    seen = machine.measure([Workload("broken", 1, broken), machine.workload("a", 1, 0.02)])
    assert list(seen) == [("broken", 1), ("a", 1)]
    assert seen["broken", 1].error == "no such layer second line" and not seen["broken", 1].measured
    assert seen["a", 1].reliable


def test_out_of_memory_ends_a_network_at_that_batch_only():
    def full():
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    machine = Machine()
    seen = machine.measure([machine.workload("a", 1, 0.02), Workload("a", 8, full), machine.workload("a", 32, 0.02)])
    assert seen["a", 1].reliable
    assert seen["a", 8].error.startswith("out of memory: ")
    assert seen["a", 32].error == "not tried: out of memory already at batch 8"


def test_what_does_not_fit_beside_the_others_is_measured_after_them():
    machine = Machine()
    holding = []

    def prepare(name: str):
        def made():
            if holding and holding[-1] != name:
                holding.clear()  # stands for the memory that the first network gives back
                raise MemoryError
            holding.append(name)
            return machine.step(name, 0.02)

        return made

    seen = machine.measure([Workload("a", 1, prepare("a")), Workload("b", 1, prepare("b"))])
    assert seen["a", 1].reliable and seen["b", 1].reliable
    assert machine.passes.index("b") > len(machine.passes) - 1 - machine.passes[::-1].index("a")


def test_what_did_not_fit_beside_the_others_says_so_when_time_is_up():
    machine = Machine()

    def full():
        machine.now += 2.9
        raise MemoryError("9 bytes")

    seen = machine.measure(
        [machine.workload("a", 1, 0.02), Workload("b", 1, full), Workload("b", 8, full)], time_budget=3.0
    )
    assert seen["b", 1].error == ("out of memory: 9 bytes (beside other networks; no time was left to try it alone)")
    assert seen["b", 8].error == "not tried: out of memory already at batch 1"


def test_a_step_that_fails_while_sampled_becomes_an_entry():
    machine = Machine()
    seen = machine.measure([machine.workload("a", 1, 0.02), machine.workload("b", 1, [0.02] * 9)])
    assert seen["a", 1].reliable
    assert seen["b", 1].error == "StopIteration"


def test_a_network_too_slow_for_the_budget_says_so():
    machine = Machine()
    seen = machine.measure([machine.workload("a", 1, 0.5), machine.workload("a", 64, 32.0)], time_budget=5.0)
    assert seen["a", 1].measured
    assert seen["a", 64].error == "not measured (about 32 s a pass): the time budget of 5 s was used up"
    assert machine.now <= 5.0


def test_ctrl_c_keeps_what_was_measured():
    machine = Machine()
    step = machine.step("a", 0.06)

    def interrupted_late() -> None:
        step()
        if machine.now > 0.5:
            raise KeyboardInterrupt

    workloads = [Workload("a", 1, lambda: interrupted_late), machine.workload("b", 8, 0.01)]
    workloads[1] = Workload("b", 8, lambda: interrupted_late)
    with pytest.raises(SamplingInterrupted) as caught:
        machine.measure(workloads)
    kept = caught.value.latencies
    assert list(kept) == [("a", 1), ("b", 8)]
    assert kept["a", 1].measured and kept["a", 1].note.startswith("interrupted")
    assert isinstance(caught.value, KeyboardInterrupt)


def test_ctrl_c_before_a_networks_turn_leaves_it_unmeasured():
    machine = Machine()

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(SamplingInterrupted) as caught:
        machine.measure([machine.workload("a", 1, 0.02), Workload("b", 8, stop), machine.workload("c", 32, 0.1)])
    assert caught.value.latencies["a", 1].measured
    assert caught.value.latencies["c", 32].error == "not reached before the interruption"


def test_garbage_is_not_collected_within_a_block():
    seen: list[bool] = []
    machine = Machine()

    def step() -> None:
        machine.now += 0.06
        seen.append(gc.isenabled())

    machine.measure([Workload("a", 1, lambda: step)])
    assert gc.isenabled() and seen[-LEAST_BLOCKS:] == [False] * LEAST_BLOCKS


def test_progress_says_what_runs_and_what_is_left():
    machine = Machine()
    told: list[sampling.Progress] = []
    machine.measure([machine.workload("a", 1, 0.02)], progress=told.append, time_budget=5.0)
    assert [told[0].doing, told[1].doing] == ["warming up a, batch 1", "a, batch 1, block 1"]
    assert told[-1].left_s == pytest.approx(5.0 - told[-1].elapsed_s)


@pytest.mark.parametrize(
    "options",
    [
        {"time_budget": 0},
        {"time_budget": -1.0},
        {"time_budget": float("nan")},
        {"precision": 0.0},
        {"precision": -0.02},
        {"precision": 2.0},
    ],
)
def test_budgets_and_precisions_that_make_no_sense_are_refused(options):
    with pytest.raises(BadOption, match="expected "):
        Sampling(**options)


def test_sync_is_called_at_both_ends_of_every_block():
    machine = Machine()
    events: list[str] = []

    def step() -> None:
        machine.now += 0.06
        events.append("pass")

    sampling.measure([Workload("a", 1, lambda: step)], clock=machine.clock, sync=lambda: events.append("sync"))
    assert "pass,pass" not in ",".join(events)  # one pass a block here: each stands between two syncs


def test_queued_work_is_timed_when_it_is_done():
    """A device that computes when it is waited for, as a GPU does behind its queue: launching takes no time."""
    machine = Machine()
    queued: list[float] = []

    def sync() -> None:
        machine.now += sum(queued)
        queued.clear()

    found = machine.measure([Workload("a", 1, lambda: lambda: queued.append(0.004))], sync=sync)["a", 1]
    assert found.p50_s == pytest.approx(0.004) and {block.passes for block in found.blocks} == {13}


@settings(max_examples=settings.default.max_examples // 10)
@given(
    st.lists(st.tuples(st.sampled_from([1, 8, 32]), st.floats(5e-3, 2.0)), min_size=1, max_size=5),
    st.floats(0.5, 10.0),
)
def test_every_workload_is_answered_within_the_budget_and_two_passes_and_a_block_each(drawn, budget):
    machine = Machine()
    named = [machine.workload(f"n{place}", size, seconds) for place, (size, seconds) in enumerate(drawn)]
    seen = machine.measure(named, time_budget=budget)
    assert list(seen) == [each.key for each in named]
    assert all(found.measured != bool(found.error) for found in seen.values())
    assert machine.now <= budget + sum(3 * seconds + 4 * BLOCK_S for _, seconds in drawn)
