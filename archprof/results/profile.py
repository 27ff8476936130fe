"""What one network costs by counting alone. Counts are exact ints; bytes are bytes. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from . import presentation

if TYPE_CHECKING:
    import pandas

Shape = tuple[int, ...]


class LayerCost(NamedTuple):
    """One operator call: where it ran and what it costs.

    `module` is the dotted path of the innermost module that was running ('' is the network itself).
    `macs` is None where the operator has no formula and is not known to be free. `parameters` counts
    the learned scalars that this call was the first to read, `weights` those of them that multiply (the
    weight of a convolution or linear layer, not its bias). Shapes include the batch. `seconds` is the call's part of
    a measured pass, None where nothing was measured.
    """

    module: str
    op: str
    type: str
    input_shape: Shape
    output_shape: Shape
    macs: int | None
    activations: int = 0
    parameters: int = 0
    weights: int = 0
    bytes_moved: int = 0
    kernel: Shape = ()
    stride: Shape = ()
    receptive_field: Shape = ()
    seconds: float | None = None


@dataclass(frozen=True)
class TypeCost:
    """The calls of one layer type, folded. `weights` as in LayerCost."""

    type: str
    parameters: int
    macs: int
    calls: int
    weights: int = 0
    activations: int = 0


@dataclass(frozen=True)
class Uncounted:
    """An operator without formula, and how often it was called."""

    op: str
    calls: int


class ModuleCost(NamedTuple):
    """A module of the tree: its own parameters and buffers, its descendants' left out.

    A parameter owned by several modules is counted where it is met first. `outputs` are the elements of the first
    tensor that the module returned, `output_bytes` their bytes, all its `calls` in the pass together.
    """

    path: str
    kind: str
    parameters: int = 0
    trainable_parameters: int = 0
    buffers: int = 0
    calls: int = 0
    outputs: int = 0
    output_bytes: int = 0


@dataclass(frozen=True, repr=False)
class StaticProfile:
    """What one network costs by counting alone, for one forward pass of `batch_size` samples.

    `input_shape` is that of the first input, without the batch. Bytes follow the parameters' and
    activations' own types; `gradient_bytes` are those of every trainable parameter's gradient, `saved_bytes`
    those of a saved state_dict's tensors (of the file, where the network came from an exported one), `cache_bytes`
    those of what earlier tokens left for the one that is decoded (None for a pass that decodes none). `training_bytes`
    is everything that a training step with SGD and momentum holds at its highest point, on any device, None where no
    step was traced. `notes` say how the numbers came about where it was not the usual way.
    """

    name: str
    source: str
    input_shape: Shape
    batch_size: int
    parameters: int
    trainable_parameters: int
    buffers: int
    macs: int
    activations: int
    parameter_bytes: int
    buffer_bytes: int
    peak_activation_bytes: int
    training_activation_bytes: int | None
    saved_bytes: int = 0
    gradient_bytes: int = 0
    training_bytes: int | None = None
    peak_at: str = ""
    mode: str = "eval"
    uncounted: tuple[Uncounted, ...] = ()
    by_type: tuple[TypeCost, ...] = ()
    layers: tuple[LayerCost, ...] = ()
    modules: tuple[ModuleCost, ...] = ()
    notes: tuple[str, ...] = ()
    cache_bytes: int | None = None

    @property
    def flops(self) -> int:
        """Floating-point operations: two for each multiply-accumulate."""
        return 2 * self.macs

    def to_frame(self) -> pandas.DataFrame:
        """One row per operator call (the fields of LayerCost)."""
        import pandas

        return pandas.DataFrame(self.layers, columns=list(LayerCost._fields))

    def __repr__(self) -> str:
        return presentation.brief(self)

    def _repr_html_(self) -> str:
        return presentation.present(self, "html")
