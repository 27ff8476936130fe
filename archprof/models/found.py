"""What a source answers: a network that can be built, and the facts known about it beforehand."""

from __future__ import annotations

import difflib
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..base.errors import ArchprofError, BadOption, BuildFailed, one_line, printable
from .spec import SHOWN, ModelSpec

if TYPE_CHECKING:
    from torch import nn

#: What forward is called with: positional and keyword arguments.
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Step:
    """A pass that follows another one, whose output holds what it needs: one more token after a prompt.

    `before` are keyword arguments that the earlier pass takes beside its own; `after` makes this pass's arguments of
    its output, a batch size, and what answers with a tensor's values or None; `nbytes` says how many bytes of them are
    what the earlier one left.
    """

    before: Mapping[str, Any]
    after: Callable[[Any, int, Callable[[Any], Any]], Arguments]
    nbytes: Callable[[Arguments], int]


@dataclass(frozen=True)
class Found:
    """A network that a source knows: `make` builds it, `input_shape` (C, H, W) is its default input.

    `published` is the name under which accuracies are looked up; `family` groups networks in figures. Where one
    image is not what the network takes, `inputs` makes forward's arguments for a batch size; `batch_size` is the only
    one that they can be made for, None where any will do. `instance` is set where the network exists already and
    belongs to somebody else: it is looked at, never changed. `step` is set where not the pass of `inputs` is asked
    for, but one that follows it. `notes` are what a reader of its counts must know. Where a stated input shape is not
    that of one float tensor, `at_shape` finds the same network fed at that size.
    """

    spec: ModelSpec
    make: Callable[[], nn.Module]
    input_shape: tuple[int, ...]
    published: str = ""
    family: str = ""
    year: int | None = None
    inputs: Callable[[int], Arguments] | None = None
    batch_size: int | None = None
    instance: nn.Module | None = None
    step: Step | None = None
    notes: tuple[str, ...] = ()
    at_shape: Callable[[tuple[int, ...]], Found] | None = None

    @property
    def name(self) -> str:
        """The name to show."""
        return self.spec.name

    @property
    def source(self) -> str:
        """The source it came from: 'zoo', 'timm', ..."""
        return self.spec.source

    def build(self) -> nn.Module:
        """Call `make`; what the constructor raises becomes BuildFailed, one line."""
        try:
            return self.make()
        except ArchprofError:
            raise
        except Exception as error:
            # a ValueError speaks of the user's value; anything else is a fault whose kind helps to find it
            said = one_line(error, kind=not isinstance(error, ValueError))
            raise BuildFailed(f"{self.name}: {said}") from error


def check_options(name: str, call: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as keyword arguments for `call`; whole numbers become floats where floats are declared.

    Raises BadOption for a keyword that `call` does not take or a value of another type than it declares.
    """
    parameters = inspect.signature(call).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    try:
        hints = typing.get_type_hints(call)
    except Exception:  # annotations that cannot be resolved are no reason to refuse
        hints = {}
    checked = {}
    for key, value in options.items():
        if key not in parameters and not takes_any:
            near = difflib.get_close_matches(key, parameters, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise BadOption(
                f"{name} has no option '{printable(key, SHOWN)}'.{hint}", f"It takes {', '.join(parameters)}."
            )
        checked[key] = _fit(name, key, value, hints.get(key))
    return checked


def _fit(name: str, key: str, value: Any, hint: Any) -> Any:
    kinds = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    plain = [kind for kind in kinds if kind in (int, float, str, bool, type(None))]
    if hint is None or len(plain) != len(kinds):
        return value  # not declared, or a declaration too rich to check
    if type(value) in plain:
        return value
    if type(value) is int and float in plain:
        return float(value)
    wanted = " or ".join(
        "None"
        if kind is type(None)
        else {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}[kind]
        for kind in plain
    )
    raise BadOption(f"{name}: {printable(f'{key}={value!r}', SHOWN)} is not {wanted};", "expected such a value.")
