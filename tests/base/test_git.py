"""What git is asked for: commits, files of theirs, and a work tree that leaves nothing behind."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from helpers.repositories import committed, git, left_behind, repository

from archprof.base import git as asked
from archprof.base.errors import BadOption, MissingPackage


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Two commits, a.txt says one and then two."""
    made = repository(tmp_path / "repo")
    committed(made, a__txt="one")
    git(made, "tag", "v1")
    committed(made, a__txt="two")
    return made


def test_commits_and_their_files(repo: Path) -> None:
    found = asked.containing(repo)
    assert found.root == repo.resolve()
    first, second = (git(repo, "rev-parse", name) for name in ("v1", "main"))
    assert [found.commit(name) for name in ("v1", "main~1", first[:9], "HEAD")] == [first, first, first, second]
    assert found.text(first, "a.txt") == "one" and found.text(second, "b.txt") is None
    assert found.has(first, "a.txt") and not found.has(first, "b.txt")
    assert found.changed_files() == 0
    (repo / "a.txt").write_text("three")
    (repo / "untracked").write_text("")
    assert found.changed_files() == 1


@pytest.mark.parametrize(
    "ref, said",
    [
        ("mian", "git knows no commit 'mian' here. Did you mean 'main'?"),
        ("nothing-like-it", "git knows no commit 'nothing-like-it' here. Known: main, v1."),
        ("", "git knows no commit '' here. Known: main, v1."),
        ("--help", "git knows no commit '--help' here. Known: main, v1."),
        ("main:a.txt", "git knows no commit 'main:a.txt' here."),
        ("main~7", "git knows no commit 'main~7' here."),
        ("a\nb", r"git knows no commit 'a\nb' here. Known: main, v1."),
        ("x" * 5000, "git knows no commit 'xxx"),
    ],
)
def test_a_commit_that_is_not_there(repo: Path, ref: str, said: str) -> None:
    with pytest.raises(BadOption) as told:
        asked.containing(repo).commit(ref)
    assert str(told.value).startswith(said) and len(str(told.value)) < 300


def test_no_repository_no_commit_and_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadOption, match="is not in a git repository; --base and --record need one"):
        asked.containing(tmp_path)
    empty = repository(tmp_path / "empty")
    with pytest.raises(BadOption, match=r"'HEAD' here. The repository has no branch with a commit"):
        asked.containing(empty).commit("HEAD")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPackage, match="there is no git"):
        asked.containing(tmp_path)


@pytest.mark.parametrize("ref", ["{sha}", "origin/other", "other", "HEAD~1"])
def test_a_shallow_clone_is_told_the_command_that_helps(repo: Path, tmp_path: Path, ref: str) -> None:
    git(repo, "branch", "other", "v1")
    ref = ref.format(sha=git(repo, "rev-parse", "v1"))
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=1", "--no-tags", f"file://{repo}", str(clone))
    found = asked.containing(clone)
    with pytest.raises(BadOption, match=r"this clone is shallow, and .* is not in it") as told:
        found.commit(ref)
    command = told.value.remedy.removeprefix("To get it: ")
    subprocess.run(shlex.split(command), cwd=clone, check=True, capture_output=True)
    assert found.commit(ref) == git(repo, "rev-parse", "v1")


def test_a_work_tree_is_gone_afterwards_and_touches_nothing(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = repo / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    (repo / "b.txt").write_text("")
    git(repo, "add", "b.txt")
    # as a hook of git's is called: a work tree made under this would write the index of the commit that is being made
    monkeypatch.setenv("GIT_INDEX_FILE", str(repo / ".git" / "index"))
    monkeypatch.setenv("GIT_DIR", str(repo / ".git"))
    found, before = asked.containing(repo), (repo / ".git" / "index").read_bytes()
    with found.checked_out(found.commit("v1")) as tree:
        assert (tree / "a.txt").read_text() == "one" and not (tree / "b.txt").exists()
        (tree / "new").write_text("")
        (tree / "a.txt").write_text("changed")
    assert not tree.parent.exists() and left_behind(repo) == []
    with pytest.raises(KeyboardInterrupt), found.checked_out("v1") as tree:
        raise KeyboardInterrupt
    assert not tree.parent.exists() and left_behind(repo) == []
    assert (repo / ".git" / "index").read_bytes() == before and not (tmp_path / "hooked").exists()


def test_a_work_tree_that_cannot_be_made_is_one_line(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked.containing(repo)
    with (
        pytest.raises(asked.GitFailed, match=r"git says: .*no-such-commit") as told,
        found.checked_out("no-such-commit"),
    ):
        pass
    assert "\n" not in str(told.value) and left_behind(repo) == []
