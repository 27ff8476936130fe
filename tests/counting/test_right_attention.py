"""Attention by every road: two products over every pair of a query and a key, and the projections around them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.truths import Does, T, count, macs
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

N, H, L, S, E = 2, 4, 6, 10, 8  # batch, heads, queries, keys, width of a head
D = H * E
Q, K = T(N, H, L, E), T(N, H, S, E)
PAIRS = N * H * L * S * (E + E)
SELF_PAIRS = N * H * L * L * (E + E)


def test_scaled_dot_product_attention() -> None:
    assert macs(F.scaled_dot_product_attention, Q, K, K) == PAIRS


@pytest.mark.parametrize(
    "backend", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION]
)
@pytest.mark.parametrize("grad", [False, True])
def test_every_backend_counts_the_same(backend: SDPBackend, grad: bool) -> None:
    def attend(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        with sdpa_kernel([backend, SDPBackend.MATH]), torch.set_grad_enabled(grad):
            return F.scaled_dot_product_attention(q, k, k)

    assert macs(attend, Q.clone().requires_grad_(grad), K) == PAIRS


def test_causality_is_no_discount() -> None:
    assert macs(lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), Q) == SELF_PAIRS
    mask = torch.ones(L, L).tril().bool()
    assert macs(lambda q: F.scaled_dot_product_attention(q, q, q, attn_mask=mask), Q) == SELF_PAIRS


def test_values_of_another_width() -> None:
    assert macs(F.scaled_dot_product_attention, Q, K, T(N, H, S, 3)) == N * H * L * S * (E + 3)


def test_grouped_queries_share_keys_and_save_no_products() -> None:
    shared = T(N, 2, S, E)
    assert macs(lambda q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True), Q, shared) == PAIRS
    one = T(N, 1, S, E)
    assert macs(lambda q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True), Q, one) == PAIRS


def test_attention_by_hand() -> None:
    assert macs(lambda q, k: (q @ k.transpose(-2, -1) / E**0.5).softmax(-1) @ k, Q, K) == PAIRS
    assert (
        macs(lambda q, k: torch.einsum("nhls,nhse->nhle", torch.einsum("nhle,nhse->nhls", q, k).softmax(-1), k), Q, K)
        == PAIRS
    )


def _projections(queries: int, keys: int) -> int:
    """Queries in and out, keys and values in."""
    return N * (2 * queries + 2 * keys) * D * D


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("mode", ["eval", "eval, frozen"])  # frozen or not: torch's fast path asks for it
def test_multi_head_self_attention(need_weights: bool, batch_first: bool, mode: str) -> None:
    layer = nn.MultiheadAttention(D, H, batch_first=batch_first).requires_grad_("frozen" not in mode)
    x = T(N, L, D) if batch_first else T(L, N, D)
    assert macs(lambda: None) == 0
    assert macs(Does(lambda layer, x: layer(x, x, x, need_weights=need_weights), layer), x) == (
        _projections(L, L) + SELF_PAIRS
    )


def test_multi_head_attention_unbatched_and_masked() -> None:
    layer = nn.MultiheadAttention(D, H, batch_first=True)
    assert macs(Does(lambda layer, x: layer(x, x, x), layer), T(L, D)) == (_projections(L, L) + SELF_PAIRS) // N
    padding = torch.zeros(N, L, dtype=torch.bool)
    padding[0, -2:] = True  # padded tokens are computed like all others
    assert macs(Does(lambda layer, x: layer(x, x, x, key_padding_mask=padding), layer), T(N, L, D)) == (
        _projections(L, L) + SELF_PAIRS
    )
    causal = nn.Transformer.generate_square_subsequent_mask(L)
    assert macs(Does(lambda layer, x: layer(x, x, x, attn_mask=causal, is_causal=True), layer), T(N, L, D)) == (
        _projections(L, L) + SELF_PAIRS
    )


def test_cross_attention() -> None:
    layer = nn.MultiheadAttention(D, H, batch_first=True)
    assert macs(layer, T(N, L, D), T(N, S, D), T(N, S, D)) == _projections(L, S) + PAIRS


def test_keys_and_values_of_their_own_width() -> None:
    layer = nn.MultiheadAttention(D, H, kdim=5, vdim=7, batch_first=True)
    projections = N * (2 * L * D * D + S * 5 * D + S * 7 * D)
    assert macs(layer, T(N, L, D), T(N, S, 5), T(N, S, 7)) == projections + PAIRS


def test_extra_keys() -> None:
    """bias_kv and add_zero_attn each give every query one more key."""
    layer = nn.MultiheadAttention(D, H, add_bias_kv=True, add_zero_attn=True, batch_first=True)
    assert macs(layer, T(N, L, D), T(N, L, D), T(N, L, D)) == _projections(L, L) + N * H * L * (L + 2) * 2 * E


FEED = 24
ENCODER = _projections(L, L) + SELF_PAIRS + N * L * 2 * D * FEED


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_encoder_layer(mode: str, norm_first: bool, activation: str) -> None:
    layer = nn.TransformerEncoderLayer(D, H, FEED, batch_first=True, norm_first=norm_first, activation=activation)
    found = count(layer, T(N, L, D), mode=mode)
    # training: two gradients for each product; the input's own is asked for where a norm's weights come first
    unasked = 0 if norm_first else 3 * N * L * D * D
    assert found.macs == (ENCODER if mode == "eval" else 3 * ENCODER - unasked)
    # the fast path is a single operator, which must not hide the layer's parameters
    assert sum(row.parameters for row in found.by_type) == found.parameters


def test_encoder_with_padding_and_nested_tensors() -> None:
    layer = nn.TransformerEncoderLayer(D, H, FEED, batch_first=True)
    network = nn.TransformerEncoder(layer, 2, enable_nested_tensor=True)
    assert macs(network, T(N, L, D)) == 2 * ENCODER
    padding = torch.zeros(N, L, dtype=torch.bool)
    assert macs(network, T(N, L, D), src_key_padding_mask=padding) == 2 * ENCODER


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_decoder_layer(mode: str) -> None:
    layer = nn.TransformerDecoderLayer(D, H, FEED, batch_first=True)
    truth = ENCODER + _projections(L, S) + PAIRS
    found = count(layer, T(N, L, D), T(N, S, D), mode=mode)
    if mode == "eval":
        assert found.macs == truth
    else:  # neither the queries' nor the memory's own gradient is asked for
        assert found.macs == 3 * truth - N * (3 * L + 2 * S) * D * D


def test_whole_transformer() -> None:
    network = nn.Transformer(D, H, 2, 3, FEED, batch_first=True)
    encoder = _projections(S, S) + N * H * S * S * 2 * E + N * S * 2 * D * FEED
    decoder = ENCODER + _projections(L, S) + PAIRS
    assert macs(network, T(N, S, D), T(N, L, D)) == 2 * encoder + 3 * decoder


def test_flex_attention() -> None:
    flex = pytest.importorskip("torch.nn.attention.flex_attention")
    assert macs(lambda q, k: flex.flex_attention(q, k, k), Q, K) == PAIRS

    def causal(score, b, h, q, k):
        return torch.where(q >= k, score, -float("inf"))

    assert macs(lambda q, k: flex.flex_attention(q, k, k, score_mod=causal), Q, K) == PAIRS
