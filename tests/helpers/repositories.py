"""Repositories that tests make: no setting of whoever runs them, commits of nobody in particular."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

#: git, without the settings of this machine.
QUIET = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{f"GIT_{who}_{what}": "nobody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(folder: Path, *words: str) -> str:
    """What git prints."""
    done = subprocess.run(
        ["git", "-C", str(folder), *words], env=os.environ | QUIET, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def repository(folder: Path) -> Path:
    """A new one, its branch called main."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    return folder


def committed(folder: Path, **files: str | None) -> str:
    """Write files (`__` in a key is a dot, `___` a slash; None deletes), commit everything; gives the commit."""
    for key, text in files.items():
        path = folder / key.replace("___", "/").replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink()
        else:
            path.write_text(text, encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=a change")
    return git(folder, "rev-parse", "HEAD")


def left_behind(folder: Path) -> list[str]:
    """What a comparison left of its work trees: names that git still lists, but for the repository itself."""
    listed = git(folder, "worktree", "list", "--porcelain").split("\n\n")
    return listed[1:]
