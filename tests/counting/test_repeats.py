"""Blocks that are alike are traced once: the trace is the same, and whatever could make a difference is noticed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archprof.counting.counts import profile, recorded, subject_of
from archprof.counting.purity import ANY, PURE, STEADY, purity
from archprof.counting.shapes import ShapeMemory
from archprof.counting.trace import Trace, trace

X = torch.zeros(2, 8, 6, 6)


class Block(nn.Module):
    """A residual block; `ran` counts how often its forward really runs, from outside."""

    def __init__(self, channels: int = 8, width: int = 4) -> None:
        super().__init__()
        self.inside = nn.Sequential(
            nn.Conv2d(channels, width, 1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inside(x)


def written(found: Trace) -> tuple[Any, ...]:
    """A trace as plain values."""
    return (
        [(call.op.name, call.op.args, call.module, [*call.inputs], [*call.outputs]) for call in found.calls],
        [(storage.born, storage.died, storage.nbytes, storage.owner) for storage in found.storages],
        found.module_calls,
    )


def copied(network: nn.Module, *inputs: Any, memory: ShapeMemory | None = None) -> int:
    """How many passages were copied; the trace is held against one in which none was."""
    inputs = inputs or (X,)
    blank = tuple(x.to("meta") if isinstance(x, Tensor) else x for x in inputs)
    found = trace(network, blank, memory=ShapeMemory() if memory is None else memory)
    plain = trace(network, blank, memory=ShapeMemory(remember=False))
    assert not plain.repeats
    assert written(found) == written(plain)
    return len(found.repeats)


def test_blocks_that_are_alike_are_traced_once() -> None:
    assert copied(nn.Sequential(*[Block() for _ in range(5)])) == 4


@pytest.mark.parametrize(("name", "least"), [("resnet152", 42), ("mobilenetv2", 5), ("resnext50_32x4d", 8)])
def test_networks_of_the_zoo_repeat_themselves(name: str, least: int) -> None:
    """ResNet-152 has 50 blocks of 8 kinds. A second network of the family finds most of its blocks known."""
    memory, subject = ShapeMemory(), subject_of(name)
    found, first = recorded(subject, shape_memory=memory)
    plain, really = recorded(subject, shape_memory=ShapeMemory(remember=False))
    assert len(first.repeats) >= least
    assert written(first) == written(really)
    assert found == plain


def test_a_network_finds_the_blocks_of_the_ones_before() -> None:
    memory = ShapeMemory()
    for name in ("resnet50", "resnet101"):
        profile(name, shape_memory=memory)
    found, trace_ = recorded(subject_of("resnet152"), shape_memory=memory)
    assert found == profile("resnet152", shape_memory=ShapeMemory(remember=False))
    assert sum(len(repeat.passage.calls) for repeat in trace_.repeats) > 0.95 * len(trace_.calls)


def test_parameters_are_claimed_once_where_a_block_is_called_twice() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = Block(), Block()

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(3):
                x = self.other(self.one(x))
            return x

    network = Loop()
    assert copied(network) == 5
    found = profile(network, (X,), shape_memory=ShapeMemory())
    assert sum(layer.parameters for layer in found.layers) == found.parameters
    assert found == profile(network, (X,), shape_memory=ShapeMemory(remember=False))


def test_an_uncounted_operator_in_a_block_is_said_for_each() -> None:
    class Odd(Block):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.linalg.inv(self.inside(x))

    network = nn.Sequential(*[Odd() for _ in range(3)])
    assert copied(network) == 2
    found = profile(network, (X,), shape_memory=ShapeMemory())
    assert [row.calls for row in found.uncounted] == [3]


# --- what makes a difference -------------------------------------------------------------------------------------


def _hooked(block: Block) -> None:
    block.inside[0].register_forward_hook(lambda *_: None)


def _wider(block: Block) -> None:
    block.inside[0], block.inside[3] = nn.Conv2d(8, 5, 1), nn.Conv2d(5, 8, 3, padding=1)
    block.inside[1] = nn.BatchNorm2d(5)


def _setting(block: Block) -> None:
    block.inside[2].inplace = False


def _dict(block: Block) -> None:
    block.seen = {}  # type: ignore[assignment]


def _patched(block: Block) -> None:
    block.forward = lambda x: x  # type: ignore[method-assign]


def _frozen(block: Block) -> None:
    block.inside[0].weight.requires_grad_(False)


def _unsaved(block: Block) -> None:
    block.inside[1]._non_persistent_buffers_set.add("running_mean")


@pytest.mark.parametrize(
    ("change", "times"),
    [(_hooked, 1), (_wider, 1), (_setting, 1), (_patched, 1), (_frozen, 1), (_unsaved, 1), (_dict, 2)],
)  # with a dict: what is inside is alike
def test_a_block_that_differs_is_run(change: Callable[[Block], None], times: int) -> None:
    blocks = [Block() for _ in range(3)]
    change(blocks[1])
    network = nn.Sequential(*blocks)
    assert copied(network) == times
    assert profile(network, (X,), shape_memory=ShapeMemory()) == profile(
        network, (X,), shape_memory=ShapeMemory(remember=False)
    )


def test_an_input_of_another_shape_is_run() -> None:
    class Halving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(Block() for _ in range(4))

        def forward(self, x: Tensor) -> Tensor:
            for block in self.blocks:
                x = F.avg_pool2d(block(block(x)), 2, ceil_mode=True)
            return x

    assert copied(Halving()) == 4  # 6, 3, 2 and 1 pixels: the second call of each


def test_shared_weights_and_shared_modules_are_like_no_other() -> None:
    blocks = [Block() for _ in range(4)]
    blocks[1].inside[0].weight = blocks[0].inside[0].weight
    blocks[3].inside = blocks[2].inside
    assert copied(nn.Sequential(*blocks)) == 0


def test_inputs_in_the_same_storage_are_run() -> None:
    class Adds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(8, 8, 1)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.conv(x) + y

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.three = Adds(), Adds(), Adds()

        def forward(self, x: Tensor) -> Tensor:
            return self.three(self.two(self.one(x, x), x), x)

    network = Both()
    for part in (network.one, network.two, network.three):
        part.inner = nn.Sequential(nn.Identity())  # blocks are modules with modules inside
    assert copied(network) == 1  # the first had one storage twice; the second is traced, the third copied


kept: list[Any] = []


class Keeps(Block):
    def forward(self, x: Tensor) -> Tensor:
        kept.append(x)
        return super().forward(x)


class Leaks(Block):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.last = self.inside(x)
        return x + self.last


switch = False


class Switched(Block):
    def forward(self, x: Tensor) -> Tensor:
        return self.inside(x) if switch else x + self.inside(x)


class Writes(Block):
    def forward(self, x: Tensor) -> Tensor:
        return self.inside[0](x).add_(0) if x.shape[1] > 99 else x.mul_(2)


def _scale(x: Tensor) -> Tensor:
    return x * 2 if math.pi > 3 else x


class Helped(Block):
    def forward(self, x: Tensor) -> Tensor:
        return _scale(self.inside(x))


def _sets(x: Tensor) -> Tensor:
    global switch
    switch = switch
    return x


class Sets(Block):
    def forward(self, x: Tensor) -> Tensor:
        return _sets(self.inside(x))


class Closure(Block):
    @property
    def amount(self) -> int:
        return len(kept)

    def forward(self, x: Tensor) -> Tensor:
        return self.inside(x) * self.amount


@dataclass
class Config:
    """Something that can be changed."""

    on: bool = False


config = Config()


class Configured(Block):
    def forward(self, x: Tensor) -> Tensor:
        return self.inside(x) if config.on else x + self.inside(x)


@pytest.mark.parametrize(
    ("kind", "worth"),
    [
        (Block, PURE),
        (nn.TransformerEncoderLayer, PURE),
        (Switched, STEADY),
        (Helped, STEADY),
        (Keeps, ANY),
        (Sets, ANY),
        (Closure, ANY),
        (Configured, ANY),
    ],
)
def test_purity_is_read_off_the_code(kind: type[nn.Module], worth: int) -> None:
    assert purity(kind) == worth


@pytest.mark.parametrize("kind", [Keeps, Leaks, Sets, Closure, Configured, Writes])
def test_a_block_that_touches_more_than_its_own_is_run(kind: type[Block]) -> None:
    """Code that is not steady; a block that keeps what it made, or returns what it was given."""
    network = nn.Sequential(*[kind() for _ in range(3)])
    for block in network:
        block.inside = nn.Conv2d(8, 8, 1)
    assert copied(network) == 0
    kept.clear()


class Counts(Block):
    """Its second call is another than its first."""

    times = 0

    def forward(self, x: Tensor) -> Tensor:
        self.times += 1
        return x + self.inside(x) if self.times < 2 else self.inside(x)


class Steers(nn.Module):
    """Sets what its blocks do while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Steered() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for place, block in enumerate(self.blocks):
            block.on = place > 1
            x = block(x)
        return x


