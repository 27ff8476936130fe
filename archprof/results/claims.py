"""Claims about well-known networks, held against what was counted and measured: which of them hold here.

A claim is examined only where the networks that it is about are in the comparison. Each finding keeps the numbers that
decide; `render` words the claim and the answer. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import regression
from .comparison import Accuracy, ArchitectureResult, Comparison
from .findings import macs_of, parameters_of, usual_batch_size
from .quotients import ratio_of
from .shares import Share, shares, time_by_kind


@dataclass(frozen=True)
class Costs:
    """What one network costs: parameters, and mult-adds of one sample."""

    name: str
    parameters: float
    macs: float


@dataclass(frozen=True)
class TimeRatio:
    """Time of `one` over that of `other` at one batch size, with the 95 % interval.

    `ratio` is None where that is not known: `measured` says whether both were measured, `doubt` why a measurement
    is not reliable.
    """

    one: str
    other: str
    batch_size: int | None
    ratio: float | None = None
    ci95: tuple[float, float] | None = None
    measured: bool = False
    doubt: str = ""

    @property
    def less(self) -> bool | None:
        """Whether `one` takes less time; None where the interval contains 1, or there is none."""
        if self.ci95 is None or self.ci95[0] <= 1 <= self.ci95[1]:
            return None
        return self.ci95[1] < 1


@dataclass(frozen=True)
class DeepCostsLess:
    """ResNet-152 costs less than VGG-19 (He et al. 2015, arXiv 1512.03385)."""

    deep: Costs
    wide: Costs
    time: TimeRatio

    @property
    def holds(self) -> bool:
        """Whether it does in mult-adds."""
        return self.deep.macs < self.wide.macs


@dataclass(frozen=True)
class LinearInOperations:
    """Within a family, time is linear in operations (Canziani et al., arXiv 1605.07678): how well lines fit."""

    batch_size: int
    fits: tuple[regression.LinearFit, ...]


@dataclass(frozen=True)
class Apart:
    """The leanest VGG and the heaviest other network by one cost ('macs' or 'parameters'): names and values."""

    cost: str
    leanest: tuple[str, float]
    heaviest: tuple[str, float]

    @property
    def factor(self) -> float:
        """How many times as much the leanest VGG has; above 1 the two groups do not overlap."""
        return self.leanest[1] / self.heaviest[1]


@dataclass(frozen=True)
class StandsApart:
    """VGG stands apart in operations and parameters."""

    costs: tuple[Apart, ...]


#: Howard et al. 2017 (arXiv 1704.04861), table 2: percent of mult-adds and of weights by kind of layer.
TABLE_2 = {
    "1x1": (94.86, 74.59),
    "depthwise": (3.06, 1.06),
    "dense KxK": (1.19, 0.02),
    "fully connected": (0.18, 24.33),
}


@dataclass(frozen=True)
class PointwiseDominates:
    """MobileNet spends 94.86 % of its mult-adds and keeps 74.59 % of its weights in 1x1 convolutions: TABLE_2.

    `times` are shares of one pass by kind of layer, empty where layers were not timed; `doubt` says why they are not
    reliable.
    """

    name: str
    kinds: tuple[Share, ...]
    times: Mapping[str, float]
    doubt: str


@dataclass(frozen=True)
class SeparableCostsLess:
    """Depthwise separable convolutions cost 8 to 9 times less than standard ones, for one percent of accuracy."""

    separable: Costs
    standard: Costs
    accuracies: tuple[Accuracy, Accuracy] | None
    time: TimeRatio


@dataclass(frozen=True)
class Skips:
    """A residual network and the plain one without its shortcuts."""

    residual: Costs
    plain: Costs
    time: TimeRatio


@dataclass(frozen=True)
class SkipsAreFree:
    """Identity shortcuts cost neither parameters nor operations."""

    pairs: tuple[Skips, ...]


@dataclass(frozen=True)
class BelowLimit:
    """A ResNet for CIFAR-10 with one block in each of four stages stays below 5 M parameters."""

    name: str
    parameters: int
    limit: int = 5_000_000

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return self.parameters < self.limit


Claim = (
    DeepCostsLess
    | LinearInOperations
    | StandsApart
    | PointwiseDominates
    | SeparableCostsLess
    | SkipsAreFree
    | BelowLimit
)


def claims(comparison: Comparison) -> list[Claim]:
    """The claims that the comparison can answer, each with the numbers that decide."""
    asked: tuple[Callable[[Comparison], Claim | None], ...] = (
        _deep_costs_less,
        _linear_in_operations,
        _stands_apart,
        _pointwise_dominates,
        _separable_costs_less,
        _skips_are_free,
        _below_limit,
    )
    return [found for ask in asked if (found := ask(comparison)) is not None]


def _deep_costs_less(comparison: Comparison) -> DeepCostsLess | None:
    deep, wide = _named(comparison, "resnet152"), _named(comparison, "vgg19")
    if deep is None or wide is None:
        return None
    return DeepCostsLess(_costs(deep), _costs(wide), _time_ratio(comparison, deep, wide))


def _linear_in_operations(comparison: Comparison) -> LinearInOperations | None:
    size = usual_batch_size(comparison)
    found = tuple(fit for fit in regression.fits(comparison) if fit.batch_size == size and fit.r2 is not None)
    return LinearInOperations(size, found) if size is not None and found else None


def _stands_apart(comparison: Comparison) -> StandsApart | None:
    counted = [row for row in comparison.architectures if row.profile]
    inside = [row for row in counted if _plain(row.name).startswith("vgg")]
    outside = [row for row in counted if row not in inside]
    if not inside or len(outside) < 2:
        return None
    found = []
    for cost, value in (("macs", macs_of), ("parameters", parameters_of)):
        least, most = min(inside, key=value), max(outside, key=value)
        found.append(Apart(cost, (least.name, value(least)), (most.name, value(most))))
    return StandsApart(tuple(found))


def _pointwise_dominates(comparison: Comparison) -> PointwiseDominates | None:
    row = _named(comparison, "mobilenetv1")
    if row is None or row.profile is None or not row.profile.by_type:
        return None
    kinds = tuple(share for share in shares(row.profile).kinds if share.kind in TABLE_2)
    doubt = (row.division.why or "") if row.division else ""
    return PointwiseDominates(row.name, kinds, time_by_kind(row.profile), doubt)


def _separable_costs_less(comparison: Comparison) -> SeparableCostsLess | None:
    thin, dense = _named(comparison, "mobilenetv1"), _named(comparison, "mobilenetv1conv")
    if thin is None or dense is None:
        return None
    one, other = (row.top("top1", comparison.dataset) for row in (thin, dense))
    both = (one, other) if one and other else None
    return SeparableCostsLess(_costs(thin), _costs(dense), both, _time_ratio(comparison, thin, dense))


def _skips_are_free(comparison: Comparison) -> SkipsAreFree | None:
    known = {_plain(row.name): row for row in comparison.architectures if row.profile}
    pairs = [(row, known[_twin(name)]) for name, row in known.items() if _twin(name) in known]
    if not pairs:
        return None
    return SkipsAreFree(
        tuple(
            Skips(_costs(residual), _costs(plain), _time_ratio(comparison, residual, plain))
            for residual, plain in pairs
        )
    )


def _below_limit(comparison: Comparison) -> BelowLimit | None:
    row = _named(comparison, "resnet10cifar")
    return BelowLimit(row.name, row.profile.parameters) if row is not None and row.profile is not None else None


def _time_ratio(comparison: Comparison, one: ArchitectureResult, other: ArchitectureResult) -> TimeRatio:
    size = usual_batch_size(comparison)
    a, b = (row.latency_at(size) if size else None for row in (one, other))
    if a is None or b is None or not (a.measured and b.measured):
        return TimeRatio(one.name, other.name, size)
    if not (a.reliable and b.reliable):
        return TimeRatio(one.name, other.name, size, measured=True, doubt=a.why or b.why or "")
    return TimeRatio(one.name, other.name, size, *ratio_of(a, b), measured=True)


def _costs(row: ArchitectureResult) -> Costs:
    return Costs(row.name, parameters_of(row), macs_of(row))


def _twin(name: str) -> str:
    """'resnet20cifar' -> 'plain20cifar', 'resnettiny' -> 'plaintiny'."""
    return f"plain{name.removeprefix('resnet')}" if name.startswith("resnet") else ""


def _named(comparison: Comparison, name: str) -> ArchitectureResult | None:
    """The network of that plain name that was counted."""
    return next((row for row in comparison.architectures if _plain(row.name) == name and row.profile), None)


def _plain(name: str) -> str:
    """'torchvision:ResNet_152' -> 'resnet152': the source left out, spelling made plain."""
    return re.sub(r"[\s_.\-]", "", name.rpartition(":")[2]).lower()
