"""What other tools say about a network, term by term: records only, no torch and none of the tools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ..base.version import __version__
from ..results.profile import StaticProfile
from ..results.saved import SCHEMA_VERSION, as_json
from . import conventions


class Term(NamedTuple):
    """One named reason why a tool's number differs from ours, in the tool's own units."""

    name: str
    amount: int


@dataclass(frozen=True)
class Opinion:
    """A tool's own total beside ours. `error` says why it gave none.

    `terms` are computed from our record of the pass and the tool's rules alone; whatever they leave
    unexplained is the `remainder`.
    """

    tool: str
    version: str
    unit: str
    ours: int
    total: int | None = None
    terms: tuple[Term, ...] = ()
    parameters: int | None = None
    error: str | None = None

    @property
    def difference(self) -> int | None:
        """The tool's total less ours."""
        return None if self.total is None else self.total - self.ours

    @property
    def remainder(self) -> int | None:
        """What the terms leave unexplained: 0 where the tool is understood."""
        return None if self.total is None else self.total - self.ours - sum(term.amount for term in self.terms)


@dataclass(frozen=True)
class Audit:
    """One network: our profile, the other tools' opinions, and the other conventions of memory."""

    profile: StaticProfile
    opinions: tuple[Opinion, ...]

    @property
    def memory(self) -> tuple[conventions.MemoryEstimate, ...]:
        """The estimates that torchinfo and torchsummary would print."""
        return conventions.estimates(self.profile)

    def to_json(self) -> dict[str, Any]:
        """Everything in base units."""
        profile = self.profile
        return {
            "schema_version": SCHEMA_VERSION,
            "archprof": __version__,
            "name": profile.name,
            "source": profile.source,
            "batch_size": profile.batch_size,
            "input_shape": list(profile.input_shape),
            "macs": profile.macs,
            "parameters": profile.parameters,
            "peak_activation_bytes": profile.peak_activation_bytes,
            "opinions": [
                as_json(opinion)
                | {
                    "terms": [{"name": term.name, "amount": term.amount} for term in opinion.terms],
                    "difference": opinion.difference,
                    "remainder": opinion.remainder,
                }
                for opinion in self.opinions
            ],
            "memory": [as_json(estimate) | {"total_bytes": estimate.total_bytes} for estimate in self.memory],
        }
