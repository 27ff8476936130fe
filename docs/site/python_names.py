"""The reference of Python: public names, their signatures and their docstrings, read without importing them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import griffe

ROOT = Path(__file__).parents[2]
INTRODUCTION = "What `import archprof` offers. It imports no torch; the functions do, when they are first used."


def pages() -> dict[str, str]:
    """One page with all of them: functions, then records, options and errors, then the public modules."""
    package = griffe.load("archprof", search_paths=[str(ROOT)])
    public = {name: _target(package[name]) for name in package.exports or () if not str(name).startswith("__")}
    functions = [_described(found, f"archprof.{name}") for name, found in public.items() if found.is_function]
    classes = [_described(found, f"archprof.{name}") for name, found in public.items() if found.is_class]
    modules = [part for name, found in public.items() if found.is_module for part in _module(found, f"archprof.{name}")]
    sections = ["## Functions", *functions, "## Records, options and errors", *classes, *modules]
    return {"python.md": "\n\n".join(["# Python", INTRODUCTION, *sections])}


def _target(found: griffe.Object | griffe.Alias) -> griffe.Object:
    return found.final_target if isinstance(found, griffe.Alias) else found


def _module(module: griffe.Object, path: str) -> Iterator[str]:
    yield f"## {path}"
    yield _docstring(module)
    for name in module.exports or ():
        found = _target(module[str(name)])
        yield _described(found, f"{path}.{name}")


def _described(found: griffe.Object, path: str) -> str:
    """The name as Sphinx's own directive, so that it can be linked to and searched for."""
    name = path.rpartition(".")[2]
    if found.is_function:
        return _directive("function", found.signature(name=path), _docstring(found))
    if found.is_class:
        members = [_member(member) for key, member in found.members.items() if _shown(key, member)]
        return _directive("class", path + _arguments(found, name), _docstring(found), *members)
    if found.is_module:
        return _directive("data", path, _docstring(found))
    return _directive("data", path, _docstring(found), type=found.annotation, value=found.value)


def _arguments(found: griffe.Object, name: str) -> str:
    """The signature of a class without its name; a class without fields has none."""
    for parameter in found.parameters:
        parameter.default = _default(parameter.default)
    return found.signature(name=name).removeprefix(name).removesuffix(" -> None")


def _default(written: object) -> str | None:
    """A field's default, without what else `option(...)` and `field(...)` say of the field."""
    if written is None:
        return None
    value = ast.parse(str(written), mode="eval").body
    if isinstance(value, ast.Call) and getattr(value.func, "id", "") in ("option", "field"):
        named = [keyword.value for keyword in value.keywords if keyword.arg in ("default", "default_factory")]
        value = (value.args or named)[0]
    return ast.unparse(value)


def _shown(name: str, member: griffe.Object | griffe.Alias) -> bool:
    """Public, and more than a field that the signature shows already."""
    if name.startswith("_") or member.is_alias:
        return False
    return bool(member.is_function or member.docstring)


def _member(member: griffe.Object) -> str:
    if member.is_function:
        option = next((label for label in ("classmethod", "staticmethod") if label in member.labels), "")
        return _directive("method", member.signature(), _docstring(member), **({option: ""} if option else {}))
    kind = "property" if "property" in member.labels else "attribute"
    return _directive(kind, member.name, _docstring(member), type=member.annotation)


def _docstring(found: griffe.Object) -> str:
    return inspect.cleandoc(found.docstring.value) if found.docstring else ""


def _directive(kind: str, head: str, *parts: str, **options: object) -> str:
    body = "\n\n".join(part for part in parts if part)
    marks = _marks(body)
    lines = [f":{key}: {value}".rstrip() for key, value in options.items() if value is not None]
    return "\n".join([f"{marks}{{py:{kind}}} {head}", *lines, "", body, marks])


def _marks(body: str) -> str:
    """A fence longer than any within."""
    return "`" * (1 + max(map(len, re.findall(r"^ *(`{3,})", body, re.MULTILINE)), default=2))
