"""A budget, as one [[budget]] of a file or the keywords of a test state it. Standard library only."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import prod
from typing import Any

from ..base.errors import ArchprofError, BadOption, MissingPackage
from ..models import input_spec
from ..models.input_spec import InputSpec
from ..results.bounds import shown
from ..results.profile import Shape
from .limits import (
    MEASURES,
    LatencyLimit,
    Limit,
    is_pattern,
    known_keys,
    parse_latency,
    parse_limit,
    parse_percent,
    positive,
)
from .networks import OWN_INPUT, Feed

_KEYS = ("model", "name", "input", "input_shape", "batch_size", *MEASURES, "latency", "growth", "allow_uncounted")

#: No name, path or limit is longer; a longer text is a mistake that would fill the screen.
LONGEST_TEXT = 1000

#: Larger than any count, size or batch.
LARGEST = 2**63 - 1


#: Elements of an input: 4 TiB of float32. torch raises errors of its own where sizes no longer fit into 64 bits.
LARGEST_INPUT = 2**40


@dataclass(frozen=True)
class Budget:
    """What one model is held to.

    `model` is a spec or a module; a spec with wildcards stands for every network that it matches. `growth` holds
    for every counted measure that states none of its own (`training_bytes` is counted only where it is limited).
    `stated` is the name that the file gives, which the budgets of all matched networks share; `file` and `line` are
    where it states it ('' and 0: nowhere).
    """

    name: str
    model: Any
    limits: Mapping[str, Limit] = field(default_factory=dict)
    latency: tuple[LatencyLimit, ...] = ()
    growth: Fraction | None = None
    feed: Feed = OWN_INPUT
    allow_uncounted: tuple[str, ...] = ()
    stated: str = ""
    file: str = ""
    line: int = 0

    @classmethod
    def of(cls, model: Any, **keys: Any) -> Budget:
        """The budget of a module or a spec, with the keys that a file would have: `of("nin", parameters="< 1 M")`."""
        named = model if isinstance(model, str) else type(model).__name__
        return replace(from_entry({"model": named, **keys}, "budget"), model=model)

    @property
    def counts_training(self) -> bool:
        """Whether a training pass has to be counted: it costs as much time again as everything else."""
        return "training_bytes" in self.limits

    @property
    def shown_inputs(self) -> tuple[str, ...]:
        """The arguments of forward that it states, as text."""
        return tuple(map(str, self.feed.inputs))

    @property
    def shown_model(self) -> str:
        """The spec, or the class of a module."""
        return self.model if isinstance(self.model, str) else type(self.model).__name__


def from_entry(entry: Mapping[str, Any], what: str) -> Budget:
    """The budget that a table of the file states. `what` opens every complaint."""
    _readable(entry, what)
    model = _text(entry.get("model"), what, "model")
    name = _text(entry.get("name", model), what, "name")
    if what != "budget":
        what = f"budget '{name}'"
    known_keys(entry, _KEYS, what)
    feed = _feed(entry, what)
    budget = Budget(
        name=name,
        model=model,
        limits={
            key: parse_limit(entry[key], f"{what}: {key}", measure) for key, measure in MEASURES.items() if key in entry
        },
        latency=parse_latency(entry["latency"], f"{what}: latency", feed.batch_size) if "latency" in entry else (),
        growth=parse_percent(entry["growth"], f"{what}: growth") if "growth" in entry else None,
        feed=feed,
        allow_uncounted=_operators(entry.get("allow_uncounted", []), f"{what}: allow_uncounted"),
        stated=name,
    )
    if not budget.limits and not budget.latency and budget.growth is None:
        raise BadOption(
            f"{what} limits nothing;", f"expected one or more of {', '.join((*MEASURES, 'latency', 'growth'))}."
        )
    return budget


def expanded(budget: Budget) -> tuple[Budget, ...]:
    """One budget for each network that its model matches; the budget itself where that has no wildcard.

    It also stays as it is where the library of those networks is not installed: an error of this budget alone. Each is
    named by its network, and by the stated name before it where there is one of its own: 'small[resnet18]'.
    """
    if not isinstance(budget.model, str) or not is_pattern(budget.model):
        return (budget,)
    from ..models import expand

    try:
        networks = expand([budget.model])
    except MissingPackage:
        return (budget,)
    except ArchprofError as error:
        raise type(error)(f"budget '{budget.name}': {error.message}", error.remedy) from None
    own_name = budget.name != budget.model
    return tuple(
        replace(budget, model=network, name=f"{budget.name}[{network}]" if own_name else network)
        for network in networks
    )


def _readable(entry: Mapping[str, Any], what: str) -> None:
    """Refuse texts and numbers that no message could repeat in one line."""
    waiting: list[Any] = [entry]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, str):
            if len(value) > LONGEST_TEXT:
                raise BadOption(
                    f"{what}: a text of {len(value):,} characters, {shown(value)};",
                    f"expected at most {LONGEST_TEXT:,}.",
                )
            if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in value):
                raise BadOption(f"{what}: {shown(value)} has a line break or tab;", "expected a text of one line.")
        elif isinstance(value, int) and abs(value) > LARGEST:
            raise BadOption(f"{what}: an integer of {value.bit_length():,} bits;", f"expected at most {LARGEST:,}.")


def _text(value: Any, what: str, key: str) -> str:
    if not isinstance(value, str) or not value.strip():
        seen = f"{what} has no {key};" if value is None else f"{what}: {key} {shown(value)} is not a text;"
        raise BadOption(seen, f'expected {key} = "resnet18", for example.')
    return value


def _feed(entry: Mapping[str, Any], what: str) -> Feed:
    if "input" in entry and "input_shape" in entry:
        raise BadOption(f"{what} states both input and input_shape;", "state one of them.")
    feed = Feed(
        positive(entry.get("batch_size", 1), f"{what}: batch_size"),
        _shape(entry["input_shape"], f"{what}: input_shape") if "input_shape" in entry else None,
        _inputs(entry["input"], f"{what}: input") if "input" in entry else (),
    )
    shapes = [feed.input_shape or (), *(given.shape for given in feed.inputs)]
    if any(feed.batch_size * prod(shape) > LARGEST_INPUT for shape in shapes):
        raise BadOption(f"{what}: the input is too large;", f"expected at most {LARGEST_INPUT:,} elements.")
    return feed


def _shape(value: Any, what: str) -> Shape:
    listed = isinstance(value, list | tuple) and bool(value)
    if not listed or not all(type(size) is int and size > 0 for size in value):
        raise BadOption(
            f"{what} {shown(value)} is not a shape;", "expected sizes without the batch, such as [3, 224, 224]."
        )
    return tuple(value)


def _inputs(value: Any, what: str) -> tuple[InputSpec, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not texts or not all(isinstance(text, str) for text in texts):
        raise BadOption(
            f"{what} {shown(value)} is not a list of inputs;",
            'expected each argument of forward, such as ["ids=int64[128]<30522", "mask=bool[128]"].',
        )
    try:
        return input_spec.checked(input_spec.parse(text) for text in texts)
    except ArchprofError as error:
        raise BadOption(f"{what}: {error.message}", error.remedy) from None


def _operators(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise BadOption(
            f"{what} {shown(value)} is not a list of operators;", 'expected ["mylib::fused_act"], for example.'
        )
    return tuple(value)
