"""Claims about well-known networks, answered by what was counted and measured here.

A claim is answered only where the networks that it is about are there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..base import units
from ..results import regression
from ..results.comparison import ArchitectureResult, Comparison
from ..results.ratios import ratio_of
from ..separable.records import shares
from .figures import usual_batch_size
from .findings import listed, macs_of, parameters_of, with_interval
from .report_tables import time_by_kind


@dataclass(frozen=True)
class Answer:
    """A claim, and what this comparison says about it."""

    claim: str
    answer: str


def answers(comparison: Comparison) -> list[Answer]:
    """Answers to the claims whose networks are in the comparison."""
    asked: tuple[Callable[[Comparison], Answer | None], ...] = (
        _resnet152_against_vgg19,
        _linear_in_operations,
        _vgg_stands_apart,
        _mobilenet_shares,
        _mobilenet_against_dense,
        _skips_are_free,
        _under_five_million,
    )
    return [answer for ask in asked if (answer := ask(comparison)) is not None]


def _resnet152_against_vgg19(comparison: Comparison) -> Answer | None:
    deep, wide = _named(comparison, "resnet152"), _named(comparison, "vgg19")
    if deep is None or wide is None:
        return None
    share = macs_of(deep) / macs_of(wide)
    said = (
        f"In mult-adds {'yes' if share < 1 else 'no'}: {units.count(macs_of(deep))} against "
        f"{units.count(macs_of(wide))}, {units.percent(share, 0)}."
    )
    return Answer("ResNet-152 costs less than VGG-19", f"{said} {_in_time(comparison, deep, wide)}")


def _in_time(comparison: Comparison, one: ArchitectureResult, other: ArchitectureResult) -> str:
    """Whether `one` takes less time than `other`, by the interval of their ratio, or why that is not answered."""
    size = usual_batch_size(comparison)
    a, b = (row.latency_at(size) if size else None for row in (one, other))
    if a is None or b is None or not (a.measured and b.measured):
        return "In time: not answered, for they were not both measured."
    if not (a.reliable and b.reliable):
        return (
            f"In time: not answered, for the readings at batch size {size} cannot be relied on "
            f"({(a.why or b.why or '').rstrip('.')})."
        )
    ratio, (low, high) = ratio_of(a, b)
    verdict = "yes" if high < 1 else "no" if low > 1 else "they cannot be told apart"
    return (
        f"In time at batch size {size}, {verdict}: {one.name} takes {with_interval(ratio, (low, high))} times as long."
    )


def _linear_in_operations(comparison: Comparison) -> Answer | None:
    size = usual_batch_size(comparison)
    if size is None:
        return None
    found = [fit for fit in regression.fits(comparison) if fit.batch_size == size and fit.r2 is not None]
    if not found:
        return None
    said = "; ".join(
        f"{fit.family} R² {fit.r2:.3f} over {len(fit.names)} networks, "
        f"{units.significant(fit.seconds_per_mac * 1e12)} ms for each G of mult-adds"
        for fit in found
    )
    return Answer(
        "Within a family, time is linear in operations",
        f"At batch size {size}: {said}. Families of fewer than three reliable networks say nothing.",
    )


def _vgg_stands_apart(comparison: Comparison) -> Answer | None:
    counted = [row for row in comparison.architectures if row.profile]
    inside = [row for row in counted if re.match("vgg", _plain(row.name))]
    outside = [row for row in counted if row not in inside]
    if not inside or len(outside) < 2:
        return None
    said = []
    for words, value in (("mult-adds", macs_of), ("parameters", parameters_of)):
        least, most = min(inside, key=value), max(outside, key=value)
        factor = value(least) / value(most)
        said.append(
            f"In {words} {'yes' if factor > 1 else 'no'}: the leanest VGG here, {least.name}, has "
            f"{units.count(value(least))}, {units.significant(factor, 2)} times the "
            f"{units.count(value(most))} of {most.name}, the heaviest of the others."
        )
    return Answer("VGG stands apart in operations and parameters", " ".join(said))


#: Howard et al. 2017 (arXiv 1704.04861), table 2: percent of mult-adds and of weights by kind of layer.
TABLE_2 = {
    "1x1": (94.86, 74.59),
    "depthwise": (3.06, 1.06),
    "dense KxK": (1.19, 0.02),
    "fully connected": (0.18, 24.33),
}


def _mobilenet_shares(comparison: Comparison) -> Answer | None:
    row = _named(comparison, "mobilenetv1")
    if row is None or row.profile is None or not row.profile.by_type:
        return None
    macs, weights = [], []
    for share in shares(row.profile).kinds:
        if share.kind in TABLE_2:
            macs.append(f"{units.percent(share.macs_fraction)} {share.kind}")
            weights.append(f"{units.percent(share.weights_fraction)} {share.kind}")
    answer = (
        f"Counted here for {row.name}: of mult-adds {listed(macs)}; of weights {listed(weights)}. The claim is that of "
        "Howard et al. (arXiv 1704.04861, table 2), which leaves biases and batch norms out, as is done here. For the "
        "dense stem the paper prints 1.19 % of mult-adds: two digits swapped, for its column adds up to 99.29 %. "
        f"{_shares_of_time(row)}"
    )
    return Answer(
        "MobileNet spends 94.86 % of its mult-adds and keeps 74.59 % of its weights in 1x1 convolutions", answer
    )


def _shares_of_time(row: ArchitectureResult) -> str:
    times = time_by_kind(row)
    if not times:
        return "Shares of time are another matter and were not measured."
    said = listed([f"{units.percent(times[kind])} {kind}" for kind in (*TABLE_2, "other") if kind in times])
    doubt = f", which cannot be relied on ({row.division.why.rstrip('.')})" if row.division and row.division.why else ""
    return f"Shares of time are another matter: of one pass at batch size 1 here {said}{doubt}."


def _mobilenet_against_dense(comparison: Comparison) -> Answer | None:
    thin, dense = _named(comparison, "mobilenetv1"), _named(comparison, "mobilenetv1conv")
    if thin is None or dense is None:
        return None
    said = [
        f"In mult-adds {units.significant(macs_of(dense) / macs_of(thin))} times less "
        f"({units.count(macs_of(thin))} against {units.count(macs_of(dense))}), in parameters "
        f"{units.significant(parameters_of(dense) / parameters_of(thin))} times "
        f"({units.count(parameters_of(thin))} against {units.count(parameters_of(dense))})."
    ]
    one, other = (row.top("top1", comparison.dataset) for row in (thin, dense))
    if one and other:
        said.append(f"Published top-1: {one.percent:.1f} % against {other.percent:.1f} %.")
    said.append(_in_time(comparison, thin, dense))
    return Answer(
        "Depthwise separable convolutions cost 8 to 9 times less than standard ones, for one percent of accuracy",
        " ".join(said),
    )


def _skips_are_free(comparison: Comparison) -> Answer | None:
    known = {_plain(row.name): row for row in comparison.architectures if row.profile}
    pairs = [(row, known[_twin(name)]) for name, row in known.items() if _twin(name) in known]
    if not pairs:
        return None
    said = []
    for residual, plain in pairs:
        extra = parameters_of(residual) - parameters_of(plain), macs_of(residual) - macs_of(plain)
        counted = (
            " has the same parameters and mult-adds as"
            if extra == (0, 0)
            else f", whose shortcuts do not all stay identities, has {_more(extra[0])} parameters and "
            f"{_more(extra[1])} mult-adds than"
        )
        time = _cost_of_skips(comparison, residual, plain)
        said.append(f"{residual.name}{counted} {plain.name}.{time}")
    return Answer("Identity shortcuts cost neither parameters nor operations", " ".join(said))


def _twin(name: str) -> str:
    """'resnet20cifar' -> 'plain20cifar', 'resnettiny' -> 'plaintiny'."""
    return f"plain{name.removeprefix('resnet')}" if name.startswith("resnet") else ""


def _more(extra: float) -> str:
    return f"{abs(extra):,.0f} {'more' if extra >= 0 else 'fewer'}"


def _cost_of_skips(comparison: Comparison, residual: ArchitectureResult, plain: ArchitectureResult) -> str:
    size = usual_batch_size(comparison)
    a, b = (row.latency_at(size) if size else None for row in (residual, plain))
    if a is None or b is None or not (a.measured and b.measured and a.reliable and b.reliable):
        return ""
    return f" At batch size {size} it takes {with_interval(*ratio_of(a, b))} times as long."


def _under_five_million(comparison: Comparison) -> Answer | None:
    row = _named(comparison, "resnet10cifar")
    if row is None or row.profile is None:
        return None
    count = row.profile.parameters
    return Answer(
        "A ResNet for CIFAR-10 with one block in each of four stages stays below 5 M parameters",
        f"{'Yes' if count < 5_000_000 else 'No'}: {row.name} has {count:,}, with 1x1 projections in its shortcuts.",
    )


def _named(comparison: Comparison, name: str) -> ArchitectureResult | None:
    """The network of that plain name that was counted."""
    return next((row for row in comparison.architectures if _plain(row.name) == name and row.profile), None)


def _plain(name: str) -> str:
    """'torchvision:ResNet_152' -> 'resnet152': the source left out, spelling made plain."""
    return re.sub(r"[\s_.\-]", "", name.rpartition(":")[2]).lower()
