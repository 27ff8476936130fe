"""Where the time of one forward pass goes: torch's profiler, its ops matched to the calls that were counted.

The profiler makes every call a little slower, short ones in proportion more. So its times are read as shares,
and scaled to the time of an undisturbed pass; how much longer the profiled pass took is part of the result.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import nn

from ..base.errors import BadOption
from ..results.conditions import Conditions
from ..results.latency import Latency
from ..results.per_layer import PerLayerTimes
from ..results.profile import LayerCost

#: Marks the span of a module's forward among the profiler's events; the dotted path follows.
MODULE = "archprof module:"

#: Profiled passes, fewer where they take longer than PROFILING_S (seconds, unless told otherwise), but KEPT at least.
#: The fastest KEPT of them count, for a neighbour makes passes slower, never faster; a call's time is their median.
PASSES = 9
KEPT = 3
PROFILING_S = 5.0


class Event(NamedTuple):
    """One span of the profiler: an operator ('aten::relu') or a module's forward (MODULE + path)."""

    name: str
    start: float  # seconds
    seconds: float


def where_time_goes(
    module: nn.Module,
    inputs: tuple[Any, ...],
    layers: Sequence[LayerCost],
    latency: Latency,
    conditions: Conditions,
    kwargs: Mapping[str, Any] | None = None,
    clock: Callable[[], float] = time.perf_counter,
    most_s: float = PROFILING_S,
) -> PerLayerTimes:
    """Profile a warm network on the CPU. `layers` are its counted calls, `latency` that of undisturbed passes.

    Raises BadOption where calls cannot be told apart: on a GPU, compiled, captured, or in training.
    """
    check_divisible(conditions)
    if hasattr(module, "_orig_mod"):
        raise BadOption(
            "a compiled module's calls cannot be told apart.", "Pass the module as it was before torch.compile."
        )
    passes: list[list[Event]] = []
    end = clock() + most_s
    while len(passes) < KEPT or (len(passes) < PASSES and clock() < end):
        passes.append(_profiled(module, inputs, kwargs or {}))
    return combined(passes, layers, latency)


def check_divisible(conditions: Conditions) -> None:
    """Raise BadOption where a pass's calls cannot be told apart: on a GPU, compiled, or in training."""
    if not conditions.divisible:
        raise BadOption(
            "time per layer is measured for eager forward passes on the CPU.",
            "Leave out '--device', '--compile' and '--mode train'.",
        )


def combined(passes: Sequence[Sequence[Event]], layers: Sequence[LayerCost], latency: Latency) -> PerLayerTimes:
    """The median of the fastest profiled passes, scaled to the undisturbed total."""
    total_s = latency.p50_s
    fastest = sorted(passes, key=_span)[:KEPT]
    spans = [_span(events) for events in fastest]
    each = [attributed(events, layers) for events in fastest]
    middle = [median(column) for column in zip(*each, strict=True)]
    scale = total_s / max(median(spans), sum(middle))
    seconds = tuple(value * scale for value in middle)
    return PerLayerTimes(seconds, total_s - sum(seconds), median(spans) / total_s - 1, latency)


def _span(events: Sequence[Event]) -> float:
    """Seconds of a profiled pass."""
    return max(event.seconds for event in events if event.name == MODULE)


def attributed(events: Sequence[Event], layers: Sequence[LayerCost]) -> list[float]:
    """Seconds of each counted call in one profiled pass; 0 for a call that the profiler did not show.

    Within a module, operators run in the order in which they were counted. One belongs to a call when the
    call's operator is it or one that it called (aten::conv2d calls aten::convolution).
    """
    waiting = _operators(events)
    found = []
    for layer in layers:
        queue, sought = waiting[layer.module], layer.op.replace(".", "::")
        place = next((place for place, (names, _) in enumerate(queue) if sought in names), None)
        if place is None:
            found.append(0.0)
            continue
        for _ in range(place):
            queue.popleft()
        found.append(queue.popleft()[1])
    return found


def _operators(events: Sequence[Event]) -> dict[str, deque[tuple[set[str], float]]]:
    """By module path, the operators that its own forward called: every name below each, and its seconds."""
    found: dict[str, deque[tuple[set[str], float]]] = defaultdict(deque)
    open_spans: list[tuple[float, str | None, set[str]]] = []  # end, module path or None, names below
    for event in sorted(events, key=lambda event: (event.start, -event.seconds)):
        while open_spans and open_spans[-1][0] <= event.start:
            open_spans.pop()
        end = event.start + event.seconds
        if event.name.startswith(MODULE):
            open_spans.append((end, event.name.removeprefix(MODULE), set()))
            continue
        if not open_spans:
            continue
        _, path, names = open_spans[-1]
        if path is None:  # called by an operator: its name tells what that one does
            names.add(event.name)
        else:
            names = {event.name}
            found[path].append((names, event.seconds))
        open_spans.append((end, None, names))
    return found


def _profiled(module: nn.Module, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Event]:
    """One pass under the profiler, modules marked."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or else the profiler reports its start on stderr
    with _marked(module), torch.inference_mode(), torch.autograd.profiler.profile() as recorded:
        module(*inputs, **kwargs)
    events = recorded.kineto_results.events()
    root = next(event for event in events if event.name() == MODULE)
    return [
        Event(event.name(), event.start_ns() / 1e9, event.duration_ns() / 1e9)
        for event in events
        if event.start_thread_id() == root.start_thread_id()
    ]


@contextmanager
def _marked(module: nn.Module) -> Iterator[None]:
    """Inside, every module's forward is a span of the profiler; the hooks are gone afterwards."""
    spans: list[Any] = []

    def enter(path: str) -> Any:
        def hook(*_: Any) -> None:
            spans.append(torch.autograd.profiler.record_function(MODULE + path))
            spans[-1].__enter__()

        return hook

    def leave(*_: Any) -> None:
        spans.pop().__exit__(None, None, None)

    hooks = []
    for path, part in module.named_modules():
        hooks += [part.register_forward_pre_hook(enter(path)), part.register_forward_hook(leave)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
