"""Complex convolutions by the book: four real ones.

torch spends three and a few more additions (Gauss's trick), while its complex matrix products take four. A count
must not depend on that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_CONVOLUTIONS = {
    torch.conv1d,
    torch.conv2d,
    torch.conv3d,
    torch.conv_transpose1d,
    torch.conv_transpose2d,
    torch.conv_transpose3d,
}


class FourProducts(TorchFunctionMode):
    """While this mode is on, (a + bi) * (c + di) takes the four convolutions ac, bd, ad and bc."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in _CONVOLUTIONS or len(args) < 2 or not args[1].is_complex():
            return func(*args, **kwargs)
        x, weight, *rest = args
        bias = rest.pop(0) if rest else kwargs.pop("bias", None)

        def real(a: Any, b: Any) -> Any:
            return func(a, b, None, *rest, **kwargs)

        out = torch.complex(
            real(x.real, weight.real) - real(x.imag, weight.imag), real(x.real, weight.imag) + real(x.imag, weight.real)
        )
        return out if bias is None else out + bias.reshape(-1, *[1] * (weight.dim() - 2))
