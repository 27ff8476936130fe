"""A layer or a network beside its separable form, for a terminal and in Markdown. Never imports torch.

Both are written from one sheet: a heading, then sentences and tables in the order in which they are read.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from .. import units
from ..separable.formula import Convolution, Cost, by
from ..separable.records import LayerComparison, Machine, NetworkComparison, Shares, Timing
from ..timing import Latency


@dataclass(frozen=True)
class Grid:
    """A small table: text cells, the first `left` columns set to the left, a rule above the last `totals` rows."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    totals: int = 0


@dataclass(frozen=True)
class Sheet:
    """What is shown: a heading, then sentences (str) and tables."""

    heading: str
    parts: tuple[str | Grid, ...]


def terminal(record: LayerComparison | NetworkComparison | Shares, width: int = 120) -> str:
    """The record as text for a terminal of that width."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = sheet(record)
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False, color_system=None)
    console.print(Text(shown.heading))
    for part in shown.parts:
        console.print()
        if isinstance(part, str):
            console.print(Text(part))
            continue
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for place, name in enumerate(part.header):
            table.add_column(name, justify="left" if place < part.left else "right", overflow="fold")
        for place, row in enumerate(part.rows):
            table.add_row(*map(Text, row), end_section=place == len(part.rows) - part.totals - 1)
        console.print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def markdown(record: LayerComparison | NetworkComparison | Shares) -> str:
    """The record as a Markdown section."""
    shown = sheet(record)
    blocks = [f"## {_escaped(shown.heading)}"]
    for part in shown.parts:
        if isinstance(part, str):
            blocks.append(_escaped(part))
            continue
        lines = [part.header, tuple(":--" if place < part.left else "--:" for place in range(len(part.header))),
                 *part.rows]
        blocks.append("\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines))
    return "\n\n".join(blocks) + "\n"


def sheet(record: LayerComparison | NetworkComparison | Shares) -> Sheet:
    """What there is to show of a record."""
    if isinstance(record, LayerComparison):
        return Sheet(_layer_heading(record.convolution), tuple(_layer_parts(record)))
    if isinstance(record, NetworkComparison):
        return Sheet(_network_heading(record), tuple(_network_parts(record)))
    return Sheet(f"{record.name}: where its mult-adds are", tuple(_shares_parts(record)))


# --- one layer ------------------------------------------------------------------------------------------------


def _layer_heading(conv: Convolution) -> str:
    return (f"{by(conv.kernel)} convolution, {conv.in_channels} to {conv.out_channels} channels, "
            f"{by(conv.input_size)} to {by(conv.output_size)}, batch {conv.batch_size}")


def _layer_parts(record: LayerComparison) -> Iterator[str | Grid]:
    conv = record.convolution
    if conv.padding is not None:
        yield _output_size(conv)
    yield _formula(conv)
    yield f"Ratio of mult-adds, separable over standard: {ratio_line(conv)}"
    yield _counted(record)
    if record.agrees:
        yield "The formula and the count of real modules agree to the last unit."
    else:
        yield "The formula and the count of real modules DISAGREE: trust neither before the cause is known."
    if conv.bias:
        yield (f"The bias adds N = {conv.out_channels} parameters to the standard layer and as many to the pointwise "
               f"one; with it the ratio of parameters is {float(record.parameter_ratio):.4f}.")
    if record.timing is not None:
        yield from _measured(record.timing)


def _output_size(conv: Convolution) -> str:
    """floor((n + 2p - k)/s) + 1 with the numbers filled in, once for each different extent."""
    assert conv.padding is not None
    lines = []
    for n, p, k, d, s, out in zip(conv.input_size, conv.padding, conv.kernel, conv.dilation, conv.stride,
                                  conv.output_size, strict=True):
        reach = f"{k}" if d == 1 else f"({d}·({k} - 1) + 1)"
        line = f"floor(({n} + 2·{p} - {reach})/{s}) + 1 = {out}"
        if line not in lines:
            lines.append(line)
    return f"Output size: {'; '.join(lines)}"


def _formula(conv: Convolution) -> Grid:
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
        yield ("", "Mult-Adds", f"{symbols}·{places[0]}{batch[0]}", f"{numbers}·{places[1]}{batch[1]}",
               f"{cost.macs:,}")

    rows = [*line("standard", [kernel, channels, filters], conv.standard, conv.bias),
            *line("depthwise", [kernel, channels, *multiplier], conv.depthwise, False),
            *line("pointwise", [channels, *multiplier, filters], conv.pointwise, conv.bias),
            ("separable", "Params", "depthwise + pointwise", "", f"{conv.separable.parameters:,}"),
            ("", "Mult-Adds", "depthwise + pointwise", "", f"{conv.separable.macs:,}")]
    return Grid(("", "", "Formula", "With the numbers", "Result"), tuple(rows), left=4)


def ratio_line(conv: Convolution) -> str:
    """'1/N + 1/Dk² = 1/16 + 1/9 = 0.1736'."""
    area = prod(conv.kernel)
    symbol = "1/Dk²" if len(set(conv.kernel)) == 1 else "1/(Kh·Kw)"
    symbols, numbers = f"1/N + {symbol}", f"1/{conv.out_channels} + 1/{area}"
    if conv.multiplier > 1:
        symbols, numbers = f"m·({symbols})", f"{conv.multiplier}·({numbers})"
    return f"{symbols} = {numbers} = {float(conv.ratio):.4f}"


def _counted(record: LayerComparison) -> Grid:
    timing = record.timing
    rows = []
    for name in ("standard", "depthwise", "pointwise", "separable"):
        cost: Cost = getattr(record, name)
        row = [name, f"{cost.parameters:,}", f"{cost.macs:,}", f"{cost.activations:,}", units.size(cost.bytes_moved),
               _intensity(cost)]
        rows.append((*row, *([_time(getattr(timing, name))] if timing else [])))
    standard, separable = record.standard, record.separable
    ratio = ["separable / standard", f"{float(record.parameter_ratio):.4f}", f"{float(record.ratio):.4f}",
             f"{separable.activations / standard.activations:.4f}",
             f"{separable.bytes_moved / standard.bytes_moved:.4f}", ""]
    rows.append((*ratio, *([_ratio(timing)] if timing else [])))
    header = ("Counted", "Params", "Mult-Adds", "Activations", "Moved", "FLOP/B", *(["Time (ms)"] if timing else []))
    return Grid(header, tuple(rows), totals=1)


def _measured(timing: Timing) -> Iterator[str]:
    """What the clock says beside the promise; the machine's own balance is said by the caller, who has it."""
    for name in ("standard", "separable", "depthwise", "pointwise"):
        latency: Latency | None = getattr(timing, name)
        if latency is not None and not latency.reliable:
            yield f"The time of {name} cannot be relied on: {latency.error or latency.why}."


