"""After an edit of a network's code or settings a profile counts what is there now."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from hostile.rows import C1, C3, Net, Three, c1, c3, image
from hostile.watching import Photograph
from torch import Tensor, nn

import archprof

Patch = Callable[[Any, str, Any], None]


def helper(conv: nn.Module, x: Tensor, times: int = 1) -> Tensor:
    for _ in range(times):
        x = conv(x)
    return x


class Base(nn.Module):
    times: ClassVar[int] = 1

    def again(self, x: Tensor) -> Tensor:
        return x


class Block(Base):
    def __init__(self) -> None:
        super().__init__()
        self.conv = c3()

    @property
    def layer(self) -> nn.Module:
        return self.conv

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.times):
            x = helper(self.layer, x)
        return self.again(x)


def closing() -> nn.Module:
    often = 1

    def forward(network: Any, x: Tensor) -> Tensor:
        return helper(network.conv, x, often)

    return Net(forward, conv=c3())


@dataclass(frozen=True)
class Edit:
    name: str
    edit: Callable[[Any, Patch], None]
    before: int
    after: int
    make: Callable[[], nn.Module] = lambda: Three(Block)


def _code(network: Any, patch: Patch) -> None:
    patch(helper, "__code__", (lambda conv, x, times: conv(conv(x))).__code__)


def _wider(network: Any, patch: Patch) -> None:
    for parameter in network.blocks[1].conv.parameters():
        parameter.data = torch.cat([parameter.data, parameter.data])
    network.blocks[2].conv.weight.data = torch.cat([network.blocks[2].conv.weight.data] * 2, 1)


def _again(block: Any, given: Any, out: Tensor) -> Tensor:
    again: Tensor = block.forward(out)
    return again


THIS = sys.modules[__name__]
EDITS = [
    Edit("forward of a class", lambda n, patch: patch(Block, "forward", lambda s, x: s.conv(s.conv(x))),
         3 * C3, 6 * C3),
    Edit("a method of a base class", lambda n, patch: patch(Base, "again", lambda s, x: s.conv(x)), 3 * C3, 6 * C3),
    Edit("a property", lambda n, patch: patch(Block, "layer", property(lambda s: nn.Identity())), 3 * C3, 0),
    Edit("a class attribute", lambda n, patch: patch(Base, "times", 3), 3 * C3, 9 * C3),
    Edit("a class attribute for one", lambda n, patch: patch(n.blocks[1], "times", 3), 3 * C3, 5 * C3),
    Edit("a function of the module", lambda n, patch: patch(THIS, "helper", lambda c, x: c(c(x))), 3 * C3, 6 * C3),
    Edit("the code of a function", _code, 3 * C3, 6 * C3),
    Edit("the defaults of a function", lambda n, patch: patch(helper, "__defaults__", (2,)), 3 * C3, 6 * C3),
    Edit("forward of one block", lambda n, patch: patch(n.blocks[0], "forward", lambda x: x), 3 * C3, 2 * C3),
    Edit("the class of one block", lambda n, patch: patch(n.body[0], "__class__", Base), 2 * C3, 2 * C3,
         lambda: Net(lambda s, x: s.body[1](s.body[0](x)) if isinstance(s.body[0], Block) else s.body[1](s.body[1](x)),
                     body=nn.ModuleList((Block(), Block())))),
    Edit("forward of torch's convolution",
         lambda n, patch: patch(nn.Conv2d, "forward", lambda s, x: s._conv_forward(x, s.weight, s.bias)[:, :, ::2]),
         3 * C3, C3 + C3 // 2 + 2 * 2 * 6 * 8 * 72),
    Edit("torch's functional",
         lambda n, patch: patch(F, "relu", lambda x, inplace=False: torch.relu(x) @ torch.ones(6, 6)),
         C3, C3 + 2 * 8 * 36 * 6, lambda: nn.Sequential(c3(), nn.ReLU())),
    Edit("a block is swapped", lambda n, patch: n.blocks.__setitem__(1, c1()), 3 * C3, 2 * C3 + C1),
    Edit("a hook is added", lambda n, patch: n.blocks[1].register_forward_hook(_again) and None, 3 * C3, 4 * C3),
    Edit("a stride is set", lambda n, patch: patch(n.blocks[2].conv, "stride", (2, 2)), 3 * C3, 2 * C3 + C3 // 4),
    Edit("weights are made wider", _wider, 3 * C3, 5 * C3),
    Edit("a closure's variable",
         lambda n, patch: patch(n.function.__closure__[0], "cell_contents", 4), C3, 4 * C3, closing),
    Edit("the defaults of forward", lambda n, patch: patch(n.function, "__defaults__", (3,)), C3, 3 * C3,
         lambda: Net(lambda s, x, times=1: helper(s.conv, x, times), conv=c3())),
]  # fmt: skip


@pytest.fixture
def patch() -> Iterator[Patch]:
    """monkeypatch's setattr puts back what a class inherits as its own, and cannot set code."""
    undo: list[Callable[[], None]] = []

    def change(thing: Any, name: str, value: Any) -> None:
        own = not isinstance(thing, (type, nn.Module)) or name in vars(thing) or name == "__class__"
        old = getattr(thing, name) if not isinstance(thing, type) else vars(thing).get(name)
        undo.append(lambda: setattr(thing, name, old) if own else delattr(thing, name))
        setattr(thing, name, value)

    yield change
    for each in reversed(undo):
        each()


def macs(network: nn.Module) -> int:
    return archprof.profile(network, image()).macs


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_what_is_there_now_is_counted(edit: Edit, patch: Patch) -> None:
    network = edit.make()
    assert [macs(network), macs(network)] == [edit.before] * 2
    edit.edit(network, patch)
    now = Photograph(network)
    assert [macs(network), macs(network)] == [edit.after] * 2
    assert now.differences(network) == []


SOURCE = """
import torch
from torch import nn

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return step(self.conv, x)

def step(conv, x):
    return {step}
"""


def test_a_module_that_is_loaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a notebook: the file is edited and loaded again, the old network stays and calls the new function."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file = tmp_path / "hostile_loaded.py"
    file.write_text(SOURCE.replace("{step}", "conv(x)"))
    module: types.ModuleType = importlib.import_module("hostile_loaded")
    try:
        network = module.Network()
        assert macs(network) == C3
        file.write_text(SOURCE.replace("{step}", "conv(conv(conv(x)))"))
        importlib.reload(module)
        assert [macs(network), macs(module.Network())] == [3 * C3] * 2
    finally:
        del sys.modules["hostile_loaded"]
