"""Writes a Hugging Face folder of GPT-2's 124M shape with random weights and a made-up tokenizer: nothing is downloaded.

    make_model.py FOLDER

The weights have GPT-2's own initial spread, so the hidden states are as lively as a fresh model's. Needs numpy and safetensors.
"""
import argparse
import itertools
import json
import pathlib

import numpy
from safetensors.numpy import save_file

CONFIG = {
    "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "torch_dtype": "float32", "activation_function": "gelu_new",
    "vocab_size": 50257, "n_positions": 1024, "n_ctx": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_inner": None,
    "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True, "bos_token_id": 50256, "eos_token_id": 50256,
}
SPREAD = 0.02  # standard deviation of every weight, and of a gain around 1
END_OF_TEXT = "<|endoftext|>"


def make_weights(config):
    """Name -> array, in the shapes and the input-by-output order of GPT-2's checkpoints."""
    dice = numpy.random.default_rng(1)
    width = config["n_embd"]
    weights = {}

    def draw(name, *shape, around=0):
        weights[name] = (around + SPREAD * dice.standard_normal(shape, dtype=numpy.float32)).astype(numpy.float32)

    def draw_norm(name):
        draw(name + ".weight", width, around=1)
        draw(name + ".bias", width)

    def draw_linear(name, inputs, outputs):
        draw(name + ".weight", inputs, outputs)
        draw(name + ".bias", outputs)

    draw("wte.weight", config["vocab_size"], width)
    draw("wpe.weight", config["n_positions"], width)
    for layer in range(config["n_layer"]):
        block = f"h.{layer}"
        draw_norm(block + ".ln_1")
        draw_linear(block + ".attn.c_attn", width, 3 * width)
        draw_linear(block + ".attn.c_proj", width, width)
        draw_norm(block + ".ln_2")
        draw_linear(block + ".mlp.c_fc", width, 4 * width)
        draw_linear(block + ".mlp.c_proj", 4 * width, width)
    draw_norm("ln_f")
    return weights


def byte_symbols():
    """The printable character that stands for each byte in GPT-2's vocabulary: itself where it is printable Latin-1, else
    one from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    symbols = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    return [symbols[byte] for byte in range(256)]


def make_tokenizer(size):
    """(vocabulary, merges) of a byte-level BPE of `size` entries: all bytes, then pairs and triples of printable ASCII, so
    that almost any row of ids is text that a stream need not hold back."""
    ascii_symbols = byte_symbols()[ord("!"):ord("~") + 1]
    pairs = [(a, b) for a, b in itertools.product(ascii_symbols, repeat=2)]
    triples = ((a + b, c) for (a, b), c in itertools.product(pairs, ascii_symbols))
    merges = list(itertools.islice(itertools.chain(pairs, triples), size - 256 - 1))
    tokens = byte_symbols() + [a + b for a, b in merges] + [END_OF_TEXT]
    return {token: i for i, token in enumerate(tokens)}, merges


def write_tokenizer(folder, size):
    vocabulary, merges = make_tokenizer(size)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "GPT2Tokenizer", "model_max_length": 1024, "add_prefix_space": False,
        "bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "unk_token": END_OF_TEXT}))


def main():
    parser = argparse.ArgumentParser(description="Writes a random GPT-2 124M as a Hugging Face folder")
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=1))
    write_tokenizer(folder, CONFIG["vocab_size"])
    save_file(make_weights(CONFIG), folder / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    main()
