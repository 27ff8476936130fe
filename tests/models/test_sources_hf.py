"""Networks of transformers from local configs: parameters, mult-adds and caches by arithmetic that a reader can do."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import archprof
from archprof import models
from archprof.base.errors import ArchprofError, BadOption, UnknownModel

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("no_downloads")


TOKEN = 2 * 2 * 16 * 4  # keys and values of a layer, two heads of 16, float32


@pytest.fixture(scope="module", autouse=True)
def _torchvision(torchvision):
    """transformers imports torchvision where it is installed."""


@pytest.fixture
def no_downloads(monkeypatch):
    """Any connection fails the test."""
    import socket

    def connect(*args, **kwargs):
        raise AssertionError("something reached for the network")

    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Writes a config into the working directory, and says what it is called."""
    monkeypatch.chdir(tmp_path)

    def write(name: str = "net", **content: Any) -> str:
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "config.json").write_text(json.dumps(content))
        return f"hf:{name}"

    return write


#: Width 64, two layers, four heads of 16, two of them for keys and values, 100 words.
LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 128,
}
ATTENTION = 64 * 64 + 2 * 64 * 32 + 64 * 64  # queries, keys and values of two heads, what leaves
LAYER = ATTENTION + 3 * 64 * 128
HEAD = 64 * 100


def test_a_prompt_by_hand(config):
    found = archprof.profile(config(**LLAMA))
    assert found.parameters == 2 * HEAD + 2 * (LAYER + 2 * 64) + 64
    assert found.macs == 128 * (2 * LAYER + HEAD) + 2 * 2 * 128 * 128 * 64  # scores, and the values by them
    assert (found.input_shape, found.cache_bytes, found.uncounted) == ((128,), None, ())
    assert found.notes == ("LlamaForCausalLM, as its config names", "fed with 128 tokens (another number: @N)")


def test_one_token_after_others_by_hand(config):
    found = archprof.profile(config(**LLAMA) + "@decode:50", batch_size=3)
    assert found.macs == 3 * (2 * LAYER + HEAD + 2 * 2 * 51 * 64)  # it looks at itself too
    assert found.cache_bytes == 3 * 2 * 2 * 50 * 2 * 16 * 4  # layers, keys and values, tokens, heads, float32
    assert (found.input_shape, found.batch_size) == ((1,), 3)
    assert found.notes[1:] == ("one token decoded after 50 tokens", "the cache handed to it holds 75.0 KiB")
    assert archprof.profile("hf:net@decode").cache_bytes == 2 * 2 * 127 * 2 * 16 * 4  # the 128th position is its own
    assert found.peak_activation_bytes > found.cache_bytes


def test_the_longest_context_that_fits(config):
    """Of a token more, its keys and values: in the cache, and once more while the new ones are appended."""
    name, limit = config(**LLAMA), 4_000_000

    def needs(spec: str) -> int:
        (row,) = archprof.compare([spec], batch_sizes=[1], latency=False)
        return row.inference_bytes(row.memory[0])

    found = archprof.fits(name, limit)
    assert needs(f"{name}@{found.longest_prompt}") <= limit < needs(f"{name}@{found.longest_prompt + 1}")
    assert (
        needs(f"{name}@decode:{found.longest_context}") <= limit < needs(f"{name}@decode:{found.longest_context + 1}")
    )
    assert 0 < found.training < found.inference
    cache = 2 * 2 * 2 * 16 * 4 * found.longest_context  # layers, keys and values, heads, numbers, float32
    held = archprof.profile(name).parameter_bytes
    assert cache < limit - held < 1.6 * cache


def test_what_it_is_fed_can_be_stated(config):
    name = config(**LLAMA)
    of_20 = 20 * (2 * LAYER + HEAD) + 2 * 2 * 20 * 20 * 64
    assert archprof.profile(f"{name}@20").macs == of_20
    assert archprof.profile(name, input_shape=(20,)).macs == of_20
    beyond = archprof.profile(f"{name}@200")
    assert beyond.notes[1] == "fed with 200 tokens, beyond the 128 positions that the config states"
    with pytest.raises(BadOption, match="3,224,224 is not what this network takes; expected a length such as 128"):
        archprof.profile(name, input_shape=(3, 224, 224))


def test_a_prompt_of_any_size_takes_no_room(config):
    found = archprof.profile(config(**LLAMA) + "@1000000", batch_size=64)
    assert found.macs == 64 * (10**6 * (2 * LAYER + HEAD) + 2 * 2 * 10**12 * 64)
    step = archprof.profile("hf:net@decode:1000000", batch_size=1000)
    assert step.cache_bytes == 1000 * 2 * 10**6 * TOKEN


