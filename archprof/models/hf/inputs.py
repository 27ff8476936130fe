"""What networks of transformers are fed, by the name of their main input; and the step after a prompt.

Tokens are drawn below the size of the vocabulary, the same ones every time; images, sound and other features have the
sizes that the config states.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...base.errors import BadOption
from ..found import Arguments, Step
from ..spec import ModelSpec
from . import cache

#: Tokens of a prompt where nobody states a number; fewer where a network has fewer positions.
TOKENS = 512

#: Samples of a sound wave: one second at the 16 kHz that these networks are trained on.
SAMPLES = 16_000

#: Frames of features of a sound where the config states no number.
FRAMES = 1000

#: Pixels of an image where the config states no size.
SIDE = 224

#: Tokens that have numbers at most; more of them are shapes alone, which a network cannot look at.
_DRAWN = 2**22

_POSITIONS = ("max_position_embeddings", "n_positions", "max_target_positions", "n_ctx", "max_seq_len")


@dataclass(frozen=True)
class Feed:
    """forward's arguments for a batch size, the shape of the main one without the batch, and what they are in words."""

    shape: tuple[int, ...]
    prompt: Callable[[int], Arguments]
    said: str


def feed_of(spec: ModelSpec, kind: Any, config: Any) -> Feed:
    """What a network of that class is fed at the size that the spec states. Raises BadOption for a size that it has no
    use for."""
    accepted = inspect.signature(kind.forward).parameters
    main = getattr(kind, "main_input_name", "input_ids")
    main = main if isinstance(main, str) else next(iter(main), "")
    decoder = "decoder_input_ids" in accepted and bool(getattr(config, "is_encoder_decoder", False))
    parts: dict[str, Callable[[int], Any]] = {}
    words: list[str] = []
    shape: tuple[int, ...] = ()
    if main == "input_ids" and main in accepted:
        length, said = _length(spec, kind, config)
        shape, parts["input_ids"] = (length,), _tokens(config, length, decoder)
        words.append(f"{length:,} token{'s' * (length != 1)}{said}")
        for name, offered in (("pixel_values", "get_image_features"), ("input_features", "get_audio_features")):
            if name in accepted and hasattr(kind, "get_text_features") and hasattr(kind, offered):
                other = _features(name, spec, config)
                if other is not None:
                    parts[name] = _floats(other)
                    words.append(f"{name} of {'x'.join(map(str, other))}")
        left = [part for part in ("vision", "audio") if getattr(config, f"{part}_config", None) is not None]
        if left and len(parts) == 1:
            words.append(f"text alone: the parts for {' and '.join(left)} do not run")
    elif main in accepted and (features := _features(main, spec, config)) is not None:
        shape, parts[main] = features, _floats(features)
        words.append(f"{main} of {'x'.join(map(str, features))}")
    else:
        return Feed((), _unknown(spec, kind, main), f"its main input is {main}")
    if decoder:
        length, said = _length(None if _sized(main, config) else spec, kind, config)
        parts["decoder_input_ids"] = _tokens(config, length, decoder)
        words.append(f"{length:,} tokens to the decoder{'' if main == 'input_ids' else said}")

    open_ = [
        name for name, one in accepted.items() if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD
    ]
    for name in set(open_) - {"self", *parts}:
        other = _features(name, spec, config)
        if name == "input_ids":
            length, said = _length(spec, kind, config)
            parts[name] = _tokens(config, length, decoder)
            words.append(f"{length:,} tokens{said}")
        elif other is not None:
            parts[name] = _floats(other)
            words.append(f"{name} of {'x'.join(map(str, other))}")
        else:
            return Feed((), _unknown(spec, kind, name), f"it needs {name}")

    def prompt(batch_size: int) -> Arguments:
        return (), {name: part(batch_size) for name, part in parts.items()}

    return Feed(shape, prompt, f"fed with {', '.join(words)}")


def step_of(spec: ModelSpec, kind: Any, config: Any) -> Step:
    """The pass for one more token, after that of the prompt, whose cache it is handed."""
    accepted = inspect.signature(kind.forward).parameters
    tokens = "decoder_input_ids" if getattr(config, "is_encoder_decoder", False) else "input_ids"
    if tokens not in accepted:
        raise BadOption(
            f"{spec.text}: a {kind.__name__} generates no tokens, so there is nothing to decode;",
            "leave '@decode' out.",
        )
    before = {"use_cache": True} if "use_cache" in accepted else {}

    def after(output: Any, batch_size: int, known: Callable[[Any], Any]) -> Arguments:
        found = cache.kept(output, accepted)
        if found is None:
            raise BadOption(
                f"{spec.text}: a {kind.__name__} keeps nothing from one token to the next: nothing to decode with;",
                "leave '@decode' out.",
            )
        name, kept = found
        arguments: dict[str, Any] = {
            tokens: _tokens(config, 1, False)(batch_size),
            name: cache.held(kept, known),
            **before,
        }
        states = getattr(output, "encoder_last_hidden_state", None)
        if states is not None and "encoder_outputs" in accepted:
            from transformers.modeling_outputs import BaseModelOutput

            arguments["encoder_outputs"] = BaseModelOutput(last_hidden_state=states)
        return (), arguments

    def nbytes(given: Arguments) -> int:
        return cache.nbytes_of([given[1].get(name) for name in cache.NAMES])

    return Step(before, after, nbytes)


def _sized(main: str, config: Any) -> bool:
    """Whether the size in a spec is that of the main input, and not of what its decoder is given."""
    return main == "input_values" or (main == "pixel_values" and _image(config) is not None)


