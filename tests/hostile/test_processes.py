"""What may end the whole process, counted in one of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

FLEX = """
import torch, archprof
from torch import nn
from torch.nn.attention.flex_attention import flex_attention

class Flex(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 16)

    def forward(self, x):
        return flex_attention(*(self.fc(x)[:, None],) * 3)

network = Flex()
found = archprof.profile(network, (torch.ones(2, 128, 16),), mode=MODE)
print(found.macs, found.uncounted, found.notes)
assert next(network.parameters()).device.type == "cpu"
"""
PROJECTION = 2 * 128 * 16 * 16
PAIRS = 2 * 128 * 128 * 16  # scores; as much again for the values

DEEP = """
import torch, archprof
from torch import nn

network = nn.Linear(8, 8)
for _ in range(220):
    network = nn.Sequential(network)
with torch.no_grad():
    network(torch.ones(2, 8))
found = archprof.profile(network, (torch.ones(2, 8),))
print(found.macs, found.uncounted, found.notes)
import sympy  # what was imported for the first time on the way down is whole
assert sympy.core and torch._dynamo
"""


def said_by(code: str) -> str:
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, (ended.returncode, ended.stderr[-800:])
    return ended.stdout


def test_flex_attention() -> None:
    assert said_by(FLEX.replace("MODE", "'eval'")) == f"{PROJECTION + 2 * PAIRS} () ()\n"


def test_flex_attention_in_training() -> None:
    """The input needs no gradient, the weight does; backward does five products of pairs. A number, or a sentence that it is not one: never the end of the process."""
    found = said_by(FLEX.replace("MODE", "'train'"))
    assert found.startswith(f"{2 * PROJECTION + 7 * PAIRS} ") or "() ()" not in found


@pytest.mark.parametrize("first", ["", "import torch._dynamo"])
def test_a_network_220_deep(first: str) -> None:
    assert said_by(first + DEEP) == f"{2 * 8 * 8} () ()\n"
