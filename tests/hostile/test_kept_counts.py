"""What one command's own code changes must reach no later command through the counts that are kept between runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.golden_zoo_a import GOLDEN

import archprof

ROOT = str(Path(archprof.__file__).parents[1])

#: What a file of one's own does to counting before it offers its network.
POISONS = {
    "a formula replaced": "costs.macs_of(torch.ops.aten.convolution, replace=True)(lambda *given, **more: 7)",
    "a layer's forward replaced": "nn.Conv2d.forward = lambda self, x: x.new_zeros(len(x), self.out_channels, 1, 1)",
    "a table of formulas emptied": "costs.registry.FORMULAS.clear()",
}
FILE = "import torch\nfrom torch import nn\nfrom archprof import costs\n{poison}\nNet = nn.Identity\n"
BUDGETS = """
[[budget]]
model = "poison.py:Net"
parameters = "1"

[[budget]]
model = "resnet_tiny"
macs = "1 G"
"""


def command(*words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": ROOT, "XDG_CACHE_HOME": str(Path.cwd() / "cache")}
    done = subprocess.run([sys.executable, "-m", "archprof", *words], capture_output=True, text=True, env=environment)
    return done.stdout


@pytest.mark.parametrize(
    "words", [["compare", "poison.py:Net", "resnet_tiny", "--no-latency"], ["check"]], ids=" ".join
)
@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS)
def test_what_own_code_changes_reaches_no_other_command(poison, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("poison.py").write_text(FILE.format(poison=poison))
    Path("archprof.toml").write_text(BUDGETS)
    Path("later.toml").write_text('[[budget]]\nmodel = "resnet_tiny"\nmacs = "at most 1 k"\n')
    command(*words)
    assert f",{GOLDEN['resnet_tiny'][1]}," in command("compare", "resnet_tiny", "--no-latency", "--csv", "-")
    assert f"{GOLDEN['resnet_tiny'][1]:,} mult-adds" in command("check", "--config", "later.toml")
