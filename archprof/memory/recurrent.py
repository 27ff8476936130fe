"""Recurrent layers as the CPU runs them, for predictions of memory.

On meta tensors torch takes one step after the other, each with a product of its own for the input; on the CPU one
product serves all steps, and oneDNN takes an LSTM's whole layer. Counting wants the former, memory the latter. The
steps are those of ATen's RNN.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..counting.closed_forms import CLOSED
from ..counting.trace import ONE_AT_A_TIME

aten = torch.ops.aten

_LAYER = aten.mkldnn_rnn_layer.default

#: Bytes of what a layer keeps for its backward pass, from the operator's arguments.
Workspace = Callable[..., int | None]

#: oneDNN's number for an LSTM (rnn_kind in ATen's RNN.cpp).
_LSTM = 2


class _How(NamedTuple):
    """How torch's functions of recurrent layers are called, behind the input, the states and the weights."""

    has_biases: bool
    layers: int
    dropout: float
    train: bool
    bidirectional: bool
    batch_first: bool


def _layer_outputs(workspace: Workspace, x: Tensor, *args: Any) -> list[Any]:
    """Output, hidden and cell state, and the workspace, for which torch's meta kernel makes nothing."""
    nbytes = workspace(x, *args) if args[-1] else 0
    hidden, dtype = args[5], x.dtype
    sizes = [(*x.shape[:2], args[9]), tuple(hidden.shape), tuple(hidden.shape)]
    return [
        *((size, torch.empty(size, device="meta").stride(), dtype) for size in sizes),
        ((nbytes or 0,), (1,), torch.uint8),
    ]


@contextmanager
def whole_layers(workspace: Workspace | None) -> Iterator[None]:
    """Inside, recurrent layers on meta tensors run as on the CPU.

    Where nobody knows an LSTM's `workspace`, it goes step by step.
    """
    with ONE_AT_A_TIME:
        before = CLOSED.get(_LAYER)
        if workspace is not None:
            CLOSED[_LAYER] = partial(_layer_outputs, workspace)
        table = vars(torch._VF)
        for name, own in _FUNCTIONS.items():
            table[name] = partial(_either, own, getattr(torch._C._VariableFunctions, name))
        try:
            yield
        finally:
            CLOSED.pop(_LAYER, None)
            if before is not None:
                CLOSED[_LAYER] = before
            for name in _FUNCTIONS:
                table.pop(name, None)


def _either(own: Callable[..., Any], usual: Callable[..., Any], *args: Any) -> Any:
    with torch._C.DisableTorchFunction():
        # a packed sequence has its lengths in the second place, and steps of its own
        plain = isinstance(args[0], Tensor) and args[0].is_meta and not (len(args) > 1 and _is_lengths(args[1]))
        if plain and isinstance(args[3], bool):
            return own(*args)
    return usual(*args)


