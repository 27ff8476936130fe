"""Budgets of real networks: counted, not made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from archprof.base.errors import ForwardFailed
from archprof.base.units import count
from archprof.budgets import judging as budgets
from archprof.budgets import lock, networks
from archprof.budgets.budget import Budget
from archprof.budgets.judging import check
from archprof.budgets.verdict import exit_code
from archprof.render.tables.verdicts import reasons, sentence


class Net(nn.Module):
    """A user's classifier: a stem, one 3x3 convolution of `width` channels, a 1x1 that mixes them, a head."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2, 1)
        self.body = nn.Conv2d(32, width, 3, 2, 1)
        self.mix = nn.Conv2d(width, 16, 1)
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        x = self.mix(self.body(self.stem(x)).relu())
        return self.head(x.mean((2, 3)))


KEYS = {"input_shape": [3, 32, 32], "name": "net", "macs": "1.55 M", "parameters": "21 k"}


def test_widening_one_layer_by_8_channels_turns_the_check_red_and_names_it():
    budget = Budget.of(Net(64), **KEYS)
    before = check([budget])
    # stem 3*3*3*32 * 16*16, body 3*3*32*64 * 8*8, mix 64*16 * 8*8, head 16*10
    assert before[0].profile.macs == 221_184 + 1_179_648 + 65_536 + 160
    assert exit_code(before) == 0
    baselines = lock.from_json(lock.to_json(budgets.accept(before, {}, ["net"])))

    after = check([Budget.of(Net(72), **KEYS)], baselines)
    assert exit_code(after) == 1
    over = {verdict.measure: verdict for verdict in after[0].verdicts if verdict.status == "over"}
    assert set(over) == {"parameters", "macs"}
    assert sentence(over["parameters"]) == (
        "net has 23,042 parameters, 2,042 more than the 21 k allowed. "
        "body (conv 3x3) weighs most: 20,808 parameters, 90.3 % of them."
    )
    assert reasons(over["macs"])[-2:] == [
        "changed    body (conv 3x3) went from 1,179,648 to 1,327,104 (+12.50 %)",
        "           mix (conv 1x1) went from 65,536 to 73,728 (+12.50 %)",
    ]


def test_every_measure_of_a_real_network_can_be_limited():
    sizes = dict.fromkeys(("parameter_bytes", "peak_activation_bytes", "training_bytes", "file_size"), "1 GiB")
    found = check(
        [
            Budget.of(
                Net(),
                input_shape=[3, 32, 32],
                parameters="1 M",
                trainable_parameters="1 M",
                macs="1 G",
                activations="1 M",
                **sizes,
            )
        ]
    )[0]
    values = {verdict.measure: verdict.value for verdict in found.verdicts}
    assert {verdict.status for verdict in found.verdicts} == {"within"}
    assert values["parameter_bytes"] == values["file_size"] == 4 * values["parameters"]
    # parameters, as many gradients, and at least the outputs of stem and body, kept for the backward pass
    assert values["training_bytes"] >= 8 * values["parameters"] + 4 * (32 * 16 * 16 + 64 * 8 * 8)


