"""`archprof list`: which networks, their counts kept between runs and never stale, the table and the JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import archprof
from archprof import cli
from archprof.base.errors import ForwardFailed, UnknownModel
from archprof.models import zoo
from archprof.models.zoo import Architecture
from archprof.runs import catalogue
from archprof.runs.catalogue import entries

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
Command = Callable[..., int]


def network(name: str, family: str, year: int, size: int = 224, *aliases: str) -> Architecture:
    def build(**_: Any) -> Any:
        raise AssertionError("listing never builds a network itself")

    return Architecture(name, build, family, year, "https://a.example", (3, size, size), aliases)


ZOO = {
    a.name: a
    for a in (
        network("alexnet", "alexnet", 2014),
        network("mobilenetv1", "mobilenetv1", 2017, 224, "mobilenet"),
        network("resnet18", "resnet", 2015),
        network("resnet50", "resnet", 2015),
        network("resnet110_cifar", "resnet_cifar", 2015, 32),
        network("secret", "secret", 2026),
    )
}
COUNTS = {
    "alexnet": (61_100_840, 714_188_480),
    "mobilenetv1": (4_231_976, 568_740_352),
    "resnet18": (11_689_512, 1_814_073_344),
    "resnet50": (25_557_032, 4_089_184_256),
    "resnet110_cifar": (1_730_714, 253_000_000),
    "secret": (950, 1_000),
}


class Counter:
    """Stands for archprof.profile; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, name: str) -> Any:
        self.asked.append(name)
        return SimpleNamespace(parameters=COUNTS[name][0], macs=COUNTS[name][1])


@pytest.fixture
def profile(monkeypatch: Patch, tmp_path: Path) -> Counter:
    """A zoo of six, its counter, and a cache of its own."""
    counter = Counter()
    monkeypatch.setattr(zoo, "architectures", lambda: ZOO)
    monkeypatch.setattr("archprof.counting.counts.profile", counter)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return counter


def names(rows: list[catalogue.Entry]) -> list[str]:
    return [row.name for row in rows]


# Choosing


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        ([], list(ZOO)),
        (["*"], list(ZOO)),
        (["resnet*"], ["resnet18", "resnet50", "resnet110_cifar"]),
        (["RESNET??"], ["resnet18", "resnet50"]),
        (["resnet-110*"], ["resnet110_cifar"]),
        (["resnet"], ["resnet18", "resnet50"]),  # the family
        (["MobileNet"], ["mobilenetv1"]),  # an alias
        (["secret", "alexnet", "alex*"], ["alexnet", "secret"]),  # the zoo's order, each once
    ],
)
def test_patterns(profile: Counter, patterns: list[str], chosen: list[str]) -> None:
    assert names(entries(patterns, profile, None)) == chosen
    assert profile.asked == chosen


def test_a_pattern_that_names_nothing(profile: Counter) -> None:
    with pytest.raises(UnknownModel, match=r"the zoo matches 'resnet5o'. Did you mean 'resnet50'"):
        entries(["alexnet", "resnet5o"], profile, None)
    assert profile.asked == []


# Keeping counts


def test_counts_are_made_once_and_only_where_asked(profile: Counter, tmp_path: Path) -> None:
    cache = tmp_path / "deep" / "zoo.json"
    first = entries(["resnet*"], profile, cache)
    assert entries(["resnet*"], profile, cache) == first
    assert profile.asked == ["resnet18", "resnet50", "resnet110_cifar"]
    whole = entries([], profile, cache)
    assert profile.asked[3:] == ["alexnet", "mobilenetv1", "secret"]
    assert entries([], profile, None) == whole  # saved or fresh, the same rows
    assert os.listdir(cache.parent) == ["zoo.json"]


def test_known_counts_do_not_load_the_zoo(profile: Counter, tmp_path: Path, monkeypatch: Patch) -> None:
    rows = entries([], profile, tmp_path / "zoo.json")

    def refuse() -> dict[str, Architecture]:
        raise AssertionError("the zoo was loaded")

    monkeypatch.setattr(zoo, "architectures", refuse)
    assert entries([], profile, tmp_path / "zoo.json") == rows


