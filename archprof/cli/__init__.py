"""The command line: each command parses, calls the library, prints, and returns an exit code.

Known errors become one line on stderr here and nowhere else. Nothing in this room imports torch before a
command needs it.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import re
import shlex
import sys
from collections.abc import Container, Sequence
from typing import Any, NoReturn

from ..base import cache, streams
from ..base.errors import LONGEST, ArchprofError, BadOption, did_you_mean, printable
from ..base.version import __version__
from . import completing, stopping
from .commands import COMMANDS

#: Thresholds of the garbage collector while a command runs. A full collection walks all that torch has loaded, 0.08 s
#: each time, and importing sets off several; what a command makes is freed by reference counts.
RARELY = (50_000, 50, 50)

EXIT_CODES = """\
exit codes: 0 done; 1 over a budget, or a network failed; 2 misuse, or an output that cannot be written;
            130 interrupted (Ctrl-C); 128 + N ended by signal N.
            A reader that goes away ('archprof list | head -1') changes none of them"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line, with the nearest option named."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # an abbreviated option would change its meaning when a longer one is added
        super().__init__(*args, **{**kwargs, "allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments: -"):
            seen = message.removeprefix("unrecognized arguments: ").split()[0]
            known = [flag for action in self._actions for flag in action.option_strings]
            message = f"unknown option '{seen}'.{did_you_mean(seen, known)}"
        elif unknown := re.match(r"argument COMMAND: invalid choice: (['\"])(.*)\1 \(", message, re.DOTALL):
            near = did_you_mean(unknown[2], COMMANDS) or f" Commands: {', '.join(COMMANDS)}."
            message = f"unknown command '{printable(unknown[2])}'.{near}"
        stop = "" if message.endswith((".", "?")) else "."
        self.exit(2, f"{self.prog}: {printable(message, LONGEST)}{stop} See '{self.prog} --help'.\n")


def build_parser(chosen: Container[str] = COMMANDS) -> argparse.ArgumentParser:
    """The command line, with the options of the chosen commands; the others are known by name alone, not imported."""
    parser = Parser(
        prog="archprof",
        description="Choose, compare and guard neural architectures.",
        epilog=f"example: archprof compare resnet50 mobilenetv1 alexnet\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"archprof {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, summary in COMMANDS.items():
        if name in chosen:
            importlib.import_module(f"{__name__}.{name}").add(commands)
        else:
            commands.add_parser(name, help=summary)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code, as EXIT_CODES says."""
    if (typed := completing.asked(os.environ)) is not None:
        completing.answer(build_parser([word for word in typed.split() if word in COMMANDS][:1]))
    thresholds = gc.get_threshold()
    gc.set_threshold(*RARELY)
    cache.may_keep = True
    try:
        with streams.usable(), stopping.signals() as received:
            code = _run(argv)
        return 128 + received[0] if received else code
    finally:
        gc.set_threshold(*thresholds)
        cache.may_keep = False


def _refuse(unknown: Sequence[str], args: argparse.Namespace, parser: argparse.ArgumentParser) -> NoReturn:
    """Raise or end with what is said of words that nobody takes."""
    first = getattr(args, "model", None) or getattr(args, "network", None)
    if first and not any(word.startswith("-") for word in unknown):
        command = args.parser.prog.rpartition(" ")[2]
        raise BadOption(
            f"'{command}' looks at one network, and '{unknown[0]}' is given beside '{first}'.",
            f"Several side by side: archprof compare {shlex.join([first, *unknown])}",
        )
    own: argparse.ArgumentParser = getattr(args, "parser", parser)
    own.error(f"unrecognized arguments: {' '.join(unknown)}")


def _run(argv: Sequence[str] | None) -> int:
    """The command's exit code; what a user or the system can cause is one line here, for all commands."""
    try:
        words = sys.argv[1:] if argv is None else argv
        parser = build_parser([word for word in words if not word.startswith("-")][:1])
        args, unknown = parser.parse_known_args(words)
        if unknown:
            _refuse(unknown, args, parser)
        if not hasattr(args, "run"):
            parser.print_help()
            return 0
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except ArchprofError as error:
        print(f"archprof: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("archprof: interrupted.", file=sys.stderr)
        return 130
    except OSError as error:
        if (why := streams.why_not(error)) is None:
            raise
        streams.give_up(sys.stdout)
        print(f"archprof: {why}", file=sys.stderr)
        return 2
