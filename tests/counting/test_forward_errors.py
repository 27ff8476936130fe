"""What goes wrong in a forward is told in one line: which module, its own words, what would be accepted."""

from __future__ import annotations

import pytest
import torch
from helpers.truths import Does, T
from torch import Tensor, nn

from archprof.base.errors import ForwardFailed
from archprof.counting.counts import profile


def _error(network: nn.Module, *inputs: object, **kwargs: object) -> str:
    with pytest.raises(ForwardFailed) as caught:
        profile(network, inputs, kwargs)
    text = str(caught.value)
    assert "\n" not in text
    return text


class TwoInputs(nn.Module):
    def forward(self, image: Tensor, mask: Tensor, *, scale: float = 1.0) -> Tensor:
        return image * mask * scale


def test_inputs_that_do_not_fit_the_signature() -> None:
    for text in (
        _error(TwoInputs(), T(2)),
        _error(TwoInputs(), T(2), T(2), T(2)),
        _error(TwoInputs(), T(2), T(2), size=2),
    ):
        assert text.startswith("TwoInputs: ")
        assert text.endswith("forward takes (image: torch.Tensor, mask: torch.Tensor, *, scale: float = 1.0).") or (
            "forward takes (image" in text
        )


def test_a_layer_that_refuses_its_input_is_named() -> None:
    text = _error(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.ReLU(), nn.Linear(5, 7))), T(1, 3, 8, 8))
    assert "layer '1.1' (Linear) says: " in text
    assert "1x3x8x8" in text


def test_a_module_that_raises_is_quoted() -> None:
    def forward(x: Tensor) -> Tensor:
        raise KeyError("no such head")

    assert "no such head" in _error(Does(forward), T(1, 3))
    assert "layer '0' (Does) says" in _error(nn.Sequential(Does(forward)), T(1, 3))


def test_an_empty_message_still_says_what_happened() -> None:
    def forward(x: Tensor) -> Tensor:
        raise NotImplementedError

    assert "NotImplementedError" in _error(Does(forward), T(1, 3))
    assert "AssertionError" in _error(nn.Sequential(Does(_assert_nothing)), T(1, 3))


def _assert_nothing(x: Tensor) -> Tensor:
    raise AssertionError


def test_a_network_without_a_forward() -> None:
    class Nothing(nn.Module):
        pass

    assert "forward" in _error(Nothing(), T(1, 3))


def test_on_meta_and_looking_at_values() -> None:
    """Its weights have no values: a real pass cannot help, and the reason is given."""

    def forward(layer: nn.Linear, x: Tensor) -> Tensor:
        return layer(x) if layer.weight.sum() > 0 else x

    with torch.device("meta"):
        layer = nn.Linear(3, 3)
    text = _error(Does(forward, layer), T(2, 3))
    assert "meta" in text


def test_on_a_device_that_is_gone() -> None:
    """Shapes need no device: what cannot be moved back to its device is counted all the same."""
    with torch.device("meta"):
        layer = nn.Linear(3, 3)
    with pytest.raises(Exception, match="privateuseone"):
        layer.to(torch.device("privateuseone"))  # no such backend is loaded
    assert profile(layer, (T(2, 3),)).macs == 2 * 3 * 3


def test_training_needs_something_to_train() -> None:
    with pytest.raises(ForwardFailed, match="trainable"):
        profile(nn.ReLU(), (T(2, 3),), mode="train")


def test_an_error_that_cannot_be_read_is_said_so() -> None:
    class Unreadable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    def forward(x: torch.Tensor) -> torch.Tensor:
        raise Unreadable

    with pytest.raises(ForwardFailed, match="its text cannot be read, for reading it raises RuntimeError"):
        profile(Does(forward), (T(1),))
