"""What people read below a measurement: golden tables from records made by hand."""

from __future__ import annotations

import csv
import io
import json

import pytest

from archprof.render import terminal
from archprof.render.csv import csv_text
from archprof.render.tables import times
from archprof.render.tables.table import Table
from archprof.results.comparison import ArchitectureResult, Comparison
from archprof.results.latency import Block, Latency
from archprof.results.memory import BatchMemory
from archprof.results.profile import StaticProfile
from archprof.results.ratios import Stopping
from archprof.results.regression import round_limit

HERE = {"device": "cpu", "device_name": "A CPU", "threads": 2, "dtype": "float32", "torch": "2.13.0"}


def cell(seconds: float, batch_size: int = 1, spread: float = 0.01, **more) -> Latency:
    """Twelve blocks, evenly spread to both sides of `seconds`."""
    blocks = (Block(seconds * (1 + spread * (n - 5.5) / 5.5), 1, n, n) for n in range(12))
    return Latency(batch_size, tuple(blocks), **more)


def row(name: str, macs: int, *cells: Latency) -> ArchitectureResult:
    profile = StaticProfile(name, "zoo", (3, 32, 32), 1, 10, 10, 0, macs, 1, 40, 0, 2**20, 2**21)
    memory = tuple(BatchMemory(seen.batch_size, 2**20 * seen.batch_size) for seen in cells)
    return ArchitectureResult(name, "zoo", "resnet", 2015, profile, (), memory, cells)


def family(environment=HERE, **more) -> Comparison:
    """5 ms and 10 ms for each G of mult-adds, exactly; resnet34's second batch was disturbed, resnet50's failed."""
    return Comparison(environment, (
        row("resnet18", 10**9, cell(0.015), cell(0.085, 8)),
        row("resnet34", 2 * 10**9, cell(0.025), cell(0.5, 8, why="the 95 % interval is +-6.0 %, more than 5 %")),
        row("resnet50", 4 * 10**9, cell(0.045), Latency(8, error="out of memory: 3 GiB")),
    ), reference="resnet18", **more)  # fmt: skip


def shown(*tables: Table, width: int = 120) -> str:
    from rich.console import Console

    console = Console(width=width, file=io.StringIO(), highlight=False)
    terminal.show(tables, console)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()).strip()


def test_latency_with_what_ended_it():
    assert (
        shown(times.latency(family(stopping=Stopping(0.02, 24.0, 23.9))))
        == """
Latency of one forward pass, cpu (A CPU), 2 threads, float32, torch 2.13.0

 Batch   Architecture     ms   95 % interval   p90 ms   images/s   GFLOP/s   Peak (predicted)   Measured   x resnet18
 ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
     1   resnet18       15.0    14.9 to 15.1     15.1       66.7       133           1.00 MiB          —         1.00
     1   resnet34       25.0    24.9 to 25.1     25.2       40.0       160           1.00 MiB          —         1.67
     1   resnet50       45.0    44.7 to 45.3     45.4       22.2       178           1.00 MiB          —         3.00
     8   resnet18       85.0    84.5 to 85.5     85.7       94.1       188           8.00 MiB          —         1.00
     8   resnet34       500~      497 to 503     504~      16.0~         —           8.00 MiB          —         5.88
     8   resnet50          —               —        —          —         —           8.00 MiB          —            —

not measured: resnet50 at batch 8 (out of memory: 3 GiB).
~ not reliable: resnet34 at batch 8 (the 95 % interval is +-6.0 %, more than 5 %).
resnet34 takes 1.6667 (1.6667 to 1.6667) times as long as resnet18 at batch 1.
resnet50 takes 3.0000 (3.0000 to 3.0000) times as long as resnet18 at batch 1.
The time budget of 24 s ended measuring: 4 of 6 times and 3 of 3 ratios are within 2 %; --time-budget allows more.
""".strip()
    )


def test_every_interval_within_the_precision_is_said():
    seen = Comparison(HERE, (row("a", 10**9, cell(0.02)), row("b", 10**9, cell(0.01))), "b",
                      stopping=Stopping(0.02, 24.0, 3.14159))  # fmt: skip
    assert times.latency(seen).notes == (
        "a takes 2 times as long as b at batch 1 (measured once).",  # to the last digit: no interval to show
        "Measuring stopped after 3.14 s: every 95 % interval is within 2 %.",
    )


