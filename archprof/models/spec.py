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
import math
import re
from dataclasses import dataclass
from typing import Any

from ..base.errors import BadSpec, printable

GRAMMAR = "NAME, NAME(option=value, ...), NAME@RESOLUTION or SOURCE:NAME"

#: Suffixes of files that hold networks or weights: `models.exported` reads the first, and says what the others are.
FILES = (
    *(".pt2", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".joblib"),
    *(".onnx", ".safetensors", ".h5", ".hdf5", ".keras", ".tflite"),
)

_SPEC = re.compile(r"(?P<name>[^()@]+?)\s*(?:\((?P<options>.*)\))?\s*(?:@(?P<resolution>[^()@]*))?", re.DOTALL)
#: A name in a source, which may end like a file: mymodels:nets.bin
_IN_SOURCE = re.compile(r"[A-Za-z_][\w.]+:[\w.]+")
_KEY = re.compile(r"[A-Za-z_]\w*")
_WORD = re.compile(r"[\w.+\-/:][\w.+\-/: ]*")

#: Characters of a name at most: as many as a path may have.
LONGEST = 4096

#: Characters of a name, or of a part of one, that a message quotes.
SHOWN = 80

#: Pixels, and numbers in options: beyond these the sizes of tensors overflow.
LARGEST_RESOLUTION = 1_000_000
LARGEST_NUMBER = 2**48


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
    if not isinstance(text, str):
        raise BadSpec(f"a model name must be text, not {_article(type(text).__name__)};", f"expected {GRAMMAR}.")
    stripped = text.strip()
    if not stripped:
        raise BadSpec("the model name is empty;", f"expected {GRAMMAR}.")
    if len(stripped) > LONGEST:
        raise BadSpec(
            f"the model name '{printable(stripped, SHOWN)}' has {len(stripped):,} characters;",
            f"expected at most {LONGEST:,}.",
        )
    if not stripped.isprintable():
        first = next(letter for letter in stripped if not letter.isprintable())
        raise BadSpec(
            f"the model name '{printable(stripped, SHOWN)}' holds {first!a}, which cannot be printed;",
            "rename the file, or name a module of it that can be.",
        )
    match = _SPEC.fullmatch(stripped)
    if not match:
        raise _malformed(stripped)
    name = match["name"].strip()
    source, target = _source_of(name, stripped)
    return ModelSpec(
        stripped, source, target, _options(match["options"], stripped), _resolution(match["resolution"], stripped)
    )


def _article(noun: str) -> str:
    return f"an {noun}" if noun[:1].lower() in "aeiou" else f"a {noun}"


def _malformed(text: str, reason: str = "", expected: str = GRAMMAR) -> BadSpec:
    shown = f"malformed model name '{printable(text, SHOWN)}'"
    return BadSpec(f"{shown}: {reason};" if reason else f"{shown};", f"expected {expected}.")


def _source_of(name: str, text: str) -> tuple[str, str]:
    path, colon, rest = name.rpartition(":")
    if path.endswith(".py"):
        if not re.fullmatch(r"[A-Za-z_][\w.]*", rest):
            raise _malformed(text, f"'{printable(rest, SHOWN)}' is not a name in a file", "path/to/file.py:callable")
        return "file", name
    if name.endswith(".py"):
        shown = printable(name, SHOWN)
        raise BadSpec(f"'{shown}' names a file, but not what to take from it;", f"expected {shown}:callable.")
    if name.casefold().endswith(FILES) and not _IN_SOURCE.fullmatch(name):
        return "exported", name
    if not colon:
        if not re.fullmatch(r"[\w*?\[][\w\s.*?\[\]\-]*", name):
            raise _malformed(text)
        return "zoo", name
    source, _, target = name.partition(":")
    if not source or not target or not re.fullmatch(r"[A-Za-z_][\w.]*", source):
        raise _malformed(text, "the colon needs a source before it and a name after it")
    return source, target


def _resolution(text: str | None, whole: str) -> int | None:
    if text is None:
        return None
    resolution = whole_number(text.strip(), LARGEST_RESOLUTION)
    if resolution is None:
        raise _malformed(
            whole,
            f"'@{printable(text, SHOWN)}' is not a resolution",
            f"a whole number of pixels from 1 to {LARGEST_RESOLUTION:,}, such as @192",
        )
    return resolution


def whole_number(text: str, largest: int) -> int | None:
    """The number from 1 to `largest` that decimal digits write; None where they write none or another."""
    if not re.fullmatch(r"[0-9]{1,15}", text):  # int() refuses thousands of digits, and takes those of any script
        return None
    return int(text) if 1 <= int(text) <= largest else None


# --- options --------------------------------------------------------------------------------------------------------


def _options(text: str | None, whole: str) -> tuple[tuple[str, Any], ...]:
    if not text or not text.strip():
        return ()
    options: dict[str, Any] = {}
    for part in _split(text):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not _KEY.fullmatch(key) or not value:
            shown = printable(part.strip(), SHOWN)
            raise _malformed(whole, f"'{shown}' is not an option", "option=value, such as num_classes=10")
        if key in options:
            raise BadSpec(
                f"malformed model name '{printable(whole, SHOWN)}': '{printable(key, SHOWN)}' is given twice;",
                "give each option once.",
            )
        try:
            options[key] = _value(value)
        except ValueError as reason:
            raise _malformed(
                whole,
                f"{printable(key, SHOWN)}={printable(value, SHOWN)} {reason}",
                "a value such as 10, 0.5 or [3, 4]",
            ) from None
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
    """A literal of Python, true/false/none in any case, or else the bare word. Raises ValueError with the reason."""
    word = {"true": True, "false": False, "none": None}
    if text.lower() in word:
        return word[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        if _WORD.fullmatch(text):
            return text
        raise ValueError("is neither a literal of Python nor a word") from None
    _check_sizes(value)
    return value


def _check_sizes(value: Any) -> None:
    """Raise ValueError for numbers that no network can be built with, wherever they stand."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list | tuple | set):
        for item in value:
            _check_sizes(item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("is not a finite number")
    elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise ValueError(f"is beyond {LARGEST_NUMBER:,}")
    elif isinstance(value, bytes | complex) or value is ...:
        raise ValueError("is neither a number, a text, a list nor a table")
