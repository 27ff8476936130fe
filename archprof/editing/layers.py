"""Edits of layers: modules of a copy exchanged for others, by dotted name."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..base.errors import BadOption, did_you_mean, printable
from ..models.spec import SHOWN
from ..separable.rewriting import (
    Separable,
    reason_against,
    reason_against_exchange,
    replace,
    shared_parameters,
)
from ..separable.styles import style_of
from .edits import WORDS, LayerEdit

#: Layers that an error names.
NAMED = 12

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "hardswish": nn.Hardswish,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "mish": nn.Mish,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "none": nn.Identity,
}

#: What works element by element between layers, and may be exchanged for another.
_ACTIVATION_LAYERS = (
    *(made for name, made in _ACTIVATIONS.items() if name != "none"),
    *(nn.SELU, nn.CELU, nn.Softplus, nn.Hardtanh, nn.Hardsigmoid, nn.PReLU, nn.RReLU, nn.LogSigmoid, nn.Softsign),
)

_NORMS = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    *(nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm),
)


class _Cannot(Exception):
    """Why a layer cannot be edited so, in words."""


@dataclass(frozen=True)
class Applied:
    """The edited network, the layers that were edited, and which of their kind were left alone, with the reason."""

    module: nn.Module
    layers: tuple[str, ...]
    left_alone: tuple[tuple[str, str], ...]


def applied(root: nn.Module, edit: LayerEdit, name: str) -> Applied:
    """Edit the layers that match, and those below them, in place; `root` is a copy, or nobody's but ours.

    Raises BadOption where no layer matches, or none that matches can be edited so.
    """
    if isinstance(root, torch.jit.ScriptModule):
        raise BadOption(f"{name} is compiled by TorchScript, and its layers are fixed;", "edit what it was made from.")
    paths = {path: module for path, module in root.named_modules(remove_duplicate=False) if path}
    matched = [path for path in paths if fnmatch.fnmatchcase(path, edit.pattern)]
    if not matched:
        sought = edit.pattern.strip("*.?") or edit.pattern
        raise BadOption(
            f"edit '{printable(edit.text, SHOWN)}': no layer of {name} is called '{printable(edit.pattern, SHOWN)}'."
            f"{did_you_mean(sought, paths)}",
            _parts(root),
        )
    if edit.word == "identity":
        chosen = [path for path in matched if not any(path.startswith(f"{other}.") for other in matched)]
    else:
        chosen = [path for path in paths if any(path == one or path.startswith(f"{one}.") for one in matched)]
    shared = shared_parameters(root)
    new: dict[int, nn.Module] = {}
    layers, left = [], []
    for path in chosen:
        layer = paths[path]
        try:
            if id(layer) not in new:
                new[id(layer)] = _edited(layer, edit, shared)
            layers.append(path)
        except _Cannot as reason:
            if str(reason):
                left.append((path, str(reason)))
    if not layers:
        raise _none(edit, paths, matched, left)
    return Applied(replace(root, new), tuple(layers), tuple(left))


def _parts(root: nn.Module) -> str:
    """The network's outermost layers."""
    names = [name for name, _ in root.named_children()]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"Outermost layers: {', '.join(names[:NAMED])}{more}." if names else "It has no layers within."


def _none(edit: LayerEdit, paths: dict[str, nn.Module], matched: list[str], left: list[tuple[str, str]]) -> BadOption:
    """The error where nothing that matches can be edited so."""
    said = f"edit '{printable(edit.text, SHOWN)}'"
    if left:
        counted = Counter(reason for _, reason in left)
        first = next(path for path, reason in left)
        if len(left) == 1:
            return BadOption(f"{said}: {first} cannot be edited so: {left[0][1]}.", "Name another layer.")
        reasons = ", ".join(f"{reason} ({times})" for reason, times in counted.most_common(3))
        return BadOption(f"{said}: none of {len(left)} {WORDS[edit.word].layers} can be edited so: {reasons}.")
    kind = type(paths[matched[0]]).__name__
    which = f"{matched[0]} is of type {kind}" if len(matched) == 1 else f"{len(matched)} layers match"
    functions = ", which are no layers where the network calls a function" if edit.word == "activation" else ""
    return BadOption(
        f"{said}: {which}, and '{edit.word}' is for {WORDS[edit.word].layers}{functions}.", "Name another layer."
    )