def test_another_key_drops_every_saved_count(profile: Counter, tmp_path: Path, monkeypatch: Patch) -> None:
    cache = tmp_path / "zoo.json"
    entries(["alexnet"], profile, cache)
    monkeypatch.setattr(catalogue, "_torch_version", lambda: "0.0.1")
    monkeypatch.setitem(COUNTS, "alexnet", (1, 2))
    assert entries(["alexnet"], profile, cache)[0].parameters == 1
    assert profile.asked == ["alexnet", "alexnet"]


def test_the_key_follows_every_source_file(tmp_path: Path) -> None:
    (tmp_path / "zoo").mkdir()
    source = tmp_path / "zoo" / "resnet.py"
    source.write_text("a")
    keys = [catalogue.cache_key(tmp_path)]
    source.write_text("b")
    keys.append(catalogue.cache_key(tmp_path))
    source.rename(tmp_path / "zoo" / "vgg.py")
    keys.append(catalogue.cache_key(tmp_path))
    (tmp_path / "costs.py").write_text("")
    keys.append(catalogue.cache_key(tmp_path))
    assert len(set(keys)) == 4 and catalogue.cache_key(tmp_path) == keys[-1]
    assert keys[0].startswith(f"{archprof.__version__} ")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"key": "K"}',
        b'{"key": "K", "networks": 5}',
        b'{"key": "K", "networks": [{"name": 1}]}',
    ],
)
def test_a_broken_cache_is_passed_over_and_replaced(
    profile: Counter, tmp_path: Path, monkeypatch: Patch, content: bytes
) -> None:
    monkeypatch.setattr(catalogue, "cache_key", lambda: "K")
    cache = tmp_path / "zoo.json"
    cache.write_bytes(content)
    assert entries(["alexnet"], profile, cache)[0].parameters == 61_100_840
    assert json.loads(cache.read_text())["key"] == "K"


