"""torch.autocast on stand-ins: the casts that it makes on a device, where tensors are on none.

torch's own casts look at the device of a tensor and leave meta tensors as they are. So kernels of the same effect are
registered under a key of the dispatcher that no device here uses, above gradients, as torch's are. Which operators are
cast is read off torch; into what is its table (ATen's autocast_mode.h).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

#: What this package calls by itself where networks call `scaled_dot_product_attention`.
_OUR_ATTENTION = "_scaled_dot_product_flash_attention_for_cpu"

#: Operators that compute in the lower type.
_LOWER = frozenset(
    "_addmm_activation _convolution _convolution.deprecated _native_multi_head_attention "
    "_scaled_dot_product_flash_attention _thnn_fused_gru_cell _thnn_fused_lstm_cell addbmm addmm addmv addr "
    "baddbmm bmm chain_matmul conv1d conv1d.padding conv2d conv2d.padding conv3d conv3d.padding conv_tbc "
    "conv_transpose1d conv_transpose2d.input conv_transpose3d.input convolution cudnn_convolution "
    "cudnn_convolution_transpose einsum gru_cell linalg_multi_dot linalg_vecdot linear lstm_cell matmul "
    "mkldnn_rnn_layer mm mv prelu rnn_relu_cell rnn_tanh_cell scaled_dot_product_attention".split()
) | {_OUR_ATTENTION}
#: Operators that compute in the widest type of their inputs.
_WIDEST = frozenset(
    "addcdiv addcmul atan2 bilinear cat cross dot grid_sampler index_copy index_put scatter_add stack tensordot "
    "vdot".split()
)
#: On CUDA, operators that read any type and return float32.
_INTO_FLOAT = frozenset("cumprod cumsum log_softmax.int prod prod.dim_int softmax.int sum sum.dim_IntList".split())

#: A key of the dispatcher that belongs to devices which are not here.
_KEY = "AutocastHPU"


@contextmanager
def autocast(dtype: torch.dtype, on_cuda: bool = False) -> Iterator[None]:
    """Inside, operators on stand-ins are cast as by `torch.autocast(device, dtype)`, weights once for all of it."""
    weights: dict[int, tuple[Tensor, Tensor]] = {}  # the weight beside its copy, so that no other has its identity

    def cast(value: Any, to: torch.dtype) -> Any:
        if isinstance(value, Tensor):
            if not value.is_floating_point() or value.dtype in (to, torch.float64):
                return value
            weight = value.requires_grad and value.is_leaf and torch.is_grad_enabled()
            if not (weight and value.dtype == torch.float32 and to == dtype):
                return value.to(to)
            if id(value) not in weights:
                weights[id(value)] = value, value.to(to)
            return weights[id(value)][1]
        if type(value) in (list, tuple):
            return type(value)([cast(item, to) for item in value])
        return value

    def target(name: str, args: Any) -> torch.dtype:
        if name in _LOWER or (name in _WIDEST and torch.float32 not in _types(args)):
            return dtype
        return torch.float32

    def kernel(name: str, op: Any, *args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(keys), torch._C.DisableTorchFunction():
            if on_cuda and name in _INTO_FLOAT:
                return op(*args, **{"dtype": torch.float32, **kwargs})
            to = target(name, args)
            given = [cast(value, to) for value in args]
            return op(*given, **{key: cast(value, to) for key, value in kwargs.items()})

    keys = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, _KEY))
    with torch.library._scoped_library("_", "IMPL") as others, torch.library._scoped_library("aten", "IMPL") as library:
        others.fallback(torch.library.fallthrough_kernel, _KEY)
        for name in [*_cast("AutocastCUDA" if on_cuda else "AutocastCPU"), _OUR_ATTENTION]:
            packet, _, overload = name.partition(".")
            op = getattr(getattr(torch.ops.aten, packet), overload or "default")
            library.impl(name, partial(kernel, name, op), _KEY)
        # keys of its kind are excluded unless one is asked for. Not by torch's guards: left while a dispatch mode is on
        # that was entered later, they turn it off
        torch._C._dispatch_tls_set_dispatch_key_excluded(_KEY, False)
        torch._C._dispatch_tls_set_dispatch_key_included(_KEY, True)
        try:
            yield
        finally:
            torch._C._dispatch_tls_set_dispatch_key_included(_KEY, False)
            torch._C._dispatch_tls_set_dispatch_key_excluded(_KEY, True)
            weights.clear()


@functools.cache
def _cast(key: str) -> list[str]:
    """The operators that torch's autocast has kernels for, by their names in aten: 40 ms to ask for."""
    names = [name for name in torch._C._dispatch_get_all_op_names() if name.startswith("aten::")]
    cast = [name for name in names if torch._C._dispatch_has_kernel_for_dispatch_key(name, key)]
    return [name.removeprefix("aten::") for name in cast]


def _types(value: Any) -> set[torch.dtype]:
    """The types of the floating-point tensors in nested arguments."""
    if isinstance(value, Tensor):
        return {value.dtype} if value.is_floating_point() else set()
    if isinstance(value, list | tuple):
        return set().union(*map(_types, value)) if value else set()
    return set()
