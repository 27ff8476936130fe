"""Tab: what real shells offer with the lines that `archprof completion` prints."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from archprof.base import cache
from archprof.cli import main
from archprof.models import zoo
from archprof.runs import names

#: What a shell does when Tab is pressed behind $1: it fills COMP_*, calls the function, and reads COMPREPLY.
BASH = """
eval "$(archprof completion bash)"
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMP_KEY=9
read -ra COMP_WORDS <<< "$1"
if [[ $1 == *" " ]]; then COMP_WORDS+=(""); fi
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
function=$(complete -p archprof | sed 's/.*-F \\([^ ]*\\).*/\\1/')
"$function" archprof "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""

#: zsh hands its candidates to _describe, which only an interactive shell has.
ZSH = """
compdef() { :; }
_describe() { printf '%s\\n' "${(@P)2}"; }
words=(${=1}) CURRENT=${#words} BUFFER=$1 CURSOR=${#1}
if [[ $1 == *" " ]]; then words+=(""); CURRENT=$((CURRENT + 1)); fi
eval "$(archprof completion zsh)"
_python_argcomplete archprof
"""

FISH = 'archprof completion fish | source; complete -C "$argv[1]"'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the command, a cache whose index knows two networks of timm, and a torch that nobody may import."""
    folder = tmp_path_factory.mktemp("typing")
    start = f"import sys; sys.argv[0] = 'archprof'; sys.path.insert(0, {str(folder / 'poisoned')!r}); "
    start += "from archprof.cli import main; sys.exit(main())"
    command = folder / "bin" / "archprof"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(start)} "$@"\n')
    command.chmod(0o755)
    (folder / "poisoned").mkdir()
    (folder / "poisoned" / "torch.py").write_text("raise SystemExit('torch was imported')")
    for name in ("net.py", "net.pt2", "notes.txt"):
        (folder / name).touch()
    (folder / "archprof").mkdir()
    with sqlite3.connect(folder / "archprof" / cache.INDEX) as file:
        file.execute("create table network (source text, base text, place integer)")
        rows = [("timm", "resnet18", 0), ("timm", "resnet18", 1), ("timm", "resnet101", 2), ("zoo", "resnet18", 0)]
        file.executemany("insert into network values (?, ?, ?)", rows)
    return folder


def offered(place: Path, shell: str, line: str) -> list[str]:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    command = {"bash": ["-c", BASH, shell], "zsh": ["-f", "-c", ZSH, shell], "fish": ["-N", "-c", FISH]}[shell]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PATH": f"{place / 'bin'}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(place)}
    environment |= {"PYTHONPATH": root, "HOME": str(place)}
    environment.pop("COLUMNS", None)
    done = subprocess.run(
        [path, *command, line], cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stderr == ""
    # behind it the help: after a tab in fish, after a colon in zsh, where the name's own colons are escaped
    words = [re.split(r"\t|(?<!\\):" if shell == "zsh" else r"\t", word)[0] for word in done.stdout.splitlines()]
    return [word.strip().replace("\\", "") for word in words if word.strip()]


ASKED = [
    ("archprof comp", {"compare", "completion"}),
    ("archprof compare resnet10", {"resnet101", "resnet101_v1", "resnet10_cifar"}),
    ("archprof compare resnet18 mobilenetv1_05", {"mobilenetv1_050"}),
    ("archprof compare nonsense", set()),
    ("archprof show resnet18 --by ", {"layer", "type", "op", "module"}),
    ("archprof compare --dty", {"--dtype"}),
    ("archprof compare --dtype ", {"float32", "bfloat16", "float16"}),
    ("archprof choose --sort to", {"top1", "top5"}),
    ("archprof schema l", {"list", "lock"}),
    ("archprof plot his", {"history"}),
    ("archprof check --badge no", {"notes.txt"}),
    ("archprof plot mem", {"memory", "memory-params"}),
    ("archprof compare resnet18 --json no", {"notes.txt"}),
    ("archprof compare ne", {"net.py", "net.pt2"}),
    ("archprof compare ti", {"timm:"}),
    ("archprof compare --batch-sizes ", set()),
    ("archprof compare --input-shape 3,64,64 resnet_t", {"resnet_tiny"}),
]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(("line", "expected"), ASKED, ids=[line for line, _ in ASKED])
def test_tab_offers(place, shell, line, expected):
    assert set(offered(place, shell, line)) == expected


def test_bash_breaks_words_at_colons_and_is_given_what_follows(place):
    assert offered(place, "bash", "archprof compare timm:resnet1") == ["resnet18", "resnet101"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_given_the_whole_name(place, shell):
    assert set(offered(place, shell, "archprof compare timm:resnet1")) == {"timm:resnet18", "timm:resnet101"}


def test_the_zoo_is_read_as_text_and_is_the_zoo():
    assert names.zoo() == sorted(zoo.architectures())


def test_without_an_index_a_library_offers_nothing_and_none_is_made(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert names.beginning("timm:") == [] and list(tmp_path.iterdir()) == []
    (tmp_path / "archprof").mkdir()
    (tmp_path / "archprof" / cache.INDEX).write_text("damaged, and long enough to be looked at as a database, " * 9)
    assert names.beginning("timm:") == []


@pytest.mark.parametrize(
    "line",
    [
        "archprof compare 'unclosed",
        'archprof compare "a b" $(touch made)`touch made`;',
        "archprof compare \x1b[2J\u202e",
        "VARIABLE=1 archprof show \\",
        "archprof " + "x" * 10_000,
        "archprof",
    ],
)
def test_odd_lines_are_answered_without_a_word_on_stderr(place, line):
    offered(place, "bash", line)
    assert not (place / "made").exists()


def test_a_variable_that_a_shell_left_behind_changes_nothing(monkeypatch, capsys):
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    assert main(["schema", "env"]) == 0
    assert "schema" in capsys.readouterr().out


def test_another_shell_is_refused(capsys):
    assert main(["completion", "bsh"]) == 2
    said = capsys.readouterr().err
    assert "'bsh'" in said and "Did you mean 'bash' or 'zsh'?" in said and "bash, zsh, fish" in said


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_is_printed_is_for_this_command(capsys, shell):
    assert main(["completion", shell]) == 0
    assert "archprof" in capsys.readouterr().out
