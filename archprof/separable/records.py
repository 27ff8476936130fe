"""Frozen records: a layer and a network beside their separable forms. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ..results.latency import Latency
from ..results.profile import StaticProfile
from ..results.quotients import ratio_of
from ..results.saved import as_json
from .formula import Convolution, Cost

NOTHING = Cost()

#: Of each side of a NetworkComparison, what its JSON has of the profile.
SIDE = (
    "name",
    "source",
    "input_shape",
    "batch_size",
    "parameters",
    "trainable_parameters",
    "buffers",
    "macs",
    "activations",
    "parameter_bytes",
    "buffer_bytes",
    "peak_activation_bytes",
    "training_activation_bytes",
)


@dataclass(frozen=True)
class Timing:
    """Latencies of the same work in both forms; the halves apart where they were measured too."""

    standard: Latency
    separable: Latency
    depthwise: Latency | None = None
    pointwise: Latency | None = None

    @property
    def ratio(self) -> float | None:
        """Time of the separable form over the standard one's; None where either was not measured."""
        if not (self.standard.measured and self.separable.measured):
            return None
        return ratio_of(self.separable, self.standard)[0]

    @property
    def ratio_ci95(self) -> tuple[float, float] | None:
        """95 % interval of `ratio` (see `timing.ratio_of`)."""
        if self.ratio is None:
            return None
        return ratio_of(self.separable, self.standard)[1]


@dataclass(frozen=True)
class Machine:
    """What the machine can do at best, as measured in large matrix products, convolutions and copies."""

    flops_per_s: float
    bytes_per_s: float
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def balance(self) -> float:
        """FLOPs that it can do while one byte moves: layers of less intensity wait for memory."""
        return self.flops_per_s / self.bytes_per_s


@dataclass(frozen=True)
class LayerComparison:
    """One convolution beside its separable form, every Cost counted by running real modules.

    `between` is what a style puts between the halves. Counts are for one call; `calls` says how often the
    network calls the layer in one pass. Where a network was rewritten towards standard convolutions, the
    separable costs are those of the pair that was merged.
    """

    convolution: Convolution
    standard: Cost
    depthwise: Cost
    pointwise: Cost
    between: Cost = NOTHING
    module: str = ""
    calls: int = 1
    timing: Timing | None = None
    machine: Machine | None = None

    @property
    def separable(self) -> Cost:
        """Everything that stands in the place of the standard layer."""
        return self.depthwise + self.between + self.pointwise

    @property
    def ratio(self) -> Fraction:
        """Counted mult-adds, separable over standard."""
        return Fraction(self.separable.macs, self.standard.macs)

    @property
    def parameter_ratio(self) -> Fraction:
        """Counted parameters, separable over standard, biases and normalisation included."""
        return Fraction(self.separable.parameters, self.standard.parameters)

    @property
    def agrees(self) -> bool:
        """Whether counting and the formula give the same parameters, mult-adds and activations."""
        pairs = (
            (self.standard, self.convolution.standard),
            (self.depthwise, self.convolution.depthwise),
            (self.pointwise, self.convolution.pointwise),
        )
        return all((a.parameters, a.macs, a.activations) == (b.parameters, b.macs, b.activations) for a, b in pairs)


@dataclass(frozen=True)
class LeftAlone:
    """A convolution that was not rewritten, and why."""

    module: str
    type: str
    reason: str


@dataclass(frozen=True)
class NetworkComparison:
    """A network beside its rewritten form.

    `to` is 'separable' or 'standard' and says which way; `before` and `after` follow it. `layers` always have
    the standard and the separable form in their own places. `uncalled` are layers that were rewritten too but
    do not run in inference (auxiliary heads): their parameters count, their mult-adds do not.
    """

    to: str
    style: str
    before: StaticProfile
    after: StaticProfile
    layers: tuple[LayerComparison, ...]
    left_alone: tuple[LeftAlone, ...] = ()
    uncalled: tuple[str, ...] = ()
    timing: Timing | None = None
    machine: Machine | None = None

    @property
    def name(self) -> str:
        """The network's name, as it was asked for."""
        return self.before.name

    @property
    def standard(self) -> StaticProfile:
        """The side that has the standard convolutions."""
        return self.before if self.to == "separable" else self.after

    @property
    def separable(self) -> StaticProfile:
        """The side that has the depthwise separable ones."""
        return self.after if self.to == "separable" else self.before

    @property
    def promised_macs(self) -> int:
        """Mult-adds of the separable side by the formula: what the ratios leave of the standard side."""
        saved = sum(
            layer.calls * (layer.convolution.standard.macs - layer.convolution.separable.macs) for layer in self.layers
        )
        return self.standard.macs - saved


def to_json(record: LayerComparison | NetworkComparison, indent: int | None = 2) -> str:
    """The record as JSON: counts exact, ratios derived beside what they derive from."""
    plain = _layer(record) if isinstance(record, LayerComparison) else _network(record)
    return json.dumps(plain, indent=indent, allow_nan=False)


def _network(record: NetworkComparison) -> dict[str, Any]:
    sides = {
        side: {key: value for key, value in as_json(getattr(record, side)).items() if key in SIDE}
        for side in ("before", "after")
    }
    return {
        "name": record.name,
        "to": record.to,
        "style": record.style,
        **sides,
        "promised_macs": record.promised_macs,
        "layers": [_layer(layer) for layer in record.layers],
        "left_alone": [as_json(item) for item in record.left_alone],
        "uncalled": list(record.uncalled),
        "timing": _timing(record.timing),
        "machine": _machine(record.machine),
    }


def _layer(record: LayerComparison) -> dict[str, Any]:
    conv = record.convolution
    return {
        "module": record.module,
        "calls": record.calls,
        "convolution": as_json(conv),
        "formula": {"ratio": float(conv.ratio), "asymptote": float(conv.asymptote)}
        | {part: as_json(getattr(conv, part)) for part in ("standard", "depthwise", "pointwise")},
        "counted": {
            "ratio": float(record.ratio),
            "parameter_ratio": float(record.parameter_ratio),
            "agrees": record.agrees,
        }
        | {part: as_json(getattr(record, part)) for part in ("standard", "depthwise", "between", "pointwise")},
        "timing": _timing(record.timing),
        "machine": _machine(record.machine),
    }


def _machine(machine: Machine | None) -> dict[str, Any] | None:
    if machine is None:
        return None
    return {
        "flops_per_s": machine.flops_per_s,
        "bytes_per_s": machine.bytes_per_s,
        "balance": machine.balance,
        "environment": dict(machine.environment),
    }


def _timing(timing: Timing | None) -> dict[str, Any] | None:
    if timing is None:
        return None
    parts = {part: getattr(timing, part) for part in ("standard", "separable", "depthwise", "pointwise")}
    interval = timing.ratio_ci95
    return {"ratio": timing.ratio, "ratio_ci95": list(interval) if interval else None} | {
        part: latency.to_json() for part, latency in parts.items() if latency is not None
    }
