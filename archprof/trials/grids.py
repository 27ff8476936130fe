"""What a trial trains: every network under every setting of the grid, for every number of epochs that needs its own.

Imports no torch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..base.errors import ArchprofError, BadOption, did_you_mean, printable
from ..models.spec import ModelSpec, parse
from ..results.recipe import Recipe, fields_by_name
from ..results.trials import Axis

#: Trainings from one seed that a trial may have.
MOST = 10_000


@dataclass(frozen=True)
class Planned:
    """One network under one recipe. `model` is its name, or the class or function that was handed over, `name` what it
    is called; `options` are keyword arguments of the network that the grid sets, as written."""

    name: str
    model: Any
    options: tuple[tuple[str, str], ...]
    recipe: Recipe
    settings: tuple[tuple[str, str], ...]


def axis(text: str) -> Axis:
    """'lr=0.1,0.01' -> the axis lr with two values. Raises BadOption."""
    name, equals, values = text.partition("=")
    parts = tuple(value.strip() for value in values.split(","))
    if not equals or not name.strip().isidentifier() or not all(parts):
        raise BadOption(f"grid '{printable(text)}' is not NAME=VALUE,VALUE,...;", "expected one such as lr=0.1,0.01.")
    return _checked(Axis(name.strip(), parts))


def axes(grid: Mapping[str, Sequence[Any]] | Sequence[Axis]) -> list[Axis]:
    """The axes of {'lr': [0.1, 0.01], 'flip': [True, False]}; axes stay what they are. Raises BadOption."""
    if not isinstance(grid, Mapping):
        return [_checked(each) for each in grid]
    found = []
    for name, values in grid.items():
        several = list(values) if isinstance(values, Iterable) and not isinstance(values, str) else []
        if not isinstance(name, str) or not name.isidentifier() or not several:
            shown = printable(f"{name!r}: {values!r}", 80)
            raise BadOption(f"grid {{{shown}}} has no values for a name;", "expected {'lr': [0.1, 0.01]}.")
        found.append(_checked(Axis(name, tuple(map(_text, several)))))
    return found


def _text(value: Any) -> str:
    """A value as a command line writes it."""
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else repr(value)


def _checked(given: Axis) -> Axis:
    said = printable(f"{given.name}={','.join(given.values)}")
    if not given.values:
        raise BadOption(f"grid '{said}' has no values;", "expected one such as lr=0.1,0.01.")
    if len(set(given.values)) < len(given.values):
        twice = next(value for value in given.values if given.values.count(value) > 1)
        raise BadOption(f"grid '{said}' has the value {printable(twice)} twice;", "give each once.")
    if given.name == "epochs":
        raise BadOption(
            "epochs are not an axis of the grid.",
            f"Give --epochs {printable(','.join(given.values))}: shorter trainings are read off.",
        )
    return given


def named(models: Any) -> list[tuple[str, Any]]:
    """Each model with what it is called, of names, classes and functions; one, several, or a dict by name.

    Raises BadOption for anything else, for none, and for one that is named twice.
    """
    from ..models import given
    from . import networks

    texts = [(name, model.text if isinstance(model, ModelSpec) else model) for name, model in given.named(models)]
    found = [(name or networks.shown(model), model) for name, model in texts]
    if not found:
        raise BadOption("no network is given;", "name at least one, such as resnet_tiny.")
    return found


def planned(
    models: Sequence[tuple[str, Any]], recipe: Recipe, grid: Sequence[Axis], epochs: Sequence[int]
) -> list[Planned]:
    """Everything that is trained, network by network. Raises BadOption for a value that an axis does not take."""
    names = [each.name for each in grid]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadOption(f"the grid has the axis '{twice}' twice;", "give all of its values at once.")
    called = [name for name, _ in models]
    if twice := next((name for name in called if called.count(name) > 1), None):
        raise BadOption(f"'{printable(twice)}' is named twice.", "Name each network once.")
    if (many := math.prod([len(models), *(len(each.values) for each in grid)])) > MOST:
        raise BadOption(f"the grid has {many:,} settings, more than {MOST:,}.", "Vary fewer things at a time.")
    fields = fields_by_name()
    found: list[Planned] = []
    seen: dict[object, Planned] = {}
    for name, model in models:
        for values in itertools.product(*(each.values for each in grid)):
            settings = tuple(zip(names, values, strict=True))
            of_recipe = {axis: value for axis, value in settings if axis in fields}
            of_network = tuple((axis, value) for axis, value in settings if axis not in fields)
            here = _with(replace(recipe, epochs=max(epochs)), of_recipe)
            lengths = [max(epochs)] if here.grows else list(epochs)
            new = [Planned(name, model, of_network, replace(here, epochs=length), settings) for length in lengths]
            _refuse_alike(seen, new[0])
            found += new
    return found


def _refuse_alike(found: dict[object, Planned], new: Planned) -> None:
    """Raise BadOption where two settings of the grid are written differently and are the same."""
    other = found.setdefault((new.name, new.options, new.recipe), new)
    if other is not new:
        one, two = (", ".join(f"{axis}={value}" for axis, value in each.settings) for each in (other, new))
        raise BadOption(f"grid: {printable(one)} and {printable(two)} are the same.", "Give each setting once.")


def _with(recipe: Recipe, texts: dict[str, str]) -> Recipe:
    # a momentum stays with the optimizers that have one
    if texts.get("optimizer") and "momentum" not in texts:
        try:
            return recipe.with_text(**texts)
        except BadOption:
            recipe = replace(recipe, momentum=0.0)
    try:
        return recipe.with_text(**texts)
    except ArchprofError as reason:
        shown = ", ".join(f"{name}={printable(text, 40)}" for name, text in texts.items())
        raise BadOption(f"grid {shown}: {reason.message}", reason.remedy) from None


def option_of(model: str, name: str, text: str) -> object:
    """The value that a grid's text gives a network's keyword argument. Raises BadOption."""
    try:
        return parse(f"x({name}={text})").keywords[name]
    except ArchprofError:
        near = did_you_mean(name, fields_by_name())
        raise BadOption(f"grid {name}={printable(text, 40)} is not a value of {model}.{near}") from None