def shortfall(layer: LayerComparison, machine: Machine) -> str:
    """Why the measured ratio falls short of the formula's, in one paragraph."""
    timing = layer.timing
    if timing is None or timing.ratio is None:
        return ""
    promise = float(layer.ratio)
    depthwise = layer.depthwise.arithmetic_intensity or 0.0
    pointwise = layer.pointwise.arithmetic_intensity or 0.0
    verdict = (f"The formula promises {promise:.3f} of the time, measured is {_ratio(timing)}: "
               f"{timing.ratio / promise:.1f} times the promise. ")
    halves = ""
    if timing.depthwise is not None and timing.depthwise.measured and timing.pointwise is not None \
            and timing.pointwise.measured:
        both = timing.depthwise.p50_s + timing.pointwise.p50_s
        work = layer.depthwise.macs / layer.separable.macs
        halves = (f"The depthwise half does {units.percent(work, 1)} of the separable mult-adds and takes "
                  f"{units.percent(timing.depthwise.p50_s / both, 1)} of its time. ")
    waits = ("less than that, so it waits for memory" if depthwise < machine.balance
             else "enough to keep the arithmetic busy, so memory is not what holds it back")
    return (f"{verdict}{halves}This machine does {machine.balance:.1f} FLOP while one byte moves "
            f"({units.count(machine.flops_per_s)}FLOP/s, {units.size(machine.bytes_per_s)}/s at best, measured). "
            f"The depthwise half offers {depthwise:.1f} FLOP per byte, {waits}; the pointwise half offers "
            f"{pointwise:.1f}, the standard layer {layer.standard.arithmetic_intensity or 0:.1f}.")


