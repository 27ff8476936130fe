"""Measure one network, then divide its time among the calls that were counted."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from ..base.errors import ForwardFailed
from ..counting.counts import Subject
from ..models import Arguments
from ..results.conditions import Conditions, Sampling
from ..results.latency import Latency
from ..results.per_layer import PerLayerTimes
from ..results.profile import StaticProfile
from . import device, operator_times, real
from .sampling import Workload, measure
from .steps import forward_step

#: Seconds of a comparison for each network: for an undisturbed pass where it measured none of that batch size, and
#: for the profiled passes (`operator_times.KEPT` of which there are, however long they take).
UNDISTURBED_S = 2.0
PROFILING_S = 2.0

Tell = Callable[[str, float], None]


def timed(
    subject: Subject,
    profile: StaticProfile,
    conditions: Conditions,
    sampling: Sampling,
    *,
    progress: Tell | None = None,
) -> PerLayerTimes:
    """Seconds of each of the profile's calls, at its batch size.

    The time budget is for the undisturbed pass; some profiled passes follow. Raises BadOption for
    conditions under which calls cannot be told apart, ForwardFailed where the network cannot be measured.
    """
    operator_times.check_divisible(device.check_available(conditions))
    model = subject.module if subject.found is None else None
    module = real.module(model, subject.found, conditions)
    given = real.inputs(subject.inputs, subject.input_shape, profile.batch_size, conditions)
    tell = progress or (lambda doing, left_s: None)
    seen = undisturbed(module, given, profile, conditions, sampling, tell=tell)
    return divided(module, given, profile, seen, conditions, tell=tell)


def undisturbed(
    module: nn.Module,
    given: Arguments,
    profile: StaticProfile,
    conditions: Conditions,
    sampling: Sampling,
    *,
    tell: Tell,
) -> Latency:
    """The time of a pass that no profiler disturbs. Raises ForwardFailed where there is none."""
    args, kwargs = given
    step = forward_step(module, args, conditions, kwargs)
    # a bare function: memory is not asked for here
    workload = Workload(profile.name, profile.batch_size, lambda: step.__call__)
    with device.applied(conditions):
        found = measure(
            [workload],
            sampling,
            progress=lambda seen: tell(seen.doing, seen.left_s),
            witness=device.witness(conditions),
            rearrange=device.rearranger(conditions),
        )
    seen = found[workload.key]
    if not seen.measured:
        raise ForwardFailed(f"{profile.name}, batch {profile.batch_size}: {seen.error}")
    return seen


def divided(
    module: nn.Module,
    given: Arguments,
    profile: StaticProfile,
    seen: Latency,
    conditions: Conditions,
    *,
    tell: Tell,
    most_s: float = operator_times.PROFILING_S,
) -> PerLayerTimes:
    """The undisturbed pass `seen`, divided by profiled ones that take `most_s` seconds together, or a few."""
    tell(f"profiling {profile.name}", 0.0)
    args, kwargs = given
    with device.applied(conditions):
        return operator_times.where_time_goes(module, args, profile.layers, seen, conditions, kwargs, most_s=most_s)
