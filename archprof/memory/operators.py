"""A pass that memory is predicted from takes the operators that the device takes, not those of the meta device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext

import torch
from torch import Tensor
from torch.nn import functional

from ..counting.trace import ONE_AT_A_TIME
from .attention import fused_attention
from .autocast import autocast
from .fast_path import fast_path
from .recurrent import Workspace, whole_layers


@contextmanager
def own_operators(
    on_cuda: bool = False, workspace: Workspace | None = None, lower: torch.dtype | None = None
) -> Iterator[ExitStack]:
    """Inside, attention, recurrent layers and gradients on meta tensors are what they are on the device.

    With `lower`, operators are cast as by torch.autocast of that type, until what is yielded is closed: gradients are
    computed outside of it.
    """
    layers = nullcontext() if on_cuda else whole_layers(workspace)
    short = nullcontext() if on_cuda else fast_path(lower)
    with (
        ONE_AT_A_TIME,
        fused_attention(on_cuda),
        _masks_of_bytes() if on_cuda else nullcontext(),
        _gradients_in_one(),
        _biases_in_place(),
        layers,
        short,
        ExitStack() as forward,
    ):
        if lower is not None:
            forward.enter_context(autocast(lower, on_cuda))
        yield forward


@contextmanager
def _biases_in_place() -> Iterator[None]:
    """A linear layer's bias is added in place where its input is not contiguous; under a dispatch mode torch copies."""
    linear = functional.linear

    def in_place(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        with torch._C.DisableTorchFunction():
            if bias is not None and x.is_meta and x.dim() > 2 and not x.is_contiguous():
                return torch.matmul(x, weight.t()).add_(bias)
        return linear(x, weight, bias)

    functional.linear = in_place  # type: ignore[assignment]
    try:
        yield
    finally:
        functional.linear = linear


@contextmanager
def _masks_of_bytes() -> Iterator[None]:
    """CUDA's dropout is one operator that keeps a mask of a byte a number (is_fused_kernel_acceptable in ATen's
    Dropout.cpp); elsewhere torch multiplies by numbers."""
    dropout = functional.dropout

    def fused(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        with torch._C.DisableTorchFunction():
            if isinstance(x, Tensor) and x.is_meta and training and not inplace and 0 < p < 1 and x.numel():
                out: Tensor = torch.native_dropout(x, p, True)[0]
                return out
        return dropout(x, p, training, inplace)

    functional.dropout = fused  # type: ignore[assignment]
    try:
        yield
    finally:
        functional.dropout = dropout


@contextmanager
def _gradients_in_one() -> Iterator[None]:
    """Mish's gradient is one operator on devices; torch has none for meta tensors and takes it apart, unasked."""
    if torch._C._dispatch_has_kernel_for_dispatch_key("aten::mish_backward", "Meta"):
        yield
        return
    with torch.library._scoped_library("aten", "IMPL", "Meta") as library:
        library.m.impl("mish_backward", "Meta", _like_the_input, False)  # `impl` refuses composite operators
        yield


def _like_the_input(gradient: Tensor, x: Tensor) -> Tensor:
    return torch.empty_like(x)
