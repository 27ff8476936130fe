"""What a caller in Python may hand over, and what is said where it is something else."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

import archprof
from archprof import models
from archprof.base.errors import BadOption, BuildFailed
from archprof.models import given


class Net(nn.Sequential):
    input_shape = (4,)

    def __init__(self, width: int = 3):
        super().__init__(nn.Linear(4, width), nn.ReLU())


class Needs(nn.Linear):
    pass


class Raising(nn.Module):
    def __init__(self):
        raise ValueError("not today")


def make():
    return nn.Linear(5, 2)


make.input_shape = (5,)


def test_a_class_is_built_as_its_name_would_be():
    found = archprof.profile(Net)
    assert (found.parameters, found.macs, found.input_shape) == (4 * 3 + 3, 4 * 3, (4,))
    assert archprof.profile(make).macs == 10
    assert archprof.profile(functools.partial(Net, width=6), torch.zeros(1, 4)).macs == 24
    assert isinstance(models.load(Net), Net)


def test_a_class_that_needs_arguments_is_to_be_called():
    with pytest.raises(BadOption) as raised:
        archprof.profile(Needs)
    assert str(raised.value) == (
        "Needs: 'Needs' needs in_features and out_features. Write 'Needs(in_features=..., out_features=...)'."
    )


@pytest.mark.parametrize(
    ("thing", "error", "says"),
    [
        (3, BadOption, "a model cannot be of type int; expected a name such as 'resnet50', a torch.nn.Module, or"),
        (None, BadOption, "a model cannot be of type NoneType"),
        (["resnet18"], BadOption, "cannot be of type list; .* Several networks are for archprof.compare"),
        ({"a": Net()}, BadOption, "cannot be of type dict; .* Several networks are for archprof.compare"),
        (b"resnet18", BadOption, "cannot be of type bytes"),
        (torch.zeros(3), BadOption, "cannot be of type Tensor"),
        (int, BuildFailed, "'int' returns a int, not a torch.nn.Module"),
        (Raising, BuildFailed, "not today"),
    ],
)
def test_anything_else_is_refused(thing, error, says):
    with pytest.raises(error, match=says) as raised:
        archprof.profile(thing)
    assert str(raised.value).isprintable()


def test_a_dict_names_its_networks():
    result = archprof.compare({"a": Net(), "b": Net(6), "c": Net, "d": "resnet_tiny"}, latency=False, input_shape=None)
    rows = {row.name: row for row in result.architectures}
    assert list(rows) == ["a", "b", "c", "d"] and result.reference == "d"
    assert rows["d"].profile.parameters == archprof.profile("resnet_tiny").parameters
    assert rows["c"].profile.macs == 12
    same = archprof.compare({"a": Net(), "b": Net(6)}, latency=False, input_shape=(4,), reference="a")
    assert [row.profile.macs for row in same.architectures] == [12, 24]


def test_a_dict_is_measured():
    result = archprof.compare({"a": Net(), "b": Net}, input_shape=(4,), batch_sizes=(2,), time_budget=0.1)
    assert [row.latency[0].error for row in result.architectures] == [None, None]


def test_one_network_is_not_taken_apart():
    assert given.named("resnet18") == [(None, "resnet18")]
    net = Net()
    assert given.named(net) == [(None, net)]
    assert given.named([net, Net]) == [(None, net), (None, Net)]
    assert archprof.compare(net, latency=False, input_shape=(4,)).architectures[0].name == "Net"


def test_two_of_one_class_need_names():
    with pytest.raises(BadOption, match=r"'Net' is named twice\. Name each network once; a dict gives names"):
        archprof.compare([Net(), Net(6)], latency=False)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x1b[2J", "a" * 81, 3, None, ("a", 1)])
def test_names_in_a_dict_are_plain(name):
    with pytest.raises(BadOption, match="cannot be the name of a network") as raised:
        archprof.compare({name: Net()}, latency=False)
    assert str(raised.value).isprintable() and len(str(raised.value)) < 300


@pytest.mark.parametrize("thing", [3, [3], {"a": 3}, [None], object()])
def test_others_among_several_are_refused(thing):
    with pytest.raises(BadOption, match="a model cannot be of type"):
        archprof.compare(thing, latency=False)
