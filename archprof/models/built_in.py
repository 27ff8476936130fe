"""The zoo as a source: bare names."""

from __future__ import annotations

import functools

from ..base.errors import BadOption, UnknownModel, did_you_mean, printable
from .found import Found, check_options
from .spec import SHOWN, ModelSpec


def find(spec: ModelSpec) -> Found:
    """The architecture of that name or alias, with its options checked."""
    from . import zoo

    architecture = zoo.find(spec.target)
    if architecture is None:
        known = zoo.architectures()
        spellings = [*known, *(alias for entry in known.values() for alias in entry.aliases)]
        raise UnknownModel(
            f"unknown model '{printable(spec.target, SHOWN)}'.{did_you_mean(spec.target, spellings)}",
            "'archprof list' shows the zoo; also torchvision:NAME, timm:NAME, package.module:callable.",
        )
    options = check_options(architecture.name, architecture.build, spec.keywords)
    channels, height, width = architecture.input_shape
    if "in_channels" in options:
        channels = options["in_channels"]
    if spec.resolution is not None:
        height = width = spec.resolution
    if channels <= 0:
        raise BadOption(f"{architecture.name}: in_channels={channels} is not a positive number.")
    return Found(
        spec,
        functools.partial(architecture.build, **options),
        (channels, height, width),
        published=architecture.name,
        family=architecture.family,
        year=architecture.year,
    )


def names() -> list[str]:
    """Every network of the zoo, in natural order."""
    from . import zoo

    return list(zoo.architectures())
