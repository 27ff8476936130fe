"""Networks that try to be counted wrong, or to be changed by being counted: every row of the tables, every check.

The one failure is a wrong number in silence. What cannot be decided has to be said.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from helpers import dispatched
from hostile import networks_alike, networks_looking, networks_places, networks_running, networks_state
from hostile.rows import Row
from hostile.watching import Photograph, hollow, same, seed, world

import archprof
from archprof import StaticProfile

TABLES = (networks_alike, networks_places, networks_state, networks_running, networks_looking)
ROWS = [row for table in TABLES for row in table.ROWS]

#: These tell how a number came about, not that it may be wrong.
WAYS = ("counted in a real pass", "built with real weights")

every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def profiled(row: Row, network: torch.nn.Module, inputs: tuple[Any, ...] | None = None) -> StaticProfile:
    """The profile of a network, from the same random numbers every time."""
    seed()
    return archprof.profile(network, row.inputs() if inputs is None else inputs, mode=row.mode)


def doubts(found: StaticProfile) -> list[str]:
    """What a profile says about numbers that may be wrong."""
    notes = [note for note in found.notes if not note.startswith(WAYS)]
    return notes + [f"{item.op} is uncounted" for item in found.uncounted]


def alike(row: Row, one: StaticProfile, other: StaticProfile) -> bool:
    return (one.macs, one.notes) == (other.macs, other.notes) if row.warms else one == other


def ran(row: Row, network: torch.nn.Module) -> Any:
    seed()
    with torch.no_grad():
        return network.eval()(*row.inputs())


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """What a row or a failure leaves behind is not the next row's."""
    before = world()
    yield
    put_back(before)


def test_names_are_used_once() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("row", [row for row in ROWS if not row.by_hand], ids=lambda row: row.name)
def test_arithmetic_agrees_with_a_real_pass(row: Row) -> None:
    network, inputs = row.network().eval(), row.inputs()
    seed()
    assert dispatched.total(lambda: network(*inputs)) == row.truth


def put_back(before: dict[str, Any]) -> None:
    """A real pass of a row may change what a profile must not."""
    torch.set_default_dtype(before["default dtype"])
    torch.use_deterministic_algorithms(before["deterministic"][0])
    torch.set_float32_matmul_precision(before["matmul precision"])
    torch.backends.cudnn.benchmark = before["cudnn"][1]
    torch.set_num_threads(before["threads"])
    for name in vars(torch.nn.modules.module):
        hooks = vars(torch.nn.modules.module)[name]
        if name.startswith("_global_") and isinstance(hooks, dict):
            hooks.clear()


@every_row
def test_the_number_is_right_or_in_doubt(row: Row) -> None:
    found = profiled(row, row.network())
    if row.said:
        assert re.search(row.said, " ".join(doubts(found)))
    else:
        assert found.macs == row.truth or doubts(found)


@every_row
def test_a_second_profile_is_equal(row: Row) -> None:
    network = row.network()
    first, second = profiled(row, network), profiled(row, network)
    assert alike(row, first, second) or (doubts(first) and doubts(second))


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


@pytest.mark.parametrize("row", [row for row in ROWS if not row.random], ids=lambda row: row.name)
def test_two_threads_at_once(row: Row) -> None:
    network = row.network()
    alone = profiled(row, network)
    before = Photograph(network)
    found: list[Any] = []
    start = threading.Barrier(2)

    def work() -> None:
        start.wait()
        for _ in range(8):
            try:
                found.append(profiled(row, network))
            except Exception as error:
                found.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each for each in found if isinstance(each, Exception)] == []
    assert [each.macs for each in found if not alike(row, each, alone)] == []
    assert before.differences(network) == []
