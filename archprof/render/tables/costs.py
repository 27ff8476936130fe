"""What holds on any machine, as tables: parameters, mult-adds, memory, published accuracy."""

from __future__ import annotations

from ...base import units
from ...results.comparison import ArchitectureResult, Comparison
from ...results.environment import type_words
from ...results.shares import KINDS, Shares
from ...results.shares import shares as shares_of
from .table import UNCOUNTED, Cell, Column, Table


def static(comparison: Comparison) -> Table:
    """Parameters, mult-adds, memory and published accuracy: what holds on any machine."""
    columns = (
        Column("name", "Architecture"),
        Column("parameters", "Params", "count", "less"),
        Column("macs", "Mult-Adds", "count", "less"),
        Column("activations", "Activations", "count", "less", detail=True),
        Column("parameter_bytes", "Param memory", "bytes", "less"),
        Column("peak_activation_bytes", "Peak activations", "bytes", "less"),
        Column("top1", "Top-1 %", "percent", "more"),
    )
    sources: dict[tuple[str, str, str, str], int] = {}
    rows = tuple(_static_row(row, comparison.dataset, sources) for row in comparison.architectures)
    notes = _counting_notes(comparison) + other_inputs(comparison)
    notes += [f"[{n}] {_source(*key)}" for key, n in sources.items()]
    return Table(f"Static cost, {_inputs(comparison)}", columns, rows, tuple(notes))


def _static_row(
    row: ArchitectureResult, dataset: str, sources: dict[tuple[str, str, str, str], int]
) -> tuple[Cell, ...]:
    profile, claim = row.profile, row.top("top1", dataset)
    if profile is None:
        return (Cell(row.name), *(Cell(),) * 5, Cell())
    accuracy = Cell()
    if claim is not None:
        place = sources.setdefault((dataset, claim.source, claim.protocol, claim.url), len(sources) + 1)
        accuracy = Cell(claim.percent, f" [{place}]")
    return (
        Cell(row.name),
        Cell(profile.parameters),
        Cell(profile.macs, UNCOUNTED if profile.uncounted else ""),
        Cell(profile.activations),
        Cell(profile.parameter_bytes),
        Cell(profile.peak_activation_bytes),
        accuracy,
    )


def _source(dataset: str, source: str, protocol: str, url: str) -> str:
    return ", ".join(filter(None, (f"top-1 on {dataset}: {source}", protocol, url)))


def _inputs(comparison: Comparison) -> str:
    usual = _usual_input(comparison)
    if usual is None:
        return "nothing was counted"
    return ", ".join([f"batch {usual[0]}", f"input {inputs_of(comparison)}", *other_dtype(comparison)])


def other_dtype(comparison: Comparison) -> list[str]:
    """The type of numbers where it is not float32 alone."""
    told = type_words(comparison.environment)
    return [] if told in ("", "float32") else [told]


def inputs_of(comparison: Comparison) -> str:
    """'3x224x224', '3x224x224 where not noted'; '' where nothing was counted."""
    usual = _usual_input(comparison)
    if usual is None:
        return ""
    others = any(
        (row.profile.batch_size, row.profile.input_shape) != usual for row in comparison.architectures if row.profile
    )
    return f"{'x'.join(map(str, usual[1]))}{' where not noted' if others else ''}"


def _usual_input(comparison: Comparison) -> tuple[int, tuple[int, ...]] | None:
    """The batch size and input shape of most networks."""
    inputs = [(row.profile.batch_size, row.profile.input_shape) for row in comparison.architectures if row.profile]
    return max(inputs, key=inputs.count) if inputs else None


def _counting_notes(comparison: Comparison) -> list[str]:
    notes = []
    for row in comparison.architectures:
        if row.error:
            notes.append(f"{row.name}: {row.error}")
        if row.profile is None:
            continue
        if row.profile.uncounted:
            listed = ", ".join(
                f"{item.op} ({item.calls} {'call' if item.calls == 1 else 'calls'})" for item in row.profile.uncounted
            )
            notes.append(f"{UNCOUNTED} {row.name}: no formula for {listed}; their mult-adds are left out.")
        notes += [f"{row.name}: {note}." for note in row.profile.notes]
    return notes


def other_inputs(comparison: Comparison) -> list[str]:
    """Who was counted with another input than most, input by input."""
    usual = _usual_input(comparison)
    others: dict[tuple[int, ...], list[str]] = {}
    for row in comparison.architectures:
        if row.profile and (row.profile.batch_size, row.profile.input_shape) != usual:
            others.setdefault(row.profile.input_shape, []).append(row.name)
    return [f"Input {'x'.join(map(str, shape))}: {', '.join(names)}." for shape, names in others.items()]


def shares(comparison: Comparison) -> Table:
    """Share of mult-adds by kind of layer, and what rewriting as depthwise separable would leave."""
    records = counted_shares(comparison)
    kinds = kinds_of(records)
    columns = (
        Column("name", "Architecture"),
        *(Column(kind, _capital(kind), "share") for kind in kinds),
        Column("separable_macs", "Mult-Adds if separable", "count", "less"),
        Column("separable_parameters", "Params if separable", "count", "less", detail=True),
    )
    rows = tuple(
        (
            Cell(record.name),
            *(Cell(record.fraction(kind)) for kind in kinds),
            _left(record.separable_macs, record.macs, known),
            _left(record.separable_parameters, record.parameters, known),
        )
        for record, known in records
    )
    return Table(
        "Where the mult-adds are",
        columns,
        rows,
        ("If separable: every dense KxK convolution as depthwise + pointwise, by the formula; in brackets the rest.",),
    )


