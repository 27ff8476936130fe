"""What a pass is written down in: calls of operators and modules, storages, and passages that were copied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch

from .shapes import Op


class OpCall(NamedTuple):
    """One operator call, inside the innermost `module` running; `inputs` and `outputs` are numbers of storages."""

    op: Op
    module: str
    inputs: Sequence[int | None]
    outputs: Sequence[int | None]
    backward: bool


class ModuleCall(NamedTuple):
    """One finished call of a module: of the first tensor that it returned (None where it has none) the shape, the
    number of elements and the bytes."""

    module: str
    output_shape: torch.Size | None = None
    outputs: int = 0
    output_bytes: int = 0


class Storage:
    """A piece of memory made during the pass, or handed to it: its bytes, and the calls between which it lived.

    It is alive during call i when born <= i < died; `died` is None for what outlives the pass. `owner` is 'input',
    'constant' (a tensor that the network keeps outside its parameters and buffers) or 'activation'.
    """

    __slots__ = ("born", "died", "nbytes", "owner")

    def __init__(self, born: int, died: int | None, nbytes: int, owner: str) -> None:
        self.born, self.died, self.nbytes, self.owner = born, died, nbytes, owner


Chosen = Callable[[list["int | None"]], Sequence["int | None"]]  # some entries of a table of storages


class Passage:
    """What one block did with one input, in numbers of its own.

    Storages are numbered by their place in a table: None, the inputs' storages, those made during the passage,
    parameters, buffers. Calls are counted from the block's first, parts from the block itself. `made` are the storages'
    births, deaths and bytes, `out` is the one that is returned, with its layout. `changes` are the sums of bytes that
    came to life and went, by call; the output's are left out, whose end is not the passage's.
    """

    __slots__ = ("calls", "changes", "folded", "made", "module_calls", "out")

    def __init__(
        self,
        calls: list[tuple[Op, int, Chosen, Chosen]],
        made: list[tuple[int, int | None, int]],
        out: tuple[int, Any],
        module_calls: list[tuple[int, Any, int, int]],
    ) -> None:
        self.calls, self.made, self.out, self.module_calls = calls, made, out, module_calls
        self.folded: Any = None  # whatever follows from it alone, worked out once by the reader
        changes: Counter[int] = Counter()
        for born, died, nbytes in made:
            if died is not None:
                changes[born] += nbytes
                changes[died] -= nbytes
        self.changes = [(call, change) for call, change in changes.items() if change]


class Repeat(NamedTuple):
    """A passage that was copied into a trace: it begins at call `start` and makes storages from `first_storage` on.

    `paths` are those of the block's parts; `given` the inputs' storages, after None; `parameters` and `buffers` the
    numbers of the block's own.
    """

    passage: Passage
    start: int
    first_storage: int
    paths: list[str]
    given: list[int | None]
    parameters: range
    buffers: range

    def calls(self) -> list[OpCall]:
        """The calls as if the block had run."""
        paths = self.paths
        table = table_of(self.given, self.first_storage, len(self.passage.made), self.parameters, self.buffers)
        return [
            OpCall(op, paths[part], inputs(table), outputs(table), False)
            for op, part, inputs, outputs in self.passage.calls
        ]

    def module_calls(self) -> list[ModuleCall]:
        """The modules' calls as if the block had run."""
        return [ModuleCall(self.paths[part], *rest) for part, *rest in self.passage.module_calls]

    def storages(self) -> dict[int, Storage]:
        """By number, the storages that the passage made and let go."""
        return {
            number: Storage(self.start + born, self.start + died, nbytes, "activation")
            for number, (born, died, nbytes) in enumerate(self.passage.made, self.first_storage)
            if died is not None
        }


def table_of(
    given: list[int | None], first: int, made: int, parameters: Iterable[int], buffers: Iterable[int]
) -> list[int | None]:
    """The numbers that storages have in the network, by those that they have in a passage."""
    return [*given, *range(first, first + made), *parameters, *buffers]


def op_calls(entries: Iterable[OpCall | Repeat]) -> list[OpCall]:
    """Every call, those of copied passages too."""
    return [call for entry in entries for call in (entry.calls() if isinstance(entry, Repeat) else (entry,))]


def module_calls(entries: Iterable[ModuleCall | Repeat]) -> list[ModuleCall]:
    """Every module's call, those of copied passages too."""
    return [call for entry in entries for call in (entry.module_calls() if isinstance(entry, Repeat) else (entry,))]


def storages(own: dict[int, Storage], entries: Iterable[OpCall | Repeat], first: int = 0) -> list[Storage]:
    """Every storage from number `first` on, in the order of their numbers; `own` are those of calls that ran."""
    found = {number: storage for number, storage in own.items() if number >= first}
    for entry in entries:
        if isinstance(entry, Repeat):
            found |= entry.storages()
    return [found[number] for number in sorted(found)]
