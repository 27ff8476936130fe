"""The command line: what starts without torch, and what bad input gets."""

import re
import shlex
import subprocess
import sys

import pytest

from archprof.cli import build_parser, main
from archprof.cli.commands import COMMANDS

HEAVY = ("torch", "pandas", "matplotlib", "torchinfo", "fvcore", "numpy")


def run(capsys, *argv):
    try:
        code = main(argv)
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    return code, out, err


def test_what_needs_no_torch_imports_none():
    script = f"""
import sys
from archprof.cli import main
for argv in ["--help"], ["--version"], ["compare", "--help"], ["compare", "--bogus"], ["compare", "resnet50("], \
        ["compare", "alexnet", "--batch-sizes", "0"], ["compare", "alexnet", "--json", "/no/such/folder/x.json"], []:
    try:
        main(argv)
    except SystemExit:
        pass
print("imported:", *[name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split() == ["imported:"]


def test_counting_imports_nothing_heavy_beside_torch():
    script = """
import sys
from archprof.cli import main
assert main(["compare", "resnet18", "mobilenetv1", "alexnet", "--no-latency"]) == 0
heavy = ("pandas", "matplotlib", "torchinfo", "fvcore", "torch._dynamo", "torch.fx.experimental.symbolic_shapes")
print("imported:", *[name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split() == ["imported:"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_a_real_invocation(command, capsys):
    code, out, _ = run(capsys, command, "--help")
    assert code == 0
    assert f"example: archprof {command} " in out.replace("\n", " ") or f"example: archprof {command}" in out


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_the_example_is_well_formed(command, capsys):
    _, out, _ = run(capsys, *filter(None, [command]), "--help")
    epilog = out[out.rindex("example: archprof ") :].removeprefix("example: ").strip()
    # what follows an example after a blank line explains it
    said = "\n".join(part for part in epilog.split("\n\n") if part.startswith("archprof "))
    examples = list(filter(None, re.split(r"\s*\barchprof ", said)))
    assert examples
    for example in examples:
        build_parser().parse_args(shlex.split(example))


BAD = [
    (["compare", "resnet5o"], "unknown model 'resnet5o'. Did you mean"),
    (["compare", "resnet50(witdh=0.5)"], "has no option 'witdh'"),
    (["compare", "mobilenetv1(witdh=0.5)"], "Did you mean 'width'?"),
    (["compare", "mobilenetv1(width=big)"], "width='big' is not a number"),
    (["compare", "mobilenetv1(activation=reluu)"], "relu"),
    (["compare", "mobilenetv1(num_classes=0)"], "num_classes"),
    (["compare", "alexnet("], "malformed model name"),
    (["compare", "nosuch:alexnet"], "nosuch"),
    (["compare", "alexnet", "--batch-sizes", "0"], "batch size '0'"),
    (["compare", "alexnet", "--batch-sizes", "-1"], "batch size '-1'"),
    (["compare", "alexnet", "--batch-sizes", "x"], "batch size 'x'"),
    (["compare", "alexnet", "--batch-sizes", "9..3"], "run from 9 to 3"),
    (["compare", "alexnet", "--batch-sizes", "1000000000"], "are available"),
    (["compare", "alexnet", "--device", "tpu"], "tpu"),
    (["compare", "alexnet", "--dtype", "float31"], "float31"),
    (["compare", "alexnet", "--time-budget", "0"], "'0' is not a positive number"),
    (["compare", "alexnet", "--threads", "0"], "'0' is not a positive whole number"),
    (["compare", "alexnet", "--input-shape", "3,8,8"], "layer 'features.2' (MaxPool2d) says"),
    (["compare", "alexnet", "--input-shape", "1,224,224"], "layer 'features.0' (Conv2d) says"),
    (["compare", "alexnet", "--input-shape", "3,x,8"], "not a list of positive whole numbers"),
    (["compare", "alexnet", "alexnet"], "named twice"),
    (["compare", "alexnet", "--reference", "vgg16"], "not among the networks compared"),
    (["compare", "alexnet", "--dataset", "imagenett"], "imagenet"),
    (["compare", "alexnet", "--json", "no/such/folder/x.json"], "does not exist"),
    (["compare", "alexnet", "--json", "."], "is a folder"),
    (["compare", "alexnet", "--json", "a", "--csv", "./a"], "named for two outputs"),
    (["compare", "alexnet", "--json", "-", "--csv", "-"], "named for two outputs"),
    (["compare", "--no-latencyy", "alexnet"], "Did you mean '--no-latency'?"),
    (["compare"], "no model is given"),
    (["compere", "alexnet"], "compere"),
]


@pytest.mark.parametrize(("argv", "says"), BAD, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_bad_input_is_one_line_and_exit_code_2(argv, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *argv)
    assert code == 2
    assert says in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_no_cuda_is_said(capsys):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    code, _, err = run(capsys, "compare", "alexnet", "--device", "cuda")
    assert code == 2
    assert "no CUDA device" in err
    assert "cpu" in err


def test_an_output_that_cannot_be_written_is_refused_beforehand(capsys, tmp_path):
    import os

    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    code, _, err = run(capsys, "compare", "alexnet", "--no-latency", "--json", str(tmp_path / "x.json"))
    assert code == 2
    assert "permission" in err


def test_help_and_a_mistyped_command_import_no_command() -> None:
    program = (
        "import sys\nfrom archprof.cli import main\n"
        "try:\n    main([{!r}])\nexcept SystemExit: pass\n"
        "print([name for name in sys.modules if name.startswith('archprof.') and name.split('.')[1] not in "
        "('base', 'cli', 'results')], file=sys.stderr)"
    )
    for word in ("--help", "comapre"):
        done = subprocess.run([sys.executable, "-c", program.format(word)], capture_output=True, text=True)
        assert done.stderr.splitlines()[-1] == "[]"