def _is_lengths(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.int64


def _lstm(
    x: Tensor,
    states: Sequence[Tensor],
    weights: Sequence[Tensor],
    *given: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    how = _How(*given)
    has_biases, train, bidirectional = how.has_biases, how.train, how.bidirectional
    hx, cx = states
    projected = hx.size(2) != cx.size(2)
    each = 2 + 2 * has_biases + projected
    hidden, cells = list(hx.unbind(0)), list(cx.unbind(0))

    if projected or _LAYER not in CLOSED:
        states = list(zip(hidden, cells, strict=True))
        run = _in_steps(_lstm_cell, states, weights, has_biases, each, 1 + bidirectional)
        out, finals = _layers(run, x, how)
        return out, torch.stack([hy for hy, _ in finals]), torch.stack([cy for _, cy in finals])

    def layer(x: Tensor, place: int, backwards: bool) -> tuple[Tensor, Any]:
        own = weights[each * place : each * (place + 1)]
        bias = own[2:4] if has_biases else [torch.zeros(own[0].size(0), dtype=x.dtype, device="meta") for _ in "ih"]
        if not train:  # a copy for this call alone; in training what is kept is the input itself
            x = x.contiguous()
        out, hy, cy, _ = _LAYER(
            x, own[0], own[1], *bias, hidden[place], cells[place], backwards, [], _LSTM, hx.size(2), how.layers,
            has_biases, bidirectional, False, train,
        )  # fmt: skip
        return out, (hy.view(hidden[place].shape), cy.view(cells[place].shape))

    def both(x: Tensor, place: int) -> tuple[Tensor, list[Any]]:
        (forth, last), (back, first) = layer(x, place, False), layer(x, place + 1, True)
        return torch.cat([forth, back], -1), [last, first]

    def whole(x: Tensor, place: int) -> tuple[Tensor, list[Any]]:
        if bidirectional:
            return both(x, place)
        out, last = layer(x, place, False)
        return out, [last]

    out, finals = _layers(whole, x, how)
    return out, torch.stack([hy for hy, _ in finals]), torch.stack([cy for _, cy in finals])


def _simple(cell: Callable[..., Any]) -> Callable[..., tuple[Tensor, Tensor]]:
    def run(x: Tensor, hx: Tensor, weights: Sequence[Tensor], *given: Any) -> tuple[Tensor, Tensor]:
        how = _How(*given)
        each, hidden = 2 + 2 * how.has_biases, list(hx.unbind(0))
        run = _in_steps(cell, hidden, weights, how.has_biases, each, 1 + how.bidirectional)
        out, finals = _layers(run, x, how)
        return out, torch.stack(finals)

    return run


def _layers(layer: Callable[[Tensor, int], tuple[Tensor, list[Any]]], x: Tensor, how: _How) -> tuple[Tensor, list[Any]]:
    """The output of the last layer, and each layer's last state, in each direction."""
    x, finals = x.transpose(0, 1) if how.batch_first else x, []
    for place in range(how.layers):
        x, last = layer(x, (1 + how.bidirectional) * place)
        finals += last
        if how.dropout and how.train and place < how.layers - 1:
            x = torch.dropout(x, how.dropout, True)
    return x.transpose(0, 1) if how.batch_first else x, finals


def _in_steps(
    cell: Callable[..., Any],
    states: Sequence[Any],
    weights: Sequence[Tensor],
    has_biases: bool,
    each: int,
    directions: int,
) -> Callable[[Tensor, int], tuple[Tensor, list[Any]]]:
    """A layer that goes step by step: in each direction the input's product for all steps at once, then the steps.

    What one direction made is kept while the other runs.
    """

    def run(x: Tensor, first: int) -> tuple[Tensor, list[Any]]:
        outs, lasts, kept = [], [], []
        steps: tuple[Tensor, ...] = ()
        for place in range(first, first + directions):
            own, state, outputs = weights[each * place : each * (place + 1)], states[place], []
            steps = functional.linear(x, own[0], own[2] if has_biases else None).unbind(0)
            for step in steps if place == first else reversed(steps):
                state = cell(step, state, own, has_biases)
                outputs.append(state[0] if isinstance(state, tuple) else state)
            outs.append(torch.stack(outputs if place == first else outputs[::-1]))
            lasts.append(state)
            kept.append(outputs)
        return torch.cat(outs, -1) if directions > 1 else outs[0], lasts

    return run


def _hidden(state: Tensor, own: Sequence[Tensor], has_biases: bool) -> Tensor:
    return functional.linear(state, own[1], own[3] if has_biases else None)


def _lstm_cell(step: Tensor, state: Any, own: Sequence[Tensor], has_biases: bool) -> tuple[Tensor, Tensor]:
    hx, cx = state
    gates = _hidden(hx, own, has_biases).add_(step).unsafe_chunk(4, 1)
    i, f, g, o = gates[0].sigmoid_(), gates[1].sigmoid_(), gates[2].tanh_(), gates[3].sigmoid_()
    cy = (f * cx).add_(i * g)
    hy = o * cy.tanh()
    return functional.linear(hy, own[-1]) if len(own) in (3, 5) else hy, cy


def _gru_cell(step: Tensor, state: Tensor, own: Sequence[Tensor], has_biases: bool) -> Tensor:
    given, hidden = step.unsafe_chunk(3, 1), _hidden(state, own, has_biases).unsafe_chunk(3, 1)
    reset, update = hidden[0].add_(given[0]).sigmoid_(), hidden[1].add_(given[1]).sigmoid_()
    new = given[2].add(hidden[2].mul_(reset)).tanh_()
    return (state - new).mul_(update).add_(new)


def _tanh_cell(step: Tensor, state: Tensor, own: Sequence[Tensor], has_biases: bool) -> Tensor:
    return _hidden(state, own, has_biases).add_(step).tanh()


def _relu_cell(step: Tensor, state: Tensor, own: Sequence[Tensor], has_biases: bool) -> Tensor:
    return _hidden(state, own, has_biases).add_(step).relu()


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "lstm": _lstm,
    "gru": _simple(_gru_cell),
    "rnn_tanh": _simple(_tanh_cell),
    "rnn_relu": _simple(_relu_cell),
}
