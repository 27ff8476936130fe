"""A network with its dense KxK convolutions made depthwise separable: a new module, the old untouched."""

from __future__ import annotations

import copy
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from ..base.errors import BadOption
from ..results.shares import saves
from .formula import by
from .records import LeftAlone
from .styles import Style, style_of

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORMS = {nn.Conv1d: nn.BatchNorm1d, nn.Conv2d: nn.BatchNorm2d, nn.Conv3d: nn.BatchNorm3d}

#: What every module keeps in its __dict__; anything else there was put by the network's author.
_OWN = frozenset(vars(nn.Module()))


class Separable(nn.Sequential):
    """Depthwise, what the style puts between, pointwise: takes and gives what `replaced` took and gave.

    Weights are freshly initialised: the halves cannot reproduce what the dense kernel had learnt.
    """

    def __init__(self, replaced: nn.Module, style: Style) -> None:
        kind: Any = type(replaced)
        old: Any = replaced
        fresh = {"device": old.weight.device, "dtype": old.weight.dtype}
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["depthwise"] = kind(
            old.in_channels,
            old.in_channels,
            old.kernel_size,
            old.stride,
            old.padding,
            old.dilation,
            groups=old.in_channels,
            bias=False,
            padding_mode=old.padding_mode,
            **fresh,
        )
        if style.norm:
            parts["norm"] = _NORMS[kind](old.in_channels, **fresh)
        if style.activation:
            parts["activation"] = nn.ReLU(inplace=True)
        parts["pointwise"] = kind(old.in_channels, old.out_channels, 1, bias=old.bias is not None, **fresh)
        super().__init__(parts)
        # networks read these off their layers to size the next ones
        self.in_channels, self.out_channels = old.in_channels, old.out_channels
        self.kernel_size, self.stride, self.padding = old.kernel_size, old.stride, old.padding
        self.dilation, self.padding_mode = old.dilation, old.padding_mode
        self.requires_grad_(old.weight.requires_grad)
        self.train(old.training)

    def __getattr__(self, name: str) -> Any:
        if name in ("weight", "bias"):
            raise AttributeError(
                f"'{name}' of a convolution that was rewritten as depthwise + pointwise: the network reads "
                "it instead of calling the layer, so this layer cannot be rewritten"
            )
        return super().__getattr__(name)


@dataclass(frozen=True)
class Change:
    """Dotted paths of one layer in its standard and in its separable form."""

    standard: str
    depthwise: str
    pointwise: str
    between: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rewritten:
    """The new module, what was changed in it, and which convolutions were left alone."""

    module: nn.Module
    changes: tuple[Change, ...]
    left_alone: tuple[LeftAlone, ...]


def rewrite(module: nn.Module, *, style: str = "mobilenet") -> nn.Module:
    """A copy of `module` in which every dense KxK convolution (K > 1) is depthwise + pointwise.

    `style` says what stands between the halves: 'mobilenet' batch normalisation and ReLU, 'xception' batch
    normalisation, 'plain' nothing. The depthwise half takes stride, padding, padding mode and dilation, the
    pointwise half the bias; device, dtype, training mode and `requires_grad` follow the old weight. Shapes of
    all outputs stay; the new weights are fresh. A layer used in several places stays one layer. See
    `separate` for what is left alone. Raises BadOption where there is nothing to rewrite.
    """
    return separate(module, style=style).module


def separate(module: nn.Module, *, style: str = "mobilenet") -> Rewritten:
    """As `rewrite`, with the list of changes and of what was left alone.

    Left alone, with the reason: 1x1, depthwise and grouped convolutions, transposed ones, subclasses,
    parametrised, hooked or weight-sharing ones, and those that save nothing. Only layers that the network
    calls as modules are found: a convolution kept in a plain list or behind a function has no place in the
    module tree.
    """
    chosen = style_of(style)
    copied = duplicate(module)
    paths = {id(found): path for path, found in copied.named_modules()}
    shared = shared_parameters(copied)
    new: dict[int, nn.Module] = {}
    changes: list[Change] = []
    left: list[LeftAlone] = []
    for path, found in copied.named_modules():
        reason = reason_against(found, shared)
        if reason == "":
            new[id(found)] = Separable(found, chosen)
            inside = f"{path}." if path else ""
            between = tuple(inside + part for part in ("norm", "activation") if getattr(chosen, part))
            changes.append(Change(path, f"{inside}depthwise", f"{inside}pointwise", between))
        elif reason is not None:
            left.append(LeftAlone(path, type_of(found), reason))
    outside_the_tree = "kept outside the module tree (a plain list, dict or attribute)"
    left += [
        LeftAlone(where, type_of(found), outside_the_tree)
        for where, outside in _outside(copied)
        for found in outside.modules()
        if id(found) not in paths and isinstance(found, CONVOLUTIONS)
    ]
    if not changes:
        raise BadOption(_nothing(module, left))
    return Rewritten(replace(copied, new), tuple(changes), tuple(left))


