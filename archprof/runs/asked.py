"""What a sweep is asked for, as it travels to where its networks run, and what any such place is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..models.input_spec import InputSpec
from ..results.conditions import Conditions, Sampling
from ..results.profile import Shape

#: For each network, of which there may be thousands.
SAMPLING = Sampling(time_budget=2.0)


@dataclass(frozen=True)
class Measuring:
    """How each network of a sweep is measured."""

    batch_sizes: tuple[int, ...] = (1,)
    conditions: Conditions = Conditions()
    sampling: Sampling = SAMPLING


@dataclass(frozen=True)
class SweepRequest:
    """What every network of a sweep is given: an input shape or inputs (default: its own), and how it is measured.

    `measuring` None: networks are counted only.
    """

    input_shape: Shape | None = None
    inputs: tuple[InputSpec, ...] = ()
    measuring: Measuring | None = None

    def header(self) -> dict[str, Any]:
        """What stands in the file's first line: entries made under other conditions do not mix with these."""
        return {
            "input_shape": self.input_shape and list(self.input_shape),
            "inputs": [str(spec) for spec in self.inputs],
        }


def watched() -> Callable[[], str | None]:
    """What tells whether a network changed the process for those after it."""
    from . import process_state

    return process_state.watched()


def environment_one(asked: object, request: SweepRequest) -> dict[str, Any]:
    """What this machine measures on. Raises BadOption where it cannot measure under the request's conditions."""
    from ..measure import device

    conditions = (request.measuring or Measuring()).conditions
    return device.environment(device.check_available(conditions))
