"""The way back: a depthwise convolution and the pointwise one that follows it, made one standard convolution.

Which belongs to which is observed, not read off names: one forward pass on the meta device records which
operator reads what another wrote.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from ..base.errors import BadOption, ForwardFailed
from .records import LeftAlone
from .rewriting import CONVOLUTIONS, Change, Rewritten, duplicate, is_depthwise, replace, type_of

#: Operators that act on each channel by itself and keep shapes: they may stand between the halves.
_NORMS = frozenset(
    {
        "native_batch_norm",
        "_native_batch_norm_legit_no_training",
        "batch_norm",
        "cudnn_batch_norm",
        "_native_batch_norm_legit",
        "native_group_norm",
        "instance_norm",
    }
)
_ACTIVATIONS = frozenset(
    {
        "relu",
        "hardtanh",
        "clamp",
        "clamp_min",
        "silu",
        "gelu",
        "sigmoid",
        "tanh",
        "hardswish",
        "hardsigmoid",
        "leaky_relu",
        "elu",
        "celu",
        "mish",
        "softplus",
        "_prelu_kernel",
        "prelu",
        "alias",
        "clone",
        "detach",
        "dropout",
    }
)

_OUTSIDE = -1  # stands for "the network's output" among an operator's readers


@dataclass
class _Call:
    """One operator call; `modules` are the paths of the running modules, outermost first."""

    op: str
    modules: tuple[str, ...]
    readers: list[int] = field(default_factory=list)

    @property
    def module(self) -> str:
        return self.modules[-1]


class _Flow(TorchDispatchMode):
    """Records every operator call with its readers. An in-place call writes a new version of what it read."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[_Call] = []
        self.running: list[str] = []
        self._writer: dict[int, int] = {}
        self._alive: list[torch.Tensor] = []  # an id must not be given to another tensor

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        place = len(self.calls)
        self.read((args, kwargs or {}), place)
        self.calls.append(_Call(func.overloadpacket.__name__.removesuffix("_"), tuple(self.running)))
        for tensor in _tensors(out):
            self._writer[id(tensor)] = place
            self._alive.append(tensor)
        return out

    def leave(self) -> None:
        """The innermost running module has ended."""
        self.running.pop()

    def read(self, values: Any, reader: int) -> None:
        """Note that `reader` reads these values."""
        for tensor in _tensors(values):
            if id(tensor) in self._writer:
                self.calls[self._writer[id(tensor)]].readers.append(reader)


@dataclass(frozen=True)
class _Chain:
    """The calls after a depthwise one and the pointwise layer that ends them, or the reason why none does."""

    between: tuple[_Call, ...] = ()
    pointwise: str = ""
    reason: str = ""


