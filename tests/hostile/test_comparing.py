"""The same networks through `compare`, which counts for several batch sizes and for training: some of every table."""

from __future__ import annotations

import pytest
from hostile.checks import ROWS, doubts
from hostile.rows import Row
from hostile.watching import Photograph, hollow, seed

import archprof


@pytest.mark.parametrize("row", [row for row in ROWS[::7] if not row.random], ids=lambda row: row.name)
def test_comparing_counts_the_same_and_touches_nothing(row: Row) -> None:
    network = row.network()
    before, without_values = Photograph(network), {id(tensor) for tensor in hollow(network)}
    seed()
    found = archprof.compare([network], batch_sizes=(1, 2), inputs=lambda batch: (row.inputs(), {}), latency=False)
    (result,) = found.architectures
    assert result.profile is not None, result.error
    assert result.profile.macs == row.truth or doubts(result.profile)
    assert before.differences(network) == []
    assert [tensor.shape for tensor in hollow(network) if id(tensor) not in without_values] == []
