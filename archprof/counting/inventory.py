"""Every module with what it owns and what it returned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from torch import nn

from ..results.profile import ModuleCost
from .calls import ModuleCall, Repeat
from .modules import Parts


class Sizes(NamedTuple):
    """Scalars and bytes of parameters and buffers. Of `buffer_bytes`, `unsaved_bytes` are left out of a state_dict."""

    parameters: int = 0
    trainable_parameters: int = 0
    buffers: int = 0
    parameter_bytes: int = 0
    gradient_bytes: int = 0
    buffer_bytes: int = 0
    unsaved_bytes: int = 0


def inventory(
    parts: Parts, alike: Sequence[int], calls: Iterable[ModuleCall | Repeat]
) -> tuple[tuple[ModuleCost, ...], Sizes]:
    """A row for each module, and what all of them own together; what is shared counts where it is met first.

    `alike` are the parts' numbers by likeness: modules of one number own as much.
    """
    returned: dict[str, tuple[int, int, int]] = {}
    for call in calls:
        if type(call) is Repeat:
            paths = call.paths
            for part, _, elements, nbytes in call.passage.module_calls:
                path = paths[part]
                returned[path] = _added(returned[path], elements, nbytes) if path in returned else (1, elements, nbytes)
        else:
            path, _, elements, nbytes = call  # type: ignore[misc]
            returned[path] = _added(returned.get(path, _NEVER), elements, nbytes)
    seen: set[int] = set()
    known: dict[int, tuple[str, int, int, int]] = {}
    sizes: list[Sizes] = []
    rows: list[ModuleCost] = []
    times = Counter(alike)
    new, row = tuple.__new__, ModuleCost  # quicker than calling a named tuple
    for (path, part), number in zip(parts, alike, strict=True):
        own = known.get(number)
        if own is None:
            size = _sizes(part, seen)
            own = type(part).__name__, size.parameters, size.trainable_parameters, size.buffers
            sizes.append(size)
            if number:
                known[number] = own
                sizes += [size] * (times[number] - 1)
        rows.append(new(row, (path, *own, *returned.get(path, _NEVER))))
    return tuple(rows), Sizes(*map(sum, zip(*sizes, strict=True)))


_NEVER = 0, 0, 0


def _added(before: tuple[int, int, int], elements: int, nbytes: int) -> tuple[int, int, int]:
    return before[0] + 1, before[1] + elements, before[2] + nbytes


def _sizes(part: nn.Module, seen: set[int]) -> Sizes:
    """What this module owns itself and no module before it."""
    parameters = trainable = buffers = parameter_bytes = gradient_bytes = buffer_bytes = unsaved_bytes = 0
    for parameter in part._parameters.values():
        if parameter is not None and id(parameter) not in seen:
            seen.add(id(parameter))
            count = parameter.numel()
            nbytes = count * parameter.itemsize
            parameters += count
            parameter_bytes += nbytes
            if parameter.requires_grad:
                trainable += count
                gradient_bytes += nbytes
    for name, buffer in part._buffers.items():
        if buffer is not None and id(buffer) not in seen:
            seen.add(id(buffer))
            count = buffer.numel()
            nbytes = count * buffer.itemsize
            buffers += count
            buffer_bytes += nbytes
            if name in part._non_persistent_buffers_set:
                unsaved_bytes += nbytes
    return Sizes(parameters, trainable, buffers, parameter_bytes, gradient_bytes, buffer_bytes, unsaved_bytes)
