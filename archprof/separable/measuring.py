"""The clock beside the formula: both forms measured in turns, and the machine's own limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ..base.errors import BadOption
from ..measure.device import applied, check_available, environment, inputs, materialise, rearranger, sync_for, witness
from ..measure.sampling import Progress, Workload, measure
from ..measure.steps import forward_step
from ..results.conditions import Conditions, Sampling
from ..results.latency import Latency
from .counting import Pair, layer_modules
from .formula import Convolution, convolution
from .records import LayerComparison, Machine, NetworkComparison, Timing

#: What finds the machine's limits: side of square matrices, batch of a convolution, bytes of an array. Large
#: enough that caches do not hide the memory, small enough to take tens of milliseconds.
_MATRIX = {"cpu": 1024, "cuda": 8192, "mps": 4096}
_BATCH = {"cpu": 1, "cuda": 64, "mps": 16}
_ARRAY_BYTES = {"cpu": 2**27, "cuda": 2**30, "mps": 2**29}

#: The convolution of the limits: 3x3 in the middle of a ResNet, where libraries are at their best.
_LARGE = convolution(256, 256, 3, 56)


Tell = Callable[[Progress], None]
Make = Callable[[], tuple[nn.Module, tuple[int, ...]]]


def measure_layer(
    record: LayerComparison,
    conditions: Conditions = Conditions(),
    sampling: Sampling = Sampling(),
    progress: Tell | None = None,
) -> LayerComparison:
    """The record with the times of the standard layer, both halves, and both halves after one another.

    Also with the machine's limits, which say what the times are bound by.
    """
    _check(conditions)
    machine = measure_machine(conditions, _part(sampling, 1 / 5), progress)
    forms = _forms(record.convolution)
    seen = _in_turns(forms, record.convolution.batch_size, conditions, _part(sampling, 4 / 5), progress)
    return replace(record, timing=Timing(**{name: seen[name] for name in forms}), machine=machine)


def measure_network(
    pair: Pair,
    conditions: Conditions = Conditions(),
    sampling: Sampling = Sampling(),
    progress: Tell | None = None,
) -> NetworkComparison:
    """The record of the pair with both networks' times, each different layer's, and the machine's limits.

    The layers' times are those of the bare convolutions, nothing between the halves; all of them are measured
    in turns. They have half of the time, the networks 3/8, the machine the rest.
    """
    _check(conditions)
    record, batch_size = pair.record, pair.record.before.batch_size
    machine = measure_machine(conditions, _part(sampling, 1 / 8), progress)
    standard, separable = (pair.before, pair.after) if record.to == "separable" else (pair.after, pair.before)
    shape = record.before.input_shape
    seen = _in_turns(
        {"standard": lambda: (standard, shape), "separable": lambda: (separable, shape)},
        batch_size,
        conditions,
        _part(sampling, 3 / 8),
        progress,
        peak=True,
    )
    kinds = list(
        dict.fromkeys(_bare(layer.convolution) for layer in record.layers if _measurable(layer.convolution, batch_size))
    )
    each = _in_turns(
        {
            f"{form} layer {place}": make
            for place, kind in enumerate(kinds)
            for form, make in _forms(kind).items()
            if form in ("standard", "separable")
        },
        batch_size,
        conditions,
        _part(sampling, 4 / 8),
        progress,
    )
    timings = {
        kind: Timing(each[f"standard layer {place}"], each[f"separable layer {place}"])
        for place, kind in enumerate(kinds)
    }
    layers = tuple(replace(layer, timing=timings.get(_bare(layer.convolution))) for layer in record.layers)
    return replace(record, timing=Timing(seen["standard"], seen["separable"]), layers=layers, machine=machine)


def measure_machine(conditions: Conditions, sampling: Sampling, progress: Tell | None = None) -> Machine | None:
    """The machine's two roofs (Williams, Waterman and Patterson 2009), from its fastest blocks.

    FLOP/s: the faster of a large matrix product and a large 3x3 convolution, which libraries compute with
    different code. Bytes/s: a large copy, read and write counted. None where the time was too short for all
    three.
    """
    kind, dtype = conditions.kind, getattr(torch, conditions.dtype)
    side, size, batch = _MATRIX[kind], _ARRAY_BYTES[kind], _BATCH[kind]

    def product() -> Callable[[], object]:
        a, b = (torch.randn(side, side, device=conditions.device).to(dtype) for _ in range(2))
        return lambda: torch.mm(a, b)

    def convolving() -> Callable[[], object]:
        layer = materialise(layer_modules(_LARGE)[0], conditions)
        shape = (_LARGE.in_channels, *_LARGE.input_size)
        return forward_step(layer, inputs(shape, batch, conditions), conditions).__call__

    def copying() -> Callable[[], object]:
        source = torch.ones(size, dtype=torch.uint8, device=conditions.device)
        target = torch.zeros_like(source)
        return lambda: target.copy_(source)

    work = {
        "product": (product, 2 * side**3),
        "convolution": (convolving, 2 * batch * _LARGE.standard.macs),
        "copy": (copying, 2 * size),
    }
    seen = _measured(
        [Workload(name, 1, prepare) for name, (prepare, _) in work.items()], conditions, sampling, progress
    )
    if not all(result.measured for result in seen.values()):
        return None
    best = {name: amount / min(seen[name].seconds) for name, (_, amount) in work.items()}
    return Machine(max(best["product"], best["convolution"]), best["copy"], environment(conditions))


def _forms(conv: Convolution) -> dict[str, Make]:
    """How to make the layer's standard and separable form, and the halves of the latter."""

    def made(*places: int, size: tuple[int, ...], channels: int) -> Make:
        def make() -> tuple[nn.Module, tuple[int, ...]]:
            parts = layer_modules(conv)
            chosen = [parts[place] for place in places]
            return (chosen[0] if len(chosen) == 1 else nn.Sequential(*chosen)), (channels, *size)

        return make

    channels, middle = conv.in_channels, conv.multiplier * conv.in_channels
    return {
        "standard": made(0, size=conv.input_size, channels=channels),
        "separable": made(1, 2, size=conv.input_size, channels=channels),
        "depthwise": made(1, size=conv.input_size, channels=channels),
        "pointwise": made(2, size=conv.output_size, channels=middle),
    }


