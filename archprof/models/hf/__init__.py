"""`hf:path/to/config.json`: a network of the installed transformers, built from a local config, without weights.

Nothing is downloaded, no code is run that a config points to, and nothing is unpickled: the config is read as data, and
the class that it names is the library's own. `config` reads it, `inputs` says what the network is fed, `cache` what a
decoding step finds.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...base.errors import ArchprofError, BadOption, BuildFailed, MissingPackage, one_line
from ..found import Found
from ..libraries import imported
from ..spec import ModelSpec
from . import config as configs

if TYPE_CHECKING:
    from torch import nn

#: Modules that one network may have: the largest that are published have some ten thousand.
MOST_MODULES = 200_000

#: Bytes of the weights of a network at most that is built for real, where its constructor looks at its own weights.
MOST_REAL_BYTES = 2**32


def find(spec: ModelSpec) -> Found:
    """The network that a local config describes: its prompt at once, or (`@decode`) one token after it."""
    read = configs.read(spec)
    with offline():
        _library()
        from . import classes, inputs

        try:
            config, notes = classes.configured(spec, read)
            kind, said = classes.network(spec, config, read)
        except ImportError as error:
            reason = one_line(error.__cause__ or error)
            raise MissingPackage(
                f"transformers is installed, but a part of it cannot be imported: {reason}.",
                "Are the packages that it uses those that go with this torch?",
            ) from error
        notes += classes.routing(kind, config)
        feed = inputs.feed_of(spec, kind, config)
    fed = feed.said.replace("fed with", "one token decoded after", 1) if spec.decode else feed.said
    found = Found(
        spec,
        _Maker(spec, kind, config),
        feed.shape,
        family=read.model_type,
        inputs=feed.prompt,
        notes=(said, fed, *notes),
        at_shape=lambda shape: find(_at(spec, feed, shape)),
    )
    return replace(found, step=inputs.step_of(spec, kind, config)) if spec.decode else found


def _at(spec: ModelSpec, feed: Any, shape: tuple[int, ...]) -> ModelSpec:
    """The network at a stated input shape: a number of tokens or samples, or a square image."""
    if len(shape) == len(feed.shape) == 1:
        return replace(spec, resolution=shape[0])
    if len(shape) == len(feed.shape) and len(shape) > 1 and shape[0] == feed.shape[0] and shape[-1] == shape[-2]:
        return replace(spec, resolution=shape[-1])
    own = ",".join(map(str, feed.shape))
    wanted = f"a length such as {own}" if len(feed.shape) == 1 else f"a square one such as {own}"
    raise BadOption(
        f"{spec.text}: an input shape of {','.join(map(str, shape))} is not what this network takes;",
        f"expected {wanted}, or '--input' for each argument of forward.",
    )


class _Maker:
    """Builds the network, in float32 unless its config was told otherwise."""

    def __init__(self, spec: ModelSpec, kind: Any, config: Any) -> None:
        self.spec, self.kind, self.config, self.failed = spec, kind, config, False

    def __call__(self) -> nn.Module:
        import copy

        import torch

        def made() -> nn.Module:
            return self.kind._from_config(copy.deepcopy(self.config), dtype=self.config.dtype or torch.float32)

        with offline(), _bounded(self.spec):
            if self.failed:
                self._check_size(made)
            try:
                module = made()
            except ArchprofError:
                raise
            except Exception as error:
                self.failed = True
                raise BuildFailed(
                    f"{self.spec.text}: transformers cannot build a {self.kind.__name__} from this config: "
                    f"{one_line(error)}"
                ) from error
        return module

    def _check_size(self, made: Any) -> None:
        """Raise BuildFailed rather than take more memory than a constructor that looks at values is worth."""
        import torch

        try:
            with torch.device("meta"):
                blank = made()
            nbytes = sum(tensor.nbytes for tensor in blank.parameters())
        except Exception:
            return  # it says itself what is wrong, when it is built for real
        if nbytes > MOST_REAL_BYTES:
            raise BuildFailed(
                f"{self.spec.text}: a {self.kind.__name__} looks at its weights while it is built, and they take "
                f"{nbytes:,} bytes;",
                "override the config with smaller sizes, such as (num_hidden_layers=2).",
            )


@contextlib.contextmanager
def _bounded(spec: ModelSpec) -> Iterator[None]:
    """Inside, a network of more than MOST_MODULES modules is given up: it would take minutes and all memory."""
    from torch.nn.modules import module as nn_module

    mine, count = threading.get_ident(), 0

    def counted(parent: Any, name: str, child: Any) -> None:
        nonlocal count
        if threading.get_ident() != mine:
            return
        count += 1
        if count > MOST_MODULES:
            raise BuildFailed(
                f"{spec.text}: the network has more than {MOST_MODULES:,} modules;", "is a number in its config right?"
            )

    hook = nn_module.register_module_module_registration_hook(counted)
    try:
        yield
    finally:
        hook.remove()


def _library() -> Any:
    """transformers. Raises MissingPackage where it is not installed, or cannot be imported."""
    try:
        import torchvision  # noqa: F401
    except Exception:
        # a torchvision that does not go with this torch would keep transformers from importing; the networks do without
        if "torchvision" not in sys.modules:
            sys.modules["torchvision"] = None  # type: ignore[assignment]
            importlib.invalidate_caches()
    try:
        return imported("transformers")
    except MissingPackage as error:
        raise MissingPackage(
            error.message, error.remedy.replace("pip install transformers", "pip install 'archprof[hf]'")
        ) from None
    finally:
        if sys.modules.get("torchvision", True) is None:
            _hide_torchvision()
            del sys.modules["torchvision"]


def _hide_torchvision() -> None:
    """transformers remembers what it found; let it remember that a broken torchvision is not there."""
    utils: Any = sys.modules.get("transformers.utils.import_utils")
    with contextlib.suppress(Exception):
        utils.is_torchvision_available.cache_clear()
        utils.is_torchvision_available()


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Inside, huggingface_hub refuses to reach for the network, and transformers says nothing."""
    constants: Any = None
    with contextlib.suppress(Exception):
        constants = importlib.import_module("huggingface_hub.constants")
    before = getattr(constants, "HF_HUB_OFFLINE", None)
    logger = logging.getLogger("transformers")
    level = logger.level
    if before is not None:
        constants.HF_HUB_OFFLINE = True
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        if before is not None:
            constants.HF_HUB_OFFLINE = before
