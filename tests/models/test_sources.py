"""Your own networks: found, built and counted like the zoo's; what goes wrong in them said in one line."""

import json
import os
import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

import archprof
from archprof import models
from archprof.base.errors import (
    ArchprofError,
    BadOption,
    BadSpec,
    BuildFailed,
    ForwardFailed,
    MissingPackage,
    UnknownModel,
)
from archprof.cli import main

NET = """
    from torch import nn

    class Net(nn.Module):
        input_shape = (1, 8, 8)

        def __init__(self, width: int = 4):
            super().__init__()
            self.conv = nn.Conv2d(1, width, 3)

        def forward(self, x):
            return self.conv(x)
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes files of a project into a fresh working directory."""
    monkeypatch.chdir(tmp_path)

    def write(**files):
        for name, text in files.items():
            path = tmp_path / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))

    return write


def said(error, model, **options):
    with pytest.raises(error) as raised:
        archprof.profile(model, **options)
    text = str(raised.value)
    assert "\n" not in text
    return text


# --- what is found ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        ("mynets:Net", 4 * 10),
        ("mynets:Net(width=8)", 8 * 10),
        ("mynets.py:Net", 4 * 10),
        ("./mynets.py:Net(width=2)", 2 * 10),
        ("mynets:make(width=3)", 3 * 10),
        ("mynets:Outer.Inner", 4 * 10),
        ("mynets:ready", 5 * 10),
    ],
)
def test_a_class_a_factory_an_instance(write, model, parameters):
    write(
        mynets=NET
        + """
    def make(width):
        return Net(width)

    make.input_shape = (1, 8, 8)

    class Outer:
        Inner = Net

    ready = Net(5)
    """
    )
    profile = archprof.profile(model)
    assert (profile.parameters, profile.input_shape) == (parameters, (1, 8, 8))
    assert profile.macs == parameters // 10 * 9 * 6 * 6


def test_a_package_with_relative_imports(write):
    write(**{"project/__init__": "", "project/layers": NET, "project/nets": "from .layers import Net"})
    assert archprof.profile("project.nets:Net").parameters == 40
    assert archprof.profile("project/nets.py:Net").parameters == 40


def test_files_of_two_folders_keep_their_own_imports(write):
    """Two checkouts of one project: `layers` means another file in each."""
    for folder, width in (("old", 2), ("new", 3)):
        write(
            **{
                f"{folder}/layers": NET.replace("width: int = 4", f"width: int = {width}"),
                f"{folder}/nets": "from layers import Net\n",
            }
        )
    assert [archprof.profile(f"{folder}/nets.py:Net").parameters for folder in ("old", "new", "old")] == [20, 30, 20]
    assert "layers" not in sys.modules and sys.path.count("old") == 0


def test_an_instance_stays_as_it_is(write):
    write(mynets=NET + "    ready = Net()\n")
    archprof.profile("mynets:ready")
    ready = sys.modules["mynets"].ready
    before = ready.conv.weight.clone()
    archprof.compare(["mynets:ready"], batch_sizes=(1,), time_budget=0.05)
    assert ready.training and ready.conv.weight.device.type == "cpu" and torch.equal(ready.conv.weight, before)


def test_an_instance_on_another_device(write):
    write(mynets=NET + "    ready = Net().to('meta')\n")
    assert archprof.profile("mynets:ready").macs == 4 * 9 * 6 * 6
    assert sys.modules["mynets"].ready.conv.weight.is_meta


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_instance_on_a_gpu_stays_there(write):
    write(mynets=NET + "    ready = Net().cuda()\n")
    assert archprof.profile("mynets:ready").macs == 4 * 9 * 6 * 6
    assert sys.modules["mynets"].ready.conv.weight.is_cuda


