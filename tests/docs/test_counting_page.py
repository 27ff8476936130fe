"""docs/counting.md: its Python runs, and the figures in its tables are those that the code gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archprof.audit import counters as audit

PAGE = (Path(__file__).parents[2] / "docs" / "counting.md").read_text()


def test_its_blocks_run_in_order() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) >= 7
    names: dict[str, object] = {"__name__": "counting_page"}
    for place, block in enumerate(blocks, 1):
        exec(compile(block, f"counting.md, block {place}", "exec"), names)


@pytest.mark.parametrize("name", ["resnet50", "mobilenetv1"])
def test_its_totals_and_terms(name: str) -> None:
    result = audit.audit(name)
    figures = [result.profile.macs, *(opinion.total for opinion in result.opinions)]
    assert f"| {name} | " + " | ".join(f"{figure:,}" for figure in figures) + " |" in PAGE
    for opinion in result.opinions[:2]:
        for term in opinion.terms:
            assert f"{term.amount:+,} |" in PAGE


def test_the_vision_transformer(torchvision) -> None:
    result = audit.audit(torchvision.models.vit_b_16())
    figures = [result.profile.macs, *(opinion.total for opinion in result.opinions)]
    assert "| torchvision's vit_b_16 | " + " | ".join(f"{figure:,}" for figure in figures) + " |" in PAGE
    for opinion in result.opinions:
        assert opinion.remainder == 0
        assert all(f"{term.amount:+,} |" in PAGE for term in opinion.terms if opinion.tool != "FlopCounterMode")
