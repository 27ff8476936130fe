"""What somebody types who has not read the manual, and what helps them on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from archprof.cli import main, options
from archprof.cli.commands import COMMANDS


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command in an empty folder; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        try:
            code = main(argv)
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("typed", "meant"), [("comapre", "compare"), ("Compare", "compare"), ("lst", "list"), ("seperable", "separable")]
)
def test_a_mistyped_command_gets_the_nearest_one(typed, meant, run):
    code, out, err = run(typed, "resnet_tiny")
    assert (code, out) == (2, "") and err.startswith(f"archprof: unknown command '{typed}'. Did you mean '{meant}'")
    assert err.count("\n") == 1


@pytest.mark.parametrize("typed", ["resnet50", "o'clock", 'a"b', "\x1b[2J", "x" * 5000, "", "-"])
def test_a_word_that_is_near_no_command_gets_the_list_of_them(typed, run):
    code, out, err = run(typed)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"Commands: {', '.join(COMMANDS)}." in err and err.rstrip("\n").isprintable() and len(err) < 1000


def test_a_bare_command_prints_help_without_torch():
    script = "import sys; from archprof.cli import main; code = main([]); print('torch' in sys.modules, code)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    *shown, last = done.stdout.splitlines()
    assert (last, done.stderr) == ("False 0", "")
    assert shown[0].startswith("usage: archprof") and any("compare" in line for line in shown)


def test_an_unknown_option_without_a_command_is_still_one(run):
    code, out, err = run("--versoin")
    assert (code, out) == (2, "") and "unknown option '--versoin'. Did you mean '--version'?" in err


@pytest.mark.parametrize("command", ["show", "audit", "separable"])
def test_a_second_network_gets_a_sentence(command, run):
    code, out, err = run(command, "resnet_tiny", "resnet18")
    assert (code, out) == (2, "")
    assert err == (
        f"archprof: '{command}' looks at one network, and 'resnet18' is given beside 'resnet_tiny'. "
        "Several side by side: archprof compare resnet_tiny resnet18\n"
    )


def test_fit_begins_with_one_network(run):
    code, _, err = run("fit", "resnet18", "resnet34", "--parameters", "5 M")
    assert code == 2 and "'fit' looks at one network, and 'resnet34' is given beside 'resnet18'." in err


def test_many_networks_need_yes_where_nobody_can_be_asked(monkeypatch, run):
    monkeypatch.setattr(options, "MANY", 2)
    for models in (["resnet??"], ["resnet18", "resnet34", "resnet50"]):
        code, out, err = run("compare", *models, "--no-latency", "--csv", "x.csv")
        assert (code, out) == (2, "")
        assert err == (
            "archprof: 3 networks are meant, more than 2, and nobody can be asked whether that is so. "
            "Add --yes, or use 'archprof sweep PATTERN -o FILE.jsonl', which can be stopped and resumed.\n"
        )


def test_many_networks_with_yes(monkeypatch, run):
    monkeypatch.setattr(options, "MANY", 1)
    assert run("compare", "resnet_tiny", "resnet20_cifar", "--no-latency", "--yes")[0] == 0
