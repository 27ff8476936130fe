"""Edits of networks that do what nobody expects: nothing of theirs is touched, and every failure is one line."""

from __future__ import annotations

import contextlib
import signal

import pytest
import torch
from hostile.checks import every_row
from hostile.rows import Row
from hostile.watching import Photograph, seed
from torch import nn

import archprof
from archprof.base.errors import ArchprofError
from archprof.editing import predicting
from archprof.results.latency import Block, Latency

HOW = {"threads": 1, "time_budget": 0.01}


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything runs but the clock: passes and operators are made, and made up times stand for theirs."""

    def measured(rows, *_) -> None:
        for row in rows:
            row.latency = Latency(1, (Block(0.001, 1, 1, 1),))

    monkeypatch.setattr(predicting, "_measure", measured)
    monkeypatch.setattr("archprof.measure.operators.MOST", 2)
    monkeypatch.setattr("archprof.measure.operators.FEWEST", 1)
    monkeypatch.setattr("archprof.measure.operators.EACH_S", 0.0)
    monkeypatch.setattr("archprof.measure.operators.last_cache_bytes", lambda: 1 << 16)


@every_row
def test_an_edit_leaves_a_network_as_it_was(row: Row, unmeasured: None) -> None:
    network = row.network()
    before = Photograph(network)
    for edit in ("*: kernel=1", "*: identity", "*: activation=silu"):
        seed()
        with contextlib.suppress(ArchprofError):
            archprof.whatif(network, edit, inputs=lambda size: (row.inputs(), {}), **HOW)
    assert before.differences(network) == []


class Interrupting(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        signal.raise_signal(signal.SIGINT)
        return super().forward(x)


def test_ctrl_c_in_the_middle() -> None:
    threads = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        archprof.whatif(Interrupting(nn.Conv2d(3, 4, 3)), "*: kernel=5", input_shape=(3, 8, 8), **HOW)
    assert torch.get_num_threads() == threads and torch._C._len_torch_dispatch_stack() == 0


class Exits(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise SystemExit(7)


class Raises(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise Exception("\x1b[2J" * 1000)


@pytest.mark.parametrize("kind", [Exits, Raises])
def test_a_forward_that_fails_is_one_line(kind: type[nn.Module]) -> None:
    with pytest.raises(ArchprofError) as raised:
        archprof.whatif(kind(nn.Conv2d(3, 4, 3)), "0: kernel=5", input_shape=(3, 8, 8), **HOW)
    assert str(raised.value).isprintable() and len(str(raised.value)) < 3000