def _edited(layer: nn.Module, edit: LayerEdit, shared: frozenset[int]) -> nn.Module:
    """What stands for a layer. Raises _Cannot: without words for a layer of another kind, else with the reason."""
    made: nn.Module
    if edit.word == "identity":
        made = nn.Identity()
    elif edit.word == "activation":
        made = _activation(layer, edit.value)
    elif edit.word == "norm":
        if not isinstance(layer, _NORMS):
            raise _Cannot
        made = nn.Identity()
    else:
        made = _convolution(layer, edit, shared)
    return made.train(layer.training)


def _activation(layer: nn.Module, name: str) -> nn.Module:
    if not isinstance(layer, _ACTIVATION_LAYERS):
        raise _Cannot
    made = _ACTIVATIONS[name]()
    if getattr(layer, "inplace", False) and hasattr(made, "inplace"):
        made.inplace = True
    return made


def _convolution(layer: nn.Module, edit: LayerEdit, shared: frozenset[int]) -> nn.Module:
    reason = (reason_against if edit.word == "separable" else reason_against_exchange)(layer, shared)
    if reason is None:
        raise _Cannot
    if reason:
        raise _Cannot(reason)
    if edit.word == "separable":
        return Separable(layer, style_of(edit.value))
    if edit.word == "kernel":
        kernel = _whole(layer, edit.value)
        return _like(layer, kernel_size=kernel, padding=_padding(layer, kernel))
    if edit.word == "stride":
        if isinstance(layer.padding, str) and layer.padding == "same" and max(edit.value) > 1:
            raise _Cannot("its padding is 'same', which takes no stride")
        return _like(layer, stride=_whole(layer, edit.value))
    groups = layer.in_channels if edit.value == "depthwise" else edit.value
    if layer.in_channels % groups or layer.out_channels % groups:
        raise _Cannot(f"{groups} groups do not divide {layer.in_channels} and {layer.out_channels} channels")
    return _like(layer, groups=groups)


def _whole(layer: Any, extent: tuple[int, ...]) -> tuple[int, ...]:
    """The extent in each of the layer's dimensions."""
    spatial = len(layer.kernel_size)
    if len(extent) not in (1, spatial):
        raise _Cannot(f"it has {spatial} dimension{'s' * (spatial != 1)}, and {len(extent)} numbers are given")
    return extent * spatial if len(extent) == 1 else extent


def _padding(layer: Any, kernel: tuple[int, ...]) -> tuple[int, ...] | str:
    """The padding with which the output keeps its size."""
    if layer.padding == "same":
        return "same"
    old = (0,) * len(kernel) if layer.padding == "valid" else layer.padding
    new = []
    for before, after, padding, dilation in zip(layer.kernel_size, kernel, old, layer.dilation, strict=True):
        more = dilation * (after - before)
        if more % 2:
            raise _Cannot(f"its output would change its size: from {before} to {after} there is no even padding")
        if padding + more // 2 < 0:
            raise _Cannot(f"its output would grow: it has a padding of {padding}, which cannot shrink by {-more // 2}")
        new.append(padding + more // 2)
    return tuple(new)


def _like(layer: Any, **changed: Any) -> nn.Module:
    """A convolution like another, but for what is changed; its weights are new."""
    given = {
        "kernel_size": layer.kernel_size,
        "stride": layer.stride,
        "padding": layer.padding,
        "dilation": layer.dilation,
        "groups": layer.groups,
        "padding_mode": layer.padding_mode,
        **changed,
    }
    bias = layer.bias is not None
    fresh = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    made: nn.Module = type(layer)(layer.in_channels, layer.out_channels, bias=bias, **given, **fresh)
    return made.requires_grad_(layer.weight.requires_grad)
