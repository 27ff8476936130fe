"""action.yml, step by step: a pull request to a repository made here, and an API on the loopback that records calls."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.repositories import committed, git, left_behind, repository

pytest.importorskip("yaml")
from helpers.actions import ACTION, ROOT, Api, Runner, api

NET = """\
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, {width}, 3)
        self.head = nn.Conv2d({width}, 4, 1)

    def forward(self, x):
        return self.head(self.stem(x))
"""
#: Parameters by width w: 28 w + 4 w + 4.
BUDGETS = """\
[[budget]]
name = "classifier"
model = "net.py:Net"
input_shape = [3, 8, 8]
parameters = { at_most = "2 k", growth = "2 %" }
"""
CHECK, COMMENT, FIND = "Check the budgets", "Comment on the pull request", "Find the commit to compare with"
INSTALL = "Install archprof"


@pytest.fixture(scope="module")
def github() -> Iterator[Api]:
    with api() as made:
        yield made


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """main: an old commit, then 16 wide. wide, of an older main: 24 wide, the lock updated in the same commit."""
    made = repository(tmp_path_factory.mktemp("origin"))
    git(made, "config", "uploadpack.allowAnySHA1InWant", "true")
    committed(made, vision___net__py=NET.format(width=8), vision___archprof__toml=BUDGETS)
    git(made, "tag", "old")
    committed(made, vision___net__py=NET.format(width=16))
    git(made, "checkout", "--quiet", "-b", "wide")
    committed(made, vision___net__py=NET.format(width=24), vision___archprof__lock__json=lock(24))
    git(made, "checkout", "--quiet", "main")
    return made


def lock(width: int) -> str:
    """What `check --update` writes for that width."""
    from torch import nn

    from archprof.budgets.config import parse
    from archprof.budgets.judging import accept, judged
    from archprof.budgets.lock import to_json
    from archprof.counting.counts import profile

    net = nn.Sequential(OrderedDict(stem=nn.Conv2d(3, width, 3), head=nn.Conv2d(width, 4, 1)))
    (budget,) = parse(BUDGETS, Path("archprof.toml")).budgets
    counted = profile(net, input_shape=(3, 8, 8))
    return to_json(accept(judged([(budget, None)], growth=False, profile=lambda *_: counted), {}, [budget.name]))


def merged(origin: Path, branch: str) -> str:
    """The commit that GitHub makes to test a pull request: main and the branch, main first."""
    git(origin, "checkout", "--quiet", "--detach", "main")
    git(origin, "merge", "--quiet", "--no-ff", "--no-edit", branch)
    commit = git(origin, "rev-parse", "HEAD")
    git(origin, "update-ref", "refs/pull/7/merge", commit)
    git(origin, "checkout", "--quiet", "main")
    return commit


@pytest.fixture
def pulled(origin: Path, github: Api, tmp_path: Path):
    """A run of the action on the pull request of a branch, in a clone as actions/checkout makes it: one commit."""

    def made(branch: str = "wide", **environment: str) -> Runner:
        commit, workspace = merged(origin, branch), tmp_path / "workspace"
        workspace.mkdir()
        git(workspace, "init", "--quiet")
        git(workspace, "remote", "add", "origin", f"file://{origin}")
        git(
            workspace,
            "fetch",
            "--quiet",
            "--no-tags",
            "--depth=1",
            "origin",
            "+refs/pull/7/merge:refs/remotes/pull/7/merge",
        )
        git(workspace, "checkout", "--quiet", "--detach", "refs/remotes/pull/7/merge")
        event = {
            "number": 7,
            "head": {"sha": git(origin, "rev-parse", branch)},
            "base": {"sha": git(origin, "rev-parse", "old")},
        }
        (tmp_path / "event.json").write_text(json.dumps({"pull_request": event}))
        return Runner(
            workspace,
            tmp_path / "temp",
            {
                "GITHUB_EVENT_NAME": "pull_request",
                "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
                "GITHUB_REPOSITORY": "owner/repository",
                "GITHUB_REF": "refs/pull/7/merge",
                "GITHUB_SHA": commit,
                "GITHUB_WORKSPACE": str(workspace),
                "GITHUB_API_URL": github.address,
                "GITHUB_SERVER_URL": "https://github.com",
                "GITHUB_RUN_ID": "42",
                **environment,
            },
            {"working-directory": "vision", "token": "t0ken"},
        )

    return made


@pytest.fixture
def fresh(github: Api) -> Api:
    """The API without comments, calls or moods of earlier tests."""
    github.comments, github.calls, github.refuse, github.author = [], [], 0, "Bot"
    return github


def test_a_pull_request_that_widens_a_layer(pulled, fresh: Api, origin: Path) -> None:
    """The comment is red and names the layer, whatever the lock of the same commit says; a second push edits it."""
    fresh.comments.append({"id": 1, "user": {"type": "User", "login": "x"}, "body": "good work"})
    runner = pulled()
    assert runner.run() == 1, runner.log
    main = git(origin, "rev-parse", "main")
    assert (
        runner.contexts["steps.base.outputs.commit"] == main
    )  # the merge's first parent, not the older one of the event
    where = "/repos/owner/repository/issues/7/comments"
    assert fresh.calls == [("GET", where, "Bearer t0ken"), ("POST", where, "Bearer t0ken")]
    body = fresh.comments[1]["body"]
    assert re.match(r"<!-- archprof check [0-9a-f]{16} -->\n> \[!CAUTION\]\n> 1 budget: 1 over; 2 limits: ", body)
    assert f"### Compared with {main[:9]}\n" in body
    row = next(line for line in body.splitlines() if line.startswith("| classifier | parameters | 516 | 772 |"))
    assert "| +256 | +49.61 % | stem (conv 3x3) went from 448 to 672 (+50.00 %); head " in row
    assert body.endswith(
        f"Of {git(origin, 'rev-parse', 'wide')[:9]}, in [this run](https://github.com/owner/repository/actions/runs/42).\n"
    )
    assert "archprof: wrote a comment on pull request 7." in runner.log
    # the same in the summary, and an annotation with the path from the root of the repository
    assert row in runner.summary
    assert "::error file=vision/archprof.toml,line=1,title=archprof%3A classifier::" in runner.log
    assert left_behind(runner.workspace) == []

    # the next push: within again
    git(origin, "checkout", "--quiet", "wide")
    committed(origin, vision___net__py=NET.format(width=16), vision___archprof__lock__json=lock(16))
    fresh.calls.clear()
    git(runner.workspace, "fetch", "--quiet", "--depth=1", "origin", merged(origin, "wide"))
    git(runner.workspace, "checkout", "--quiet", "--detach", "FETCH_HEAD")
    runner.environment["GITHUB_SHA"] = git(runner.workspace, "rev-parse", "HEAD")
    assert runner.run() == 0, runner.log
    assert [call[:2] for call in fresh.calls] == [
        ("GET", where),
        ("PATCH", "/repos/owner/repository/issues/comments/1001"),
    ]
    assert len(fresh.comments) == 2 and "> [!TIP]\n> 1 budget: 1 within" in fresh.comments[1]["body"]
    assert ": no count differs\n" in fresh.comments[1]["body"]


# --- without a check: what the steps around it do -------------------------------------------------------------------


def with_text(runner: Runner, text: str = "> [!TIP]\n> fine\n") -> Runner:
    (runner.temp / "__self-comment.md").write_text(text)
    return runner


@pytest.mark.parametrize("token", ["", "t0ken"])
def test_no_token_or_no_permission_is_told_and_nothing_fails(pulled, fresh: Api, token: str) -> None:
    runner = with_text(pulled())
    runner.contexts["inputs.token"], fresh.refuse = token, 403
    assert runner.run(COMMENT) == 0
    assert fresh.comments == [] and runner.log.count("\n") == 1
    if token:
        assert runner.log == (
            "archprof: the token may not write a comment on this pull request (403: Resource not accessible by "
            "integration); the job summary says the same. The token of a fork's pull request can only read; otherwise "
            "the job needs 'permissions: {contents: read, pull-requests: write}'.\n"
        )
    else:
        assert fresh.calls == [] and runner.log.startswith(
            "archprof: GITHUB_TOKEN is not set, so the pull request gets no"
        )


@pytest.mark.parametrize(
    "code, said", [(500, "GitHub refused the comment (500: "), (302, "GitHub refused the comment (302: ")]
)
def test_an_api_that_fails_or_leads_elsewhere(pulled, fresh: Api, code: int, said: str) -> None:
    fresh.refuse = code
    runner = with_text(pulled())
    assert runner.run(COMMENT) == 0 and said in runner.log
    assert len(fresh.calls) == 1  # the token goes nowhere else


def test_an_api_that_is_not_there(pulled) -> None:
    runner = with_text(pulled(GITHUB_API_URL="http://127.0.0.1:9"))
    assert runner.run(COMMENT) == 0
    assert "GitHub could not be asked for the comment: [Errno 111] Connection refused." in runner.log


def test_only_our_own_comment_is_edited(pulled, fresh: Api) -> None:
    """Somebody else's that begins alike is theirs: they could edit it after us. Ours may be on a later page."""
    runner = with_text(pulled())
    assert runner.run(COMMENT) == 0
    mark = fresh.comments[0]["body"].partition("\n")[0]
    stranger = {"id": 5, "user": {"type": "User", "login": "stranger"}, "body": f"{mark}\nall is well"}
    fresh.comments[:] = [
        stranger,
        *({"id": 10 + place, "user": None, "body": None} for place in range(150)),
        fresh.comments[0],
    ]
    assert runner.run(COMMENT) == 0
    assert fresh.calls[-1][0] == "PATCH" and stranger["body"].endswith("well") and len(fresh.comments) == 152
    fresh.comments.pop()
    assert runner.run(COMMENT) == 0 and fresh.calls[-1][0] == "POST"
    # a person's token edits that person's
    fresh.comments[:], fresh.author = [stranger], "User"
    assert [runner.run(COMMENT), runner.run(COMMENT)] == [0, 0]
    assert fresh.calls[-1][0] == "PATCH" and len(fresh.comments) == 2 and stranger["body"].endswith("well")
    # another file of budgets has another comment
    runner.contexts["inputs.config"] = "other.toml"
    assert runner.run(COMMENT) == 0 and len(fresh.comments) == 3


