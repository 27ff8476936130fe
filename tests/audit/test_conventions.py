"""torchinfo's and torchsummary's memory figures, to the printed digit, from our records."""

from __future__ import annotations

import pytest

from archprof.audit import conventions
from archprof.counting import counts


def test_torchinfo_resnet50() -> None:
    estimate = conventions.torchinfo(counts.profile("resnet50", batch_size=32))
    assert estimate.printed == ("19.27", "5690.62", "102.23", "5812.11")


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("alexnet", ("0.57", "8.38", "233.08", "242.03")),
        ("mobilenetv1", ("0.57", "115.43", "16.14", "132.15")),
        ("resnet50", ("0.57", "286.56", "97.49", "384.62")),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_torchsummary(name: str, printed: tuple[str, ...], batch_size: int) -> None:
    assert conventions.torchsummary(counts.profile(name, batch_size=batch_size)).printed == printed


@pytest.mark.parametrize("name", ["alexnet", "squeezenet1_0", "densenet121", "resnet18", "googlenet"])
def test_torchinfo_itself_says_so(name: str) -> None:
    torchinfo = pytest.importorskip("torchinfo")
    profile = counts.profile(name, batch_size=2)
    module = counts.subject_of(name).module
    said = torchinfo.summary(module, input_size=(2, *profile.input_shape), device="meta", verbose=0)
    estimate = conventions.torchinfo(profile)
    assert estimate.forward_backward_bytes == said.total_output_bytes
    assert estimate.parameter_bytes == said.total_param_bytes