def test_prints_go_to_stderr(write, capsys):
    write(
        mynets="print('imported')\n"
        + textwrap.dedent(NET)
        + textwrap.dedent("""
    class Loud(Net):
        def __init__(self):
            super().__init__()
            print("built")

        def forward(self, x):
            print("called")
            return super().forward(x)
    """)
    )
    assert main(["compare", "mynets:Loud", "--no-latency", "--json", "-"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["architectures"][0]["parameters"] == 40
    assert {"imported", "built", "called"} <= set(err.split())


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_what_an_import_raises_is_shown_with_its_place(write):
    write(helper="def half(x):\n    return x / 0\n", mynets="import helper\n\nNet = helper.half(1)\n")
    assert said(BuildFailed, "mynets:Net") == "mynets: ZeroDivisionError: division by zero (helper.py, line 2)"


def test_a_missing_import_of_a_module_is_that_modules_fault(write):
    write(mynets="import nothing_of_the_kind\n")
    assert said(BuildFailed, "mynets:Net") == (
        "mynets: ModuleNotFoundError: No module named 'nothing_of_the_kind' (mynets.py, line 1)"
    )


def test_a_syntax_error_is_shown_with_its_place(write):
    write(mynets="x = 1\nclass Net(:\n")
    assert "SyntaxError" in (text := said(BuildFailed, "mynets:Net")) and "(mynets.py, line 2)" in text


def test_a_script_that_exits(write):
    write(train="import sys\nsys.exit(3)\n")
    text = said(BuildFailed, "train:Net")
    assert "calls sys.exit(3) while it is imported or built (train.py, line 2)" in text and "__main__" in text


def test_a_constructor_that_raises_or_exits(write):
    write(
        mynets="""
    import sys

    def broken():
        return {}["width"]

    def leaves():
        sys.exit("no data")
    """
    )
    assert said(BuildFailed, "mynets:broken") == "mynets:broken: KeyError: 'width' (mynets.py, line 5)"
    assert "sys.exit('no data')" in said(BuildFailed, "mynets:leaves")


def test_required_arguments_are_named(write):
    write(mynets="def make(width, depth, *, act, heads=3): pass\nnumber = 3\ndef dict_(): return {}\n")
    text = said(BadOption, "mynets:make(depth=2)")
    assert text == "mynets:make(depth=2): 'make' needs width and act. Write 'mynets:make(width=..., act=...)'."
    assert "no option 'dpth'. Did you mean 'depth'" in said(BadOption, "mynets:make(dpth=2)")
    assert "'number' is a int" in said(BadOption, "mynets:number")
    assert "returns a dict, not a torch.nn.Module" in said(BuildFailed, "mynets:dict_")


def test_what_is_not_there(write):
    write(mynets=NET)
    assert "no source or module is called 'mynet' in 'mynet:Net'. Did you mean 'mynets'" in said(
        UnknownModel, "mynet:Net"
    )
    assert "called 'tim'" in (text := said(UnknownModel, "tim:resnet50")) and "'timm'" in text
    assert "called 'mynets.sub'" in said(UnknownModel, "mynets.sub:Net")
    assert "mynets has no 'Nat'. Did you mean 'Net'" in said(UnknownModel, "mynets:Nat")
    assert "there is no file 'mynts.py'. Did you mean 'mynets.py'" in said(UnknownModel, "mynts.py:Net")


def test_a_forward_that_exits(write):
    write(
        mynets="import sys\n"
        + textwrap.dedent(NET)
        + textwrap.dedent("""
    class Leaves(Net):
        def forward(self, x):
            sys.exit(4)
    """)
    )
    assert said(ForwardFailed, "mynets:Leaves") == "mynets:Leaves: its own forward calls sys.exit(4)."


def test_forward_that_wants_something_else_says_what(write):
    write(
        mynets=NET
        + """
    class Two(Net):
        def forward(self, image, mask):
            return self.conv(image) * mask
    """
    )
    assert said(ForwardFailed, "mynets:Two").endswith("forward takes (image, mask).")
    assert "layer 'conv' (Conv2d)" in said(ForwardFailed, "mynets:Net", input_shape=(3, 8, 8))


# --- inputs ----------------------------------------------------------------------------------------------------------


TEXT = """
    from torch import nn

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(1000, 16)
            self.tags = nn.Linear(16, 5)

        def forward(self, ids, scale=None):
            if ids.max() >= 1000:
                raise IndexError("out of vocabulary")
            return self.tags(self.words(ids)) * (1 if scale is None else scale)
"""


def test_inputs_of_other_types(write, capsys):
    write(mynets=TEXT)
    code = main(
        [
            "compare",
            "mynets:Tagger",
            "--no-latency",
            "--json",
            "-",
            "--batch-sizes",
            "1,3",
            "--input",
            "ids=int64[12]<1000",
            "--input",
            "scale=float32[12,1]",
        ]
    )
    (row,) = json.loads(capsys.readouterr().out)["architectures"]
    assert code == 0 and row["error"] is None
    assert (row["macs"], row["input_shape"], row["batch_size"]) == (12 * 16 * 5, [12], 1)
    one, three = (entry["peak_activation_bytes"] for entry in row["memory"])
    assert three == 3 * one


def test_one_network_is_shown_with_inputs(write, capsys):
    write(mynets=TEXT.replace("if ids", "print('called')\n            if ids"))
    assert main(["show", "mynets:Tagger", "--input", "ids=int64[12]<1000", "--by", "type", "--json", "-"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) and "called" in err


def test_inputs_are_measured_as_described(write):
    write(mynets=TEXT)
    from archprof.counting.inputs import given_inputs
    from archprof.models import input_spec

    specs = [input_spec.parse("int64[12]<1000")]
    result = archprof.compare(
        ["mynets:Tagger"], batch_sizes=(2,), time_budget=0.05, inputs=lambda batch_size: given_inputs(specs, batch_size)
    )
    (cell,) = result.architectures[0].latency
    assert cell.error is None and cell.p50_s > 0


def test_an_argument_that_forward_lacks(write, capsys):
    write(mynets=TEXT)
    assert main(["compare", "mynets:Tagger", "--no-latency", "--input", "word=int64[12]"]) == 2
    assert "forward takes (ids, scale=None)" in capsys.readouterr().err


def test_input_and_input_shape_exclude_each_other(capsys):
    assert main(["compare", "resnet18", "--no-latency", "--input", "float32[3]", "--input-shape", "3,8,8"]) == 2
    assert capsys.readouterr().err == "archprof: both --input and --input-shape are given; give one of them.\n"


# --- large ones ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
def test_two_billion_parameters_are_counted_without_room_for_them(write, tmp_path):
    write(
        huge="""
    from torch import nn

    def net():
        return nn.Sequential(*[nn.Linear(16384, 16384) for _ in range(8)])
    """
    )
    script = """
    import archprof, re

    counted = archprof.profile("huge:net", input_shape=(16384,))
    peak, = re.findall(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
    print(counted.parameters, counted.macs, peak)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(archprof.__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
    parameters, macs, kibibytes = map(int, done.stdout.split())
    assert (parameters, macs) == (8 * 16384 * 16385, 8 * 16384**2)
    assert kibibytes < 2**20  # a GiB, torch included; the weights alone would be 8


# --- other people's sources, wildcards ------------------------------------------------------------------------------


@pytest.fixture
def offered(monkeypatch):
    """A function that pretends that packages offer these sources."""

    def offer(**entries):
        found = [EntryPoint(name, value, models.GROUP) for name, value in entries.items()]
        monkeypatch.setattr(models.importlib.metadata, "entry_points", lambda group: found)
        monkeypatch.setattr(models, "_SOURCES", dict(models._SOURCES))

    return offer


def test_a_package_offers_a_source(write, offered):
    write(
        nets_of_ours=NET,
        our_source="""
    from archprof.models import Found
    from nets_of_ours import Net

    def names():
        return ["wide_2", "wide_8", "thin_1"]

    def find(spec):
        return Found(spec, lambda: Net(int(spec.target[5:])), (1, 8, 8))
    """,
    )
    offered(ours="our_source")
    sys.path.insert(0, "")
    try:
        assert archprof.profile("ours:wide_8").parameters == 80
    finally:
        sys.path.remove("")
    assert models.expand(["ours:wide_*@9", "resnet18"]) == ["ours:wide_2@9", "ours:wide_8@9", "resnet18"]


def test_a_source_that_is_broken(offered):
    offered(ours="no_such_module_anywhere:source")
    text = said(MissingPackage, "ours:x")
    assert "source 'ours' (no_such_module_anywhere:source) is installed, but loading it fails: ModuleNotFound" in text


def test_wildcards(capsys):
    assert models.expand(["resnet??", "vgg1*", "resnet18"]) == [
        "resnet18",
        "resnet34",
        "resnet50",
        "vgg11",
        "vgg11_bn",
        "vgg13",
        "vgg13_bn",
        "vgg16",
        "vgg16_bn",
        "vgg19",
        "vgg19_bn",
    ]
    with pytest.raises(UnknownModel, match="networks of zoo matches 'zz\\*'"):
        models.expand(["zz*"])
    with pytest.raises(BadSpec, match="cannot be listed"):
        models.expand(["mynets:*"])


@pytest.mark.parametrize(("answer", "goes_on"), [("y\n", True), ("n\n", False), ("", False)])
def test_many_are_asked_about_on_a_terminal(monkeypatch, capsys, answer, goes_on):
    import io

    from archprof.cli import options

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(options, "MANY", 2)
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", Terminal())
    try:
        assert options.expanded(["resnet??"], yes=False) == ["resnet18", "resnet34", "resnet50"] and goes_on
    except ArchprofError as error:
        assert not goes_on and "nothing was done" in str(error)
    assert "3 networks: resnet18, resnet34, resnet50" in sys.stderr.getvalue()
    assert len(options.expanded(["resnet??"], yes=True)) == 3