def test_a_training_step():
    adam = HERE | {"mode": "train", "optimizer": "adam"}
    seen = Comparison(adam, (row("a", 10**9, cell(0.02, 8, optimizer_state_bytes=3 * 2**20)),
                             row("b", 10**9, cell(0.01, 8, optimizer_state_bytes=2**20))))  # fmt: skip
    assert (
        shown(times.latency(seen))
        == """
Latency of one training step (adam), cpu (A CPU), 2 threads, float32, torch 2.13.0

 Batch   Architecture     ms   95 % interval   p90 ms   images/s   Peak (predicted)   Measured   Optimizer state
 ───────────────────────────────────────────────────────────────────────────────────────────────────────────────
     8   a              20.0    19.9 to 20.1     20.2        400                  —          —          3.00 MiB
     8   b              10.0    9.94 to 10.1     10.1        800                  —          —          1.00 MiB
""".strip()
    )


def test_time_against_operations():
    assert (
        shown(times.operations(family()))
        == """
Time of one forward pass against its mult-adds, a least-squares line for each family

 Batch   Family   Networks   Fixed ms   ms per G     R^2   GFLOP/s   Limit ms   Mult-Adds then
 ─────────────────────────────────────────────────────────────────────────────────────────────
     1   resnet          3       5.00       10.0   1.000       200       20.0           1.50 G

At 20.0 ms and batch 1 a network of the resnet family may use 1.50 G mult-adds here (R^2 1.000).
""".strip()
    )


def test_two_networks_make_no_line():
    seen = family()
    two = Comparison(HERE, seen.architectures[:2])
    assert times.operations(two) is None


@pytest.mark.parametrize(
    ("seconds", "limit"),
    [([0.015, 0.025, 0.045], 0.02), ([0.003, 0.3], 0.05), ([0.011, 0.012, 0.013], 0.012), ([0.01], 0.01)],
)
def test_a_limit_to_read_the_line_at_is_round_and_inside_what_was_measured(seconds, limit):
    assert round_limit(seconds) == pytest.approx(limit)


def test_markdown_holds_the_same():
    text = family(stopping=Stopping(0.02, 24.0, 23.9)).to_markdown()
    assert "| 8 | resnet34 | 500\\~ | 497 to 503 | 504\\~ |" in text
    assert "- \\~ not reliable: resnet34 at batch 8 (the 95 % interval is +-6.0 %, more than 5 %)." in text
    assert "may use 1.50 G mult-adds here (R^2 1.000)" in text
    assert "The time budget of 24 s ended measuring" in text


def test_csv_and_json_say_why_a_measurement_cannot_be_relied_on():
    rows = list(csv.DictReader(io.StringIO(csv_text(family()))))
    assert (rows[1]["reliable@8"], rows[1]["why@8"]) == (
        "False",
        "the 95 % interval is +-6.0 %, more than 5 %",
    )
    assert (rows[2]["p50_s@8"], rows[2]["why@8"]) == ("", "out of memory: 3 GiB")
    assert float(rows[0]["p90_s@1"]) == pytest.approx(0.01512, rel=1e-3) and rows[0]["p99_s@1"] == ""
    assert float(rows[0]["ci95_low_s@1"]) < 0.015 < float(rows[0]["ci95_high_s@1"])
    saved = json.loads(family().to_json())["architectures"][1]["latency"][1]
    assert (saved["reliable"], saved["why"]) == (False, "the 95 % interval is +-6.0 %, more than 5 %")


def test_p99_from_a_hundred_samples():
    many = Latency(1, tuple(Block(0.001 * n, 1, n, n) for n in range(1, 102)))
    seen = Comparison(HERE, (row("a", 10**9, many),))
    headings = [column.heading for column in times.latency(seen).columns]
    assert "p99 ms" in headings and "p99 ms" not in [column.heading for column in times.latency(family()).columns]
    assert many.p99_s == pytest.approx(0.1) and float(
        next(csv.DictReader(io.StringIO(csv_text(seen))))["p99_s@1"]
    ) == pytest.approx(0.1)


def test_what_ended_it_survives_a_file():
    seen = family(stopping=Stopping(0.02, 24.0, 23.9))
    assert Comparison.from_json(seen.to_json()) == seen


def test_a_narrow_terminal_leaves_out_details_and_says_so():
    text = shown(times.latency(family()), width=80)
    assert all(len(line) <= 80 for line in text.splitlines() if line.startswith(" "))
    assert " 1   resnet18       15.0    14.9 to 15.1       66.7          —         1.00" in text
    assert "No room here for p90 ms, GFLOP/s, Peak (predicted): a wider terminal or --markdown shows more." in text
