"""A network beside its separable form, as tables. Never imports torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from ...base import units
from ...results.shares import Shares, shares
from ...separable.formula import by
from ...separable.records import LayerComparison, NetworkComparison
from .separable_layer import counted, doubts, formula, fraction_cell, ratio_cell, time_cell
from .table import UNRELIABLE, Cell, Column, Table


def tables(record: LayerComparison | NetworkComparison | Shares) -> tuple[Table, ...]:
    """Everything there is to show of a record, in the order in which it is read."""
    if isinstance(record, LayerComparison):
        return formula(record.convolution), counted(record)
    if isinstance(record, NetworkComparison):
        left = (_left_alone(record),) if record.left_alone else ()
        return _shares(shares(record.before)), _layers(record), _whole(record), *left
    return (_shares(record),)


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
        rows.append(
            (
                Cell(layer.module or "(the network)"),
                Cell(f"{by(conv.kernel)} {conv.in_channels}-{conv.out_channels}, {by(conv.output_size)}{called}"),
                _to(old.parameters, new.parameters),
                _to(old.macs, new.macs),
                _to(old.activations, new.activations),
                fraction_cell(layer.ratio),
                fraction_cell(conv.ratio),
                *((ratio_cell(layer.timing),) if timed else ()),
            )
        )
    columns = (
        Column("module", "Layer"),
        Column("convolution", "Convolution"),
        Column("parameters", "Params", "count", "less"),
        Column("macs", "Mult-Adds", "count", "less"),
        Column("activations", "Activations", "count", "less", detail=True),
        Column("ratio", "Ratio", "ratio", "less"),
        Column("formula_ratio", "Formula", "ratio", "less"),
        *((Column("time_ratio", "Time ratio", "ratio", "less"),) if timed else ()),
    )
    same = sum(layer.ratio == layer.convolution.ratio for layer in record.layers)
    notes = [
        "arrows run from the standard layer to what stands for it in the separable form, for one call",
        f"the counted ratio is the formula's, to the last unit, in {same} of {len(record.layers)} rows",
    ]
    if timed:
        notes.append(
            "Time ratio: the two bare convolutions after one another over the standard one, 95 % "
            f"interval; {UNRELIABLE} is not reliable"
        )
    return Table(_network_heading(record), columns, tuple(rows), tuple(notes))


def _whole(record: NetworkComparison) -> Table:
    old, new = record.standard, record.separable
    lines: tuple[tuple[str, int | None, int | None, Callable[..., str]], ...] = (
        ("Params", old.parameters, new.parameters, units.count),
        ("Mult-Adds", old.macs, new.macs, units.count),
        ("Mult-Adds by the formula", old.macs, record.promised_macs, units.count),
        ("Activations", old.activations, new.activations, units.count),
        ("Parameter memory", old.parameter_bytes, new.parameter_bytes, units.size),
        ("Peak activation memory, inference", old.peak_activation_bytes, new.peak_activation_bytes, units.size),
        ("Activation memory, training", old.training_activation_bytes, new.training_activation_bytes, units.size),
    )
    rows = [
        (Cell(name), Cell(a, text=show(a, 4)), Cell(b, text=show(b, 4)), fraction_cell(b / a) if a else Cell())
        for name, a, b, show in lines
        if a is not None and b is not None
    ]
    if timing := record.timing:
        rows.append((Cell("Time (ms)"), time_cell(timing.standard), time_cell(timing.separable), ratio_cell(timing)))
    columns = (
        Column("quantity", ""),
        Column("standard", "Standard", "number", "less"),
        Column("separable", "Separable", "number", "less"),
        Column("ratio", "Separable / standard", "ratio", "less"),
    )
    return Table("Whole network", columns, tuple(rows), tuple(summary(record)))


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
        yield from doubts(timing)
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
    columns = (
        Column("type", "Convolution"),
        Column("reason", "Why"),
        Column("layers", "Layers", "number"),
        Column("first", "First"),
    )
    rows = tuple((Cell(kind), Cell(why), Cell(count), Cell(first[kind, why])) for (kind, why), count in times.items())
    return Table("Left alone", columns, rows)


def _shares(record: Shares) -> Table:
    columns = (
        Column("kind", "Layers"),
        Column("macs", "Mult-Adds", "count"),
        Column("macs_fraction", "of all", "share"),
        Column("weights", "Weights", "count"),
        Column("weights_fraction", "of all", "share"),
    )
    rows = tuple(
        (
            Cell(share.kind),
            Cell(share.macs, text=units.count(share.macs, 4)),
            Cell(share.macs_fraction),
            Cell(share.weights, text=units.count(share.weights, 4)),
            Cell(share.weights_fraction),
        )
        for share in record.kinds
    )
    notes = ("weights leave biases and normalisation out", *((saving(record),) if record.ratio is not None else ()))
    return Table(f"{record.name}: where its mult-adds are", columns, rows, notes)


def saving(record: Shares) -> str:
    """What rewriting would leave, as one sentence."""
    return (
        "every dense KxK convolution made depthwise separable would leave "
        f"{units.count(record.separable_macs)} of {units.count(record.macs)} mult-adds and "
        f"{units.count(record.separable_parameters)} of {units.count(record.parameters)} parameters, by "
        "the formula"
    )


def _to(old: int, new: int) -> Cell:
    return Cell(new, text=f"{units.count(old)} → {units.count(new)}")


def _changed(old: float, new: float, show: Callable[[float], str]) -> str:
    return f"{show(old)} to {show(new)}" + (f" (x{new / old:.3f})" if old else "")


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
