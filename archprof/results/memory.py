"""Predicted memory of one network, in bytes. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class BatchMemory:
    """Predicted memory at one batch size, in bytes; parameters, buffers and optimizer state come on top.

    `peak_activation_bytes` is the most that a forward pass holds at once. `training_activation_bytes` is held between
    forward and backward, `training_peak_bytes` (activations and gradients) the most that the two hold at once; both
    are None where training was not traced or cannot be (a batch norm over one value). The two `scratch_bytes` are by
    how much each peak is higher on the run's device with what operators take for themselves; None: not known.
    """

    batch_size: int
    peak_activation_bytes: int
    training_activation_bytes: int | None = None
    training_peak_bytes: int | None = None
    scratch_bytes: int | None = None
    training_scratch_bytes: int | None = None
    input_bytes: int = 0


class OptimizerMemory(NamedTuple):
    """What an optimizer keeps between steps, and takes while it updates, in bytes."""

    optimizer: str
    state_bytes: int
    update_bytes: int


class LargestBatch(NamedTuple):
    """The largest batch sizes predicted to fit into `limit_bytes`, parameters included; 0: not even one sample does.

    `training` is with `optimizer`; None where training cannot be traced. `least_bytes` and `least_training_bytes` are
    what the smallest batch needs.
    """

    limit_bytes: int
    optimizer: str
    inference: int
    training: int | None
    least_bytes: int
    least_training_bytes: int | None = None
