"""What collected runs say: a logbook that grows run by run, and which intervals held. Part of `latency.py`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from archprof.results import entries, logbook
from archprof.results.comparison import Comparison
from archprof.results.ratios import Ratio, beyond

#: Runs of an empty logbook that are reported apart.
FIRST = 3

#: What must hold: shares of reliable runs and of intervals that hold, the half width in the median, an error that is
#: never called reliable, comparisons of two copies called different, and of a longer network found.
RELIABLE, HELD, HALF_WIDTH, WRONG, FALSE, FOUND = 0.6, 0.9, 0.05, 0.05, 0.05, 0.8


@dataclass(frozen=True)
class Seen:
    """One run: its ratio with what the runs before it say, whether the two were told apart, and the others' ratios."""

    kind: str
    ratio: Ratio
    apart: bool
    others: dict[str, tuple[float, float, float]]


def judge(folder: Path) -> int:
    """Print what the runs of a collection say; 1 where it is beyond a bound."""
    kinds: dict[str, dict[str, Any]] = json.loads((folder / "kinds.json").read_text())
    seen = replayed(folder, kinds)
    by_kind = {kind["name"]: [one for one in seen if one.kind == kind["name"]] for kind in kinds.values()}
    print(
        "| runs | runs | spread | reliable | hold the others' median | half width, median | in this run, hold "
        "| the first three |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---|")
    complaints = []
    quiet = {kind["name"]: tuple(kind["networks"]) for kind in kinds.values() if not kind["load"]}
    for name, networks in quiet.items():
        pair = [one for other, runs in by_kind.items() if quiet.get(other) == networks for one in runs]
        complaints += _row(name, by_kind[name], pair)
    print()
    for kind in kinds.values():
        runs = by_kind[kind["name"]]
        truth = _truth([one for other in seen if quiet.get((one := other).kind) == tuple(kind["networks"])])
        if kind["load"] and runs and truth:
            wrong = [one for one in runs if one.ratio.reliable and abs(one.ratio.ratio / truth - 1) > WRONG]
            called = sum(one.ratio.reliable for one in runs)
            print(
                f"- {kind['name']}: {called} of {len(runs)} called reliable, "
                f"{len(wrong)} of them wrong by more than 5 %"
            )
            complaints += [f"{kind['name']}: {len(wrong)} wrong"] if wrong else []
        if "two copies" in kind["name"] and runs:
            told = sum(one.apart for one in runs)
            print(f"- {kind['name']}: called different in {told} of {len(runs)}")
            complaints += [f"{kind['name']}: called different in {told}"] if told > FALSE * len(runs) else []
        if "one more layer" in kind["name"] and runs:
            told = sum(one.apart and one.ratio.ratio > 1 for one in runs)
            print(f"- {kind['name']} ({_truth(runs):.3f} times as long): found in {told} of {len(runs)}")
            complaints += [f"{kind['name']}: found in {told}"] if told < FOUND * len(runs) else []
    for name, runs in by_kind.items():
        for other in dict.fromkeys(key for one in runs for key in one.others):
            series = [one.others[other] for one in runs if other in one.others]
            held = [
                low <= median([middle for at, (middle, _, _) in enumerate(series) if at != place]) <= high
                for place, (_, low, high) in enumerate(series)
                if len(series) > 1
            ]
            widths = [max(high - middle, middle - low) / middle for middle, low, high in series]
            spread = _spread([middle for middle, _, _ in series])
            print(
                f"- {name}, {other}: spread {spread:.1%}, {sum(held)} of {len(held)} hold the others' median, "
                f"half width {median(widths):.1%}"
            )
    reasons = [one.ratio.why for one in seen if one.ratio.why]
    print("", *(f"not reliable: {why}" for why in dict.fromkeys(reasons)), sep="\n")
    print("", *(f"FAILS: {text}" for text in complaints), sep="\n")
    return int(bool(complaints))


def replayed(folder: Path, kinds: dict[str, dict[str, Any]]) -> list[Seen]:
    """Every run in the order of time, each with the logbook of those before it."""
    files = sorted((file for file in folder.glob("*/*.json")), key=lambda file: int(file.stem))
    runs: dict[str, list[logbook.LoggedRun]] = {}
    seen = []
    for file in files:
        bare = Comparison.from_json(file.read_text())
        names = {logbook.identity(row.profile): row.name for row in bare.architectures if row.profile}
        before = runs.setdefault(str(bare.environment["fingerprint"]), [])
        found = replace(bare, logbook=logbook.opened(before, names))
        entry = entries.entry(found)
        before += [entry] if entry else []
        for ratio in found.ratios:
            interval = beyond(ratio.in_run_ci95 or ratio.ci95, found.controls.get(ratio.batch_size))
            others = file.with_suffix(".others")
            told = json.loads(others.read_text()) if others.exists() else {}
            seen.append(Seen(kinds[file.parent.name]["name"], ratio, not interval[0] <= 1 <= interval[1], told))
    return seen


def _row(name: str, runs: Sequence[Seen], pair: Sequence[Seen]) -> list[str]:
    """The row of one kind of run, and what it does not hold; `pair` are all runs of the same networks."""
    if not runs:
        return []
    held = _holding(runs, pair, lambda ratio: ratio.ci95)
    alone = _holding(runs, pair, lambda ratio: ratio.in_run_ci95 or ratio.ci95)
    later = [(one.ratio, hold) for one, hold in zip(runs[FIRST:], held[FIRST:], strict=True)]
    sure = [(ratio, hold) for ratio, hold in later if ratio.reliable]
    first = [(one.ratio, hold) for one, hold in zip(runs[:FIRST], held[:FIRST], strict=True)]
    apart = f"{sum(ratio.reliable for ratio, _ in first)} reliable, {sum(hold for _, hold in first)} hold"
    widths = [_half_width(ratio) for ratio, _ in sure]
    shown = f"{median(widths):.1%}" if widths else "none"
    spread = _spread([_own(one) for one in runs])
    holding = sum(hold for _, hold in sure)
    print(
        f"| {name} | {len(runs)} | {spread:.1%} | {len(sure)} of {len(later)} "
        f"| {holding} of {len(sure)} | {shown} | {sum(alone)} of {len(alone)} | {apart} |"
    )
    out = [f"{name}: {len(sure)} of {len(later)} reliable"] if len(sure) < RELIABLE * len(later) else []
    out += [f"{name}: {holding} of {len(sure)} hold"] if holding < HELD * len(sure) else []
    return out + ([f"{name}: half width {shown}"] if widths and median(widths) > HALF_WIDTH else [])


def _holding(
    runs: Sequence[Seen], pair: Sequence[Seen], interval: Callable[[Ratio], tuple[float, float]]
) -> list[bool]:
    """Whether each run's interval holds the median of the ratios that the other runs of these networks found."""
    found = []
    for one in runs:
        others = [_own(other) for other in pair if other is not one]
        low, high = interval(one.ratio)
        found.append(low <= (median(others) if others else _own(one)) <= high)
    return found


def _own(one: Seen) -> float:
    """What the run found alone."""
    return one.ratio.ratio if one.ratio.in_run is None else one.ratio.in_run


def _half_width(ratio: Ratio) -> float:
    return max(ratio.ci95[1] - ratio.ratio, ratio.ratio - ratio.ci95[0]) / ratio.ratio


def _truth(runs: Sequence[Seen]) -> float:
    return median([_own(one) for one in runs]) if runs else 0.0


def _spread(values: Sequence[float]) -> float:
    return (max(values) - min(values)) / median(values)
