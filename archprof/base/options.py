"""An option is a field of a dataclass: its flag, help, Python keyword and JSON key all follow from there.

    @dataclass(frozen=True)
    class Conditions:
        threads: int | None = option(None, "CPU threads", metavar="N", parse=whole, default_said="torch's own choice")

A field that is False by default has the flag '--NAME', one that is True '--no-NAME'; any other takes a value.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from .errors import BadOption, did_you_mean


class Option(NamedTuple):
    """What is known of a field beside its name and its default.

    `alone` is what the flag means without a value (None: it needs one). `key` is the JSON key if not the field's name.
    `applies` says whether the option makes a difference to the record that has it, `repeats` whether a saved mapping of
    keys calls for the flag where it differs from the default. An option that was `added` later is in JSON only where it
    is not the default, so that what was saved before stays comparable.
    """

    help: str
    metavar: str
    parse: Callable[[str], Any]
    default_said: str | None
    alone: str | None
    key: str | None
    applies: Callable[[Any], bool]
    repeats: Callable[[Mapping[str, Any]], bool]
    added: bool = False


class Named(NamedTuple):
    """An option with its field's name and default."""

    name: str
    default: Any
    option: Option

    @property
    def key(self) -> str:
        """What its value is called in JSON."""
        return self.option.key or self.name

    @property
    def flag(self) -> str:
        """What it is called on the command line."""
        return f"--{'no-' if self.default is True else ''}{self.name.replace('_', '-')}"

    @property
    def help(self) -> str:
        """One phrase, with the default behind it."""
        said = self.option.default_said
        if said is None and not isinstance(self.default, bool) and self.default is not None:
            said = f"{self.default:g}" if isinstance(self.default, float) else str(self.default)
        return f"{self.option.help} (default: {said})" if said else self.option.help


def option(
    default: Any,
    help: str,
    *,
    metavar: str = "NAME",
    parse: Callable[[str], Any] = str,
    default_said: str | None = None,
    alone: str | None = None,
    key: str | None = None,
    applies: Callable[[Any], bool] = lambda record: True,
    repeats: Callable[[Mapping[str, Any]], bool] = lambda saved: True,
    added: bool = False,
) -> Any:
    """A dataclass's field that is an option (see Option)."""
    described = Option(help, metavar, parse, default_said, alone, key, applies, repeats, added)
    return dataclasses.field(default=default, metadata={"option": described})


def options_of(kind: Any) -> tuple[Named, ...]:
    """Every option of a dataclass, or of one of its records: then a record's values are the defaults."""
    is_record = not isinstance(kind, type)
    return tuple(
        Named(field.name, getattr(kind, field.name) if is_record else field.default, field.metadata["option"])
        for field in dataclasses.fields(kind)
        if "option" in field.metadata
    )


def recorded(record: Any) -> dict[str, Any]:
    """The values as they stand in JSON, by their keys; None for an option that does not apply."""
    usual = {named.name: named.default for named in options_of(type(record))}
    return {
        named.key: named.default if named.option.applies(record) else None
        for named in options_of(record)  # a record's values are its defaults
        if not named.option.added or (named.option.applies(record) and named.default != usual[named.name])
    }


def words(kind: Any, saved: Mapping[str, Any]) -> list[str]:
    """The command-line words that ask for what `saved` holds, where it is not the default of `kind`."""
    found: list[str] = []
    for named in options_of(kind):
        value = saved.get(named.key)
        if value is None or value == named.default or not named.option.repeats(saved):
            continue
        text = f"{value:g}" if isinstance(value, float) else str(value)
        found += [named.flag] if isinstance(named.default, bool) else [named.flag, text]
    return found


def from_keywords(function: str, given: Mapping[str, Any], **objects: Any) -> tuple[Any, ...]:
    """Objects of options, each as it was handed over or made from those of the keywords `given` that are its fields.

    `objects` are by the name of their parameter either a record or the dataclass to make one of. Raises TypeError for a
    keyword that is nobody's, BadOption for one whose record is handed over as well.
    """
    found, left = [], dict(given)
    for parameter, record in objects.items():
        mine = {named.name: left.pop(named.name) for named in options_of(record) if named.name in left}
        if isinstance(record, type):
            found.append(record(**mine))
            continue
        if mine:
            raise BadOption(f"both '{parameter}' and '{next(iter(mine))}' are given;", "give one of them.")
        found.append(record)
    if left:
        known = [named.name for record in objects.values() for named in options_of(record)]
        unknown = next(iter(left))
        raise TypeError(f"{function}() has no argument '{unknown}'.{did_you_mean(unknown, known)}")
    return tuple(found)


def one_of(what: str, seen: str, known: Iterable[str]) -> None:
    """Raise BadOption unless `seen` is one of `known`."""
    known = tuple(known)
    if seen not in known:
        near = did_you_mean(seen, known)
        raise BadOption(f"unknown {what} '{seen}'.{near}", f"Accepted: {', '.join(known)}.")


def positive(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise BadOption(f"'{text}' is not a positive number.")
    return value


def whole(text: str) -> int:
    """A whole number above 0."""
    if not re.fullmatch(r"[0-9]+", text) or int(text) == 0:
        raise BadOption(f"'{text}' is not a positive whole number.")
    return int(text)
