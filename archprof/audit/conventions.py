"""The memory estimates of torchinfo and torchsummary, as they would print them, from our own records.

Neither is a prediction. Both add up what modules return, whenever it was freed: torchinfo the outputs of the
leaf modules that own parameters (ReLU and pooling are left out), torchsummary those of every module but
Sequential and ModuleList (blocks are counted beside their own parts), each times two for gradients, also
where nothing is trained. A forward pass holds two or three of these at a time, and forgets the rest: see
`peak_activation_bytes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ..results.profile import ModuleCost, StaticProfile

WHY = (
    "Both add up what modules return over the whole pass and double it for gradients; "
    "a forward pass frees most of it on the way, so its peak is lower."
)


@dataclass(frozen=True)
class MemoryEstimate:
    """A tool's four figures in bytes; `unit_bytes` is what it calls a MB, `batch_size` that of its
    figures.
    """

    tool: str
    batch_size: int
    unit_bytes: int
    input_bytes: int
    forward_backward_bytes: int
    parameter_bytes: int

    @property
    def total_bytes(self) -> int:
        """What the tool prints as the estimated total."""
        return self.input_bytes + self.forward_backward_bytes + self.parameter_bytes

    @property
    def printed(self) -> tuple[str, str, str, str]:
        """Input, forward/backward, parameters and total as the tool prints them, two decimals."""
        figures = (self.input_bytes, self.forward_backward_bytes, self.parameter_bytes, self.total_bytes)
        return tuple(f"{value / self.unit_bytes:.2f}" for value in figures)  # type: ignore[return-value]


def torchinfo(profile: StaticProfile) -> MemoryEstimate:
    """torchinfo 1.8: outputs of called leaf modules that own parameters, twice, in their own type; MB = 10^6
    bytes.

    Parameters: those of the same leaf modules (what a module with children owns itself is left out).
    """
    leaves = [module for module in _leaves(profile) if module.calls]
    owners = [module for module in leaves if module.parameters]
    each = profile.parameter_bytes // profile.parameters if profile.parameters else 4
    return MemoryEstimate(
        "torchinfo",
        profile.batch_size,
        10**6,
        4 * prod((profile.batch_size, *profile.input_shape)),
        2 * sum(module.output_bytes for module in owners),
        each * sum(module.parameters for module in owners),
    )


def torchsummary(profile: StaticProfile) -> MemoryEstimate:
    """torchsummary 1.5: outputs of all modules but containers and the network itself, twice, 4 bytes an
    element.

    Its figures are those of one sample, whatever the batch; MB = 2^20 bytes. Parameters are those of the same
    modules.
    """
    counted = [
        module
        for module in profile.modules
        if module.path and module.calls and module.kind not in ("Sequential", "ModuleList")
    ]
    return MemoryEstimate(
        "torchsummary",
        1,
        2**20,
        4 * prod(profile.input_shape),
        8 * sum(module.outputs for module in counted) // profile.batch_size,
        4 * sum(module.parameters for module in counted),
    )


def estimates(profile: StaticProfile) -> tuple[MemoryEstimate, ...]:
    """Every tool's."""
    return torchinfo(profile), torchsummary(profile)


def _leaves(profile: StaticProfile) -> list[ModuleCost]:
    parents = {module.path.rpartition(".")[0] for module in profile.modules if module.path}
    return [module for module in profile.modules if module.path not in parents]
