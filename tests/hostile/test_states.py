"""A profile in whatever state torch and the process are, and after Ctrl-C in the middle of a forward."""

from __future__ import annotations

import contextlib
import gc
import signal
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import archprof

IMAGE = torch.ones(2, 3, 8, 8)
TRUTH = 2 * 36 * 4 * 27

STATES = {
    "inference mode": torch.inference_mode,
    "gradients off": torch.no_grad,
    "another device for new tensors": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "another counter": lambda: FlopCounterMode(display=False),
}


@pytest.mark.parametrize("state", STATES)
def test_the_state_around_a_profile_changes_no_count(state: str) -> None:
    with STATES[state]():
        assert archprof.profile(nn.Conv2d(3, 4, 3, device="cpu"), (IMAGE,)).macs == TRUTH


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.complex64], ids=str)
def test_any_dtype(dtype: torch.dtype) -> None:
    found = archprof.profile(nn.Conv2d(3, 4, 3).to(dtype), (IMAGE.to(dtype),))
    assert (found.macs, found.notes) == (TRUTH * (4 if dtype.is_complex else 1), ())
    assert found.parameter_bytes == 112 * dtype.itemsize


class Interrupting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.calls = nn.Conv2d(3, 4, 3), []

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append(self.conv(x))
        torch.set_default_dtype(torch.float64)
        signal.raise_signal(signal.SIGINT)
        return self.calls[-1]


def test_ctrl_c_in_a_forward_leaves_nothing_behind() -> None:
    network, random, limit, out = Interrupting(), torch.get_rng_state(), sys.getrecursionlimit(), sys.stdout
    with contextlib.suppress(KeyboardInterrupt):
        archprof.profile(network, (IMAGE,))
        raise AssertionError("not interrupted")
    assert (torch.get_default_dtype(), network.calls, network.conv.weight.is_meta) == (torch.float32, [], False)
    assert (sys.getrecursionlimit(), sys.stdout, gc.isenabled()) == (limit, out, True)
    assert torch.equal(torch.get_rng_state(), random) and not torch._C._len_torch_dispatch_stack()
    assert archprof.profile(nn.Conv2d(3, 4, 3), (IMAGE,)).macs == TRUTH  # the lock is free
