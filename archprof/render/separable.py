"""A layer or a network beside its separable form, as tables. Never imports torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import prod

from ..base import units
from ..results.latency import Latency
from ..results.shares import Shares, shares
from ..separable.formula import Convolution, Cost, by
from ..separable.records import LayerComparison, Machine, NetworkComparison, Timing
from .tables.table import UNRELIABLE, Cell, Column, Table


def tables(record: LayerComparison | NetworkComparison | Shares) -> tuple[Table, ...]:
    """Everything there is to show of a record, in the order in which it is read."""
    if isinstance(record, LayerComparison):
        return _formula(record.convolution), _counted(record)
    if isinstance(record, NetworkComparison):
        left = (_left_alone(record),) if record.left_alone else ()
        return _shares(shares(record.before)), _layers(record), _whole(record), *left
    return (_shares(record),)


# --- one layer ----------------------------------------------------------------------------------------------


def _output_size(conv: Convolution) -> str:
    """floor((n + 2p - k)/s) + 1 with the numbers filled in, once for each different extent."""
    assert conv.padding is not None
    lines = []
    for n, p, k, d, s, out in zip(
        conv.input_size, conv.padding, conv.kernel, conv.dilation, conv.stride, conv.output_size, strict=True
    ):
        reach = f"{k}" if d == 1 else f"({d}·({k} - 1) + 1)"
        line = f"floor(({n} + 2·{p} - {reach})/{s}) + 1 = {out}"
        if line not in lines:
            lines.append(line)
    return f"output size: {'; '.join(lines)}"


def _formula(conv: Convolution) -> Table:
    """Symbols, numbers and result of every term."""
    kernel = ("Dk·Dk" if len(set(conv.kernel)) == 1 else "Kh·Kw", "·".join(map(str, conv.kernel)))
    places = ("Df·Df" if len(set(conv.output_size)) == 1 else "Fh·Fw", "·".join(map(str, conv.output_size)))
    batch = ("·B", f"·{conv.batch_size}") if conv.batch_size > 1 else ("", "")
    multiplier = [("m", str(conv.multiplier))] if conv.multiplier > 1 else []
    channels, filters = ("M", str(conv.in_channels)), ("N", str(conv.out_channels))

    def line(name: str, factors: Sequence[tuple[str, str]], cost: Cost, bias: bool) -> Iterator[tuple[str, ...]]:
        symbols, numbers = ("·".join(side) for side in zip(*factors, strict=True))
        extra = (" + N", f" + {conv.out_channels}") if bias else ("", "")
        yield name, "Params", symbols + extra[0], numbers + extra[1], f"{cost.parameters:,}"
        yield (
            "",
            "Mult-Adds",
            f"{symbols}·{places[0]}{batch[0]}",
            f"{numbers}·{places[1]}{batch[1]}",
            f"{cost.macs:,}",
        )

    rows = [
        *line("standard", [kernel, channels, filters], conv.standard, conv.bias),
        *line("depthwise", [kernel, channels, *multiplier], conv.depthwise, False),
        *line("pointwise", [channels, *multiplier, filters], conv.pointwise, conv.bias),
        ("separable", "Params", "depthwise + pointwise", "", f"{conv.separable.parameters:,}"),
        ("", "Mult-Adds", "depthwise + pointwise", "", f"{conv.separable.macs:,}"),
    ]
    notes = [f"mult-adds, separable over standard: {ratio_line(conv)}"]
    if conv.padding is not None:
        notes.insert(0, _output_size(conv))
    return _table(
        f"{by(conv.kernel)} convolution, {conv.in_channels} to {conv.out_channels} channels, "
        f"{by(conv.input_size)} to {by(conv.output_size)}, batch {conv.batch_size}",
        ("", "Quantity", "Formula", "With the numbers", "Result"),
        rows,
        notes,
        left=4,
    )


def ratio_line(conv: Convolution) -> str:
    """'1/N + 1/Dk² = 1/16 + 1/9 = 0.1736'."""
    area = prod(conv.kernel)
    symbol = "1/Dk²" if len(set(conv.kernel)) == 1 else "1/(Kh·Kw)"
    symbols, numbers = f"1/N + {symbol}", f"1/{conv.out_channels} + 1/{area}"
    if conv.multiplier > 1:
        symbols, numbers = f"m·({symbols})", f"{conv.multiplier}·({numbers})"
    return f"{symbols} = {numbers} = {float(conv.ratio):.4f}"


def _counted(record: LayerComparison) -> Table:
    timing = record.timing
    rows = []
    for name in ("standard", "depthwise", "pointwise", "separable"):
        cost: Cost = getattr(record, name)
        row = [
            name,
            f"{cost.parameters:,}",
            f"{cost.macs:,}",
            f"{cost.activations:,}",
            units.size(cost.bytes_moved),
            _intensity(cost),
        ]
        rows.append((*row, *([_time(getattr(timing, name))] if timing else [])))
    standard, separable = record.standard, record.separable
    ratio = [
        "separable / standard",
        f"{float(record.parameter_ratio):.4f}",
        f"{float(record.ratio):.4f}",
        f"{separable.activations / standard.activations:.4f}",
        f"{separable.bytes_moved / standard.bytes_moved:.4f}",
        "",
    ]
    rows.append((*ratio, *([_ratio(timing)] if timing else [])))
    header = ("", "Params", "Mult-Adds", "Activations", "Moved", "FLOP/B", *(["Time (ms)"] if timing else []))
    return _table("Counted by running real modules", header, rows, list(_layer_notes(record)))


def _layer_notes(record: LayerComparison) -> Iterator[str]:
    if record.agrees:
        yield "formula and count agree to the last unit"
    else:
        yield "formula and count DISAGREE: trust neither before the cause is known"
    if record.convolution.bias:
        yield (
            f"the bias adds N = {record.convolution.out_channels} parameters to the standard layer and as "
            "many to the pointwise one; with it the ratio of parameters is "
            f"{float(record.parameter_ratio):.4f}"
        )
    yield (
        "Moved: input, parameters and output, each read or written once; FLOP/B: FLOPs, two a mult-add, "
        "over bytes moved"
    )
    if record.timing is not None:
        yield from _doubts(record.timing)
        if record.machine and record.timing.standard.reliable and record.timing.separable.reliable:
            yield from shortfall(record, record.machine)


def _doubts(timing: Timing) -> Iterator[str]:
    for name in ("standard", "separable", "depthwise", "pointwise"):
        latency: Latency | None = getattr(timing, name)
        if latency is not None and not latency.reliable:
            yield f"{UNRELIABLE} the time of {name} cannot be relied on: {latency.error or latency.why}"


def shortfall(layer: LayerComparison, machine: Machine) -> Iterator[str]:
    """Why the measured ratio falls short of the formula's, sentence by sentence."""
    timing = layer.timing
    assert timing is not None and timing.ratio is not None
    promise = float(layer.ratio)
    yield (
        f"the formula promises {promise:.3f} of the time, measured is {_ratio(timing)}: "
        f"{timing.ratio / promise:.1f} times the promise"
    )
    halves = timing.depthwise, timing.pointwise
    if all(half is not None and half.measured for half in halves):
        times = [half.p50_s for half in halves if half is not None]
        work, time = layer.depthwise.macs / layer.separable.macs, times[0] / sum(times)
        yield (
            f"the depthwise half does {units.percent(work, 1)} of the separable mult-adds and takes "
            f"{units.percent(time, 1)} of the halves' time"
        )
    yield (
        f"at best, as measured, this machine does {units.count(machine.flops_per_s)}FLOP/s and moves "
        f"{units.size(machine.bytes_per_s)}/s: {machine.balance:.1f} FLOP while one byte moves"
    )
    offers = {
        name: cost.arithmetic_intensity or 0.0
        for name, cost in (
            ("depthwise half", layer.depthwise),
            ("pointwise half", layer.pointwise),
            ("standard layer", layer.standard),
        )
    }
    waiting = offers["depthwise half"] < machine.balance
    waits = "less than that: memory, not arithmetic, is" if waiting else "more than that: memory is not"
    yield (
        "FLOP per byte: "
        + ", ".join(f"{name} {offer:.1f}" for name, offer in offers.items())
        + f"; the depthwise half offers {waits} what bounds it"
    )
    if timing.depthwise is not None and timing.depthwise.measured:
        flops = layer.depthwise.flops / timing.depthwise.p50_s
        moved = layer.depthwise.bytes_moved / timing.depthwise.p50_s
        shares_of_best = (units.percent(flops / machine.flops_per_s, 0), units.percent(moved / machine.bytes_per_s, 0))
        yield (
            f"in its time the depthwise half does {units.count(flops)}FLOP/s ({shares_of_best[0]} of the "
            f"best) and moves {units.size(moved)}/s ({shares_of_best[1]} of the best; small layers stay "
            "in the caches)"
        )