def test_a_cache_that_cannot_be_written_is_done_without(profile: Counter, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert names(entries(["alexnet"], profile, tmp_path / "file" / "zoo.json")) == ["alexnet"]
    (tmp_path / "zoo.json").mkdir()  # the target itself is a folder: the rename fails
    assert names(entries(["alexnet"], profile, tmp_path / "zoo.json")) == ["alexnet"]
    assert sorted(os.listdir(tmp_path)) == ["file", "zoo.json"]  # no half-written file stays


def test_a_network_that_fails_keeps_its_place_and_is_tried_again(profile: Counter, tmp_path: Path) -> None:
    def fails(name: str) -> Any:
        raise ForwardFailed("its forward raised", "see above")

    cache = tmp_path / "zoo.json"
    assert [row.error for row in entries(["secret"], fails, cache)] == ["its forward raised"]
    assert [(row.error, row.parameters) for row in entries(["secret"], profile, cache)] == [(None, 950)]


def test_where_the_cache_lies(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert catalogue.cache_file() == tmp_path / "archprof" / "zoo.json"
    monkeypatch.setenv("HOME", "/home/somebody")
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert catalogue.cache_file() == Path("/home/somebody/.cache/archprof/zoo.json")


# The command


@pytest.fixture
def archprof_list(profile: Counter) -> Command:
    return lambda *words: cli.main(["list", *map(str, words)])


def test_the_table(archprof_list: Command, capsys: Capture) -> None:
    assert archprof_list() == 0
    assert (
        "".join(f"{line.rstrip()}\n" for line in capsys.readouterr().out.splitlines()) == """\
The zoo, each network at its default input

 Name              Family         Year   Params   Mult-Adds       Input       Top-1
 ──────────────────────────────────────────────────────────────────────────────────
 alexnet           alexnet        2014   61.1 M       714 M   3x224x224   56.52 [1]
 mobilenetv1       mobilenetv1    2017   4.23 M       569 M   3x224x224   70.60 [2]
 resnet18          resnet         2015   11.7 M      1.81 G   3x224x224   69.76 [1]
 resnet50          resnet         2015   25.6 M      4.09 G   3x224x224   76.13 [1]
 resnet110_cifar   resnet_cifar   2015   1.73 M       253 M     3x32x32   93.57 [3]
 secret            secret         2026      950      1.00 k   3x224x224           —

[1] torchvision, IMAGENET1K_V1; imagenet-1k, 224 x 224, single crop, short side 256: """
        """\
https://docs.pytorch.org/vision/stable/models.html
[2] Howard et al. 2017, MobileNets, tables 4, 6, 7 and 8; imagenet-1k, 224 x 224, crop not stated: """
        """\
https://arxiv.org/abs/1704.04861
[3] He et al. 2015, Deep Residual Learning, table 6 (as error); cifar10, 32 x 32, test set, best of 5 """
        """\
runs: https://arxiv.org/abs/1512.03385
"""
    )


def test_a_dataset_and_ones_own_figures(archprof_list: Command, capsys: Capture, tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("architecture,dataset,metric,percent,source\nSecret,imagenet-1k,top1,50.5,our lab\n")
    assert archprof_list("resnet110_cifar", "secret", "--dataset", "imagenet-1k", "--accuracy", mine) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[4].endswith("  —") and lines[5].endswith("  50.50 [1]")
    assert lines[6:] == ["", "[1] our lab; imagenet-1k"]


def test_json(archprof_list: Command, capsys: Capture) -> None:
    assert archprof_list("resnet50", "secret", "--json") == 0
    saved = json.loads(capsys.readouterr().out)
    assert (saved["schema_version"], saved["archprof"]) == (1, archprof.__version__)
    resnet50, secret = saved["architectures"]
    claim = resnet50.pop("accuracy")[0]
    assert resnet50 == {
        "name": "resnet50",
        "source": "zoo",
        "family": "resnet",
        "year": 2015,
        "error": None,
        "paper": "https://a.example",
        "input_shape": [3, 224, 224],
        "aliases": [],
        "parameters": 25_557_032,
        "macs": 4_089_184_256,
    }
    assert (claim["percent"], claim["weights"], claim["resolution"]) == (76.13, "IMAGENET1K_V1", 224)
    assert secret["accuracy"] == []


def test_misuse_is_one_line(archprof_list: Command, capsys: Capture, tmp_path: Path) -> None:
    for words, complaint in [
        (["nosuch"], "no network of the zoo matches 'nosuch'"),
        (["--dataset", "imagnet-1k"], "Did you mean 'imagenet-1k'"),
        (["--accuracy", tmp_path / "absent.csv"], "cannot read"),
    ]:
        assert archprof_list(*words) == 2
        out, err = capsys.readouterr()
        assert out == "" and complaint in err and err.count("\n") == 1


def test_a_narrow_terminal_leaves_out_what_json_has(
    archprof_list: Command, capsys: Capture, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "70")
    assert archprof_list("resnet*") == 0
    shown = capsys.readouterr().out
    assert "93.57 [2]" in shown and "resnet_cifar" not in shown
    assert "No room here for Family, Year: a wider terminal or --json shows more." in shown


def test_listing_known_counts_imports_no_torch(profile: Counter, tmp_path: Path) -> None:
    entries([], profile, catalogue.cache_file())
    code = (
        "import argparse, sys; from archprof.cli import list as command;"
        "args = argparse.Namespace(patterns=['resnet*'], dataset=None, accuracy=None, json=True, where=[], sort=None);"
        "command.run(args); sys.exit(bool({'torch', 'pandas', 'numpy', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["architectures"]) == 3


def test_help_names_a_real_invocation(archprof_list: Command, capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        archprof_list("--help")
    assert "example: archprof list 'resnet*' vgg --json" in capsys.readouterr().out