def test_a_check_that_ended_before_a_verdict_does_not_leave_the_old_comment(pulled, fresh: Api) -> None:
    runner = with_text(pulled())
    assert runner.run(COMMENT) == 0
    (runner.temp / "__self-comment.md").unlink()
    runner.contexts["inputs.base"] = "no-such-branch"
    assert runner.run(FIND, COMMENT) == 2
    assert "'no-such-branch' is not in this clone, and to fetch it failed: " in runner.log
    assert len(fresh.comments) == 1
    assert "> [!CAUTION]\n> archprof: the check ended before it judged anything.\n" in fresh.comments[0]["body"]


@pytest.mark.parametrize(
    "asked, environment, ref",
    [
        ("", {}, "main"),  # the merge's first parent
        ("", {"GITHUB_REF": "refs/heads/wide"}, "old"),  # what the event says
        ("", {"GITHUB_EVENT_NAME": "push"}, None),
        ("none", {}, None),
        ("main", {"GITHUB_EVENT_NAME": "push"}, "main"),
        ("origin/main", {}, "main"),
        ("old", {}, "old"),
        ("HEAD", {}, "refs/pull/7/merge"),
    ],
)
def test_the_commit_to_compare_with(
    pulled, origin: Path, asked: str, environment: dict[str, str], ref: str | None
) -> None:
    runner = pulled(**environment)
    runner.contexts["inputs.base"] = asked
    assert runner.run(FIND) == 0, runner.log
    assert runner.contexts["steps.base.outputs.commit"] == (git(origin, "rev-parse", ref) if ref else "")


