"""Claims about well-known networks and what `results.claims` found, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

from ..base import units
from ..results.claims import (
    TABLE_2,
    BelowLimit,
    Claim,
    Costs,
    DeepCostsLess,
    LinearInOperations,
    PointwiseDominates,
    SeparableCostsLess,
    Skips,
    SkipsAreFree,
    StandsApart,
    TimeRatio,
    claims,
)
from ..results.comparison import Comparison
from .words import COST_WORDS, listed, with_interval


@dataclass(frozen=True)
class Answer:
    """A claim, and what this comparison says about it."""

    claim: str
    answer: str


def answers(comparison: Comparison) -> list[Answer]:
    """Answers to the claims whose networks are in the comparison."""
    return [_answer(found) for found in claims(comparison)]


@singledispatch
def _answer(found: Claim) -> Answer:
    raise AssertionError(f"a claim without words: {found}")


@_answer.register
def _deep_costs_less(found: DeepCostsLess) -> Answer:
    deep, wide = found.deep, found.wide
    said = (
        f"In mult-adds {_yes(found.holds)}: {units.count(deep.macs)} against {units.count(wide.macs)}, "
        f"{units.percent(deep.macs / wide.macs, 0)}."
    )
    return Answer("ResNet-152 costs less than VGG-19", f"{said} {_in_time(found.time)}")


@_answer.register
def _linear_in_operations(found: LinearInOperations) -> Answer:
    said = "; ".join(
        f"{fit.family} R² {fit.r2:.3f} over {len(fit.names)} networks, "
        f"{units.significant(fit.seconds_per_mac * 1e12)} ms for each G of mult-adds"
        for fit in found.fits
    )
    return Answer(
        "Within a family, time is linear in operations",
        f"At batch size {found.batch_size}: {said}. Families of fewer than three reliable networks say nothing.",
    )


@_answer.register
def _stands_apart(found: StandsApart) -> Answer:
    said = []
    for cost in found.costs:
        (lean, least), (heavy, most) = cost.leanest, cost.heaviest
        said.append(
            f"In {COST_WORDS[cost.cost]} {_yes(cost.factor > 1)}: the leanest VGG here, {lean}, has "
            f"{units.count(least)}, {units.significant(cost.factor, 2)} times the {units.count(most)} of {heavy}, "
            "the heaviest of the others."
        )
    return Answer("VGG stands apart in operations and parameters", " ".join(said))


@_answer.register
def _pointwise_dominates(found: PointwiseDominates) -> Answer:
    macs = listed([f"{units.percent(share.macs_fraction)} {share.kind}" for share in found.kinds])
    weights = listed([f"{units.percent(share.weights_fraction)} {share.kind}" for share in found.kinds])
    return Answer(
        "MobileNet spends 94.86 % of its mult-adds and keeps 74.59 % of its weights in 1x1 convolutions",
        f"Counted here for {found.name}: of mult-adds {macs}; of weights {weights}. The claim is that of "
        "Howard et al. (arXiv 1704.04861, table 2), which leaves biases and batch norms out, as is done here. For the "
        "dense stem the paper prints 1.19 % of mult-adds: two digits swapped, for its column adds up to 99.29 %. "
        f"{_shares_of_time(found)}",
    )


def _shares_of_time(found: PointwiseDominates) -> str:
    if not found.times:
        return "Shares of time were not measured."
    kinds = [kind for kind in (*TABLE_2, "other") if kind in found.times]
    said = listed([f"{units.percent(found.times[kind])} {kind}" for kind in kinds])
    doubt = f", which is not reliable ({found.doubt.rstrip('.')})" if found.doubt else ""
    return f"Shares of time differ: of one pass at batch size 1 here {said}{doubt}."


@_answer.register
def _separable_costs_less(found: SeparableCostsLess) -> Answer:
    thin, dense = found.separable, found.standard
    said = [
        f"In mult-adds {units.significant(dense.macs / thin.macs)} times less ({units.count(thin.macs)} against "
        f"{units.count(dense.macs)}), in parameters {units.significant(dense.parameters / thin.parameters)} times "
        f"({units.count(thin.parameters)} against {units.count(dense.parameters)})."
    ]
    if found.accuracies:
        said.append("Published top-1: {:.1f} % against {:.1f} %.".format(*(a.percent for a in found.accuracies)))
    return Answer(
        "Depthwise separable convolutions cost 8 to 9 times less than standard ones, for one percent of accuracy",
        " ".join([*said, _in_time(found.time)]),
    )


@_answer.register
def _skips_are_free(found: SkipsAreFree) -> Answer:
    return Answer("Identity shortcuts cost neither parameters nor operations", " ".join(map(_pair, found.pairs)))


def _pair(found: Skips) -> str:
    residual, plain, time = found.residual, found.plain, found.time
    took = ""
    if time.ratio is not None and time.ci95 is not None:
        took = f" At batch size {time.batch_size} it takes {with_interval(time.ratio, time.ci95)} times as long."
    return f"{residual.name}{_extra(residual, plain)} {plain.name}.{took}"


def _extra(residual: Costs, plain: Costs) -> str:
    parameters, macs = residual.parameters - plain.parameters, residual.macs - plain.macs
    if (parameters, macs) == (0, 0):
        return " has the same parameters and mult-adds as"
    return (
        f", whose shortcuts do not all stay identities, has {_more(parameters)} parameters and "
        f"{_more(macs)} mult-adds than"
    )


def _more(extra: float) -> str:
    return f"{abs(extra):,.0f} {'more' if extra >= 0 else 'fewer'}"


@_answer.register
def _below_limit(found: BelowLimit) -> Answer:
    return Answer(
        f"A ResNet for CIFAR-10 with one block in each of four stages stays below {found.limit / 1e6:g} M parameters",
        f"{'Yes' if found.holds else 'No'}: {found.name} has {found.parameters:,}, with 1x1 projections in its "
        "shortcuts.",
    )


def _in_time(time: TimeRatio) -> str:
    """Whether `one` takes less time than `other`, by the interval of their ratio, or why that is not answered."""
    if not time.measured:
        return "In time: not answered, because they were not both measured."
    if time.ratio is None or time.ci95 is None:
        return (
            f"In time: not answered, because the measurements at batch size {time.batch_size} are not reliable "
            f"({time.doubt.rstrip('.')})."
        )
    verdict = "they cannot be told apart" if time.less is None else _yes(time.less)
    return (
        f"In time at batch size {time.batch_size}, {verdict}: {time.one} takes "
        f"{with_interval(time.ratio, time.ci95)} times as long."
    )


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"
