"""docs/differences.md: its numbers are those that the tools print."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from pathlib import Path

import pytest
import torch

import archprof
from archprof.audit import counters

PAGE = (Path(__file__).parents[2] / "docs" / "differences.md").read_text()
ROWS = {
    cells[0]: [int(cell.replace(",", "")) for cell in cells[1:]]
    for line in re.findall(r"^\| (.+) \|$", PAGE, re.MULTILINE)
    if re.fullmatch(r"[\d,]+", (cells := line.split(" | "))[-1])
}
OWN: dict[str, object] = {"__name__": "differences_page"}
exec(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], OWN)


def network(name: str) -> tuple[torch.nn.Module, tuple[int, ...]]:
    """The page's own network, or the one that the name means."""
    if name in OWN["networks"]:
        return OWN["networks"][name]
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    return archprof.load(name), (3, 224, 224)


def test_the_table_has_the_networks_that_the_text_names():
    assert set(OWN["networks"]) < set(ROWS) and len(ROWS) == 8
    assert ROWS["LSTM"][0] == 20 * 4 * 128 * (64 + 128)
    assert ROWS["F.conv2d"][0] == 30 * 30 * 3 * 3 * 3 * 8


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_what_audit_says_and_every_gap_is_explained(name, torchvision):
    module, shape = network(name)
    result = counters.audit(module, input_shape=shape)
    assert [result.profile.macs, *(opinion.total for opinion in result.opinions)] == ROWS[name][:4]
    assert [opinion.remainder for opinion in result.opinions] == [0, 0, 0]


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_what_thop_says(name, torchvision):
    thop = pytest.importorskip("thop")
    module, shape = network(name)
    macs, _ = thop.profile(module.eval(), inputs=(torch.zeros(1, *shape),), verbose=False)
    assert macs == ROWS[name][4]
    assert importlib.metadata.version("thop") in PAGE


def test_timm_defines_no_function_that_is_named_after_flops_or_macs():
    timm = importlib.metadata.distribution("timm") if importlib.util.find_spec("timm") else pytest.skip("no timm")
    assert f"timm {timm.version}" in PAGE
    sources = [Path(timm.locate_file(file)) for file in timm.files if file.suffix == ".py"]
    found = [file.name for file in sources if re.search(r"def \w*(flops|macs)", file.read_text(), re.IGNORECASE)]
    assert len(sources) > 100 and found == []
