"""What may end the whole process, counted in one of its own."""

from __future__ import annotations

import subprocess
import sys

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
for mode in ("eval", "train"):
    found = archprof.profile(network, (torch.ones(2, 128, 16),), mode=mode)
    print(found.macs, found.uncounted, found.notes, flush=True)
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


def said_by(code: str) -> list[str]:
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, (ended.returncode, ended.stdout, ended.stderr[-800:])
    return ended.stdout.splitlines()


def test_flex_attention() -> None:
    """In training the input needs no gradient and the weight does; backward does four products of pairs.

    A number, or a sentence that it is not one: never the end of the process.
    """
    inference, training = said_by(FLEX)
    assert inference == f"{PROJECTION + 2 * PAIRS} () ()"
    assert training.startswith(f"{2 * PROJECTION + 6 * PAIRS} ") or not training.endswith("() ()")


def test_a_network_220_deep() -> None:
    """Where a pass without values imports something for the first time far down, the import must not break off."""
    assert said_by(DEEP) == [f"{2 * 8 * 8} () ()"]
