"""An option is a field: its flag, help, keyword and JSON key follow, and nothing is named by hand here."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import re
from dataclasses import dataclass

import pytest

import archprof
from archprof.base.errors import BadOption
from archprof.base.options import option, options_of, recorded, whole, words
from archprof.cli import build_parser, main, options
from archprof.cli.commands import COMMANDS as ALL
from archprof.measure import device
from archprof.render import report
from archprof.results import conditions
from archprof.results.comparison import Comparison
from archprof.results.conditions import Conditions, Sampling
from archprof.results.environment import fingerprint
from archprof.results.latency import Block, Latency

#: Commands that measure, with the least that each needs, and of which records they take the fields.
COMMANDS = {
    "compare": (("resnet_tiny",), (Conditions, Sampling)),
    "report": (("resnet_tiny", "-o", "out"), (Conditions, Sampling)),
    "plot": (("ball", "resnet_tiny", "-o", "out.svg"), (Conditions, Sampling)),
    "sweep": (("resnet_tiny", "-o", "out.jsonl"), (Conditions, Sampling)),
    "choose": ((), (Conditions, Sampling)),
    "show": (("resnet_tiny",), (Conditions, Sampling)),
    "separable": (("resnet_tiny",), (Conditions, Sampling)),
    "whatif": (("resnet_tiny", "--edit", "@32"), (Conditions, Sampling)),
    "env": ((), (Conditions, Sampling)),
}


#: It trains: it shares the device with those that measure, and the rest is its recipe's.
TRAINS = "trial"


def parser_of(command: str) -> argparse.ArgumentParser:
    (subparsers,) = [each for each in build_parser()._actions if isinstance(each, argparse._SubParsersAction)]
    return subparsers.choices[command]


def taken(command: str) -> list:
    return [named for kind in COMMANDS[command][1] for named in options_of(kind)]


def test_every_field_is_an_option():
    for kind in (Conditions, Sampling):
        assert [named.name for named in options_of(kind)] == [field.name for field in dataclasses.fields(kind)]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_each_flag_with_its_help(command):
    shown = {flag: action for action in parser_of(command)._actions for flag in action.option_strings}
    for named in taken(command):
        assert shown[named.flag].dest == named.name
        assert shown[named.flag].help.startswith(named.option.help.replace("%", "%%")), named.name
        assert named.flag in parser_of(command).format_help()


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_that_measures_is_left_out_and_none_words_a_flag_otherwise(command):
    names = {named.name for kind in (Conditions, Sampling) for named in options_of(kind)}
    for name in ALL:
        dests = {action.dest for action in parser_of(name)._actions}
        assert bool(dests & names) == (name in COMMANDS or name == TRAINS), name
    ours = {named.flag for named in taken(command)}
    flags = {f for a in parser_of(command)._actions if a.dest in names for f in a.option_strings}
    assert flags == ours


def test_python_takes_each_as_a_keyword_with_the_same_default():
    keywords = inspect.signature(archprof.compare).parameters
    for kind in (Conditions, Sampling):
        for named in options_of(kind):
            assert keywords[named.name].default == getattr(kind(), named.name), named.name


def test_a_command_left_alone_takes_the_defaults():
    for command in COMMANDS:
        args = build_parser().parse_args([command, *COMMANDS[command][0]])
        assert options.conditions(args) == Conditions()


def test_each_condition_has_its_key_in_the_environment_and_the_fingerprint():
    found = device.environment(Conditions())
    for named in options_of(Conditions):
        assert named.key in found or named.option.added
        changed = {**found, named.key: "something else"}
        assert fingerprint(changed) != found["fingerprint"]


def test_an_option_that_was_added_stands_only_where_it_is_used():
    """What was saved before it is compared with as if it had said the default."""
    usual, used = (
        device.environment(Conditions(mode="train")),
        Conditions(mode="train", accumulate=4, autocast="bfloat16"),
    )
    assert not {"accumulate", "zero_grad", "autocast"} & usual.keys()
    found = device.environment(used)
    assert (found["accumulate"], found["autocast"], "zero_grad" in found) == (4, "bfloat16", False)
    assert found["fingerprint"] != usual["fingerprint"]


def test_each_that_is_not_the_default_is_in_the_command_that_repeats_a_report():
    saved = {"allocator": "glibc 2.36"}
    for named in options_of(Conditions):
        saved[named.key] = not named.default if isinstance(named.default, bool) else "other"
    said = words(Conditions, saved)
    assert [word for word in said if word.startswith("--")] == [named.flag for named in options_of(Conditions)]
    assert words(Conditions, {named.key: named.default for named in options_of(Conditions)}) == []


def test_what_does_not_apply_is_null_in_the_environment():
    assert recorded(Conditions(device="cuda"))["keep_memory"] is None
    assert recorded(Conditions())["optimizer"] is None and recorded(Conditions(mode="train"))["optimizer"] == "sgd"


@dataclass(frozen=True)
class More(Conditions):
    """Conditions with one more that nobody has heard of."""

    cache_lines: int = option(64, "made up for this test", metavar="N", parse=whole)


def test_one_more_field_appears_everywhere(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(conditions, "Conditions", More)
    for command in COMMANDS:
        shown = re.sub(r"\s+", " ", parser_of(command).format_help())
        assert "--cache-lines N made up for this test (default: 64)" in shown, command
    file = tmp_path / "counted.json"
    assert main(["compare", "resnet_tiny", "--no-latency", "--cache-lines", "7", "--json", str(file)]) == 0
    asked = json.loads(file.read_text())["environment"]
    by_keyword = archprof.compare(["resnet_tiny"], latency=False, cache_lines=7).environment
    by_object = archprof.compare(["resnet_tiny"], latency=False, conditions=More(cache_lines=7)).environment
    assert asked["cache_lines"] == by_keyword["cache_lines"] == by_object["cache_lines"] == 7
    usual = archprof.compare(["resnet_tiny"], latency=False).environment
    assert usual["cache_lines"] == 64 and usual["fingerprint"] != asked["fingerprint"] == by_keyword["fingerprint"]
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["compare", "resnet_tiny", "--no-latency", "--cache-lines", "none"])
    assert "argument --cache-lines: 'none' is not a positive whole number." in capsys.readouterr().err
    measured = Comparison.from_json(file.read_text())
    measured = dataclasses.replace(measured, architectures=tuple(with_a_time(row) for row in measured.architectures))
    said = " ".join(report.command(measured))
    assert said.startswith("archprof report resnet_tiny --batch-sizes 1") and "--cache-lines 7" in said


def with_a_time(row):
    return dataclasses.replace(row, latency=(Latency(1, (Block(0.01, 5, 1, 1),)),))


# --- what has no effect ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("show resnet_tiny --threads 2", "--threads has no effect without --measure."),
        ("show resnet_tiny --time-budget 3", "--time-budget has no effect without --measure."),
        ("separable resnet_tiny --device cpu", "--device has no effect without --measure."),
        ("compare resnet_tiny --no-latency --precision 0.1", "--precision has no effect with --no-latency."),
        ("compare resnet_tiny --optimizer adam --no-latency", "optimizer 'adam' has no effect on a forward pass."),
        ("env --optimizer adam", "optimizer 'adam' has no effect on a forward pass."),
        ("sweep resnet_tiny -o s.jsonl --no-latency --batch-sizes 1", "--batch-sizes has no effect with --no-latency."),
        ("sweep resnet_tiny -o s.jsonl --no-latency --compile", "--compile has no effect with --no-latency."),
        ("report --from c.json -o out --threads 2", "--threads has no effect with --from."),
        ("report --from c.json -o out --dataset cifar10", "--dataset has no effect with --from."),
        ("report --from c.json -o out --reference x", "--reference has no effect with --from."),
        ("report --from c.json -o out --no-latency", "--no-latency has no effect with --from."),
        ("plot ball --from c.json -o b.svg --batch-sizes 1", "--batch-sizes has no effect with --from."),
        ("plot ball resnet_tiny -o b.svg --precision 0.1", "--precision has no effect on 'ball', which shows counts."),
        ("env --device cuda --no-keep-memory", "whether memory is kept between passes applies to the CPU only;"),
        ("show resnet_tiny --measure --dtype bfloat16", "are counted in float32. Leave out '--dtype'."),
        ("separable resnet_tiny --measure --mode train", "both forms of a convolution are measured in forward passes."),
    ],
)
def test_an_option_without_effect_is_refused(line, said, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_python_refuses_what_is_said_twice_or_unknown():
    with pytest.raises(BadOption, match="both 'conditions' and 'device' are given; give one of them"):
        archprof.compare(["resnet_tiny"], conditions=Conditions(), device="cpu")
    with pytest.raises(TypeError, match=r"compare\(\) has no argument 'thread'. Did you mean 'threads'"):
        archprof.compare(["resnet_tiny"], thread=2)
    with pytest.raises(BadOption, match="'precision' has no effect without latency"):
        archprof.compare(["resnet_tiny"], latency=False, precision=0.1)