# --- a network ------------------------------------------------------------------------------------------------


def _network_heading(record: NetworkComparison) -> str:
    if record.to == "standard":
        how = "depthwise separable pairs merged into standard convolutions"
    else:
        between = {"mobilenet": "batch norm and ReLU between", "xception": "batch norm between",
                   "plain": "nothing between"}
        how = f"dense KxK convolutions as depthwise + pointwise ({record.style}: {between[record.style]})"
    size = by(record.before.input_shape)
    return f"{record.name}, {how}; {size}, batch {record.before.batch_size}"


def _network_parts(record: NetworkComparison) -> Iterator[str | Grid]:
    yield _layers_grid(record)
    yield _totals_grid(record)
    yield summary(record)
    if record.left_alone:
        yield Grid(("Left alone", "Layers", "Such as"), tuple(_left_alone(record)), left=1)
    for latency in (record.timing.standard, record.timing.separable) if record.timing else ():
        if not latency.reliable:
            yield f"A time cannot be relied on: {latency.error or latency.why}."


def _layers_grid(record: NetworkComparison) -> Grid:
    timed = any(layer.timing is not None for layer in record.layers)
    rows = []
    for layer in record.layers:
        conv, old, new = layer.convolution, layer.standard, layer.separable
        called = f" ({layer.calls} calls)" if layer.calls > 1 else ""
        row = [layer.module or "(the network)",
               f"{by(conv.kernel)} {conv.in_channels}-{conv.out_channels}, {by(conv.output_size)}{called}",
               _to(old.parameters, new.parameters), _to(old.macs, new.macs), _to(old.activations, new.activations),
               f"{float(layer.ratio):.4f}", f"{float(conv.ratio):.4f}"]
        rows.append((*row, *([_ratio(layer.timing)] if timed else [])))
    header = ("Layer", "Convolution", "Params", "Mult-Adds", "Activations", "Ratio", "Formula",
              *(["Time ratio"] if timed else []))
    return Grid(header, tuple(rows), left=2)


def _totals_grid(record: NetworkComparison) -> Grid:
    old, new = record.standard, record.separable
    lines = [("Params", old.parameters, new.parameters, units.count), ("Mult-Adds", old.macs, new.macs, units.count),
             ("Activations", old.activations, new.activations, units.count),
             ("Parameter memory", old.parameter_bytes, new.parameter_bytes, units.size),
             ("Peak activation memory, inference", old.peak_activation_bytes, new.peak_activation_bytes, units.size),
             ("Activation memory, training", old.training_activation_bytes, new.training_activation_bytes,
              units.size)]
    rows = [(name, show(a, 4), show(b, 4), f"{b / a:.4f}" if a else units.DASH) for name, a, b, show in lines]
    rows.insert(2, ("Mult-Adds by the formula", units.count(old.macs, 4), units.count(record.promised_macs, 4),
                    f"{record.promised_macs / old.macs:.4f}" if old.macs else units.DASH))
    if record.timing:
        rows.append(("Time (ms)", _time(record.timing.standard), _time(record.timing.separable), _ratio(record.timing)))
    return Grid(("Whole network", "Standard", "Separable", "Separable / standard"), tuple(rows))


