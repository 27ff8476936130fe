"""All rows, and how each of them is profiled, judged and run."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch._dynamo  # a dispatch mode imports it when it first runs, which fails for good deep inside of a network
from hostile import (
    networks_alike,
    networks_constants,
    networks_looking,
    networks_places,
    networks_running,
    networks_state,
    networks_stubborn,
    networks_views,
    networks_ways,
)
from hostile.rows import Row
from hostile.watching import seed

import archprof
from archprof import StaticProfile
from archprof.counting.counts import SHARED
from archprof.counting.shapes import ShapeMemory

TABLES = (
    networks_alike,
    networks_places,
    networks_state,
    networks_running,
    networks_looking,
    networks_ways,
    networks_constants,
    networks_views,
    networks_stubborn,
)
ROWS = [row for table in TABLES for row in table.ROWS]

#: These tell how a number came about, not that it may be wrong.
WAYS = ("counted in a real pass", "built with real weights")

every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def profiled(
    row: Row, network: torch.nn.Module, inputs: tuple[Any, ...] | None = None, memory: ShapeMemory = SHARED
) -> StaticProfile:
    """The profile of a network, from the same random numbers every time."""
    seed()
    return archprof.profile(network, row.inputs() if inputs is None else inputs, mode=row.mode, shape_memory=memory)


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
