"""What a comparison says, in sentences: a summary, and answers to claims about well-known networks.

Every number in a sentence is taken from the record; a claim is answered only where the networks that it is
about
are there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .. import least_squares, units
from ..records import ArchitectureResult, Comparison, StaticProfile
from ..timing import Latency, ratio_of
from .figures import usual_batch_size


@dataclass(frozen=True)
class Answer:
    """A claim, and what this comparison says about it."""

    claim: str
    answer: str


def timed(comparison: Comparison, batch_size: int) -> Iterable[tuple[ArchitectureResult, Latency]]:
    """The networks measured at that batch size."""
    for row in comparison.architectures:
        cell = row.latency_at(batch_size)
        if cell is not None and cell.measured:
            yield row, cell


# -- summary -------------------------------------------------------------------------------------


def summary(comparison: Comparison) -> list[str]:
    """The few sentences that a hurried reader needs."""
    counted = [row for row in comparison.architectures if row.profile]
    failed = [row for row in comparison.architectures if not row.profile]
    out = []
    if len(counted) > 1:
        for words, value in (("parameters", _parameters), ("mult-adds", _macs)):
            least, most = min(counted, key=value), max(counted, key=value)
            if value(most) > value(least) > 0:
                out.append(
                    f"{_capital(words)} run from {units.count(value(least))} ({least.name}) to "
                    f"{units.count(value(most))} ({most.name}), a factor of "
                    f"{units.significant(value(most) / value(least))}."
                )
    out += _accuracy_sentence(comparison)
    out += _time_sentences(comparison)
    for row in failed:
        out.append(f"{row.name} failed: {(row.error or 'no reason was recorded').rstrip('.')}.")
    uncounted = [row.name for row in counted if row.profile and row.profile.uncounted]
    if uncounted:
        out.append(
            f"Some operators of {_and(uncounted)} have no formula; their mult-adds are left out and named "
            "below the table."
        )
    return out


def _accuracy_sentence(comparison: Comparison) -> list[str]:
    claims = [(row, claim) for row in comparison.architectures if (claim := row.top()) is not None]
    if not claims:
        return ["No accuracy is published here for any of these networks."]
    row, claim = max(claims, key=lambda pair: pair[1].percent)
    out = [
        f"The highest published top-1 accuracy on {claim.dataset} is {claim.percent:.2f} % ({row.name}, "
        f"{claim.source})."
    ]
    without = [r.name for r in comparison.architectures if r.top() is None]
    if without:
        out.append(f"No top-1 accuracy is published here for {_and(without)}.")
    return out


def _time_sentences(comparison: Comparison) -> list[str]:
    size = usual_batch_size(comparison)
    if size is None:
        return ["Latency was not measured."]
    cells = list(timed(comparison, size))
    sure = [(row, cell) for row, cell in cells if cell.reliable]
    out = []
    if sure:
        (fast, least), (slow, most) = (choose(sure, key=lambda pair: pair[1].p50_s) for choose in (min, max))
        told = f"At batch size {size} the fastest is {fast.name} with {interval(least)}"
        if fast is not slow:
            ratio = _ratio(*ratio_of(most, least))
            told += f", the slowest {slow.name} with {interval(most)}: {ratio} times as long"
        out.append(f"{told}.")
    doubtful = [row.name for row, cell in cells if not cell.reliable]
    if doubtful:
        out.append(
            f"Not to be relied on at batch size {size}, because the machine was disturbed: {_and(doubtful)}."
        )
    absent = [row.name for row in comparison.architectures if all(row is not other for other, _ in cells)]
    if absent:
        out.append(f"Not measured at batch size {size}: {_and(absent)}.")
    return out


def interval(cell: Latency) -> str:
    """'12.3 ms (95 % interval 12.1 to 12.6)' for a pass of the whole batch."""
    low, high = cell.ci95_s
    return (
        f"{units.milliseconds(cell.p50_s)} ms (95 % interval {units.milliseconds(low)} to "
        f"{units.milliseconds(high)})"
    )


# -- claims --------------------------------------------------------------------------------------


def answers(comparison: Comparison) -> list[Answer]:
    """Answers to the claims whose networks are in the comparison."""
    asked: tuple[Callable[[Comparison], Answer | None], ...] = (
        _resnet152_against_vgg19,
        _linear_in_operations,
        _vgg_stands_apart,
        _pointwise_share,
    )
    return [answer for ask in asked if (answer := ask(comparison)) is not None]


def _resnet152_against_vgg19(comparison: Comparison) -> Answer | None:
    deep, wide = _named(comparison, "resnet152"), _named(comparison, "vgg19")
    if deep is None or wide is None:
        return None
    share = _macs(deep) / _macs(wide)
    said = [
        f"In mult-adds {'yes' if share < 1 else 'no'}: {units.count(_macs(deep))} against "
        f"{units.count(_macs(wide))}, {units.percent(share, 0)}."
    ]
    size = usual_batch_size(comparison)
    a, b = (row.latency_at(size) if size else None for row in (deep, wide))
    if a is None or b is None or not (a.measured and b.measured):
        said.append("In time: not answered, for they were not both measured.")
    elif not (a.reliable and b.reliable):
        said.append(
            f"In time: not answered, for the readings at batch size {size} cannot be relied on "
            f"({(a.why or b.why or '').rstrip('.')})."
        )
    else:
        ratio, (low, high) = ratio_of(a, b)
        verdict = "yes" if high < 1 else "no" if low > 1 else "they cannot be told apart"
        said.append(
            f"In time at batch size {size}, {verdict}: {deep.name} takes {_ratio(ratio, (low, high))} "
            f"times as "
            "long."
        )
    return Answer("ResNet-152 costs less than VGG-19", " ".join(said))


def _linear_in_operations(comparison: Comparison) -> Answer | None:
    size = usual_batch_size(comparison)
    if size is None:
        return None
    found = [fit for fit in least_squares.fits(comparison) if fit.batch_size == size and fit.r2 is not None]
    if not found:
        return None
    said = "; ".join(
        f"{fit.family or 'other'} R^2 {fit.r2:.3f} over {len(fit.names)} networks, "
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
    for words, value in (("mult-adds", _macs), ("parameters", _parameters)):
        least, most = min(inside, key=value), max(outside, key=value)
        factor = value(least) / value(most)
        said.append(
            f"In {words} {'yes' if factor > 1 else 'no'}: the leanest VGG here, {least.name}, has "
            f"{units.count(value(least))}, {units.significant(factor, 2)} times the "
            f"{units.count(value(most))} of {most.name}, the heaviest of the others."
        )
    return Answer("VGG stands apart in operations and parameters", " ".join(said))


def _pointwise_share(comparison: Comparison) -> Answer | None:
    row = _named(comparison, "mobilenetv1")
    if row is None or not row.profile.by_type:
        return None
    macs, weights = (_share(row.profile, "conv 1x1", field) for field in ("macs", "weights"))
    return Answer(
        "MobileNet spends 94.86 % of its mult-adds and keeps 74.59 % of its parameters in 1x1 convolutions",
        f"Counted here for {row.name}: {units.percent(macs)} of mult-adds and {units.percent(weights)} of "
        f"the weights "
        "that multiply (the claim, of Howard et al., arXiv 1704.04861, table 2, leaves biases and batch "
        "norms out too). Shares of time are another matter and were not measured.",
    )


@dataclass(frozen=True)
class _Counted:
    """A network that certainly has a profile."""

    row: ArchitectureResult
    profile: StaticProfile

    @property
    def name(self) -> str:
        return self.row.name

    def latency_at(self, batch_size: int) -> Latency | None:
        return self.row.latency_at(batch_size)


def _named(comparison: Comparison, name: str) -> _Counted | None:
    for row in comparison.architectures:
        if _plain(row.name) == name and row.profile is not None:
            return _Counted(row, row.profile)
    return None


def _plain(name: str) -> str:
    """'torchvision:ResNet_152' -> 'resnet152': the source left out, spelling made plain."""
    return re.sub(r"[\s_.\-]", "", name.rpartition(":")[2]).lower()


def _share(profile: StaticProfile, type: str, field: str) -> float:
    total = sum(getattr(cost, field) for cost in profile.by_type)
    return (
        sum(getattr(cost, field) for cost in profile.by_type if cost.type == type) / total if total else 0.0
    )


def _macs(row: ArchitectureResult | _Counted) -> float:
    return row.profile.macs / row.profile.batch_size if row.profile else 0.0


def _parameters(row: ArchitectureResult | _Counted) -> float:
    return row.profile.parameters if row.profile else 0.0


def _ratio(ratio: float, ends: tuple[float, float]) -> str:
    """'19.4 (19.1 to 19.6)'."""
    low, high = ends
    return f"{units.significant(ratio)} ({units.significant(low)} to {units.significant(high)})"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
