"""Where a network's mult-adds, weights and time are by kind of layer, and what depthwise separable layers would leave.

Standard library only; everything follows from a profile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod

from .per_layer import time_shares
from .profile import Shape, StaticProfile


@dataclass(frozen=True)
class Share:
    """Part of a network in layers of one kind; fractions are of all mult-adds and of all weights."""

    kind: str
    macs: int
    weights: int
    macs_fraction: float
    weights_fraction: float


@dataclass(frozen=True)
class Shares:
    """Where a network's mult-adds are, and what rewriting its dense KxK convolutions would leave.

    `separable_macs` and `separable_parameters` are of the whole network by the formula (style 'plain':
    nothing between the halves, biases kept).
    """

    name: str
    macs: int
    parameters: int
    kinds: tuple[Share, ...]
    separable_macs: int
    separable_parameters: int

    def fraction(self, kind: str) -> float:
        """Share of mult-adds in layers of that kind; 0.0 where there are none."""
        return next((share.macs_fraction for share in self.kinds if share.kind == kind), 0.0)

    @property
    def ratio(self) -> float | None:
        """Mult-adds after rewriting over those before; None for a network that has none."""
        return self.separable_macs / self.macs if self.macs else None


#: Kinds of layer in the order in which they are shown, with the layer types that belong to each.
KINDS = (
    ("1x1", re.compile(r"conv 1(x1)*")),
    ("depthwise", re.compile(r"depthwise conv .*")),
    ("dense KxK", re.compile(r"conv (?!1(x1)*$).*")),
    ("fully connected", re.compile(r"fully connected")),
    ("other", re.compile(r".*")),
)


def kind_of(layer_type: str) -> str:
    """'conv 3x3' -> 'dense KxK'; what is none of the four named kinds is 'other'."""
    return next(kind for kind, pattern in KINDS if pattern.fullmatch(layer_type))


def shares(profile: StaticProfile) -> Shares:
    """Share of mult-adds and weights by kind of layer, and what rewriting would leave.

    Everything follows from the profile; nothing is built or run, so that layers which do not run in inference
    (auxiliary heads) stay as they are in `separable_parameters`. Weights leave biases and normalisation out,
    as table 2 of Howard et al. 2017 does.
    """
    macs = dict.fromkeys((kind for kind, _ in KINDS), 0)
    weights = dict(macs)
    for row in profile.by_type:
        kind = kind_of(row.type)
        macs[kind] += row.macs
        weights[kind] += row.weights
    all_macs, all_weights = sum(macs.values()), sum(weights.values())
    kinds = tuple(
        Share(
            kind,
            macs[kind],
            weights[kind],
            macs[kind] / all_macs if all_macs else 0.0,
            weights[kind] / all_weights if all_weights else 0.0,
        )
        for kind, _ in KINDS
        if kind != "other" or macs[kind] or weights[kind]
    )
    saved_macs = saved_parameters = 0
    for layer in profile.layers:
        if layer.macs and kind_of(layer.type) == "dense KxK":
            inputs, outputs = _channels(layer.input_shape, layer.kernel), _channels(layer.output_shape, layer.kernel)
            if not saves(prod(layer.kernel), outputs):
                continue
            weight = prod(layer.kernel) * inputs * outputs
            separable = prod(layer.kernel) * inputs + inputs * outputs
            saved_macs += layer.macs - layer.macs // weight * separable
            if layer.weights:  # the first call of this weight: later ones bring no parameters
                saved_parameters += weight - separable
    return Shares(
        profile.name,
        profile.macs,
        profile.parameters,
        kinds,
        profile.macs - saved_macs,
        profile.parameters - saved_parameters,
    )


def _channels(shape: Shape, kernel: Shape) -> int:
    """Channels of an activation, batched or not: the dimension before the spatial ones."""
    return shape[-len(kernel) - 1]


def saves(positions: int, out_channels: int) -> bool:
    """Whether 1/N + 1/K < 1 for K kernel positions: with a single output channel, for one, it is not."""
    return positions + out_channels < positions * out_channels


def time_by_kind(profile: StaticProfile) -> dict[str, float]:
    """Share of each kind of layer in the time of a pass; empty where no layer was timed."""
    out: dict[str, float] = {}
    for layer_type, part in time_shares(profile).items():
        out[kind_of(layer_type)] = out.get(kind_of(layer_type), 0.0) + part
    return out
