"""What a network is fed: default inputs, stand-ins for given ones, real ones where values matter."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..models import Arguments
from ..models.input_spec import InputSpec
from ..results.profile import Shape


def default_inputs(module: nn.Module, batch_size: int, input_shape: Shape) -> tuple[Tensor]:
    """One tensor (batch_size, *input_shape) on meta, in the type of the network's parameters (float32 without any)."""
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    return (torch.empty((batch_size, *input_shape), dtype=dtype, device="meta"),)


def given_inputs(specs: Iterable[InputSpec], batch_size: int) -> Arguments:
    """Forward's arguments as described, the batch in front.

    Floating-point tensors are on meta; whole numbers are real, drawn below their bound (0 without one), because
    networks look at them; truth values are all True.
    """
    args: list[Tensor] = []
    kwargs: dict[str, Tensor] = {}
    for spec in specs:
        tensor = _given(spec, (batch_size, *spec.shape))
        if spec.name:
            kwargs[spec.name] = tensor
        else:
            args.append(tensor)
    return tuple(args), kwargs


def _given(spec: InputSpec, shape: Shape) -> Tensor:
    dtype = getattr(torch, spec.dtype)
    if dtype.is_floating_point or dtype.is_complex:
        return torch.empty(shape, dtype=dtype, device="meta")
    if dtype is torch.bool:
        return torch.ones(shape, dtype=dtype)
    drawn = torch.Generator().manual_seed(0)
    return torch.randint(0, spec.below or 1, shape, generator=drawn, dtype=dtype)


def real_inputs(inputs: Any, device: torch.device) -> Any:
    """The same structure with a real random tensor for each one on meta, everything on `device`."""

    def real(tensor: Tensor) -> Tensor:
        if not tensor.is_meta:
            return tensor.detach().to(device, copy=True).requires_grad_(tensor.requires_grad)
        if tensor.is_floating_point():
            return torch.randn(tensor.shape, device=device).to(tensor.dtype)
        return torch.zeros(tensor.shape, dtype=tensor.dtype, device=device)

    return pytree.tree_map_only(Tensor, real, inputs)


def in_dtype(inputs: Any, dtype: torch.dtype | None) -> Any:
    """The same structure with floating-point tensors in `dtype`; None leaves them."""
    if dtype is None:
        return inputs

    def cast(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    return pytree.tree_map_only(Tensor, cast, inputs)


def first_shape(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Shape:
    """Shape of the first tensor among the inputs, () where there is none."""
    leaves = pytree.tree_leaves((args, kwargs))
    return next((tuple(leaf.shape) for leaf in leaves if isinstance(leaf, Tensor)), ())


def signature_of(module: nn.Module) -> str:
    """forward's parameters as a reader would write them: '(x, mask=None)'."""
    try:
        return str(inspect.signature(module.forward)).split(" ->")[0]
    except (TypeError, ValueError):
        return "(unknown)"
