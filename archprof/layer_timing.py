"""Measure one network, then divide its time among the calls that were counted."""

from __future__ import annotations

from collections.abc import Callable

from .counts import Subject
from .errors import ForwardFailed
from .layer_times import LayerTimes
from .measure import device, latency, layers, real
from .measure.conditions import Conditions
from .records import StaticProfile


def timed(
    subject: Subject,
    profile: StaticProfile,
    conditions: Conditions,
    *,
    time_budget: float,
    precision: float,
    progress: Callable[[str, float], None] | None = None,
) -> LayerTimes:
    """Seconds of each of the profile's calls, at its batch size.

    `time_budget` (seconds) is for the undisturbed pass; some profiled passes follow. Raises BadOption for
    conditions under which calls cannot be told apart, ForwardFailed where the network cannot be measured.
    """
    layers.check_divisible(device.check_available(conditions))
    batch_size = profile.batch_size
    model = subject.module if subject.found is None else None
    module = real.module(model, subject.found, conditions)
    args, kwargs = real.inputs(subject.inputs, subject.input_shape, batch_size, conditions)
    step = latency.forward_step(module, args, conditions, kwargs)
    # a bare function: memory is not asked for here
    cell = latency.Cell(subject.name, batch_size, lambda: step.__call__)
    tell = progress or (lambda doing, left_s: None)
    with device.applied(conditions):
        found = latency.measure([cell], time_budget=time_budget, precision=precision,
                                progress=lambda seen: tell(seen.doing, seen.left_s),
                                witness=device.witness(conditions))
        seen = found[cell.key]
        if not seen.measured:
            raise ForwardFailed(f"{subject.name}, batch {batch_size}: {seen.error}")
        tell("profiling", 0.0)
        return layers.where_time_goes(module, args, profile.layers, seen, conditions, kwargs)
