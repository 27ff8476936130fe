"""Which networks share a colour and a line: decided by the design that a name tells."""

from __future__ import annotations

import pytest

from archprof.results.families import family_of


@pytest.mark.parametrize(
    "name, filed, family",
    [
        ("mobilenetv1@192", "mobilenetv1", "mobilenet"),
        ("mobilenetv1(width=0.5)@160", "mobilenetv1", "mobilenet"),
        ("torchvision:mobilenet_v2", "mobilenet_v2", "mobilenet"),
        ("mobilenetv1_conv", "mobilenetv1", "mobilenet (standard)"),
        ("mobilenetv1_conv(width=0.5)@160", "mobilenetv1", "mobilenet (standard)"),
        ("torchvision:resnext50_32x4d", "resnet", "resnext"),
        ("se_resnet50", "resnet", "resnet"),
        ("preact_resnet50", "preact_resnet", "resnet"),
        ("resnet20_cifar", "resnet_cifar", "resnet"),
        ("plain20_cifar", "resnet_cifar", "plain"),
        ("plain_tiny", "resnet_tiny", "plain"),
        ("resnet_tiny(activation=leaky_relu)", "resnet_tiny", "resnet"),
        ("bn_nin", "nin", "nin"),
        ("bn_alexnet", "alexnet", "alexnet"),
        ("googlenet", "googlenet", "inception"),
        ("inception_resnet_v2", "inception_v4", "inception"),
        ("squeezenet1_0", "squeezenet", "squeezenet"),
        ("timm:regnety_004", "", "regnety"),
        ("timm:regnety_004", "regnet", "regnet"),
        ("mynet(stem=vgg)", "mine", "mine"),
        ("mynet(stem=vgg)", "", "mynet"),
        ("Backbone", "my_resnet_file", "resnet"),
        ("123", "", "123"),
    ],
)
def test_the_family_of_a_name(name, filed, family):
    assert family_of(name, filed) == family
