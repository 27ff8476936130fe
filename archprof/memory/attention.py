"""Attention as devices run it: in one operator that never holds the matrix of scores.

On meta tensors torch takes the long way, through matrix products and a softmax; its CPU and CUDA kernels keep the
output and one number for each query and head. Counting wants the former, memory the latter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..counting.trace import ONE_AT_A_TIME

_FUSED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


@contextmanager
def fused_attention(on_cuda: bool = False) -> Iterator[None]:
    """Inside, attention on meta tensors is one operator wherever the CPU has it as one, or CUDA, with dropout, too.

    The function is exchanged where networks look it up: a torch function mode is off inside multi-head attention.
    """
    with ONE_AT_A_TIME:
        attention = functional.scaled_dot_product_attention

        def either(*args: Any, **kwargs: Any) -> Tensor:
            with torch._C.DisableTorchFunction():  # it is not the network that asks where its tensors are
                out = _fused(on_cuda, *args, **kwargs)
            return attention(*args, **kwargs) if out is None else out

        functional.scaled_dot_product_attention = either
        try:
            yield
        finally:
            functional.scaled_dot_product_attention = attention


def _fused(
    on_cuda: bool,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor | None:
    """The attention's output; None where torch takes the long way on the CPU, too (use_flash_attention_cpp)."""
    plain = all(
        [t.is_meta and t.dim() == 4 and t.is_floating_point() and t.stride(-1) == 1 for t in (query, key, value)]
    )
    if (
        not plain
        or (dropout_p and not on_cuda)
        or not query.size(-1) == key.size(-1) == value.size(-1)
        or query.size(0) != key.size(0)
        or key.shape[:3] != value.shape[:3]
        or not (query.size(1) == key.size(1) or (enable_gqa and key.size(1) and query.size(1) % key.size(1) == 0))
        or not (query.numel() and key.numel())
        or (attn_mask is not None and (attn_mask.requires_grad or attn_mask.dim() not in (2, 4)))
    ):
        return None
    if attn_mask is not None and attn_mask.dtype == torch.bool:  # 0 where it is true, minus infinity elsewhere
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype, device="meta")
    out: Tensor = _FUSED(query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale)[0]
    if out.grad_fn is not None and not on_cuda:
        _copy_the_gradient(out.grad_fn)
    return out


def _copy_the_gradient(node: Any) -> None:
    """The backward kernel copies a gradient whose heads are not innermost but one, and keeps both while it runs."""
    held: list[Tensor] = []

    def before(gradients: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...] | None:
        gradient = gradients[0]
        if gradient is None or gradient.transpose(1, 2).is_contiguous():
            return None
        held.append(gradient)
        return gradient.transpose(1, 2).contiguous().transpose(1, 2), *gradients[1:]

    node.register_prehook(before)
    node.register_hook(lambda *_: held.clear())
