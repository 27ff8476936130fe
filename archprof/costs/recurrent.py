"""Recurrent layers that arrive as one operator. Gates' activations and elementwise parts are free.

One fact carries all: at each step of each sequence every weight matrix meets one vector, so the
cost is steps times the matrices' elements. It holds for any number of layers and directions, with
projections, batched or not, and for packed sequences, whose data has one row per step.
"""

from __future__ import annotations

from math import prod
from typing import Any

from .registry import Shape, aten, macs_of


def _steps(x: Shape, weights: Any) -> int:
    """x (*, in): its vectors times the elements of the weight matrices; biases are vectors, and free."""
    return int(prod(x[:-1]) * sum(prod(weight) for weight in weights if len(weight) == 2))


@macs_of("aten::lstm.input", "aten::gru.input", "aten::rnn_tanh.input", "aten::rnn_relu.input", aten._lstm_mps)
def recurrent(x: Shape, hidden: Any, weights: list[Shape]) -> int:
    """x (T, N, in), (N, T, in) or (T, in)."""
    return _steps(x, weights)


@macs_of("aten::lstm.data", "aten::gru.data", "aten::rnn_tanh.data", "aten::rnn_relu.data")
def recurrent_packed(data: Shape, batch_sizes: Shape, hidden: Any, weights: list[Shape]) -> int:
    """data (sum of lengths, in)."""
    return _steps(data, weights)


@macs_of(aten._cudnn_rnn, aten.miopen_rnn)
def on_gpu(x: Shape, weights: list[Shape]) -> int:
    """x as recurrent's, or packed."""
    return _steps(x, weights)


@macs_of(aten.mkldnn_rnn_layer)
def one_layer(x: Shape, input_weight: Shape, hidden_weight: Shape) -> int:
    """One layer in one direction, as a CPU runs an LSTM: x (T, N, in)."""
    return prod(x[:-1]) * (prod(input_weight) + prod(hidden_weight))


@macs_of(aten.mkldnn_rnn_layer_backward)
def one_layer_backward(x: Shape, input_weight: Shape, hidden_weight: Shape) -> int:
    """The gradients of the vectors and of the matrices: a forward pass each."""
    return 2 * one_layer(x, input_weight, hidden_weight)


@macs_of(aten._cudnn_rnn_backward, aten.miopen_rnn_backward)
def on_gpu_backward(x: Shape, weights: list[Shape], *args: Any) -> int:
    """The vectors' gradients are always computed, the matrices' where the last of `output_mask` asks so."""
    output_mask = args[-1]
    return (1 + bool(output_mask[3])) * _steps(x, weights)


@macs_of(aten.lstm_mps_backward)
def lstm_mps_backward(
    grad_y: Any, grad_h: Any, grad_c: Any, z: Any, cell: Any, x: Shape, outputs: Any, hidden: Any, weights: list[Shape]
) -> int:
    """The gradients of the vectors and of the matrices: a forward pass each."""
    return 2 * _steps(x, weights)


@macs_of(aten.lstm_cell, aten.gru_cell, aten.rnn_tanh_cell, aten.rnn_relu_cell)
def cell(x: Shape, hidden: Any, input_weight: Shape, hidden_weight: Shape) -> int:
    """One step: x (N, in) or (in,)."""
    return prod(x[:-1]) * (prod(input_weight) + prod(hidden_weight))


# Quantised weights are packed; their shapes follow from those of x and of the hidden state.


def _packed_layers(x: Shape, hidden: Shape, gates: int, num_layers: int, bidirectional: bool) -> int:
    """hidden (layers * directions, N, H): a first layer that reads x, others that read both directions."""
    directions, width = 2 if bidirectional else 1, hidden[-1]
    inputs = x[-1] + (num_layers - 1) * directions * width
    return prod(x[:-1]) * directions * gates * width * (inputs + num_layers * width)


@macs_of("aten::quantized_lstm.input")
def quantised_lstm(
    x: Shape, hidden: Any, weights: Any, biases: bool, num_layers: int, dropout: float, train: bool, bidirectional: bool
) -> int:
    """Four gates."""
    return _packed_layers(x, hidden[0], 4, num_layers, bidirectional)


@macs_of("aten::quantized_lstm.data")
def quantised_lstm_packed(
    x: Shape,
    batch_sizes: Any,
    hidden: Any,
    weights: Any,
    biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
) -> int:
    """Four gates."""
    return _packed_layers(x, hidden[0], 4, num_layers, bidirectional)


@macs_of("aten::quantized_gru.input")
def quantised_gru(
    x: Shape,
    hidden: Shape,
    weights: Any,
    biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
) -> int:
    """Three gates."""
    return _packed_layers(x, hidden, 3, num_layers, bidirectional)


@macs_of("aten::quantized_gru.data")
def quantised_gru_packed(
    x: Shape,
    batch_sizes: Any,
    hidden: Shape,
    weights: Any,
    biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
) -> int:
    """Three gates."""
    return _packed_layers(x, hidden, 3, num_layers, bidirectional)


@macs_of("quantized::quantized_lstm_cell_dynamic", aten.quantized_lstm_cell)
def quantised_lstm_cell(x: Shape, hidden: list[Shape]) -> int:
    """Four gates; x (N, in)."""
    return _packed_layers(x, hidden[0], 4, 1, False)


@macs_of("quantized::quantized_gru_cell_dynamic", aten.quantized_gru_cell)
def quantised_gru_cell(x: Shape, hidden: Shape) -> int:
    """Three gates; x (N, in)."""
    return _packed_layers(x, hidden, 3, 1, False)


@macs_of(
    "quantized::quantized_rnn_relu_cell_dynamic",
    "quantized::quantized_rnn_tanh_cell_dynamic",
    aten.quantized_rnn_relu_cell,
    aten.quantized_rnn_tanh_cell,
)
def quantised_cell(x: Shape, hidden: Shape) -> int:
    """One gate; x (N, in)."""
    return _packed_layers(x, hidden, 1, 1, False)
