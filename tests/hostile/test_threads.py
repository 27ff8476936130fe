"""Every row of the tables profiled by two threads at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hostile.checks import ROWS, alike, profiled
from hostile.rows import Row
from hostile.watching import Photograph


@pytest.mark.parametrize("row", [row for row in ROWS if not row.random], ids=lambda row: row.name)
def test_two_threads_at_once(row: Row) -> None:
    network = row.network()
    alone = profiled(row, network)
    given = row.inputs()  # made here: a network that sets torch's default type sets it for all threads
    before = Photograph(network)
    found: list[Any] = []
    start = threading.Barrier(2)

    def work() -> None:
        start.wait()
        for _ in range(8):
            try:
                found.append(profiled(row, network, given))
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
