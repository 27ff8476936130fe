"""Budgets: limits that a file states, judged against what was counted and measured. No drawing, no printing.

A limit gives one verdict. Counting and measuring are handed in, so that judging is a pure function of
records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from ..base import units
from ..base.errors import ArchprofError, ForwardFailed
from ..models.spec import parse
from ..results.profile import Shape, StaticProfile
from ..results.ratios import ratio_of
from . import lock
from .config import Budget
from .limits import DRIVERS, MEASURES, Bound, LatencyLimit, training_state_bytes
from .lock import Baseline, LayerChange

#: What a verdict can be. 'over' and 'under' break a limit; 'cannot tell' breaks it when strict.
STATUSES = ("within", "over", "under", "cannot tell", "error")

#: Layers named for each verdict.
NAMED_LAYERS = 3


@dataclass(frozen=True)
class LayerShare:
    """A layer and the part of the whole that it holds."""

    layer: str
    type: str
    amount: int
    share: float


@dataclass(frozen=True)
class Verdict:
    """One limit of one budget, judged.

    `value` and `bound` are in base units (for latency: times as long as `reference`, with the 95 %
    `interval`); `upper` says that `bound` is a maximum. `baseline` is the accepted value, where there is
    one. `heaviest` are the layers that weigh most in `value`, in counts of `driver`; `changed` those that differ
    from the baseline, both the largest first. `detail` is what else there is to say; for an error, everything.
    """

    budget: str
    model: str
    measure: str
    status: str
    value: float | None = None
    limit: str = ""
    bound: float | None = None
    upper: bool = True
    interval: tuple[float, float] | None = None
    batch_size: int | None = None
    reference: str | None = None
    growth: float | None = None  # the growth allowed over the baseline, where that is the limit
    baseline: int | None = None
    driver: str = ""
    heaviest: tuple[LayerShare, ...] = ()
    changed: tuple[LayerChange, ...] = ()
    detail: str = ""

    @property
    def headroom(self) -> float | None:
        """How far inside the limit the value is, as a fraction of the limit; negative outside."""
        if self.value is None or not self.bound:
            return None
        distance = self.bound - self.value if self.upper else self.value - self.bound
        return distance / self.bound

    @property
    def change(self) -> float | None:
        """Growth over the baseline, as a fraction of it."""
        if self.value is None or not self.baseline:
            return None
        return (self.value - self.baseline) / self.baseline


@dataclass(frozen=True)
class Checked:
    """A budget, what its model costs (None where it could not be counted), and the verdicts."""

    budget: Budget
    profile: StaticProfile | None
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class Relative:
    """A measured latency over the reference's: the ratio, its 95 % interval, and why not to rely on it."""

    ratio: float
    ci95: tuple[float, float]
    why: str | None = None


Profiler = Callable[[Any, Shape | None, int, bool], StaticProfile]
Measurer = Callable[[Any, str, Shape | None, int], Relative]


def check(
    budgets: Iterable[Budget],
    baselines: Mapping[str, Baseline] | None = None,
    *,
    growth: bool = True,
    profile: Profiler | None = None,
    measure: Measurer | None = None,
) -> tuple[Checked, ...]:
    """Every budget judged, in order; a model that fails gets a verdict that says so and stops no other.

    `growth=False` leaves growth limits out: for accepting a change. `profile` (model, input shape, batch
    size, whether training is to be counted) and `measure` (model, reference, input shape, batch size) count
    and time.
    """
    counted = cache(profile or count_model)
    return tuple(
        _checked(budget, (baselines or {}).get(budget.name), growth, counted, measure or measure_ratio)
        for budget in budgets
    )


def exit_code(checked: Sequence[Checked], strict: bool = False) -> int:
    """2 where something could not be judged at all, else 1 where a limit is broken, else 0."""
    seen = {verdict.status for one in checked for verdict in one.verdicts}
    if "error" in seen:
        return 2
    return int(any(broken(status, strict) for status in seen))


def broken(status: str, strict: bool = False) -> bool:
    """Whether this status turns a check red."""
    return status in ("over", "under", "error") or (strict and status == "cannot tell")


