"""Attention: two products over every (query, key) pair. Softmax, mask, scale and dropout are free, and
a causal or block mask is no discount: the count is that of the layer, not of a kernel's cleverness.

E is the width of a query's and key's head, Ev that of a value's.
"""

from __future__ import annotations

from math import prod
from typing import Any

from .registry import Shape, aten, macs_of


def _first(out: Any) -> Shape:
    return out if isinstance(out, Shape) else out[0]


@macs_of(
    aten.scaled_dot_product_attention, aten._scaled_dot_product_attention_math,
    aten._scaled_dot_product_attention_math_for_mps, aten._scaled_dot_product_flash_attention,
    aten._scaled_dot_product_flash_attention_for_cpu, aten._scaled_dot_product_efficient_attention,
    aten._scaled_dot_product_cudnn_attention, aten._scaled_dot_product_fused_attention_overrideable,
    aten._triton_scaled_dot_attention, "higher_order::flex_attention",
)  # fmt: skip
def attention(query: Shape, key: Shape, value: Shape, *, out: Any) -> int:
    """query (*, H, L, E), key (*, Hkv, S, E), value (*, Hkv, S, Ev) -> out (*, H, L, Ev).

    Each query meets S keys (E) and S values (Ev); key heads that several query heads share save no products.
    """
    rows = prod(_first(out)[:-1])
    return rows * key[-2] * (query[-1] + value[-1])


@macs_of(
    aten._scaled_dot_product_flash_attention_backward,
    aten._scaled_dot_product_flash_attention_for_cpu_backward,
    aten._scaled_dot_product_efficient_attention_backward, aten._scaled_dot_product_cudnn_attention_backward,
    aten._scaled_dot_product_fused_attention_overrideable_backward,
)  # fmt: skip
def attention_backward(grad: Shape, query: Shape, key: Shape, value: Shape) -> int:
    """Four products: the gradients of values, weights, queries and keys, twice the forward pass.

    Fused kernels compute the scores again, a fifth product (Dao et al. 2022, https://arxiv.org/abs/2205.14135).
    It is left out, as it isn't there on the unfused path: the choice of kernel changes no count.
    """
    return 2 * prod(grad[:-1]) * key[-2] * (query[-1] + value[-1])


@macs_of("higher_order::flex_attention_backward")
def flex_backward(query: Shape, key: Shape, value: Shape) -> int:
    """As attention_backward."""
    return 2 * prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def packed_pairs(queries: int, keys: int, lengths_q: Any, max_q: int, max_k: int) -> int | None:
    """(query, key) pairs over all sequences of a packed batch, where the shapes tell: one side is of even
    length. None where both sides are ragged (the lengths are values, not shapes)."""
    sequences = prod(lengths_q) - 1  # cumulative lengths, starting from 0
    if queries == sequences * max_q:
        return max_q * keys
    if keys == sequences * max_k:
        return queries * max_k
    return None


@macs_of(aten._flash_attention_forward, "torch_attn::_varlen_attn")
def flash_forward(
    query: Shape, key: Shape, value: Shape, lengths_q: Any, lengths_k: Any, max_q: int, max_k: int
) -> int | None:
    """query (N, L, H, E), key (N, S, Hkv, E); packed: (sum of L, H, E) and cumulative lengths (N + 1,)."""
    *_, heads, width = query
    if lengths_q is None:
        return prod(query[:-1]) * key[-3] * (width + value[-1])
    pairs = packed_pairs(query[-3], key[-3], lengths_q, max_q, max_k)
    return None if pairs is None else heads * pairs * (width + value[-1])


@macs_of(aten._flash_attention_forward_no_dropout_inplace, "torch_attn::_varlen_attn_out")
def flash_forward_onto(
    onto: Shape, query: Shape, key: Shape, value: Shape, lengths_q: Any, lengths_k: Any, max_q: int, max_k: int
) -> int | None:
    """As flash_forward, written onto a given tensor."""
    return flash_forward(query, key, value, lengths_q, lengths_k, max_q, max_k)


@macs_of(aten._efficient_attention_forward)
def efficient_forward(
    query: Shape,
    key: Shape,
    value: Shape,
    bias: Any,
    lengths_q: Any,
    lengths_k: Any,
    max_q: int | None,
    max_k: int | None,
) -> int | None:
    """query (N, L, H, E), key (N, S, Hkv, E); packed: N is 1."""
    return flash_forward(query, key, value, lengths_q, lengths_k, max_q or 0, max_k or 0)


@macs_of(aten._cudnn_attention_forward)
def cudnn_forward(
    query: Shape, key: Shape, value: Shape, bias: Any, lengths_q: Any, lengths_k: Any, max_q: int, max_k: int
) -> int | None:
    """query (N, H, L, E), key (N, Hkv, S, E); packed: (sum of L, H, E) and cumulative lengths (N + 1,)."""
    if lengths_q is None:
        return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])
    return flash_forward(query, key, value, lengths_q, lengths_k, max_q, max_k)


@macs_of(aten._flash_attention_backward, "torch_attn::_varlen_attn_backward")
def flash_backward(
    grad: Shape,
    query: Shape,
    key: Shape,
    value: Shape,
    onto: Any,
    logsumexp: Any,
    lengths_q: Any,
    lengths_k: Any,
    max_q: int,
    max_k: int,
) -> int | None:
    """Twice flash_forward, as attention_backward."""
    return _twice(flash_forward(query, key, value, lengths_q, lengths_k, max_q, max_k))


@macs_of(aten._efficient_attention_backward)
def efficient_backward(
    grad: Shape,
    query: Shape,
    key: Shape,
    value: Shape,
    bias: Any,
    onto: Any,
    lengths_q: Any,
    lengths_k: Any,
    max_q: int,
    max_k: int,
) -> int | None:
    """Twice efficient_forward, as attention_backward."""
    return _twice(efficient_forward(query, key, value, bias, lengths_q, lengths_k, max_q, max_k))


@macs_of(aten._cudnn_attention_backward)
def cudnn_backward(
    grad: Shape,
    query: Shape,
    key: Shape,
    value: Shape,
    onto: Any,
    logsumexp: Any,
    seed: Any,
    offset: Any,
    bias: Any,
    lengths_q: Any,
    lengths_k: Any,
    max_q: int,
    max_k: int,
) -> int | None:
    """Twice cudnn_forward, as attention_backward."""
    return _twice(cudnn_forward(query, key, value, bias, lengths_q, lengths_k, max_q, max_k))


def _twice(count: int | None) -> int | None:
    return None if count is None else 2 * count


@macs_of(aten._native_multi_head_attention, aten._triton_multi_head_attention)
def multi_head_attention(query: Shape, key: Shape, value: Shape, embed_dim: int) -> int:
    """The whole layer in one operator (torch's eval fast path): query (*, L, E), key and value (*, S, E).

    Queries are projected in and out, keys and values in (E*E each); a pair costs E for its score and E for
    its value.
    """
    queries, keys = prod(query[:-1]), prod(key[:-1])
    return (2 * queries + 2 * keys) * embed_dim * embed_dim + queries * key[-2] * 2 * embed_dim


@macs_of(aten._transformer_encoder_layer_fwd)
def transformer_encoder_layer(src: Shape, embed_dim: int, *args: Any) -> int:
    """The whole encoder layer in one operator: src (*, L, E), then two linear layers (E, F) and (F, E)."""
    first, second = args[12], args[14]
    feed_forward = prod(src[:-1]) * (prod(first) + prod(second))
    return int(multi_head_attention(src, src, src, embed_dim) + feed_forward)
