"""A block traced once need not be traced again: what an alike block does with an alike input is written down.

Networks are made of blocks that repeat: 35 of the 50 blocks of a ResNet-152 are alike. The first of them is traced
operator by operator; from then on its passage (calls, storages, outputs of its parts) is copied into the trace under
the next block's names and numbers, and the block's own code does not run. That is done only for blocks that `alike`
knows to be so and whose code is steady, in networks whose forward changes no module, and only where the passage is
self-contained: it touches nothing but its inputs, its own parameters and what it made itself, and leaves nothing behind
but one output. It is done within one pass, and across the passes of a run for blocks whose code is pure (`purity`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .alike import code_of, likeness
from .calls import Chosen, Passage, Repeat, Storage, module_calls, op_calls, storages, table_of
from .modules import FIRST_BUFFER, Owned, Parts, walk
from .purity import ANY, PURE, STEADY, changes_modules, purity
from .recording import Recording
from .shapes import MEMORY_LIMIT, Passages, ShapeMemory, fresh, nbytes_of


class Conduct(NamedTuple):
    """What a class's code may do: whether it changes modules, and its purity."""

    changes: bool
    purity: int


class Kind(NamedTuple):
    """Blocks that are alike: how many parts, parameters and buffers each has, and the purity of their code."""

    parts: int
    parameters: int
    buffers: int
    purity: int


class Block(NamedTuple):
    """A block that may occur again: where its parts stand among the network's, the numbers of its parameters and
    buffers, and where passages of its likes are kept."""

    alike: int
    first_part: int
    parts: int
    parameters: range
    buffers: range
    known: dict[tuple[Any, ...], Passage | None]


class Meeting(NamedTuple):
    """A block and its input, before it runs: `key` says with what else it is alike, the rest where the trace stands."""

    block: Block
    key: tuple[Any, ...]
    given: list[int | None]
    calls: int
    module_calls: int
    moment: int
    made: int
    deaths: int


class Repeats:
    """The blocks of a network that occur more than once, and the passages known so far.

    `shut` are the outermost blocks that will probably be copied, by the places of their parts: only where nobody can
    reach what is inside of a block but through the block itself.
    """

    def __init__(self, parts: Parts, owned: Owned, memory: ShapeMemory | None) -> None:
        self.paths = [path for path, _ in parts]
        self.alike = [0] * len(parts)
        self.blocks: dict[int, Block] = {}
        self.shut: list[range] = []
        if memory is not None:
            self.passages = passages = memory.passages
            if passages.surroundings != (surroundings := _surroundings()):
                passages.known.clear()
                passages.copied.clear()
                passages.surroundings = surroundings
            if len(passages.likeness) > MEMORY_LIMIT:
                passages.clear()
            self.alike = likeness(parts, owned, passages.likeness)
            kinds = {type(part) for _, part in parts}
            if not any([_conduct(kind, passages).changes for kind in kinds]):
                self.blocks = _blocks(parts, owned, self.alike, passages)
                # with a number for each no module hides another in an attribute, and steady code meets none elsewhere
                if all(self.alike) and all([_conduct(kind, passages).purity >= STEADY for kind in kinds]):
                    self.shut = _outermost(list(self.blocks.values()), passages.copied)

    def meet(self, recorder: Recording, module: nn.Module, args: tuple[Any, ...]) -> Meeting | None:
        """A block about to be called, where another call could be alike."""
        state = _state()
        if state is None:
            return None
        block = self.blocks[id(module)]
        key: list[Any] = [block.alike, state]
        given: list[int | None] = [None]
        for value in args:
            kind = type(value)
            if kind is Tensor and _plain(value):
                given.append(recorder.number(value, "constant"))
                key += (value.shape, value.stride(), value.storage_offset(), value.dtype)
            elif value is None or kind is int or kind is bool or kind is float:
                key += (kind, value)
            else:
                return None
        if len(set(given)) < len(given):  # two inputs share a storage, or one has none
            return None
        return Meeting(
            block,
            tuple(key),
            given,
            len(recorder.calls),
            len(recorder.module_calls),
            recorder.moment,
            recorder.made,
            recorder.deaths,
        )

    def learn(self, recorder: Recording, met: Meeting, value: Any) -> None:
        """Keep what the block has just done for the next that is alike; None where that cannot be copied."""
        passage = met.block.known[met.key] = self._passage(recorder, met, value)
        if passage is not None and met.block.known is self.passages.known:
            self.passages.copied.add(met.block.alike)

    def _passage(self, recorder: Recording, met: Meeting, value: Any) -> Passage | None:
        block, entries = met.block, recorder.calls[met.calls :]
        made = storages(recorder.storages, entries, met.made)
        dead = sum([storage.died is not None for storage in made])
        if (
            type(value) is not Tensor
            or not _plain(value)
            or len(made) - dead != 1
            or recorder.deaths - met.deaths != dead
        ):
            return None  # it returns something else than one tensor, or keeps something, or lets go of something
        number, layout = recorder.number(value, "constant"), (tuple(value.shape), value.stride(), value.dtype)
        if number is None or number < met.made or recorder.storages[number].nbytes != nbytes_of(layout):
            return None  # a view of an input, or of something larger
        table = table_of(met.given, met.made, len(made), block.parameters, block.buffers)
        spot = {number: spot for spot, number in enumerate(table)}
        part = {path: place for place, path in enumerate(self.paths[block.first_part : block.first_part + block.parts])}
        calls = op_calls(entries)
        if any([storage.owner != "activation" for storage in made]) or any([call.backward for call in calls]):
            return None
        try:
            return Passage(
                [
                    (
                        call.op,
                        part[call.module],
                        _chosen([spot[number] for number in call.inputs]),
                        _chosen([spot[number] for number in call.outputs]),
                    )
                    for call in calls
                ],
                [(s.born - met.moment, None if s.died is None else s.died - met.moment, s.nbytes) for s in made],
                (number - met.made, layout),
                [(part[call.module], *call[1:]) for call in module_calls(recorder.module_calls[met.module_calls :])],
            )
        except KeyError:  # something from outside took part
            return None

    def copy(self, recorder: Recording, met: Meeting, passage: Passage) -> Tensor:
        """Write the passage into the trace as this block's, and return its output."""
        block, made = met.block, len(passage.made)
        repeat = Repeat(
            passage,
            recorder.moment,
            recorder.made,
            self.paths[block.first_part : block.first_part + block.parts],
            met.given,
            block.parameters,
            block.buffers,
        )
        recorder.calls.append(repeat)
        recorder.module_calls.append(repeat)
        number, layout = passage.out
        born, _, nbytes = passage.made[number]
        with torch._C._DisableTorchDispatch():
            value = fresh(layout)
        recorder.watch(
            value.untyped_storage(), recorder.made + number, Storage(recorder.moment + born, None, nbytes, "activation")
        )
        recorder.moment += len(passage.calls)
        recorder.made += made
        recorder.deaths += made - 1
        return value


