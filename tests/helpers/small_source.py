"""The networks of `small_net` as a source of models: 'small:Net(width=8)'. Quicker to build than from a file."""

from __future__ import annotations

import functools

from archprof.base.errors import UnknownModel
from archprof.models.found import Found, check_options
from archprof.models.spec import ModelSpec

from . import small_net


def find(spec: ModelSpec) -> Found:
    """The network of that name; its resolution is its own."""
    build = getattr(small_net, spec.target, None)
    if build is None:
        raise UnknownModel(f"there is no network '{spec.target}' in small.")
    make = functools.partial(build, **check_options(spec.target, build, spec.keywords))
    return Found(spec, make, build.input_shape)
