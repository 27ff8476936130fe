"""Exact counts of the MobileNet, SqueezeNet, DenseNet and Inception families, as built by default.

name -> (parameters, mult-adds of one image at the default input); the source stands behind each row, and
"counted here" means: no exact figure is published, this is what the layers of the paper add up to.
"""

from __future__ import annotations

GOLDEN = {
    "mobilenetv1": (4_231_976, 568_740_352),  # Howard et al. 2017, table 4: 4.2 M, 569 M; exact: counted here
    "mobilenetv1_075": (2_585_560, 325_400_448),  # ... table 6: 2.6 M, 325 M
    "mobilenetv1_050": (1_331_592, 149_497_088),  # ... table 6: 1.3 M, 149 M
    "mobilenetv1_025": (470_072, 41_030_272),  # ... table 6: 0.5 M, 41 M
    "mobilenetv1_conv": (29_294_088, 4_867_293_184),  # ... table 4: 29.3 M, 4866 M (0.03 % less than counted)
    "mobilenetv2": (3_504_872, 300_774_272),  # torchvision: 3504872, 0.301 G
    "mobilenetv2_28": (1_760_362, 166_844_672),  # counted here
    "mobilenetv2_28_t4": (1_184_746, 110_804_352),  # printed: 1,184,746; mult-adds counted here
    "squeezenet1_0": (1_248_424, 818_924_576),  # torchvision: 1248424, 0.819 G
    "squeezenet1_1": (1_235_496, 349_151_936),  # torchvision: 1235496, 0.349 G
    "squeezenet1_0_simple_bypass": (1_248_424, 818_924_576),  # bypass without weights: as squeezenet1_0
    # as squeezenet1_0, and 96*128+128, 128*256+256, 256*384+384, 384*512+512 around fire2, 4, 6, 8
    "squeezenet1_0_complex_bypass": (1_248_424 + 341_248, 1_165_298_720),  # mult-adds counted here
    "densenet121": (7_978_856, 2_834_161_664),  # torchvision: 7978856, 2.834 G
    "densenet161": (28_681_000, 7_727_907_072),  # torchvision: 28681000, 7.728 G
    "densenet169": (14_149_480, 3_359_843_328),  # torchvision: 14149480, 3.36 G
    "densenet201": (20_013_928, 4_291_365_888),  # torchvision: 20013928, 4.291 G
    "googlenet": (6_624_904, 1_498_376_192),  # torchvision: 6624904, 1.498 G, both without auxiliary heads
    "inception_v2": (11_285_224, 2_032_600_064),  # Hu et al. 2017, table 2: 2.03 G; exact: counted here
    "inception_v3": (23_834_568, 5_713_216_096),  # torchvision: 5.713 G, 27161264 - 3326696 (auxiliary head)
    "inception_v4": (42_679_816, 12_253_974_624),  # timm inception_v4: 42,679,816; mult-adds counted here
    "inception_resnet_v2": (55_843_464, 13_155_794_016),  # timm inception_resnet_v2: 55,843,464; ditto
}