def test_a_push_gets_no_comment(pulled) -> None:
    runner = with_text(pulled(GITHUB_EVENT_NAME="push"))
    assert runner.run(COMMENT) == 0 and runner.log == ""


@pytest.mark.parametrize(
    "event, said",
    [
        ("", "names no event of a pull request"),
        ("[]", "names no event of a pull request"),
        ('{"pull_request": null}', "names no event of a pull request"),
        ('{"pull_request": {"number": "x"}}', "names no event of a pull request"),
    ],
)
def test_an_event_that_cannot_be_read(pulled, tmp_path: Path, event: str, said: str) -> None:
    runner = with_text(pulled())
    (tmp_path / "event.json").write_text(event)
    assert runner.run(COMMENT) == 0 and said in runner.log and runner.log.count("\n") == 1


# --- what is installed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "requirements, torch, added",
    [
        ("", "", ["torch==PINNED"]),
        ("", "torch==2.6.0", ["torch==2.6.0"]),
        ("one.txt\n\ntwo words.txt\n", "", ["--requirement=one.txt", "--requirement=two words.txt", "torch==PINNED"]),
        ("torch.txt", "", ["--requirement=torch.txt"]),
        ("torch.txt", "torch>=2.7", ["--requirement=torch.txt", "torch>=2.7"]),
    ],
)
def test_what_is_installed(tmp_path: Path, requirements: str, torch: str, added: list[str]) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "one.txt").write_text("torchvision\ntorch-geometric\n# torch\n")
    (work / "two words.txt").write_text("einops\n")
    (work / "torch.txt").write_text("einops\ntorch ~= 2.6\n")
    runner = Runner(work, tmp_path / "temp", {}, {"install": "true", "requirements": requirements, "torch": torch})
    runner.tool(
        "python", 'if [ "$3" = cache ]; then echo /the/cache; else printf "%s\\n" "$PIP_EXTRA_INDEX_URL" "$@"; fi'
    )
    assert runner.run("Name the cache of pip", INSTALL) == 0, runner.log
    pinned = re.search(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]
    wanted = [one.replace("PINNED", pinned) for one in added]
    assert runner.log.splitlines() == [
        "https://download.pytorch.org/whl/cpu",
        "-m",
        "pip",
        "install",
        str(ROOT),
        *wanted,
    ]
    assert runner.contexts["steps.pip.outputs.folder"] == "/the/cache"
    first = runner.contexts["steps.pip.outputs.digest"]
    (work / "one.txt").write_text("other")
    assert runner.run("Name the cache of pip") == 0
    changed = runner.contexts["steps.pip.outputs.digest"] != first
    assert re.fullmatch("[0-9a-f]{64}", first) and changed == ("one.txt" in requirements)


def test_inputs_are_never_text_of_a_script() -> None:
    steps = ACTION["runs"]["steps"]
    assert not any("${{" in step.get("run", "") for step in steps)
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]) for step in steps if "uses" in step)
    # what a run of these tests skips is what installs
    assert {step.get("name") for step in steps if "install" in step.get("if", "")} == {
        None,
        "Name the cache of pip",
        INSTALL,
    }
    with_token = [step["name"] for step in steps if "GITHUB_TOKEN" in step.get("env", {})]
    assert with_token == [COMMENT]
