"""What torchinfo, fvcore and torch's FlopCounterMode count, as rules over our own record of a pass.

Each function answers, without running the tool: by which named terms does its total differ from ours? Learned
from torchinfo 1.8.0, fvcore 0.1.5 and torch 2.13; a tool that changes its mind shows up as a remainder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import prod

from torch import nn
from torch.utils import flop_counter

from ..costs import Shape
from ..costs.kinds import layer_type
from ..counting.aggregate import facts_of
from ..counting.recording import OpCall
from ..counting.trace import Trace
from .opinions import Term

#: Layer types with a term of their own in torchinfo's count: it multiplies their parameters by the batch.
_SCALED = ("batch norm", "layer norm", "group norm", "embedding", "activation", "recurrent")


def torchinfo(found: Trace) -> tuple[Term, ...]:
    """Each called leaf module: its parameters times the positions of its output, for convolutions; times the
    output's first dimension, for all others (its first two, where they are not named 'weight' and 'bias').

    Bias and normalisation are counted so. Products outside of leaf modules, and positions beyond the first
    dimension of a linear layer's output, are not.
    """
    parts = dict(found.parts)
    kinds = _kinds_by_module(found)
    ours = Counter[str]()
    for call in found.calls:
        ours[call.module] += facts_of(call.op).macs or 0
    terms = Counter[str]()
    theirs = Counter[str]()
    for called in found.module_calls:
        part = parts[called.module]
        if any(True for _ in part.children()):
            continue
        for name, parameter in part.named_parameters():
            share = parameter.numel() * _times(part, name, called.output_shape or ())
            if not share:
                continue
            if not ours[called.module]:
                terms[kinds.get(called.module, type(part).__name__)] += share
            elif "bias" in name:
                terms["bias"] += share
            else:
                theirs[called.module] += share
    attention = _decomposed_attention(found)
    for place, call in enumerate(found.calls):
        macs = facts_of(call.op).macs
        if macs and call.module not in theirs:
            terms[_missed(call, parts[call.module], place in attention)] -= macs
    for path, share in theirs.items():
        terms[_reach(parts[path], share - ours[path])] += share - ours[path]
    return _as_terms(terms)


def _times(part: nn.Module, name: str, output: tuple[int, ...]) -> int:
    """How often torchinfo counts a parameter."""
    if name in ("weight", "bias"):
        return prod(output[:1] + output[2:]) if "Conv" in type(part).__name__ else output[0] if output else 0
    return prod(output[:2]) if "weight" in name or "bias" in name else 0


def _reach(part: nn.Module, gap: int) -> str:
    if isinstance(part, nn.RNNBase | nn.RNNCellBase):
        return "recurrent positions"
    if "Conv" in type(part).__name__:
        return "transposed convolution, by its output's positions"
    return "linear layers, by the first dimension alone" if gap < 0 else "linear layers, output without batch"


def fvcore(found: Trace) -> tuple[Term, ...]:
    """Convolutions, linear layers and matrix products as we do; besides, by element: batch norm 2 (5 in
    training mode), layer and group norm 5 (one less each without affine parameters), adaptive average pooling
    1 per input, bilinear upsampling and grid sampling 4 per output, nearest 1.

    Fused attention, recurrent layers, `baddbmm` and products with vectors are unknown to it and left out.
    """
    parts = dict(found.parts)
    attention = _decomposed_attention(found)
    terms = Counter[str]()
    for place, call in enumerate(found.calls):
        name = call.op.name.removeprefix("aten.")
        macs = facts_of(call.op).macs
        if macs:
            recurrent = isinstance(parts[call.module], nn.RNNBase | nn.RNNCellBase)
            if recurrent or place in attention or name not in _FVCORE_PRODUCTS:
                terms[_missed(call, parts[call.module], place in attention)] -= macs
        elif name in _FVCORE_EXTRAS:
            term, count = _FVCORE_EXTRAS[name]
            if not isinstance(parts[call.module], nn.AdaptiveAvgPool1d | nn.RNNBase | nn.RNNCellBase):
                terms[term] += count(call)
    return _as_terms(terms)


def _normalised(eval_cost: int, train_cost: int) -> Callable[[OpCall], int]:
    def count(call: OpCall) -> int:
        args = call.op.args
        flags = [arg for arg in args if isinstance(arg, bool)]
        cost = train_cost if not flags or flags[0] else eval_cost
        weight = args[2] if call.op.name.endswith("layer_norm") else args[1]
        return int(prod(args[0]) * (cost if isinstance(weight, Shape) else cost - 1))

    return count


def _always(call: OpCall) -> int:
    return prod(call.op.args[0])


def _global_average(call: OpCall) -> int:
    """Adaptive pooling to one position arrives as a mean over the last two dimensions that keeps them."""
    args = call.op.args
    kept = len(args) > 2 and args[2] is True
    return prod(args[0]) if kept and list(args[1]) == [-1, -2] else 0


def _per_output(cost: int) -> Callable[[OpCall], int]:
    return lambda call: cost * prod(call.op.out)


_FVCORE_PRODUCTS = frozenset({"convolution", "_convolution", "addmm", "mm", "bmm"})

_FVCORE_EXTRAS: dict[str, tuple[str, Callable[[OpCall], int]]] = {
    "native_batch_norm": ("batch norm", _normalised(2, 5)),
    "_native_batch_norm_legit": ("batch norm", _normalised(2, 5)),
    "_native_batch_norm_legit_no_training": ("batch norm", _normalised(2, 2)),
    "native_layer_norm": ("layer norm", _normalised(5, 5)),
    "native_group_norm": ("group norm", _normalised(5, 5)),
    "_adaptive_avg_pool2d": ("adaptive pooling", _always),
    "mean": ("adaptive pooling", _global_average),
    "upsample_nearest2d": ("interpolation", _per_output(1)),
    "upsample_bilinear2d": ("interpolation", _per_output(4)),
    "grid_sampler_2d": ("interpolation", _per_output(4)),
}


def flop_counter_mode(found: Trace) -> tuple[Term, ...]:
    """Two operations for each mult-add of the operators that it has a formula for, and nothing for all
    others.

    A complex mult-add counts as a real one.
    """
    parts = dict(found.parts)
    terms = Counter[str]()
    for call in found.calls:
        macs = facts_of(call.op).macs
        if not macs:
            continue
        if getattr(call.op.func, "overloadpacket", call.op.func) not in flop_counter.flop_registry:
            terms[_missed(call, parts[call.module], False)] -= macs
            continue
        terms["two operations for a mult-add"] += macs
        factor = {True: 4, False: 1}[
            any(
                shape.dtype is not None and shape.dtype.is_complex for shape in call.op.args if isinstance(shape, Shape)
            )
        ]
        if factor > 1:
            terms["complex mult-adds counted as real"] -= 2 * (macs - macs // factor)
    return _as_terms(terms)


def _missed(call: OpCall, part: nn.Module, decomposed_attention: bool) -> str:
    """What a reader would call the products of a call that a tool passed over."""
    kind = facts_of(call.op).type
    if kind == "attention" or decomposed_attention:
        return "attention missed"
    if kind == "recurrent" or isinstance(part, nn.RNNBase | nn.RNNCellBase):
        return "recurrent layers missed"
    if isinstance(part, nn.MultiheadAttention):
        return "attention's projections missed"
    if "conv" in kind:
        return "functional convolutions missed"
    if any(number is not None and number < 0 for number in call.inputs):
        return "functional linear layers missed"
    return "matrix products missed"


def _decomposed_attention(found: Trace) -> frozenset[int]:
    """Places of the two products around each softmax that only fused attention runs.

    Without a backend, as on meta, scaled_dot_product_attention is products around a `_safe_softmax`.
    """
    places = set()
    for place, call in enumerate(found.calls):
        if call.op.name == "aten._safe_softmax":
            for step in (-1, 1):
                near = place + step
                while 0 <= near < len(found.calls) and not facts_of(found.calls[near].op).macs:
                    near += step
                places.add(near)
    return frozenset(places)


def _kinds_by_module(found: Trace) -> dict[str, str]:
    """The layer type by which a module without products is known: of its first operator that has one."""
    kinds: dict[str, str] = {}
    for call in found.calls:
        kind = layer_type(call.op)[0] if facts_of(call.op).listed else ""
        if kind in _SCALED:
            kinds.setdefault(call.module, kind)
    return kinds


def _as_terms(terms: Counter[str]) -> tuple[Term, ...]:
    """Largest first, those that are nothing left out."""
    return tuple(
        Term(name, amount)
        for name, amount in sorted(terms.items(), key=lambda item: (-abs(item[1]), item[0]))
        if amount
    )
