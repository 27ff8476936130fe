"""Saved JSON as records: each key's type and range is checked here, once, so that nobody behind need doubt a record.

A record's own annotations say what its keys hold. Keys of later versions are passed over, keys with a default may be
missing. The only importer of msgspec, and imported where something is read: it takes 20 ms.
"""

from __future__ import annotations

import collections.abc
import functools
import re
import types
from collections.abc import Mapping
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from ..base.errors import BadFile, printable
from .saved import field_names

#: What a value may be where its annotation says only 'int' or 'float': counts are not negative, and figures stay so far
#: from the ends of a float's range that ratios and sums of them are finite.
_COUNT = msgspec.Meta(ge=0, le=2**63 - 1)
_FIGURE = msgspec.Meta(ge=-1e100, le=1e100)

#: Fields that statistics divide by, or that are bounded by what they are.
_BOUNDS = {
    "batch_size": msgspec.Meta(ge=1, le=2**40),
    "passes": msgspec.Meta(ge=1, le=2**40),
    "Block.seconds": msgspec.Meta(ge=1e-12, le=1e12),
    "Probe.seconds": msgspec.Meta(ge=1e-12, le=1e12),
    "Probe.disturbed_seconds": msgspec.Meta(ge=1e-12, le=1e12),
    "joules": msgspec.Meta(ge=0, le=1e18),
    "percent": msgspec.Meta(ge=0, le=100),
    "precision": msgspec.Meta(gt=0, le=1e6),
    "time_budget_s": msgspec.Meta(gt=0, le=1e12),
    "took_s": msgspec.Meta(ge=0, le=1e12),
}

#: How deep a value without a form of its own, such as the environment, may be nested.
_DEEPEST = 20

_NAMES = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}


def checked(kind: Any, saved: Any, where: str = "", *, whole: bool = False, **given: Any) -> Any:
    """The record (or plain value) of that kind that `saved` holds; fields in `given` are taken from there.

    `whole`: no key may be missing, whether the field has a default or not.

    Raises BadFile with the key, below `where`, and with what was found and what was expected.
    """
    form = _form(kind, tuple(given), whole) if _is_record(kind) else _checked_type(kind, "", "")
    try:
        read = msgspec.convert(saved, form)
    except msgspec.ValidationError as error:
        raise BadFile(_told(str(error), saved, where)) from None
    except RecursionError:
        raise BadFile(f"{where or 'it'} is nested too deeply.") from None
    return _record(kind, read, given) if _is_record(kind) else read


def check_version(saved: Any, version: int, otherwise: str) -> None:
    """Raise BadFile unless `saved` is an object with that schema_version."""
    if not isinstance(saved, dict) or "schema_version" not in saved:
        raise BadFile("JSON, but not archprof's: it has no 'schema_version'.")
    if type(saved["schema_version"]) is not int or saved["schema_version"] != version:
        raise BadFile(f"schema_version is {_shown(saved['schema_version'])}; this archprof reads {version}.", otherwise)


def environment(saved: Any) -> Mapping[str, Any]:
    """What a comparison says of its machine, as it stands: any keys; what is known of them is text, a number or so."""
    found: Mapping[str, Any] = checked(dict[str, Any], saved, "environment")
    for key, value in found.items():
        if _depth(value) > _DEEPEST:
            raise BadFile(f"environment.{printable(key, 60)} is nested too deeply.")
    checked(_KNOWN, saved, "environment")
    return found


def _depth(value: Any, at: int = 0) -> int:
    if at > _DEEPEST or not isinstance(value, dict | list):
        return at
    return max((_depth(item, at + 1) for item in (value.values() if isinstance(value, dict) else value)), default=at)


#: Keys of the environment that are read again; any other may hold anything.
_KNOWN = msgspec.defstruct(
    "Environment",
    [
        *((key, str | None, None) for key in ("date", "torch", "device", "device_name", "dtype", "mode", "optimizer")),
        *((key, str | None, None) for key in ("compile", "allocator", "fingerprint", "energy_meter")),
        *((key, bool | None, None) for key in ("channels_last", "cuda_graph", "keep_memory")),
        ("threads", Annotated[int, _COUNT] | None, None),
    ],
)


# --- what is written, as JSON Schema ----------------------------------------------------------------------------------


def written(name: str, /, *records: Any, without: Any = (), **keys: Any) -> type[msgspec.Struct]:
    """The form of an object with the fields of these records, those in `without` left out, and with more `keys`.

    No key may be missing, but for those that are `maybe`.
    """
    if len(records) == 1 and not without and not keys:
        return _form(records[0], whole=True)
    fields: dict[str, Any] = {}
    for record in records:
        form = _form(record, whole=True)
        fields |= {key: hint for key, hint in get_type_hints(form, include_extras=True).items() if key not in without}
    fields |= keys
    optional = {key for key, hint in fields.items() if msgspec.UnsetType in get_args(hint)}
    return msgspec.defstruct(
        name,
        [(key, hint, msgspec.UNSET) if key in optional else (key, hint) for key, hint in fields.items()],
        kw_only=True,
    )