def accept(checked: Iterable[Checked], baselines: Mapping[str, Baseline], known: Iterable[str]) -> dict[str, Baseline]:
    """The baselines after accepting what was counted.

    A model that was not counted keeps its old baseline; a budget that is no longer `known` loses it.
    """
    fresh = {
        one.budget.name: lock.baseline_of(one.budget.shown_model, one.profile, one.budget.counts_training)
        for one in checked
        if one.profile is not None
    }
    stated = set(known)
    return {name: entry for name, entry in ({**baselines} | fresh).items() if name in stated}


def _checked(budget: Budget, baseline: Baseline | None, growth: bool, counted: Profiler, measure: Measurer) -> Checked:
    try:
        profile = counted(budget.model, budget.input_shape, budget.batch_size, budget.counts_training)
    except ArchprofError as error:
        hint = (
            " Its budget states no input_shape."
            if (isinstance(error, ForwardFailed) and budget.input_shape is None)
            else ""
        )
        failed = Verdict(budget.name, budget.shown_model, "", "error", detail=f"{error}{hint}")
        return Checked(budget, None, (failed,))
    verdicts = [
        *_static(budget, profile, baseline, growth, counted),
        *_uncounted(budget, profile),
        *(_latency(budget, limit, bound, measure) for limit in budget.latency for bound in limit.bounds),
    ]
    return Checked(budget, profile, tuple(verdicts))


def _static(
    budget: Budget, profile: StaticProfile, baseline: Baseline | None, growth: bool, counted: Profiler
) -> Iterable[Verdict]:
    """The verdicts on what was counted: each bound, then how much the measure may grow."""
    odd = _not_comparable(profile, baseline)
    layers = lock.layers_of(profile)
    for name, measure in MEASURES.items():
        if name == "training_bytes" and not budget.counts_training:
            continue
        limit = budget.limits.get(name)
        allowed = limit.growth if limit and limit.growth is not None else budget.growth
        value, driver = measure.value(profile), measure.driver(profile)
        known: dict[str, Any] = {
            "budget": budget.name,
            "model": budget.shown_model,
            "measure": name,
            "value": value,
            "driver": DRIVERS[driver],
            "heaviest": _heaviest(layers, driver),
        }
        if baseline is not None and not odd and name in baseline.counts:
            known["baseline"] = baseline.counts[name]
            known["changed"] = tuple(lock.changes(baseline.layers, layers, driver))
        if name == "peak_activation_bytes" and profile.peak_at:
            known["detail"] = f"The peak is reached at {profile.peak_at}."
        if name == "training_bytes":
            state, kept = training_state_bytes(profile), profile.training_activation_bytes or 0
            known["detail"] = (
                f"{units.size(state)} of it are parameters and gradients, "
                f"{units.size(kept)} activations kept for the backward pass."
            )
        for bound in limit.bounds if limit else ():
            yield _bounded(known, bound, budget, counted)
        if allowed is not None and growth:
            yield _grown(known, allowed, odd)


def _bounded(known: dict[str, Any], bound: Bound, budget: Budget, counted: Profiler) -> Verdict:
    known = known | {"limit": bound.shown, "upper": bound.upper, "reference": bound.reference}
    limit: int | Fraction
    if bound.reference is None:
        limit = bound.number or 0
    else:
        try:
            other = counted(bound.reference, budget.input_shape, budget.batch_size, budget.counts_training)
        except ArchprofError as error:
            return Verdict(**known | {"status": "error", "detail": f"The reference: {error}"})
        limit = (bound.factor or 0) * Fraction(MEASURES[known["measure"]].value(other))
    inside = bound.allows(known["value"], limit)
    status = "within" if inside else "over" if bound.upper else "under"
    return Verdict(**known, status=status, bound=_number(limit))


def _grown(known: dict[str, Any], allowed: Fraction, odd: str) -> Verdict:
    known = known | {"limit": f"growth ≤ {float(100 * allowed):g} %", "growth": float(allowed)}
    if odd or "baseline" not in known:
        reason = odd or "no baseline yet;"
        return Verdict(
            **known | {"status": "error", "detail": f"{reason} 'archprof check --update' writes one, to be committed."}
        )
    limit = known["baseline"] * (1 + allowed)
    return Verdict(**known, status="within" if known["value"] <= limit else "over", bound=_number(limit))


