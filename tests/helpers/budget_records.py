"""Profiles made by hand, and the config that judges them: what the tests of budgets share."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from archprof.base.errors import UnknownModel
from archprof.results.profile import LayerCost, ModuleCost, StaticProfile, Uncounted

#: Two budgets: one within, one over.
TWO = """\
[[budget]]
name = "small"
model = "net"
parameters = "618"
macs = "at most 1 M"

[[budget]]
name = "wide"
model = "wider"
parameters = { at_least = "100", at_most = "0.6 x net" }
"""


def network(width: int = 16, name: str = "net", batch_size: int = 1) -> StaticProfile:
    """conv (3 -> width, 3x3, 8x8 out) and fc (width -> 10), both with bias, as a profile.

    Parameters: conv 27 w + w, fc 10 w + 10; mult-adds: 64 * 27 w and 10 w; float32.
    """
    layers = (
        LayerCost(
            "conv",
            "aten.convolution",
            "conv 3x3",
            (batch_size, 3, 8, 8),
            (batch_size, width, 8, 8),
            batch_size * 64 * 27 * width,
            activations=batch_size * 64 * width,
            parameters=28 * width,
        ),
        LayerCost("relu", "aten.relu", "activation", (batch_size, width, 8, 8), (batch_size, width, 8, 8), 0),
        LayerCost(
            "fc",
            "aten.addmm",
            "linear",
            (batch_size, width),
            (batch_size, 10),
            macs=batch_size * 10 * width,
            activations=batch_size * 10,
            parameters=10 * width + 10,
        ),
    )
    parameters = 38 * width + 10
    return StaticProfile(
        name=name,
        source="zoo",
        input_shape=(3, 8, 8),
        batch_size=batch_size,
        parameters=parameters,
        trainable_parameters=parameters,
        buffers=0,
        macs=batch_size * (64 * 27 * width + 10 * width),
        activations=batch_size * (64 * width + 10),
        parameter_bytes=4 * parameters,
        buffer_bytes=0,
        peak_activation_bytes=batch_size * 4 * 128 * width,
        training_activation_bytes=batch_size * 4 * 192 * width,
        saved_bytes=4 * parameters,
        peak_at="relu",
        layers=layers,
        modules=(
            ModuleCost("", "Net"),
            ModuleCost("conv", "Conv2d", 28 * width, 28 * width),
            ModuleCost("relu", "ReLU"),
            ModuleCost("fc", "Linear", 10 * width + 10, 10 * width + 10),
        ),
    )


def with_unknown_op(profile: StaticProfile) -> StaticProfile:
    """The same with an operator that has no formula."""
    return replace(profile, uncounted=(Uncounted("mylib::fused_act", 3),))


def profiler(**profiles: StaticProfile):
    """A profile function that knows these models and no other."""

    def profile(model, feed, training):
        if model not in profiles:
            raise UnknownModel(f"unknown model '{model}'.", "'archprof list' shows the zoo.")
        return profiles[model]

    return profile


def written(folder: Path, text: str, name: str = "archprof.toml") -> Path:
    """A config file with that text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def budget(**keys) -> str:
    """A [[budget]] of the model net, with these keys."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in ({"model": "net"} | keys).items()]
    return "\n".join(["[[budget]]", *lines, ""])
