"""What edits of a network would cost: counted, predicted from operators, measured where asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from ..base import units
from ..base.errors import ArchprofError, BadOption, BuildFailed, ForwardFailed, one_line, printable
from ..base.options import from_keywords
from ..base.version import __version__
from ..counting import counts
from ..counting.counts import Subject
from ..measure import device, operators, real, sampling
from ..measure.operators import Call, OperatorTimes
from ..measure.steps import forward_step
from ..models.spec import SHOWN, ModelSpec
from ..results import conditions as asked
from ..results import whatif as records
from ..results.conditions import Conditions, Sampling
from ..results.latency import Latency
from ..results.profile import Shape, StaticProfile
from ..results.whatif import NotEdited, WhatIf
from . import estimating
from .edits import Edit, parsed
from .variants import Inputs, Variant, variant_of

#: Called with what is being done and the seconds that are left at most (0: unknown).
Tell = Callable[..., None]


def _silent(doing: str, left_s: float = 0.0) -> None:
    """Nobody wants to know."""


@dataclass
class _Row:
    """A variant on its way."""

    name: str
    edits: tuple[Edit, ...]
    variant: Variant | None = None
    profile: StaticProfile | None = None
    calls: list[Call] = field(default_factory=list)
    latency: Latency | None = None
    error: str | None = None

    @property
    def subject(self) -> Subject:
        assert self.variant is not None
        return self.variant.subject


def whatif(
    model: Any,
    edits: str | Sequence[str],
    *,
    batch_size: int | None = None,
    input_shape: Shape | None = None,
    inputs: Inputs | None = None,
    alone: bool = False,
    verify: bool = False,
    conditions: Conditions | None = None,
    sampling: Sampling | None = None,
    progress: Tell | None = None,
    **options: Any,
) -> WhatIf:
    """What each of the edits would cost, after those before it, or `alone`: counts, and predicted seconds of a pass.

    `model` is a name, a module (which comes back untouched), or a class or function that builds one; an edit is text:
    'layer3.*: separable', 'layer4.1.conv2: kernel=1', 'width=0.75' or '@160'. Each variant is built and counted. Its
    time is that of the network as it is, which is measured, multiplied by how many times as long its operators take
    together: each distinct call is measured by itself, once on this machine. With `verify` the variants are
    measured too. Networks are given one tensor of `input_shape` (their own by default), or what `inputs` makes for a
    batch size, as in `compare`. Eager forward passes on the CPU only. Fields of Conditions and Sampling can be given as
    keywords.

    A variant that cannot be built or run keeps its place, with the reason. Raises BadOption for an edit that is none,
    that no layer matches, or that no layer which matches can take, and ForwardFailed where the network as it is fails.
    """
    conditions, given = from_keywords(
        "whatif",
        options,
        conditions=conditions or asked.Conditions,
        sampling=sampling or asked.Sampling,
    )
    check(conditions)
    if inputs is not None and input_shape is not None:
        raise BadOption("both 'inputs' and 'input_shape' are given;", "give one of them.")
    wanted = parsed(edits)
    if alone and len(wanted) == 1:
        raise BadOption("'alone' has no effect on a single edit:", "leave it out.")
    tell = progress or _silent
    rows = [_Row("", ()), *(_Row(edit.text, (edit,) if alone else wanted[: n + 1]) for n, edit in enumerate(wanted))]
    fed = functools.partial(variant_of, input_shape=input_shape, conditions=conditions, inputs=inputs)
    size = _counted(model, rows, batch_size, fed, tell)
    base = rows[0]
    base.name = base.subject.name
    for row in rows:
        if row.error is None:
            tell(f"running {row.name}")
            _run(row, size, conditions, base is row)
    _refuse_failures(rows)
    times = OperatorTimes(conditions, operators.opened(conditions), tell=tell)
    alive = [row for row in rows if row.error is None]
    times.measure(call for row in alive for call in row.calls)
    _measure(alive if verify else [base], size, conditions, given, tell)
    seconds = {call.key: times.seconds(call) for row in alive for call in row.calls}
    made = tuple(
        _record(row, base, base if alone else before, seconds) for before, row in zip([base, *rows], rows, strict=False)
    )
    return WhatIf(
        base.subject.name,
        base.subject.source,
        size,
        made,
        estimating.LEVEL,
        alone,
        len(seconds),
        times.measured,
        device.environment(conditions),
        tuple(_notes(base, times)),
        __version__,
    )


def check(conditions: Conditions) -> None:
    """Raise BadOption for conditions under which operators cannot be timed by themselves."""
    device.check_available(conditions)
    if not conditions.divisible:
        raise BadOption(
            "times of edits are predicted for eager forward passes on the CPU.",
            "Leave out '--device', '--compile' and '--mode train'.",
        )
    if conditions.autocast is not None:
        raise BadOption("operators are not measured under autocast.", "Leave out '--autocast', or use '--dtype'.")
    conditions.refuse_unused()


def _counted(
    model: Any,
    rows: Sequence[_Row],
    batch_size: int | None,
    variant: Callable[..., Variant],
    tell: Tell,
) -> int:
    """Build and count each row; the batch size. Edits that mean nothing are errors before anything else is done."""
    size = batch_size
    if size is not None and (type(size) is not int or size < 1):
        raise BadOption(f"batch size {size!r} is not a positive whole number;", "expected a batch size such as 8.")
    for row in rows:
        tell(f"counting {row.name or _shown(model)}")
        try:
            row.variant = variant(model, row.edits)
            size = size or row.subject.fixed_batch or 1
            row.profile = counts.profile_of(row.subject, size)
        except (BuildFailed, ForwardFailed) as error:
            if not row.edits:
                raise
            row.error = _after(row, str(error))
        except ArchprofError:
            raise
        except Exception as error:
            if not row.edits:
                raise ForwardFailed(f"{_shown(model)}: {one_line(error)}") from error
            row.error = _after(row, one_line(error))
    _refuse_failures(rows)
    assert size is not None
    return size


def _refuse_failures(rows: Sequence[_Row]) -> None:
    """Raise ForwardFailed where no variant is left."""
    if all(row.error for row in rows[1:]):
        raise ForwardFailed(next(row.error for row in rows[1:] if row.error))


def _after(row: _Row, said: str) -> str:
    """An error with the edit behind which it came."""
    return f"edit '{printable(row.edits[-1].text, SHOWN)}': {said}"


def _shown(model: Any) -> str:
    if isinstance(model, str | ModelSpec):
        return printable(str(getattr(model, "text", model)), SHOWN)
    return type(model).__name__ if isinstance(model, nn.Module) else str(getattr(model, "__name__", "a network"))


def _lacks_memory(profile: StaticProfile, conditions: Conditions) -> str | None:
    """Why a pass is not run; None: there is memory for it."""
    have = device.available_bytes(conditions)
    needed = profile.parameter_bytes + profile.buffer_bytes + profile.peak_activation_bytes
    if have is None or needed <= have:
        return None
    return f"batch size {profile.batch_size} needs {units.size(needed)}, and {units.size(have)} are available"


def _given(row: _Row, size: int, conditions: Conditions) -> Any:
    subject = row.subject
    return real.inputs(subject.inputs, subject.input_shape, size, conditions)


def _run(row: _Row, size: int, conditions: Conditions, is_base: bool) -> None:
    """One real pass, whose operator calls are written down."""
    assert row.variant is not None and row.profile is not None
    try:
        if lacks := _lacks_memory(row.profile, conditions):
            raise ForwardFailed(lacks)
        module = row.variant.materialised(conditions)
        args, kwargs = _given(row, size, conditions)
        with device.applied(conditions):
            row.calls = operators.calls_of(module, args, kwargs)
    except ArchprofError as error:
        failure: Exception = error
        said = str(error)
    except Exception as error:
        failure, said = error, one_line(error)
    else:
        return
    if is_base:
        raise ForwardFailed(f"{row.name}: {said}") from failure
    row.error = _after(row, said)


def _measure(rows: Sequence[_Row], size: int, conditions: Conditions, given: Sampling, tell: Tell) -> None:
    """The latency of each row, all of them in turns."""

    def prepared(row: _Row) -> Any:
        assert row.variant is not None
        args, kwargs = _given(row, size, conditions)
        return forward_step(row.variant.materialised(conditions), args, conditions, kwargs).__call__

    names = [str(place) for place in range(len(rows))]  # edits may be alike
    workloads = [
        sampling.Workload(name, size, functools.partial(prepared, row)) for name, row in zip(names, rows, strict=True)
    ]
    shown = {name: row.name for name, row in zip(names, rows, strict=True)}

    def told(seen: sampling.Progress) -> None:
        tell(f"measuring {', '.join(shown.values())}"[:SHOWN], seen.left_s)

    with device.applied(conditions):
        found = sampling.measure(
            workloads,
            given,
            reference="0" if len(rows) > 1 else None,
            progress=told,
            witness=replace(device.witness(conditions), meter=None),
            rearrange=device.rearranger(conditions),
        )
    for workload, row in zip(workloads, rows, strict=True):
        row.latency = found[workload.key]
    base = rows[0]
    assert base.latency is not None
    if not base.latency.measured:
        raise ForwardFailed(f"{base.name}, batch {size}: {base.latency.error}")


def _record(row: _Row, base: _Row, earlier: _Row, seconds: Mapping[str, float | None]) -> records.Variant:
    """What is known of a row; its last edit followed on `earlier`."""
    edits = tuple(edit.text for edit in row.edits)
    if row.error is not None or row.profile is None or base.latency is None:
        return records.Variant(row.name, edits, error=row.error)
    before, after = (estimating.total(one.calls, seconds) for one in (base, row))
    scale = base.latency.p50_s / before if before > 0 else 0.0
    predicted = interval = None
    if row is not base and before > 0 and after > 0:  # without operators a pass takes what nothing here tells
        predicted = scale * after
        changed = estimating.changed_share(base.calls, row.calls, seconds)
        interval = estimating.interval(predicted, changed, base.latency)
    gone, come = estimating.differing(base.calls, row.calls)
    last = row.variant.last if row.variant else None
    profile = row.profile
    return records.Variant(
        row.name,
        edits,
        layers=last.layers if last else (),
        left_alone=tuple(NotEdited(*one) for one in last.left_alone) if last else (),
        same=row is not base and _same(row, earlier),
        input_shape=profile.input_shape,
        parameters=profile.parameters,
        macs=profile.macs,
        activations=profile.activations,
        parameter_bytes=profile.parameter_bytes,
        buffer_bytes=profile.buffer_bytes,
        peak_activation_bytes=profile.peak_activation_bytes,
        uncounted=tuple(one.op for one in profile.uncounted),
        predicted_seconds=predicted,
        predicted_interval=interval,
        kinds=estimating.kinds(row.calls, seconds, scale),
        gone=estimating.kinds(gone, seconds, scale),
        come=estimating.kinds(come, seconds, scale),
        untimed=tuple(dict.fromkeys(call.op.name for call in row.calls if seconds[call.key] is None)),
        latency=row.latency,
    )


def _same(row: _Row, earlier: _Row) -> bool:
    """Whether no operator call differs, and no parameter."""
    if (
        row.profile is None
        or earlier.profile is None
        or [call.key for call in row.calls] != [call.key for call in earlier.calls]
    ):
        return False
    return row.profile.parameters == earlier.profile.parameters and row.profile.layers == earlier.profile.layers


def _notes(base: _Row, times: OperatorTimes) -> list[str]:
    notes = [*(base.profile.notes if base.profile else ())]
    if times.kept.unwritten:
        notes.append(times.kept.unwritten)
    return notes
