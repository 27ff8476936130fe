"""What fits into a memory: the largest batches, what limits them, what would help."""

from __future__ import annotations

from collections.abc import Iterator

from ...base import units
from ...results.comparison import Comparison
from ...results.memory import FARTHEST_TOKENS, LargestBatch, Limiting
from .table import Cell, Column, Table


def tables(comparison: Comparison) -> Iterator[Table]:
    """The tables of --memory and --fits; none where neither was asked for."""
    found = [(row.name, row.largest_batch) for row in comparison.architectures if row.largest_batch]
    if found:
        yield _largest_batches(comparison, found)
        if any(fits.helps for _, fits in found):
            yield _helps(found)


def _largest_batches(comparison: Comparison, found: list[tuple[str, LargestBatch]]) -> Table:
    """The largest batch predicted to fit into the memory that was asked about, parameters included."""
    explained = any(fits.limited for _, fits in found)
    columns = [
        Column("name", "Architecture"),
        Column("inference", "Inference", "number", "more"),
        *([Column("inference_limit", "limited by", folds=True)] if explained else []),
        Column("training", f"Training ({found[0][1].optimizer})", "number", "more"),
        *([Column("training_limit", "limited by", folds=True)] if explained else []),
    ]
    notes = []
    if any(not fits.scratch_known for _, fits in found):
        notes.append("What operators take for themselves is not known and left out: fewer may fit.")
    for name, fits in found:
        if not fits.inference:
            notes.append(f"{name}: inference needs {units.size(fits.least_bytes)} at least.")
        if fits.training is None:
            notes.append(f"{name}: training cannot be traced.")
        elif not fits.training:
            notes.append(f"{name}: training needs {units.size(fits.least_training_bytes)} at least.")
        if said := _tokens(fits):
            notes.append(f"{name}: at batch 1 {said}.")
        notes += [f"{name}: {said}" for limiting in fits.limited if (said := _verified(limiting, fits.limit_bytes))]
    rows = []
    for name, fits in found:
        limits = {limiting.mode: _limit(limiting) for limiting in fits.limited}
        cells = [Cell(name), Cell(fits.inference), Cell(fits.training)]
        if explained:
            cells[2:2], cells[4:] = [Cell(limits.get("inference"))], [Cell(limits.get("training"))]
        rows.append(tuple(cells))
    title = f"Largest batch that fits into {units.size(found[0][1].limit_bytes)}, predicted"
    return Table(title, tuple(columns), tuple(rows), tuple(notes))


def _tokens(fits: LargestBatch) -> str:
    """'a prompt of 2,048 tokens fits, and one token after 4,096'."""

    def many(tokens: int) -> str:
        return f"{tokens:,}{' or more' if tokens >= FARTHEST_TOKENS else ''}"

    prompt = f"a prompt of {many(fits.longest_prompt)} tokens fits" if fits.longest_prompt else ""
    decoded = f"one token decoded after {many(fits.longest_context)} fits" if fits.longest_context else ""
    return ", and ".join(filter(None, (prompt, decoded)))


def _limit(limiting: Limiting) -> str:
    """'layer3.0.bn2 (native_batch_norm), forward'."""
    if not limiting.operator:
        return "the update of the weights"
    return f"{limiting.layer or 'its own forward'} ({limiting.operator.partition('.')[2]}), {limiting.moment}"


def _verified(limiting: Limiting, limit: int) -> str:
    """What the device's allocator saw at that batch, and at one more."""
    pass_ = f"{limiting.mode} of {limiting.batch_size}"
    if limiting.why:
        return f"{pass_} was not tried: {limiting.why}."
    if limiting.measured_bytes is None:
        return ""
    fits = "fits" if limiting.measured_bytes <= limit else "does NOT fit"
    said = f"{pass_}, tried, took {units.size(limiting.measured_bytes)} and {fits}"
    if limiting.beyond_bytes is None:
        return f"{said}."
    return f"{said}; the next larger batch took {units.size(limiting.beyond_bytes)}."


def _helps(found: list[tuple[str, LargestBatch]]) -> Table:
    """Changes that need less memory, the largest saving of training first."""
    columns = (
        Column("name", "Architecture"),
        Column("change", "Change"),
        Column("saved_bytes", "saves in inference", "bytes", "more"),
        Column("inference", "then fits", "number", "more"),
        Column("saved_training_bytes", "saves in training", "bytes", "more"),
        Column("training", "then fits", "number", "more"),
        Column("option", "Option", folds=True),
    )
    rows = []
    for name, fits in found:
        for place, each in enumerate(sorted(fits.helps, key=lambda each: (-(each.training or 0), -each.inference))):
            rows.append(
                (
                    Cell(name if not place else ""),
                    Cell(each.change),
                    Cell(each.saved_bytes) if each.saved_bytes > 0 else Cell(text="-"),
                    Cell(each.inference),
                    Cell(each.saved_training_bytes) if (each.saved_training_bytes or 0) > 0 else Cell(text="-"),
                    Cell(each.training),
                    Cell(each.option or "torch.utils.checkpoint"),
                )
            )
    notes = (
        "Savings at the batches above, predicted.",
        *(
            ["Where operators' own memory is not known for a change, it is left out: it may save less."]
            if any(not each.scratch_known for _, fits in found for each in fits.helps)
            else []
        ),
        "Speed and accuracy may change with each of these: measure them.",
    )
    return Table("What would help", columns, tuple(rows), notes)
