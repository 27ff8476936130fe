"""Optimizers as they are asked for."""

from __future__ import annotations

import pytest

from archprof.base.errors import BadOption
from archprof.results.conditions import Conditions
from archprof.results.optimizers import chosen


def test_a_name_alone_is_the_tables():
    assert chosen("sgd") == ("sgd", {"momentum": 0.9})
    assert chosen(" adamw() ") == ("adamw", {})


def test_options_are_torchs_arguments():
    found = chosen("adamw(fused=true, weight_decay=0.01)")
    assert found == ("adamw", {"fused": True, "weight_decay": 0.01})
    assert chosen("sgd(nesterov=TRUE)").arguments == {"momentum": 0.9, "nesterov": True}
    assert chosen("sgd(momentum=0)").arguments == {"momentum": 0.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("adam w", "unknown optimizer 'adam w'"),
        ("adawm", "Did you mean 'adam', 'adamw'"),
        ("adamw(fused)", "option 'fused' of adamw is ''; expected true or false"),
        ("adamw(fusd=true)", "unknown option 'fusd' of optimizer adamw. Did you mean 'fused'"),
        ("adamw(fused=1)", "'1'; expected true or false"),
        ("adamw(lr=0.1)", "changes neither time nor memory"),
        ("sgd(momentum=nan)", "expected a number from 0 on"),
        ("sgd(momentum=-1)", "expected a number from 0 on"),
        ("sgd(momentum=0, nesterov=true)", "nesterov needs momentum"),
        ("adam(fused=true, foreach=true)", "exclude each other"),
        ("adam(amsgrad=true, amsgrad=false)", "given twice"),
        ("asgd(weight_decay=1)", "asgd takes none"),
        ("sgd(momentum=0.9", "unknown optimizer"),
        ("sgd)(", "unknown optimizer"),
        ("", "unknown optimizer ''"),
        ("\x1b[31mred", "unknown optimizer"),
    ],
)
def test_anything_else_is_refused_in_one_line(text, said):
    with pytest.raises(BadOption) as refused:
        Conditions(mode="train", optimizer=text)
    assert said in str(refused.value) and "\n" not in str(refused.value) and "\x1b" not in str(refused.value)


def test_a_batch_is_divided_in_equal_parts():
    assert Conditions(accumulate=4).part_of(32) == 8
    with pytest.raises(BadOption, match="a batch of 6 has no 4 equal parts"):
        Conditions(accumulate=4).part_of(6)


@pytest.mark.parametrize("option", [{"optimizer": "adam"}, {"accumulate": 2}, {"zero_grad": "zero"}])
def test_an_option_of_steps_is_refused_where_none_is_run(option):
    conditions = Conditions(**option)
    with pytest.raises(BadOption, match="has no effect on a forward pass"):
        conditions.refuse_unused()
    conditions.refuse_unused(for_largest_batch=True)
    Conditions(mode="train", **option).refuse_unused()
