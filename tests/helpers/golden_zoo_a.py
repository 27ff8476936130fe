"""Parameters and mult-adds of the convolutional and residual families: name -> (params, macs).

Mult-adds are for one image at the architecture's own input shape: convolutions and linear layers, biases,
norms, pools and activations not counted. "torchvision" numbers are those of its weights' metadata
(parameters exact, mult-adds to three decimals of 1e9).
"""

from __future__ import annotations

GOLDEN: dict[str, tuple[int, int]] = {
    "alexnet": (61_100_840, 714_188_480),  # torchvision: 61100840, 0.714 G
    "bn_alexnet": (61_119_528, 714_188_480),  # alexnet + 2 * (64 + 192 + 384 + 256 + 256 + 4096 + 4096)
    "vgg11": (132_863_336, 7_609_090_048),  # torchvision: 132863336, 7.609 G
    "vgg13": (133_047_848, 11_308_466_176),  # torchvision: 133047848, 11.308 G
    "vgg16": (138_357_544, 15_470_264_320),  # torchvision: 138357544, 15.470 G; He et al. 2015: 15.3 G
    "vgg19": (143_667_240, 19_632_062_464),  # torchvision: 143667240, 19.632 G; He et al. 2015: 19.6 G
    "vgg11_bn": (132_868_840, 7_609_090_048),  # torchvision: 132868840, 7.609 G
    "vgg13_bn": (133_053_736, 11_308_466_176),  # torchvision: 133053736, 11.308 G
    "vgg16_bn": (138_365_992, 15_470_264_320),  # torchvision: 138365992, 15.470 G; Hu et al. 2017: 15.47 G
    "vgg19_bn": (143_678_248, 19_632_062_464),  # torchvision: 143678248, 19.632 G
    "nin": (7_595_176, 1_100_188_800),  # accuracy-vs-operations study: about 7.6 M; mult-adds counted here
    "bn_nin": (8_655_336, 1_259_939_840),  # counted here
    "enet": (527_764, 235_390_720),  # counted here
    "resnet18": (11_689_512, 1_814_073_344),  # torchvision: 11689512, 1.814 G; He et al. 2015: 1.8 G
    "resnet34": (21_797_672, 3_663_761_408),  # torchvision: 21797672, 3.664 G; He et al. 2015: 3.6 G
    "resnet50": (25_557_032, 4_089_184_256),  # torchvision: 25557032, 4.089 G
    "resnet101": (44_549_160, 7_801_405_440),  # torchvision: 44549160, 7.801 G
    "resnet152": (60_192_808, 11_513_626_624),  # torchvision: 60192808, 11.514 G
    "resnet50_v1": (25_557_032, 3_857_973_248),  # He et al. 2015: 3.8 G; Hu et al. 2017: 3.86 G
    "resnet101_v1": (44_549_160, 7_570_194_432),  # He et al. 2015: 7.6 G; Hu et al. 2017: 7.58 G
    "resnet152_v1": (60_192_808, 11_282_415_616),  # He et al. 2015: 11.3 G; Hu et al. 2017: 11.30 G
    "se_resnet50": (28_088_024, 4_091_699_200),  # Hu et al. 2017, table 10: 28.1 M; mult-adds counted here
    "resnext50_32x4d": (25_028_904, 4_230_479_872),  # torchvision: 25028904, 4.230 G; Hu et al. 2017: 4.24 G
    "resnext101_32x8d": (88_791_336, 16_414_015_488),  # torchvision: 88791336, 16.414 G
    "preact_resnet50": (25_557_032, 4_089_184_256),  # the weights of resnet50, in another order
    "preact_resnet101": (44_549_160, 7_801_405_440),  # the weights of resnet101, in another order
    "preact_resnet152": (60_192_808, 11_513_626_624),  # the weights of resnet152, in another order
    "resnet20_cifar": (269_722, 40_551_040),  # He et al. 2015, table 6: 0.27 M; mult-adds counted here
    "resnet32_cifar": (464_154, 68_862_592),  # He et al. 2015, table 6: 0.46 M; mult-adds counted here
    "resnet56_cifar": (853_018, 125_485_696),  # He et al. 2015, table 6: 0.85 M; mult-adds counted here
    "resnet110_cifar": (1_727_962, 252_887_680),  # He et al. 2015, table 6: 1.7 M; mult-adds counted here
    "plain20_cifar": (269_722, 40_551_040),  # as resnet20_cifar: skips cost no parameters, no mult-adds
    "plain32_cifar": (464_154, 68_862_592),  # as resnet32_cifar
    "plain56_cifar": (853_018, 125_485_696),  # as resnet56_cifar
    "resnet10_cifar": (4_903_242, 253_432_832),  # published params of the exercise; mult-adds counted here
    "resnet_tiny": (95_071, 963_072),  # plain_tiny + shortcuts: 3*9 + 2*9 + 9*36 + 2*36 params
    "plain_tiny": (94_630, 852_480),  # by hand in test_zoo_resnet_small.py
}
