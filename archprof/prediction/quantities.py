"""What the time of a pass is made of: a network's counts by kind of operator, for one sample.

Each quantity grows with the time that something takes: mult-adds that a unit works off, elements that are read and
written, calls, weights that are read. A device's time is then a sum of them, each times a rate that is never negative
(`rates`). Standard library only.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import prod

from ..results.profile import LayerCost, StaticProfile

#: Kinds of operators that multiply, and all others, with what people call them.
MULTIPLYING = {
    "convolution": "convolutions",
    "pointwise": "1x1 convolutions",
    "depthwise": "depthwise convolutions",
    "grouped": "grouped convolutions",
    "linear": "linear layers",
    "product": "matrix products",
    "attention": "attention",
}
OTHERS = {
    "batch_norm": "batch norm",
    "layer_norm": "layer norm",
    "activation": "activations",
    "addition": "additions",
    "elementwise": "elementwise operators",
    "softmax": "softmax",
    "pooling": "pooling",
    "copy": "copies",
    "concatenation": "concatenations",
    "other": "other operators",
}
KINDS = MULTIPLYING | OTHERS

#: Kind -> the group whose time is told.
GROUPS = {
    **dict.fromkeys(("convolution", "pointwise", "grouped"), "convolutions"),
    "depthwise": "depthwise convolutions",
    **dict.fromkeys(("linear", "product", "attention", "softmax"), "linear layers and attention"),
    **dict.fromkeys((kind for kind in OTHERS if kind != "softmax"), "operators that multiply nothing"),
}

#: Kinds whose elements are counted in two parts, because their speed differs.
_PARTS = {"activation": ("simple", "exponential"), "layer_norm": ("tokens", "channels")}

#: Sides of the tiles that matrix units work in: (outputs, inputs).
_TILES = ((64, 32), (128, 64))

#: Mult-adds for each element moved below which an operator is bound by memory: between those of the devices there are.
_BALANCE = 150

#: All quantities, in the order of the rates.
QUANTITIES = (
    *(f"macs.{kind}" for kind in MULTIPLYING if kind != "depthwise"),
    *("macs.depthwise_3", "macs.depthwise_5", "macs.depthwise_7"),
    *(f"moved.{kind}" for kind in KINDS if kind not in _PARTS),
    *(f"moved.{kind}_{part}" for kind, parts in _PARTS.items() for part in parts),
    "moved.depthwise_strided",
    *(f"bound.{kind}" for kind in MULTIPLYING),
    *(f"tiles{tile}.{kind}" for tile, _ in _TILES for kind in ("convolution", "pointwise", "linear")),
    *("macs.odd", "macs.within_64", "macs.within_256"),
    *(f"weights.{kind}" for kind in ("convolution", "pointwise", "grouped", "linear")),
    *(f"calls.{kind}" for kind in KINDS),
    "parameters",
)

#: The kind whose time a quantity is; those that belong to several kinds have none.
KIND_OF = {name: next((kind for kind in KINDS if name.partition(".")[2].startswith(kind)), "") for name in QUANTITIES}


def quantities(profile: StaticProfile) -> dict[str, float]:
    """Every quantity of QUANTITIES, for one sample. Elements are those of float32, whatever was counted."""
    found: dict[str, float] = defaultdict(float)
    layers = profile.layers
    fused = _fused_attention(layers)
    within = {place for call in fused.values() for place in call.places}
    for place, layer in enumerate(layers):
        if place in fused:
            call = fused[place]
            _multiplying(found, "attention", layer, call.macs, call.elements)
        elif place not in within:
            kind = _kind(layer)
            # the parameters that a call reads are no part of what grows with the batch
            moved = max(layer.bytes_moved / 4 - layer.parameters, 0.0)
            if kind in MULTIPLYING:
                _multiplying(found, kind, layer, layer.macs or 0, moved)
            else:
                found[f"calls.{kind}"] += 1
                found[f"moved.{kind}{_part(kind, layer)}"] += moved
    for name in found:
        if not name.startswith(("calls.", "weights.")):
            found[name] /= profile.batch_size
    found["parameters"] = profile.parameters
    return {name: found.get(name, 0.0) for name in QUANTITIES}


def kinds_of(found: Mapping[str, float], measure: str) -> dict[str, float]:
    """'macs' or 'moved' of each kind, its parts added up."""
    out = dict.fromkeys(KINDS if measure == "moved" else MULTIPLYING, 0.0)
    for name, value in found.items():
        first, _, rest = name.partition(".")
        kind = KIND_OF.get(name, "")
        if first == measure and kind and rest != "depthwise_strided":
            out[kind] += value
    return out


def _multiplying(found: dict[str, float], kind: str, layer: LayerCost, macs: float, moved: float) -> None:
    kernel = prod(layer.kernel)
    outputs, inputs = _channels(kind, layer)
    if kind == "depthwise":
        found[f"macs.depthwise_{3 if kernel <= 9 else 5 if kernel <= 25 else 7}"] += macs
        found["moved.depthwise_strided"] += moved * (prod(layer.stride) > 1)
    else:
        found[f"macs.{kind}"] += macs
    found[f"calls.{kind}"] += 1
    found[f"moved.{kind}"] += moved
    found[f"bound.{kind}"] += max(macs / _BALANCE, moved)
    if kind in ("convolution", "pointwise", "grouped", "linear"):
        found[f"weights.{kind}"] += layer.weights
    if kind in ("convolution", "pointwise", "linear"):
        deep = inputs * kernel
        for tile, depth in _TILES:
            found[f"tiles{tile}.{kind}"] += macs * _filled(outputs, tile) * _filled(deep, depth)
    found["macs.odd"] += macs * bool(outputs % 8 or inputs % 8)
    if kind in ("convolution", "pointwise", "grouped"):
        positions = prod(layer.output_shape[2:])
        found["macs.within_64"] += macs * (positions <= 64)
        found["macs.within_256"] += macs * (positions <= 256)


def _filled(count: int, tile: int) -> float:
    """By how many times the tiles that hold `count` are larger than it."""
    return math.ceil(count / tile) * tile / count


def _channels(kind: str, layer: LayerCost) -> tuple[int, int]:
    """Output and input channels, or features; of attention the size of a head. 1 where a shape has none."""
    place = 1 if kind in ("convolution", "pointwise", "depthwise", "grouped") else -1
    sizes = []
    for shape in (layer.input_shape if kind == "attention" else layer.output_shape, layer.input_shape):
        sizes.append(max(shape[place], 1) if len(shape) > abs(place) - (place < 0) else 1)
    return sizes[0], sizes[1]


def _kind(layer: LayerCost) -> str:
    called = layer.type
    if called.startswith(("conv ", "transposed conv")):
        return "pointwise" if prod(layer.kernel) == 1 else "convolution"
    for start, kind in (("depthwise", "depthwise"), ("grouped", "grouped")):
        if called.startswith(start):
            return kind
    return _KIND_OF_TYPE.get(called, "other")


_KIND_OF_TYPE = {
    "fully connected": "linear",
    "matrix product": "product",
    "attention": "attention",
    "batch norm": "batch_norm",
    "layer norm": "layer_norm",
    "group norm": "layer_norm",
} | {kind: kind for kind in OTHERS if kind not in ("batch_norm", "layer_norm", "other")}


def _part(kind: str, layer: LayerCost) -> str:
    if kind == "activation":
        return "_simple" if "relu" in layer.op or "hardtanh" in layer.op else "_exponential"
    if kind == "layer_norm":
        return "_channels" if len(layer.output_shape) == 4 else "_tokens"
    return ""


class _Attention:
    """Attention that was counted in parts: their places, mult-adds, and the elements of q, k, v and output."""

    def __init__(self, layers: Sequence[LayerCost], first: int, last: int) -> None:
        scores, values = layers[first], layers[last]
        scaled = [at for at in (first - 1, first - 2) if at >= 0 and layers[at].op == "aten.mul"]
        self.places = {*range(first, last + 1), *scaled}
        self.macs = (scores.macs or 0) + (values.macs or 0)
        queries = scores.input_shape[-2] if len(scores.input_shape) > 1 else 1
        keys_and_values = 2 * (scores.macs or 0) / max(queries, 1)
        self.elements = prod(scores.input_shape) + prod(values.output_shape) + keys_and_values


def _fused_attention(layers: Sequence[LayerCost]) -> dict[int, _Attention]:
    """Where torch's scaled dot-product attention was called, by the place of its first product.

    Without values it arrives as what it is made of, with a softmax of its own (`_safe_softmax`); a device runs it as
    one kernel, which keeps the scores to itself.
    """
    found = {}
    for place, layer in enumerate(layers):
        if layer.op != "aten._safe_softmax":
            continue
        first = next((at for at in range(place - 1, -1, -1) if layers[at].op == "aten.bmm"), None)
        last = next((at for at in range(place + 1, len(layers)) if layers[at].op == "aten.bmm"), None)
        if first is not None and last is not None:
            found[first] = _Attention(layers, first, last)
    return found