def _in_turns(
    makes: Mapping[str, Make],
    batch_size: int,
    conditions: Conditions,
    sampling: Sampling,
    progress: Tell | None,
    peak: bool = False,
) -> dict[str, Latency]:
    """Measure several modules, interleaved, each a copy made in its turn; peak memory too where asked for."""

    def workload(name: str, make: Make) -> Workload:
        def prepare() -> Any:
            module, shape = make()
            step = forward_step(
                materialise(module, conditions, keep=True), inputs(shape, batch_size, conditions), conditions
            )
            # a bare function has no memory to look at, which takes far longer than a small layer does
            return step if peak else step.__call__

        return Workload(name, batch_size, prepare)

    return _measured([workload(name, make) for name, make in makes.items()], conditions, sampling, progress)


def _check(conditions: Conditions) -> None:
    """Raise BadOption for conditions that cannot be had, or under which both forms cannot be told apart."""
    check_available(conditions)
    if conditions.mode == "train":
        raise BadOption("both forms of a convolution are measured in forward passes.", "Leave out '--mode train'.")


def _part(sampling: Sampling, share: float) -> Sampling:
    """The same with a share of the time budget."""
    return replace(sampling, time_budget=sampling.time_budget * share)


def _measured(
    workloads: list[Workload], conditions: Conditions, sampling: Sampling, progress: Tell | None
) -> dict[str, Latency]:
    with applied(conditions):
        seen = measure(
            workloads,
            sampling,
            sync=sync_for(conditions),
            reference="standard",
            progress=progress,
            witness=replace(witness(conditions), meter=None),
            rearrange=rearranger(conditions),
        )
    return {name: result for (name, _), result in seen.items()}


def _bare(conv: Convolution) -> Convolution:
    """The same work without the bias, so that layers that differ in it alone are measured once."""
    return replace(conv, bias=False)


def _measurable(conv: Convolution, batch_size: int) -> bool:
    """Whether the layer can be made anew from its record: two-dimensional, its padding known."""
    return len(conv.kernel) == 2 and conv.padding is not None and conv.batch_size == batch_size
