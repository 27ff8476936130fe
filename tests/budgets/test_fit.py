"""archprof fit: which members are tried, which fit, and in which order they are told."""

from __future__ import annotations

import json
import shlex

import pytest
from helpers.budget_records import network

from archprof import cli
from archprof.base.errors import BadOption, ForwardFailed, UnknownModel
from archprof.budgets import fit
from archprof.budgets.limits import MEASURES, parse_limit
from archprof.models.spec import parse

TASK = {"input_shape": (3, 32, 32), "num_classes": 10}


def limits(**texts):
    return {key: parse_limit(text, key, MEASURES[key]) for key, text in texts.items()}


def by_width(model, feed, training):
    """A profile in which the width alone counts: 16 channels for the whole network."""
    return network(round(16 * parse(model).keywords.get("width", 1)), model)


def test_the_ten_layer_network_is_among_the_answers():
    found = fit.members("resnet18(width=1.0)", limits(parameters="< 5 M"), **TASK)
    counts = {tuple(member.changed.items()): member.profile.parameters for member in found.members}
    assert counts[(("blocks", (1, 1, 1, 1)),)] == 4_903_242
    assert max(counts.values()) < 5_000_000
    assert found.members[0].spec == "resnet18(width=1.0,num_classes=10,small_input=True,blocks=(2,1,1,1))"
    assert found.failed == 0
    assert found.tried == 2**4 * 2  # one block or two in each of 4 stages, separable or not


def test_every_combination_is_tried():
    found = fit.members("resnet18", limits(parameters="1 M"), profile=by_width, **TASK)
    assert found.tried == len(found.members) == 2**4 * 2 * len(fit.WIDTHS)
    assert len({member.spec for member in found.members}) == found.tried


def test_limits_hold_together_and_minima_too():
    found = fit.members("mobilenetv1@128", limits(parameters="at least 1 M", peak_activation_bytes="2 MiB"))
    assert found.members
    for member in found.members:
        assert member.profile.parameters >= 1_000_000
        assert member.profile.peak_activation_bytes <= 2 * 2**20
        assert member.spec.endswith("@128")


def test_best_first_by_the_stated_rule():
    found = fit.members("mobilenetv1", limits(parameters="500"), profile=by_width)
    ranks = [(len(member.changed), -member.profile.macs) for member in found.members]
    assert ranks == sorted(ranks)
    # 38 parameters a channel and 10: 12 channels fit, which is three quarters of the width
    assert dict(found.members[0].changed) == {"width": 0.75}
    assert found.members[0].spec == "mobilenetv1(width=0.75)"


def test_the_resolution_is_tried_only_where_it_is_open():
    def sides(**given):
        found = fit.members("mobilenetv1", limits(parameters="1 M"), profile=by_width, **given)
        return {parse(member.spec).resolution for member in found.members}

    assert sides() == {None, 128, 160, 192}
    assert sides(input_shape=(3, 96, 96)) == {None}


def test_what_the_user_states_stays():
    stated = "resnet18(width=0.5, small_input=false)"
    found = fit.members(stated, limits(parameters="1 M"), profile=by_width, **TASK)
    assert {parse(member.spec).keywords["width"] for member in found.members} == {0.5}
    assert {parse(member.spec).keywords["small_input"] for member in found.members} == {False}


def test_long_stages_are_tried_in_quarters():
    found = fit.members("resnet101(width=1.0)", limits(parameters="1 M"), profile=by_width, num_classes=10)
    tried = {parse(member.spec).keywords.get("blocks", (3, 4, 23, 3)) for member in found.members}
    assert sorted({blocks[2] for blocks in tried}) == [6, 12, 18, 23]


def test_every_answer_is_a_name_that_can_be_built_again():
    found = fit.members("resnet34", limits(parameters="< 1 M"), input_shape=(3, 32, 32), profile=by_width)
    for member in found.members[:50]:
        spec = parse(member.spec)
        assert fit.written(spec.target, spec.keywords, spec.resolution) == member.spec


def test_nothing_to_vary_and_unknown_names_are_said():
    with pytest.raises(BadOption, match=r"vgg16 has no option that could be varied\..*resnet18"):
        fit.members("vgg16", limits(macs="1 G"), input_shape=(3, 224, 224))
    with pytest.raises(UnknownModel, match=r"'resnet181' is not a network of the zoo\. Did you mean 'resnet18'"):
        fit.members("resnet181", limits(macs="1 G"))
    with pytest.raises(UnknownModel, match="'timm:resnet18' is not a network of the zoo"):
        fit.members("timm:resnet18", limits(macs="1 G"))


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """The command with networks made by hand, and none counted before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("archprof.budgets.networks.count", by_width)

    def command(*options):
        code = cli.main(["fit", *options])
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return command


def test_the_command_shows_a_table_and_how_to_compare(run):
    code, out, _ = run("mobilenetv1", "--parameters", "< 400", "--input-shape", "3,32,32", "--top", "2")
    assert code == 0
    assert (
        "".join(f"{line.rstrip()}\n" for line in out.splitlines())
        == """\
Members of mobilenetv1

 Changed       Params   Mult-Adds   Activations       Peak
 ─────────────────────────────────────────────────────────
 width=0.625      390      17.4 k           650   5.00 KiB
 width=0.5        314      13.9 k           522   4.00 KiB