def replace(root: nn.Module, new: dict[int, nn.Module]) -> nn.Module:
    """`root` with modules exchanged by identity, in place, in the tree and in plain lists beside it."""
    if id(root) in new:
        return new[id(root)]
    for owner in list(root.modules()):
        for name, child in owner._modules.items():
            if id(child) in new:
                owner._modules[name] = new[id(child)]
        for name, value in vars(owner).items():
            if name not in _OWN:
                # a list of layers that are registered too: without this it would go on calling the old ones
                vars(owner)[name] = _exchange(value, new)
    return root


def duplicate(module: nn.Module) -> nn.Module:
    """A deep copy; raises BadOption where the module cannot be copied."""
    try:
        copied = copy.deepcopy(module)
    except Exception as reason:
        raise BadOption(
            f"{type(module).__name__} cannot be copied: {reason}.",
            "Rewrite it before a forward pass leaves results in its attributes.",
        ) from reason
    if {id(part) for part in copied.modules()} & {id(part) for part in module.modules()}:
        raise BadOption(f"{type(module).__name__} cannot be copied: a part of it returns itself for a copy.")
    return copied


def is_depthwise(module: nn.Module) -> bool:
    """Whether each input channel has kernels of its own."""
    return isinstance(module, CONVOLUTIONS) and 1 < module.groups == module.in_channels


def type_of(module: nn.Module) -> str:
    """'conv 3x3', 'depthwise conv 3x3', 'grouped conv 3x3', 'transposed conv 3x3', or the class name."""
    if not isinstance(module, CONVOLUTIONS + TRANSPOSED):
        return str(getattr(module, "original_name", type(module).__name__))
    first = (
        "transposed "
        if isinstance(module, TRANSPOSED)
        else "depthwise "
        if is_depthwise(module)
        else "grouped "
        if module.groups > 1
        else ""
    )
    return f"{first}conv {by(module.kernel_size)}"


def reason_against(module: nn.Module, shared: frozenset[int]) -> str | None:
    """Why this module is left alone: '' for one to rewrite, None for one that is no convolution."""
    if isinstance(module, CONVOLUTIONS):
        if prod(module.kernel_size) == 1:
            return "nothing to separate"
        if is_depthwise(module):
            return "already depthwise"
        if module.groups > 1:
            return f"grouped ({module.groups} groups)"
    reason = reason_against_exchange(module, shared)
    if reason == "" and not saves(prod(module.kernel_size), module.out_channels):
        return "too few output channels: the separable form saves nothing"
    return reason


def reason_against_exchange(module: nn.Module, shared: frozenset[int]) -> str | None:
    """Why another convolution cannot stand for this one: '' where one can, None for what is no convolution."""
    if getattr(module, "original_name", "").startswith("Conv"):
        return "compiled by TorchScript"
    if isinstance(module, TRANSPOSED):
        return "transposed convolution"
    if not isinstance(module, CONVOLUTIONS):
        return None
    if parametrize.is_parametrized(module):
        return "its weight is parametrised"
    if type(module) not in CONVOLUTIONS:
        return f"{type(module).__name__} is a subclass, which may compute something else"
    if "forward" in vars(module):
        return "its forward was exchanged"
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
        return "it has hooks (such as weight_norm's)"
    if any(id(parameter) in shared for parameter in module.parameters(recurse=False)):
        return "its weight is shared with another module"
    return ""


def shared_parameters(root: nn.Module) -> frozenset[int]:
    """Parameters (by identity) that more than one module owns."""
    owners = Counter(
        id(parameter) for module in root.modules() for parameter in module._parameters.values() if parameter is not None
    )
    return frozenset(which for which, owned in owners.items() if owned > 1)


def _outside(root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Modules in the plain attributes of the tree's modules, each with its place."""
    for path, owner in root.named_modules():
        for name, value in vars(owner).items():
            if name not in _OWN:
                for found in _modules_in(value):
                    yield f"{path}.{name}".lstrip("."), found


def _modules_in(value: Any) -> Iterator[nn.Module]:
    if isinstance(value, nn.Module):
        yield value
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _modules_in(item)


def _exchange(value: Any, new: dict[int, nn.Module]) -> Any:
    """`value` with modules exchanged: lists and dicts in place, plain tuples made anew."""
    if id(value) in new:
        return new[id(value)]
    if isinstance(value, list):
        value[:] = [_exchange(item, new) for item in value]
    elif isinstance(value, dict):
        for key, item in value.items():
            value[key] = _exchange(item, new)
    elif type(value) is tuple:
        return tuple(_exchange(item, new) for item in value)
    return value


def _nothing(module: nn.Module, left: list[LeftAlone]) -> str:
    name = type(module).__name__
    if not left:
        return f"{name} has no convolutions: there is nothing to separate."
    reasons = ", ".join(f"{reason} ({times})" for reason, times in Counter(item.reason for item in left).items())
    return f"{name} has no dense KxK convolution that can be separated; left alone: {reasons}."
