"""A network and its edited copies: each built anew, or copied from one that was handed over, which stays as it was."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from .. import models
from ..base.errors import BadOption, printable
from ..counting import counts
from ..counting.counts import Subject
from ..measure import real
from ..measure.device import torch_dtype
from ..models import Arguments, Found, given
from ..models.code import found_as
from ..models.spec import SHOWN, ModelSpec, parse
from ..results.conditions import Conditions
from ..results.profile import Shape
from ..separable.rewriting import duplicate
from .edits import ArgumentEdit, Edit, LayerEdit
from .layers import Applied, applied

#: Makes forward's arguments and keyword arguments for a batch size.
Inputs = Callable[[int], Arguments]


@dataclass(frozen=True)
class Variant:
    """A network with its edits, in their order. `last` is what the last of them did, if it was one of layers."""

    subject: Subject
    edits: tuple[Edit, ...]
    last: Applied | None

    def materialised(self, conditions: Conditions) -> nn.Module:
        """The variant with memory and weights, under the conditions."""
        return real.module(self.subject.module, self.subject.found, conditions)


def variant_of(
    model: Any,
    edits: Sequence[Edit],
    input_shape: Shape | None,
    conditions: Conditions,
    inputs: Inputs | None = None,
) -> Variant:
    """The variant, built without weights and ready to be counted; `model` itself is never touched.

    Raises BadOption for edits that mean nothing here, and whatever building it raises.
    """
    options: dict[str, Any] = {}
    resolution = None
    for edit in edits:
        if isinstance(edit, ArgumentEdit):
            options |= dict(edit.options)
            resolution = edit.resolution or resolution
    if resolution is not None and inputs is not None:
        raise BadOption(f"'@{resolution}' has no effect where inputs are given;", "leave one of them out.")
    if resolution is not None and input_shape is not None:
        if len(input_shape) < 2:
            raise BadOption(f"'@{resolution}' is the size of images, and the input is {input_shape}.", "Leave it out.")
        input_shape = (*input_shape[:-2], resolution, resolution)
    done: list[Applied] = []

    def edited(module: nn.Module, name: str) -> nn.Module:
        done.clear()
        for edit in edits:
            if isinstance(edit, LayerEdit):
                done.append(applied(module, edit, name))
                module = done[-1].module
        return module

    layered = any(isinstance(edit, LayerEdit) for edit in edits)
    if isinstance(model, nn.Module):
        subject = _of_module(model, options, resolution, input_shape, inputs)
        if layered:
            subject = replace(subject, module=edited(duplicate(subject.module), subject.name))
    else:
        found = _found(model, options, resolution)
        if layered:
            found = _with_layers(found, edited)
        subject = counts.subject_from(found, input_shape, inputs)
    dtype = None if conditions.dtype == "float32" else torch_dtype(conditions)
    last = done[-1] if done and isinstance(edits[-1], LayerEdit) else None
    return Variant(replace(subject, dtype=dtype), tuple(edits), last)


def _with_layers(found: Found, edited: Any) -> Found:
    """The same network, every copy of which is edited as soon as it is built."""
    if found.source == "exported":
        raise BadOption(
            f"{printable(found.name, SHOWN)} is an exported program, whose layers are fixed in its graph;",
            "edit the network that it was exported from.",
        )
    if found.instance is not None:
        return replace(found, instance=edited(duplicate(found.instance), found.name))
    return replace(found, make=lambda: edited(found.make(), found.name))


def _of_module(
    model: nn.Module,
    options: dict[str, Any],
    resolution: int | None,
    input_shape: Shape | None,
    inputs: Inputs | None,
) -> Subject:
    if options:
        raise BadOption(
            f"a network that is built already takes no arguments such as '{next(iter(options))}';",
            "give its name, its class, or a function that builds it.",
        )
    shape = tuple(input_shape or (3, 224, 224))
    return counts.subject_of(model, (*shape[:-2], resolution, resolution) if resolution else shape, inputs)


def _found(model: Any, options: dict[str, Any], resolution: int | None) -> Found:
    """The network of a name, a class or a function, with these arguments beside its own."""
    if not isinstance(model, str | ModelSpec):
        if not callable(model):
            raise given.unknown(model)
        name = given.shown(model)
        spec = ModelSpec(name, "instance", name, tuple(options.items()), resolution)
        return found_as(spec, model, name, contextlib.nullcontext)
    spec = parse(model) if isinstance(model, str) else model
    if not options and resolution is None:
        return models.find(spec)
    merged = {**spec.keywords, **options}
    size = resolution or spec.resolution
    changed = replace(spec, text=_text(spec, merged, size), options=tuple(merged.items()), resolution=size)
    return models.find(changed)


def _text(spec: ModelSpec, options: dict[str, Any], resolution: int | None) -> str:
    """The name as somebody would type it with these arguments."""
    bare = f"hf:{spec.target}" if spec.source == "hf" else re.split(r"[(@]", spec.text)[0].strip()
    listed = ", ".join(f"{key}={value!r}" for key, value in options.items())
    return f"{bare}{f'({listed})' if listed else ''}{f'@{resolution}' if resolution else ''}"
