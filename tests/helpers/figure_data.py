"""A Comparison to draw: twelve networks of the accuracy-against-operations study.

Parameters, mult-adds and accuracies are what torchvision publishes for its IMAGENET1K_V1 weights. Latencies
and
memory are made up (proportional to mult-adds, a slope for each family), for tests only.
"""

from __future__ import annotations

from matplotlib.text import Text

from archprof.results.comparison import Accuracy, ArchitectureResult, Comparison
from archprof.results.latency import Block, Latency
from archprof.results.profile import LayerCost, StaticProfile, TypeCost

#: name: (family, params, GMACs, top-1, resolution, made-up ms per GMAC)
NETWORKS = {
    "alexnet": ("alexnet", 61100840, 0.714, 56.522, 224, 9.0),
    "vgg16": ("vgg", 138357544, 15.47, 71.592, 224, 6.5),
    "vgg19": ("vgg", 143667240, 19.632, 72.376, 224, 6.4),
    "googlenet": ("inception", 6624904, 1.498, 69.778, 224, 11.0),
    "resnet18": ("resnet", 11689512, 1.814, 69.758, 224, 7.5),
    "resnet50": ("resnet", 25557032, 4.089, 76.13, 224, 9.0),
    "resnet152": ("resnet", 60192808, 11.514, 78.312, 224, 8.6),
    "densenet121": ("densenet", 7978856, 2.834, 74.434, 224, 13.0),
    "squeezenet1_0": ("squeezenet", 1248424, 0.819, 58.092, 224, 10.0),
    "mobilenet_v2": ("mobilenetv2", 3504872, 0.301, 71.878, 224, 30.0),
    "inception_v3": ("inception", 27161264, 5.713, 77.294, 299, 9.5),
    "resnext50_32x4d": ("resnet", 25028904, 4.23, 77.618, 224, 12.0),
}
SIZES = (1, 2, 4, 8, 16, 32, 64)
ENVIRONMENT = {
    "device": "cpu",
    "device_name": "Example CPU @ 2.0 GHz",
    "threads": 2,
    "dtype": "float32",
    "torch": "2.13.0",
    "date": "2026-01-31T12:00:00+00:00",
}


def layers_of(name: str, macs: int) -> tuple[LayerCost, ...]:
    """Twenty made-up layers in five stages, heavy in the middle."""
    weights = [1 + 3 * (i % 4 == 1) + (4 - abs(i - 8) / 4) for i in range(20)]
    kinds = ("conv 1x1", "conv 3x3", "depthwise conv 3x3", "conv 1x1")
    return tuple(
        LayerCost(
            f"stage{i // 4}.{i % 4}",
            "aten.convolution",
            "fully connected" if i == 19 else kinds[i % 4],
            (1, 8, 8, 8),
            (1, 8, 8, 8),
            round(macs * w / sum(weights)),
            activations=800_000 // (1 + i // 4) ** 2,
            weights=1,
            kernel=(3, 3) if "3x3" in kinds[i % 4] and i < 19 else (),
        )
        for i, w in enumerate(weights)
    )


def profile(name: str) -> StaticProfile:
    _, parameters, gmacs, _, resolution, _ = NETWORKS[name]
    macs = round(gmacs * 1e9)
    heavy = {"alexnet": 0.94, "vgg16": 0.86, "vgg19": 0.86}.get(name, 0.15)
    separable = name == "mobilenet_v2"
    types = (
        TypeCost("conv 1x1", round(parameters * (1 - heavy) * 0.6), round(macs * (0.9 if separable else 0.45)), 30),
        TypeCost("conv 3x3", round(parameters * (1 - heavy) * 0.37), round(macs * (0.02 if separable else 0.5)), 20),
        TypeCost("depthwise conv 3x3", 900 if separable else 0, round(macs * 0.07) if separable else 0, 17),
        TypeCost("fully connected", round(parameters * heavy), round(macs * 0.03), 1),
        TypeCost("batch norm", round(parameters * 0.004), 0, 50),
    )
    return StaticProfile(
        name=name,
        source="zoo",
        input_shape=(3, resolution, resolution),
        batch_size=1,
        parameters=parameters,
        trainable_parameters=parameters,
        buffers=1000,
        macs=macs,
        activations=round(macs / 350),
        parameter_bytes=4 * parameters,
        buffer_bytes=4000,
        peak_activation_bytes=round(3e6 * gmacs**0.5) + 2_000_000,
        training_activation_bytes=10**8,
        by_type=types,
        layers=layers_of(name, macs),
    )


def cell(name: str, size: int) -> Latency:
    """Nine blocks around a made-up median, 4 % apart at most."""
    _, parameters, gmacs, _, _, slope = NETWORKS[name]
    if name == "vgg19" and size == 64:
        return Latency(size, error="out of memory (9.1 GiB wanted, 7.8 GiB free)")
    median = 1e-3 * slope * gmacs * size * (0.85 + 0.5 / size) + 1e-3
    wobble = [0.98, 0.99, 0.995, 1.0, 1.0, 1.002, 1.005, 1.01, 1.03]
    blocks = tuple(Block(median * w, 3, i, i) for i, w in enumerate(wobble))
    why = "other work held 31 % of the CPU" if (name, size) == ("densenet121", 8) else None
    peak = 4 * parameters + round((3e6 * gmacs**0.5 + 2e6) * size * 1.1 + 5e6)
    return Latency(size, blocks, measured_peak_bytes=peak, why=why)


def result(name: str, sizes: tuple[int, ...] = SIZES) -> ArchitectureResult:
    family, _, _, top1, resolution, _ = NETWORKS[name]
    claim = Accuracy(
        name,
        "imagenet-1k",
        "top1",
        top1,
        "torchvision IMAGENET1K_V1",
        "https://pytorch.org/vision/stable/models.html",
        resolution=resolution,
    )
    return ArchitectureResult(
        name,
        "zoo",
        family,
        profile=profile(name),
        accuracy=(claim,),
        latency=tuple(cell(name, size) for size in sizes),
    )


def comparison(*names: str, sizes: tuple[int, ...] = SIZES) -> Comparison:
    """The twelve networks, or those named, measured at `sizes`."""
    return Comparison(
        ENVIRONMENT,
        tuple(result(name, sizes) for name in names or NETWORKS),
        reference=(names or tuple(NETWORKS))[-1] if len(names) != 1 else None,
        archprof="0.1.0",
    )


def by_gid(figure, gid: str) -> list:
    return figure.findobj(lambda artist: artist.get_gid() == gid)


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def small_print(figure) -> str:
    return " ".join(text.get_text().replace("\n", " ") for text in figure.texts)
