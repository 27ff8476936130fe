"""The errors that a user can cause, each with its way out. Standard library only."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: Characters of somebody else's text in a message: enough for a sentence or two, less than three lines of a terminal.
SAID = 240

#: Characters of a message, and of a remedy, at most: what is longer quotes something that nobody meant to be read.
LONGEST = 2000


def printable(text: str, longest: int = SAID) -> str:
    """`text` as it can be shown on one line: its middle left out beyond `longest`, control characters escaped.

    Line breaks, escape sequences, marks that change the direction of writing and halves of surrogate pairs would
    disturb a terminal, or end the line; they are shown as in a Python string (`\\x1b`).
    """
    text = _shortened(text, longest)
    if text.isprintable():
        return text
    escaped = [letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text]
    return _shortened("".join(escaped), longest)


def _shortened(text: str, longest: int) -> str:
    half = (longest - 5) // 2
    return text if len(text) <= longest else f"{text[:half]} ... {text[-half:]}"


def one_line(error: BaseException, *, kind: bool = True, longest: int = SAID) -> str:
    """Any exception as one safe line: 'ValueError: what it says', without `kind` what it says alone.

    The exception may be a user's own: its text may be megabytes long, hold escape sequences, or raise when asked for.
    """
    name = type(error).__name__
    try:
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        text = "".join((said,)) if isinstance(said, str) else ""  # a plain str, whatever subclass __str__ returned
    except KeyboardInterrupt:
        raise
    except BaseException as second:
        text = f"its text cannot be read, for reading it raises {type(second).__name__}"
    text = " ".join(_shortened(text, 8 * longest).split())
    return printable(": ".join(filter(None, (name if kind or not text else "", text))), longest)


class ArchprofError(Exception):
    """What was seen, and what to do about it.

    `message` is one line; `remedy` is the next step. The command line prints both and exits with
    `exit_code` (2: misuse). Both are made printable here, once for all, for they quote what was given.
    """

    exit_code = 2

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = printable(message, LONGEST)
        self.remedy = printable(remedy, LONGEST)
        super().__init__(self.message, self.remedy)

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()


class BadSpec(ArchprofError):
    """A model name that does not follow the grammar."""


class UnknownModel(ArchprofError):
    """A well-formed name that no source knows."""


class BadOption(ArchprofError):
    """A value that an option, argument or file does not accept."""


class MissingPackage(ArchprofError):
    """A source or figure needs a package that is not installed, or is installed but broken."""


class BuildFailed(ArchprofError):
    """A network's own constructor raised."""


class ForwardFailed(ArchprofError):
    """A network's forward raised, or cannot take the inputs."""


class BadOutput(ArchprofError):
    """A file that cannot be written where the user asked for it."""


class Unreachable(ArchprofError):
    """A cluster or an executor that cannot be reached, was lost, or cannot run what is sent to it."""


class BadFile(ArchprofError):
    """A saved file that cannot be read: not JSON, another schema, a missing key."""


def did_you_mean(seen: str, known: Iterable[str], count: int = 3) -> str:
    """ " Did you mean 'resnet50'?", or an empty string where nothing is near.

    Case and separators are ignored when nearness is judged.
    """
    names = list(known) if len(seen) < SAID else []  # nothing is near to a name of a thousand letters
    plain = {"".join(filter(str.isalnum, name)).lower(): name for name in names}
    plain_seen = "".join(filter(str.isalnum, seen)).lower()
    near = [plain[key] for key in difflib.get_close_matches(plain_seen, plain, n=count, cutoff=0.6)]
    if not near:
        return ""
    quoted = [f"'{name}'" for name in near]
    listed = quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + f" or {quoted[-1]}"
    return f" Did you mean {listed}?"
