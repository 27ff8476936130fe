"""Networks of which a second copy does harm, or cannot be made: the comparison goes on, and says what is missing."""

from __future__ import annotations

import threading

import pytest
from torch import nn

import archprof


class Base(nn.Module):
    input_shape = (3, 16, 16)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.passes = 0

    def forward(self, x):
        return self.conv(x)


class SharesItsState(Base):
    calls: list[int] = []

    def forward(self, x):
        SharesItsState.calls.append(1)
        return self.conv(x)


class CannotBeCopied(Base):
    def __deepcopy__(self, memo):
        raise RuntimeError("there is one of me")


class ASecondIsTooMuch(Base):
    made = 0

    def __init__(self) -> None:
        super().__init__()
        ASecondIsTooMuch.made += 1
        if ASecondIsTooMuch.made > 3:
            raise MemoryError("one is enough")


class RunsInAThread(Base):
    def forward(self, x):
        out: list = []
        thread = threading.Thread(target=lambda: out.append(self.conv(x)))
        thread.start()
        thread.join()
        return out[0]


class GivesUp(Base):
    def forward(self, x):
        self.passes += 1
        if self.passes > 30:
            raise ValueError("enough")
        return self.conv(x)


@pytest.mark.parametrize("kind", [SharesItsState, CannotBeCopied, ASecondIsTooMuch, RunsInAThread, GivesUp])
def test_the_others_have_their_times(kind: type[nn.Module]):
    found = archprof.compare({"other": Base, "odd": kind}, batch_sizes=[1], input_shape=(3, 16, 16), time_budget=0.6)
    assert found["other"].latency[0].measured
    odd = found["odd"].latency[0]
    assert odd.measured != bool(odd.error) and (kind is not GivesUp or odd.error == "enough")
    assert len(found.control) <= 1 and all(cell.measured for cell in found.control)
