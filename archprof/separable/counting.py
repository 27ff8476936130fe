"""The formula beside what is counted: real modules, run on meta by archprof's own counter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from torch import nn

from ..counting.counts import Subject, profile, profile_of, subject_of, training_activation_bytes
from ..counting.inputs import default_inputs
from ..results.profile import LayerCost, StaticProfile
from .formula import Convolution, Cost
from .merging import standardise
from .records import LayerComparison, NetworkComparison
from .rewriting import Rewritten, separate
from .styles import direction_of


def layer_modules(conv: Convolution, device: str = "meta") -> tuple[nn.Conv2d, nn.Conv2d, nn.Conv2d]:
    """Standard, depthwise and pointwise convolution of that geometry, as real modules."""
    middle = conv.multiplier * conv.in_channels
    shape: dict[str, Any] = {
        "kernel_size": conv.kernel,
        "stride": conv.stride,
        "padding": conv.padding,
        "dilation": conv.dilation,
        "device": device,
    }
    return (
        nn.Conv2d(conv.in_channels, conv.out_channels, bias=conv.bias, **shape),
        nn.Conv2d(conv.in_channels, middle, groups=conv.in_channels, bias=False, **shape),
        nn.Conv2d(middle, conv.out_channels, 1, bias=conv.bias, device=device),
    )


def compare_layer(conv: Convolution) -> LayerComparison:
    """One two-dimensional convolution and its separable form, counted by running both on the meta device."""
    standard, depthwise, pointwise = layer_modules(conv)
    middle = conv.multiplier * conv.in_channels

    def counted(module: nn.Module, channels: int, size: Sequence[int]) -> Cost:
        seen = profile(module, batch_size=conv.batch_size, input_shape=(channels, *size))
        moved = sum(layer.bytes_moved for layer in seen.layers)
        return Cost(seen.parameters, seen.macs, seen.activations, moved)

    return LayerComparison(
        conv,
        counted(standard, conv.in_channels, conv.input_size),
        counted(depthwise, conv.in_channels, conv.input_size),
        counted(pointwise, middle, conv.output_size),
    )


class Pair(NamedTuple):
    """A network, its rewritten form, and the two compared."""

    before: nn.Module
    after: nn.Module
    record: NetworkComparison


def compare_network(model: str | nn.Module, **options: Any) -> NetworkComparison:
    """A network beside its rewritten form, layer by layer; keyword arguments as for `rewritten`."""
    return rewritten(model, **options).record


def rewritten(
    model: str | nn.Module,
    *,
    to: str = "separable",
    style: str = "mobilenet",
    batch_size: int = 1,
    input_shape: tuple[int, ...] | None = None,
) -> Pair:
    """Rewrite a network (a name such as 'resnet50', or a module) and count both forms.

    `to` is 'separable' (dense KxK convolutions become depthwise + pointwise, `style` between them) or
    'standard' (the way back). `input_shape` is (C, H, W). Raises BadOption where there is nothing to rewrite.
    """
    direction_of(to)
    subject = subject_of(model, input_shape)
    module, shape = subject.module, subject.input_shape
    if to == "separable":
        new = separate(module, style=style)
    else:
        new = standardise(module, default_inputs(module, batch_size, shape))
    before = _counted(subject, batch_size)
    after = _counted(Subject(new.module, f"{subject.name}, {to}", subject.source, shape), batch_size)
    sides = (before, after) if to == "separable" else (after, before)
    layers = _layers(new, module, *sides, standard_is_old=to == "separable")
    called = {layer.module for layer in layers}
    return Pair(
        module,
        new.module,
        NetworkComparison(
            to,
            style if to == "separable" else "",
            before,
            after,
            layers,
            new.left_alone,
            tuple(change.standard for change in new.changes if change.standard not in called),
        ),
    )


def _counted(subject: Subject, batch_size: int) -> StaticProfile:
    """Inference counted, and what training keeps in memory beside it."""
    return replace(
        profile_of(subject, batch_size), training_activation_bytes=training_activation_bytes(subject, batch_size)
    )


def _layers(
    new: Rewritten, old: nn.Module, standard: StaticProfile, separable: StaticProfile, standard_is_old: bool
) -> tuple[LayerComparison, ...]:
    """One comparison for each changed layer and each size at which it is called."""
    dense = dict((old if standard_is_old else new.module).named_modules())
    halves = dict((new.module if standard_is_old else old).named_modules())
    standard_side, separable_side = _Side(standard), _Side(separable)
    out: list[LayerComparison] = []
    for change in new.changes:
        seen: dict[tuple[Any, ...], LayerComparison] = {}
        rows = standard_side.convolutions(change.standard)
        for call, row in enumerate(rows):
            key = (row.input_shape, row.output_shape)
            if key in seen:
                seen[key] = replace(seen[key], calls=seen[key].calls + 1)
                continue
            between = sum((separable_side.cost(path, call, len(rows)) for path in change.between), Cost())
            seen[key] = LayerComparison(
                _geometry(dense[change.standard], halves[change.depthwise], row),
                standard_side.cost(change.standard, call, len(rows)),
                separable_side.cost(change.depthwise, call, len(rows)),
                separable_side.cost(change.pointwise, call, len(rows)),
                between,
                change.standard,
            )
        out += seen.values()
    return tuple(out)


class _Side:
    """A profile by module path."""

    def __init__(self, seen: StaticProfile) -> None:
        self.parameters = {part.path: part.parameters for part in seen.modules}
        self.rows: dict[str, list[LayerCost]] = {}
        for row in seen.layers:
            self.rows.setdefault(row.module, []).append(row)

    def convolutions(self, path: str) -> list[LayerCost]:
        """The convolutions that the module made, in order; what it did to pad is left out."""
        return [row for row in self.rows.get(path, []) if "convolution" in row.op]

    def cost(self, path: str, call: int, calls: int) -> Cost:
        """The module's cost at one of its calls."""
        rows = self.convolutions(path) or self.rows.get(path, [])
        each = len(rows) // calls
        own = rows[call * each : (call + 1) * each]
        return Cost(
            self.parameters.get(path, 0),
            sum(row.macs or 0 for row in own),
            sum(row.activations for row in own),
            sum(row.bytes_moved for row in own),
        )


def _geometry(dense: Any, depthwise: Any, row: LayerCost) -> Convolution:
    """The geometry of a convolution as it was called."""
    spatial = len(dense.kernel_size)
    batch = row.input_shape[0] if len(row.input_shape) == spatial + 2 else 1
    return Convolution(
        dense.in_channels,
        dense.out_channels,
        tuple(dense.kernel_size),
        tuple(row.input_shape[-spatial:]),
        tuple(row.output_shape[-spatial:]),
        tuple(dense.stride),
        None if isinstance(dense.padding, str) else tuple(dense.padding),
        tuple(dense.dilation),
        dense.bias is not None,
        depthwise.out_channels // depthwise.in_channels,
        batch,
    )
