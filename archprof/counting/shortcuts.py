"""Stock layers of torch answered at their door: the operator that such a layer calls follows from the layer itself.

From `nn.Conv2d.__call__` to the operator lie five frames of Python and torch's dispatcher: more work than answering the
operator takes. A shortcut is taken only where the answer is known or written down (so that what does not fit is refused
by torch, in its words), and where nobody could tell the difference: no hook, no transform, no mode of others, no
patched function, no gradients (the graph of a network that turns them on in evaluation keeps activations alive).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as nn_module

aten = torch.ops.aten

Call = tuple[Any, tuple]  # an operator and its arguments, spelled as the dispatcher spells them


def _conv2d(layer: Any, x: Tensor) -> Call | None:
    if layer.padding_mode != "zeros" or type(layer.padding) is str or x.dim() != 4:
        return None
    owned = layer._parameters
    return aten.convolution.default, (
        x,
        owned["weight"],
        owned["bias"],
        [*layer.stride],
        [*layer.padding],
        [*layer.dilation],
        False,
        [0, 0],
        layer.groups,
    )


def _batch_norm2d(layer: Any, x: Tensor) -> Call | None:
    if layer.training or not layer.track_running_stats or x.dim() != 4:
        return None
    owned, kept = layer._parameters, layer._buffers
    return aten.native_batch_norm.default, (
        x,
        owned["weight"],
        owned["bias"],
        kept["running_mean"],
        kept["running_var"],
        False,
        layer.momentum,
        layer.eps,
    )


def _relu(layer: Any, x: Tensor) -> Call | None:
    return (aten.relu_.default if layer.inplace else aten.relu.default), (x,)


def _relu6(layer: Any, x: Tensor) -> Call | None:
    return (aten.hardtanh_.default if layer.inplace else aten.hardtanh.default), (x, 0.0, 6.0)


Door = Callable[[Any, Tensor], "Call | None"]

_DOORS: dict[type, Door] = {nn.Conv2d: _conv2d, nn.BatchNorm2d: _batch_norm2d, nn.ReLU: _relu, nn.ReLU6: _relu6}

# What lies between a door and its operator. Whoever replaced a piece of it wants it to be called.
_BETWEEN = [
    (owner, name, getattr(owner, name))
    for owner, name in [
        (F, "conv2d"),
        (F, "batch_norm"),
        (F, "relu"),
        (F, "relu6"),
        (torch, "batch_norm"),
        (torch, "relu"),
        (torch, "relu_"),
        (nn.Conv2d, "forward"),
        (nn.Conv2d, "_conv_forward"),
        (nn.BatchNorm2d, "forward"),
        (nn.BatchNorm2d, "_check_input_dim"),
        (nn.ReLU, "forward"),
        (nn.ReLU6, "forward"),
        (nn.Module, "__call__"),
        (nn.Module, "_call_impl"),
    ]
]

_GLOBAL_HOOKS = [
    hooks for name, hooks in vars(nn_module).items() if name.startswith("_global_") and isinstance(hooks, dict)
]


def doors() -> dict[type, Door]:
    """The doors open now, by exact type of layer: all of them, or none."""
    if any(_GLOBAL_HOOKS) or any([getattr(owner, name) is not piece for owner, name, piece in _BETWEEN]):
        return {}
    return _DOORS


def call_of(door: Door, layer: nn.Module, args: tuple) -> Call | None:
    """The operator call that this layer would make, or None where it has to be asked."""
    if (
        len(args) != 1
        or type(args[0]) is not Tensor
        or layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
        or "forward" in layer.__dict__
        or torch._C._len_torch_dispatch_stack() != 1
        or torch._C._len_torch_function_stack()
        or torch._C._functorch.maybe_current_level() is not None
        or torch.is_grad_enabled()
    ):
        return None
    try:
        return door(layer, args[0])
    except (AttributeError, KeyError):  # a weight that is no parameter: parametrised, pruned, sliced
        return None
