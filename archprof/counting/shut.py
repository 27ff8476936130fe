"""Blocks that will probably be copied stay shut: what is inside is neither kept safe nor watched until somebody looks.

Most modules of a deep network stand in blocks that never run (`repeats`). To prepare each of them for a call took a
sixth of the time of ResNet-152's profile where its family was known. So the table of a block's parts is replaced by one
that opens the block when anything is asked of it: its parts are then prepared like the others, and answer for
themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from .modules import Parts


class _Shut:
    """In the place of a module's table of parts: asked for anything, it opens the module and lets the table answer."""

    __slots__ = ("_inside", "_module", "_ready", "_table")

    def __init__(self, module: nn.Module, inside: Parts, ready: Callable[[Parts], None]) -> None:
        self._module, self._inside, self._ready = module, inside, ready
        self._table: dict[str, nn.Module | None] = module._modules

    def _opened(self) -> dict[str, nn.Module | None]:
        if self._module.__dict__.get("_modules") is self:
            self._module.__dict__["_modules"] = self._table
            self._ready(self._inside)
        return self._table

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened(), name)

    def __contains__(self, name: object) -> bool:
        return name in self._opened()

    def __getitem__(self, name: str) -> nn.Module | None:
        return self._opened()[name]

    def __setitem__(self, name: str, module: nn.Module | None) -> None:
        self._opened()[name] = module

    def __delitem__(self, name: str) -> None:
        del self._opened()[name]

    def __iter__(self) -> Any:
        return iter(self._opened())

    def __reversed__(self) -> Any:
        return reversed(self._opened())

    def __len__(self) -> int:
        return len(self._opened())

    def __eq__(self, other: object) -> bool:
        return self._opened() == other

    __hash__ = None  # type: ignore[assignment]  # as a dict


def prepare(parts: Parts, blocks: Sequence[range], ready: Callable[[Parts], None]) -> None:
    """Make all parts ready but those inside of `blocks`; those when something inside of their block is asked for.

    Blocks are places among the parts, the block's own first; they do not overlap, and are given in order. Whoever
    calls keeps the attributes of what is made ready, and puts them back in the end.
    """
    first, outside = 0, []
    for block in blocks:
        outside += parts[first : block.start + 1]
        first = block.stop
    ready(outside + parts[first:])
    for block in blocks:
        module = parts[block.start][1]
        module.__dict__["_modules"] = _Shut(module, parts[block.start + 1 : block.stop], ready)
