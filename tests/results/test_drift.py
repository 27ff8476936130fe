"""Drift of the machine: blocks during it are left out, runs are not told apart by less than it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers.machine import Machine
from helpers.runs import HERE, SLOW, STEADY

from archprof.measure import disturbance, reference_work, reliability
from archprof.results import diff
from archprof.results.comparison import ArchitectureResult, Comparison
from archprof.results.drift import drifts, marked, reference_times, unmarked
from archprof.results.latency import FEWEST_BLOCKS, Block, Latency

PRODUCT, COPY = 200.0, 1.5


def blocks(*product_us: float, disturbed: dict[int, str] | None = None) -> list[Block]:
    return [
        Block(0.01, 5, 1, order, (disturbed or {}).get(order), {"product_us": us, "copy_ms": COPY})
        for order, us in enumerate(product_us)
    ]


def causes(found: list[Block]) -> list[str | None]:
    return [block.disturbed for block in found]


def test_blocks_during_drift_are_disturbed():
    slow = "drift (products took 60 % longer than usual)"
    assert causes(marked(blocks(*[PRODUCT] * 6, *[1.6 * PRODUCT] * 3))) == [None] * 6 + [slow] * 3


def test_most_decide_what_is_usual_even_where_they_are_the_slow_ones():
    fast = "drift (products took 38 % less time than usual)"
    assert causes(marked(blocks(PRODUCT, PRODUCT, *[1.6 * PRODUCT] * 5))) == [fast] * 2 + [None] * 5


def test_memory_that_gets_faster_is_another_machine_too():
    moved = [
        *blocks(*[PRODUCT] * 5),
        *[Block(0.01, 5, 1, 5 + n, None, {"product_us": PRODUCT, "copy_ms": 0.9}) for n in range(2)],
    ]
    assert causes(marked(moved))[4:] == [None] + ["drift (copies took 40 % less time than usual)"] * 2


def test_one_odd_reading_says_nothing():
    assert causes(marked(blocks(PRODUCT, PRODUCT, 5 * PRODUCT, PRODUCT, PRODUCT))) == [None] * 5


def test_blocks_disturbed_otherwise_keep_their_cause_and_are_not_the_usual():
    busy = dict.fromkeys(range(5), "other work (60 % of the CPUs)")
    found = causes(marked(blocks(*[2 * PRODUCT] * 5, *[PRODUCT] * 4, disturbed=busy)))
    assert found == [*busy.values(), None, None, None, None]


def test_marks_are_taken_back_when_most_turn_out_to_be_otherwise():
    first = marked(blocks(*[PRODUCT] * 5, *[1.6 * PRODUCT] * 3))
    later = [Block(0.01, 5, 1, 8 + n, None, {"product_us": 1.6 * PRODUCT, "copy_ms": COPY}) for n in range(9)]
    assert causes(marked([*first, *later])) == causes(marked([*unmarked(first), *later]))
    assert causes(marked([*first, *later]))[5:] == [None] * 12
    busy = blocks(PRODUCT, disturbed={0: "other work (60 % of the CPUs)"})
    assert unmarked(busy) == busy


def test_too_few_without_drift_are_joined_by_the_others_and_said_so():
    """The interval spans both; with two blocks alone there would be none."""
    slow = [replace(block, seconds=0.016) for block in blocks(*[1.6 * PRODUCT] * 4)]
    usual = [replace(block, order=10 + place) for place, block in enumerate(blocks(*[PRODUCT] * 2))]
    seen = Latency(
        1,
        tuple(replace(block, disturbed="drift (products took 60 % longer than usual)") for block in slow)
        + tuple(usual),
    )
    found = reliability.judged(seen, 0.02)
    assert len(found.clean) == 6 and not found.reliable
    assert found.why == "the machine drifted during 4 of 6 blocks; the interval includes them"
    low, high = found.ci95_s
    assert low < 0.011 and high > 0.0159
    enough = reliability.judged(replace(seen, blocks=(*seen.blocks, replace(usual[0], order=20))), 0.02)
    assert len(enough.clean) == 3 and enough.reliable


def test_drift_is_made_up_for_while_it_is_measured():
    """Drift in the small batch's first round is seen in time: it gets a fourth block before the large one."""
    machine = Machine()
    passes = [0.010 + 0.0001 * (n * n % 7) for n in range(1000)]
    machine.slowed = lambda now: 1.6 if now < 0.5 else 1.0
    witness = disturbance.Witness(
        1,
        1,
        lambda: {"wall": machine.now, "own": machine.now, "switches": 0},
        reference_work=lambda: {"product_us": PRODUCT * machine.slowed(machine.now - 1e-6)},
    )
    workloads = [machine.workload("a", 1, passes), machine.workload("a", 32, 0.4)]
    seen = machine.measure(workloads, time_budget=3.4, precision=1e-9, witness=witness)
    assert min(len(found.clean) for found in seen.values()) >= FEWEST_BLOCKS
    assert any(block.disturbed for block in seen["a", 1].blocks)


