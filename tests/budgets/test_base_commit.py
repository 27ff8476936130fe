"""Budgets beside another commit: what is counted from its code, what its lock says, what files state otherwise."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.repositories import committed, git, left_behind, repository

from archprof.budgets import base_commit, base_process, config, judging, lock
from archprof.budgets.base_commit import BaseCommit
from archprof.budgets.networks import OWN_INPUT
from archprof.cli import main

#: A linear network of 4 x WIDTH + WIDTH parameters, in a file that takes its width from another one.
NET = """\
from torch import nn

from width import WIDTH


def net():
    return nn.Sequential(nn.Linear(4, WIDTH), nn.Identity())
"""
SHAPED = "input_shape = [4]\n"


def stated(name: str, model: str, more: str = 'growth = "2 %"') -> str:
    return f'[[budget]]\nname = "{name}"\nmodel = "{model}"\n{SHAPED}{more}\n'


def compared(ref: str, *files: str) -> BaseCommit:
    """As the command asks for it."""
    read = config.read_all([Path(file) for file in files or ("archprof.toml",)])
    return base_commit.at(ref, read, read, judging.counting())


def parameters(found: BaseCommit) -> list[int | None]:
    """Of each budget's model at the base commit."""
    return [before.baseline.counts.get("parameters") if before.baseline else None for before in found.befores]


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one, and the working directory."""
    made = repository(tmp_path / "repo")
    monkeypatch.chdir(made)
    return made


def test_every_model_is_counted_from_the_code_of_its_commit(repo: Path, tmp_path: Path) -> None:
    """One child process: what it takes from where, and what each failure says."""
    broken = {
        "syntax__py": "def net(:\n",
        "gone__py": "import nothing_like_it\n",
        "exits__py": "import os\n\n\ndef net():\n    print('going', flush=True)\n    os._exit(3)\n",
    }
    names = ("syntax.py:net", "gone.py:net", "exits.py:net", "linked.py:net")
    (repo / "linked.py").symlink_to(repo / "plain.py")
    text = stated("file", "net.py:net") + stated("module", "pkg.deep:net") + stated("folder", "sub/deep.py:net")
    text += stated("absolute", f"{repo}/net.py:net") + stated("resized", "fixed.py:net")
    text += "".join(stated(name, name) for name in names)
    deep = NET.replace("from width", "from .width")
    package = {"pkg/__init__.py": "", "pkg/deep.py": deep, "pkg/width.py": "WIDTH = 10\n"}
    (repo / "pkg").mkdir()
    (repo / "sub").mkdir()
    for name, content in package.items():
        (repo / name).write_text(content)
    (repo / "sub" / "deep.py").write_text(NET)
    (repo / "sub" / "width.py").write_text("WIDTH = 20\n")
    fixed = "from torch import nn\n\n\ndef net():\n    return nn.Linear(4, 1)\n"
    committed(
        repo, net__py=NET, width__py="WIDTH = 2\n", archprof__toml=text, fixed__py=fixed, plain__py=fixed, **broken
    )
    base = git(repo, "rev-parse", "HEAD")
    (repo / "pkg" / "width.py").write_text("WIDTH = 11\n")
    (repo / "sub" / "width.py").write_text("WIDTH = 21\n")
    resized = 'model = "fixed.py:net"\n'
    text = text.replace(resized + SHAPED, resized + "input_shape = [5]\n")
    more = {"fixed__py": fixed.replace("4", "5"), "archprof__toml": text}
    committed(repo, width__py="WIDTH = 3\n", **dict.fromkeys(broken, fixed), **more)
    (repo / "width.py").write_text("WIDTH = 4\n")

    found = compared(base)
    assert parameters(found) == [10, 50, 100, 10, 5, None, None, None, None]
    assert [before.source for before in found.befores] == ["counted"] * 5 + [""] * 4
    assert found.commit == base and found.changed_files == 1
    assert [(one.budget, one.key) for one in found.restated] == [("resized", "input_shape")]
    assert found.befores[4].why == (
        f"counted at batch 1 of 4 at {base}, and at batch 1 of 5 here: what depends on the input is not compared."
    )
    assert "macs" not in found.befores[4].baseline.counts
    said = [before.why for before in found.befores[5:]]
    alone = "; it is judged alone."
    assert said[0].startswith(f"could not be counted at {base}: syntax.py: SyntaxError: ") and said[0].endswith(alone)
    assert "(syntax.py, line 1)" in said[0]
    assert said[1] == (
        f"could not be counted at {base}: gone.py: ModuleNotFoundError: No module named 'nothing_like_it' "
        f"(gone.py, line 1){alone}"
    )
    assert said[2] == f"could not be counted at {base}: its process ended with exit code 3: going{alone}"
    assert said[3] == f"could not be counted at {base}: it loads plain.py of the working tree{alone}"
    assert left_behind(repo) == [] and str(tmp_path) not in "".join(said)
    assert found.befores[0].baseline.layers["0"].parameters == 10


def test_growth_is_judged_against_the_base_whatever_the_lock_says(repo: Path, capsys) -> None:
    committed(repo, net__py=NET, width__py="WIDTH = 2\n", archprof__toml=stated("net", "net.py:net"))
    (repo / "width.py").write_text("WIDTH = 3\n")
    assert main(["check", "--update"]) == 0
    committed(repo)
    capsys.readouterr()
    assert main(["check", "--base", "main~1"]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "net parameters 15 growth ≤ 2 % -47.06 % +50.00 % OVER" in text
    assert "net parameters 10 15 +5 +50.00 %" in text
    assert "net, parameters: 0 (fully connected) went from 10 to 15 (+50.00 %)." in text
    assert main(["check"]) == 0  # the lock alone sees no growth

    # the lock of a base whose code cannot be counted has to do
    then = judging.counting()("net.py:net", config.read(Path("archprof.toml")).budgets[0].feed, False)
    locked = replace(lock.baseline_of("net.py:net", then), counts={"parameters": 12})
    (repo / lock.FILE_NAME).write_text(lock.to_json({"net": locked}))
    committed(repo, width__py="WIDTH = None\n")
    (repo / "width.py").write_text("WIDTH = 3\n")
    found = compared("main")
    assert parameters(found) == [12] and found.befores[0].source == "lock"
    assert found.befores[0].why.startswith("could not be counted at main: net.py:net: TypeError: ")
    assert found.befores[0].why.endswith("; the lock of main says what there was.")


def test_ctrl_c_leaves_no_work_tree_and_no_process(repo: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    slow = f"import os, pathlib, time\npathlib.Path({str(started)!r}).write_text(str(os.getpid()))\ntime.sleep(60)\n"
    base = committed(repo, net__py=slow, archprof__toml=stated("net", "net.py:net"))
    committed(repo, net__py=NET, width__py="WIDTH = 3\n")
    words = [sys.executable, "-m", "archprof", "check", "--base", base]
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (started.exists() and started.read_text()):
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (130, "archprof: interrupted.\n")
    assert left_behind(repo) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


# --- without a process: models that do not depend on the commit -------------------------------------------------------


@pytest.mark.parametrize("step", ["tempfile.mkdtemp", "subprocess.Popen"])
def test_a_disk_that_is_full_is_a_reason(repo: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    committed(repo, net__py=NET, width__py="WIDTH = 2\n", archprof__toml=stated("net", "net.py:net"))
    (budget,) = config.read(Path("archprof.toml")).budgets
    job = base_process.Job("net.py:net", (budget.feed,), (4,), False)
    found = base_commit.git.containing(repo)

    def full(words, *args, **more):
        if "git" in words[:1]:
            return popen(words, *args, **more)
        raise OSError(28, "No space left on device")

    popen = subprocess.Popen
    monkeypatch.setattr(step, full if step.endswith("Popen") else lambda *_, **__: full(""))
    counted = base_commit._counted_there(found, found.commit("main"), [job])
    assert counted == {job: "[Errno 28] No space left on device"} and left_behind(repo) == []


def test_what_a_file_states_otherwise_is_told(repo: Path) -> None:
    before = (
        '[[budget]]\nname = "a"\nmodel = "resnet_tiny"\nparameters = "1 M"\ngrowth = "2 %"\n\n'
        '[[budget]]\nmodel = "alexnet"\nparameters = "100 M"\n'
    )
    committed(repo, archprof__toml=before)
    after = '[[budget]]\nname = "a"\nmodel = "resnet10_cifar"\nparameters = "9 M"\nallow_uncounted = ["x::y"]\n'
    (repo / "archprof.toml").write_text(after + '\n[[budget]]\nmodel = "lost.module:net"\nparameters = 1\n')
    found = compared("main")
    told = [(one.budget, one.key, one.before, one.after) for one in found.restated]
    assert told == [
        ("alexnet", "", None, None),
        ("a", "model", "resnet_tiny", "resnet10_cifar"),
        ("a", "parameters", "≤ 1 M", "≤ 9 M"),
        ("a", "growth", "2 %", None),
        ("a", "allow_uncounted", None, "x::y"),
    ]
    # another model under the same name is a change of that budget
    tiny = judging.counting()("resnet_tiny", OWN_INPUT, False)
    assert parameters(found) == [tiny.parameters, None]
    assert found.befores[1].why == "could not be counted here."


def test_a_budget_that_is_new_and_a_file_that_is_new_or_cannot_be_read(repo: Path) -> None:
    committed(repo, archprof__toml='[[budget]]\nmodel = "resnet_tiny"\nparameters = "1 M"\n')
    committed(repo, archprof__toml="nonsense", width__py="WIDTH = 2\n")
    committed(repo, net__py=NET, archprof__toml=stated("net", "net.py:net"))
    found = compared("main~2")
    assert found.befores[0].new
    assert found.befores[0].why == "a new budget; there is no 'net.py' at main~2; it is judged alone."
    assert [(one.budget, one.key) for one in found.restated] == [("resnet_tiny", "")]
    found = compared("main~1")
    assert not found.befores[0].new and found.befores[0].why.endswith("it is judged alone.")
    assert found.notes[0].startswith("At main~1, archprof.toml is not valid TOML")
    (repo / "other.toml").write_text('[[budget]]\nmodel = "resnet_tiny"\nparameters = "1 M"\n')
    found = compared("main", "other.toml")
    assert found.notes == ("main has no other.toml.",) and found.befores[0].source == "counted"


def test_the_base_is_counted_at_the_size_of_the_head(repo: Path) -> None:
    text = '[[budget]]\nname = "a"\nmodel = "MODEL"\ngrowth = "2 %"\n'
    committed(repo, archprof__toml=text.replace("MODEL", "resnet_tiny"))
    (repo / "archprof.toml").write_text(text.replace("MODEL", "resnet_tiny@64"))
    here, then = judging.counting()("resnet_tiny@64", OWN_INPUT, False), compared("main").befores[0].baseline
    assert then.counts["macs"] == here.macs and then.input_shape == (3, 64, 64)


def test_files_of_two_repositories(repo: Path, tmp_path: Path) -> None:
    text = '[[budget]]\nmodel = "resnet_tiny"\nparameters = "1 M"\n'
    committed(repo, archprof__toml=text)
    other = repository(tmp_path / "other")
    committed(other, archprof__toml=text)
    with pytest.raises(config.BadOption, match=r"archprof.toml lie in different git repositories"):
        compared("main", "archprof.toml", str(other / "archprof.toml"))


# --- where modules come from ------------------------------------------------------------------------------------------


@pytest.fixture
def two_trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two trees of the same modules, which say where they are; the import system as it was, afterwards."""
    for tree in ("head", "base"):
        for name in ("src/twice/__init__.py", "src/twice/part.py", "spaced/inner/leaf.py", "lib/site-packages/held.py"):
            path = tmp_path / tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"PLACE = {tree!r}\n")
    (tmp_path / "head" / "src" / "added.py").write_text("")
    (tmp_path / "base" / "src" / "removed.py").write_text("PLACE = 'base'\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    return tmp_path / "head", tmp_path / "base"


class Editable:
    """What an editable install may put among Python's finders: names, and where they lie."""

    def __init__(self, **places: Path) -> None:
        self.places = places

    def find_spec(self, name, path=None, target=None):
        place = self.places.get(name)
        inside = [str(place.parent)] if place and place.name == "__init__.py" else None
        return place and importlib.util.spec_from_file_location(name, place, submodule_search_locations=inside)


@pytest.mark.parametrize("how", ["path", "finder"])
def test_installed_in_place_modules_come_from_the_other_tree(two_trees, how: str) -> None:
    head, base = two_trees
    src = head / "src"
    if how == "path":
        sys.path[:0] = [str(src), str(head / "spaced"), str(head / "lib" / "site-packages")]
    else:
        sys.path[:0] = [str(head / "spaced"), str(head / "lib" / "site-packages")]
        sys.meta_path.insert(0, Editable(twice=src / "twice" / "__init__.py", added=src / "added.py"))
    base_process.look_there(str(head.resolve()), str(base.resolve()))
    places = [importlib.import_module(name).PLACE for name in ("twice", "twice.part", "inner.leaf", "held")]
    assert places == ["base", "base", "base", "head"]  # what is installed stays
    with pytest.raises(ModuleNotFoundError, match="added"):
        importlib.import_module("added")
    if how == "path":
        assert importlib.import_module("removed").PLACE == "base"
    assert json.__file__ and importlib.import_module("archprof.base.units").__file__.startswith(
        str(Path(__file__).parents[2])
    )


def test_python_itself_is_nobodys_code() -> None:
    assert not base_process.is_code_of("/", json.__file__)
    assert not base_process.is_code_of("/", pytest.__file__)
    assert base_process.is_code_of("/", "/somewhere/net.py")
    assert not base_process.is_code_of("/elsewhere", "/somewhere/net.py")