class Steered(Block):
    on = False

    def forward(self, x: Tensor) -> Tensor:
        return self.inside(x) if self.on else x + self.inside(x)


class Listed(Block):
    """What it does follows from how many inputs it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(len(x))
        return x + self.inside(x) if len(self.seen) < 2 else self.inside(x)


@pytest.mark.parametrize(
    "network",
    [nn.Sequential(block := Counts(), block, Counts()), Steers(), nn.Sequential(block := Listed(), block, Listed())],
)
def test_blocks_that_change_while_the_network_runs(network: nn.Module) -> None:
    for part in network.modules():
        if isinstance(part, Block):
            part.inside = nn.Conv2d(8, 8, 1)
    assert copied(network) == 0


def test_a_switch_set_between_two_passes_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, network = ShapeMemory(), nn.Sequential(*[Switched() for _ in range(3)])
    assert copied(network, memory=memory) == 2
    assert copied(network, memory=memory) == 3  # what is inside of the first is pure, so that much is known
    monkeypatch.setitem(globals(), "switch", True)
    assert copied(network, memory=memory) == 3


def test_code_replaced_between_two_passes_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, network = ShapeMemory(), nn.Sequential(*[Block() for _ in range(3)])
    assert [copied(network, memory=memory) for _ in range(3)] == [2, 3, 1]  # the last time the whole network
    monkeypatch.setattr(Block, "forward", lambda self, x: self.inside(x).relu())
    assert copied(network, memory=memory) == 3
    monkeypatch.undo()
    assert copied(network, memory=memory) == 1
    monkeypatch.setattr(F, "conv2d", lambda x, *_: x.new_zeros(2, 4, 6, 6) if x.shape[1] == 8 else x.repeat(1, 2, 1, 1))
    assert profile(network, (X,), shape_memory=memory).macs == 0


def test_what_torch_is_set_to_makes_a_difference() -> None:
    """Alike blocks in other surroundings: gradients on, another default type."""

    class Surrounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(Makes() for _ in range(4))

        def forward(self, x: Tensor) -> Tensor:
            x = self.blocks[0](x)
            torch.set_default_dtype(torch.float64)
            try:
                x = self.blocks[2](self.blocks[1](x).float())
            finally:
                torch.set_default_dtype(torch.float32)
            with torch.enable_grad():
                x = self.blocks[3](x.float())
            return x.detach()

    class Makes(Block):
        def forward(self, x: Tensor) -> Tensor:
            return self.inside(x) + torch.ones(1, device=x.device)

    assert copied(Surrounded()) == 1  # the third as the second; the first and the last are by themselves


def test_training_runs_every_block() -> None:
    network = nn.Sequential(*[Block() for _ in range(3)])
    found = trace(network, (X.to("meta"),), memory=ShapeMemory(), training=True, backward=lambda out: out.sum())
    assert not found.repeats