def maybe(hint: Any) -> Any:
    """A key that is not always there."""
    return Union[hint, msgspec.UnsetType]  # noqa: UP007


def json_schema(forms: Mapping[str, Any]) -> dict[str, Any]:
    """The forms as JSON Schema 2020-12: the definitions, each form's under its name among them."""
    (_, definitions) = msgspec.json.schema_components(tuple(forms.values()), ref_template="#/$defs/{name}")
    return dict(definitions)


# --- from a record's annotations to the form that its JSON has -----------------------------------------------------


def _is_record(kind: Any) -> bool:
    return hasattr(kind, "_fields") or hasattr(kind, "__dataclass_fields__")


@functools.cache
def _form(kind: Any, left_out: tuple[str, ...] = (), whole: bool = False) -> type[msgspec.Struct]:
    hints = get_type_hints(kind)
    fields = []
    for name in field_names(kind):
        if name not in left_out:
            checked_type = _checked_type(hints[name], name, f"{kind.__name__}.{name}", whole)
            fields.append((name, checked_type, *(() if whole else _default(kind, name))))
    return msgspec.defstruct(kind.__name__, fields, kw_only=True)


def _default(kind: Any, name: str) -> tuple[Any, ...]:
    if hasattr(kind, "_fields"):
        return (kind._field_defaults[name],) if name in kind._field_defaults else ()
    return (getattr(kind, name),) if hasattr(kind, name) else ()


def _checked_type(hint: Any, name: str, full_name: str, whole: bool = False) -> Any:
    """The annotation with its bounds, records replaced by their forms."""
    if hint in (int, float):
        return Annotated[hint, _BOUNDS.get(full_name) or _BOUNDS.get(name) or (_COUNT if hint is int else _FIGURE)]
    origin, parts = get_origin(hint), get_args(hint)
    if origin is tuple and parts[-1] is ...:
        return tuple.__class_getitem__((_checked_type(parts[0], name, full_name, whole), ...))
    if origin in (Union, types.UnionType):
        return Union[tuple(_checked_type(part, name, full_name, whole) for part in parts)]  # noqa: UP007
    if origin is collections.abc.Mapping:
        return dict.__class_getitem__((parts[0], _checked_type(parts[1], name, full_name, whole)))
    return _form(hint, whole=whole) if _is_record(hint) and not issubclass(hint, msgspec.Struct) else hint


@functools.cache
def _nested(kind: Any) -> dict[str, Any]:
    """The fields that hold records, one, none or many, with the record's class."""
    found = {}
    for name, hint in get_type_hints(kind).items():
        inner = [part for part in (hint, *get_args(hint)) if _is_record(part)]
        if inner and name in field_names(kind):
            found[name] = inner[0]
    return found


def _record(kind: Any, read: msgspec.Struct, given: Mapping[str, Any]) -> Any:
    nested = _nested(kind)
    if not given and not nested:
        return kind(*msgspec.structs.astuple(read))
    values = {name: getattr(read, name) for name in read.__struct_fields__}
    for name, part in nested.items():
        value = values.get(name)
        if isinstance(value, tuple):
            values[name] = tuple([_record(part, item, {}) for item in value])
        elif value is not None and name not in given:
            values[name] = _record(part, value, {})
    return kind(**{**values, **given})


# --- what does not fit, in words ------------------------------------------------------------------------------------


def _told(error: str, saved: Any, where: str) -> str:
    """What msgspec says, with the value that it found: "macs is text 'many'; expected a whole number >= 0."."""
    said, _, path = error.partition(" - at `")
    steps = re.findall(r"\.([^.\[\]]+)|\[(\d+)\]|(\[\.\.\.\])|$", path.removeprefix("$").removesuffix("`"))
    place, value = where, saved
    for name, index, any_key in steps:
        if name:
            place = f"{place}.{name}" if place else name
            value = value.get(name) if isinstance(value, dict) else _NOWHERE
        elif index:
            place, value = f"{place}[{index}]", value[int(index)] if isinstance(value, list) else _NOWHERE
        elif any_key:
            place, value = f"a value in {place}", _NOWHERE
    place = printable(place, 120) or "the file"
    if missing := re.fullmatch(r"Object missing required field `(.+)`", said):
        return f"{place} has no key '{missing[1]}'."
    if expected := re.match(r"Expected `([^`]+)`( (?:[<>]=?|of length) \S+)?", said):
        kinds = " or ".join(_NAMES.get(part, part) for part in expected[1].split(" | "))
        seen = "" if value is _NOWHERE else f" is {_shown(value)}"
        return f"{place}{seen}{';' if seen else ':'} expected {kinds}{expected[2] or ''}."
    return f"{place}: {printable(said)}."


_NOWHERE = object()


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"the text '{printable(value, 40)}'"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    try:
        return printable(repr(value), 40)
    except ValueError:  # more digits than Python writes
        return "a number of thousands of digits"
