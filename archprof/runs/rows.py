"""What a comparison was asked for, and its rows while they are filled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from .. import models
from ..counting import counts
from ..measure import real
from ..models.spec import ModelSpec
from ..results.comparison import Accuracy, ArchitectureResult
from ..results.conditions import Conditions, Sampling
from ..results.profile import Shape

#: Called with what is being done and the seconds that are left at most.
Tell = Callable[[str, float], None]

#: Makes forward's arguments and keyword arguments for a batch size.
Inputs = Callable[[int], models.Arguments]


@dataclass(frozen=True)
class Request:
    """What a comparison was asked for, the networks left out."""

    conditions: Conditions = Conditions()
    sampling: Sampling = Sampling()
    batch_sizes: tuple[int, ...] = ()
    input_shape: Shape | None = None
    inputs: Inputs | None = None
    accuracies: Sequence[Accuracy] = ()
    dataset: str = "imagenet-1k"
    memory: int | None = None
    explain: bool = False
    progress: Tell | None = None

    def tell(self, doing: str, left_s: float = 0.0) -> None:
        """Report progress where somebody wants it."""
        if self.progress is not None:
            self.progress(doing, left_s)


@dataclass
class RowInProgress:
    """One network of a comparison: as it was asked for, then its result as far as it has come.

    `needs` are the bytes that measuring takes at least, by batch size.
    """

    model: Any
    found: models.Found | None
    result: ArchitectureResult
    needs: dict[int, int] = field(default_factory=dict)
    built: nn.Module | None = None

    def module(self, request: Request) -> nn.Module:
        """The network with memory and weights; it is built once, when it is first measured."""
        if self.built is None:
            self.built = real.module(self.model, self.found, request.conditions)
        return self.built

    def given(self, request: Request, batch_size: int) -> models.Arguments:
        """What its forward is called with."""
        assert self.result.profile is not None
        given = request.inputs or (counts.inputs_of(self.found, request.input_shape) if self.found else None)
        return real.inputs(given, self.result.profile.input_shape, batch_size, request.conditions)


def row_of(model: Any, name: str | None = None) -> RowInProgress:
    """The row of a network that was named or handed over, shown under `name` where it is not the model's own.

    Raises what looking for a name raises.
    """
    if isinstance(model, nn.Module):
        kind = type(model).__name__
        return RowInProgress(model, None, ArchitectureResult(name or kind, "instance", kind))
    found = models.find(model)
    if name is not None:
        found = replace(found, spec=replace(found.spec, text=name))
    result = ArchitectureResult(found.name, found.source, found.family, found.year)
    return RowInProgress(found.spec if isinstance(model, str | ModelSpec) else model, found, result)
