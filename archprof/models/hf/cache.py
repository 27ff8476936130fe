"""What a decoding step finds: the library's own cache, as the passes before left it.

Its tensors are found, cast and made by torch's trees of values (`pytree`), like those of any other input.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

#: Under these names a network returns what its next step is to be handed.
NAMES = ("cache", "past_key_values", "cache_params", "state", "mems")


def kept(output: Any, accepted: Any) -> tuple[str, Any] | None:
    """The name and the cache among a pass's output that forward accepts again; None without any."""
    there = output if isinstance(output, dict) else getattr(output, "__dict__", {})
    names = [*there]  # the library answers for older names too, with a warning
    for name in NAMES:
        found = there[name] if name in names else None
        if found is not None and name in accepted and tensors_of(found):
            return name, found
    return None


def tensors_of(cache: Any) -> list[Tensor]:
    """Every tensor in a cache, each once, wherever its layers keep it."""
    found: dict[int, Tensor] = {}
    seen: set[int] = set()
    waiting = [cache]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            found.setdefault(id(value), value)
        elif id(value) not in seen:
            seen.add(id(value))
            if isinstance(value, dict):
                waiting += reversed(value.values())
            elif isinstance(value, list | tuple):
                waiting += reversed(value)
            elif hasattr(value, "__dict__") and not isinstance(value, type):
                waiting += reversed(vars(value).values())
    return list(found.values())


def nbytes_of(cache: Any) -> int:
    """Bytes of the storages that its tensors lie in, each once."""
    storages = {tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for tensor in tensors_of(cache)}
    return sum(storages.values())


def held(cache: Any, known: Callable[[Tensor], Tensor | None]) -> Any:
    """The cache, in which a step leaves no trace: measured again and again, it always finds the same context.

    Layers that take a new tensor for each step (`torch.cat`) are each replaced by one that shows the step the new
    tensor and keeps the old one; others write into tensors whose size stays. A window, which is a view of the whole
    prompt after the pass of that, is as large as what it shows, which it is from the next step on. Whole numbers whose
    values are `known` keep them.
    """
    from transformers.cache_utils import DynamicLayer

    for part in (cache, getattr(cache, "self_attention_cache", None)):
        for layer in getattr(part, "layers", None) or ():
            if isinstance(layer, DynamicLayer) and not hasattr(layer, "archprof_holds"):
                layer.__class__ = _holding(type(layer))
    _register(type(cache))
    return _filled([_settled(tensor, known) for tensor in tensors_of(cache)], cache)


def _settled(tensor: Tensor, known: Callable[[Tensor], Tensor | None]) -> Tensor:
    if not tensor.is_floating_point() and (values := known(tensor)) is not None:
        return values.clone()
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device)


_holders: dict[type, type] = {}


def _holding(kind: Any) -> Any:
    """A class of layers of that kind whose `update` changes a copy."""
    if kind not in _holders:

        def update(self: Any, *args: Any, **kwargs: Any) -> Any:
            twin = copy.copy(self)
            twin.__class__ = kind
            return twin.update(*args, **kwargs)

        _holders[kind] = type(kind.__name__, (kind,), {"update": update, "archprof_holds": True})
    return _holders[kind]


def _register(kind: type) -> None:
    if kind not in pytree.SUPPORTED_NODES and kind not in (list, tuple, dict):
        pytree.register_pytree_node(kind, _flattened, _filled)


def _flattened(cache: Any) -> tuple[list[Any], Any]:
    return tensors_of(cache), cache


def _filled(tensors: Any, cache: Any) -> Any:
    """A copy of the cache with other tensors in the places of its own."""
    return copy.deepcopy(cache, {id(old): new for old, new in zip(tensors_of(cache), tensors, strict=True)})
