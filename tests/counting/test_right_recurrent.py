"""Recurrent layers: at each step of each sequence, every weight matrix meets one vector."""

from __future__ import annotations

import pytest
import torch
from helpers.truths import Does, T, count, macs
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

STEPS, N, IN, HID = 5, 3, 4, 6
GATES = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}


def _truth(kind: type, layers: int, directions: int, steps: int = STEPS * N) -> int:
    first = IN * HID + HID * HID
    later = directions * HID * HID + HID * HID
    return steps * GATES[kind] * directions * (first + (layers - 1) * later)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_layers_and_directions(kind: type, layers: int, bidirectional: bool, batch_first: bool, bias: bool) -> None:
    layer = kind(IN, HID, layers, bias=bias, batch_first=batch_first, bidirectional=bidirectional)
    x = T(N, STEPS, IN) if batch_first else T(STEPS, N, IN)
    found = count(layer, x)
    assert found.macs == _truth(kind, layers, 1 + bidirectional)
    assert sum(row.parameters for row in found.by_type) == found.parameters
    assert "not used in this pass" not in {row.type for row in found.by_type}


def test_relu_unbatched_given_states_and_dropout() -> None:
    assert macs(nn.RNN(IN, HID, nonlinearity="relu"), T(STEPS, N, IN)) == _truth(nn.RNN, 1, 1)
    assert macs(nn.LSTM(IN, HID), T(STEPS, IN)) == _truth(nn.LSTM, 1, 1, STEPS)
    states = (T(2, N, HID), T(2, N, HID))
    assert macs(nn.LSTM(IN, HID, 2, dropout=0.5), T(STEPS, N, IN), states) == _truth(nn.LSTM, 2, 1)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_projection(bidirectional: bool) -> None:
    """The hidden state is projected to P after each step, and P is what comes back in."""
    proj = 2
    layer = nn.LSTM(IN, HID, proj_size=proj, bidirectional=bidirectional)
    step = 4 * (IN * HID + proj * HID) + HID * proj
    assert macs(layer, T(STEPS, N, IN)) == STEPS * N * (1 + bidirectional) * step


@pytest.mark.parametrize("kind", GATES)
def test_packed_sequences_take_as_many_steps_as_they_are_long(kind: type) -> None:
    packed = pack_padded_sequence(T(STEPS, N, IN), torch.tensor([5, 3, 1]))
    assert macs(kind(IN, HID, 2), packed) == _truth(kind, 2, 1, 5 + 3 + 1)
    packed = pack_sequence([T(2, IN), T(4, IN)], enforce_sorted=False)
    assert macs(kind(IN, HID, bidirectional=True), packed) == _truth(kind, 1, 2, 2 + 4)


def test_packed_inside_forward() -> None:
    def forward(layer: nn.LSTM, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return layer(pack_padded_sequence(x, lengths, enforce_sorted=False))[1][0]

    network = Does(forward, nn.LSTM(IN, HID))
    assert macs(network, T(STEPS, N, IN), torch.tensor([2, 5, 4])) == _truth(nn.LSTM, 1, 1, 2 + 5 + 4)


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTMCell, 4), (nn.GRUCell, 3), (nn.RNNCell, 1)])
def test_cells_in_loops(kind: type, gates: int) -> None:
    def forward(cell: nn.Module, x: torch.Tensor) -> object:
        state = None
        for step in x:
            state = cell(step, state)
        return state

    assert macs(Does(forward, kind(IN, HID)), T(STEPS, N, IN)) == STEPS * N * gates * (IN * HID + HID * HID)


@pytest.mark.parametrize("kind", GATES)
def test_training_counts_two_gradients_for_each_product(kind: type) -> None:
    """All but one: the state that the first step starts from is no result of anything."""
    found = count(kind(IN, HID), T(STEPS, N, IN).requires_grad_(), mode="train")
    assert found.macs == 3 * _truth(kind, 1, 1) - N * GATES[kind] * HID * HID
