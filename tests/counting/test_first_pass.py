"""The first pass of a process, and the first with a shape memory, say what every later one says."""

import subprocess
import sys

import pytest

NETWORKS = {
    "a number to the power of a tensor": "Power(), torch.rand(32)",
    "a recurrent layer": "nn.GRU(8, 16, batch_first=True), torch.rand(1, 10, 8)",
    "attention": "nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), torch.rand(1, 10, 16)",
}

PROGRAM = """
import gc, torch
from torch import nn
from archprof.counting.trace import trace
from archprof.counting.shapes import ShapeMemory

class Power(nn.Module):
    def forward(self, x):
        y = x / 2
        z = 10000 ** y
        del y
        return z + 1

def lives(found):
    return [(storage.born, storage.died, storage.nbytes) for storage in found.storages]

gc.disable()  # as while networks are counted
network, x = {}
memory = ShapeMemory()
first, second = (trace(network.eval(), (x,), memory=memory) for _ in range(2))
assert lives(first) == lives(second), [pair for pair in zip(lives(first), lives(second)) if pair[0] != pair[1]]
assert not any(isinstance(arg, torch.Tensor) for call in first.calls for arg in call.op.args)
"""


@pytest.mark.parametrize("name", NETWORKS)
def test_storages_live_as_long_in_the_first_pass_as_in_the_second(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM.replace("{}", NETWORKS[name])], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
