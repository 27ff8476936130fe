"""What git says of a repository: its commits, their files, and one commit's code in a folder for a while.

Asked through the program `git`. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import ArchprofError, BadOption, MissingPackage, did_you_mean, printable

#: Set by git for its hooks. They name the repository and the index of the commit that is being made: a second work
#: tree that was made under them would overwrite that index.
_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")

_HEX = re.compile(r"[0-9a-f]{7,64}")

#: Names of branches and tags among which a near one is looked for.
MOST_NAMES = 5000

#: Names that a complaint lists where none is near.
LISTED = 10


class GitFailed(ArchprofError):
    """git could not do what it was asked for."""


@dataclass(frozen=True)
class Repository:
    """A repository with a work tree; `root` is its topmost folder, links resolved."""

    root: Path

    def commit(self, ref: str) -> str:
        """The full name of the commit that `ref` names. Raises BadOption, with near names or how to get it."""
        if ref and not ref.startswith("-") and ref.isprintable():
            found = _ask(self.root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
            if found.returncode == 0:
                return found.stdout.strip()
        shown, near = printable(ref, 80), did_you_mean(ref, names := self._names())
        if self._is_shallow():
            raise BadOption(
                f"this clone is shallow, and '{shown}' is not in it.{near}", f"To get it: {_deepening(ref)}"
            )
        listed = f"Known: {', '.join(names[:LISTED])}{' ...' if len(names) > LISTED else ''}."
        raise BadOption(
            f"git knows no commit '{shown}' here.{near}",
            "" if near else listed if names else "The repository has no branch with a commit.",
        )

    def committed(self, commit: str) -> str:
        """When it was committed, as ISO 8601."""
        return _ask(self.root, "show", "--no-patch", "--format=%cI", commit).stdout.strip()

    def text(self, commit: str, path: str) -> str | None:
        """A file as it is in that commit, `path` from the root with forward slashes; None: it has none."""
        done = _run(self.root, "cat-file", "blob", f"{commit}:{path}")
        # utf-8-sig: some editors begin a file with a byte order mark
        return done.stdout.decode("utf-8-sig", "replace") if done.returncode == 0 else None

    def has(self, commit: str, path: str) -> bool:
        """Whether the commit has that file."""
        return _run(self.root, "cat-file", "-e", f"{commit}:{path}").returncode == 0

    def written_parents(self, ref: str) -> list[str]:
        """The commit's full name, then its parents' as the commit has them written, which a shallow clone may lack."""
        done = _ask(self.root, "cat-file", "commit", ref)
        head = _ask(self.root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").stdout.strip()
        return [head, *re.findall(r"^parent ([0-9a-f]+)$", done.stdout.partition("\n\n")[0], re.MULTILINE)]

    def fetch(self, ref: str) -> None:
        """Bring a commit, alone, from origin: FETCH_HEAD. Raises GitFailed with what git says."""
        if ref.startswith("-"):
            raise BadOption(f"'{printable(ref, 80)}' is no name of a commit.")
        try:
            _do(self.root, "fetch", "--quiet", "--no-tags", "--depth=1", "origin", ref)
        except GitFailed as error:
            raise GitFailed(
                f"'{printable(ref, 80)}' is not in this clone, and to fetch it failed: {error.message}",
                "Check out the whole history (actions/checkout with fetch-depth: 0), or give another base.",
            ) from None

    def changed_files(self) -> int:
        """How many tracked files differ from the last commit."""
        return len(_ask(self.root, "status", "--porcelain", "--untracked-files=no").stdout.splitlines())

    @contextlib.contextmanager
    def checked_out(self, commit: str) -> Iterator[Path]:
        """The code of that commit in a temporary work tree, gone at the end however the block ends.

        No hook runs. Raises GitFailed with what git says.
        """
        made = Path(tempfile.mkdtemp(prefix="archprof-base-")).resolve()
        tree = made / "tree"
        try:
            _do(self.root, "-c", f"core.hooksPath={os.devnull}", "worktree", "add", "--quiet", "--force", "--detach",
                str(tree), commit)  # fmt: skip
            yield tree
        finally:
            with _undisturbed():
                shutil.rmtree(made, ignore_errors=True)
                _run(self.root, "worktree", "remove", "--force", "--force", str(tree))

    def _names(self) -> list[str]:
        """Its branches and tags."""
        kinds = ("refs/heads", "refs/tags", "refs/remotes")
        return _ask(
            self.root, "for-each-ref", f"--count={MOST_NAMES}", "--format=%(refname:short)", *kinds
        ).stdout.splitlines()

    def _is_shallow(self) -> bool:
        return _ask(self.root, "rev-parse", "--is-shallow-repository").stdout.strip() == "true"


def containing(folder: Path) -> Repository:
    """The repository that a folder lies in. Raises BadOption where it lies in none."""
    done = _ask(folder, "rev-parse", "--show-toplevel")
    if done.returncode:
        shown = printable(str(folder.resolve()))
        said = _last_line(done.stderr)
        if "not a git repository" in said:
            raise BadOption(f"'{shown}' is not in a git repository;", "--base and --record need one.")
        raise BadOption(f"git cannot read the repository of '{shown}': {said}")
    return Repository(Path(done.stdout.removesuffix("\n")).resolve())


def _deepening(ref: str) -> str:
    """The command that brings a commit into a shallow clone."""
    fetch = ("git", "fetch", "--depth=1", "origin")
    if _HEX.fullmatch(ref):
        return shlex.join([*fetch, ref])
    if re.search(r"[~^@{:]", ref):  # some commits back from one that is there
        return "git fetch --unshallow"
    name = ref.removeprefix("refs/heads/")
    if ref.startswith("origin/"):
        name = name.removeprefix("origin/")
        return shlex.join([*fetch, f"+{name}:refs/remotes/origin/{name}"])
    return shlex.join([*fetch, f"{name}:{name}"])


def _do(folder: Path, *words: str) -> None:
    done = _ask(folder, *words)
    if done.returncode:
        raise GitFailed(f"git says: {_last_line(done.stderr) or f'exit code {done.returncode}'}")


def _ask(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = _run(folder, *words)
    texts = [stream.decode("utf-8", "surrogateescape") for stream in (done.stdout, done.stderr)]
    return subprocess.CompletedProcess(done.args, done.returncode, *texts)


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    surroundings = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
    # LC_ALL: what git says is looked at; no prompt, for a partial clone may ask for a password
    surroundings |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=surroundings,
            check=False,
        )
    except FileNotFoundError:
        raise MissingPackage("--base asks git for the other commit, and there is no git.", "Install it.") from None


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    wanted = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
    return printable(re.sub(r"^(fatal|error): ", "", wanted[-1])) if wanted else ""


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Until the block ends, no signal of a user stops it: what is tidied up here would be left half done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, signal.SIG_IGN) for number in names}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
