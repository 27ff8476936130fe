"""Pieces that several families share: the activations, convolution + batch norm, He initialisation, checks.

Nothing here looks at the value of a tensor, so every network can be built on the meta device.
Errors are plain ValueError and TypeError; whoever asked for the network says which network it was.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

from torch import nn

from .registry import plain

# name -> layer, and whether torch offers it in place
ACTIVATIONS: dict[str, tuple[Callable[..., nn.Module], bool]] = {
    "relu": (nn.ReLU, True),
    "sigmoid": (nn.Sigmoid, False),
    "leaky_relu": (nn.LeakyReLU, True),
    "relu6": (nn.ReLU6, True),
    "gelu": (nn.GELU, False),
}


def activation_layer(name: str, inplace: bool = True) -> nn.Module:
    """The activation called `name`, whatever its case and separators ('LeakyReLU' is 'leaky_relu').

    In place where torch offers that (as published networks have it), unless `inplace` is False: a
    comparison of activations that should differ by the function alone sets it so.
    Raises ValueError for a name that is not in ACTIVATIONS, TypeError for what is no name.
    """
    if not isinstance(name, str):
        raise TypeError(f"activation must be a name ({', '.join(ACTIVATIONS)}), not {name!r}")
    spellings = {plain(known): known for known in ACTIVATIONS}
    known = spellings.get(plain(name))
    if known is None:
        near = difflib.get_close_matches(plain(name), spellings, n=1, cutoff=0.5)
        hint = f"; did you mean '{spellings[near[0]]}'?" if near else ""
        raise ValueError(f"unknown activation '{name}', expected one of {', '.join(ACTIVATIONS)}{hint}")
    layer, can_be_inplace = ACTIVATIONS[known]
    return layer(inplace=inplace) if can_be_inplace else layer()


def conv_bn(
    in_channels: int,
    out_channels: int,
    kernel: int | tuple[int, int],
    stride: int = 1,
    padding: int | tuple[int, int] | None = None,
    groups: int = 1,
    activation: str | None = "relu",
    bias: bool = False,
    eps: float = 1e-5,
    inplace: bool = True,
) -> nn.Sequential:
    """Convolution (0), batch norm (1), activation (2; left out where it is None).

    x (N, Cin, H, W) -> (N, Cout, H', W'); `padding` None keeps H and W at stride 1 for odd kernels.
    """
    if padding is None:
        padding = kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=bias),
        nn.BatchNorm2d(out_channels, eps=eps),
    ]
    if activation is not None:
        layers.append(activation_layer(activation, inplace))
    return nn.Sequential(*layers)


def he_init(network: nn.Module, linear_std: float | None = None) -> None:
    """He et al. 2015 (arXiv 1502.01852), fan-out, for every convolution; batch norm begins as the identity.

    Linear layers keep torch's own initialisation unless `linear_std` asks for N(0, linear_std) and zero bias.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear) and linear_std is not None:
            nn.init.normal_(module.weight, 0.0, linear_std)
            nn.init.zeros_(module.bias)


def check_counts(**counts: int) -> None:
    """Every value is a whole number of at least 1; TypeError or ValueError names the first that is not."""
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be a whole number of at least 1, not {value!r}")
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")


def check_probabilities(**probabilities: float) -> None:
    """Every value lies in 0..1; TypeError or ValueError names the first that does not."""
    for name, value in probabilities.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} must be a probability from 0 to 1, not {value!r}")
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be a probability from 0 to 1, not {value}")
