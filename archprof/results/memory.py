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

    On CUDA the two `allocator_bytes` are what the allocator holds at the peak beyond the bytes of tensors and weights:
    what sizes are rounded up by, and cuBLAS's workspace. `reserved_bytes` and `training_reserved_bytes` (with the run's
    optimizer) are what it has taken from the driver by then; None elsewhere.
    """

    batch_size: int
    peak_activation_bytes: int
    training_activation_bytes: int | None = None
    training_peak_bytes: int | None = None
    scratch_bytes: int | None = None
    training_scratch_bytes: int | None = None
    input_bytes: int = 0
    allocator_bytes: int = 0
    training_allocator_bytes: int = 0
    reserved_bytes: int | None = None
    training_reserved_bytes: int | None = None


class OptimizerMemory(NamedTuple):
    """What an optimizer keeps between steps, and takes while it updates, in bytes."""

    optimizer: str
    state_bytes: int
    update_bytes: int


class Limiting(NamedTuple):
    """Where memory is highest at the largest batch that fits (at the smallest where none does), `nbytes` in all.

    `mode` is 'inference' or 'training'. `moment` is 'forward', 'backward' or 'update' (of the weights), `layer` the
    path of the module whose `operator` runs then. `measured_bytes` is what the device's allocator saw at that batch,
    `beyond_bytes` at one sample more; None: not measured, and `why` says why where it was to be.
    """

    mode: str
    batch_size: int
    nbytes: int
    moment: str
    layer: str = ""
    operator: str = ""
    measured_bytes: int | None = None
    beyond_bytes: int | None = None
    why: str | None = None


class Help(NamedTuple):
    """A change that needs less memory, the option that makes it ('': in the network's own code), and what would fit.

    `saved_bytes` and `saved_training_bytes` are what it saves at the largest batches that fit without it. What
    operators take for themselves then is left out unless `scratch_known`.
    """

    change: str
    option: str
    inference: int
    training: int | None
    saved_bytes: int
    saved_training_bytes: int | None = None
    scratch_known: bool = True


#: Tokens beyond which nobody asks whether they fit.
FARTHEST_TOKENS = 2**24


class LargestBatch(NamedTuple):
    """The largest batch sizes predicted to fit into `limit_bytes`, parameters included; 0: not even one sample does.

    `training` is with `optimizer`; None where training cannot be traced. `least_bytes` and `least_training_bytes` are
    what the smallest batch needs. `limited` says what limits each, `helps` what would help, where that was asked. Of a
    network of tokens whose source makes inputs of any length, `longest_prompt` is the longest that fits at batch 1, and
    `longest_context` the most tokens after which one more can be decoded; FARTHEST_TOKENS: that many, or more. What
    operators take for themselves at these batch sizes is left out unless `scratch_known`.
    """

    limit_bytes: int
    optimizer: str
    inference: int
    training: int | None
    least_bytes: int
    least_training_bytes: int | None = None
    limited: tuple[Limiting, ...] = ()
    helps: tuple[Help, ...] = ()
    longest_prompt: int | None = None
    longest_context: int | None = None
    scratch_known: bool = True
