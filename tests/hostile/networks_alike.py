"""Blocks that look alike and are not: whoever takes one for the other counts wrong."""

from __future__ import annotations

import functools
import itertools
import types
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import torch.nn.functional as F
from hostile.rows import C1, C3, Net, Table, Three, c1, c3
from torch import Tensor, nn

ROWS = Table()
row = ROWS.row
one = ROWS.one


# --- the parent makes the difference ------------------------------------------------------------------------------


@row("the parent calls one block twice", 4 * C3)
class OneTwice(Three):
    def forward(self, x: Tensor) -> Tensor:
        for index, block in enumerate(self.blocks):
            x = block(block(x)) if index == 1 else block(x)
        return x


@row("the parent leaves one block out", 2 * C3)
class OneLeftOut(Three):
    def forward(self, x: Tensor) -> Tensor:
        return self.blocks[2](self.blocks[0](x))


@row("the parent gives one block half of the channels' positions", 2 * C3 + C3 // 2)
class HalfForOne(Three):
    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks[1](self.blocks[0](x))
        return self.blocks[2](x[:, :, ::2])


@row("the parent uses one block's weight and not the block", 2 * C3 + 4 * C3)
class WeightOfOne(Three):
    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks[1](self.blocks[0](x))
        return F.conv2d(F.interpolate(x, scale_factor=2.0), self.blocks[2].weight, padding=1)


class Flagged(nn.Module):
    """`costly` is set from outside, where the parent is running."""

    costly = False

    def __init__(self) -> None:
        super().__init__()
        self.conv = c3()

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.conv(x) if self.costly else x


@row("the parent sets an attribute of one block before calling it", 4 * C3)
class SetsOne(Three):
    def __init__(self) -> None:
        super().__init__(Flagged)

    def forward(self, x: Tensor) -> Tensor:
        self.blocks[1].costly = True
        return super().forward(x)


@row("a block sets an attribute of the next one", 5 * C3)
class SetsNext(Three):
    def __init__(self) -> None:
        super().__init__(Flagged)

    def forward(self, x: Tensor) -> Tensor:
        before = None
        for block in self.blocks:
            block.costly = before is not None
            x, before = block(x), block
        return x


@row("the parent swaps a block's convolution for a 1x1 one, and back", 2 * C3 + C1)
class Swaps(Three):
    def __init__(self) -> None:
        super().__init__(Flagged)
        self.other = c1()

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks[1](self.blocks[0](x))
        mine, self.blocks[2].conv = self.blocks[2].conv, self.other
        x = self.blocks[2](x)
        self.blocks[2].conv = mine
        return x


@row("the parent swaps a block's convolution for good", C3 + C1)
class SwapsForGood(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.next = c3(), c1()

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        self.conv, self.next = self.next, self.conv
        return self.conv(x)


# --- a patch, a hook ------------------------------------------------------------------------------------------------


@row("forward of one convolution is patched", 4 * C3)
def patched() -> nn.Module:
    network = Three()
    conv = network.blocks[1]
    original = conv.forward
    conv.forward = lambda x: original(original(x))  # type: ignore[method-assign]
    return network


@row("forward of one convolution is a bound method of another class", 2 * C3)
def patched_by_method() -> nn.Module:
    network = Three()
    network.blocks[1].forward = types.MethodType(lambda self, x: x + self.bias[0], network.blocks[1])
    return network


@row("_conv_forward of one convolution is patched", 2 * C3)
def patched_inside() -> nn.Module:
    network = Three()
    network.blocks[1]._conv_forward = lambda x, weight, bias: x * bias.mean()
    return network


@row("the padding of one convolution was edited", 2 * C3 + 2 * 16 * 8 * 72)
def edited() -> nn.Module:
    network = Three()
    network.blocks[2].padding = (0, 0)
    return network


@row("a hook of one block calls it again", 4 * C3)
def hooked() -> nn.Module:
    network = Three()
    network.blocks[1].register_forward_hook(lambda block, given, out: block.forward(out))
    return network


@row("a hook before one block cuts its input", 2 * C3 + C3 // 2)
def hooked_before() -> nn.Module:
    network = Three()
    network.blocks[2].register_forward_pre_hook(lambda block, given: (given[0][:, :, :3],))
    return network


@row("a hook of the root makes the image larger", 4 * 3 * C3)
def hooked_root() -> nn.Module:
    network = Three()
    network.register_forward_pre_hook(lambda network, given: (F.interpolate(given[0], scale_factor=2.0),))
    return network


@row("a hook with keywords adds a layer at the end", 3 * C3 + C1)
def hooked_with_keywords() -> nn.Module:
    network, last = Three(), c1()
    network.last = last
    network.register_forward_hook(lambda network, args, kwargs, out: network.last(out), with_kwargs=True)
    return network


@row("a hook takes itself away", 2 * (3 * C3) + C3)
def hooked_once() -> nn.Module:
    network = Three()

    def again(block: nn.Module, given: Any, out: Tensor) -> Tensor:
        block.handle.remove()
        return block(out)

    network.blocks[0].handle = network.blocks[0].register_forward_hook(again)
    return Net(lambda self, x: self.inner(self.inner(x)), inner=network)


# --- counters that are not in the module ----------------------------------------------------------------------------


def counting_default(x: Tensor, conv: nn.Module, calls: list[int] = [0]) -> Tensor:  # noqa: B006
    calls[0] = (calls[0] + 1) % 3
    return conv(x) if calls[0] else conv(conv(x))


class Counted(nn.Module):
    """A block whose every third call costs double, by a counter that `turn` keeps."""

    def __init__(self, turn: Callable[[], int]) -> None:
        super().__init__()
        self.conv, self.turn = c3(), turn

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x if self.turn() % 3 else self.conv(x)


@row("a default argument counts calls", 4 * C3)
class DefaultCounts(Three):
    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = counting_default(x, block)
        return x


@row("a nonlocal variable counts calls", 4 * C3)
def nonlocal_counts() -> nn.Module:
    calls = 0

    def turn() -> int:
        nonlocal calls
        calls += 1
        return calls

    return Three(lambda: Counted(turn))


_calls = 0


def _global_turn() -> int:
    global _calls
    _calls += 1
    return _calls


@row("a global variable counts calls", 4 * C3)
def global_counts() -> nn.Module:
    global _calls
    _calls = 0
    return Three(lambda: Counted(_global_turn))


class ClassCounts(nn.Module):
    calls: ClassVar[int] = 0
    seen: ClassVar[list[int]] = []

    def __init__(self) -> None:
        super().__init__()
        self.conv = c3()

    def forward(self, x: Tensor) -> Tensor:
        type(self).calls += 1
        x = self.conv(x)
        return x if self.calls % 3 else self.conv(x)


class ClassLists(ClassCounts):
    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(len(x))
        x = self.conv(x)
        return x if len(self.seen) % 3 else self.conv(x)


@row("a class attribute counts calls", 4 * C3)
def class_counts() -> nn.Module:
    ClassCounts.calls = 0
    return Three(ClassCounts)


@row("a list of the class counts calls", 4 * C3)
def class_lists() -> nn.Module:
    ClassLists.seen.clear()
    return Three(ClassLists)


one("an itertools.count counts calls", 4 * C3, lambda: Three(functools.partial(Counted, itertools.count(1).__next__)))
one(
    "an itertools.cycle of its own says how often",
    4 * C3,
    lambda: Net(
        lambda self, x: self.conv(x) if next(self.turns) else self.conv(self.conv(self.conv(self.conv(x)))),
        conv=c3(),
        turns=itertools.cycle([0]),
    ),
)


@row("a function attribute counts calls", 4 * C3)
def function_counts() -> nn.Module:
    def turn() -> int:
        turn.calls += 1  # type: ignore[attr-defined]
        return turn.calls  # type: ignore[attr-defined]

    turn.calls = 0  # type: ignore[attr-defined]
    return Three(lambda: Counted(turn))


class Shared:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


@row("an object that all blocks share counts calls", 4 * C3)
def object_counts() -> nn.Module:
    shared = Shared()
    return Three(lambda: Counted(shared))


def _generated() -> Iterator[int]:
    yield from itertools.cycle([1, 2, 3])


@row("a generator that all blocks share counts calls", 4 * C3)
def generator_counts() -> nn.Module:
    turns = _generated()
    return Three(lambda: Counted(turns.__next__))


class Early(Three):
    """Leaves after two blocks, by a counter that it resets itself."""

    left = 2

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            if not self.left:
                break
            self.left -= 1
            x = block(x)
        self.left = 2
        return x


one("an early exit by a Python counter", 2 * C3, Early)
