"""Members of a family that fit a budget: the options of a zoo network varied, counted, judged and ranked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import Any

from ..base.errors import BadOption, UnknownModel, did_you_mean
from ..models import zoo
from ..models.spec import parse
from ..results.profile import Shape, StaticProfile
from . import judging as budgets
from . import networks
from .budget import Budget
from .limits import Limit
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
class Fitting:
    """The members that fit, best first by RULE; how many were tried, and how many could not be built or run.

    `base` is the network asked for, with the classes and the stem that the search began with.
    """

    base: str
    members: tuple[Member, ...]
    tried: int
    failed: int
    input_shape: Shape | None


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
    `name` states is left as it is. Raises UnknownModel for a name that is no network of the zoo, BadOption
    where nothing can be varied.
    """
    spec = parse(name)
    found = zoo.find(spec.target) if spec.source == "zoo" else None
    if found is None:
        near = did_you_mean(spec.target, zoo.architectures()) if spec.source == "zoo" else ""
        raise UnknownModel(f"'{name}' is no network of the zoo.{near}", "'archprof list' shows the zoo.")
    shape = input_shape or (
        found.input_shape if spec.resolution is None else (found.input_shape[0], spec.resolution, spec.resolution)
    )
    fixed = dict(spec.options) | ({} if num_classes is None else {"num_classes": num_classes})
    own = {key: option.default for key, option in found.options.items()}
    if own.get("small_input") is False and max(shape[1:]) <= SMALL_INPUT:
        fixed.setdefault("small_input", True)
    choices = {key: vary(own[key]) for key, vary in _CHOICES.items() if key in own and key not in fixed}
    sides = _sides(shape[1]) if input_shape is None and spec.resolution is None else [shape[1]]
    if not choices and len(sides) == 1:
        raise BadOption(
            f"{found.name} has no option that could be varied.", f"Networks that have: {', '.join(_variable())}."
        )
    # a limit relative to another model asks for that model again and again
    counted = lru_cache(maxsize=8)(profile or networks.count_model)
    fitting: list[Member] = []
    failed = 0
    every = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    for options, side in itertools.product(every, sides):
        changed = {key: value for key, value in options.items() if value != own[key]}
        text = written(found.name, fixed | changed, spec.resolution if side == shape[1] else side)
        if side != shape[1]:
            changed["resolution"] = side
        checked = budgets.check([Budget(text, text, limits, feed=Feed(input_shape=input_shape))], profile=counted)[0]
        failed += checked.profile is None
        if checked.profile is not None and all(verdict.status == "within" for verdict in checked.verdicts):
            totals = replace(checked.profile, layers=(), modules=(), by_type=())  # thousands are held at once
            fitting.append(Member(text, changed, totals))
    return Fitting(
        written(found.name, fixed, spec.resolution),
        tuple(sorted(fitting, key=_rank)),
        len(every) * len(sides),
        failed,
        input_shape,
    )


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
_CHOICES: dict[str, Callable[[Any], Any]] = {
    "blocks": _stages,
    "width": lambda own: sorted({*(own * width for width in WIDTHS)}),
    "separable": lambda own: (False, True),
}


def _variable() -> list[str]:
    return [name for name, found in zoo.architectures().items() if set(_CHOICES) & set(found.options)]
