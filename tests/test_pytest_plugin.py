"""The pytest plugin, run inside pytest."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch  # noqa: F401  # before pytester, which forgets what a run inside of it imported: torch cannot be imported twice
from helpers.budget_records import network, profiler, written

from archprof import pytest_plugin
from archprof.budgets import judging as budgets

pytest_plugins = ["pytester"]

TOML = """\
[[budget]]
name = "small"
model = "net"
parameters = "618"

[[budget]]
model = "wider"
parameters = "1 k"
"""


@pytest.fixture
def inside(pytester, monkeypatch):
    """Run pytest in a scratch folder with networks made by hand and this plugin loaded once."""
    monkeypatch.setattr(budgets, "count_model", profiler(net=network(16), wider=network(32)))

    # only the plugin under test, however many this environment has and whether or not it is installed here
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return lambda *options: pytester.runpytest_inprocess(*options, plugins=[pytest_plugin])


def test_the_fixture_passes_and_fails_with_a_sentence(pytester, inside):
    pytester.makepyfile("""
        def test_fits(archprof_budget):
            archprof_budget("net", parameters="618", macs="< 600 M")

        def test_too_large(archprof_budget):
            archprof_budget("net", parameters="< 600", macs="1 k")

        def test_misspelled(archprof_budget):
            archprof_budget("net", parameter="5 M")

        def test_growth(archprof_budget):
            archprof_budget("net", growth="2 %")
    """)
    result = inside()
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(
        [
            "net has 618 parameters, 18 more than the 600 allowed. conv (conv 3x3) weighs most: *",
            "net has 27,808 mult-adds, 26,808 more than the 1 k allowed. conv (conv 3x3) weighs most: *",
            "*unknown key 'parameter'. Did you mean 'parameters'*",
            "*growth needs a baseline*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_the_file_runs_only_when_asked_for(pytester, inside):
    written(pytester.path, TOML)
    pytester.makepyfile("def test_other(): pass")
    inside().assert_outcomes(passed=1)
    result = inside("--archprof", "-v")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "archprof.toml::small PASSED*",
            "archprof.toml::wider FAILED*",
            "wider has 1,226 parameters, 226 more than the 1 k allowed. *",
        ]
    )


def test_the_file_runs_beside_chosen_paths_and_from_another_name(pytester, inside):
    (pytester.path / "tests").mkdir()
    (pytester.path / "tests" / "test_a.py").write_text("def test_a(): pass\n")
    written(pytester.path, TOML.split("\n\n")[0] + "\n", "strict.toml")
    inside("--archprof-config", "strict.toml", "tests").assert_outcomes(passed=2)


@pytest.mark.parametrize("chosen", ["archprof.toml::small", "./archprof.toml::small", "{folder}/archprof.toml::small"])
def test_a_named_budget_runs_alone(pytester, inside, chosen):
    written(pytester.path, TOML)
    pytester.makepyfile("def test_other(): pass")
    result = inside("--archprof", "-v", chosen.format(folder=pytester.path))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["archprof.toml::small PASSED*"])


def test_a_named_budget_runs_beside_chosen_tests(pytester, inside):
    written(pytester.path, TOML)
    pytester.makepyfile(test_a="def test_one(): pass\ndef test_two(): pass")
    inside("--archprof", "test_a.py::test_one", "archprof.toml::small").assert_outcomes(passed=2)
    inside("--archprof", "test_a.py::test_one").assert_outcomes(passed=2, failed=1)


def test_the_whole_file_named_by_hand_runs_once(pytester, inside):
    written(pytester.path, TOML)
    inside("--archprof", "archprof.toml").assert_outcomes(passed=1, failed=1)


def test_an_unknown_budget_is_not_passed_over(pytester, inside):
    written(pytester.path, TOML)
    result = inside("--archprof", "archprof.toml::smal")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: not found: *archprof.toml::smal*"])


def test_every_config_counts(pytester, inside):
    for name in ("a", "b"):
        (pytester.path / name).mkdir()
        written(pytester.path / name, TOML.split("\n\n")[int(name == "b")] + "\n")
    both = "--archprof-config", "a/archprof.toml", "--archprof-config", "b/archprof.toml"
    inside(*both).assert_outcomes(passed=1, failed=1)
    inside(*both, "a/archprof.toml::small").assert_outcomes(passed=1, failed=1)
    inside(*both, "a/archprof.toml::small", "b/archprof.toml::wider").assert_outcomes(passed=1, failed=1)


def test_a_pattern_is_a_test_for_each_network(pytester, inside):
    written(pytester.path, "[[budget]]\nname = 'small'\nmodel = 'alexnet*'\nparameters = 1\n")
    pytester.makepyfile("def test_both(archprof_budget): archprof_budget('alexnet*', parameters=1)")
    result = inside("--archprof", "-v", "archprof.toml::small")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["archprof.toml::small?alexnet? FAILED*"])
    inside("-k", "test_both").stdout.fnmatch_lines(["alexnet: unknown model*"])


def test_a_missing_file_is_a_usage_error(pytester, inside):
    result = inside("--archprof")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no archprof.toml here*"])


def test_a_bad_file_is_an_error_with_its_line(pytester, inside):
    written(pytester.path, "[[budget]]\nmodel = 'net'\nparams = 3\n")
    result = inside("--archprof")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*archprof.toml: budget 'net': unknown key 'params'*"])


def test_a_module_is_counted_for_real(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("""
        from torch import nn

        class Net(nn.Sequential):
            def __init__(self):
                super().__init__(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 26 * 26, 10))

        def test_fits(archprof_budget):
            archprof_budget(Net(), parameters="27,090", macs="51,376", input_shape=(1, 28, 28))

        def test_too_large(archprof_budget):
            archprof_budget(Net(), parameters="< 20 k", input_shape=(1, 28, 28))

        def test_no_shape(archprof_budget):
            archprof_budget(Net(), parameters="< 20 k")
    """)
    result = pytester.runpytest_inprocess(plugins=[pytest_plugin])
    result.assert_outcomes(passed=1, failed=2)
    # conv 4*9 + 4, fc 2704*10 + 10
    result.stdout.fnmatch_lines(
        [
            "Net has 27,090 parameters, 7,090 more than the 20 k allowed. 3 (fully connected) weighs most: "
            "27,050 parameters, 99.9 % of them.",
            "Net: *1x3x224x224*Its budget states no input_shape.",
        ]
    )


def test_importing_the_plugin_imports_nothing_heavy():
    code = (
        "import sys, archprof.pytest_plugin; "
        "print([name for name in ('torch', 'numpy', 'rich', 'archprof.budgets.judging') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