5 fit of 10 members tried; fewest options changed first, then most mult-adds, then fewest parameters.
compare: archprof compare 'mobilenetv1(width=0.625)' 'mobilenetv1(width=0.5)' 'mobilenetv1(width=0.375)' \
mobilenetv1 --input-shape 3,32,32
"""
    )


def test_the_command_as_json(run):
    code, out, _ = run("mobilenetv1", "--parameters", "< 400", "--input-shape", "3,32,32", "--json")
    whole = json.loads(out)
    assert (code, whole["tried"], len(whole["members"])) == (0, 10, 5)
    assert whole["members"][0]["model"] == "mobilenetv1(width=0.625)"
    assert whole["members"][0]["changed"] == {"width": 0.625}
    assert shlex.split(whole["compare"])[:3] == ["archprof", "compare", "mobilenetv1(width=0.625)"]


def test_nothing_fits_is_1_and_no_limit_is_2(run):
    code, out, _ = run("mobilenetv1", "--parameters", "at least 100", "--macs", "< 5 k")
    assert (code, out) == (1, "40 members tried; none of them fits every limit.\n")
    code, _, err = run("mobilenetv1")
    assert code == 2 and "fit needs a limit; expected one or more of --parameters" in err
    code, _, err = run("mobilenetv1", "--peak-activations", "8")
    assert code == 2 and "--peak-activations '8': the unit is missing" in err


def test_what_no_member_can_reach_is_said_at_once(run, monkeypatch):
    counted = []

    def counting(model, feed, training):
        counted.append(model)
        return by_width(model, feed, training)

    monkeypatch.setattr("archprof.budgets.networks.count", counting)
    code, out, _ = run("mobilenetv1", "--parameters", "5")
    assert code == 1
    # 2 of 16 channels: 38 parameters each, and 10
    assert out == (
        "At most 5 parameters were asked for; the smallest member, mobilenetv1(width=0.125), has 86 parameters.\n"
        "An amount takes a unit: '5 M' is 5 million.\n"
    )
    assert len(counted) == 4  # the narrowest at each resolution, of 40 members
    code, out, _ = run("mobilenetv1", "--macs", "1 k", "--parameters", "5 M", "--input-shape", "3,32,32")
    # 64 positions * 27 * 2 channels, and 10 * 2
    assert out == (
        "At most 1 k mult-adds were asked for; the smallest member, mobilenetv1(width=0.125), has 3,476 mult-adds.\n"
    )
    code, out, _ = run("mobilenetv1", "--file-size", "1 B", "--input-shape", "3,32,32")
    assert out == (
        "At most 1 B to save were asked for; the smallest member, mobilenetv1(width=0.125), takes 344 bytes to save.\n"
    )
    code, out, _ = run("mobilenetv1", "--parameters", "> 0.5 x resnet50(width=20)")
    assert out == (
        "More than 0.5 x resnet50(width=20) (6,085) parameters were asked for; "
        "the largest member, mobilenetv1(width=1.5), has 922 parameters.\n"
    )


def test_the_smallest_member_is_the_smallest_of_all():
    """Corners are counted instead of the whole family: they have to hold its extremes."""
    small = (3, 32, 32)
    families = (("resnet18(width=0.25)", small), ("resnet18(blocks=(1,1,1,1))", small), ("mobilenetv1", None))
    for name, shape in families:
        everyone = fit.members(name, limits(parameters="at least 1"), input_shape=shape).members
        for key in ("parameters", "macs", "activations", "peak_activation_bytes"):
            unit = " B" if key.endswith("bytes") else ""
            for text, pick in ((f"1{unit}", min), (f"at least 900 T{unit}".replace("T B", "TB"), max)):
                (missed,) = fit.members(name, limits(**{key: text}), input_shape=shape).missed
                assert missed.value == pick(MEASURES[key].value(member.profile) for member in everyone)


def test_what_fits_nobody_as_json_names_the_closest(run):
    code, out, _ = run("mobilenetv1", "--parameters", "5", "--input-shape", "3,32,32", "--json")
    whole = json.loads(out)
    assert (code, whole["members"], whole["tried"]) == (1, [], 1)
    assert whole["closest"] == [
        {"measure": "parameters", "limit": "≤ 5", "model": "mobilenetv1(width=0.125)", "value": 86}
    ]


def test_a_reference_that_is_not_there_is_2_before_anything_is_counted(run, monkeypatch):
    from archprof.budgets import networks

    def only_real(model, feed, training):
        assert model == "nope"
        raise UnknownModel("unknown model 'nope'.")

    monkeypatch.setattr(networks, "count", only_real)
    code, out, err = run("mobilenetv1", "--parameters", "0.6 x nope")
    assert (code, out) == (2, "")
    assert err == "archprof: --parameters '0.6 x nope': unknown model 'nope'.\n"


def test_a_family_of_which_nothing_runs_is_2_with_the_reason(run):
    def broken(model, feed, training):
        raise ForwardFailed(f"{model} cannot take an input of 1x3x1x1: too small.")

    with pytest.raises(ForwardFailed, match=r"none of the 10 members could be counted; the first: .*too small"):
        fit.members("mobilenetv1", limits(parameters="5 M"), input_shape=(3, 1, 1), profile=broken)
