"""Saved JSON that somebody altered: one line that names the key, or a result; never a traceback, nothing half-written.

HYPOTHESIS_PROFILE and ARCHPROF_FUZZ choose how many alterations are tried.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import archprof
from archprof.base.errors import BadFile
from archprof.budgets import lock
from archprof.cli import main
from archprof.results.comparison import BULKY, Comparison, row_json
from archprof.results.latency import Block, Latency
from archprof.results.memory import LargestBatch

DEEP, MANY_DIGITS = "@deep@", "@digits@"
VALUES = [
    None, True, False, -1, 0, 1, 2**62, 10**400, -0.5, 1e-300, 1.5e308, float("nan"), float("inf"), "", "text", "-1",
    "\x1b[31m\n::error::<script>|`$%\\", "\ud800", "\0", [], [[]], [1], ["x"], {}, {"": None}, {"x": {}}, DEEP,
    MANY_DIGITS,
]  # fmt: skip


@cache
def comparison() -> Comparison:
    """Two small networks, counted for real, with measurements that were made up."""
    counted = archprof.compare(["resnet_tiny", "plain_tiny"], latency=False, memory=2**30)
    evidence = {"product_us": 100.0, "sum_us": 50.0}
    cells = tuple(
        Latency(size, tuple(Block(0.01 * size + n / 1e4, 3, n, n, None, evidence) for n in range(5)), 10**6)
        for size in (1, 8)
    )
    rows = [replace(row, latency=cells, largest_batch=LargestBatch(2**30, "sgd", 9, 3, 5)) for row in
            counted.architectures]  # fmt: skip
    return replace(counted, architectures=tuple(rows))


@cache
def saved() -> dict:
    return json.loads(comparison().to_json())


@cache
def sweep_lines() -> list[dict]:
    header = {"schema_version": 1, "archprof": "1", "sweep": {}, "environment": dict(comparison().environment)}
    return [header, *(row_json(row, BULKY) for row in comparison().architectures)]


@cache
def baseline() -> dict:
    profile = comparison().architectures[0].profile
    return json.loads(lock.to_json({"resnet_tiny": lock.baseline_of("resnet_tiny", profile)}))


def text_of(value: object) -> str:
    return (
        json.dumps(value)
        .replace(f'"{DEEP}"', "[" * 10_000 + "]" * 10_000)
        .replace(f'"{MANY_DIGITS}"', "9" * 5_000)
    )  # fmt: skip


class File(NamedTuple):
    """What a file holds, and in words how it was altered."""

    content: bytes
    how: list

    def __repr__(self) -> str:
        return f"<{self.how}>"


@st.composite
def altered(draw, original, text=lambda value: text_of(value)) -> File:
    """One or two places lost, or holding something else."""
    whole, how = copy.deepcopy(original()), []
    for _ in range(draw(st.integers(1, 2))):
        inside, deeper, path = whole, True, []
        while deeper:
            if not inside:
                break
            keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
            key = draw(st.sampled_from(keys))
            path.append(key)
            deeper = isinstance(inside[key], dict | list) and draw(st.integers(0, 4)) > 0
            if deeper:
                inside = inside[key]
            elif draw(st.booleans()):
                inside[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
                how.append((path, inside[key]))
            else:
                del inside[key]
                how.append((path, "deleted"))
    return File(text(whole).encode(), how)


@st.composite
def spoilt(draw, text: str) -> File:
    """The text as a file that was cut off, encoded otherwise, or written twice."""
    how = draw(st.sampled_from(["cut", "utf-16", "latin-1", "bom", "twice", "byte", "repeated key", "empty"]))
    at = draw(st.integers(0, len(text)))
    data = text.encode()
    content = {
        "cut": data[:at],
        "utf-16": text.encode("utf-16"),
        "latin-1": data[:at] + b"\xe9" + data[at:],
        "bom": b"\xef\xbb\xbf" + data,
        "twice": data + data,
        "byte": data[:at] + b"\0" + data[at + 1 :],
        "repeated key": b'{"architectures": 3, "budgets": 3, ' + data[1:],
        "empty": b"",
    }[how]
    return File(content, [how, at])


def files_of(original) -> st.SearchStrategy[File]:
    whole = altered(original)
    return st.one_of(whole, whole, whole, st.deferred(lambda: spoilt(json.dumps(original()))))


def run(*argv: str) -> tuple[int, str]:
    """The exit code and stderr. Anything that is raised fails the test, as a traceback would."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(argv)
    said = err.getvalue()
    assert code in (0, 1, 2, 130), said
    assert said.count("\n") <= 5 and "Traceback" not in said, said
    assert all(letter.isprintable() for letter in said.replace("\n", "")), said
    assert (code != 2) or len(said) < 1000, said
    return code, said


