"""A network and its edited variants as a table, predicted figures apart from measured ones; and in a sentence each, why
time does not follow mult-adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ...base import units
from ...results.whatif import SMALL, KindTime, Variant, WhatIf, Why, why
from ..words import capital
from .predictions import PREDICTED
from .table import UNCOUNTED, UNRELIABLE, Cell, Column, Table

#: Layers, and reasons, that one note names.
_NAMED = 3


def table(found: WhatIf) -> Table:
    """A row for the network as it is, and one for each variant."""
    verified = any(one.latency is not None for one in found.edited)
    columns = (
        Column("name", "Edit", folds=True),
        Column("parameters", "Params", "count", "less"),
        Column("macs", "Mult-Adds", "count", "less"),
        Column("activations", "Activations", "count", "less", detail=1),
        Column("memory_bytes", "Memory", "bytes", "less", detail=2),
        Column("predicted_seconds", "Predicted ms", "seconds", "less"),
        Column("change", "Change"),
        Column("predicted_interval", f"{100 * found.level:.0f} % interval", detail=3),
        Column("measured_seconds", "Measured ms", "seconds", "less"),
        *((Column("prediction_error", "Error"),) if verified else ()),
    )
    rows = tuple(tuple(_cell(found, one, column.key) for column in columns) for one in found.variants)
    shape = "x".join(map(str, (found.batch_size, *found.base.input_shape)))
    return Table(f"{found.name}, edited ({found.source}, input {shape})", columns, rows, tuple(_notes(found)))


def _cell(found: WhatIf, one: Variant, key: str) -> Cell:
    if key == "name":
        plus = "+ " if len(one.edits) > 1 else ""
        return Cell(plus + one.edit if one.edits else f"{one.name} as it is")
    if one.error is not None:
        return Cell("failed", tone="bad") if key == "change" else Cell()
    if key == "change":
        if one.predicted_seconds is None or found.base.measured_seconds is None:
            return Cell()
        return Cell(signed(one.predicted_seconds / found.base.measured_seconds - 1), PREDICTED)
    if key == "predicted_interval":
        if one.predicted_interval is None:
            return Cell()
        low, high = map(units.milliseconds, one.predicted_interval)
        return Cell(f"{low} to {high}", PREDICTED)
    if key == "prediction_error":
        return Cell() if one.prediction_error is None else Cell(signed(one.prediction_error, 1))
    value = getattr(one, key)
    if key == "predicted_seconds":
        return Cell(value, PREDICTED if value is not None else "")
    if key == "measured_seconds":
        return Cell(value, "" if one.latency is None or one.latency.reliable else UNRELIABLE)
    return Cell(value, UNCOUNTED if key == "macs" and one.uncounted else "")


def _named(one: Variant) -> str:
    return f"'{one.edit}'" if one.edits else one.name


def signed(fraction: float, places: int = 0) -> str:
    """0.312 -> '+31 %'."""
    shown = f"{100 * fraction:+.{places}f}"
    return "0 %" if float(shown) == 0 else f"{shown} %"


def _notes(found: WhatIf) -> Iterator[str]:
    for one in found.edited:
        said = sentence(found, one)
        if said:
            yield f"{_named(one)}: {said}" if len(found.edited) > 1 else capital(said)
    if any(one.predicted_seconds is not None for one in found.variants):
        yield (
            f"p predicted, not measured: the measured time of {found.name} as it is, multiplied by how many times as "
            "long the operators take together; the interval holds the true time of "
            f"{100 * found.level:.0f} edits in 100."
        )
    yield from _untold(found)
    for one in found.variants:
        if one.latency is not None and not one.latency.reliable:
            why_not = one.latency.why or one.latency.error or "not measured"
            resting = "" if one.edits else ", nor is what is predicted from it"
            yield f"{UNRELIABLE} {_named(one)}: the time is not reliable{resting} ({why_not.rstrip('.')})."
    yield from (f"{capital(note).rstrip('.')}." for note in found.notes)


def _untold(found: WhatIf) -> Iterator[str]:
    """What an edit left alone or did not change, what is not counted or not timed, and what failed."""
    for one in found.edited:
        if one.error is not None:
            yield f"{_named(one)}: failed; the reason is below."
            continue
        if one.same:
            yield f"{_named(one)}: without effect; every operator call is as it was before."
        if one.left_alone:
            reasons = Counter(each.reason for each in one.left_alone).most_common(_NAMED)
            listed = ", ".join(f"{reason} ({count})" for reason, count in reasons)
            edited = f"{len(one.layers)} layer{'s' * (len(one.layers) != 1)} edited"
            yield f"{_named(one)}: {edited}, {len(one.left_alone)} left alone: {listed}."
    uncounted = dict.fromkeys(op for one in found.variants for op in one.uncounted)
    if uncounted:
        yield f"{UNCOUNTED} {', '.join(uncounted)}: no formula; mult-adds are left out."
    untimed = dict.fromkeys(op for one in found.variants for op in one.untimed)
    if untimed:
        yield f"{', '.join(untimed)}: cannot be run alone; the predictions leave out the time."


def sentence(found: WhatIf, one: Variant) -> str:
    """'mult-adds fall by 84 %, predicted time by 31 %: ...'; '' where nothing is predicted."""
    seen = why(found.base, one)
    if seen is None or one.same:
        return ""
    return f"{_changes(seen)}{_because(seen)}."


def _changes(seen: Why) -> str:
    if seen.macs_ratio is None:
        return f"predicted time {_moves(seen.time_ratio)}"
    macs, time = seen.macs_ratio - 1, seen.time_ratio - 1
    alike = abs(macs) >= SMALL and abs(time) >= SMALL and (macs > 0) == (time > 0)
    if alike:
        return f"mult-adds {_moves(seen.macs_ratio)}, predicted time by {_percent(time)}"
    return f"mult-adds {_moves(seen.macs_ratio)}, predicted time {_moves(seen.time_ratio, single=True)}"


def _moves(ratio: float, single: bool = False) -> str:
    """'fall by 84 %': of a plural, or of one thing."""
    s = "s" if single else ""
    if abs(ratio - 1) < SMALL:
        return f"stay{s} the same"
    return f"{'rise' if ratio > 1 else 'fall'}{s} by {_percent(ratio - 1)}"


def _percent(fraction: float) -> str:
    amount = abs(100 * fraction)
    return f"{amount:.0f} %" if amount >= 1 else f"{amount:.1f} %"


def _because(seen: Why) -> str:
    old, new = seen.old, seen.new
    if seen.reason == "proportion":
        return ", about in proportion" if abs(seen.time_ratio - 1) >= SMALL else ""
    if seen.reason == "rate" and old is not None and new is not None:
        if old.type == new.type:
            return f": {_plural(new)} run at {_rate(new)} GFLOP/s here now, and at {_rate(old)} before"
        replaced = f"the {_plural(old)} that they replace at {_rate(old)}"
        return f": {_plural(new)} run at {_rate(new)} GFLOP/s here, {replaced}"
    if seen.reason == "free" and new is not None:
        before = f"{_ms(old)} before" if old is not None else "none before"
        return f": {_plural(new)}, which multiply nothing, take {_ms(new)} ms, and {before}"
    if seen.reason == "gone" and old is not None:
        if not old.macs:
            return f": the {_plural(old)} that fell away took {_ms(old)} ms and multiply nothing"
        whole = units.significant((seen.whole or 0) / 1e9, 2)
        return f": the {_plural(old)} that fell away ran at {_rate(old)} GFLOP/s, the whole network at {whole}"
    return ""


def _plural(kind: KindTime) -> str:
    """'depthwise conv 3x3' -> 'depthwise 3x3 convolutions'."""
    before, conv, kernel = kind.type.partition("conv ")
    if conv:
        return f"{before}{kernel} convolutions"
    return {"activation": "activations", "addition": "additions", "fully connected": "fully connected layers"}.get(
        kind.type, f"{kind.type} operators"
    )


def _rate(kind: KindTime) -> str:
    return units.significant((kind.flops_per_s or 0) / 1e9, 2)


def _ms(kind: KindTime) -> str:
    return units.milliseconds(kind.predicted_seconds, 2)
