"""`archprof env`: the page that people read, the JSON that machines read, the disturbance that both name."""

from __future__ import annotations

import json

import pytest

from archprof.cli import env, main
from archprof.measure import disturbance

FACTS = {
    "torch": "2.6.0",
    "device": "cpu",
    "cpus": 2,
    "channels_last": False,
    "compile": None,
    "variables": {"OMP_NUM_THREADS": "2"},
    "fingerprint": "abc",
}

UNDISTURBED = """\
disturbance: none is seen now
seen: others 1.0 %, steal 0.0 %, pressure 0.5 %"""


def test_the_facts_are_a_table():
    table = env.table(FACTS | {"no_energy_meter": "no RAPL"}, 2 * 2**30)
    assert [[table.text(row, place) for place in range(2)] for row in table.rows] == [
        ["torch", "2.6.0"],
        ["device", "cpu"],
        ["cpus", "2"],
        ["channels last", "no"],
        ["compile", "—"],
        ["variables", "OMP_NUM_THREADS=2"],
        ["fingerprint", "abc"],
        ["free memory", "2.00 GiB"],
        ["energy meter", "none: no RAPL"],
    ]


def test_an_undisturbed_machine():
    evidence = {"waiting": 0.0, "others": 0.01, "steal": 0.0, "pressure": 0.005}
    assert env.observed(None, evidence) == UNDISTURBED


def test_the_times_of_the_reference_work_are_told():
    evidence = {
        "waiting": 0.0,
        "others": 0.01,
        "steal": 0.0,
        "pressure": 0.005,
        "product_us": 187.4,
        "sum_us": 4.86,
        "copy_ms": 1.72,
    }
    assert env.observed(None, evidence) == UNDISTURBED + (
        "\nreference work: a product of two 256x256 matrices takes 187 us, a sum that two threads share 4.9 us, "
        "copying 32 MiB 1.7 ms"
    )


def test_a_busy_machine_says_what_to_expect():
    said = env.observed("other work (59 % of the CPUs)", {"others": 0.59, "waiting": 0.0})
    assert "disturbance: other work (59 % of the CPUs); a measurement now leaves out" in said
    assert said.endswith("seen: others 59.0 %\nunknown on this system: pressure")


def test_the_command_watches_and_reports(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(
        disturbance,
        "watch",
        lambda witness, seconds: (
            "steal by the hypervisor (9 % of the CPUs)",
            {"steal": 0.09, "seconds": seconds},
        ),
    )
    file = tmp_path / "env.json"
    assert main(["env", "--json", str(file), "--seconds", "0.5", "--threads", "1"]) == 0
    assert "disturbance: steal by the hypervisor" in capsys.readouterr().out
    assert main(["env", "--json", "--seconds", "0.5", "--threads", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert json.loads(file.read_text())["fingerprint"] == found["fingerprint"]
    assert found["threads"] == 1 and found["fingerprint"] and found["free_memory_bytes"] > 0
    assert found["watched"] == {
        "quiet": False,
        "cause": "steal by the hypervisor (9 % of the CPUs)",
        "evidence": {"steal": 0.09, "seconds": 0.5},
    }


@pytest.mark.parametrize(
    ("flag", "said"), [("--device=gpu", "unknown device 'gpu'"), ("--dtype=float8", "unknown dtype 'float8'")]
)
def test_conditions_that_do_not_exist_are_one_line(flag, said, capsys):
    assert main(["env", flag]) == 2
    assert said in capsys.readouterr().err