@pytest.mark.parametrize(
    "given",
    [
        {"use_cache": False},
        {"attention_mask": [[1] * 20]},
        {"attention_mask": [[0] * 5 + [1] * 15]},
        {"attention_mask": [[0] * 5 + [1] * 15], "use_cache": False},
        {"position_ids": [list(range(20))], "use_cache": False},
    ],
    ids=str,
)
def test_without_a_cache_and_with_masks(config, given):
    """Whether a mask is needed at all depends on its values, which are known; what attention costs does not."""
    import torch

    kwargs = {name: torch.tensor(value) if isinstance(value, list) else value for name, value in given.items()}
    found = archprof.profile(config(**LLAMA), kwargs={"input_ids": torch.ones(1, 20, dtype=torch.int64), **kwargs})
    assert found.macs == 20 * (2 * LAYER + HEAD) + 2 * 2 * 20 * 20 * 64
    assert not [note for note in found.notes if "real" in note]


def test_options_take_the_place_of_keys(config):
    name = config(**LLAMA)
    assert archprof.profile(f"{name}(num_hidden_layers=1)@20").parameters == 2 * HEAD + LAYER + 2 * 64 + 64
    wider = archprof.profile(f"{name}(num_key_value_heads=4, tie_word_embeddings=true)@20")
    assert wider.parameters == HEAD + 2 * (LAYER + 2 * 64 * 32 + 2 * 64) + 64
    half = archprof.profile(f"{name}(dtype=bfloat16)@decode:50")
    assert half.cache_bytes == 2 * 2 * 50 * 2 * 16 * 2 and half.parameter_bytes == 2 * half.parameters
    headless = archprof.profile(f"{name}(architectures=LlamaModel)@20")
    assert headless.parameters == HEAD + 2 * (LAYER + 2 * 64) + 64
    eager = archprof.profile(f"{name}(attn_implementation=eager)@20")
    assert eager.macs == archprof.profile(f"{name}@20").macs
    for option, says in {
        "num_layers=3": "has no 'num_layers'. Did you mean 'num_hidden_layers'",
        "dtype=int8": "dtype=int8 is not known here; expected float32",
        "attn_implementation='someone/kernel'": "expected eager, sdpa, flex_attention",
        "_attn_implementation=eager": "has no '_attn_implementation'",
        "model_type=bert": "another model_type is another config",
        "architectures=LlamaForCausalLN": "has no 'LlamaForCausalLN' for a 'llama'",
        "num_hidden_layers=1000000000": "num_hidden_layers=1,000,000,000 is beyond 10,000",
    }.items():
        with pytest.raises(BadOption) as raised:
            archprof.profile(f"{name}({option})")
        assert says in str(raised.value)


def test_what_is_left_out_of_a_config_is_said(config):
    elsewhere = {"auto_map": {"AutoModel": "someone/code--modeling.Net"}, "torch_dtype": "float16"}
    quantised = {"quantization_config": {"quant_method": "gptq", "bits": 4}, "_attn_implementation": "someone/kernel"}
    found = archprof.profile(config(**LLAMA, **elsewhere, **quantised) + "@20")
    assert found.parameters == 2 * HEAD + 2 * (LAYER + 2 * 64) + 64
    assert found.notes[2:] == (
        "the config points to code elsewhere (auto_map), which was not run: LlamaConfig is the library's",
        "the config states weights quantised by gptq: counted without",
        "float32 where nothing else is asked for; the config states float16: (dtype=float16), or --dtype float16 in "
        "compare",
    )


@pytest.mark.parametrize(
    ("named", "kind", "why"),
    [
        (["LlamaModel"], "LlamaModel", "as its config names"),
        (["Nothing", "LlamaForCausalLM"], "LlamaForCausalLM", "as its config names"),
        (
            ["BertModel"],
            "LlamaForCausalLM",
            "a text generator: the config names BertModel, which does not go with it",
        ),
        (
            ["pipeline"],
            "LlamaForCausalLM",
            "a text generator: the config names pipeline, which does not go with it",
        ),
        (None, "LlamaForCausalLM", "a text generator: the config names none"),
    ],
)
def test_which_class_is_built(config, named, kind, why):
    found = models.find(config(**{**LLAMA, "architectures": named}))
    assert found.notes[0] == f"{kind}, {why}" and type(found.build()).__name__ == kind