def settled(share: float):
    """A part of the profile's examples; drawing takes seconds for some."""
    return settings(
        max_examples=max(20, int(share * settings.default.max_examples)),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@settled(3)
@given(files_of(saved))
def test_diff_takes_any_file(data):
    with tempfile.TemporaryDirectory() as folder:
        file, before = Path(folder, "altered.json"), Path(folder, "saved.json")
        file.write_bytes(data.content)
        before.write_text(json.dumps(saved()))
        run("diff", str(before), str(file))


@settled(0.4)
@given(files_of(saved), st.sampled_from(["ball", "breakdown", "latency", "memory", "relative", "ops-latency"]))
def test_plot_takes_any_file(data, kind):
    with tempfile.TemporaryDirectory() as folder:
        file, picture = Path(folder, "altered.json"), Path(folder, "picture.svg")
        file.write_bytes(data.content)
        code, _ = run("plot", kind, "--from", str(file), "-o", str(picture))
        assert picture.exists() == (code in (0, 1)) or code == 2
        assert {path.name for path in Path(folder).iterdir()} <= {"altered.json", "picture.svg"}


@settled(0.1)
@given(files_of(saved))
def test_report_takes_any_file(data):
    with tempfile.TemporaryDirectory() as folder:
        file, report = Path(folder, "altered.json"), Path(folder, "report")
        file.write_bytes(data.content)
        code, _ = run("report", "--from", str(file), "-o", str(report))
        if code == 2:
            assert not report.exists()
        else:
            assert (report / "README.md").read_text().rstrip().endswith("-->")
        assert {path.name for path in Path(folder).iterdir()} <= {"altered.json", "report"}


def lines_of(values: list) -> str:
    return "".join(f"{text_of(value)}\n" for value in values)


@settled(1)
@given(st.one_of(altered(sweep_lines, lines_of), st.deferred(lambda: spoilt(lines_of(sweep_lines())))))
def test_a_sweep_is_read_or_refused(data):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "sweep.jsonl")
        file.write_bytes(data.content)
        run("diff", str(file), str(file))


@settled(1)
@given(files_of(baseline))
def test_a_lock_is_read_or_refused(data):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "archprof.lock.json")
        file.write_bytes(data.content)
        try:
            lock.read(file)
        except BadFile as reason:
            assert str(reason).isprintable() and len(str(reason)) < 1000


# --- what is said -----------------------------------------------------------------------------------------------------


def at(whole, *path):
    for step in path:
        whole = whole[step]
    return whole


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("environment",), ..., "the file has no key 'environment'."),
        (("environment",), 3, "environment is 3; expected an object."),
        (("environment", "threads"), "two", "environment.threads is the text 'two'; expected a whole number or null."),
        (("architectures",), {}, "architectures is an object; expected a list."),
        (("architectures", 0), None, "architectures[0] is null; expected an object."),
        (("architectures", 1, "name"), ..., "architectures[1] has no key 'name'."),
        (("architectures", 0, "parameters"), ..., "architectures[0] has no key 'parameters'."),
        (("architectures", 0, "macs"), "many", "architectures[0].macs is the text 'many'; expected a whole number."),
        (("architectures", 0, "macs"), -1, "architectures[0].macs is -1; expected a whole number >= 0."),
        (("architectures", 0, "macs"), 1.5, "architectures[0].macs is 1.5; expected a whole number."),
        (("architectures", 0, "layers", 3, "macs"), True,
         "architectures[0].layers[3].macs is true; expected a whole number or null."),
        (("architectures", 0, "layers", 3, "input_shape", 1), [],
         "architectures[0].layers[3].input_shape[1] is a list of 0; expected a whole number."),
        (("architectures", 0, "latency", 1, "blocks", 2, "seconds"), 0,
         "architectures[0].latency[1].blocks[2].seconds is 0; expected a number >= 1e-12."),
        (("architectures", 0, "latency", 1, "blocks", 2, "passes"), ...,
         "architectures[0].latency[1].blocks[2] has no key 'passes'."),
        (("architectures", 0, "latency", 1, "blocks", 2, "evidence", "sum_us"), "x",
         "a value in architectures[0].latency[1].blocks[2].evidence: expected a number."),
        (("warnings",), "text", "warnings is the text 'text'; expected a list."),
        (("reference",), 3, "reference is 3; expected text or null."),
        (("schema_version",), True, "schema_version is true; this archprof reads 1."),
    ],
)  # fmt: skip
def test_the_key_what_was_found_and_what_was_expected(path, value, said, tmp_path):
    whole = copy.deepcopy(saved())
    *outer, last = path
    if value is ...:
        del at(whole, *outer)[last]
    else:
        at(whole, *outer)[last] = value
    file = tmp_path / "x.json"
    file.write_text(json.dumps(whole))
    code, err = run("diff", str(file), str(file))
    assert (code, err.partition("x.json': ")[2].rstrip().removesuffix(
        " Read it with the archprof that wrote it, or measure again.")) == (2, said)  # fmt: skip


def test_two_rows_of_one_name_are_refused(tmp_path):
    whole = copy.deepcopy(saved())
    whole["architectures"][1]["name"] = "resnet_tiny"
    (tmp_path / "x.json").write_text(json.dumps(whole))
    code, err = run("diff", str(tmp_path / "x.json"), str(tmp_path / "x.json"))
    assert code == 2 and "two architectures have the name 'resnet_tiny'" in err


def test_keys_of_later_versions_and_a_byte_order_mark_are_passed_over(tmp_path):
    whole = copy.deepcopy(saved()) | {"later": {"x": [1]}}
    at(whole, "architectures", 0, "layers", 0)["later"] = {"x": None}
    (tmp_path / "x.json").write_text(json.dumps(whole), encoding="utf-8-sig")
    assert run("diff", str(tmp_path / "x.json"), str(tmp_path / "x.json"))[0] == 0
    assert Comparison.from_json(json.dumps(whole)) == comparison()


def test_what_was_written_comes_back_key_by_key():
    assert Comparison.from_json(comparison().to_json()) == comparison()


def test_a_spliced_line_of_a_sweep_is_named(tmp_path):
    header, one, other = map(json.dumps, sweep_lines())
    file = tmp_path / "sweep.jsonl"
    file.write_text(f"{header}\n{one[:200]}{other}\n{other}\n")
    code, err = run("plot", "ball", "--from", str(file), "-o", str(tmp_path / "x.svg"))
    assert code == 2 and "not JSON: line 2: " in err
