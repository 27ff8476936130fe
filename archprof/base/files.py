"""Writing results where the user asked for them: checked beforehand, never half-written."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from .errors import BadOutput

STDOUT = "-"


def check(paths: Iterable[str | None]) -> None:
    """Raise BadOutput where a path cannot be written or is named twice; None entries are passed over."""
    seen: dict[str, str] = {}
    for path in paths:
        if path is None:
            continue
        key = path if path == STDOUT else os.path.realpath(path)
        if key in seen:
            raise BadOutput(f"'{path}' is named for two outputs.", "Give each its own file.")
        seen[key] = path
        if path == STDOUT:
            continue
        target = Path(path)
        if target.is_dir():
            raise BadOutput(f"'{path}' is a folder.", "Name a file in it.")
        folder = target.parent
        if not folder.is_dir():
            raise BadOutput(f"the folder '{folder}' does not exist.", f"Make it first: mkdir -p {folder}")
        if not os.access(folder, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
            raise BadOutput(f"'{path}' cannot be written (no permission).", "Choose another place.")


def write(path: str, content: str | bytes) -> None:
    """Write `content` to a file (first to a temporary one beside it, then renamed), or to stdout for '-'."""
    if path == STDOUT:
        assert isinstance(content, str)
        sys.stdout.write(content if content.endswith("\n") else content + "\n")
        return
    target = Path(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(name, 0o666 & ~umask)  # mkstemp makes files that only their owner can read
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise BadOutput(f"'{path}' cannot be written: {error.strerror}.") from error
