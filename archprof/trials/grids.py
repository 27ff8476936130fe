"""What a trial trains: every network under every setting of the grid, for every number of epochs that needs its own.

Imports no torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..base.errors import ArchprofError, BadOption, did_you_mean, printable
from ..models.spec import parse
from ..results.recipe import Recipe, fields_by_name
from ..results.trials import Axis


@dataclass(frozen=True)
class Planned:
    """One network under one recipe. `options` are keyword arguments of the network that the grid sets, as written."""

    model: str
    options: tuple[tuple[str, str], ...]
    recipe: Recipe
    settings: tuple[tuple[str, str], ...]


def axis(text: str) -> Axis:
    """'lr=0.1,0.01' -> the axis lr with two values. Raises BadOption."""
    name, equals, values = text.partition("=")
    parts = tuple(value.strip() for value in values.split(","))
    if not equals or not name.strip().isidentifier() or not all(parts):
        raise BadOption(f"grid '{printable(text)}' is not NAME=VALUE,VALUE,...;", "expected one such as lr=0.1,0.01.")
    if len(set(parts)) < len(parts):
        twice = next(part for part in parts if parts.count(part) > 1)
        raise BadOption(f"grid '{printable(text)}' has the value {printable(twice)} twice;", "give each once.")
    if name.strip() == "epochs":
        raise BadOption(
            "epochs are not an axis of the grid.", f"Give --epochs {values}: shorter trainings are read off."
        )
    return Axis(name.strip(), parts)


def planned(models: Sequence[str], recipe: Recipe, grid: Sequence[Axis], epochs: Sequence[int]) -> list[Planned]:
    """Everything that is trained, network by network. Raises BadOption for a value that an axis does not take."""
    names = [each.name for each in grid]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadOption(f"the grid has the axis '{twice}' twice;", "give all of its values at once.")
    if twice := next((model for model in models if list(models).count(model) > 1), None):
        raise BadOption(f"'{printable(twice)}' is named twice.", "Name each network once.")
    fields = fields_by_name()
    found = []
    for model in models:
        for values in itertools.product(*(each.values for each in grid)):
            settings = tuple(zip(names, values, strict=True))
            of_recipe = {name: value for name, value in settings if name in fields}
            of_network = tuple((name, value) for name, value in settings if name not in fields)
            here = _with(replace(recipe, epochs=max(epochs)), of_recipe)
            lengths = [max(epochs)] if here.grows else list(epochs)
            found += [Planned(model, of_network, replace(here, epochs=length), settings) for length in lengths]
    return found


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