def test_file_size_is_that_of_what_is_saved():
    class Buffered(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("kept", torch.zeros(100))
            self.register_buffer("scratch", torch.zeros(10_000), persistent=False)
            self.fc = nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(x)

    model = Buffered()
    found = check([Budget.of(model, file_size="1 MB", input_shape=[4])])[0].verdicts[0]
    assert found.value == 4 * (100 + 4 * 2 + 2)
    assert found.value == sum(tensor.nbytes for tensor in model.state_dict().values())


def test_a_network_of_the_zoo_against_another_and_one_that_fails():
    shape = [3, 32, 32]
    small = Budget.of("resnet10_cifar", parameters="< 5 M")
    fewer = Budget.of("mobilenetv1", name="relative", macs="0.4 x resnet18", input_shape=shape)
    fails = Budget.of("resnet10_cifar", name="two dimensions", macs="1 G", input_shape=[32, 32])
    found = check([small, fewer, fails])
    assert [one.verdicts[0].status for one in found] == ["within", "within", "error"]
    assert found[0].verdicts[0].value == 4_903_242
    assert count(found[0].verdicts[0].bound) == "5.00 M"
    assert exit_code(found) == 2


def test_only_the_largest_changes_are_named_to_people():
    shape = [3, 32, 32]
    before = check([Budget.of("resnet18", name="net", parameters="5 M", input_shape=shape)])
    baselines = budgets.accept(before, {}, ["net"])
    halved = Budget.of("resnet18(width=0.5)", name="net", parameters="5 M", input_shape=shape)
    (verdict,) = check([halved], baselines)[0].verdicts
    assert len(verdict.changed) == 41  # 20 convolutions, as many batch norms, and the classifier
    assert len(reasons(verdict)) == 3 + 6 + 1
    assert reasons(verdict)[-1] == "           and 35 more; --json names all"


def test_a_real_operator_of_ones_own_is_allowed_by_name():
    with torch.library._scoped_library("archprof_budget_test", "DEF") as library:
        library.define("fused_act(Tensor x) -> Tensor")
        library.impl("fused_act", torch.empty_like, "Meta")
        operator = torch.ops.archprof_budget_test.fused_act

        class Net(nn.Conv2d):
            def forward(self, x):
                return operator(super().forward(x))

        def statuses(*allowed):
            keys = {"macs": "1 M", "input_shape": (3, 8, 8), "allow_uncounted": allowed}
            return [verdict.status for verdict in check([Budget.of(Net(3, 4, 1), **keys)])[0].verdicts]

        assert statuses() == ["within", "over"]
        assert statuses("archprof_budget_test::fused_act") == ["within", "within"]
        assert statuses("archprof_budget_test.fused_act") == ["within", "within"]


class Tokens(nn.Module):
    """Token ids and a mask: an embedding of 100 words, then a linear layer for each word."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(100, 8), nn.Linear(8, 4)

    def forward(self, ids, mask):
        return self.head(self.words(ids) * mask.unsqueeze(-1))


def test_several_inputs_with_types_are_given_as_stated():
    budget = Budget.of(
        Tokens(), input=["ids=int64[16]<100", "mask=bool[16]"], batch_size=3, macs="1 k", activations="1 k"
    )
    (checked,) = check([budget])
    # 3 samples of 16 words, 8 features to 4
    assert checked.profile.macs == 3 * 16 * 8 * 4 and checked.profile.activations == 3 * 16 * 4
    assert [(verdict.measure, verdict.status) for verdict in checked.verdicts] == [
        ("macs", "over"),
        ("activations", "within"),
    ]
    assert checked.profile.batch_size == 3


def test_inputs_are_fed_to_a_training_pass_and_kept_in_the_baseline():
    keys = {"name": "tokens", "training_bytes": {"growth": "0 %"}}
    long = Budget.of(Tokens(), input=["ids=int64[16]<100", "mask=bool[16]"], **keys)
    baselines = lock.from_json(lock.to_json(budgets.accept(check([long], growth=False), {}, ["tokens"])))
    assert baselines["tokens"].inputs == ("ids=int64[16]<100", "mask=bool[16]")
    assert exit_code(check([long], baselines)) == 0
    other = Budget.of(Tokens(), input=["ids=int64[16]<50", "mask=bool[16]"], **keys)
    (verdict,) = check([other], baselines)[0].verdicts
    assert verdict.status == "error" and verdict.detail.startswith(
        "the baseline was taken at batch 1 of ids=int64[16]<100 and mask=bool[16], "
        "this is batch 1 of ids=int64[16]<50 and mask=bool[16];"
    )


def test_inputs_too_large_to_make_are_an_error_of_that_budget(monkeypatch):
    def no_memory(specs, batch_size):
        raise RuntimeError("can't allocate memory")

    monkeypatch.setattr("archprof.counting.inputs.given_inputs", no_memory)
    budget = Budget.of(Tokens(), input=["ids=int64[1000000,1000000]<100", "mask=bool[16]"], macs="1 k")
    (verdict,) = check([budget])[0].verdicts
    assert verdict.status == "error" and "cannot be made at batch size 1" in verdict.detail


def test_a_latency_limit_is_measured_at_the_stated_inputs(monkeypatch):
    given = {}

    def compare(models, **keys):
        given.update(keys, models=models)
        raise ForwardFailed("stop here.")

    monkeypatch.setattr("archprof.runs.compare.compare", compare)
    net = Tokens()
    budget = Budget.of(net, input="ids=int64[16]<100", latency={"batch_size": 4, "at_most": "2 x nin"})
    with pytest.raises(ForwardFailed):
        networks.measure_ratio(net, "nin", replace(budget.feed, batch_size=4))
    args, kwargs = given["inputs"](4)
    assert given["models"] == [net, "nin"] and given["batch_sizes"] == (4,)
    assert args == () and kwargs["ids"].shape == (4, 16) and kwargs["ids"].dtype == torch.int64
