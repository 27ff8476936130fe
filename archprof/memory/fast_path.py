"""nn.MultiheadAttention and nn.TransformerEncoderLayer as the CPU runs them in inference: one operator each.

torch takes this fast path where no gradient is wanted and no mode looks on; a pass that is recorded never would. Its
operators have no kernels for stand-ins: what they return is written here, what they take is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..counting.closed_forms import CLOSED, Layout, contiguous
from ..counting.trace import ONE_AT_A_TIME

aten = torch.ops.aten

HEADS = aten._native_multi_head_attention.default
LAYER = aten._transformer_encoder_layer_fwd.default


@contextmanager
def fast_path(lower: torch.dtype | None = None) -> Iterator[None]:
    """Inside, modules that ask whether somebody overrides torch's functions are told that nobody does.

    Under an autocast to `lower` on the CPU, where they take the fast path, too, an encoder's layer returns that type.
    """
    with ONE_AT_A_TIME:
        asked = torch.overrides.has_torch_function
        torch.overrides.has_torch_function = lambda tensors: False
        forms = {HEADS: _heads, LAYER: partial(_layer, lower)}
        CLOSED.update(forms)
        try:
            yield
        finally:
            torch.overrides.has_torch_function = asked
            for op in forms:
                CLOSED.pop(op, None)


def _heads(query: Tensor, *args: Any, **kwargs: Any) -> list[Layout]:
    """The output, and the weights of all heads or their mean: (N, L, S) or (N, H, L, S), nothing where unasked."""
    heads, given = args[3], dict(enumerate(args[8:]))
    need = kwargs.get("need_weights", given.get(1, True))
    mean = kwargs.get("average_attn_weights", given.get(2, True))
    batch, length, _ = query.shape
    weights = (0,) if not need else (batch, length, length) if mean else (batch, heads, length, length)
    return [_plain(tuple(query.shape), query.dtype), _plain(weights, query.dtype)]


def _layer(lower: torch.dtype | None, source: Tensor, *_: Any, **__: Any) -> Layout:
    return _plain(tuple(source.shape), lower or source.dtype)


def _plain(shape: tuple[int, ...], dtype: torch.dtype) -> Layout:
    return shape, contiguous(shape), dtype
