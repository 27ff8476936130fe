"""The library's own classes for a config: its configuration with options applied, and the network to build."""

from __future__ import annotations

import dataclasses
from typing import Any

from ...base.errors import BadFile, BadOption, UnknownModel, did_you_mean, one_line, printable
from ..spec import SHOWN, ModelSpec
from .config import Read, check_number

#: Options beside the config's own keys.
_HOW = ("attn_implementation", "experts_implementation", "dtype")

#: Ways to compute attention and experts that come with the library and with torch; others would be fetched from a hub.
_WAYS = {
    "attn_implementation": ("eager", "sdpa", "flex_attention"),
    "experts_implementation": ("eager", "grouped_mm", "batched_mm"),
}

_DTYPES = ("float32", "bfloat16", "float16", "float64")


def configured(spec: ModelSpec, read: Read) -> tuple[Any, tuple[str, ...]]:
    """The configuration, and what a reader of its counts must know. Raises UnknownModel, BadFile or BadOption."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    if read.model_type not in CONFIG_MAPPING:
        code = " The config points to code elsewhere (auto_map), which is not run." if read.remote else ""
        raise UnknownModel(
            f"{spec.text}: the installed transformers has no model_type '{printable(read.model_type, SHOWN)}'."
            f"{did_you_mean(read.model_type, CONFIG_MAPPING.keys())}{code}",
            "A newer transformers may have it: pip install -U transformers",
        )
    kind = CONFIG_MAPPING[read.model_type]
    content, notes = dict(read.content), []
    if read.remote:
        notes.append(
            f"the config points to code elsewhere (auto_map), which was not run: {kind.__name__} is the library's"
        )
    if read.quantised:
        notes.append(f"the config states weights quantised by {printable(read.quantised, 40)}: counted without")
    dtype = _stated_dtype(content)
    _apply(spec, kind, content)
    if "dtype" not in spec.keywords and dtype not in ("", "float32"):
        notes.append(
            f"float32 where nothing else is asked for; the config states {dtype}: (dtype={dtype}), "
            f"or --dtype {dtype} in compare"
        )
    try:
        config = kind.from_dict(content)
    except Exception as error:
        raise BadFile(
            f"{spec.text}: transformers does not accept this config for a '{read.model_type}': "
            f"{one_line(error, longest=200)}."
        ) from None
    if "dtype" in spec.keywords:
        import torch

        config.dtype = getattr(torch, spec.keywords["dtype"])
    for name, ways in _WAYS.items():
        if name in spec.keywords:
            if spec.keywords[name] not in ways:
                shown = printable(str(spec.keywords[name]), 40)
                raise BadOption(f"{spec.text}: {name}={shown} is not known here;", f"expected {', '.join(ways)}.")
            setattr(config, f"_{name}", spec.keywords[name])
    return config, tuple(notes)


def _stated_dtype(content: dict[str, Any]) -> str:
    """The type of its weights that the config, or its text part, states; taken out: networks are built in float32."""
    parts = [content, *(part for part in content.values() if isinstance(part, dict))]
    stated = [str(part.pop(key)) for part in parts for key in ("dtype", "torch_dtype") if part.get(key) is not None]
    word = stated[0].removeprefix("torch.") if stated else ""
    return word if word in _DTYPES else ""


def _apply(spec: ModelSpec, kind: Any, content: dict[str, Any]) -> None:
    """Options of the spec in the place of the config's keys. Raises BadOption for one that neither it nor its class
    has."""
    own = {field.name for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    mapped = getattr(kind, "attribute_map", {})
    known = own | set(content) | set(mapped) | set(_HOW)
    for key, value in spec.options:
        if key == "model_type":
            raise BadOption(f"{spec.text}: another model_type is another config;", "write one, and name it.")
        if key.startswith("_") or key not in known:
            raise BadOption(
                f"{spec.text}: the config of a '{kind.model_type}' has no '{printable(key, SHOWN)}'."
                f"{did_you_mean(key, known)}",
                f"Its own keys are those of {kind.__name__} in transformers.",
            )
        if key == "dtype":
            if value not in _DTYPES:
                shown = printable(str(value), 40)
                raise BadOption(f"{spec.text}: dtype={shown} is not known here;", f"expected {', '.join(_DTYPES)}.")
            continue
        if key in _WAYS:
            continue
        if type(value) is int:
            check_number(key, value, spec.text)
        if isinstance(value, dict) and isinstance(content.get(key), dict):
            value = content[key] | value
        content[key] = value
        for other, name in mapped.items():  # the same number under its other name would win, or contradict
            if other == key and name in content:
                content[name] = content.pop(key)
            elif name == key:
                content.pop(other, None)


def network(spec: ModelSpec, config: Any, read: Read) -> tuple[Any, str]:
    """The class to build, and a sentence on why it is that one. Raises UnknownModel where the library has none."""
    import transformers
    from transformers import PreTrainedModel

    named = spec.keywords.get("architectures", read.architectures)
    named = [named] if isinstance(named, str) else named
    if not isinstance(named, list | tuple) or not all(isinstance(name, str) for name in named):
        raise BadOption(f"{spec.text}: architectures is not a list of names;", "expected one such as BertModel.")
    for name in named:
        kind = getattr(transformers, name, None) if name.isidentifier() and not name.startswith("_") else None
        if isinstance(kind, type) and issubclass(kind, PreTrainedModel) and isinstance(config, _config_of(kind)):
            return kind, f"{name}, as its config names"
    if "architectures" in spec.keywords:
        raise BadOption(
            f"{spec.text}: transformers has no '{printable(', '.join(named), 60)}' for a '{read.model_type}';",
            "leave the option out for the one that it has.",
        )
    from transformers.models.auto import modeling_auto as auto

    kind_of = type(config)
    generating = getattr(config, "is_encoder_decoder", False)
    for title, table, wanted in (
        ("a text generator", auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING, generating),
        (
            "a text generator",
            auto.MODEL_FOR_CAUSAL_LM_MAPPING,
            not generating and kind_of not in auto.MODEL_FOR_MASKED_LM_MAPPING,
        ),
        ("a network without a head", auto.MODEL_MAPPING, True),
    ):
        if wanted and kind_of in table:
            entry: Any = table[kind_of]
            found = entry[0] if isinstance(entry, tuple) else entry
            shown = printable(", ".join(named), 60)
            why = f"the config names {shown}, which does not go with it" if named else "the config names none"
            return found, f"{found.__name__}, {title}: {why}"
    raise UnknownModel(
        f"{spec.text}: transformers has no network for a '{read.model_type}' by itself.",
        "It may be a part of another one: name that one's config.",
    )


def routing(kind: Any, config: Any) -> tuple[str, ...]:
    """What a reader of the counts of a mixture of experts must know."""
    part = config.get_text_config() if hasattr(config, "get_text_config") else config
    chosen = next((n for name in _CHOSEN if type(n := getattr(part, name, None)) is int and n > 0), None)
    experts = next((n for name in _EXPERTS if type(n := getattr(part, name, None)) is int and n > 1), None)
    if chosen is None or experts is None:
        return ()
    which = f"mixture of experts: every token goes to {chosen} of {experts}"
    way = config._experts_implementation or "grouped_mm"
    if way == "eager" or not kind._can_set_experts_implementation():
        return (which,)
    return (f"{which}, computed by {way}: which ones they are changes no count",)


#: How configs call the number of experts that a token goes to, and of those that there are.
_CHOSEN = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "top_k_experts", "moe_top_k")
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts", "num_routed_experts")


def _config_of(kind: Any) -> type:
    found = getattr(kind, "config_class", None)
    return found if isinstance(found, type) else object
