"""What the dispatcher really shows for attention and recurrent layers, held against hand-derived totals.

Each case runs on the CPU with real tensors and, where torch can, on meta; nothing may be uncounted.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.dispatched import on, recorded, total
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=["cpu", "meta"])
def device(request):
    return request.param


# --- attention ------------------------------------------------------------------------------------

Q, K = (2, 4, 5, 8), (2, 4, 6, 8)
CROSS = 2 * 4 * 5 * 6 * (8 + 8)


@pytest.mark.parametrize("backend", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_costs_the_same_on_every_backend_that_a_cpu_has(backend, causal):
    def run():
        with sdpa_kernel(backend):
            F.scaled_dot_product_attention(on("cpu", *Q), on("cpu", *K), on("cpu", *K), is_causal=causal)

    seen = recorded(run).macs
    assert ("bmm" in seen) == (backend is SDPBackend.MATH)
    assert seen.total() == CROSS


@pytest.mark.parametrize("op", ["flash", "efficient", "cudnn", "fused"])
def test_the_backends_of_a_gpu_answer_on_meta(op):
    aten, extra = torch.ops.aten, {"efficient": (None, True), "cudnn": (None, True)}.get(op, ())
    name = f"_scaled_dot_product_{op}_attention" + "_overrideable" * (op == "fused")
    q, k = on("meta", *Q), on("meta", *K)
    assert total(lambda: getattr(aten, name)(q, k, k, *extra)) == CROSS


def test_grouped_queries_masks_and_whole_attention(device):
    q, shared = on(device, 2, 4, 5, 8), on(device, 2, 2, 6, 8)
    assert total(lambda: F.scaled_dot_product_attention(q, shared, shared, enable_gqa=True)) == CROSS
    k, mask = on(device, *K), on(device, 5, 6)
    assert total(lambda: F.scaled_dot_product_attention(q, k, k, attn_mask=mask)) == CROSS
    with torch.inference_mode():
        assert total(lambda: F.scaled_dot_product_attention(q, k, k)) == CROSS
        assert total(lambda: F.scaled_dot_product_attention(q, shared, shared, enable_gqa=True)) == CROSS


def test_training_attention_costs_three_forward_passes_fused_or_not(device):
    q, k, v = (on(device, *sizes).requires_grad_() for sizes in (Q, K, K))
    seen = recorded(lambda: F.scaled_dot_product_attention(q, k, v).sum().backward(), grad=True).macs
    assert ("bmm" in seen) == (device == "meta")  # meta takes the unfused path
    assert seen.total() == 3 * CROSS


def test_flex_attention(monkeypatch):
    flex = pytest.importorskip("torch.nn.attention.flex_attention")
    if not hasattr(flex, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG"):
        pytest.skip("this torch compiles flex attention, and no mode sees into that")
    monkeypatch.setattr(flex, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)
    q, k, shared = on("cpu", *Q), on("cpu", *K), on("cpu", 2, 2, 6, 8)

    def causal(batch, head, row, column):
        return row >= column

    mask = flex.create_block_mask(causal, None, None, 5, 6, device="cpu")
    assert total(lambda: flex.flex_attention(q, k, k)) == CROSS
    assert total(lambda: flex.flex_attention(q, shared, shared, enable_gqa=True)) == CROSS
    assert total(lambda: flex.flex_attention(q, k, k, block_mask=mask)) == CROSS


# width 8, two sequences: 5 queries, 6 keys
SELF_ATTENTION = 10 * 4 * 8 * 8 + 2 * 5 * 5 * (8 + 8)
CROSS_ATTENTION = 10 * 2 * 8 * 8 + 12 * 2 * 8 * 8 + 2 * 5 * 6 * (8 + 8)
FEED_FORWARD = 10 * 2 * 8 * 16


@pytest.mark.parametrize("weights", [True, False])
def test_multi_head_attention(device, weights):
    attention = nn.MultiheadAttention(8, 2, batch_first=True).to(device)
    x, y = on(device, 2, 5, 8), on(device, 2, 6, 8)
    assert total(lambda: attention(x, x, x, need_weights=weights)) == SELF_ATTENTION
    assert total(lambda: attention(x, y, y, need_weights=weights)) == CROSS_ATTENTION
    attention.eval()
    fast = recorded(lambda: attention(x, x, x, need_weights=weights)).macs
    assert ("_native_multi_head_attention" in fast) == (device == "cpu")
    assert fast.total() == SELF_ATTENTION
    assert total(lambda: attention(x, y, y, need_weights=weights)) == CROSS_ATTENTION


def test_multi_head_attention_with_other_widths_for_keys_and_values(device):
    attention = nn.MultiheadAttention(8, 2, kdim=3, vdim=5, batch_first=True).to(device)
    x, k, v = on(device, 2, 5, 8), on(device, 2, 6, 3), on(device, 2, 6, 5)
    expected = 10 * 2 * 8 * 8 + 12 * 3 * 8 + 12 * 5 * 8 + 2 * 5 * 6 * (8 + 8)
    assert total(lambda: attention(x, k, v)) == expected
    assert total(lambda: attention.eval()(x, k, v)) == expected


@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer_layers(device, norm_first):
    options = {"dim_feedforward": 16, "batch_first": True, "norm_first": norm_first}
    encoder = nn.TransformerEncoderLayer(8, 2, **options).to(device)
    decoder = nn.TransformerDecoderLayer(8, 2, **options).to(device)
    x, memory = on(device, 2, 5, 8), on(device, 2, 6, 8)
    for mode in (True, False):
        encoder.train(mode)
        decoder.train(mode)
        seen = recorded(lambda: encoder(x)).macs
        assert ("_transformer_encoder_layer_fwd" in seen) == (device == "cpu" and not mode)
        assert seen.total() == SELF_ATTENTION + FEED_FORWARD
        assert total(lambda: decoder(x, memory)) == SELF_ATTENTION + CROSS_ATTENTION + FEED_FORWARD


def test_an_encoder_with_padding_counts_the_tokens_that_it_keeps():
    """The fast path drops padding (nested tensors): sequences of 4 and 5 tokens."""
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3).eval()
    padding = torch.tensor([[False] * 4 + [True], [False] * 5])
    layer = 9 * (4 * 8 * 8 + 2 * 8 * 16) + (4 * 4 + 5 * 5) * (8 + 8)
    assert total(lambda: encoder(on("cpu", 2, 5, 8), src_key_padding_mask=padding)) == 3 * layer


# --- recurrent ------------------------------------------------------------------------------------

GATES = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}
CELLS = {nn.LSTMCell: 4, nn.GRUCell: 3, nn.RNNCell: 1}


@pytest.mark.parametrize("kind", GATES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("batch_first", [False, True])
def test_recurrent_layers(kind, batch_first, device):
    """3 steps of 2 sequences, 5 wide, hidden 7."""
    gates = GATES[kind]
    x = on(device, 2, 3, 5) if batch_first else on(device, 3, 2, 5)

    def layers(**options):
        layer = kind(5, 7, batch_first=batch_first, **options).to(device)
        return total(lambda: layer(x))

    one = gates * 7 * (5 + 7)
    assert layers() == 6 * one
    assert layers(num_layers=2) == 6 * (one + gates * 7 * (7 + 7))
    assert layers(bidirectional=True) == 6 * 2 * one
    assert layers(num_layers=2, bidirectional=True, bias=False) == 6 * 2 * (one + gates * 7 * (14 + 7))


def test_recurrent_layers_with_a_projection_or_dropout_or_doubles(device):
    x = on(device, 3, 2, 5)
    projected = nn.LSTM(5, 7, proj_size=3).to(device)
    assert total(lambda: projected(x)) == 6 * (28 * 5 + 28 * 3 + 3 * 7)
    dropped = nn.LSTM(5, 7, num_layers=2, dropout=0.5).to(device)
    assert total(lambda: dropped(x)) == 6 * 28 * (5 + 7 + 7 + 7)
    double = nn.LSTM(5, 7).to(device).double()
    assert total(lambda: double(x.double())) == 6 * 28 * 12


@pytest.mark.parametrize("kind", GATES, ids=lambda kind: kind.__name__)
def test_packed_sequences_count_the_steps_that_they_have(kind):
    packed = nn.utils.rnn.pack_padded_sequence(torch.ones(3, 2, 5), torch.tensor([3, 2]))
    layer = kind(5, 7, bidirectional=True)
    assert total(lambda: layer(packed)) == 5 * 2 * GATES[kind] * 7 * 12
    with torch.inference_mode():
        assert total(lambda: layer(packed)) == 5 * 2 * GATES[kind] * 7 * 12


@pytest.mark.parametrize("kind", CELLS, ids=lambda kind: kind.__name__)
def test_cells_in_a_loop(kind, device):
    cell, x = kind(5, 7).to(device), on(device, 2, 5)

    def loop():
        state = None
        for _ in range(3):
            state = cell(x, state)

    assert total(loop) == 3 * 2 * CELLS[kind] * 7 * 12
    with torch.inference_mode():
        assert total(loop) == 3 * 2 * CELLS[kind] * 7 * 12


def test_a_cpu_runs_an_lstm_as_one_operator_per_layer_forward_and_backward():
    layer, x = nn.LSTM(5, 7), torch.ones(3, 2, 5)
    forward = 6 * 28 * 12
    seen = recorded(lambda: layer(x)[0].sum().backward(), grad=True).macs
    if "mkldnn_rnn_layer" not in seen:
        pytest.skip("this torch has no oneDNN")
    assert dict(seen) == {"mkldnn_rnn_layer": forward, "mkldnn_rnn_layer_backward": 2 * forward}
