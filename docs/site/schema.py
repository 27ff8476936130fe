"""The JSON Schema that `archprof schema` prints: a file for each output, and a page with every form, key by key."""

from __future__ import annotations

import json
from typing import Any

from archprof.cli.schema import OUTPUTS, schema

WORDS = {"integer": "whole number", "string": "text", "boolean": "true or false"}
BOUNDS = {"minimum": ">= {}", "exclusiveMinimum": "> {}"}  # the upper ones are those of 64 bits

INTRODUCTION = """\
# JSON Schema

What `archprof schema` prints: JSON Schema (2020-12) of everything that a command writes as JSON, made from the records
themselves. [The saved JSON, key by key](docs/json.md) says what the keys mean.

[One schema for all of it](schema/archprof.json), or one for each output:
"""


def files() -> dict[str, str]:
    """The page, and the schemas as they are printed."""
    whole = schema()
    outputs = [f"| [`{name}`](schema/{name}.json) | {_link(form)} |" for name, form in OUTPUTS.items()]
    table = "\n".join(["| Output | Form |", "| :--- | :--- |", *outputs])
    forms = [_form(name, form) for name, form in whole["$defs"].items()]
    written = {"archprof": whole, **{name: schema(name) for name in OUTPUTS}}
    return {
        "schema.md": "\n\n".join([INTRODUCTION, table, "## Forms", *forms]),
        **{f"schema/{name}.json": json.dumps(form, indent=2) + "\n" for name, form in written.items()},
    }


def _form(name: str, form: dict[str, Any]) -> str:
    required = form.get("required", [])
    rows = [
        f"| `{key}` | {_type(value)} | {'yes' if key in required else 'no'} |"
        for key, value in form["properties"].items()
    ]
    return "\n".join([f"### {name}", "", "| Key | Type | Always there |", "| :--- | :--- | :--- |", *rows])


def _type(value: dict[str, Any]) -> str:
    """A type in words."""
    if "$ref" in value:
        return _link(value["$ref"].rpartition("/")[2])
    if "anyOf" in value:
        return " or ".join(map(_type, value["anyOf"]))
    if "enum" in value:
        return " or ".join(f"`{json.dumps(choice)}`" for choice in value["enum"])
    if "prefixItems" in value:
        return f"list of {', '.join(map(_type, value['prefixItems']))}"
    if value.get("items"):
        return f"list of {_type(value['items'])}"
    name = value.get("type", "anything")
    bounds = [text.format(value[key]) for key, text in BOUNDS.items() if key in value]
    return " ".join([WORDS.get(name, name), *bounds])


def _link(form: str) -> str:
    return f"[{form}](#{form.lower()})"
