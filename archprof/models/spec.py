"""Model names, parsed without importing torch.

resnet50                                 a network of the zoo
mobilenetv1(width=0.5)                   with keyword arguments
mobilenetv1@192                          at another resolution
torchvision:resnet50   timm:resnet50     another library's
package.module:callable(depth=3)         your own, imported from the working directory
path/to/file.py:callable                 your own, from a file
exported.pt2                             a torch.export archive
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any

from ..base.errors import BadSpec

GRAMMAR = "NAME, NAME(option=value, ...), NAME@RESOLUTION or SOURCE:NAME"

#: Suffixes of files that hold networks or weights: `models.exported` reads the first, and says what the others are.
FILES = (
    *(".pt2", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".joblib"),
    *(".onnx", ".safetensors", ".h5", ".hdf5", ".keras", ".tflite"),
)

_SPEC = re.compile(r"(?P<name>[^()@]+?)\s*(?:\((?P<options>.*)\))?\s*(?:@(?P<resolution>[^()@]*))?", re.DOTALL)
_KEY = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class ModelSpec:
    """A parsed model name.

    `source` is 'zoo', 'file', 'exported', or the text before the first colon; `target` is what that source
    is asked for; `options` are keyword arguments; `resolution` is the R of an (C, R, R) input.
    """

    text: str
    source: str
    target: str
    options: tuple[tuple[str, Any], ...] = ()
    resolution: int | None = None

    @property
    def name(self) -> str:
        """The name to show: the text as typed, its source left out where the source has a name of its own."""
        return self.text

    @property
    def keywords(self) -> dict[str, Any]:
        """`options` as a dict."""
        return dict(self.options)


def parse(text: str) -> ModelSpec:
    """The spec that `text` writes. Raises BadSpec, saying where the grammar was left."""
    stripped = text.strip()
    if not stripped:
        raise BadSpec("an empty model name;", f"wanted: {GRAMMAR}.")
    match = _SPEC.fullmatch(stripped)
    if not match:
        raise BadSpec(f"malformed model name '{text}';", f"wanted: {GRAMMAR}.")
    name = match["name"].strip()
    source, target = _source_of(name, text)
    return ModelSpec(stripped, source, target, _options(match["options"], text), _resolution(match["resolution"], text))


def _source_of(name: str, text: str) -> tuple[str, str]:
    path, colon, rest = name.rpartition(":")
    if path.endswith(".py"):
        if not re.fullmatch(r"[A-Za-z_][\w.]*", rest):
            raise BadSpec(
                f"malformed model name '{text}': '{rest}' is no name in a file;", "wanted: path/to/file.py:callable."
            )
        return "file", name
    if name.endswith(".py"):
        raise BadSpec(f"'{text}' names a file, not what to take from it;", f"wanted: {name}:callable.")
    if name.casefold().endswith(FILES):
        return "exported", name
    if not colon:
        if not re.fullmatch(r"[\w][\w\s.*?\[\]\-]*", name):
            raise BadSpec(f"malformed model name '{text}';", f"wanted: {GRAMMAR}.")
        return "zoo", name
    source, _, target = name.partition(":")
    if not source or not target or not re.fullmatch(r"[A-Za-z_][\w.]*", source):
        raise BadSpec(
            f"malformed model name '{text}': the colon needs a source before and a name after it;",
            f"wanted: {GRAMMAR}.",
        )
    return source, target


def _resolution(text: str | None, whole: str) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]+", text.strip()) or int(text) == 0:
        raise BadSpec(
            f"malformed model name '{whole}': '@{text}' is no resolution;",
            "wanted: a whole number of pixels, such as @192.",
        )
    return int(text)


def _options(text: str | None, whole: str) -> tuple[tuple[str, Any], ...]:
    if not text or not text.strip():
        return ()
    options: dict[str, Any] = {}
    for part in _split(text):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not _KEY.fullmatch(key) or not value:
            raise BadSpec(
                f"malformed model name '{whole}': '{part.strip()}' is no option;",
                "wanted: option=value, such as num_classes=10.",
            )
        if key in options:
            raise BadSpec(f"malformed model name '{whole}': '{key}' is given twice.")
        options[key] = _value(value)
    return tuple(options.items())


def _split(text: str) -> list[str]:
    """Split at the commas that stand in no bracket and no quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append("")
            continue
        parts[-1] += letter
    return [part for part in parts if part.strip()]


def _value(text: str) -> Any:
    """A Python literal, true/false/none in any case, or else the bare word itself."""
    word = {"true": True, "false": False, "none": None}
    if text.lower() in word:
        return word[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
