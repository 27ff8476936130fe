"""Inputs as text, parsed without importing torch.

float32[3,224,224]           one image a sample, the batch goes in front
x=float32[3,224,224]         the same, as forward's argument x
ids=int64[128]<30522         whole numbers from 0 to 30521: indices into a vocabulary
mask=bool[128]
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..base.errors import BadOption, did_you_mean, printable
from .spec import SHOWN, whole_number

DTYPES = ("float32", "float64", "float16", "bfloat16", "complex64", "int64", "int32", "int16", "int8", "uint8", "bool")

#: Elements of one sample at most: beyond it the sizes of tensors overflow.
LARGEST_SIZE = 2**48

#: Characters of an input at most.
_LONGEST = 1000

_EXPECTED = "expected an input such as x=float32[3,224,224] or 'ids=int64[128]<30522'."
_INPUT = re.compile(
    r"\s*(?:(?P<name>[^=\[\]<]*?)\s*=)?\s*(?P<dtype>\w+)\s*"
    r"\[(?P<shape>[^\]]*)\]\s*(?:<\s*(?P<below>.*?))?\s*"
)


@dataclass(frozen=True)
class InputSpec:
    """One argument of forward. `shape` is without the batch; `below` bounds whole numbers, from 0 on.

    `name` is '' for a positional argument.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    below: int | None = None

    def __str__(self) -> str:
        name = f"{self.name}=" if self.name else ""
        bound = f"<{self.below}" if self.below is not None else ""
        return f"{name}{self.dtype}[{','.join(map(str, self.shape))}]{bound}"


def parse(text: str) -> InputSpec:
    """The input that `text` writes. Raises BadOption, saying what is wrong with it."""
    shown = printable(text, SHOWN)
    match = _INPUT.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise BadOption(f"malformed input '{shown}';", _EXPECTED)
    name, dtype = match["name"] or "", match["dtype"]
    if match["name"] is not None and not (name.isidentifier() and name.isprintable()):
        raise BadOption(f"input '{shown}': '{printable(name, SHOWN)}' is not the name of an argument;", _EXPECTED)
    if dtype not in DTYPES:
        raise BadOption(
            f"input '{shown}': unknown type '{printable(dtype, SHOWN)}'.{did_you_mean(dtype, DTYPES)}",
            f"Accepted: {', '.join(DTYPES)}.",
        )
    parts = [part.strip() for part in match["shape"].split(",")] if match["shape"].strip() else []
    sizes = [whole_number(part, LARGEST_SIZE) for part in parts]
    if None in sizes or math.prod(filter(None, sizes)) > LARGEST_SIZE:
        raise BadOption(
            f"input '{shown}': [{printable(match['shape'], SHOWN)}] is not a list of positive whole numbers whose "
            f"product is at most 2^48;",
            _EXPECTED,
        )
    return InputSpec(name, dtype, tuple(filter(None, sizes)), _below(match["below"], dtype, shown))


def _below(bound: str | None, dtype: str, shown: str) -> int | None:
    if bound is None:
        return None
    if "int" not in dtype:
        raise BadOption(f"input '{shown}': only whole numbers have a bound, not {dtype};", _EXPECTED)
    if not re.fullmatch(r"[0-9]{1,25}", bound) or int(bound) == 0:
        raise BadOption(
            f"input '{shown}': the bound '{printable(bound, SHOWN)}' is not a positive whole number;", _EXPECTED
        )
    bits = int(re.sub(r"\D", "", dtype)) - (0 if dtype.startswith("u") else 1)
    if int(bound) > 2**bits:
        raise BadOption(
            f"input '{shown}': {dtype} does not hold a number as large as {int(bound) - 1};",
            f"expected a bound of at most {2**bits}.",
        )
    return int(bound)


def checked(inputs: Iterable[InputSpec]) -> tuple[InputSpec, ...]:
    """The same inputs. Raises BadOption where a name stands twice."""
    inputs = tuple(inputs)
    names = [given.name for given in inputs if given.name]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadOption(f"input '{twice}' is given twice.", "Give each argument of forward once.")
    return inputs
