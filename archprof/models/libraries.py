"""torchvision and timm as sources: their networks, never their weights. Nothing here reaches for the network."""

from __future__ import annotations

import functools
import importlib
import inspect
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..base.errors import BadOption, MissingPackage, UnknownModel, did_you_mean, one_line, printable
from .found import Found
from .spec import SHOWN, ModelSpec

if TYPE_CHECKING:
    from torch import nn

#: Keyword arguments of the two libraries that would download, or unpickle a file.
_WEIGHTS = frozenset(
    {
        "weights",
        "weights_backbone",
        "pretrained",
        "pretrained_backbone",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "checkpoint_path",
        "progress",
    }
)

#: Frames of a clip for video networks whose metadata ask for fewer: what Kinetics models are trained on.
_FRAMES = 16


def imported(package: str) -> ModuleType:
    """The package, or MissingPackage: it is not installed, or it is and its own import fails."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name == package:
            raise MissingPackage(f"{package} is not installed.", f"Install it: pip install {package}") from None
        raise _broken(package, error) from error
    except Exception as error:
        raise _broken(package, error) from error


def _broken(package: str, error: Exception) -> MissingPackage:
    return MissingPackage(
        f"{package} is installed, but importing it fails: {one_line(error)}.",
        f"Is it the version that goes with this torch? Try: python -c 'import {package}'",
    )


class Torchvision:
    """`torchvision:resnet50`."""

    def names(self) -> list[str]:
        """Every network that this torchvision builds: classification, segmentation, detection, video, flow."""
        return list(imported("torchvision").models.list_models())

    def find(self, spec: ModelSpec) -> Found:
        """The network of that name, at the size that its published weights are evaluated at (the smallest of them)."""
        models = imported("torchvision").models
        _check(spec, spec.target, self.names)
        builder = models.get_model_builder(spec.target)
        shape = _shape(models.get_model_weights(spec.target))
        options = spec.keywords
        if spec.resolution is not None:
            shape = (*shape[:-2], spec.resolution, spec.resolution)
            if builder.__module__.endswith("vision_transformer"):
                options.setdefault("image_size", spec.resolution)
        elif type(options.get("image_size")) is int:
            shape = (*shape[:-2], options["image_size"], options["image_size"])
        if "weights_backbone" in inspect.signature(builder).parameters:
            options["weights_backbone"] = None
        make = functools.partial(models.get_model, spec.target, weights=None, **options)
        return Found(spec, _quiet(make), shape, published=spec.target, family=_last(builder.__module__))


def _shape(weights: Any) -> tuple[int, ...]:
    """(C, H, W) or, for video, (C, T, H, W), from the metadata of the published weights; 224 where they say nothing.

    Networks have weights of several sizes (linear probe at 224, fine-tuned at 384); built without weights they are
    those of the smallest.
    """
    sides = []
    for entry in weights:
        transforms = entry.transforms()
        size = getattr(transforms, "crop_size", None) or getattr(transforms, "resize_size", None)
        if size:
            sides.append((size[0], size[-1]))
    height, width = min(sides, default=(224, 224))
    if "video" in weights.__module__.split("."):
        return 3, max(_FRAMES, *(entry.meta.get("min_temporal_size", 0) for entry in weights)), height, width
    return 3, height, width


class Timm:
    """`timm:convnext_tiny`, also with the tag of its weights, which decides the input size: `timm:vit_b.tag`."""

    def names(self) -> list[str]:
        """Every architecture that this timm registers, in natural order."""
        return list(imported("timm").list_models())

    def find(self, spec: ModelSpec) -> Found:
        """The network of that name at its own default input size."""
        timm = imported("timm")
        name, _, tag = spec.target.partition(".")
        _check(spec, name, lambda: [name] if timm.is_model(name) else self.names())  # listing sorts: 6 ms
        tagged = [known for known in timm.list_pretrained(f"{name}.*") if known == spec.target] if tag else []
        if tag and not tagged:
            known = timm.list_pretrained(f"{name}.*")
            raise UnknownModel(
                f"timm knows no weights '{tag}' of '{name}'.{did_you_mean(spec.target, known)}",
                f"Its own size: timm:{name}.",
            )
        facts = timm.get_pretrained_cfg(spec.target)
        options = spec.keywords
        channels, height, width = facts.input_size if facts is not None else (3, 224, 224)
        channels = options.get("in_chans", channels)
        if type(channels) is not int or channels < 1:
            raise BadOption(
                f"{spec.text}: in_chans={channels!r} is not a number of channels;", "expected one such as 3."
            )
        if spec.resolution is not None:
            height = width = spec.resolution
            if facts is not None and facts.fixed_input_size:
                options.setdefault("img_size", spec.resolution)
        elif "img_size" in options:
            height, width = _side_lengths(spec, options["img_size"])
        family = _last(timm.model_entrypoint(name).__module__)
        make = functools.partial(timm.create_model, spec.target, pretrained=False, **options)
        # published accuracies are those of 1,000 classes; some networks have 21,841 by default, and so more parameters
        usual = facts is not None and facts.num_classes == 1000
        published = f"timm:{spec.target}" if usual else ""
        return Found(spec, _quiet(make), (channels, height, width), published=published, family=family)


def _check(spec: ModelSpec, name: str, names: Callable[[], list[str]]) -> None:
    """Raise UnknownModel for a name that the library does not have, BadOption for an option that wants weights."""
    known = names()
    if name not in known:
        raise UnknownModel(
            f"{spec.source} has no model '{printable(name, SHOWN)}'.{did_you_mean(name, known)}",
            f"It has {len(known)}; '{spec.source}:*' names all of them.",
        )
    for option in spec.keywords:
        if option in _WEIGHTS:
            raise BadOption(
                f"{spec.text}: '{option}' concerns weights; networks are built without them here.", "Leave it out."
            )


def _side_lengths(spec: ModelSpec, size: Any) -> tuple[int, int]:
    pair = [size, size] if isinstance(size, int) else list(size) if isinstance(size, list | tuple) else []
    if len(pair) != 2 or not all(type(length) is int and length > 0 for length in pair):
        raise BadOption(f"{spec.text}: img_size={size!r} is not a size in pixels;", "expected 224 or (224, 160).")
    return pair[0], pair[1]


def _last(module: str) -> str:
    return module.rpartition(".")[2]


def _quiet(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """`make` without the libraries' warnings about initial values that nobody looks at here."""

    def quietly() -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make()

    return quietly
