"""Budgets: limits that a file states, judged against what was counted and measured. No drawing, no printing.

A limit gives one verdict. Counting and measuring are handed in, so that judging is a pure function of
records.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from ..base import units
from ..base.errors import ArchprofError, BadOption, ForwardFailed
from ..results.bounds import Bound, shown
from ..results.profile import StaticProfile
from . import config, lock
from .budget import Budget, expanded
from .limits import DRIVERS, MEASURES, LatencyLimit, training_state_bytes
from .lock import Baseline, Before
from .networks import Measurer, Profiler, count_model, measure_ratio
from .verdict import Checked, LayerShare, Verdict

#: Layers named for each verdict.
NAMED_LAYERS = 3


def check(
    budgets: Budget | Iterable[Budget] | str | os.PathLike[str],
    baselines: Mapping[str, Baseline] | None = None,
    *,
    growth: bool = True,
    profile: Profiler | None = None,
    measure: Measurer | None = None,
) -> tuple[Checked, ...]:
    """Every budget judged, in order; a model that fails gets a verdict that says so and stops no other.

    `budgets` may be the path of a file that states them; the baselines are then those beside it. A budget whose model
    has wildcards is judged for every network that it matches. `growth=False` leaves growth limits out: for accepting
    a change. `profile` and `measure` count and time.
    """
    if isinstance(budgets, str | os.PathLike):
        read = config.read(Path(budgets))
        budgets, baselines = read.budgets, lock.read(read.lock_path) if baselines is None else baselines
    given = [*budgets] if isinstance(budgets, Iterable) else [budgets]
    for one in given:
        if not isinstance(one, Budget):
            raise BadOption(
                f"cannot check {shown(one)};",
                'expected a budget, such as Budget.of("resnet18", macs="2 G"), or the path of a file of budgets.',
            )
    known = baselines or {}
    pairs = [(one, known.get(one.name)) for budget in given for one in expanded(budget)]
    return judged(pairs, growth=growth, profile=profile, measure=measure)


def judged(
    pairs: Iterable[tuple[Budget, Baseline | Before | None]],
    *,
    growth: bool = True,
    profile: Profiler | None = None,
    measure: Measurer | None = None,
) -> tuple[Checked, ...]:
    """As `check`, each budget with its own baseline: budgets of several files may share a name.

    Where a `Before` stands for the baseline, a growth limit is judged against that commit. Where that is not possible,
    the verdict is 'cannot tell', and there is none where the budget is new.
    """
    counted = profile or counting()
    return tuple(_checked(budget, baseline, growth, counted, measure or measure_ratio) for budget, baseline in pairs)


def counting() -> Profiler:
    """Counts each network once, however often it is asked for."""
    return cache(count_model)


def accept(checked: Iterable[Checked], baselines: Mapping[str, Baseline], known: Iterable[str]) -> dict[str, Baseline]:
    """The baselines after accepting what was counted.

    A model that was not counted keeps its old baseline; a budget that is no longer `known` loses it.
    """
    fresh = {
        one.budget.name: lock.baseline_of(
            one.budget.shown_model,
            one.profile,
            one.budget.counts_training,
            one.budget.shown_inputs,
            Path(one.budget.file).name or lock.CONFIG_NAME,
        )
        for one in checked
        if one.profile is not None
    }
    stated = set(known)
    return {name: entry for name, entry in ({**baselines} | fresh).items() if name in stated}


def _checked(
    budget: Budget, baseline: Baseline | Before | None, growth: bool, counted: Profiler, measure: Measurer
) -> Checked:
    try:
        profile = counted(budget.model, budget.feed, budget.counts_training)
    except ArchprofError as error:
        hint = (
            " Its budget states no input_shape."
            if (isinstance(error, ForwardFailed) and not budget.feed.stated)
            else ""
        )
        failed = Verdict(budget.name, budget.shown_model, "", "error", detail=f"{error}{hint}", file=budget.file)
        return Checked(budget, None, (failed,))
    verdicts = [
        *_static(budget, profile, baseline, growth, counted),
        *_uncounted(budget, profile),
        *(_latency(budget, limit, bound, measure) for limit in budget.latency for bound in limit.bounds),
    ]
    return Checked(budget, profile, tuple(replace(verdict, file=budget.file) for verdict in verdicts))


def _static(
    budget: Budget, profile: StaticProfile, then: Baseline | Before | None, growth: bool, counted: Profiler
) -> Iterable[Verdict]:
    """The verdicts on what was counted: each bound, then how much the measure may grow."""
    before = then if isinstance(then, Before) else None
    baseline = then.baseline if isinstance(then, Before) else then
    odd = "" if before else _not_comparable(budget, profile, baseline)
    layers, untold = lock.layers_of(profile), dict[Fraction, list[str]]()
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
            if before is None or "baseline" in known:
                yield _grown(known, allowed, odd)
            else:
                untold.setdefault(allowed, []).append(name)
    if before is not None and not before.new:
        for allowed, names in untold.items():
            yield Verdict(
                budget.name,
                budget.shown_model,
                "growth",
                "cannot tell",
                limit=_growth(allowed),
                growth=float(allowed),
                detail=f"of {', '.join(names)}: {before.why}",
            )


def _bounded(known: dict[str, Any], bound: Bound, budget: Budget, counted: Profiler) -> Verdict:
    known = known | {"limit": bound.shown, "upper": bound.upper, "reference": bound.reference}
    limit: int | Fraction
    if bound.reference is None:
        limit = bound.number or 0
    else:
        try:
            other = counted(bound.reference, budget.feed, budget.counts_training)
        except ArchprofError as error:
            return Verdict(**known | {"status": "error", "detail": f"The reference: {error}"})
        limit = (bound.factor or 0) * Fraction(MEASURES[known["measure"]].value(other))

    def status(value: int) -> str:
        return "within" if bound.allows(value, limit) else "over" if bound.upper else "under"

    before = status(known["baseline"]) if "baseline" in known else None
    return Verdict(**known, status=status(known["value"]), before=before, bound=_number(limit))


def _grown(known: dict[str, Any], allowed: Fraction, odd: str) -> Verdict:
    known = known | {"limit": _growth(allowed), "growth": float(allowed)}
    if odd or "baseline" not in known:
        reason = odd or "no baseline yet;"
        return Verdict(
            **known | {"status": "error", "detail": f"{reason} 'archprof check --update' writes one, to be committed."}
        )
    limit = known["baseline"] * (1 + allowed)
    return Verdict(**known, status="within" if known["value"] <= limit else "over", bound=_number(limit))


def _growth(allowed: Fraction) -> str:
    return f"growth ≤ {float(100 * allowed):g} %"


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
        seen = measure(budget.model, reference, replace(budget.feed, batch_size=limit.batch_size))
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


def _not_comparable(budget: Budget, profile: StaticProfile, baseline: Baseline | None) -> str:
    """Why the baseline says nothing about this profile ('' where it does)."""
    apart = sizes_apart(budget, profile, baseline) if baseline else None
    return f"the baseline was taken at {apart[0]}, this is {apart[1]};" if apart else ""


def sizes_apart(budget: Budget, profile: StaticProfile, baseline: Baseline) -> tuple[str, str] | None:
    """What the baseline's network was given and what this one was, as text; None where that is the same."""
    then = (baseline.batch_size, baseline.input_shape, baseline.inputs)
    now = (profile.batch_size, profile.input_shape, budget.shown_inputs)
    if then == now:
        return None
    before, after = (
        f"batch {batch} of {' and '.join(inputs) or 'x'.join(map(str, shape))}" for batch, shape, inputs in (then, now)
    )
    return before, after


def _number(value: int | Fraction) -> float:
    """An int where the value is whole, so that large counts stay exact."""
    return int(value) if Fraction(value).denominator == 1 else float(value)
