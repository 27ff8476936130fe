"""Networks that try to be counted wrong, or to be changed by being counted: every row of the tables, every check.

The one failure is a wrong number in silence. What cannot be decided has to be said.
"""

from __future__ import annotations

import re

import pytest
from helpers import dispatched
from hostile import networks_views
from hostile.checks import ROWS, alike, doubts, every_row, profiled, ran
from hostile.rows import Row
from hostile.watching import Photograph, hollow, put_back, same, seed, world

import archprof
from archprof.counting.shapes import ShapeMemory


def test_names_are_used_once() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("row", [row for row in ROWS if not row.by_hand], ids=lambda row: row.name)
def test_arithmetic_agrees_with_a_real_pass(row: Row) -> None:
    network, inputs = row.network().eval(), row.inputs()
    seed()
    assert dispatched.total(lambda: network(*inputs)) == row.truth


@every_row
def test_the_number_is_right_or_in_doubt(row: Row) -> None:
    found = profiled(row, row.network())
    if row.said:
        assert re.search(row.said, " ".join(doubts(found)))
    else:
        assert found.macs == row.truth or doubts(found)


@every_row
def test_a_second_profile_is_equal(row: Row) -> None:
    network, memory = row.network(), ShapeMemory()  # of which the second is answered, and nothing before it
    first, second = (profiled(row, network, memory=memory) for _ in range(2))
    assert alike(row, first, second) or (doubts(first) and doubts(second))


@pytest.mark.parametrize("row", networks_views.ROWS, ids=lambda row: row.name)
def test_views_need_no_real_pass(row: Row) -> None:
    """A real pass would come to the right number whatever was remembered wrongly."""
    assert profiled(row, row.network(), memory=ShapeMemory()).notes == ()


@every_row
def test_the_network_is_as_before(row: Row) -> None:
    network, inputs = row.network(), row.inputs()
    before, given, without_values = Photograph(network), Photograph(inputs), {id(t) for t in hollow(network)}
    profiled(row, network, inputs)
    assert before.differences(network) == []
    assert given.differences(inputs) == []
    assert [tensor.shape for tensor in hollow(network) if id(tensor) not in without_values] == []


@every_row
def test_the_network_runs_like_its_twin(row: Row) -> None:
    network = row.network()
    profiled(row, network)
    before = world()
    mine = ran(row, network)
    put_back(before)
    assert same(mine, ran(row, row.network()))


@every_row
def test_torch_is_as_before(row: Row) -> None:
    network, inputs = row.network(), row.inputs()
    seed()
    before = world()
    archprof.profile(network, inputs, mode=row.mode)
    after = world()
    assert {name: after[name] for name in after if after[name] != before[name]} == {}