def merge(module: nn.Module, inputs: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> nn.Module:
    """A copy of `module` in which each depthwise convolution and the pointwise one after it are made one.

    `inputs` and `kwargs` are what its forward takes; they are only used on the meta device, to see the order
    of calls. Normalisation and activation between the two go. Raises BadOption where there is no such pair.
    """
    return standardise(module, inputs, kwargs).module


def standardise(module: nn.Module, inputs: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> Rewritten:
    """As `merge`, with the list of changes and of the depthwise layers left alone, each with the reason."""
    calls = _observe(module, inputs, kwargs or {})
    copied = duplicate(module)
    found = dict(copied.named_modules())
    chains: dict[str, list[_Chain]] = defaultdict(list)
    for call in calls:
        if call.op == "convolution" and is_depthwise(found[call.module]):
            chains[call.module].append(_follow(call, calls, found))
    runs = Counter(call.module for call in calls if call.op == "convolution")
    changes, left = [], []
    for path in [path for path, part in found.items() if is_depthwise(part)]:
        ended = chains.get(path, [])
        reason = _why_not(ended, runs)
        if reason:
            left.append(LeftAlone(path, type_of(found[path]), reason))
        else:
            removed = _removable(ended, calls)
            changes.append(Change(ended[0].pointwise, path, ended[0].pointwise, removed))
    if not changes:
        raise BadOption(
            f"{type(module).__name__} has no depthwise convolution followed by a pointwise one"
            + (f": {left[0].module}: {left[0].reason}." if left else ".")
        )
    new: dict[int, nn.Module] = {}
    for change in changes:
        for path in (change.depthwise, *change.between):
            new[id(found[path])] = nn.Identity()
        new[id(found[change.pointwise])] = _standard(found[change.depthwise], found[change.pointwise])
    return Rewritten(replace(copied, new), tuple(changes), tuple(left))


def _observe(module: nn.Module, inputs: Sequence[Any], kwargs: Mapping[str, Any]) -> list[_Call]:
    """Every operator call of one forward pass in eval mode, on the meta device."""
    observed = duplicate(module).to("meta").eval()
    flow = _Flow()
    for path, part in observed.named_modules():
        part.register_forward_pre_hook(lambda *_, path=path: flow.running.append(path))
        part.register_forward_hook(lambda *_: flow.leave(), always_call=True)
    inputs, kwargs = tree_map(lambda x: x.to("meta") if isinstance(x, torch.Tensor) else x, (tuple(inputs), kwargs))
    try:
        with torch.no_grad(), flow:
            out = observed(*inputs, **kwargs)
    except Exception as reason:
        said = (str(reason).splitlines() or [type(reason).__name__])[0]
        raise ForwardFailed(
            f"the forward of {type(module).__name__} failed on the meta device: {said}.",
            "Which layers follow which could not be seen.",
        ) from reason
    flow.read(out, _OUTSIDE)
    return flow.calls


def _follow(call: _Call, calls: list[_Call], found: Mapping[str, nn.Module]) -> _Chain:
    """From a depthwise call through normalisation and activation to the pointwise call."""
    between: list[_Call] = []
    while True:
        if len(call.readers) != 1:
            return _Chain(
                reason="its output is read in more than one place (such as squeeze-and-excitation)"
                if call.readers
                else "nothing reads its output"
            )
        if call.readers[0] == _OUTSIDE:
            return _Chain(reason="its output is the network's")
        call = calls[call.readers[0]]
        if call.op == "convolution":
            reason = _not_pointwise(found[call.module])
            return _Chain(reason=reason) if reason else _Chain(tuple(between), call.module)
        if call.op not in _NORMS | _ACTIVATIONS:
            return _Chain(reason=f"'{call.op}' follows it, which is neither normalisation nor activation")
        between.append(call)


def _not_pointwise(module: nn.Module) -> str:
    """Why this module cannot be the pointwise half; '' where it can."""
    if type(module) not in CONVOLUTIONS:
        return f"the convolution after it is called in {type(module).__name__}, not as a layer of its own"
    if prod(module.kernel_size) != 1 or module.groups != 1:
        return f"the convolution after it is a {type_of(module)}, not a dense 1x1"
    if max(module.stride) > 1 or (module.padding != "same" and module.padding != "valid" and max(module.padding)):
        return "the 1x1 convolution after it has a stride or padding"
    return ""


def _why_not(ended: Sequence[_Chain], runs: Mapping[str, int]) -> str:
    """Why the calls of one depthwise layer do not make it half of a pair; '' where they do."""
    if not ended:
        return "never called in a forward pass in eval mode"
    for chain in ended:
        if chain.reason:
            return chain.reason
    if len({chain.pointwise for chain in ended}) > 1 or runs[ended[0].pointwise] != len(ended):
        return "it or the pointwise convolution after it is used with other layers as well"
    return ""


def _removable(ended: Sequence[_Chain], calls: Sequence[_Call]) -> tuple[str, ...]:
    """Modules that only run between the halves. An activation called as a function, or shared, stays."""
    between = {id(call) for chain in ended for call in chain.between}
    paths = dict.fromkeys(call.module for chain in ended for call in chain.between)
    return tuple(
        path for path in paths if all(id(call) in between for call in calls if path in call.modules and call.readers)
    )


def _standard(depthwise: Any, pointwise: Any) -> nn.Module:
    """The dense convolution in the place of both: geometry of the one, channels and bias of the other."""
    new = type(pointwise)(
        depthwise.in_channels,
        pointwise.out_channels,
        depthwise.kernel_size,
        depthwise.stride,
        depthwise.padding,
        depthwise.dilation,
        bias=pointwise.bias is not None,
        padding_mode=depthwise.padding_mode,
        device=pointwise.weight.device,
        dtype=pointwise.weight.dtype,
    )
    new.requires_grad_(pointwise.weight.requires_grad)
    return new.train(pointwise.training)


def _tensors(values: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]