# --- a network ----------------------------------------------------------------------------------------------


def _network_heading(record: NetworkComparison) -> str:
    if record.to == "standard":
        how = "depthwise separable pairs merged into standard convolutions"
    else:
        between = {
            "mobilenet": "batch norm and ReLU between",
            "xception": "batch norm between",
            "plain": "nothing between",
        }
        how = f"dense KxK convolutions as depthwise + pointwise ({record.style}: {between[record.style]})"
    size = by(record.before.input_shape)
    return f"{record.name}, {how}; {size}, batch {record.before.batch_size}"


def _layers(record: NetworkComparison) -> Table:
    timed = any(layer.timing is not None for layer in record.layers)
    rows = []
    for layer in record.layers:
        conv, old, new = layer.convolution, layer.standard, layer.separable
        called = f" ({layer.calls} calls)" if layer.calls > 1 else ""
        row = [
            layer.module or "(the network)",
            f"{by(conv.kernel)} {conv.in_channels}-{conv.out_channels}, {by(conv.output_size)}{called}",
            _to(old.parameters, new.parameters),
            _to(old.macs, new.macs),
            _to(old.activations, new.activations),
            f"{float(layer.ratio):.4f}",
            f"{float(conv.ratio):.4f}",
        ]
        rows.append((*row, *([_ratio(layer.timing)] if timed else [])))
    header = (
        "Layer",
        "Convolution",
        "Params",
        "Mult-Adds",
        "Activations",
        "Ratio",
        "Formula",
        *(["Time ratio"] if timed else []),
    )
    same = sum(layer.ratio == layer.convolution.ratio for layer in record.layers)
    notes = [
        "arrows run from the standard layer to what stands for it in the separable form, for one call",
        f"the counted ratio is the formula's, to the last unit, in {same} of {len(record.layers)} rows",
    ]
    if timed:
        notes.append(
            "Time ratio: the two bare convolutions after one another over the standard one, 95 % "
            f"interval; {UNRELIABLE} could not be relied on"
        )
    return _table(_network_heading(record), header, rows, notes, left=2)


