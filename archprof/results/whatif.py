"""What edits of a network would cost: counted, and its time predicted from those of operators measured by themselves.

Every figure that was not measured says so by its key. Standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from . import presentation
from .latency import Latency
from .profile import Shape
from .saved import SCHEMA_VERSION, as_json

if TYPE_CHECKING:
    import pandas


class KindTime(NamedTuple):
    """The operator calls of one kind ('conv 3x3'): their mult-adds, and the seconds that they take together.

    `predicted_seconds` are those of the calls by themselves, scaled to the network's measured time; calls that cannot
    be run by themselves have none.
    """

    type: str
    calls: int
    macs: int
    predicted_seconds: float

    @property
    def flops_per_s(self) -> float | None:
        """Floating-point operations a second; None where there are none, or no time."""
        return 2 * self.macs / self.predicted_seconds if self.macs and self.predicted_seconds > 0 else None


class NotEdited(NamedTuple):
    """A layer that an edit matched and left as it is, and why."""

    module: str
    reason: str


@dataclass(frozen=True)
class Variant:
    """The network with `edits`, in their order; without any it is the network as it is.

    `layers` are those that the last edit changed, `left_alone` those of their kind that it could not. `same` says that
    the last edit made no difference to any operator call. `kinds` are all calls of a pass, `gone` and `come` those that
    the network without edits has and this one has not, and the other way round. `untimed` are operators that cannot be
    run by themselves; no time is known of them. `predicted_interval` holds the true time of nine variants in ten.
    `latency` is what was measured; `error` says why there is nothing.
    """

    name: str
    edits: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    left_alone: tuple[NotEdited, ...] = ()
    same: bool = False
    input_shape: Shape = ()
    parameters: int = 0
    macs: int = 0
    activations: int = 0
    parameter_bytes: int = 0
    buffer_bytes: int = 0
    peak_activation_bytes: int = 0
    uncounted: tuple[str, ...] = ()
    predicted_seconds: float | None = None
    predicted_interval: tuple[float, float] | None = None
    kinds: tuple[KindTime, ...] = ()
    gone: tuple[KindTime, ...] = ()
    come: tuple[KindTime, ...] = ()
    untimed: tuple[str, ...] = ()
    latency: Latency | None = None
    error: str | None = None

    @property
    def edit(self) -> str:
        """The last edit; '' for the network as it is."""
        return self.edits[-1] if self.edits else ""

    @property
    def memory_bytes(self) -> int:
        """Parameters, buffers and activations at their peak; what operators take for themselves is not in it."""
        return self.parameter_bytes + self.buffer_bytes + self.peak_activation_bytes

    @property
    def measured_seconds(self) -> float | None:
        """The median of what was measured; None where nothing was."""
        return self.latency.p50_s if self.latency is not None and self.latency.measured else None

    @property
    def prediction_error(self) -> float | None:
        """Predicted over measured time, less 1; None where one of them is missing."""
        if self.predicted_seconds is None or self.measured_seconds is None:
            return None
        return self.predicted_seconds / self.measured_seconds - 1

    @property
    def seconds(self) -> float | None:
        """The predicted time, or that of the network as it is: measured."""
        return self.predicted_seconds if self.edits else self.measured_seconds


@dataclass(frozen=True, repr=False)
class WhatIf:
    """A network and its variants: the network as it is stands first. `level` is that of the intervals.

    `alone` says that each variant has one edit, instead of those of the variant before and one more.
    `operators_measured` of `operators` distinct calls were measured for this answer; the others were kept from before.
    """

    name: str
    source: str
    batch_size: int
    variants: tuple[Variant, ...]
    level: float
    alone: bool = False
    operators: int = 0
    operators_measured: int = 0
    environment: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    archprof: str = ""

    @property
    def base(self) -> Variant:
        """The network as it is."""
        return self.variants[0]

    @property
    def edited(self) -> tuple[Variant, ...]:
        """The variants, in the order of the edits."""
        return self.variants[1:]

    def __len__(self) -> int:
        return len(self.variants)

    def __iter__(self) -> Iterator[Variant]:
        return iter(self.variants)

    def __getitem__(self, place: int) -> Variant:
        return self.variants[place]

    def rows(self) -> list[dict[str, Any]]:
        """A flat row for each variant, numbers in base units."""
        found = []
        for one in self.variants:
            low, high = one.predicted_interval or (None, None)
            failed = one.error is not None
            counts = ("parameters", "macs", "activations", "memory_bytes")
            found.append(
                {
                    "name": one.name,
                    "edits": "; ".join(one.edits),
                    "input_shape": list(one.input_shape),
                    **{key: None if failed else getattr(one, key) for key in counts},
                    "predicted_seconds": one.predicted_seconds,
                    "predicted_low": low,
                    "predicted_high": high,
                    "measured_seconds": one.measured_seconds,
                    "prediction_error": one.prediction_error,
                    "error": one.error,
                }
            )
        return found

    def to_json(self) -> str:
        """The documented JSON (schema_version 1)."""
        whole = {
            "schema_version": SCHEMA_VERSION,
            **as_json(self),
            "environment": dict(self.environment),
            "variants": [_variant(one) for one in self.variants],
        }
        return json.dumps(whole, indent=2, allow_nan=False)

    def to_frame(self) -> pandas.DataFrame:
        """One row for each variant, numbers in base units (the columns of the CSV)."""
        import pandas

        return pandas.DataFrame(self.rows())

    def __repr__(self) -> str:
        return presentation.brief(self)

    def _repr_html_(self) -> str:
        return presentation.present(self, "html")


def _variant(one: Variant) -> dict[str, Any]:
    plain = as_json(one) | {"latency": one.latency.to_json() if one.latency else None}
    for key in ("kinds", "gone", "come"):
        plain[key] = [as_json(kind) | {"flops_per_s": kind.flops_per_s} for kind in getattr(one, key)]
    derived = ("memory_bytes", "measured_seconds", "prediction_error")
    return plain | {key: getattr(one, key) for key in derived}


# --- why time does not follow mult-adds -------------------------------------------------------------------------------


#: Changes below this are none: of mult-adds, or of time.
SMALL = 0.005

#: Rates of two kinds of operators that differ by less than this factor are alike.
ALIKE = 1.15

#: Mult-adds and time change in proportion where both ratios differ by no more than this factor.
IN_PROPORTION = 1.1

#: What a kind must add to the time, or take from it, to be a reason: a share of the network's time.
LEAST = 0.005


class Why(NamedTuple):
    """How mult-adds and time change from the network as it is to a variant, as ratios, and what that comes from.

    `reason` is 'proportion' (both alike), 'rate' (`new` runs at another rate than `old`, which it replaces, or which it
    was), 'free' (`new` multiplies nothing; `old` is what it was, None where it was not there), 'gone' (`old` fell away,
    and ran at another rate than the whole network, or multiplied nothing), or '' (nothing stands out). `whole` is the
    network's floating-point operations a second.
    """

    macs_ratio: float | None
    time_ratio: float
    reason: str
    old: KindTime | None = None
    new: KindTime | None = None
    whole: float | None = None


def why(base: Variant, one: Variant) -> Why | None:
    """None where the variant has no predicted time."""
    before, after = base.measured_seconds, one.predicted_seconds
    if before is None or after is None:
        return None
    macs = one.macs / base.macs if base.macs else None
    found = Why(macs, after / before, "", whole=2 * base.macs / before if base.macs else None)
    apart = found.time_ratio / macs if macs else found.time_ratio
    if macs and abs(macs - 1) >= SMALL and 1 / IN_PROPORTION <= apart <= IN_PROPORTION:
        return found._replace(reason="proportion")
    if abs(found.time_ratio - 1) < SMALL and (macs is None or abs(macs - 1) < SMALL):
        return found
    slower, least = apart > 1, LEAST * before
    return (
        _replaced(found, one, slower, least) or _changed(found, one, slower, least) or _fallen_away(found, one, slower)
    )


def _replaced(found: Why, one: Variant, slower: bool, least: float) -> Why | None:
    """Kinds of operators that the network had not before."""
    had = {kind.type for kind in one.gone}
    new_kinds = [kind for kind in one.come if kind.type not in had]
    old = _longest(_only_gone(one), multiplying=True)
    usual = (old.flops_per_s if old else None) or found.whole

    def beyond(kind: KindTime) -> float:
        return kind.predicted_seconds - (2 * kind.macs / usual if usual else 0.0)

    if slower:
        new = max(new_kinds, key=beyond, default=None)
        if new is None or beyond(new) < least:
            return None
        if not new.macs:
            return found._replace(reason="free", new=new)
    else:
        new = min((kind for kind in new_kinds if kind.macs), key=beyond, default=None)
    if old is None or new is None or not _differ(new.flops_per_s, old.flops_per_s, slower):
        return None
    return found._replace(reason="rate", old=old, new=new)


def _changed(found: Why, one: Variant, slower: bool, least: float) -> Why | None:
    """Kinds that it had and has, whose time does not follow their own mult-adds, or those of the network."""
    had = {kind.type: kind for kind in one.gone}
    both = [(had[kind.type], kind) for kind in one.come if kind.type in had]

    def beyond(pair: tuple[KindTime, KindTime]) -> float:
        old, new = pair
        ratio = new.macs / old.macs if old.macs else found.macs_ratio or 1.0
        beyond = new.predicted_seconds - old.predicted_seconds * ratio
        return beyond if slower else -beyond

    most = max(both, key=beyond, default=None)
    if most is None or beyond(most) < least:
        return None
    old, new = most
    if not new.macs:
        return found._replace(reason="free", old=old, new=new)
    return found._replace(reason="rate", old=old, new=new)


def _fallen_away(found: Why, one: Variant, slower: bool) -> Why:
    """Kinds that the network has no more."""
    old = _longest(_only_gone(one))
    if old is None or (old.macs and not _differ(found.whole, old.flops_per_s, slower)):
        return found
    return found._replace(reason="gone", old=old)


def _only_gone(one: Variant) -> list[KindTime]:
    has = {kind.type for kind in one.come}
    return [kind for kind in one.gone if kind.type not in has]


def _longest(kinds: list[KindTime], multiplying: bool = False) -> KindTime | None:
    chosen = [kind for kind in kinds if kind.macs or not multiplying]
    return max(chosen, key=lambda kind: kind.predicted_seconds, default=None)


def _differ(new: float | None, old: float | None, slower: bool) -> bool:
    """Whether the new rate is clearly the lower one (`slower`), or the higher one."""
    if not new or not old:
        return False
    return old / new >= ALIKE if slower else new / old >= ALIKE
