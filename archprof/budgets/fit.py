"""Members of a family that fit a budget: the options of a zoo network varied, counted, judged and ranked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Any

from ..base.errors import ArchprofError, BadOption, ForwardFailed, UnknownModel, did_you_mean
from ..models import zoo
from ..models.spec import parse
from ..results.bounds import Bound
from ..results.profile import Shape, StaticProfile
from ..runs.known import Kept
from . import judging as budgets
from . import networks
from .budget import Budget
from .limits import MEASURES, Limit
from .networks import Feed, Profiler

RULE = "fewest options changed first, then most mult-adds, then fewest parameters"

#: Factors on every channel count that are tried: eighths of the original, then quarters above it.
WIDTHS = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0, 1.25, 1.5)

#: Sides of the input that are tried where none is asked for: multiples of this from half the network's own.
RESOLUTION_STEP = 32

#: Inputs of up to this many pixels a side begin with the stem for small inputs, where the family has one.
SMALL_INPUT = 64


@dataclass(frozen=True)
class Member:
    """One member of the family: its spec, the options that differ from the network asked for, its cost."""

    spec: str
    changed: Mapping[str, Any]
    profile: StaticProfile


@dataclass(frozen=True)
class Missed:
    """A limit that no member can hold, and the member that comes closest to it: `value` is what that one has."""

    measure: str
    bound: Bound
    amount: int | Fraction
    member: str
    value: int


@dataclass(frozen=True)
class Fitting:
    """The members that fit, best first by RULE; how many were tried, and how many could not be built or run.

    `base` is the network asked for, with the classes and the stem that the search began with. Where a limit alone
    rules out every member it is among the `missed`, and only the extremes of the family were tried.
    """

    base: str
    members: tuple[Member, ...]
    tried: int
    failed: int
    input_shape: Shape | None
    missed: tuple[Missed, ...] = ()


def members(
    name: str,
    limits: Mapping[str, Limit],
    *,
    input_shape: Shape | None = None,
    num_classes: int | None = None,
    profile: Profiler | None = None,
) -> Fitting:
    """Every member of the family of zoo network `name` that is within `limits`.

    The options varied are those that the network takes among `blocks` (each stage from one block to its own
    number), `width` and `separable`; and the resolution, where `input_shape` leaves it open. An option that
    `name` states is left as it is. Raises UnknownModel for a name that is not a network of the zoo, BadOption
    where nothing can be varied.
    """
    with Kept() as kept:
        family = _family(name, kept)
        counted = profile or networks.recalling(kept, whole=False)
        return _members(family, limits, input_shape, num_classes, counted)


@dataclass(frozen=True)
class _Family:
    """A network of the zoo as a search begins with it: its name, what its spec states, its options' defaults."""

    name: str
    stated: Mapping[str, Any]
    resolution: int | None
    input_shape: Shape
    own: Mapping[str, Any]


def _family(name: str, kept: Kept) -> _Family:
    """The family of that spec; its options are kept, so that it is known the next time without the zoo."""
    spec = parse(name)
    about = kept.recalled(spec.target, _OPTIONS) if spec.source == "zoo" else None
    if about is None:
        found = zoo.find(spec.target) if spec.source == "zoo" else None
        if found is None:
            near = did_you_mean(spec.target, zoo.architectures()) if spec.source == "zoo" else ""
            raise UnknownModel(f"'{name}' is not a network of the zoo.{near}", "'archprof list' shows the zoo.")
        own = {key: option.default for key, option in found.options.items() if key in _ASKED_FOR}
        about = {"name": found.name, "input_shape": found.input_shape, "own": own}
        kept.remember(spec.target, _OPTIONS, about)
    own = {key: tuple(value) if isinstance(value, list) else value for key, value in about["own"].items()}
    return _Family(about["name"], dict(spec.options), spec.resolution, tuple(about["input_shape"]), own)


