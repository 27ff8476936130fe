"""Records in a few lines of plain text: what a prompt, a debugger or a test's failure shows of them."""

from __future__ import annotations

from collections.abc import Sequence

from ..base import units
from ..results.choice import Choice
from ..results.comparison import ArchitectureResult, Comparison
from ..results.predictions import Prediction
from ..results.profile import StaticProfile
from ..results.trials import Trial, entry_for
from ..results.whatif import WhatIf
from . import escapes
from .choice import summary
from .tables.profile import totals
from .tables.trials import label, title

#: Rows of a comparison that are shown; the rest is counted.
SHOWN = 20


def brief(record: Comparison | ArchitectureResult | StaticProfile | Trial | Choice | Prediction | WhatIf) -> str:
    """The record in a few lines, without the calls, modules, blocks and epochs that it holds."""
    if isinstance(record, Prediction):
        return _prediction(record)
    if isinstance(record, WhatIf):
        return _whatif(record)
    if isinstance(record, Trial):
        return _trial(record)
    if isinstance(record, Choice):
        return "\n".join(map(escapes.terminal, ["Choice: " + summary(record)[0], *summary(record)[1:]]))
    if isinstance(record, Comparison):
        return _comparison(record)
    return _row(record) if isinstance(record, ArchitectureResult) else _profile(record)


def _profile(profile: StaticProfile) -> str:
    """Its totals, aligned."""
    table = totals(profile)
    lines = _aligned([[table.text(row, place) for place in range(3)] for row in table.rows])
    calls = sum(item.calls for item in profile.by_type)
    kinds = len(profile.by_type)
    said = (
        [f"{calls:,} operator calls of {kinds} type{'s' * (kinds != 1)}; to_frame() has them."]
        if profile.layers
        else []
    )
    return "\n".join(map(escapes.terminal, [f"StaticProfile: {table.title}", *lines, *said, *table.notes]))


def _row(row: ArchitectureResult) -> str:
    """One line."""
    if row.profile is None:
        return escapes.terminal(f"ArchitectureResult: {row.name}, failed: {row.error}")
    told = [f"{units.count(row.profile.parameters)} parameters", f"{units.count(row.profile.macs)} mult-adds"]
    told += [f"{units.milliseconds(cell.p50_s)} ms at batch {cell.batch_size}" for cell in row.latency if cell.measured]
    told += [f"error: {row.error}"] if row.error else []
    return escapes.terminal(f"ArchitectureResult: {row.name}, {', '.join(told)}")


def _comparison(comparison: Comparison) -> str:
    """A line for each network: parameters, mult-adds, and the time at each batch size."""
    rows, sizes = comparison.architectures, comparison.batch_sizes
    reference = f", reference {comparison.reference}" if comparison.reference else ""
    title = f"Comparison of {len(rows)} network{'s' * (len(rows) != 1)}{reference}"
    heading = ["", "Params", "Mult-Adds", *(f"ms, batch {size}" for size in sizes)]
    lines = _aligned([heading, *(_cells(row, sizes) for row in rows[:SHOWN])]) if rows else []
    more = [f"... and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
    warned = len(comparison.warnings)
    warnings = [f"{warned} warning{'s' * (warned != 1)}: see .warnings"] if warned else []
    return "\n".join(map(escapes.terminal, [title, *lines, *more, *warnings]))


def _trial(trial: Trial) -> str:
    """A line for each row: accuracy, with its interval over seeds, or over images where there is one seed."""
    lines = [["", "Top-1 %", "95 %", "over"]]
    for row in trial.rows[:SHOWN]:
        entry, score = entry_for(row, trial.final) or row[0], trial.score(row, trial.final)
        if score is None:
            lines.append([label(trial, entry), "failed" if entry.error else units.DASH, units.DASH, units.DASH])
            continue
        low, high = score.over_seeds or score.over_images
        over = f"{len(score.correct)} seeds" if score.over_seeds else f"{score.images:,} images"
        lines.append([label(trial, entry), f"{100 * score.mean:.1f}", f"{100 * low:.1f} to {100 * high:.1f}", over])
    more = [f"... and {len(trial.rows) - SHOWN} more"] if len(trial.rows) > SHOWN else []
    stopped = ["interrupted: what was not reached is missing"] if trial.interrupted else []
    return "\n".join(map(escapes.terminal, [f"Trial: {title(trial)}", *_aligned(lines), *more, *stopped]))


def _prediction(found: Prediction) -> str:
    """A line for each network: predicted images a second, and their interval."""
    lines = [["", "Images/s", f"{100 * found.level:.0f} % interval"]]
    for row in found.networks[:SHOWN]:
        seen, between = row.predicted_throughput, row.predicted_interval
        rate = "failed" if row.error else units.DASH if seen is None else units.significant(seen)
        shown = " to ".join(map(units.significant, between)) if between else units.DASH
        lines.append([row.name, rate, shown])
    more = [f"... and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return "\n".join(map(escapes.terminal, [f"Prediction for {found.target.shown}", *_aligned(lines), *more]))


def _whatif(found: WhatIf) -> str:
    """A line for each variant: mult-adds, predicted milliseconds, and those that were measured."""
    lines = [["", "Mult-Adds", "Predicted ms", "Measured ms"]]
    for one in found.variants[:SHOWN]:
        if one.error:
            lines.append([one.edit, "failed", units.DASH, units.DASH])
            continue
        times = [units.milliseconds(seconds) for seconds in (one.predicted_seconds, one.measured_seconds)]
        lines.append([one.edit or "as it is", units.count(one.macs), *times])
    more = [f"... and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    title = f"WhatIf: {found.name}, batch {found.batch_size}"
    return "\n".join(map(escapes.terminal, [title, *_aligned(lines), *more]))


def _cells(row: ArchitectureResult, sizes: Sequence[int]) -> list[str]:
    if row.profile is None:
        return [row.name, "failed", *(units.DASH for _ in sizes), units.DASH]
    cells = [row.latency_at(size) for size in sizes]
    times = [units.milliseconds(cell.p50_s) if cell and cell.measured else units.DASH for cell in cells]
    return [row.name, units.count(row.profile.parameters), units.count(row.profile.macs), *times]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column to the left, the others to the right, two blanks between them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [f"  {row[0]:{widths[0]}}", *(f"{cell:>{wide}}" for cell, wide in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
