"""archprof check for machines: JSON, JUnit XML, GitHub's annotations, the action and the hook."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from helpers.budget_records import TWO, budget, network, profiler, written
from rich.console import Console

from archprof import cli
from archprof.budgets import judging as budgets
from archprof.budgets.budget import Budget
from archprof.render import terminal
from archprof.render.tables.verdicts import table


def test_json_has_exact_numbers(check):
    code, out, _ = check("--json", text=TWO)
    whole = json.loads(out)
    assert (code, whole["exit_code"], whole["schema_version"], whole["config"]) == (1, 1, 1, "archprof.toml")
    over = whole["verdicts"][-1]
    assert (over["budget"], over["measure"], over["status"]) == ("wide", "parameters", "over")
    assert (over["value"], over["bound"], over["reference"]) == (1226, 370.8, "net")
    assert over["headroom"] == pytest.approx((370.8 - 1226) / 370.8)
    assert over["heaviest"][0] == {"layer": "conv", "type": "conv 3x3", "amount": 896, "share": 896 / 1226}


def test_junit_has_a_case_for_each_limit(check, tmp_path):
    code, _, _ = check("--junit", "out.xml", text=TWO + budget(model="lost", macs=1))
    root = ElementTree.parse(tmp_path / "out.xml").getroot()
    suites = {suite.get("name"): suite for suite in root}
    assert code == 2 and list(suites) == ["small", "wide", "lost"]
    assert [case.get("name") for case in suites["small"]] == ["parameters ≤ 618", "macs ≤ 1 M"]
    assert (suites["wide"].get("failures"), suites["lost"].get("errors")) == ("1", "1")
    failure = suites["wide"][1].find("failure")
    assert failure.get("message").startswith("wide has 1,226 parameters, 855 more than the 0.6 x net (371) allowed.")
    assert "conv (conv 3x3): 896 parameters" in failure.text


def test_junit_into_a_folder_that_is_not_there(check):
    code, _, err = check("--junit", "no/out.xml", text=TWO)
    assert code == 2 and "the folder 'no' does not exist" in err


def test_github_gets_annotations_and_a_summary(check, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("# before\n")
    code, out, err = check("--github", "--json", text=TWO)
    assert code == 1 and json.loads(out)["exit_code"] == 1
    assert err.startswith("::error file=archprof.toml,line=7,title=archprof%3A wide::wide has 1,226 ")
    assert "73.1 %25 of them" in err  # a percent sign is escaped
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("# before\n### archprof: budgets\n")
    assert "| wide | parameters | 1.23 k | ≤ 0.6 x net | -230.64 % | — | OVER |" in summary
    assert "- wide has 1,226 parameters" in summary


def test_annotations_name_files_from_the_root_of_the_repository(check, tmp_path, monkeypatch):
    work = tmp_path / "repository" / "packages" / "vision"
    work.mkdir(parents=True)
    written(work, budget(parameters="5"))
    monkeypatch.chdir(work)

    def annotated(*options):
        code, _, err = check("--github", *options)
        assert code == 1
        return err.split("file=")[1].split(",")[0]

    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "repository"))
    assert annotated() == "packages/vision/archprof.toml"
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "elsewhere"))
    (tmp_path / "repository" / ".git").mkdir()
    assert annotated() == "packages/vision/archprof.toml"
    monkeypatch.delenv("GITHUB_WORKSPACE")
    monkeypatch.chdir(tmp_path)
    assert annotated("--config", "repository/packages/vision/archprof.toml") == "packages/vision/archprof.toml"


def test_github_without_actions_says_that_there_is_no_summary(check):
    code, _, err = check("--github", text=budget(parameters="5 M"))
    assert code == 0 and "GITHUB_STEP_SUMMARY is not set" in err


def test_colors_change_no_word():
    found = budgets.check(
        [replace(Budget.of(object(), parameters="600"), name="net", model="net")], profile=profiler(net=network())
    )
    plain, colored = (
        Console(file=io.StringIO(), force_terminal=forced, width=100, highlight=False) for forced in (False, True)
    )
    for console in (plain, colored):
        terminal.show([table(found)], console)
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored.file.getvalue()) == plain.file.getvalue()
    assert "\x1b[1;31m" in colored.file.getvalue()  # over: bold red


def test_the_action_and_the_hook_run_what_the_command_line_takes(capsys):
    root = Path(__file__).parents[2]
    action = (root / "action.yml").read_text(encoding="utf-8")
    pins = re.findall(r"uses: (\S+)@(\S+)", action)
    assert pins and all(re.fullmatch(r"[0-9a-f]{40}", commit) for _, commit in pins)
    with pytest.raises(SystemExit):
        cli.main(["check", "--help"])
    known = capsys.readouterr().out
    options = set(re.findall(r"--[a-z]+", action.split("options=")[1]))
    assert options == {"--why", "--github", "--comment", "--config", "--base", "--strict", "--junit", "--badge"}
    assert all(option in known for option in options)
    assert "entry: archprof check\n" in (root / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")


def test_machines_read_which_file_it_was(check, monorepo, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    _, out, err = check(*monorepo, "--json", "--junit", "out.xml", "--github")
    whole = json.loads(out)
    assert (whole["config"], whole["configs"]) == (None, ["a/archprof.toml", "b/archprof.toml"])
    assert [verdict["file"] for verdict in whole["verdicts"]] == whole["configs"]
    suites = [suite.get("name") for suite in ElementTree.parse(tmp_path / "out.xml").getroot()]
    assert suites == ["a/archprof.toml: net", "b/archprof.toml: net"]
    assert err.startswith("::error file=a/archprof.toml,line=1,")
    summary = (tmp_path / "summary.md").read_text()
    assert "| a/archprof.toml | net | parameters |" in summary
    assert "- a/archprof.toml: net has 618 parameters" in summary
