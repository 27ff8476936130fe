"""Networks by which predicted memory is judged: of the libraries, and made by hand, a kind of layer each."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

#: Of torchvision and timm: convolutions of every kind, attention, mixers, state spaces of tokens.
LIBRARIES = tuple(
    "torchvision:alexnet torchvision:convnext_tiny torchvision:densenet121 torchvision:efficientnet_b0 "
    "torchvision:efficientnet_v2_s torchvision:googlenet torchvision:inception_v3 torchvision:maxvit_t "
    "torchvision:mnasnet1_0 torchvision:mobilenet_v2 torchvision:mobilenet_v3_small torchvision:regnet_y_400mf "
    "torchvision:resnet18 torchvision:resnext50_32x4d torchvision:shufflenet_v2_x1_0 torchvision:squeezenet1_1 "
    "torchvision:swin_t torchvision:swin_v2_t torchvision:vgg11_bn torchvision:vit_b_16 "
    "timm:beit_base_patch16_224 timm:cait_xxs24_224 timm:coat_tiny timm:convmixer_768_32 timm:crossvit_tiny_240 "
    "timm:deit_tiny_patch16_224 timm:dla34 timm:edgenext_xx_small timm:efficientformer_l1 timm:fastvit_t8 "
    "timm:gmlp_s16_224 timm:hrnet_w18_small timm:levit_128s timm:mixer_s16_224 timm:mobilevit_xxs timm:nfnet_l0 "
    "timm:pit_ti_224 timm:poolformer_s12 timm:resnest14d timm:xcit_nano_12_p16_224".split()
)


class First(nn.Module):
    """The output of a recurrent layer, without its state."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)[0]


class Attends(nn.Module):
    """Attention of eight heads, with so many for keys and values, and a mask of a type."""

    def __init__(self, heads: int = 8, mask: torch.dtype | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.mask, self.dropout = heads, mask, dropout
        self.q, self.k, self.v = nn.Linear(128, 128), nn.Linear(128, 16 * heads), nn.Linear(128, 16 * heads)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        q, k, v = (one(x).view(batch, length, -1, 16).transpose(1, 2) for one in (self.q, self.k, self.v))
        mask = None if self.mask is None else torch.ones(length, length, device=x.device).tril().to(self.mask)
        dropout = self.dropout if self.training else 0.0
        y = functional.scaled_dot_product_attention(q, k, v, mask, dropout, enable_gqa=self.heads < 8)
        return y.transpose(1, 2).reshape(batch, length, 128)


class Heads(nn.Module):
    """nn.MultiheadAttention, which may be asked for its weights."""

    def __init__(self, need_weights: bool) -> None:
        super().__init__()
        self.heads, self.need_weights = nn.MultiheadAttention(128, 8, batch_first=True), need_weights

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.heads(x, x, x, need_weights=self.need_weights)[0]


def encoder(**options: object) -> nn.Module:
    """Two layers of nn.TransformerEncoder."""
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(128, 8, 256, batch_first=True, **options), 2)


def stack(*layers: nn.Module) -> nn.Module:
    """Layers with an activation behind each."""
    return nn.Sequential(*[part for layer in layers for part in (layer, nn.ReLU())])


TOKENS, LINE, IMAGE, VOLUME, FLAT = (64, 128), (32, 400), (16, 48, 48), (8, 12, 24, 24), (512,)