def counted_shares(comparison: Comparison) -> list[tuple[Shares, bool]]:
    """`separable.shares` of every network counted, and whether its savings are known.

    They need the single layers, which a sweep leaves out.
    """
    found = [
        (shares_of(row.profile), row.profile)
        for row in comparison.architectures
        if row.profile is not None and row.profile.by_type
    ]
    return [(record, bool(profile.layers) or not record.fraction("dense KxK")) for record, profile in found]


def kinds_of(records: list[tuple[Shares, bool]]) -> list[str]:
    """The kinds of layer to show: 'other' only where some network has it."""
    return [
        kind
        for kind, _ in KINDS
        if kind != "other"
        or any(share.kind == kind and (share.macs or share.weights) for record, _ in records for share in record.kinds)
    ]


def _left(value: int, of: int, known: bool) -> Cell:
    if not known or not of:
        return Cell()
    return Cell(value, text=f"{units.count(value)} ({units.percent(value / of, 1)})")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def memory(comparison: Comparison) -> Table:
    """Predicted memory at each batch size: inference and training, everything included."""
    optimizer = comparison.optimizer
    columns = (
        Column("batch_size", "Batch", "number"),
        Column("name", "Architecture"),
        Column("held_bytes", "Params, buffers", "bytes", "less", detail=True),
        Column("peak_activation_bytes", "Peak activations", "bytes", "less"),
        Column("scratch_bytes", "+ scratch", "bytes", "less", detail=True),
        Column("inference_bytes", "Inference", "bytes", "less"),
        Column("reserved_bytes", "Reserved", "bytes", "less"),
        Column("training_activation_bytes", "Saved for backward", "bytes", "less", detail=True),
        Column("gradient_bytes", "Gradients", "bytes", "less", detail=True),
        Column("optimizer_state_bytes", f"State ({optimizer})", "bytes", "less", detail=True),
        Column("training_bytes", "Training", "bytes", "less"),
        Column("training_reserved_bytes", "Reserved", "bytes", "less"),
    )
    reserved = any(entry.reserved_bytes is not None for row in comparison.architectures for entry in row.memory)
    rows = []
    for batch_size in sorted({entry.batch_size for row in comparison.architectures for entry in row.memory}):
        for row in comparison.architectures:
            entry = row.memory_at(batch_size)
            if entry is None or row.profile is None:
                continue
            state = next((item.state_bytes for item in row.optimizers if item.optimizer == optimizer), None)
            values = (
                batch_size,
                row.name,
                row.held_bytes,
                entry.peak_activation_bytes,
                entry.scratch_bytes,
                row.inference_bytes(entry),
                entry.reserved_bytes,
                entry.training_activation_bytes,
                row.profile.gradient_bytes,
                state,
                row.training_bytes(entry, optimizer),
                entry.training_reserved_bytes,
            )
            scratch = columns.index(next(column for column in columns if column.key == "scratch_bytes"))
            cells = [Cell(value) for value in values]
            if entry.scratch_bytes is None:
                cells[scratch] = Cell(text="not known")
            rows.append(tuple(cells))
    shown = [place for place, column in enumerate(columns) if reserved or "reserved" not in column.key]
    return Table(
        "Memory, predicted",
        tuple(columns[place] for place in shown),
        tuple(tuple(cells[place] for place in shown) for cells in rows),
        tuple(_memory_notes(comparison)),
    )


def _memory_notes(comparison: Comparison) -> list[str]:
    """What the totals are, and what they leave out because it is not known."""
    notes = ["Inference and Training are everything that is held at the highest point of a pass, of a step."]
    entries = [entry for row in comparison.architectures for entry in row.memory]
    unknown = [
        *(["inference"] if any(entry.scratch_bytes is None for entry in entries) else []),
        *(
            ["training"]
            if any(entry.training_scratch_bytes is None for entry in entries if entry.training_peak_bytes is not None)
            else []
        ),
    ]
    if any(entry.reserved_bytes is not None for entry in entries):
        notes.append(
            "Reserved is what torch's allocator has taken of the driver by then; cuDNN's workspaces and the driver's "
            "context (some hundred MiB) are not in it."
        )
    if unknown:
        notes.append(
            f"What operators take for themselves is not known for {_conditions_of(comparison)} "
            f"({' and '.join(unknown)}): totals leave it out there."
        )
    return notes


def _conditions_of(comparison: Comparison) -> str:
    """'bfloat16 on cpu, channels last': what scratch depends on."""
    said = comparison.environment
    layout = ", channels last" if said.get("channels_last") else ""
    compiled = ", compiled" if said.get("compile") else ""
    return f"{type_words(said) or 'float32'} on {said.get('device') or 'cpu'}{layout}{compiled}"
