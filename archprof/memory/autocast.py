"""torch.autocast on stand-ins: the casts that it makes on a device, where tensors are on none.

torch's own casts look at the device of a tensor and leave meta tensors as they are. So kernels of the same effect are
registered under a key of the dispatcher that no device here uses, above gradients, as torch's are. Which operators are
cast is read off torch; into what is its table (ATen's autocast_mode.h).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

#: Operators that compute in the lower type.
_LOWER = frozenset(
    "_addmm_activation _convolution _convolution.deprecated _native_multi_head_attention "
    "_scaled_dot_product_flash_attention _thnn_fused_gru_cell _thnn_fused_lstm_cell addbmm addmm addmv addr "
    "baddbmm bmm chain_matmul conv1d conv1d.padding conv2d conv2d.padding conv3d conv3d.padding conv_tbc "
    "conv_transpose1d conv_transpose2d.input conv_transpose3d.input convolution cudnn_convolution "
    "cudnn_convolution_transpose einsum gru_cell linalg_multi_dot linalg_vecdot linear lstm_cell matmul "
    "mkldnn_rnn_layer mm mv prelu rnn_relu_cell rnn_tanh_cell scaled_dot_product_attention".split()
)
#: Operators that compute in the widest type of their inputs.
_WIDEST = frozenset(
    "addcdiv addcmul atan2 bilinear cat cross dot grid_sampler index_copy index_put scatter_add stack tensordot "
    "vdot".split()
)
#: On CUDA, operators that read any type and return float32.
_INTO_FLOAT = frozenset("cumprod cumsum log_softmax.int prod prod.dim_int softmax.int sum sum.dim_IntList".split())

#: What this package calls by itself where networks call `scaled_dot_product_attention`.
_OUR_ATTENTION = "_scaled_dot_product_flash_attention_for_cpu"

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

    def kernel(op: Any, rule: Callable[..., torch.dtype | None], *args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(keys), torch._C.DisableTorchFunction():
            to = rule(args)
            if to is None:
                return op(*args, **{"dtype": torch.float32, **kwargs} if op in dtyped else kwargs)
            given = [cast(value, to) for value in args]
            return op(*given, **{name: cast(value, to) for name, value in kwargs.items()})

    def lower(args: Any) -> torch.dtype:
        return dtype

    def full(args: Any) -> torch.dtype:
        return torch.float32

    def widest(args: Any) -> torch.dtype:
        return torch.float32 if torch.float32 in _types(args) else dtype

    def kept(args: Any) -> None:
        return None

    keys = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, _KEY))
    dtyped: set[Any] = set()
    with torch.library._scoped_library("_", "IMPL") as others, torch.library._scoped_library("aten", "IMPL") as library:
        others.fallback(torch.library.fallthrough_kernel, _KEY)
        for name in [*_cast("AutocastCUDA" if on_cuda else "AutocastCPU"), _OUR_ATTENTION]:
            packet, _, overload = name.partition(".")
            op = getattr(getattr(torch.ops.aten, packet), overload or "default")
            into_float = on_cuda and name in _INTO_FLOAT
            if into_float:
                dtyped.add(op)
            rule = (
                lower if name in _LOWER or name == _OUR_ATTENTION else
                widest if name in _WIDEST else kept if into_float else full
            )  # fmt: skip
            library.impl(name, partial(kernel, op, rule), _KEY, allow_override=True)
        torch._C._dispatch_tls_set_dispatch_key_excluded(_KEY, False)  # as are all of its kind unless one is asked for
        try:
            with torch._C._IncludeDispatchKeyGuard(getattr(torch._C.DispatchKey, _KEY)):
                yield
        finally:
            torch._C._dispatch_tls_set_dispatch_key_excluded(_KEY, True)
            weights.clear()


def _cast(key: str) -> list[str]:
    """The operators that torch's autocast has kernels for, by their names in aten."""
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