def _length(spec: ModelSpec | None, kind: Any, config: Any) -> tuple[int, str]:
    """The number of tokens, and what there is to say of it."""
    most = _positions(kind, config)
    if spec is None or spec.resolution is None:
        decodes = spec is not None and spec.decode
        most = max(most - decodes, 1) if most else TOKENS  # the token that is decoded takes a position too
        return min(TOKENS, most), f" (another number: @{'decode:' if decodes else ''}N)"
    beyond = f", beyond the {most:,} positions that the config states" if most and spec.resolution > most else ""
    return spec.resolution, beyond


def _positions(kind: Any, config: Any) -> int | None:
    """Positions that the config of its text states; None where it states none."""
    for part in (_text(config), config):
        for name in _POSITIONS:
            found = getattr(part, name, None)
            if type(found) is int and found > 0:
                padding = getattr(part, "pad_token_id", None)
                return found - (padding + 1 if type(padding) is int and _counts_from_padding(kind) else 0)
    return None


def _counts_from_padding(kind: Any) -> bool:
    """Whether positions begin behind the padding index, as in RoBERTa, which leaves as many fewer of them."""
    module = sys.modules[kind.__module__]
    return any(_FROM_PADDING in vars(one) for one in (module, *vars(module).values()) if hasattr(one, "__dict__"))


_FROM_PADDING = "create_position_ids_from_input_ids"


def _text(config: Any) -> Any:
    for name in ("text_config", "llm_config", "language_config", "thinker_config"):
        part = getattr(config, name, None)
        if part is not None:
            return _text(part)
    decoder = getattr(config, "decoder", None)
    return decoder if hasattr(decoder, "vocab_size") else config


def _tokens(config: Any, length: int, ends: bool) -> Callable[[int], Any]:
    """Token numbers (batch, length) that stand for no special token; `ends`: but for the last, which ends the text."""
    text = _text(config)
    vocabulary = next(
        (n for part in (text, config) if type(n := getattr(part, "vocab_size", None)) is int and n > 0), 2
    )
    special = set()
    for part in {id(part): part for part in (config, text)}.values():
        for name, value in vars(part).items():
            if name.endswith(("token_id", "token_index", "_token_ids")):
                special |= {n for n in (value if isinstance(value, list | tuple) else [value]) if type(n) is int}
    plain = next((n for n in range(vocabulary) if n not in special), 0)
    end = getattr(text, "eos_token_id", None)

    def tokens(batch_size: int) -> Any:
        import torch

        if batch_size * length > _DRAWN:
            return torch.empty((batch_size, length), dtype=torch.int64, device="meta")
        drawn = torch.randint(
            0, vocabulary, (batch_size, length), generator=torch.Generator().manual_seed(0), dtype=torch.int64
        )
        for number in special:
            drawn[drawn == number] = plain
        if ends and type(end) is int and 0 <= end < vocabulary:
            drawn[:, -1] = end
        return drawn

    return tokens


def _floats(shape: tuple[int, ...]) -> Callable[[int], Any]:
    def floats(batch_size: int) -> Any:
        import torch

        return torch.empty((batch_size, *shape), device="meta")

    return floats


def _features(name: str, spec: ModelSpec, config: Any) -> tuple[int, ...] | None:
    """The shape of one sample of an image, a sound wave or its features; None where the config does not state it."""
    if name == "input_values":
        bins, frames = getattr(config, "num_mel_bins", None), getattr(config, "max_length", None)
        if (
            type(bins) is int and type(frames) is int and hasattr(config, "frequency_stride")
        ):  # a spectrogram as an image
            return frames, bins
        channels = getattr(config, "audio_channels", None)
        return (*([channels] if type(channels) is int else []), spec.resolution or SAMPLES)
    if name == "input_features":
        return _of_sound(spec, config)
    if name in ("pixel_values", "pixel_values_videos"):
        return _image(config, spec)
    return None


def _of_sound(spec: ModelSpec, config: Any) -> tuple[int, ...] | None:
    part = getattr(config, "audio_config", None) or getattr(config, "encoder_config", None) or config
    bins, positions = getattr(part, "num_mel_bins", None), getattr(part, "max_source_positions", None)
    if type(bins) is int and type(positions) is int:  # two convolutions, the second of stride 2
        return bins, 2 * positions
    for name in ("input_feat_per_channel", "feature_projection_input_dim"):
        if type(width := getattr(part, name, None)) is int:
            return FRAMES, width
    return (FRAMES, bins) if type(bins) is int else None


def _image(config: Any, spec: ModelSpec | None = None) -> tuple[int, ...] | None:
    part = getattr(config, "vision_config", None) or getattr(config, "encoder", None) or config
    size = getattr(part, "image_size", None)
    if isinstance(size, dict):
        size = [size.get("height"), size.get("width")]
    sides = list(size) if isinstance(size, list | tuple) else [size if size is not None else SIDE] * 2
    channels = getattr(part, "num_channels", 3)
    if len(sides) != 2 or not all(type(n) is int and n > 0 for n in (*sides, channels)):
        return None
    if spec is not None and spec.resolution is not None and not getattr(config, "is_encoder_decoder", False):
        sides = [spec.resolution] * 2
        if hasattr(part, "image_size"):
            part.image_size = spec.resolution if type(size) is int else sides
    frames = getattr(part, "num_frames", None)
    return (frames, channels, *sides) if type(frames) is int and hasattr(part, "tubelet_size") else (channels, *sides)


def _unknown(spec: ModelSpec, kind: Any, main: str) -> Callable[[int], Arguments]:
    def prompt(batch_size: int) -> Arguments:
        accepted = ", ".join(list(inspect.signature(kind.forward).parameters)[1:9])
        raise BadOption(
            f"{spec.text}: what a {kind.__name__} is fed ({main}) does not follow from its config;",
            f"state it: --input '{main}=float32[...]', once for each argument. forward takes {accepted}.",
        )

    return prompt