def _whole(record: NetworkComparison) -> Table:
    old, new = record.standard, record.separable
    lines: list[tuple[str, int | None, int | None, Callable[..., str]]] = [
        ("Params", old.parameters, new.parameters, units.count),
        ("Mult-Adds", old.macs, new.macs, units.count),
        ("Activations", old.activations, new.activations, units.count),
        ("Parameter memory", old.parameter_bytes, new.parameter_bytes, units.size),
        ("Peak activation memory, inference", old.peak_activation_bytes, new.peak_activation_bytes, units.size),
        ("Activation memory, training", old.training_activation_bytes, new.training_activation_bytes, units.size),
    ]
    rows = [
        (name, show(a, 4), show(b, 4), f"{b / a:.4f}" if a else units.DASH)
        for name, a, b, show in lines
        if a is not None and b is not None
    ]
    promised = units.count(record.promised_macs, 4)
    rows.insert(
        2,
        (
            "Mult-Adds by the formula",
            units.count(old.macs, 4),
            promised,
            f"{record.promised_macs / old.macs:.4f}" if old.macs else units.DASH,
        ),
    )
    if record.timing:
        rows.append(("Time (ms)", _time(record.timing.standard), _time(record.timing.separable), _ratio(record.timing)))
    return _table("Whole network", ("", "Standard", "Separable", "Separable / standard"), rows, list(summary(record)))


