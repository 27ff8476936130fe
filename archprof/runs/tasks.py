"""What a sweep does with one network, in a process of its own: here or on another machine. Imports no torch yet."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Sequence
from typing import Any

from ..base import streams
from ..base.errors import ArchprofError
from ..results.comparison import BULKY, row_json
from .asked import LIBRARIES, Measuring, SweepRequest


def count_one(model: str, request: SweepRequest) -> dict[str, Any]:
    """The entry of one network, counted."""
    from . import compare

    return row_json(compare.counted(model, input_shape=request.input_shape, inputs=_inputs(request)), BULKY)


def measure_one(model: str, request: SweepRequest) -> dict[str, Any]:
    """The entry of one network, counted and measured, in a process that has the machine to itself."""
    from . import compare

    measuring = request.measuring or Measuring()
    with contextlib.redirect_stdout(streams.Printable(sys.stderr)):
        result = compare.compare(
            [model],
            batch_sizes=measuring.batch_sizes,
            conditions=measuring.conditions,
            sampling=measuring.sampling,
            input_shape=request.input_shape,
            inputs=_inputs(request),
            logbook=False,
        )
    return row_json(result.architectures[0], BULKY, result.optimizer)


def expand_one(patterns: Sequence[str]) -> list[str] | ArchprofError:
    """The networks that patterns mean where this runs, or what is wrong with a pattern."""
    from ..models import expand

    try:
        return expand(patterns)
    except ArchprofError as error:
        return error


def _inputs(request: SweepRequest) -> Any:
    if not request.inputs:
        return None
    from ..counting.inputs import given_inputs

    return functools.partial(given_inputs, request.inputs)


def libraries_of(models: Sequence[str]) -> list[str]:
    return sorted({name.partition(":")[0] for name in models} & set(LIBRARIES))
