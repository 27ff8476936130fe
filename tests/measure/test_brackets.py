"""The reference stands beside every other network's block, and a second copy of it runs for a part of the time."""

from __future__ import annotations

import random

import pytest
from helpers.machine import Machine

from archprof.measure.sampling import CONTROL_SHARE, Workload
from archprof.results.latency import FEWEST_BLOCKS, Block, Latency
from archprof.results.quotients import quotients, ratio_of


def names_in_order(seen) -> list[str]:
    return [
        name for _, name in sorted((block.order, name) for (name, _), cell in seen.items() for block in cell.blocks)
    ]


def test_every_block_stands_between_two_of_the_reference():
    machine = Machine()
    seen = machine.measure([machine.workload(name, 1, 0.01) for name in "abr"], reference="r", shuffle=random.Random(1))
    order = names_in_order(seen)
    assert order[0] == order[-1] == "r" and {*order[::2]} == {"r"} and sorted({*order[1::2]}) == ["a", "b"]
    assert {tuple(order[place : place + 2]) for place in range(1, len(order) - 2, 2)} == {("a", "r"), ("b", "r")}
    assert len(quotients(seen["a", 1], seen["r", 1])) == len(seen["a", 1].blocks)


def test_rounds_of_two_batch_sizes_share_no_block_of_the_reference():
    machine = Machine()
    cells = [machine.workload(name, size, 0.01 * size) for size in (1, 8) for name in "ar"]
    seen = machine.measure(cells, reference="r", time_budget=8.0)
    for size in (1, 8):
        for each in quotients(seen["a", size], seen["r", size]):
            assert [abs(block.order - each.block.order) for block in each.beside] == [1, 1]


def test_a_costly_reference_takes_about_half_of_the_time():
    machine = Machine()
    seen = machine.measure(
        [*(machine.workload(name, 1, 0.3) for name in "abcdef"), machine.workload("r", 1, 0.9)],
        reference="r",
        time_budget=40.0,
    )
    seconds = {name: sum(block.seconds * block.passes for block in cell.blocks) for (name, _), cell in seen.items()}
    assert 0.3 < seconds["r"] / sum(seconds.values()) < 0.65
    assert all(len(quotients(seen[name, 1], seen["r", 1])) == len(seen[name, 1].blocks) for name in "abcdef")


def test_a_machine_that_gets_slower_within_a_round_leaves_the_ratio_alone():
    """Each block takes 2 % longer than the one before; without the second neighbour a ratio would be 2 % off."""
    machine = Machine()
    machine.slowed = lambda now: 1.02 ** (now / 0.05)
    seen = machine.measure(
        [machine.workload("a", 1, 0.05), machine.workload("r", 1, 0.05)], reference="r", witness=None, time_budget=20.0
    )
    assert ratio_of(seen["a", 1], seen["r", 1]).ratio == pytest.approx(1.0, abs=0.006)


def test_no_round_runs_without_the_reference_when_time_gets_short():
    """The reference has its blocks long before a slow network has, whose blocks still stand between two of it."""
    machine = Machine()
    cells = [
        machine.workload(name, size, seconds * size)
        for size in (1, 8)
        for name, seconds in (("n0", 0.00085), ("r", 0.000008), ("n2", 0.065))
    ]
    seen = machine.measure(cells, reference="r", time_budget=1.5)
    for (name, size), found in seen.items():
        if name != "r" and found.measured:
            assert len(quotients(found, seen["r", size])) == len(found.blocks)


def cell(*blocks: tuple[int, float], disturbed: dict[int, str] | None = None) -> Latency:
    return Latency(1, tuple(Block(seconds, 1, 1, order, (disturbed or {}).get(order)) for order, seconds in blocks))


def test_a_disturbed_neighbour_leaves_its_block_out_and_drift_does_not():
    base = [(1, 1.0), (3, 1.0), (5, 1.0), (7, 1.0)]
    above = cell((2, 2.0), (4, 3.0), (6, 4.0))
    assert [each.value for each in quotients(above, cell(*base))] == [2.0, 3.0, 4.0]
    assert [each.value for each in quotients(above, cell(*base, disturbed={3: "other work"}))] == [4.0]
    assert [each.value for each in quotients(above, cell(*base, disturbed={3: "drift (sums)"}))] == [2.0, 3.0, 4.0]


def test_with_the_networks_exchanged_the_ratio_is_turned_round():
    base, above = cell((1, 1.0), (3, 2.0), (5, 1.0), (7, 1.0)), cell((2, 2.0), (4, 3.0), (6, 4.0))
    (ratio, (low, high)), (turned, ends) = ratio_of(above, base), ratio_of(base, above)
    assert turned == pytest.approx(1 / ratio) and ends == pytest.approx((1 / high, 1 / low))


def test_neighbours_that_share_a_block_say_less_than_two_of_their_own():
    """Quotients of which each shares its reference's block with the next: the interval is wider by sqrt(1 + n/3n)."""
    draw = random.Random(4)
    times = [draw.uniform(0.9, 1.1) for _ in range(41)]
    above = cell(*((order, 2 * times[order]) for order in range(1, 41, 2)))
    shared = cell(*((order, times[order]) for order in range(0, 41, 2)))
    own = Latency(1, tuple(Block(1.0, 1, block.order, 3 * block.order + 1) for block in above.blocks))
    apart = Latency(
        1,
        tuple(
            Block(times[block.order + side], 1, block.order, 3 * block.order + 1 + side)
            for block in above.blocks
            for side in (-1, 1)
        ),
    )
    same = Latency(1, tuple(Block(block.seconds, 1, block.order, 3 * block.order + 1) for block in above.blocks))
    assert len(own.blocks) == 20
    wide, narrow = ratio_of(above, shared), ratio_of(same, apart)
    assert wide.ratio == pytest.approx(narrow.ratio)
    assert wide.error / narrow.error == pytest.approx((1 + 19 / 20 / 3) ** 0.5)


def controlled(machine: Machine, seconds: float, copy: float, **how):
    return machine.measure(
        [
            machine.workload("a", 1, seconds),
            machine.workload("r", 1, seconds),
            Workload("", 1, lambda: machine.step("copy", copy), control=True),
        ],
        reference="r",
        **how,
    )


def test_a_second_copy_has_its_share_of_the_time_and_nothing_waits_for_it():
    machine = Machine()
    seen = controlled(machine, 0.02, 0.02, precision=1e-9, time_budget=20.0)
    spent = sum(block.seconds * block.passes for block in seen["", 1].blocks)
    assert len(seen["", 1].blocks) >= FEWEST_BLOCKS and spent < CONTROL_SHARE * 20.0
    assert len(seen["a", 1].blocks) > 2 * len(seen["", 1].blocks)
    assert ratio_of(seen["", 1], seen["r", 1]).ratio == pytest.approx(1.0)
    draw = random.Random(1)
    machine = Machine()
    noisy = [0.02 * draw.uniform(0.5, 1.5) for _ in range(10_000)]
    seen = controlled(machine, 0.02, noisy, time_budget=20.0)
    assert machine.now < 10.0 and len(seen["a", 1].blocks) < 60  # the copy is not precise, and is not waited for


def test_there_is_no_second_copy_where_its_blocks_would_not_fit():
    machine = Machine()
    seen = controlled(machine, 0.5, 0.5, time_budget=8.0)
    assert seen["", 1].error == "there was no time for a second copy of the reference"
    assert seen["a", 1].measured and seen["r", 1].measured