def summary(record: NetworkComparison) -> str:
    """What was gained and what was not, in one paragraph of plain numbers."""
    old, new = record.before, record.after
    said = [f"{len(record.layers)} layer{'s' if len(record.layers) != 1 else ''} rewritten, "
            f"{len(record.left_alone)} left alone.",
            f"Parameters {_changed(old.parameters, new.parameters, units.count)},",
            f"mult-adds {_changed(old.macs, new.macs, units.count)},",
            f"activations {_changed(old.activations, new.activations, units.count)},",
            "peak activation memory of inference "
            f"{_changed(old.peak_activation_bytes, new.peak_activation_bytes, units.size)}."]
    timing = record.timing
    if timing is not None and timing.ratio is not None:
        before, after = ((timing.standard, timing.separable) if record.to == "separable"
                         else (timing.separable, timing.standard))
        times = after.p50_s / before.p50_s
        said.append(f"One forward pass takes {units.milliseconds(after.p50_s)} ms against "
                    f"{units.milliseconds(before.p50_s)} ms: {times:.3f} times as long, where the mult-adds alone "
                    f"would have it be {new.macs / old.macs:.3f}.")
    if record.machine is not None:
        waiting = [layer for layer in record.layers
                   if (layer.depthwise.arithmetic_intensity or 0) < record.machine.balance]
        said.append(f"This machine does {record.machine.balance:.1f} FLOP while one byte moves; the depthwise halves "
                    f"of {len(waiting)} of {len(record.layers)} layers offer less and wait for memory.")
    if record.to == "separable":
        said.append("The new weights are untrained: what the rewriting costs in accuracy only training can tell.")
    return " ".join(said)


def _left_alone(record: NetworkComparison) -> Iterator[tuple[str, ...]]:
    times = Counter((item.type, item.reason) for item in record.left_alone)
    for (kind, reason), count in times.items():
        first = next(item.module for item in record.left_alone if (item.type, item.reason) == (kind, reason))
        yield f"{kind}: {reason}", str(count), first or "(the network)"


# --- shares ---------------------------------------------------------------------------------------------------


def _shares_parts(record: Shares) -> Iterator[str | Grid]:
    rows = tuple((share.kind, units.count(share.macs, 4), units.percent(share.macs_fraction),
                  units.count(share.weights, 4), units.percent(share.weights_fraction)) for share in record.kinds)
    yield Grid(("Layers", "Mult-Adds", "of all", "Weights", "of all"), rows)
    if record.ratio is not None:
        yield (f"Every dense KxK convolution made depthwise separable would leave "
               f"{units.count(record.separable_macs)} of {units.count(record.macs)} mult-adds "
               f"({units.percent(record.ratio, 1)}) and {units.count(record.separable_parameters)} of "
               f"{units.count(record.parameters)} parameters, by the formula.")


# --- cells ----------------------------------------------------------------------------------------------------


def _to(old: int, new: int) -> str:
    return f"{units.count(old)} → {units.count(new)}"


def _changed(old: float, new: float, show) -> str:
    if not old:
        return f"{show(old)} to {show(new)}"
    return f"{show(old)} to {show(new)} ({new / old:.3f} of it)"


def _intensity(cost: Cost) -> str:
    return units.DASH if cost.arithmetic_intensity is None else f"{cost.arithmetic_intensity:.2f}"


def _time(latency: Latency | None) -> str:
    if latency is None or not latency.measured:
        return units.DASH
    low, high = (units.milliseconds(end) for end in latency.ci95_s)
    return f"{units.milliseconds(latency.p50_s)} [{low}, {high}]{'' if latency.reliable else '*'}"


def _ratio(timing: Timing | None) -> str:
    if timing is None or timing.ratio is None or timing.ratio_ci95 is None:
        return units.DASH
    low, high = timing.ratio_ci95
    return f"{timing.ratio:.3f} [{low:.3f}, {high:.3f}]"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")
