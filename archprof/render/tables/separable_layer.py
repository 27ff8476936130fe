"""A convolution beside its separable form: the formula with its numbers, and what was counted and measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import prod
from typing import Any

from ...base import units
from ...results.latency import Latency
from ...separable.formula import Convolution, Cost, by
from ...separable.records import LayerComparison, Machine, Timing
from .table import UNRELIABLE, Cell, Column, Table


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


def formula(conv: Convolution) -> Table:
    """Symbols, numbers and result of every term."""
    kernel = ("Dk·Dk" if len(set(conv.kernel)) == 1 else "Kh·Kw", "·".join(map(str, conv.kernel)))
    places = ("Df·Df" if len(set(conv.output_size)) == 1 else "Fh·Fw", "·".join(map(str, conv.output_size)))
    batch = ("·B", f"·{conv.batch_size}") if conv.batch_size > 1 else ("", "")
    multiplier = [("m", str(conv.multiplier))] if conv.multiplier > 1 else []
    channels, filters = ("M", str(conv.in_channels)), ("N", str(conv.out_channels))

    def lines(name: str, factors: Sequence[tuple[str, str]], cost: Cost, bias: bool) -> Iterator[tuple[Any, ...]]:
        symbols, numbers = ("·".join(side) for side in zip(*factors, strict=True))
        extra = (" + N", f" + {conv.out_channels}") if bias else ("", "")
        yield name, "Params", symbols + extra[0], numbers + extra[1], cost.parameters
        yield "", "Mult-Adds", f"{symbols}·{places[0]}{batch[0]}", f"{numbers}·{places[1]}{batch[1]}", cost.macs

    rows = [
        *lines("standard", [kernel, channels, filters], conv.standard, conv.bias),
        *lines("depthwise", [kernel, channels, *multiplier], conv.depthwise, False),
        *lines("pointwise", [channels, *multiplier, filters], conv.pointwise, conv.bias),
        ("separable", "Params", "depthwise + pointwise", "", conv.separable.parameters),
        ("", "Mult-Adds", "depthwise + pointwise", "", conv.separable.macs),
    ]
    notes = [f"mult-adds, separable over standard: {ratio_line(conv)}"]
    if conv.padding is not None:
        notes.insert(0, _output_size(conv))
    return Table(
        f"{by(conv.kernel)} convolution, {conv.in_channels} to {conv.out_channels} channels, "
        f"{by(conv.input_size)} to {by(conv.output_size)}, batch {conv.batch_size}",
        (
            Column("part", ""),
            Column("quantity", "Quantity"),
            Column("formula", "Formula"),
            Column("numbers", "With the numbers"),
            Column("result", "Result", "exact", "less"),
        ),
        tuple(tuple(map(Cell, row)) for row in rows),
        tuple(notes),
    )


def ratio_line(conv: Convolution) -> str:
    """'1/N + 1/Dk² = 1/16 + 1/9 = 0.1736'."""
    area = prod(conv.kernel)
    symbol = "1/Dk²" if len(set(conv.kernel)) == 1 else "1/(Kh·Kw)"
    symbols, numbers = f"1/N + {symbol}", f"1/{conv.out_channels} + 1/{area}"
    if conv.multiplier > 1:
        symbols, numbers = f"m·({symbols})", f"{conv.multiplier}·({numbers})"
    return f"{symbols} = {numbers} = {float(conv.ratio):.4f}"


def counted(record: LayerComparison) -> Table:
    """What each part was counted to cost, with its time where it was measured, and the ratios below."""
    timing, standard, separable = record.timing, record.standard, record.separable
    rows = []
    for name in ("standard", "depthwise", "pointwise", "separable"):
        cost: Cost = getattr(record, name)
        values = (cost.parameters, cost.macs, cost.activations, cost.bytes_moved, cost.arithmetic_intensity)
        time = (time_cell(getattr(timing, name)),) if timing else ()
        rows.append((Cell(name), *map(Cell, values), *time))
    ratios = (
        record.parameter_ratio,
        record.ratio,
        separable.activations / standard.activations,
        separable.bytes_moved / standard.bytes_moved,
    )
    intensities = separable.arithmetic_intensity, standard.arithmetic_intensity
    intensity = fraction_cell(intensities[0] / intensities[1]) if intensities[0] and intensities[1] else Cell()
    time = (ratio_cell(timing),) if timing else ()
    rows.append((Cell("separable / standard"), *(fraction_cell(value) for value in ratios), intensity, *time))
    columns = (
        Column("part", ""),
        Column("parameters", "Params", "exact", "less"),
        Column("macs", "Mult-Adds", "exact", "less"),
        Column("activations", "Activations", "exact", "less"),
        Column("bytes_moved", "Moved", "bytes", "less"),
        Column("arithmetic_intensity", "FLOP/B", "intensity", "more"),
        *((Column("p50_s", "Time (ms)", "seconds", "less"),) if timing else ()),
    )
    return Table("Counted by running real modules", columns, tuple(rows), tuple(_notes(record)))


def _notes(record: LayerComparison) -> Iterator[str]:
    if record.agrees:
        yield "formula and count agree to the last unit"
    else:
        yield "formula and count DISAGREE: neither is reliable until the cause is known"
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
        yield from doubts(record.timing)
        if record.machine and record.timing.standard.reliable and record.timing.separable.reliable:
            yield from shortfall(record, record.machine)


def doubts(timing: Timing) -> Iterator[str]:
    """Which of the times are not reliable, and why."""
    for name in ("standard", "separable", "depthwise", "pointwise"):
        latency: Latency | None = getattr(timing, name)
        if latency is not None and not latency.reliable:
            yield f"{UNRELIABLE} the time of {name} is not reliable: {latency.error or latency.why}"


def shortfall(layer: LayerComparison, machine: Machine) -> Iterator[str]:
    """Why the measured ratio falls short of the formula's, sentence by sentence."""
    timing = layer.timing
    assert timing is not None and timing.ratio is not None
    predicted = float(layer.ratio)
    yield (
        f"the formula predicts {predicted:.3f} of the time, measured is {_ratio_words(timing)}: "
        f"{timing.ratio / predicted:.1f} times the prediction"
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


# --- cells that the tables of a network have too ------------------------------------------------------------


def fraction_cell(value: Fraction | float) -> Cell:
    """A ratio to four decimals."""
    return Cell(float(value), text=f"{float(value):.4f}")


def time_cell(latency: Latency | None) -> Cell:
    """The median in ms with its 95 % interval."""
    if latency is None or not latency.measured:
        return Cell()
    low, high = (units.milliseconds(end) for end in latency.ci95_s)
    text = f"{units.milliseconds(latency.p50_s)} [{low}, {high}]"
    return Cell(latency.p50_s, "" if latency.reliable else UNRELIABLE, text)


def ratio_cell(timing: Timing | None) -> Cell:
    """Time of the separable form over the standard one's, with its 95 % interval."""
    if timing is None or timing.ratio is None:
        return Cell()
    sure = timing.standard.reliable and timing.separable.reliable
    return Cell(timing.ratio, "" if sure else UNRELIABLE, _ratio_words(timing))


def _ratio_words(timing: Timing) -> str:
    assert timing.ratio is not None and timing.ratio_ci95 is not None
    low, high = timing.ratio_ci95
    return f"{timing.ratio:.3f} [{low:.3f}, {high:.3f}]"
