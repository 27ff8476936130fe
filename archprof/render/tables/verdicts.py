"""A check as a table and sentences for people, as JSON and as JUnit XML."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

from ...base import units
from ...base.version import __version__
from ...budgets.limits import MEASURES
from ...budgets.lock import LayerChange
from ...budgets.verdict import Checked, LayerShare, Verdict, broken, exit_code
from .. import escapes
from .table import Cell, Column, Table

SCHEMA_VERSION = 1
#: Changed layers that are named to people; JSON has all of them.
NAMED_CHANGES = 6

COLUMNS = (
    Column("budget", "Budget"),
    Column("measure", "Measure"),
    Column("value", "Value", "number"),
    Column("limit", "Limit"),
    Column("headroom", "Headroom", "number"),
    Column("change", "Change", "number"),
    Column("status", "Verdict"),
)
_FACES = {"within": "within", "over": "OVER", "under": "UNDER", "cannot tell": "can't tell", "error": "ERROR"}
_TONES = {"within": "good", "cannot tell": "doubtful"}
_WORST = ("within", "cannot tell", "under", "over", "error")


def verdicts_of(checked: Iterable[Checked]) -> list[Verdict]:
    """All verdicts, in order."""
    return [verdict for one in checked for verdict in one.verdicts]


def table(checked: Sequence[Checked]) -> Table:
    """One verdict a row, with its file where they come from several; headroom and change are fractions."""
    found = verdicts_of(checked)
    several = _several(found)
    columns = (Column("file", "File"), *COLUMNS) if several else COLUMNS
    return Table("Budgets", columns, tuple(_row(verdict, several) for verdict in found))


def _row(verdict: Verdict, several: bool) -> tuple[Cell, ...]:
    return (
        *((Cell(verdict.file),) if several else ()),
        Cell(verdict.budget),
        Cell(_label(verdict)),
        Cell(verdict.value, text=value_text(verdict)),
        Cell(verdict.limit),
        Cell(verdict.headroom, text=_headroom(verdict.headroom)),
        Cell(verdict.change, text=units.signed_percent(verdict.change)),
        Cell(verdict.status, text=_FACES[verdict.status], tone=_TONES.get(verdict.status, "bad")),
    )


def sentence(verdict: Verdict) -> str:
    """What one verdict says, in words: the number, the limit, and the layer that weighs most."""
    if verdict.status == "error":
        return f"{verdict.budget}{': ' + _label(verdict) if verdict.measure else ''}: {verdict.detail}"
    if verdict.measure == "uncounted":
        return f"{verdict.budget}: {verdict.detail} ({verdict.value:,.0f} calls)"
    if verdict.measure == "latency":
        return _latency_sentence(verdict)
    if verdict.status == "cannot tell":
        return f"{verdict.budget}: can't tell the growth {verdict.detail}"
    noun = MEASURES[verdict.measure].noun
    if verdict.growth is not None:
        said = (
            f"{verdict.budget} has {verdict.value:,} {noun}, {units.signed_percent(verdict.change)} against the "
            f"baseline's {verdict.baseline:,}, where {100 * verdict.growth:g} % of growth is allowed."
        )
        return " ".join([said, *map(changed, verdict.changed[:1]), verdict.detail]).rstrip()
    too = ", as before" if verdict.before == verdict.status != "within" else ""
    said = f"{verdict.budget} has {verdict.value:,} {noun}, {_against(verdict)}{too}."
    heaviest = [
        f"{_named(share)} weighs most: {share.amount:,} {verdict.driver}, {units.percent(share.share, 1)} of them."
        for share in verdict.heaviest[:1]
    ]
    return " ".join([said, *heaviest, verdict.detail]).rstrip()


def reasons(verdict: Verdict) -> list[str]:
    """The layers behind a value: the heaviest, and with a baseline those that changed."""
    if verdict.measure not in MEASURES:
        return []
    lines = [
        f"{_named(share)}: {share.amount:,} {verdict.driver}, {units.percent(share.share, 1)}"
        for share in verdict.heaviest
    ]
    found = [f"heaviest   {lines[0]}", *(f"           {line}" for line in lines[1:])] if lines else []
    named = [changed(change).rstrip(".") for change in verdict.changed[:NAMED_CHANGES]]
    if rest := len(verdict.changed) - len(named):
        named.append(f"and {rest} more; --json names all")
    if named:
        found += [f"changed    {named[0]}", *(f"           {line}" for line in named[1:])]
    elif verdict.baseline is not None:
        found.append("changed    no layer, against the baseline")
    return found


def below(checked: Sequence[Checked], *, why: bool = False, strict: bool = False) -> str:
    """What stands below the table: a sentence for what is not within, with `why` the layers behind it, the count."""
    return "\n".join([*_explained(checked, why), conclusion(checked, strict), ""])


def conclusion(checked: Sequence[Checked], strict: bool = False) -> str:
    """One line: how many budgets hold, and where one has several limits, how many of those."""
    limits = [verdict.status for verdict in verdicts_of(checked) if verdict.measure]
    budgets = [max((verdict.status for verdict in one.verdicts), key=_WORST.index) for one in checked if one.verdicts]
    said = f"{len(checked)} budget{'s' * (len(checked) != 1)}: {_tally(budgets, strict) or 'nothing to judge'}"
    if len(limits) > sum(1 for one in checked if any(verdict.measure for verdict in one.verdicts)):
        said += f"; {len(limits)} limits: {_tally(limits, False)}"
    return f"{said}."


def _tally(statuses: Sequence[str], strict: bool) -> str:
    parts = [f"{statuses.count(status)} {_FACES[status].lower()}" for status in _FACES if status in statuses]
    if strict and "cannot tell" in statuses:
        place = [status for status in _FACES if status in statuses].index("cannot tell")
        parts[place] += " (fails, by --strict)"
    return ", ".join(parts)


def to_json(
    checked: Sequence[Checked], configs: Sequence[str], strict: bool = False, base: Mapping[str, Any] | None = None
) -> str:
    """All verdicts with exact numbers in base units. `config` is the file where there is one, `configs` all of them.

    `base` is what `tables.base.to_json` says of the commit that they were compared with.
    """
    verdicts = [
        asdict(verdict) | {"headroom": verdict.headroom, "change": verdict.change} for verdict in verdicts_of(checked)
    ]
    whole = {
        "schema_version": SCHEMA_VERSION,
        "archprof": __version__,
        "config": configs[0] if len(configs) == 1 else None,
        "configs": list(configs),
        "strict": strict,
        "exit_code": exit_code(checked, strict),
        "verdicts": verdicts,
        "base": base,
    }
    return json.dumps(whole, indent=2, allow_nan=False)


def to_junit(checked: Sequence[Checked], strict: bool = False) -> str:
    """A test case for each verdict, a suite for each budget."""
    root = ElementTree.Element("testsuites", name="archprof")
    several = _several(verdicts_of(checked))
    for one in checked:
        name = f"{one.budget.file}: {one.budget.name}" if several else one.budget.name
        bad = [verdict for verdict in one.verdicts if broken(verdict.status, strict)]
        errors = sum(verdict.status == "error" for verdict in bad)
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=escapes.xml(name),
            tests=str(len(one.verdicts)),
            errors=str(errors),
            failures=str(len(bad) - errors),
            skipped=str(sum(verdict.status == "cannot tell" and not strict for verdict in one.verdicts)),
        )
        for verdict in one.verdicts:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=escapes.xml(f"archprof.{name}"),
                name=escapes.xml(f"{_label(verdict) or 'model'} {verdict.limit}".strip()),
            )
            if verdict.status != "within":
                kind = (
                    "error"
                    if verdict.status == "error"
                    else ("failure" if broken(verdict.status, strict) else "skipped")
                )
                report = ElementTree.SubElement(case, kind, message=escapes.xml(sentence(verdict)))
                report.text = "\n".join(map(escapes.xml, reasons(verdict)))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _explained(checked: Sequence[Checked], why: bool) -> list[str]:
    lines: list[str] = []
    for file, verdict in with_files(verdicts_of(checked)):
        layers = reasons(verdict) if why else []
        if verdict.status != "within":
            lines += [escapes.terminal(file + sentence(verdict)), *(f"    {escapes.line(line)}" for line in layers), ""]
        elif layers:
            said = f"{file}{verdict.budget}, {_label(verdict)} ({verdict.limit}) {verdict.detail}"
            lines.append(escapes.terminal(said.rstrip()))
            lines += [*(f"    {escapes.line(line)}" for line in layers), ""]
    return lines


def _several(found: Iterable[Verdict]) -> bool:
    """Whether the verdicts come from more than one file, so that each has to name its own."""
    return len({verdict.file for verdict in found}) > 1


def with_files(found: Sequence[Verdict]) -> list[tuple[str, Verdict]]:
    """Each verdict behind what its sentence begins with: 'FILE: ' where they come from several files, else ''."""
    several = _several(found)
    return [(f"{verdict.file}: " if several else "", verdict) for verdict in found]


def _label(verdict: Verdict) -> str:
    return f"latency, batch {verdict.batch_size}" if verdict.measure == "latency" else verdict.measure


def value_text(verdict: Verdict) -> str:
    """The value as people read it, exact where rounding would hide on which side of the limit it is."""
    if verdict.value is None:
        return units.DASH
    if verdict.measure == "latency":
        return f"{verdict.value:.2f} x"
    if verdict.measure not in MEASURES:
        return f"{verdict.value:,.0f}"
    shown = MEASURES[verdict.measure].shown
    # rounded, 5,000,001 would read as the 5 M that it is over
    rounded_alike = verdict.bound is not None and shown(verdict.value) == shown(verdict.bound)
    return f"{verdict.value:,}" if rounded_alike and verdict.value != verdict.bound else shown(verdict.value)


def _against(verdict: Verdict) -> str:
    assert verdict.value is not None and verdict.bound is not None
    allowed = verdict.limit.split(" ", 1)[1] if " " in verdict.limit else verdict.limit
    amount = f" ({verdict.bound:,.0f})" if verdict.reference else ""
    distance = abs(verdict.value - verdict.bound)
    more = f"{distance:,.0f}" if distance >= 1 else "less than one"
    if verdict.status == "over":
        return (
            f"{more} more than the {allowed}{amount} allowed"
            if distance
            else f"where fewer than {allowed}{amount} are allowed"
        )
    if verdict.status == "under":
        return (
            f"{more} fewer than the {allowed}{amount} required"
            if distance
            else f"where more than {allowed}{amount} are required"
        )
    return f"within {verdict.limit}{amount}"


def _latency_sentence(verdict: Verdict) -> str:
    low, high = verdict.interval or (0.0, 0.0)
    said = (
        f"{verdict.budget} takes {verdict.value:.2f} times ({low:.2f} to {high:.2f}) as long as "
        f"{verdict.reference} at batch {verdict.batch_size}"
    )
    side = "at most" if verdict.upper else "at least"
    end = {
        "over": f", where {side} {verdict.bound:g} times is allowed.",
        "under": f", where {side} {verdict.bound:g} times is required.",
        "cannot tell": f": can't tell whether that is {side} {verdict.bound:g} times; try again on a quieter machine.",
    }.get(verdict.status, f", within {side} {verdict.bound:g} times.")
    return " ".join([said + end, verdict.detail]).rstrip()


def _named(layer: LayerShare | LayerChange) -> str:
    return f"{layer.layer or 'the network itself'} ({layer.type})"


def changed(change: LayerChange) -> str:
    """What became of a layer, in words."""
    if not change.before:
        return f"{_named(change)} is new: {change.after:,}."
    if not change.after:
        return f"{_named(change)} is gone: {change.before:,}."
    share = (change.after - change.before) / change.before
    return f"{_named(change)} went from {change.before:,} to {change.after:,} ({units.signed_percent(share)})."


def _headroom(fraction: float | None) -> str:
    return units.signed_percent(fraction) if fraction is not None and fraction < 0 else units.percent(fraction)
