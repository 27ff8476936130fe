"""What a sweep is asked for, as it travels to where its networks run, and what any such place is asked."""

from __future__ import annotations

import contextlib
import gc
import secrets
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..base import streams
from ..base.errors import BadSpec
from ..models import spec
from ..models.input_spec import InputSpec
from ..results.conditions import Conditions, Sampling
from ..results.profile import Shape

#: Libraries whose networks are known by name, as the package that must be there.
LIBRARIES = ("timm", "torchvision")

#: For each network, of which there may be thousands.
SAMPLING = Sampling(time_budget=2.0)

#: Seconds after which counting or measuring one network is given up.
TIMEOUT_S = 120.0


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


def warm_up(libraries: Sequence[str]) -> None:
    """Import what every task needs, so that no task is charged for it. What fails here fails again where it is said."""
    sys.stdout = streams.Printable(sys.stderr)
    warnings.simplefilter("ignore")
    import torch

    from . import counted_rows  # noqa: F401

    torch.set_num_threads(1)
    for library in libraries:
        with contextlib.suppress(Exception):
            __import__(library)
    # a network is hundreds of thousands of objects: looking through them for cycles at the usual rate takes a third of
    # all the time
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def apart(models: Iterable[Any]) -> str:
    """What keeps processes that run these networks from other runs: nothing where all are of archprof or a library.

    Code of one's own may have changed on the disk since it was imported there, and what it left may escape `watched`.
    """
    own = [model for model in models if not isinstance(model, str) or not _of_a_library(model)]
    return secrets.token_hex(8) if own else ""


def _of_a_library(model: str) -> bool:
    try:
        return spec.parse(model).source in ("zoo", *LIBRARIES)
    except BadSpec:
        return True  # no code runs for it


def watched() -> Callable[[], str | None]:
    """What tells whether a network changed the process for those after it."""
    from . import process_state

    return process_state.watched()


def environment_one(asked: object, request: SweepRequest) -> dict[str, Any]:
    """What this machine measures on. Raises BadOption where it cannot measure under the request's conditions."""
    from ..measure import device

    conditions = (request.measuring or Measuring()).conditions
    return device.environment(device.check_available(conditions))
