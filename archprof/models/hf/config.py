"""A config.json of transformers, read as data: what it says, and what of it is left out. Imports no library."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...base.errors import BadFile, BadOption, UnknownModel, one_line, printable
from ..spec import LARGEST_NUMBER, ModelSpec

#: Bytes of a config at most: the largest that are published (thousands of labels) have a few megabytes.
LARGEST = 2**24

#: How many layers, blocks or experts a config may state.
MOST_LAYERS = 10_000

#: Keys that name code or weights elsewhere, or ask for kernels from a hub: never followed, wherever they stand.
_ELSEWHERE = frozenset(
    {
        "auto_map",
        "name_or_path",
        "base_model_name_or_path",
        "use_pretrained_backbone",
        "quantization_config",
        "attn_implementation",
        "experts_implementation",
        "use_kernels",
        "custom_generate",
    }
)

_COUNTS = re.compile(r"(^|_)(n|num|encoder|decoder|hidden)?_?(layers?|blocks?|depths?|experts|stages)($|_)")

_WAY_OUT = "expected a folder that holds a config.json, or that file."


@dataclass(frozen=True)
class Read:
    """A config as it was read: its keys but those of `_ELSEWHERE`, and what there is to say of these."""

    path: Path
    content: dict[str, Any]
    model_type: str
    architectures: tuple[str, ...]
    remote: bool
    quantised: str


def read(spec: ModelSpec) -> Read:
    """The config that a spec names. Raises UnknownModel, BadFile or BadOption, one line."""
    shown = printable(spec.target, 120)
    path = _file(spec.target, shown)
    content = _parsed(path, shown)
    model_type = content.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        other = next((f"it looks like {kind}'s" for key, kind in _OTHERS.items() if key in content), "")
        raise BadFile(
            f"'{printable(str(path), 120)}' states no model_type{f'; {other}' if other else ''}.",
            'A network\'s config.json has one, such as "llama".',
        )
    named = content.get("architectures") or ()
    if not isinstance(named, list | tuple) or not all(isinstance(name, str) for name in named):
        raise BadFile(f"'{printable(str(path), 120)}': architectures is not a list of names.", "Leave the key out.")
    _check_counts(content, shown)
    quantised = content.get("quantization_config")
    return Read(
        path,
        _kept(content),
        model_type,
        tuple(named),
        bool(content.get("auto_map")),
        str(quantised.get("quant_method", "a method that it does not name")) if isinstance(quantised, dict) else "",
    )


#: Keys by which files that are no network's config are known, and whose they are.
_OTHERS = {
    "tokenizer_class": "a tokenizer",
    "added_tokens_decoder": "a tokenizer",
    "chat_template": "a tokenizer",
    "image_processor_type": "an image processor",
    "feature_extractor_type": "a feature extractor",
    "peft_type": "an adapter (peft)",
    "weight_map": "an index of weights",
    "_from_model_config": "a generation config",
    "_class_name": "a diffusers pipeline",
    "architecture": "timm",
}


def _file(target: str, shown: str) -> Path:
    try:
        path = Path(target).expanduser()
        if path.is_dir():
            if not (path / "config.json").is_file():
                offered = sorted(entry.name for entry in path.iterdir() if entry.suffix == ".json")[:4]
                said = f" It has {', '.join(printable(name, 40) for name in offered)}." if offered else ""
                raise BadFile(f"the folder '{shown}' holds no config.json.{said}", _WAY_OUT)
            path /= "config.json"
        if path.is_file():
            if path.suffix.casefold() in (".bin", ".safetensors", ".pt", ".pth", ".gguf", ".onnx"):
                raise BadOption(f"'{shown}' holds weights, which are not opened;", _WAY_OUT)
            return path
        if path.is_symlink():
            raise BadFile(f"'{shown}' is a link to something that is not there.", "Name the file itself.")
        if path.exists():
            raise BadFile(f"'{shown}' is not a regular file.", _WAY_OUT)
    except (OSError, ValueError, RuntimeError) as error:  # too long a name, no permission, ~nobody, links in a circle
        raise BadOption(f"'{shown}' cannot be read: {one_line(error, kind=False)}.", _WAY_OUT) from None
    raise UnknownModel(
        f"there is no file or folder '{shown}', and nothing is downloaded;",
        "save the model's config.json here and name it: hf:path/to/config.json.",
    )


def _parsed(path: Path, shown: str) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise BadFile(f"'{shown}' cannot be read: {one_line(error, kind=False)}.", _WAY_OUT) from None
    if len(raw) > LARGEST:
        raise BadFile(f"'{shown}' has more than {LARGEST:,} bytes, which no config has.", _WAY_OUT)
    try:
        content = json.loads(raw.decode("utf-8-sig"))
    except RecursionError:
        raise BadFile(f"'{shown}' is nested too deeply to be a config.", _WAY_OUT) from None
    except ValueError as error:
        raise BadFile(f"'{shown}' is not JSON: {one_line(error, kind=False, longest=120)}.", _WAY_OUT) from None
    if not isinstance(content, dict):
        raise BadFile(
            f"'{shown}' holds a JSON {_KINDS.get(type(content), 'value')}, where a config is an object.", _WAY_OUT
        )
    return content


_KINDS: dict[type, str] = {list: "list", str: "text", int: "number", float: "number", bool: "truth value"}


def _kept(value: Any) -> Any:
    """The same without what leads elsewhere, and without private keys: attributes of the library's own classes."""
    if isinstance(value, dict):
        return {
            key: _kept(item) for key, item in value.items() if key not in _ELSEWHERE and not str(key).startswith("_")
        }
    return [_kept(item) for item in value] if isinstance(value, list) else value


def _check_counts(content: dict[str, Any], shown: str) -> None:
    """Raise BadFile for numbers that no network is built with."""
    waiting: list[Any] = [content]
    while waiting:
        value = waiting.pop()
        for key, item in value.items() if isinstance(value, dict) else [("", entry) for entry in value]:
            if isinstance(item, dict | list):
                waiting.append(item)
                if isinstance(item, list) and _COUNTS.search(key):
                    waiting.append({key: sum(entry for entry in item if type(entry) is int)})
            elif type(item) is int:
                check_number(key, item, f"'{shown}'")


def check_number(key: str, value: int, where: str) -> None:
    """Raise BadOption for a number beyond what networks are built with."""
    if abs(value) > LARGEST_NUMBER:
        shown = printable(f"{key}={value}", 60)
        raise BadOption(f"{where}: {shown} is beyond {LARGEST_NUMBER:,}.", "Correct the config.")
    if value > MOST_LAYERS and _COUNTS.search(key):
        raise BadOption(
            f"{where}: {printable(key, 40)}={value:,} is beyond {MOST_LAYERS:,}, the most that are built here.",
            "Correct the config.",
        )