MADE: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "conv1d": (lambda: stack(nn.Conv1d(32, 64, 5, padding=2), nn.Conv1d(64, 64, 5, padding=2)), LINE),
    "conv1d, strided": (lambda: stack(nn.Conv1d(32, 64, 7, 4), nn.Conv1d(64, 128, 3, 2)), LINE),
    "conv1d, dilated": (lambda: stack(nn.Conv1d(32, 64, 3, dilation=4), nn.Conv1d(64, 64, 3, dilation=8)), LINE),
    "conv1d, grouped": (lambda: stack(nn.Conv1d(32, 64, 9, groups=4), nn.Conv1d(64, 64, 9, groups=64)), LINE),
    "conv1d, transposed": (lambda: stack(nn.ConvTranspose1d(32, 16, 4, 2), nn.ConvTranspose1d(16, 8, 4, 2)), LINE),
    "conv2d": (lambda: stack(nn.Conv2d(16, 32, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1)), IMAGE),
    "conv2d, 1x1": (lambda: stack(nn.Conv2d(16, 64, 1), nn.Conv2d(64, 24, 1)), IMAGE),
    "conv2d, 7x7 strided": (lambda: stack(nn.Conv2d(16, 40, 7, 2, 3), nn.Conv2d(40, 80, 3, 2, 1)), IMAGE),
    "conv2d, dilated": (lambda: stack(nn.Conv2d(16, 32, 3, dilation=2), nn.Conv2d(32, 32, 3, dilation=3)), IMAGE),
    "conv2d, grouped": (lambda: stack(nn.Conv2d(16, 64, 3, groups=4), nn.Conv2d(64, 64, 3, groups=16)), IMAGE),
    "conv2d, depthwise": (lambda: stack(nn.Conv2d(16, 64, 1), nn.Conv2d(64, 64, 5, 1, 2, groups=64)), IMAGE),
    "conv2d, transposed": (lambda: stack(nn.ConvTranspose2d(16, 16, 4, 2, 1), nn.ConvTranspose2d(16, 8, 2, 2)), IMAGE),
    "conv2d, one channel": (lambda: stack(nn.Conv2d(16, 1, 3), nn.Conv2d(1, 16, 3)), IMAGE),
    "conv2d, batch norm": (lambda: stack(nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32), nn.Conv2d(32, 32, 3)), IMAGE),
    "conv2d, group norm": (lambda: stack(nn.Conv2d(16, 32, 3), nn.GroupNorm(8, 32), nn.Conv2d(32, 32, 3)), IMAGE),
    "conv2d, instance norm": (lambda: stack(nn.Conv2d(16, 32, 3), nn.InstanceNorm2d(32), nn.Conv2d(32, 8, 3)), IMAGE),
    "conv3d": (lambda: stack(nn.Conv3d(8, 16, 3), nn.Conv3d(16, 16, 3)), VOLUME),
    "conv3d, strided": (lambda: stack(nn.Conv3d(8, 32, 3, 2), nn.Conv3d(32, 32, 1)), VOLUME),
    "conv3d, transposed": (lambda: stack(nn.ConvTranspose3d(8, 4, 2, 2), nn.Conv3d(4, 8, 1)), VOLUME),
    "pooling": (lambda: nn.Sequential(nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Conv2d(16, 32, 3), nn.MaxPool2d(2)), IMAGE),
    "upsampling": (lambda: nn.Sequential(nn.Conv2d(16, 8, 3), nn.Upsample(scale_factor=2, mode="bilinear")), IMAGE),
    "silu": (lambda: nn.Sequential(nn.Linear(512, 2048), nn.SiLU(), nn.Linear(2048, 512), nn.SiLU()), FLAT),
    "mish": (lambda: nn.Sequential(nn.Linear(512, 2048), nn.Mish(), nn.Linear(2048, 512), nn.Mish()), FLAT),
    "gelu, layer norm": (lambda: nn.Sequential(nn.Linear(512, 2048), nn.GELU(), nn.LayerNorm(2048)), FLAT),
    "glu": (lambda: nn.Sequential(nn.Linear(512, 2048), nn.GLU(), nn.Linear(1024, 512)), FLAT),
    "softmax": (lambda: nn.Sequential(nn.Linear(512, 2048), nn.Softmax(-1), nn.Linear(2048, 512)), FLAT),
    "dropout": (lambda: nn.Sequential(nn.Linear(512, 2048), nn.Dropout(0.5), nn.Linear(2048, 512)), FLAT),
    "embedding": (lambda: nn.Sequential(nn.Linear(512, 512), nn.Unflatten(1, (8, 64)), nn.Linear(64, 2048)), FLAT),
    "attention": (Attends, TOKENS),
    "attention, boolean mask": (lambda: Attends(mask=torch.bool), TOKENS),
    "attention, number mask": (lambda: Attends(mask=torch.float32), TOKENS),
    "attention, two groups": (lambda: Attends(heads=2), TOKENS),
    "attention, dropout": (lambda: Attends(dropout=0.1), TOKENS),
    "attention module": (lambda: Heads(False), TOKENS),
    "attention module, weights": (lambda: Heads(True), TOKENS),
    "transformer encoder": (lambda: encoder(dropout=0.0), TOKENS),
    "transformer encoder, norm first": (lambda: encoder(norm_first=True, dropout=0.1), TOKENS),
    "lstm": (lambda: First(nn.LSTM(128, 96, 2, batch_first=True)), TOKENS),
    "lstm, both ways": (lambda: First(nn.LSTM(128, 96, batch_first=True, bidirectional=True)), TOKENS),
    "lstm, projected": (lambda: First(nn.LSTM(128, 96, proj_size=32, batch_first=True)), TOKENS),
    "gru": (lambda: First(nn.GRU(128, 96, 2, batch_first=True)), TOKENS),
    "gru, both ways": (lambda: First(nn.GRU(128, 96, batch_first=True, bidirectional=True)), TOKENS),
    "rnn": (lambda: First(nn.RNN(128, 96, batch_first=True)), TOKENS),
}

#: What a loop may do beside the usual step.
LOOPS: tuple[dict[str, object], ...] = (
    {"accumulate": 4},
    {"zero_grad": "zero"},
    {"optimizer": "adamw"},
    {"optimizer": "adamw(fused=true)"},
    {"optimizer": "adam(foreach=true, amsgrad=true)"},
    {"optimizer": "sgd(nesterov=true, weight_decay=0.1)"},
    {"autocast": "bfloat16"},
    {"autocast": "bfloat16", "optimizer": "adamw(fused=true)", "accumulate": 2},
    {"dtype": "bfloat16"},
    {"channels_last": True},
)

#: Networks on which the loops are tried.
LOOPED = ("resnet18", "mobilenetv2_28", "torchvision:swin_t", "transformer encoder", "gru")