def _members(
    family: _Family, limits: Mapping[str, Limit], input_shape: Shape | None, num_classes: int | None, profile: Profiler
) -> Fitting:
    name, resolution, own = family.name, family.resolution, family.own
    shape = input_shape or (
        family.input_shape if resolution is None else (family.input_shape[0], resolution, resolution)
    )
    fixed = dict(family.stated) | ({} if num_classes is None else {"num_classes": num_classes})
    if own.get("small_input") is False and max(shape[1:]) <= SMALL_INPUT:
        fixed.setdefault("small_input", True)
    choices = {key: list(vary(own[key])) for key, vary in _CHOICES.items() if key in own and key not in fixed}
    sides = _sides(shape[1]) if input_shape is None and resolution is None else [shape[1]]
    if not choices and len(sides) == 1:
        raise BadOption(f"{name} has no option that could be varied.", f"Networks that have: {', '.join(_variable())}.")
    # a limit relative to another model asks for that model again and again
    counted = lru_cache(maxsize=64)(profile)
    feed, training = Feed(input_shape=input_shape), "training_bytes" in limits
    base = written(name, fixed, resolution)

    def member(options: Mapping[str, Any], side: int) -> tuple[str, dict[str, Any]]:
        changed = {key: value for key, value in options.items() if value != own[key]}
        text = written(name, fixed | changed, resolution if side == shape[1] else side)
        return text, changed if side == shape[1] else {**changed, "resolution": side}

    amounts = _amounts(limits, feed, training, counted)
    extremes = {
        upper: [member(options, side)[0] for options in _corners(choices, upper) for side in reversed(sides)]
        for upper in {bound.upper for _, bound, _ in amounts}
    }
    if missed := _missed(amounts, extremes, feed, training, counted):
        counted_ones = {text for texts in extremes.values() for text in texts}
        return Fitting(base, (), len(counted_ones), 0, input_shape, missed)
    fitting: list[Member] = []
    failures: list[str] = []
    every = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    for options, side in itertools.product(every, sides):
        text, changed = member(options, side)
        checked = budgets.check([Budget(text, text, limits, feed=feed)], profile=counted)[0]
        if checked.profile is None:
            failures.append(checked.verdicts[0].detail)
        elif all(verdict.status == "within" for verdict in checked.verdicts):
            totals = replace(checked.profile, layers=(), modules=(), by_type=())  # thousands are held at once
            fitting.append(Member(text, changed, totals))
    tried = len(every) * len(sides)
    if len(failures) == tried:
        raise ForwardFailed(f"none of the {tried:,} members could be counted; the first: {failures[0]}")
    return Fitting(base, tuple(sorted(fitting, key=_rank)), tried, len(failures), input_shape)


def _amounts(
    limits: Mapping[str, Limit], feed: Feed, training: bool, counted: Profiler
) -> list[tuple[str, Bound, int | Fraction]]:
    """Every bound with what it comes to. Raises what a reference raises, the limit in front."""
    found: list[tuple[str, Bound, int | Fraction]] = []
    for key, bound in ((key, bound) for key, limit in limits.items() for bound in limit.bounds):
        amount: int | Fraction = bound.number or 0
        if bound.reference is not None and bound.factor is not None:
            try:
                amount = bound.factor * MEASURES[key].value(counted(bound.reference, feed, training))
            except ArchprofError as error:
                flag = f"--{key.removesuffix('_bytes' if key == 'peak_activation_bytes' else '').replace('_', '-')}"
                raise type(error)(f"{flag} '{bound.text}': {error.message}", error.remedy) from None
        found.append((key, bound, amount))
    return found


def _corners(choices: Mapping[str, Sequence[Any]], smallest: bool) -> list[dict[str, Any]]:
    """The options of which one gives the smallest (or the largest) of every cost.

    Fewer blocks and channels never cost more; of the styles of convolution both are tried.
    """
    ends = [values if key == "separable" else values[: 1 if smallest else None][-1:] for key, values in choices.items()]
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*ends)]


def _missed(
    amounts: Sequence[tuple[str, Bound, int | Fraction]],
    extremes: Mapping[bool, Sequence[str]],
    feed: Feed,
    training: bool,
    counted: Profiler,
) -> tuple[Missed, ...]:
    """The bounds beyond the extreme members (the smallest for a maximum); none of them where a member fails."""
    found = []
    for key, bound, amount in amounts:
        try:
            values = {text: MEASURES[key].value(counted(text, feed, training)) for text in extremes[bound.upper]}
        except ArchprofError:
            return ()
        closest = (min if bound.upper else max)(values, key=lambda text: values[text])
        if not bound.allows(values[closest], amount):
            found.append(Missed(key, bound, amount, closest, values[closest]))
    return tuple(found)


def written(name: str, options: Mapping[str, Any], resolution: int | None = None) -> str:
    """The spec of these options: 'resnet18(num_classes=10,blocks=(1,1,1,1))@128'."""
    parts = [f"{key}={str(value).replace(' ', '')}" for key, value in options.items()]
    return name + (f"({','.join(parts)})" if parts else "") + (f"@{resolution}" if resolution else "")


def _rank(member: Member) -> tuple[int, int, int, str]:
    return len(member.changed), -member.profile.macs, member.profile.parameters, member.spec


def _sides(own: int) -> list[int]:
    return [*(side for side in range(RESOLUTION_STEP, own, RESOLUTION_STEP) if 2 * side >= own), own]


def _stages(blocks: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Each stage from one block to its own number; of long stages the quarters."""
    quarters = [sorted({ceil(repeats * part / 4) for part in range(1, 5)}) for repeats in blocks]
    return itertools.product(*quarters)


#: Option -> the values to try, from its default.
_CHOICES: dict[str, Callable[[Any], Iterable[Any]]] = {
    "blocks": _stages,
    "width": lambda own: sorted({*(own * width for width in WIDTHS)}),
    "separable": lambda own: (False, True),
}

#: The options whose defaults a search asks for.
_ASKED_FOR = {*_CHOICES, "small_input"}

#: Under what a family's options are kept.
_OPTIONS = {"what": "options of fit"}


def _variable() -> list[str]:
    return [name for name, found in zoo.architectures().items() if set(_CHOICES) & set(found.options)]
