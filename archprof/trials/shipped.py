"""Recipes by name (those that ship) or by file. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..base.errors import BadFile, BadOption, did_you_mean, printable
from ..results.recipe import Recipe, from_toml

_FOLDER = Path(__file__).with_name("recipes")


def names() -> list[str]:
    """The recipes that ship, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def text(name: str) -> str:
    """The TOML of one that ships, its reasons as comments."""
    return (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")


def find(recipe: str) -> Recipe:
    """The recipe of that name, or in that file (which ends in .toml). Raises BadOption, BadFile."""
    if recipe in names():
        return from_toml(text(recipe), f"recipe {recipe}")
    if not recipe.endswith(".toml"):
        raise BadOption(
            f"unknown recipe '{recipe}'.{did_you_mean(recipe, names())}",
            f"Those that ship: {', '.join(names())}; or a file that ends in .toml.",
        )
    try:
        written = Path(recipe).read_text(encoding="utf-8")
    except OSError as reason:
        raise BadFile(
            f"'{recipe}' cannot be read: {reason.strerror}.", f"Those that ship: {', '.join(names())}."
        ) from None
    except UnicodeDecodeError:
        raise BadFile(f"'{recipe}' is not text in UTF-8.") from None
    return from_toml(written, f"'{recipe}'")


def asked(
    recipe: Recipe | str | None, model: str, changed: Mapping[str, Any], epochs: int | Sequence[int] | None
) -> tuple[Recipe, str]:
    """The recipe that was given or named, or the model's own, or the default, with what is changed of it; and what to
    call it."""
    if recipe is None:
        recipe = usual(model)
    if isinstance(recipe, Recipe):
        found, name = recipe, ""
    else:
        found, name = (find(str(recipe)), Path(recipe).name) if recipe else (Recipe(), "default")
    longest = max(lengths(epochs) or (found.epochs,))
    told = f"{name}, changed" if changed and name else name
    return replace(found, **{**changed, "epochs": longest}), told


def lengths(epochs: int | Sequence[int] | None) -> tuple[int, ...]:
    """The numbers of epochs that were asked for, ascending; none where nothing was. Raises BadOption."""
    if epochs is None:
        return ()
    found = [epochs] if isinstance(epochs, int) or not isinstance(epochs, Iterable) else list(epochs)
    for each in found:
        if type(each) is not int or each < 1:
            raise BadOption(f"epochs is {printable(repr(each), 40)};", "expected whole numbers above 0.")
    return tuple(sorted(set(found)))


def usual(model: str) -> str | None:
    """The name of the recipe that ships for a network of that name, whatever its options and resolution."""
    bare = model.partition("(")[0].partition("@")[0].strip()
    return bare if bare in names() else None
