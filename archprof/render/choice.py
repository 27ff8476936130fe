"""Which network to choose, and why, in two sentences."""

from __future__ import annotations

from ..base import units
from ..results.choice import Choice, NextStep, Option
from ..results.columns import COLUMNS
from ..results.where import told
from .words import capital, listed

#: How to bring accuracies that are not known.
BRING = "Bring your own: --accuracy own.csv (architecture,dataset,metric,percent,source)."


def summary(found: Choice) -> list[str]:
    """Which one and why; what the next step up costs, and how much the recipe has to do with it; what was skipped."""
    if found.emptied is not None:
        said = [told(found.emptied, found.nearest, found.considered)]
        if found.emptied.value is None and found.emptied.limit.column.name in ("top1", "top5"):
            said.append(BRING)
        return said + _skipped(found)
    best = found.best
    if best is None:
        return ["No network is left.", *_skipped(found)]
    said = [_best(found, best)]
    if found.sort.name == "top1" and best.claim is not None:
        said.append(_next(found, best))
    if best.claim is None:
        whose = "any network here" if not any(option.claim for option in found.options) else "this one"
        said.append(f"No accuracy on {found.dataset} is known of {whose}. {BRING}")
    return said + _skipped(found)


def _best(found: Choice, best: Option) -> str:
    count = len(found.options)
    among = f"of {count:,} {'network' if count == 1 else 'networks'}{' within the limits' if found.limits else ''}"
    if found.skipped or any(limit.column.measured for limit in found.limits):
        among = "of those within every limit"
    value = best.facts.get(found.sort.name)
    if found.sort.name == "top1" and best.claim is not None:
        why = f"the highest top-1 {among}, {best.claim.percent:.2f} % on {found.dataset} with {_whose(best)}"
    elif value is None or value == "":
        why = f"the fewest mult-adds {among}, for no {found.sort.name} is known"
    else:
        why = f"first {among} by {found.sort.name}: {found.sort.told(value)}"
    at = f" at {'x'.join(map(str, best.input_shape[-2:]))}" if best.input_shape else ""
    timed = ""
    if best.measured is not None and best.measured.measured:
        timed = f", {units.milliseconds(best.measured.p50_s)} ms at batch {found.batch_size}"
    doubt = " (its measurement does not tell for certain that it is within)" if best.name in found.unsure else ""
    return f"{best.name}: {why}; {_costs(best)}{at}{timed}{doubt}."


def _whose(option: Option) -> str:
    claim = option.claim
    assert claim is not None
    before = f", pre-trained on {claim.pretraining}" if claim.pretraining else ""
    return f"{f'weights {claim.weights}' if claim.weights else claim.source}{before}"


def _costs(option: Option) -> str:
    return f"{units.count(option.facts['parameters'])} parameters and {units.count(option.facts['macs'])} mult-adds"


def _next(found: Choice, best: Option) -> str:
    step = found.next_step
    if step is None:
        beyond = "no network here is more accurate" if not found.limits else "nothing more accurate is just beyond them"
        return f"{capital(beyond)}; {_spread(best)}."
    assert best.claim is not None and step.option.claim is not None
    more = step.option.claim.percent - best.claim.percent
    costs = listed([_growth(cost, best, step.option) for cost in step.costs])
    trained = step.option.claim.pretraining
    extra = (
        f", and was pre-trained on {trained} beside ImageNet-1k"
        if trained and trained != best.claim.pretraining
        else ""
    )
    return (
        f"The next step up, {step.option.name} (+{more:.2f} points), needs {costs}{extra}; {_recipe(best, step, more)}."
    )


def _growth(cost: str, best: Option, other: Option) -> str:
    mine, theirs = best.facts[cost], other.facts[cost]
    return f"{COLUMNS[cost].told(theirs)} ({units.signed_percent(theirs / mine - 1) if mine else 'from none'})"


def _recipe(best: Option, step: NextStep, more: float) -> str:
    """How much of the difference to the next step is the recipe's."""
    shared = step.under_one_recipe
    if shared is None:
        return f"the two share no recipe, and {_spread(best)}"
    tag, points = shared
    assert best.claim is not None and step.option.claim is not None
    if best.claim.weights == step.option.claim.weights:
        return f"both have the recipe {tag}, so that the difference is the architecture's"
    return (
        f"with one recipe for both, {tag}, the architectures differ by {points:+.2f} points, "
        f"so that {more - points:+.2f} of the {more:+.2f} are the recipe's"
    )


def _spread(best: Option) -> str:
    """How far apart the recipes of this architecture lie, at this resolution and without other data."""
    assert best.claim is not None
    alike = [claim for claim in best.others if claim.pretraining == best.claim.pretraining]
    if not alike:
        return "no other recipe of this architecture is published at this size to tell the recipe's part from"
    least = min(alike, key=lambda claim: claim.percent)
    points = best.claim.percent - least.percent
    return (
        f"the recipe alone moves this architecture by {points:.2f} points "
        f"({least.percent:.2f} % with {least.weights or least.source})"
    )


def _skipped(found: Choice) -> list[str]:
    said = []
    if found.skipped:
        said.append("Not measured: " + "; ".join(f"{count:,}, because {why}" for count, why in found.skipped) + ".")
    return said + [f"{note}." for note in found.notes]
