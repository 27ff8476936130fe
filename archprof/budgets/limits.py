"""What a budget may limit. Standard library only.

A limit is written as `results.bounds` says, or as a table:

{at_least = "1 M", at_most = "5 M", growth = "2 %"}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..base import units
from ..base.errors import ArchprofError, BadOption, did_you_mean
from ..models import spec
from ..results.bounds import Bound, parse_bound, parse_factor, shown
from ..results.profile import StaticProfile

_WILDCARD = re.compile(r"[*?]")
_PERCENT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*")


#: Characters of a key for which a near one is looked for.
LONGEST_KEY = 80


def is_pattern(model: str) -> bool:
    """Whether a spec has wildcards, so that it stands for several networks."""
    return bool(_WILDCARD.search(model)) and bool(_WILDCARD.search(spec.parse(model).target))


def training_state_bytes(profile: StaticProfile) -> int:
    """Parameters, buffers, gradients, and SGD's momentum, which is as large as the gradients."""
    return profile.parameter_bytes + profile.buffer_bytes + 2 * profile.gradient_bytes


@dataclass(frozen=True)
class Limitable:
    """Something that a budget can limit.

    `value` reads it from a profile; `parse` and `shown` turn text into base units and back; `noun` follows
    the number in a sentence; `driver` is the count of a layer that drives it in a profile (a key of DRIVERS).
    """

    value: Callable[[StaticProfile], int]
    noun: str
    driver: Callable[[StaticProfile], str]
    parse: Callable[[Any, str], int] = units.parse_count
    shown: Callable[..., str] = units.count


#: A count of `lock.LayerSummary` -> what it is called.
DRIVERS = {
    "parameters": "parameters",
    "trainable_parameters": "trainable parameters",
    "macs": "mult-adds",
    "activations": "activations",
}


def _driven_by(key: str) -> Callable[[StaticProfile], str]:
    return lambda profile: key


def _training_driver(profile: StaticProfile) -> str:
    """Parameters cost themselves, their gradients and their momentum: whichever part weighs more."""
    whole, state = profile.training_bytes or 0, training_state_bytes(profile)
    return "parameters" if state >= whole - state else "activations"


def _bytes(value: Callable[[StaticProfile], int], noun: str, driver: Callable[[StaticProfile], str]) -> Limitable:
    return Limitable(value, noun, driver, units.parse_size, units.size)


MEASURES: Mapping[str, Limitable] = {
    "parameters": Limitable(lambda profile: profile.parameters, "parameters", _driven_by("parameters")),
    "trainable_parameters": Limitable(
        lambda profile: profile.trainable_parameters, "trainable parameters", _driven_by("trainable_parameters")
    ),
    "macs": Limitable(lambda profile: profile.macs, "mult-adds", _driven_by("macs")),
    "activations": Limitable(lambda profile: profile.activations, "activations", _driven_by("activations")),
    "parameter_bytes": _bytes(lambda profile: profile.parameter_bytes, "bytes of parameters", _driven_by("parameters")),
    "peak_activation_bytes": _bytes(
        lambda profile: profile.peak_activation_bytes, "bytes of activations at its peak", _driven_by("activations")
    ),
    "training_bytes": _bytes(lambda profile: profile.training_bytes or 0, "bytes to train with", _training_driver),
    "file_size": _bytes(lambda profile: profile.saved_bytes, "bytes to save", _driven_by("parameters")),
}


@dataclass(frozen=True)
class Limit:
    """What a measure is held to: any bounds, and by how much it may grow over the baseline (0.02 is 2 %)."""

    bounds: tuple[Bound, ...]
    growth: Fraction | None = None


@dataclass(frozen=True)
class LatencyLimit:
    """Latency at `batch_size`, relative to a network that is measured in the same run."""

    batch_size: int
    bounds: tuple[Bound, ...]


