"""The errors that a user can cause, each with its way out. Standard library only."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ArchprofError(Exception):
    """What was seen, and what to do about it.

    `message` is one line; `remedy` is the next step. The command line prints both and exits with
    `exit_code` (2: misuse).
    """

    exit_code = 2

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

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


class BadFile(ArchprofError):
    """A saved file that cannot be read: not JSON, another schema, a missing key."""


def did_you_mean(seen: str, known: Iterable[str], count: int = 3) -> str:
    """ " Did you mean 'resnet50'?", or an empty string where nothing is near.

    Case and separators are ignored when nearness is judged.
    """
    names = list(known)
    plain = {"".join(filter(str.isalnum, name)).lower(): name for name in names}
    plain_seen = "".join(filter(str.isalnum, seen)).lower()
    near = [plain[key] for key in difflib.get_close_matches(plain_seen, plain, n=count, cutoff=0.6)]
    if not near:
        return ""
    quoted = [f"'{name}'" for name in near]
    listed = quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + f" or {quoted[-1]}"
    return f" Did you mean {listed}?"
