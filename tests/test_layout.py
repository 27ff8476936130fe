"""What import-linter's contracts in pyproject.toml do not hold: torch stays away, files stay readable."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1] / "archprof"


def test_files_stay_readable():
    long = {
        str(file.relative_to(ROOT)): count
        for file in ROOT.rglob("*.py")
        if (count := len(file.read_text().splitlines())) > 450
    }
    assert long == {}


def test_the_public_names_are_there_without_torch():
    code = (
        "import sys, archprof; archprof.Comparison, archprof.separable, archprof.costs, archprof.ArchprofError; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
