"""What could stand where somebody pressed Tab: argcomplete asks the parsers, this says what their options take.

A shell asks by running archprof with _ARGCOMPLETE set; the lines that `archprof completion` prints make it do so.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from typing import Any

#: metavars of options whose value is a file's or folder's name, which argcomplete completes by itself.
_PATHS = ("FILE", "FILE.svg", "FOLDER", "A.json", "B.json", "DATA")


def asked(environment: Mapping[str, str]) -> str | None:
    """The line that somebody is typing; None where no shell asks, in a process of its own, what could stand there."""
    return environment.get("COMP_LINE") if "_ARGCOMPLETE" in environment else None


def answer(parser: argparse.ArgumentParser) -> None:
    """Tell the shell, and end the process."""
    import argcomplete

    _annotate(parser)
    argcomplete.autocomplete(parser, always_complete_options=False, default_completer=argcomplete.FilesCompleter())


def _annotate(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _annotate(command)
        elif action.metavar not in _PATHS and action.choices is None:
            known: Any = _KNOWN.get(action.dest) or _KNOWN.get(str(action.metavar)) or _nothing
            action.completer = known  # type: ignore[attr-defined]


def _nothing(**_: Any) -> Iterable[str]:
    """A number, a title or a limit: nobody can guess it, and a file's name it is not."""
    return ()


def _models(prefix: str, **_: Any) -> Iterable[str]:
    from ..runs import names

    found = names.beginning(prefix)
    if found:
        return found
    import argcomplete

    return argcomplete.FilesCompleter(("py", "pt2"))(prefix)


def _words(get: Callable[[], Iterable[str]]) -> Callable[..., Iterable[str]]:
    return lambda **_: list(get())  # a dict would be taken for names and what they mean


def _cuts() -> Iterable[str]:
    from ..render.tables.layers import CUTS

    return CUTS


def _columns() -> Iterable[str]:
    from ..results.columns import COLUMNS

    return COLUMNS


def _figures() -> Iterable[str]:
    from .plot import kinds

    return kinds()


def _outputs() -> Iterable[str]:
    from .schema import OUTPUTS

    return OUTPUTS


def _dtypes() -> Iterable[str]:
    from ..results.conditions import DTYPES

    return DTYPES


def _modes() -> Iterable[str]:
    from ..results.conditions import MODES

    return MODES


def _compile_modes() -> Iterable[str]:
    from ..results.conditions import COMPILE_MODES

    return COMPILE_MODES


def _optimizers() -> Iterable[str]:
    from ..results.optimizers import OPTIMIZERS

    return OPTIMIZERS


def _shells() -> Iterable[str]:
    from .completion import SHELLS

    return SHELLS


#: The option (as Python has its name), or its metavar where several take the same -> what completes it.
_KNOWN: dict[str, Callable[..., Iterable[str]]] = {
    **dict.fromkeys(("MODEL", "PATTERN", "NETWORK"), _models),
    "CUT": _words(_cuts),
    "KIND": _words(_figures),
    "OUTPUT": _words(_outputs),
    "COLUMN": _words(_columns),
    "SHELL": _words(_shells),
    "DEVICE": _words(lambda: ("cpu", "cuda", "mps")),
    "TYPE": _words(_dtypes),
    "mode": _words(_modes),
    "compile": _words(_compile_modes),
    "optimizer": _words(_optimizers),
}
