"""What `results.answer` found, in at most six sentences and a line that says where the rest is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..base import units
from ..results.answer import Accurate, Answer, At, Doubts, answer
from ..results.comparison import Comparison
from ..results.environment import memory_words
from ..results.findings import Extremes
from .reasons import named, unsure_ratios
from .words import COST_WORDS, capital, listed

#: So many names, or reasons, are said one by one.
FEW = 3

#: Letters of a reason that are said at most.
_REASON = 110


def sentences(comparison: Comparison) -> list[str]:
    """Smallest, fastest, most accurate, the front, separable convolutions, and what cannot be relied on."""
    found = answer(comparison)
    said = [
        _smallest(found),
        _fastest(found),
        *_ratios(comparison),
        *_accurate(comparison, found),
        _separable(found),
        _doubts(comparison, found.doubts),
    ]
    return [sentence for sentence in said if sentence]


def more(comparison: Comparison) -> str:
    """What --details shows besides."""
    parts = ["kinds of layer", "all memory"]
    parts += ["intervals", "ratios"] if comparison.batch_sizes else []
    parts += ["power"] if comparison.metered else []
    parts += ["sources"] if any(row.accuracy for row in comparison.architectures) else []
    return f"--details adds {listed(parts)}."


def _smallest(found: Answer) -> str:
    told: list[str] = []
    last = ""
    for extremes in found.extremes:
        best = found.best_by(extremes.cost)
        if not best.names:
            continue
        if not best.chosen:
            told.append(f"all have {units.count(extremes.least[1])} {COST_WORDS[extremes.cost]}")
            last = ""
            continue
        names = some(best.names)
        amount = f"{units.count(extremes.least[1])} {COST_WORDS[extremes.cost]}{_most(extremes)}"
        told.append(amount if names == last else f"{names} with {amount}")
        last = names
    return f"Smallest: {' and '.join(told)}." if told else ""


def _most(extremes: Extremes) -> str:
    """' (alexnet has 14.4 times as many)', ' (resnet34 has 2.1 % more)'."""
    (_, low), (most, high) = extremes.least, extremes.most
    if not low:
        return ""
    factor = high / low
    more_by = f"{units.significant(100 * (factor - 1), 2)} % more"
    return f" ({most} has {more_by if factor < 1.1 else f'{units.significant(factor)} times as many'})"


def _fastest(found: Answer) -> str:
    groups: dict[tuple[str, ...], list[int]] = {}
    for best in found.best:
        if best.measure == "seconds" and best.among > 1:
            groups.setdefault(best.names, []).append(best.batch_size or 0)
    told = []
    for names, sizes in groups.items():
        every = len(groups) == 1 and len(sizes) > 1
        where = "at every batch size" if every else f"at batch {listed(list(map(str, sizes)))}"
        if not names:
            told.append(f"not known {where}, where the least time is not reliable")
        elif len(names) > 1:
            told.append(f"{some(names)} {where}, which cannot be told apart")
        else:
            told.append(f"{names[0]} {where}")
    parts = [f"fastest: {'; '.join(told)}"] if told else []
    if found.least_energy:
        name, batch_size, joules = found.least_energy
        parts.append(f"least energy for a sample: {name} with {units.joules(joules)} at batch {batch_size}")
    return f"{capital('; '.join(parts))}." if parts else ""


def _ratios(comparison: Comparison) -> list[str]:
    """How many times as long the others take as the reference, over runs, where these are few."""
    if comparison.logbook is None:
        return []
    least = min((ratio.batch_size for ratio in comparison.ratios), default=None)
    found = [ratio for ratio in comparison.ratios if ratio.batch_size == least]
    return [f"{ratio.sentence}." for ratio in found] if len(found) < FEW else []


def _accurate(comparison: Comparison, found: Answer) -> list[str]:
    best = found.accurate
    if best is None:
        if not any(row.profile for row in comparison.architectures):
            return []
        return ["No top-1 accuracy is known of these networks; --accuracy FILE brings one."]
    of = f"{best.claim.percent:.1f} % top-1 on {best.claim.dataset}"
    if len(comparison.architectures) == 1:
        return [f"{best.name} has {of}."]
    sources = f" (claims of {best.sources} sources)" if best.sources > 1 else ""
    said = f"Most accurate: {some(found.best_by('top1').names)} with {of}{sources}"
    if best.next_best and best.points > 0 and best.factor:
        points, factor = units.significant(best.points, 2), units.significant(best.factor)
        said += f", {points} points above {best.next_best} for {factor} times the mult-adds"
    return [f"{said}.", *_front(best)]


def _front(best: Accurate) -> list[str]:
    if len(best.front) + len(best.behind) < 2:
        return []
    others = f"; {some(best.behind)} {'is' if len(best.behind) == 1 else 'are'} not" if best.behind else ""
    names = some(best.front, 2 * FEW) + others if len(best.front) > 1 else f"{best.front[0]} alone"
    return [f"Pareto front of top-1 and mult-adds: {names}."]


def _separable(found: Answer) -> str:
    if not found.savings:
        return ""
    if len(found.savings) <= FEW:
        parts = [f"{units.percent(ratio, 0)} of {name}'s" for name, ratio in found.savings]
        kept = f"{listed(parts)} mult-adds"
    else:
        (least, low), (most, high) = found.savings[0], found.savings[-1]
        kept = (
            f"from {units.percent(low, 0)} ({least}) to {units.percent(high, 0)} ({most}) of the mult-adds of "
            f"{len(found.savings)} networks"
        )
    return f"Separable convolutions would leave {kept} (by the formula)."


def _doubts(comparison: Comparison, found: Doubts) -> str:
    """What is missing and what cannot be relied on, in one sentence."""
    parts = []
    if found.failed:
        parts.append(f"failed: {some([name for name, _ in found.failed])}")
    if found.uncounted:
        operators = list(dict.fromkeys(op for _, ops in found.uncounted for op in ops))
        parts.append(f"not counted (*): {some(operators)} of {some([name for name, _ in found.uncounted])}")
    if found.noted:
        (first, notes), others = found.noted[0], len(found.noted) - 1
        more_notes = f" and {others} more, see --details" if others else ""
        parts.append(f"how it was counted: {first} ({_short(notes[0])}){more_notes}")
    if found.unpublished and any(row.top("top1", comparison.dataset) for row in comparison.architectures):
        parts.append(f"no top-1 known: {some(found.unpublished)}")
    if found.without_scratch:
        parts.append("memory without what operators take for themselves, which is not known here")
    parts += _places("not measured", found.unmeasured, f"{found.times} times")
    parts += _places("not reliable (~)", found.unreliable, f"{found.times} times")
    told = {*found.unmeasured, *found.unreliable}
    parts += _places("ratio not reliable", unsure_ratios(comparison, told), f"{len(comparison.ratios)} ratios")
    if (words := memory_words(comparison.environment)) and not comparison.environment.get("keep_memory"):
        parts += [f"memory that a pass freed was {words}"] if comparison.batch_sizes else []
    if found.within is not None and comparison.stopping and found.times:
        within = f"within {100 * comparison.stopping.precision:g} %"
        if found.within == found.times:
            parts.append(f"every time is {within}")
        else:
            parts.append(f"{found.within} of {found.times} times are {within} (--time-budget allows more)")
    return f"{capital('; '.join(parts))}." if parts else ""


def _places(what: str, places: Mapping[At, str], of: str) -> list[str]:
    """Who and at which batch sizes, with the reason of the first."""
    if not places:
        return []
    told = f"{len(places)} of {of}" if len(places) > FEW else named(places)
    (first, size), reason = next(iter(places.items()))
    whose = f"{first} at {size}: " if len(places) > 1 else ""
    return [f"{what}: {told} ({whose}{_short(reason)})"]


def _short(reason: str) -> str:
    """The first part of a reason."""
    said = reason.partition(";")[0].rstrip(".")
    return said if len(said) <= _REASON else f"{said[:_REASON]}..."


def some(names: Sequence[str], most: int = FEW) -> str:
    """'a, b and c'; 'a, b, c and 4 more' where there are more than `most`."""
    if len(names) <= most:
        return listed(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"