def parse_limit(value: Any, what: str, measure: Limitable) -> Limit:
    """The limit that a number, a text or a table writes. `what` opens every complaint."""
    if not isinstance(value, Mapping):
        return Limit((parse_bound(value, what, measure.parse, reference=_model),))
    known_keys(value, ("at_most", "at_least", "growth"), what)
    growth = parse_percent(value["growth"], f"{what}: growth") if "growth" in value else None
    bounds = _sides(value, what, measure.parse)
    if not bounds and growth is None:
        raise BadOption(f"{what} limits nothing;", 'expected a number such as "5 M", or at_most, at_least, growth.')
    return Limit(bounds, growth)


def parse_latency(value: Any, what: str, batch_size: int) -> tuple[LatencyLimit, ...]:
    """The latency limits that a text, a table or a list of tables writes."""
    if isinstance(value, list):
        if not value:
            raise BadOption(f"{what} limits nothing;", 'expected at_most = "1.2 x mobilenetv1", for example.')
        return tuple(_latency_limit(item, what, batch_size) for item in value)
    return (_latency_limit(value, what, batch_size),)


def _latency_limit(value: Any, what: str, batch_size: int) -> LatencyLimit:
    if not isinstance(value, Mapping):
        return LatencyLimit(batch_size, (parse_bound(value, what, _no_absolute_time, reference=_model),))
    known_keys(value, ("batch_size", "at_most", "at_least"), what)
    bounds = _sides(value, what, _no_absolute_time)
    if not bounds:
        raise BadOption(f"{what} limits nothing;", 'expected at_most = "1.2 x mobilenetv1", for example.')
    return LatencyLimit(positive(value.get("batch_size", batch_size), f"{what}: batch_size"), bounds)


def parse_percent(value: Any, what: str) -> Fraction:
    """'2 %' -> 1/50. The sign is required, so that 2 is never taken for 200 %."""
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise BadOption(f"{what} {shown(value)} is not a percentage;", 'expected a number and the sign, such as "2 %".')
    return parse_factor(match[1], what) / 100


def positive(value: Any, what: str) -> int:
    """A whole number from 1 to 2^31 - 1, more than which no tensor's batch has."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise BadOption(f"{what} {shown(value)} is not a batch size;", "expected a positive whole number such as 8.")
    return value


def known_keys(table: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    """Complain of the first key that nobody reads, naming the nearest that somebody does."""
    for key in table:
        if key not in known:
            near = did_you_mean(key[:LONGEST_KEY], known)
            raise BadOption(f"{what}: unknown key {shown(key)}.", near.strip() or f"Known: {', '.join(known)}.")


def _model(model: str, what: str) -> str:
    """The network that a relative limit names."""
    try:
        pattern = is_pattern(model)
        spec.parse(model)
    except ArchprofError as error:
        raise BadOption(f"{what}: {error.message}", error.remedy) from None
    if pattern:
        raise BadOption(f"{what} is relative to a pattern;", 'expected one network, as in "0.6 x resnet18".')
    return model


def _sides(table: Mapping[str, Any], what: str, parse: Callable[[Any, str], int]) -> tuple[Bound, ...]:
    bounds = tuple(
        parse_bound(table[key], f"{what}: {key}", parse, key == "at_most", _model)
        for key in ("at_least", "at_most")
        if key in table
    )
    if len(bounds) == 2 and _exclude(*bounds):
        raise BadOption(f"{what}: no value is {bounds[0].shown} and {bounds[1].shown};", "exchange the two.")
    return bounds


def _exclude(least: Bound, most: Bound) -> bool:
    """Whether nothing can be within both."""
    if least.reference != most.reference:
        return False
    low, high = (bound.factor if bound.number is None else bound.number for bound in (least, most))
    return low is not None and high is not None and low > high


def _no_absolute_time(value: Any, what: str) -> int:
    raise BadOption(
        f"{what} {shown(value)} is not relative to a network, and runners differ in speed;",
        'expected a factor and a network measured in the same run, such as "1.2 x mobilenetv1".',
    )
