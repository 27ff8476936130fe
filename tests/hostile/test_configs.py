"""Configs of transformers that nobody should build: one clear line, at once, with nothing run, fetched or allocated."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

import archprof
from archprof import cli
from archprof.base.errors import ArchprofError

pytest.importorskip("transformers")

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "vocab_size": 100,
    "num_attention_heads": 4,
}  # fmt: skip

#: What the file holds, and what is said of it.
FILES: dict[str, tuple[str | bytes | dict[str, Any], str]] = {
    "nothing": ("", "is not JSON"),
    "not JSON": ("model_type: llama", "is not JSON"),
    "half of it": ('{"model_type": "llama"', "is not JSON"),
    "other bytes": (b"\xff\xfe\x00\x01", "is not JSON"),
    "a pickle": (b"\x80\x04cos\nsystem\n(S'touch ran'\ntR.", "is not JSON"),
    "a list": ("[1, 2]", "holds a JSON list, where a config is an object"),
    "a number": ("7", "holds a JSON number"),
    "null": ("null", "holds a JSON value"),
    "nested": ("[" * 100_000, "is nested too deeply"),
    "a number of 5,000 digits": ('{"model_type": "llama", "n": ' + "9" * 5000 + "}", "is not JSON"),
    "an empty object": ({}, "states no model_type"),
    "a tokenizer's": ({"tokenizer_class": "LlamaTokenizer"}, "it looks like a tokenizer's"),
    "an image processor's": ({"image_processor_type": "ViTImageProcessor"}, "it looks like an image processor's"),
    "an adapter's": ({"peft_type": "LORA"}, "it looks like an adapter (peft)'s"),
    "timm's": ({"architecture": "resnet50", "num_classes": 10}, "it looks like timm's"),
    "model_type that is no text": ({"model_type": ["llama"]}, "states no model_type"),
    "unknown": ({"model_type": "lama"}, "has no model_type 'lama'. Did you mean"),
    "unknown, with code elsewhere": (
        {"model_type": "evil", "auto_map": {"AutoModel": "someone/code--net.Net"}},
        "points to code elsewhere (auto_map), which is not run",
    ),
    "unknown, a line and an escape": ({"model_type": "a\nb\x1b[31m"}, "has no model_type"),
    "unknown, 10,000 letters": ({"model_type": "l" * 10_000}, "has no model_type"),
    "architectures that are no list": ({**LLAMA, "architectures": {"a": 1}}, "architectures is not a list of names"),
    "a billion layers": ({**LLAMA, "num_hidden_layers": 10**9}, "num_hidden_layers=1,000,000,000 is beyond 10,000"),
    "a billion layers elsewhere": (
        {"model_type": "llava", "text_config": {**LLAMA, "num_hidden_layers": 10**9}},
        "num_hidden_layers=1,000,000,000 is beyond",
    ),
    "a billion layers under another name": (
        {"model_type": "gpt2", "n_layer": 10**9},
        "n_layer=1,000,000,000 is beyond",
    ),
    "a billion blocks in stages": ({"model_type": "swin", "depths": [2, 10**9, 2]}, "depths=1,000,000,004 is beyond"),
    "beyond any tensor": ({**LLAMA, "hidden_size": 2**60}, "is beyond"),
    "sizes whose product is beyond any": ({**LLAMA, "hidden_size": 2**40, "vocab_size": 2**40}, "cannot build"),
    "no width": ({**LLAMA, "hidden_size": 0}, ""),
    "less than nothing": ({**LLAMA, "hidden_size": -64}, ""),
    "a text for a number": ({**LLAMA, "hidden_size": "64; import os"}, "does not accept this config"),
    "an unknown activation": ({**LLAMA, "hidden_act": "os.system"}, ""),
    "heads that do not divide": ({"model_type": "bert", "hidden_size": 65, "num_attention_heads": 4}, ""),
    "an unknown way to scale": ({**LLAMA, "rope_scaling": {"rope_type": "evil", "factor": 1}}, ""),
}


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch, torchvision):
    """In an empty folder, without a network."""
    import socket

    def connect(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("something reached for the network")

    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.chdir(tmp_path)


def write(content: str | bytes | dict[str, Any], path: str = "net/config.json") -> None:
    text = json.dumps(content) if isinstance(content, dict) else content
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(text.encode() if isinstance(text, str) else text)


@pytest.mark.parametrize("name", FILES)
def test_a_config_is_refused_in_one_line(name, capsys):
    content, says = FILES[name]
    write(content)
    started = time.process_time()
    assert cli.main(["show", "hf:net"]) == 2
    assert time.process_time() - started < 20
    said = capsys.readouterr()
    assert said.out == "" and says in said.err.replace("\n", " ")
    assert len(said.err.splitlines()) <= 2 and len(said.err) < 1200 and "Traceback" not in said.err
    assert said.err.replace("\n", "").isprintable()
    assert [str(path) for path in Path().rglob("*")] == ["net", "net/config.json"]


def test_places_where_no_config_is(capsys):
    write({"a": 1}, "tokens/tokenizer.json")
    Path("empty").mkdir()
    Path("dangling").symlink_to("nowhere")
    Path("circle").symlink_to("circle")
    Path("many").mkdir()
    for number in range(50):
        Path(f"many/{number}.json").symlink_to(f"{number + 1}.json")
    Path("many/config.json").symlink_to("0.json")
    os.mkfifo("pipe")
    write(b"\x80\x04", "model.safetensors")
    for place, says in {
        "tokens": "the folder 'tokens' holds no config.json. It has tokenizer.json.",
        "empty": "the folder 'empty' holds no config.json.",
        "dangling": "is a link to something that is not there",
        "circle": "",
        "many": "holds no config.json",
        "pipe": "is not a regular file",
        "model.safetensors": "holds weights, which are not opened",
        "nothing": "there is no file or folder 'nothing', and nothing is downloaded",
        "gpt2": "there is no file or folder 'gpt2', and nothing is downloaded",
        "https://example.org/config.json": "nothing is downloaded",
        "~nobody-has-this-name/x": "",
        "x" * 5000: "5,003 characters",
        "y/" * 1500: "",
    }.items():
        with pytest.raises(ArchprofError) as raised:
            archprof.profile(f"hf:{place}")
        assert says in str(raised.value) and len(str(raised.value)) < 600


@pytest.mark.parametrize(
    "name",
    ["hf:", "hf:  ", "hf:@8", "hf:net@", "hf:net@decode:", "hf:net@decode:0", "hf:net@decod", "hf:net@-1", "hf:net@1e3",
     "hf:net@decode:9999999", "hf:net(a)", "hf:net(=1)", "hf:net()@8@8", "hf:net(" + "(a)" * 1200, "hf:" + "(" * 4000,
     "hf:" + "(a)" * 1300, "hf:*", "hf:net(__class__=1)", "hf:net(model_type=bert)(a=1)"],
    ids=lambda name: name[:24],
)  # fmt: skip
def test_names_are_refused_at_once(name):
    write(LLAMA)
    started = time.process_time()
    with pytest.raises(ArchprofError):
        archprof.profile(name)
    assert time.process_time() - started < 15


def test_code_that_a_config_points_to_is_never_run():
    write("raise SystemExit('ran')", "net/modeling_evil.py")
    write("raise SystemExit('ran')", "modeling_evil.py")
    write({**LLAMA, "auto_map": {"AutoConfig": "modeling_evil.C", "AutoModelForCausalLM": "modeling_evil.M"}})
    assert archprof.profile("hf:net@8").parameters > 0
    write({**LLAMA, "architectures": ["modeling_evil"], "_attn_implementation": "someone/kernel", "use_kernels": True})
    assert archprof.profile("hf:net@8").parameters > 0
    write({**LLAMA, "_name_or_path": "someone/net", "attn_implementation": "someone/kernel", "name_or_path": "x"})
    assert archprof.profile("hf:net@8").parameters > 0


def test_backbones_are_not_fetched():
    write(
        {"model_type": "detr", "use_pretrained_backbone": True, "use_timm_backbone": False, "backbone": "someone/net"}
    )
    with pytest.raises(ArchprofError):
        archprof.profile("hf:net")


def test_a_network_of_too_many_modules_is_given_up(monkeypatch):
    from archprof.models import hf

    monkeypatch.setattr(hf, "MOST_MODULES", 20)
    write({**LLAMA, "num_hidden_layers": 3})
    with pytest.raises(ArchprofError, match="more than 20 modules"):
        archprof.profile("hf:net")


def test_a_large_file_is_not_read():
    with open("config.json", "wb") as file:
        file.truncate(2**24 + 1)
    with pytest.raises(ArchprofError, match="more than 16,777,216 bytes"):
        archprof.profile("hf:config.json")
