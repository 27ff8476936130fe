"""A pull request on GitHub: the commit that it is compared with, and the one comment that a check keeps on it.

What cannot be written there is said, and changes no exit code. `python -m archprof.cli.pull_request` is for action.yml.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ..base import git
from ..base.errors import ArchprofError, BadOption, printable

#: Seconds that one answer may take.
PATIENCE_S = 20

#: Comments are asked for by so many, and so many times at most.
PAGE, PAGES = 100, 30

_EVENTS = ("pull_request", "pull_request_target")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


class NotWritten(ArchprofError):
    """Why there is no comment."""


@dataclass(frozen=True)
class PullRequest:
    """Where it is, its last commit, and that of its base branch when the event was sent."""

    api: str
    repository: str
    number: int
    head: str
    base: str


def current(environment: Mapping[str, str] = os.environ) -> PullRequest:
    """The one that this run of GitHub Actions is for. Raises NotWritten where it is for none."""
    name = environment.get("GITHUB_EVENT_NAME", "")
    if name not in _EVENTS:
        seen = f"the event is '{name}'" if name else "GITHUB_EVENT_NAME is not set"
        raise NotWritten(f"this is no run for a pull request ({seen}), so there is no comment.")
    path = environment.get("GITHUB_EVENT_PATH", "")
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8"))["pull_request"]
        number, head, into = int(event["number"]), str(event["head"]["sha"]), str(event["base"]["sha"])
    except (OSError, ValueError, KeyError, TypeError):
        raise NotWritten(
            f"GITHUB_EVENT_PATH ('{path}') names no event of a pull request, so there is no comment."
        ) from None
    repository = environment.get("GITHUB_REPOSITORY", "")
    api = environment.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise NotWritten(f"GITHUB_REPOSITORY ('{repository}') is no OWNER/NAME, so there is no comment.")
    if not api.startswith(("https://", "http://")):
        raise NotWritten(f"GITHUB_API_URL ('{api}') is no address, so there is no comment.")
    return PullRequest(api, repository, number, head, into)


def marker(key: Sequence[str]) -> str:
    """The line by which a comment is found again: the same for the same files and names, whatever they are called."""
    return f"<!-- archprof check {hashlib.sha256(json.dumps(list(key)).encode()).hexdigest()[:16]} -->"


def post(body: str, key: Sequence[str], environment: Mapping[str, str] = os.environ) -> str:
    """Write the comment, or change the one that is there; what was done, in words. Raises NotWritten with why not."""
    place, token = current(environment), environment.get("GITHUB_TOKEN", "")
    if not token:
        raise NotWritten("GITHUB_TOKEN is not set, so the pull request gets no comment; the job summary says the same.")
    mark = marker(key)
    comments = f"/repos/{place.repository}/issues/{place.number}/comments"
    ask = _Api(place.api, token)
    content = {"body": f"{mark}\n{body}"}
    known = _ours(ask, comments, mark)
    if known is None:
        ask("POST", comments, content)
        return f"wrote a comment on pull request {place.number}."
    ask("PATCH", f"/repos/{place.repository}/issues/comments/{known}", content)
    return f"changed the comment on pull request {place.number}."


def run_shown(environment: Mapping[str, str] = os.environ) -> str:
    """'Of COMMIT, in this run': what a comment is about, as Markdown; '' outside of GitHub Actions."""
    try:
        place = current(environment)
    except NotWritten:
        return ""
    run = environment.get("GITHUB_RUN_ID", "")
    page = f"{environment.get('GITHUB_SERVER_URL', '')}/{place.repository}/actions/runs/{run}"
    if not _COMMIT.fullmatch(place.head) or not re.fullmatch(r"https?://[\w.:/-]+/\d+", page):
        return ""
    return f"Of {place.head[:9]}, in [this run]({page})."


def _ours(ask: _Api, comments: str, mark: str) -> int | None:
    """The comment that an earlier run wrote. Anybody may begin a comment with the marker, and edit their own later."""
    for page in range(1, PAGES + 1):
        listed = ask("GET", f"{comments}?per_page={PAGE}&page={page}")
        for one in listed if isinstance(listed, list) else ():
            author = one.get("user") or {}
            if not str(one.get("body") or "").startswith(mark) or not isinstance(one.get("id"), int):
                continue
            if author.get("type") == "Bot" or (author.get("login") and author.get("login") == ask.login()):
                return int(one["id"])
        if not isinstance(listed, list) or len(listed) < PAGE:
            return None
    return None


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follows nothing: the token would be sent to wherever it leads."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class _Api:
    """Asks GitHub. Raises NotWritten with what it answered, in one line."""

    def __init__(self, address: str, token: str) -> None:
        self.address, self.token = address, token
        self.open = urllib.request.build_opener(_Straight).open

    def __call__(self, method: str, path: str, content: Any = None) -> Any:
        request = urllib.request.Request(
            self.address + path,
            data=None if content is None else json.dumps(content).encode(),
            method=method,
            headers={
                "Authorization": f"Bearer {self.token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                "Content-Type": "application/json",
                "User-Agent": "archprof",
            },
        )
        try:
            with self.open(request, timeout=PATIENCE_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise _refused(error) from None
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise NotWritten(f"GitHub could not be asked for the comment: {printable(str(reason))}.") from None

    def login(self) -> str | None:
        """Whose token it is; None: no person's, and the runner's own cannot ask."""
        try:
            answer = self("GET", "/user")
        except NotWritten:
            return None
        return answer.get("login") if isinstance(answer, dict) else None


def _refused(error: urllib.error.HTTPError) -> NotWritten:
    try:
        said = json.load(error).get("message", "")
    except (OSError, ValueError, AttributeError, HTTPException):
        said = ""
    answer = printable(f"{error.code}{': ' if said else ''}{said}")
    if error.code in (401, 403, 404):
        return NotWritten(
            f"the token may not write a comment on this pull request ({answer}); the job summary says the same.",
            "The token of a fork's pull request can only read; otherwise the job needs "
            "'permissions: {contents: read, pull-requests: write}'.",
        )
    return NotWritten(f"GitHub refused the comment ({answer}); the job summary says the same.")


# --- the base ---------------------------------------------------------------------------------------------------------


def base(asked: str, environment: Mapping[str, str] = os.environ, folder: Path = Path()) -> str:
    """The commit to compare with, fetched where the clone lacks it; '' where there is none to compare with.

    `asked` is what somebody wrote, 'none' for no comparison; where it is empty, it is the commit that the pull request
    is merged into. Raises BadOption or GitFailed where it cannot be had.
    """
    if asked == "none":
        return ""
    if not asked:
        try:
            asked = current(environment).base
        except NotWritten:
            return ""
        asked = _merged_into(git.containing(folder), environment) or asked
    repository = git.containing(folder)
    try:
        return repository.commit(asked)
    except BadOption:
        repository.fetch(asked.removeprefix("origin/"))
        return repository.commit("FETCH_HEAD")


def _merged_into(repository: git.Repository, environment: Mapping[str, str]) -> str | None:
    """The first parent of the merge that GitHub made to test the pull request, where that is checked out.

    The event's base is older than that parent where the base branch has moved since, and its changes would seem to be
    those of the pull request.
    """
    if not re.fullmatch(r"refs/pull/\d+/merge", environment.get("GITHUB_REF", "")):
        return None
    head, *parents = repository.written_parents("HEAD")
    return parents[0] if len(parents) == 2 and head == environment.get("GITHUB_SHA") else None


def main(words: Sequence[str]) -> int:
    """`base ASKED` prints `commit=...` for GITHUB_OUTPUT; `comment FILE KEY...` makes the text of a file the comment.

    They are steps of their own, so that the networks that are checked never see the token.
    """
    match words:
        case ["base", asked]:
            try:
                print(f"commit={base(asked)}")
            except ArchprofError as error:
                print(f"archprof: {error}", file=sys.stderr)
                return error.exit_code
            return 0
        case ["comment", file, *key]:
            try:
                print(f"archprof: {post(_text(file), key)}", file=sys.stderr)
            except NotWritten as why:
                print(f"archprof: {why}", file=sys.stderr)
            return 0
    print("archprof: expected 'base REF' or 'comment FILE KEY...'.", file=sys.stderr)
    return 2


def _text(file: str) -> str:
    """What the check wrote; where it ended before, what there was is no longer true, and the comment must say so."""
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError:
        return f"> [!CAUTION]\n> archprof: the check ended before it judged anything.\n\n{run_shown()}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