def _plain(value: Tensor) -> bool:
    return value.is_meta and value.layout is torch.strided and not value.requires_grad


def _chosen(spots: list[int]) -> Chosen:
    if len(spots) > 1:
        return itemgetter(*spots)
    return itemgetter(slice(spots[0], spots[0] + 1) if spots else slice(0))


def _state() -> tuple[Any, ...] | None:
    """What a pass depends on besides modules and inputs; None where somebody else takes part in it."""
    if (
        torch._C._len_torch_dispatch_stack() != 1
        or torch._C._len_torch_function_stack()
        or torch._C._functorch.maybe_current_level() is not None
        or torch.is_grad_enabled()
        or torch.is_inference_mode_enabled()
        or torch._C._is_any_autocast_enabled()
    ):
        return None
    return (
        torch.get_default_dtype(),
        torch.backends.mha.get_fastpath_enabled(),
        torch._C._get_flash_sdp_enabled(),
        torch._C._get_math_sdp_enabled(),
        torch._C._get_mem_efficient_sdp_enabled(),
        torch._C._get_cudnn_sdp_enabled(),
    )


@cache
def _readers() -> list[tuple[dict[str, Any], Callable[[Any], tuple[Any, ...]]]]:
    """Namespaces of torch, and what reads their functions out of them; what torch loads later is left out."""
    return [
        (
            vars(space),
            itemgetter(
                *[name for name, value in vars(space).items() if callable(value) and not isinstance(value, type)]
            ),
        )
        for space in (F, torch, Tensor)
    ]


def _surroundings() -> tuple[Any, ...]:
    """What pure code calls: whoever replaces a function of torch wants it to be called."""
    try:
        return tuple([read(space) for space, read in _readers()])
    except KeyError:  # somebody took one away
        return ()


def _conduct(kind: type, passages: Passages) -> Conduct:
    """What is known of a class's code, or can be read off it."""
    key = kind, code_of(kind)
    known = passages.conduct.get(key)
    if known is None:
        known = passages.conduct[key] = Conduct(changes_modules(kind), purity(kind))
    return known


def _blocks(parts: Parts, owned: Owned, alike: list[int], passages: Passages) -> dict[int, Block]:
    """By identity, every module with modules inside that is like another, here or in a network seen before."""
    times = Counter(alike)
    here: dict[tuple[Any, ...], Passage | None] = {}
    found: dict[int, Block] = {}
    for place, number in enumerate(alike):
        part = parts[place][1]
        if not number or not part._modules:
            continue
        if times[number] == 1 and number not in passages.blocks:
            passages.blocks[number] = None  # seen once
            continue
        kind = passages.blocks.get(number)
        if kind is None:
            kind = passages.blocks[number] = _kind(part, place, owned, passages)
        if kind.purity == ANY or (times[number] == 1 and kind.purity != PURE):
            continue
        parameter, buffer = owned.starts[place]
        parameter, buffer = -1 - parameter, FIRST_BUFFER - buffer
        found[id(part)] = Block(
            number,
            place,
            kind.parts,
            range(parameter, parameter - kind.parameters, -1),
            range(buffer, buffer - kind.buffers, -1),
            passages.known if kind.purity == PURE else here,
        )
    return found


def _outermost(blocks: list[Block], copied: set[int]) -> list[range]:
    """Where those of the blocks stand that are like an earlier one, here or in another network, none inside another."""
    found: list[range] = []
    earlier, end = set(copied), 0
    for block in blocks:
        if block.alike in earlier and block.first_part >= end:
            end = block.first_part + block.parts
            found.append(range(block.first_part, end))
        earlier.add(block.alike)
    return found


def _kind(block: nn.Module, place: int, owned: Owned, passages: Passages) -> Kind:
    inside = walk(block)
    start, end = owned.starts[place], owned.starts[place + len(inside)]
    least = min([_conduct(kind, passages).purity for kind in {type(part) for _, part in inside}])
    return Kind(len(inside), end[0] - start[0], end[1] - start[1], least)