def _uncounted(budget: Budget, profile: StaticProfile) -> Iterable[Verdict]:
    """Operators without formula: the mult-adds are then only a lower bound, so they fail unless allowed."""
    allowed_names = {_plain_name(name) for name in budget.allow_uncounted}
    for missing in profile.uncounted:
        allowed = _plain_name(missing.op) in allowed_names
        yield Verdict(
            budget.name,
            budget.shown_model,
            "uncounted",
            "within" if allowed else "over",
            value=missing.calls,
            limit="allowed by name" if allowed else "none",
            detail=f"{missing.op} has no formula, so its mult-adds are left out"
            + ("." if allowed else f'; allow_uncounted = ["{missing.op}"] accepts that.'),
        )


def _plain_name(operator: str) -> str:
    """One spelling of an operator's name: 'mylib::op' as it is registered, 'mylib.op' as it is counted and called."""
    return operator.replace("::", ".").removesuffix(".default")


def _latency(budget: Budget, limit: LatencyLimit, bound: Bound, measure: Measurer) -> Verdict:
    """Judged by the whole interval: where it straddles the limit, nobody can tell."""
    reference, factor = bound.reference or "", bound.factor or Fraction(0)
    known: dict[str, Any] = {
        "budget": budget.name,
        "model": budget.shown_model,
        "measure": "latency",
        "limit": bound.shown,
        "bound": float(factor),
        "upper": bound.upper,
        "batch_size": limit.batch_size,
        "reference": reference,
    }
    try:
        seen = measure(budget.model, reference, budget.input_shape, limit.batch_size)
    except ArchprofError as error:
        return Verdict(**known, status="error", detail=str(error))
    allowed = {bound.allows(Fraction(end), factor) for end in seen.ci95}
    measured_once = seen.ci95[0] == seen.ci95[1]
    status = (
        "cannot tell"
        if measured_once or len(allowed) == 2
        else "within"
        if allowed == {True}
        else ("over" if bound.upper else "under")
    )
    return Verdict(**known, status=status, value=seen.ratio, interval=seen.ci95, detail=seen.why or "")


def _heaviest(layers: Mapping[str, lock.LayerSummary], key: str) -> tuple[LayerShare, ...]:
    amounts = {path: getattr(layer, key) for path, layer in layers.items()}
    whole = sum(amounts.values())
    ranked = sorted((path for path, amount in amounts.items() if amount), key=lambda path: -amounts[path])
    return tuple(
        LayerShare(path, layers[path].type, amounts[path], amounts[path] / whole) for path in ranked[:NAMED_LAYERS]
    )


def _not_comparable(profile: StaticProfile, baseline: Baseline | None) -> str:
    """Why the baseline says nothing about this profile ('' where it does)."""
    if baseline is None:
        return ""
    then, now = (baseline.batch_size, baseline.input_shape), (profile.batch_size, profile.input_shape)
    if then == now:
        return ""
    sizes = [f"batch {batch} of {'x'.join(map(str, shape))}" for batch, shape in (then, now)]
    return f"the baseline was taken at {sizes[0]}, this is {sizes[1]};"


def _number(value: int | Fraction) -> float:
    """An int where the value is whole, so that large counts stay exact."""
    return int(value) if Fraction(value).denominator == 1 else float(value)


def count_model(model: Any, input_shape: Shape | None, batch_size: int, training: bool) -> StaticProfile:
    """Count on the meta device: an inference pass, and where asked for what a training pass keeps."""
    from ..counting.counts import profile

    counted = profile(model, input_shape=input_shape, batch_size=batch_size)
    if counted.source == "exported":
        counted = replace(counted, saved_bytes=Path(parse(model).target).stat().st_size)
    if not training:
        return counted
    trained = profile(model, input_shape=input_shape, batch_size=batch_size, mode="train")
    return replace(counted, training_activation_bytes=trained.training_activation_bytes)


def measure_ratio(model: Any, reference: str, input_shape: Shape | None, batch_size: int) -> Relative:
    """Time the model and the reference in turn, in one run."""
    from ..runs.compare import compare

    seen = compare([model, reference], batch_sizes=(batch_size,), input_shape=input_shape)
    cells = []
    for row in seen.architectures:
        cell = row.latency_at(batch_size)
        if cell is None or not cell.measured:
            reason = row.error or (cell.error if cell else None) or "nothing was measured"
            raise ForwardFailed(f"{row.name} was not measured: {reason.rstrip('.')}.")
        cells.append(cell)
    ours, theirs = cells
    doubts = [cell.why.rstrip(".") for cell in cells if cell.why]
    why = f"The measurement is not reliable: {doubts[0]}." if doubts else None
    return Relative(*ratio_of(ours, theirs), why)