def test_blocks_without_readings_and_of_any_order_are_as_they_were():
    plain = [Block(0.01, 5, 1, order) for order in (2, 0, 1)]
    assert marked(plain) == sorted(plain, key=lambda block: block.order)
    assert marked([]) == [] and reference_times(plain) == {} and drifts({}, {"product_us": 1.0}) == []


def test_the_reference_work_is_timed_by_the_clock():
    """Each clock reading is 1 ms after the one before: a copy takes 1 ms, each turn of products or sums too."""
    ticks, state = iter(range(1000)), torch.get_rng_state()
    seen = reference_work.reader(lambda: next(ticks) / 1000)()
    assert torch.equal(torch.get_rng_state(), state)
    assert seen == {
        "product_us": pytest.approx(1000 / reference_work.PRODUCTS),
        "copy_ms": pytest.approx(1.0),
        "sum_us": pytest.approx(1000 / reference_work.SUMS),
    }


def test_a_measurement_leaves_out_what_the_machine_slowed_down():
    """From the second second on the machine takes 1.6 times as long for everything; no counter shows it."""
    machine = Machine()
    passes = [0.01 + 0.0001 * (n * n % 7) for n in range(1000)]

    def slow(now: float) -> float:
        return 1.6 if now > 1.4 else 1.0

    witness = disturbance.Witness(
        1,
        1,
        lambda: {"wall": machine.now, "own": machine.now, "switches": 0},
        reference_work=lambda: {"product_us": PRODUCT * slow(machine.now), "copy_ms": COPY},
    )
    machine.slowed = slow
    workloads = [machine.workload("a", 1, passes)]
    seen = machine.measure(workloads, time_budget=2.0, precision=1e-9, witness=witness)["a", 1]
    assert set(causes(list(seen.blocks))) == {None, "drift (products took 60 % longer than usual)"}
    assert max(seen.seconds) < 0.011 and seen.reliable


def test_the_times_of_the_moment_are_told_beforehand():
    looks = iter([{"wall": 0.0, "own": 0.0, "switches": 0}, {"wall": 1.0, "own": 0.0, "switches": 0}])
    witness = disturbance.Witness(
        2, 2, lambda: next(looks), reference_work=lambda: {"product_us": PRODUCT, "copy_ms": COPY}
    )
    assert disturbance.watch(witness, 1.0, lambda _: None)[1]["product_us"] == PRODUCT


def test_a_reading_that_one_side_lacks_is_not_compared():
    assert drifts({"product_us": 200.0}, {"product_us": 200.0, "sum_us": 9.0}) == []
    assert [text for _, text in drifts({"sum_us": 5.0, "copy_ms": 1.0}, {"sum_us": 6.0, "copy_ms": 1.5})] == [
        "copies took 50 % longer",
        "sums took 20 % longer",
    ]


def saved(seconds: list[float], product_us: float) -> Comparison:
    timed = tuple(
        Block(value, 1, n, n, None, {"product_us": product_us, "copy_ms": COPY}) for n, value in enumerate(seconds)
    )
    return Comparison(HERE, (ArchitectureResult("net", "zoo", latency=(Latency(1, timed),)),))


@pytest.mark.parametrize(
    ("change", "seconds", "verdict"),
    [
        (1.00, SLOW, "slower"),
        (1.02, SLOW, "slower"),
        (1.10, SLOW, "slower"),
        (1.20, SLOW, "can't tell"),
        (1.60, SLOW, "can't tell"),
        (0.62, SLOW, "can't tell"),
        (1.60, [2 * value for value in STEADY], "slower"),
    ],
)
def test_a_change_must_exceed_that_of_the_machine(change: float, seconds: list[float], verdict: str):
    (found,) = diff.diff(saved(STEADY, PRODUCT), saved(seconds, PRODUCT * change))
    assert found.verdict == verdict
    if verdict != "slower":
        words = f"{100 * (change - 1):.0f} % longer" if change > 1 else f"{100 * (1 - change):.0f} % less time"
        assert found.why == f"the machine drifted: products took {words}"