def summary(record: NetworkComparison) -> Iterator[str]:
    """What was gained and what was not, in plain numbers."""
    old, new = record.before, record.after
    rewritten = len({layer.module for layer in record.layers})
    yield f"{_plural(rewritten, 'layer')} rewritten, {len(record.left_alone)} left alone"
    if record.uncalled:
        yield f"rewritten too, but not run in inference: {', '.join(record.uncalled)}"
    yield "rewriting takes " + ", ".join(
        (
            f"parameters from {_changed(old.parameters, new.parameters, units.count)}",
            f"mult-adds from {_changed(old.macs, new.macs, units.count)}",
            f"activations from {_changed(old.activations, new.activations, units.count)}",
            "the peak of activation memory from "
            + _changed(old.peak_activation_bytes, new.peak_activation_bytes, units.size),
        )
    )
    timing = record.timing
    if timing is not None:
        yield from _doubts(timing)
        if timing.standard.reliable and timing.separable.reliable:
            before, after = (
                (timing.standard, timing.separable) if record.to == "separable" else (timing.separable, timing.standard)
            )
            assert timing.ratio is not None
            times = timing.ratio if record.to == "separable" else 1 / timing.ratio
            yield (
                f"one forward pass goes from {units.milliseconds(before.p50_s)} to "
                f"{units.milliseconds(after.p50_s)} ms (x{times:.3f}); by its mult-adds alone it would be "
                f"x{new.macs / old.macs:.3f}"
            )
    if record.machine is not None:
        waiting = sum((layer.depthwise.arithmetic_intensity or 0) < record.machine.balance for layer in record.layers)
        yield (
            f"this machine does {record.machine.balance:.1f} FLOP while one byte moves: {waiting} of "
            f"{len(record.layers)} depthwise halves offer less: memory, not arithmetic, bounds them"
        )
    if record.to == "separable":
        yield "the new weights are untrained: what rewriting costs in accuracy only training can tell"


def _left_alone(record: NetworkComparison) -> Table:
    times = Counter((item.type, item.reason) for item in record.left_alone)
    first = {(item.type, item.reason): item.module or "(the network)" for item in reversed(record.left_alone)}
    rows = [(kind, reason, str(count), first[kind, reason]) for (kind, reason), count in times.items()]
    return _table("Left alone", ("Convolution", "Why", "Layers", "First"), rows, [], left=2)


# --- shares -------------------------------------------------------------------------------------------------


def _shares(record: Shares) -> Table:
    rows = [
        (
            share.kind,
            units.count(share.macs, 4),
            units.percent(share.macs_fraction),
            units.count(share.weights, 4),
            units.percent(share.weights_fraction),
        )
        for share in record.kinds
    ]
    notes = ["weights leave biases and normalisation out"]
    if record.ratio is not None:
        notes.append(saving(record))
    return _table(
        f"{record.name}: where its mult-adds are", ("Layers", "Mult-Adds", "of all", "Weights", "of all"), rows, notes
    )


def saving(record: Shares) -> str:
    """What rewriting would leave, as one sentence."""
    return (
        "every dense KxK convolution made depthwise separable would leave "
        f"{units.count(record.separable_macs)} of {units.count(record.macs)} mult-adds and "
        f"{units.count(record.separable_parameters)} of {units.count(record.parameters)} parameters, by "
        "the formula"
    )


# --- cells --------------------------------------------------------------------------------------------------


def _table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str], left: int = 1
) -> Table:
    """A table of finished text whose first `left` columns are words."""
    columns = tuple(Column(name, name, "text" if place < left else "number") for place, name in enumerate(header))
    return Table(title, columns, tuple(tuple(Cell(cell, text=cell) for cell in row) for row in rows), tuple(notes))


def _to(old: int, new: int) -> str:
    return f"{units.count(old)} → {units.count(new)}"


def _changed(old: float, new: float, show: Callable[[float], str]) -> str:
    return f"{show(old)} to {show(new)}" + (f" (x{new / old:.3f})" if old else "")


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _intensity(cost: Cost) -> str:
    return units.DASH if cost.arithmetic_intensity is None else f"{cost.arithmetic_intensity:.2f}"


def _time(latency: Latency | None) -> str:
    if latency is None or not latency.measured:
        return units.DASH
    low, high = (units.milliseconds(end) for end in latency.ci95_s)
    return f"{units.milliseconds(latency.p50_s)} [{low}, {high}]{'' if latency.reliable else UNRELIABLE}"


def _ratio(timing: Timing | None) -> str:
    if timing is None or timing.ratio is None or timing.ratio_ci95 is None:
        return units.DASH
    low, high = timing.ratio_ci95
    sure = timing.standard.reliable and timing.separable.reliable
    return f"{timing.ratio:.3f} [{low:.3f}, {high:.3f}]{'' if sure else UNRELIABLE}"