#: Parameters as their publishers state them, or the cards of their weights; keys where they differ from those that the
#: library has by default.
PUBLISHED: dict[str, tuple[int, dict[str, Any]]] = {
    "Llama-2-7B": (6_738_415_616, {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}),
    "Mistral-7B": (7_241_732_096, {"model_type": "mistral", "architectures": ["MistralForCausalLM"]}),
    "Mixtral-8x7B": (46_702_792_704, {"model_type": "mixtral", "architectures": ["MixtralForCausalLM"]}),
    "Gemma-2-2B": (
        2_614_341_888,
        {
            "model_type": "gemma2",
            "architectures": ["Gemma2ForCausalLM"],
            "num_hidden_layers": 26,
            "hidden_size": 2304,
            "intermediate_size": 9216,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "vocab_size": 256_000,
        },
    ),
    "Qwen2.5-0.5B": (
        494_032_768,
        {
            "model_type": "qwen2",
            "architectures": ["Qwen2ForCausalLM"],
            "hidden_size": 896,
            "intermediate_size": 4864,
            "num_hidden_layers": 24,
            "num_attention_heads": 14,
            "num_key_value_heads": 2,
            "vocab_size": 151_936,
            "tie_word_embeddings": True,
        },
    ),
    "GPT-2": (124_439_808, {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}),
    "BERT-base": (109_482_240, {"model_type": "bert", "architectures": ["BertModel"]}),
    "T5-small": (60_506_624, {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}),
    "ViT-B/16": (86_567_656, {"model_type": "vit", "num_labels": 1000, "architectures": ["ViTForImageClassification"]}),
    "Whisper-tiny": (
        37_760_640,
        {
            "model_type": "whisper",
            "architectures": ["WhisperForConditionalGeneration"],
            "d_model": 384,
            "encoder_layers": 4,
            "decoder_layers": 4,
            "encoder_attention_heads": 6,
            "decoder_attention_heads": 6,
            "encoder_ffn_dim": 1536,
            "decoder_ffn_dim": 1536,
        },
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameters(config, name):
    """Nothing of seven or forty-seven billion parameters is allocated."""
    from archprof.counting.counts import subject_of

    parameters, content = PUBLISHED[name]
    module = subject_of(config(**content)).module
    assert sum(parameter.numel() for parameter in module.parameters()) == parameters == module.num_parameters()
    assert all(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))


#: Of the sizes of LLAMA: bytes after 40 tokens, at batch 1.
CACHES = {
    "grouped queries": (LLAMA, 2 * 40 * TOKEN),
    "a window of 8, the newest token not yet in it": (
        {**LLAMA, "model_type": "mistral", "architectures": None, "sliding_window": 8, "head_dim": 16},
        2 * (7 * TOKEN + 8),  # and the width of the window, a tensor of its own
    ),
    "every second layer a window": (
        {**LLAMA, "model_type": "gemma2", "architectures": None, "sliding_window": 8, "head_dim": 16},
        (7 + 40) * TOKEN + 8,
    ),
    "all heads": (
        {"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 4, "vocab_size": 100},
        2 * 40 * 2 * TOKEN,
    ),
    "a decoder, and what its encoder made of as many": (
        {"model_type": "t5", "d_model": 64, "d_kv": 16, "d_ff": 99, "num_layers": 2, "num_heads": 4, "vocab_size": 100},
        2 * (40 + 40) * 2 * TOKEN,
    ),
    "a state whose size is the same after any text": (
        {"model_type": "mamba", "hidden_size": 64, "state_size": 16, "num_hidden_layers": 2, "vocab_size": 100,
         "conv_kernel": 4, "expand": 2, "time_step_rank": 4},
        2 * 128 * (4 + 16) * 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CACHES)
def test_caches_by_hand(config, name):
    content, expected = CACHES[name]
    assert archprof.profile(config(**content) + "@decode:40").cache_bytes == expected


MIXTRAL = {
    **LLAMA,
    "model_type": "mixtral",
    "architectures": ["MixtralForCausalLM"],
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_mixture_of_experts_costs_what_its_tokens_take(config, dtype):
    found = archprof.profile(config(**MIXTRAL) + f"(dtype={dtype})@20")
    experts = 2 * 3 * 64 * 128 + 64 * 8  # two of eight, and the choice among them
    assert found.macs == 20 * (2 * (ATTENTION + experts) + HEAD) + 2 * 2 * 20 * 20 * 64
    assert found.parameters == 2 * HEAD + 2 * (ATTENTION + 8 * 3 * 64 * 128 + 64 * 8 + 2 * 64) + 64
    said = (
        "mixture of experts: every token goes to 2 of 8, computed by grouped_mm: which ones they are changes no count"
    )
    assert found.notes[-1] == said


def test_experts_one_by_one_cost_the_same_but_need_values(config):
    grouped = archprof.profile(config(**MIXTRAL) + "@20")
    eager = archprof.profile("hf:net(experts_implementation=eager)@20")
    assert eager.macs == grouped.macs and "counted in a real pass" in eager.notes[-1]
    assert "mixture of experts: every token goes to 2 of 8" in eager.notes
    with pytest.raises(ArchprofError, match="its weights would take 1"):
        archprof.profile("hf:net(experts_implementation=eager, intermediate_size=500000, num_hidden_layers=40)@20")


WAVE = {
    "model_type": "wav2vec2", "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "vocab_size": 32,
    "intermediate_size": 128, "conv_dim": [32] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip
WHISPER = PUBLISHED["Whisper-tiny"][1] | {
    "d_model": 64, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 128, "decoder_ffn_dim": 128, "max_source_positions": 50, "max_target_positions": 30,
}  # fmt: skip
VISION = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 128}
CLIP = {
    "model_type": "clip",
    "architectures": ["CLIPModel"],
    "projection_dim": 32,
    "text_config": {**VISION, "vocab_size": 100, "max_position_embeddings": 77, "eos_token_id": 99},
    "vision_config": {**VISION, "image_size": 64, "patch_size": 16},
}
BART = {
    "model_type": "bart", "architectures": ["BartForSequenceClassification"], "d_model": 64, "encoder_layers": 1,
    "decoder_layers": 1, "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 128,
    "decoder_ffn_dim": 128, "vocab_size": 100, "eos_token_id": 2, "pad_token_id": 1, "max_position_embeddings": 64,
}  # fmt: skip
FAMILIES = {
    "vision": ({"model_type": "vit", "image_size": 64, **VISION}, (3, 64, 64), "pixel_values of 3x64x64"),
    "sound wave": (WAVE, (16_000,), "input_values of 16000"),
    "speech": (WHISPER, (80, 100), "input_features of 80x100, 30 tokens to the decoder (another number: @N)"),
    "text and image": (CLIP, (77,), "77 tokens (another number: @N), pixel_values of 3x64x64"),
    "encoder and decoder": (BART, (64,), "64 tokens (another number: @N), 64 tokens to the decoder"),
}


def counted_by_torch(module: Any, given: dict[str, Any]) -> int:
    """torch's own counter does not know the CPU's fused attention: it is computed as it is written."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(**given)
    return int(counter.get_total_flops())


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_fed_with_its_own(config, name):
    """Against torch's own counter, on the network with weights, run for real."""
    import torch

    content, shape, fed = FAMILIES[name]
    spec = config(**content)
    found = archprof.profile(spec, batch_size=2)
    assert (found.input_shape, found.uncounted) == (shape, ()) and f"fed with {fed}" in found.notes
    assert not [note for note in found.notes if "real" in note]
    known = models.find(spec)
    module = known.build().eval()
    given = {name: torch.rand(one.shape) if one.is_meta else one for name, one in known.inputs(2)[1].items()}
    assert 2 * found.macs == counted_by_torch(module, given)
    assert found.parameters == module.num_parameters()


def test_an_image_of_another_size(config):
    name = config(**FAMILIES["vision"][0])
    larger = archprof.profile(f"{name}@96")
    assert larger.input_shape == (3, 96, 96) == archprof.profile(name, input_shape=(3, 96, 96)).input_shape
    assert larger.parameters - archprof.profile(name).parameters == (6 * 6 - 4 * 4) * 64  # a position for each patch
    with pytest.raises(BadOption, match="a square one such as 3,64,64"):
        archprof.profile(name, input_shape=(3, 64, 96))


def test_text_alone_is_said(config):
    content = {
        "model_type": "llava",
        "architectures": ["LlavaForConditionalGeneration"],
        "text_config": LLAMA,
        "vision_config": {"model_type": "clip_vision_model", **VISION, "image_size": 64, "patch_size": 16},
        "image_token_index": 7,
    }
    found = archprof.profile(config(**content) + "@20")
    assert found.notes[1] == "fed with 20 tokens, text alone: the parts for vision do not run"
    assert found.macs == 20 * (2 * LAYER + HEAD) + 2 * 2 * 20 * 20 * 64


def test_positions_that_no_table_has(config):
    name = config(**WHISPER)
    assert archprof.profile(f"{name}@decode:29").cache_bytes == (29 + 50) * 2 * 64 * 4
    for beyond in ("@31", "@decode:30"):
        with pytest.raises(ArchprofError, match="is out of range: there are 30 rows"):
            archprof.profile(name + beyond)


def test_what_cannot_decode_says_so(config):
    for content in ({"model_type": "bert", **VISION, "vocab_size": 100}, FAMILIES["vision"][0]):
        with pytest.raises(BadOption, match="nothing to decode"):
            archprof.profile(config(**content) + "@decode")


def test_unknown_inputs_are_asked_for(config):
    series = {"model_type": "patchtst", "context_length": 32, "patch_length": 8, "patch_stride": 8, "d_model": 16,
              "num_input_channels": 2, "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 32}  # fmt: skip
    with pytest.raises(BadOption, match="state it: --input 'past_values=float32"):
        archprof.profile(config(**series))
    import torch

    assert archprof.profile("hf:net", kwargs={"past_values": torch.zeros(1, 32, 2)}).macs > 0


def test_a_step_can_be_repeated(config):
    """Measured, it always finds the same context: neither its size nor its values change."""
    import torch

    from archprof.counting.counts import inputs_of
    from archprof.counting.inputs import real_inputs

    found = models.find(config(**LLAMA) + "@decode:10")
    _, given = real_inputs(inputs_of(found)(1), torch.device("cpu"))
    module = found.build().eval()
    with torch.no_grad():
        first, second = module(**given), module(**given)
    assert given["cache"].get_seq_length() == 10 and torch.equal(first.logits, second.logits)
    known = {name: value for name, value in given.items() if name != "cache"}
    assert not torch.equal(first.logits, module(**known).logits)  # the context is looked at


def test_it_runs_as_counted(config):
    """The pass with values calls the same operators on the same shapes: its own counter agrees, step and prompt."""
    import torch

    from archprof.counting.counts import inputs_of
    from archprof.counting.inputs import real_inputs

    for moment in ("@20", "@decode:20"):
        spec = config(**MIXTRAL) + f"(experts_implementation=batched_mm){moment}"
        found = models.find(spec)
        module = found.build().eval()
        _, given = real_inputs(inputs_of(found)(2), torch.device("cpu"))
        assert counted_by_torch(module, given) == 2 * archprof.profile(spec, batch_size=2).macs


def test_one_network_at_several_contexts(config):
    """What looks for the longest context builds the network once."""
    from archprof.counting.counts import at_context, profile_of, subject_of

    subject = subject_of(config(**LLAMA))
    for context in (10, 30):
        prompt, step = at_context(subject, context), at_context(subject, context, decode=True)
        assert prompt.module is step.module is subject.module
        assert prompt.given(3)[1]["input_ids"].shape == (3, context)
        assert profile_of(step, 3).cache_bytes == 3 * 2 * context * TOKEN
    with pytest.raises(BadOption, match="does not say how it is given tokens"):
        at_context(subject_of("alexnet"), 10)


def test_training_is_counted(config):
    name = config(**LLAMA)
    assert archprof.profile(f"{name}@20", mode="train").training_activation_bytes > 0


def test_without_transformers(config, monkeypatch):
    from archprof.base.errors import MissingPackage

    name = config(**LLAMA)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingPackage, match=r"transformers is not installed\. .*pip install 'archprof\[hf\]'"):
        archprof.profile(name)


def test_a_model_id_is_no_path(config):
    with pytest.raises(UnknownModel) as raised:
        archprof.profile("hf:meta-llama/Llama-2-7b-hf")
    said = "there is no file or folder 'meta-llama/Llama-2-7b-hf', and nothing is downloaded; "
    assert str(raised.value) == f"{said}save the model's config.json here and name it: hf:path/to/config.json."


def test_a_path_may_hold_anything(config, tmp_path):
    for name in ("my net (v2)", "a@b", "c:d", "größe 模型", "e=f,g", "h(i", "j*k"):
        config(name, **LLAMA)
        found = models.find(f"hf:{name}/config.json(num_hidden_layers=1)@decode:5")
        assert found.make.config.num_hidden_layers == 1 and found.step is not None
    Path("linked").symlink_to(tmp_path / "my net (v2)", target_is_directory=True)
    assert archprof.profile("hf:linked(num_hidden_layers=1)@20").macs == 20 * (LAYER + HEAD) + 2 * 20 * 20 * 64
