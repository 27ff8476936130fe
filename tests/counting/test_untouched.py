"""A profile leaves nothing behind: not in the module, not in torch, not when forward raises."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from helpers.truths import T
from torch import Tensor, nn

from archprof.base.errors import ForwardFailed
from archprof.counting.counts import profile, without_collection


class Restless(nn.Module):
    """Everything that a forward may do to its module: counters, lists, buffers, modes, weights, random numbers."""

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.fails = fails
        self.conv, self.norm, self.drop = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)
        self.rnn = nn.LSTM(4, 5)
        self.calls = 0
        self.last: Tensor | None = None
        self.register_buffer("seen", torch.zeros(4))
        self.rnn.train(False)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        x = self.drop(self.norm(self.conv(x)))
        self.seen += x.detach().mean((0, 2, 3))
        self.last = x
        self.extra = nn.Linear(4, 2).to(x.device)
        self.norm.train(not self.training)
        random_tensor = torch.rand(3)
        self.conv.weight = nn.Parameter(self.conv.weight * 2)
        del self.drop
        out, _ = self.rnn(x.flatten(2).permute(2, 0, 1))
        if self.fails:
            raise ValueError("broken")
        return out + random_tensor.sum()


def _state(network: nn.Module) -> dict[str, Any]:
    found: dict[str, Any] = {"dict": {}}
    for path, part in network.named_modules():
        found["dict"][path] = {
            name: id(value) if isinstance(value, Tensor) else repr(value) for name, value in part.__dict__.items()
        }
        found[f"mode {path}"] = part.training
        for table in (part._parameters, part._buffers, part._forward_hooks, part._forward_pre_hooks):
            found[f"{path} {len(found)}"] = [(name, id(value)) for name, value in table.items()]
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        found[f"bytes {name}"] = tensor.detach().numpy().tobytes()
        found[f"about {name}"] = (
            tensor.device,
            tensor.dtype,
            tensor.requires_grad,
            tensor._version,
            None if tensor.grad is None else tensor.grad.numpy().tobytes(),
        )
    return found


def _world() -> dict[str, Any]:
    return {
        "call": nn.Module.__call__,
        "init": [vars(nn.init)[name] for name in sorted(vars(nn.init))],
        "functional": [vars(nn.functional)[name] for name in sorted(vars(nn.functional))],
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "random": torch.get_rng_state().numpy().tobytes(),
        "python": random.getstate(),
        "numpy": numpy.random.get_state()[1].tobytes(),
        "threads": torch.get_num_threads(),
        "gc": gc.isenabled(),
        "modes": torch._C._len_torch_dispatch_stack() + torch._C._len_torch_function_stack(),
        "hooks": [
            len(hooks)
            for name, hooks in vars(torch.nn.modules.module).items()
            if name.startswith("_global_") and isinstance(hooks, dict)
        ],
    }


def _prepared(fails: bool) -> nn.Module:
    network = Restless(fails)
    network.conv.bias.grad = torch.ones(4)
    network.norm.weight.requires_grad_(False)
    network.norm.register_forward_hook(lambda *_: None)
    return network


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_as_before(mode: str, fails: bool) -> None:
    network = _prepared(fails)
    before, world = _state(network), _world()
    if fails:
        with pytest.raises(ForwardFailed, match="broken"):
            profile(network, (T(2, 3, 8, 8),), mode=mode)
    else:
        profile(network, (T(2, 3, 8, 8),), mode=mode)
    assert _state(network) == before
    assert _world() == world


def test_a_real_pass_leaves_nothing_behind_either() -> None:
    class Looks(Restless):
        def forward(self, x: Tensor) -> Tensor:
            assert x.sum() < 1e9
            return super().forward(x)

    network = Looks(False)
    before, world = _state(network), _world()
    found = profile(network, (T(2, 3, 8, 8),), mode="train")
    assert "real pass" in found.notes[0]
    # the running statistics are the one thing that a real training pass writes in place
    assert _state(network) == before
    assert _world() == world


def test_what_a_forward_keeps_for_the_next_is_forgotten() -> None:
    """A cache that filled up with tensors without values would break the network's next real pass."""

    class Caches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.bias: dict[str, Tensor] = {}
            self.seen: list[int] = [1]

        def forward(self, x: Tensor) -> Tensor:
            if not self.bias:
                self.bias["bias"] = torch.zeros(4, 6, 6, device=x.device)
                self.register_buffer("scale", torch.ones(4, 6, 6, device=x.device))
            self.seen.append(len(x))
            return self.conv(x) * self.scale + self.bias["bias"]

    network = Caches()
    first = profile(network, (T(2, 3, 8, 8),))
    assert (network.bias, network.seen, dict(network.named_buffers())) == ({}, [1], {})
    assert profile(network, (T(2, 3, 8, 8),)) == first
    assert network(T(2, 3, 8, 8)).shape == (2, 4, 6, 6)


def test_building_leaves_torch_as_it_was() -> None:
    world = _world()
    profile("mobilenetv1")
    assert _world() == world


def test_inputs_are_left_alone() -> None:
    x = T(2, 3).requires_grad_()

    def forward(layer: nn.Linear, x: Tensor) -> Tensor:
        return layer(x).mul_(2)

    from helpers.truths import Does

    profile(Does(forward, nn.Linear(3, 3)), (x,), mode="train")
    assert x.grad is None
    assert x._version == 0


def test_counts_after_a_forward_that_raised() -> None:
    """Counters that patch torch count double ever after."""
    good, bad = nn.Conv2d(3, 4, 3), _prepared(True)
    first = profile(good, (T(1, 3, 8, 8),))
    for _ in range(2):
        with pytest.raises(ForwardFailed):
            profile(bad, (T(2, 3, 8, 8),))
    assert profile(good, (T(1, 3, 8, 8),)) == first
    assert first.macs == 36 * 4 * 27


def test_hooks_of_the_user_still_run() -> None:
    seen: list[str] = []
    layer = nn.Conv2d(3, 4, 3)

    def hook(module: nn.Module, args: Any, out: Tensor) -> Tensor:
        seen.append("hook")
        return out + len(seen)

    layer.register_forward_hook(hook)
    network = nn.Sequential(layer, nn.ReLU())
    for _ in range(2):  # the second time from memory
        found = profile(network, (T(1, 3, 8, 8),))
        assert [layer.op for layer in found.layers] == ["aten.convolution", "aten.add", "aten.relu"]
        assert seen == []  # what a hook keeps for its owner is the owner's


def test_a_patched_function_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    plain = profile(network, (T(1, 3, 8, 8),))
    original: Callable[..., Tensor] = nn.functional.relu
    monkeypatch.setattr(nn.functional, "relu", lambda x, inplace=False: original(x) + 1)
    assert len(profile(network, (T(1, 3, 8, 8),)).layers) == len(plain.layers) + 1


@pytest.mark.parametrize("training", [False, True])
def test_the_mode_of_a_scripted_part_comes_back(training: bool) -> None:
    """Also where it was in evaluation before, and forward alone changed it."""

    class Switches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5)))

        def forward(self, x: Tensor) -> Tensor:
            self.inside.train(not training)
            return self.inside(x)

    network = Switches().train(training)
    profile(network, (T(1, 3, 6, 6),))
    assert [part.training for part in network.modules()] == [training] * 4
    assert "_compiled_call_impl" not in network.inside.__dict__


def test_no_garbage_is_collected_while_any_thread_counts() -> None:
    assert gc.isenabled()
    first, second = without_collection(), without_collection()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()
