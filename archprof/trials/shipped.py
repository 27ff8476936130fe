"""Recipes by name (those that ship) or by file. Standard library only."""

from __future__ import annotations

from pathlib import Path

from ..base.errors import BadFile, BadOption, did_you_mean
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


def usual(model: str) -> str | None:
    """The name of the recipe that ships for a network of that name, whatever its options and resolution."""
    bare = model.partition("(")[0].partition("@")[0].strip()
    return bare if bare in names() else None
