"""Writes a Hugging Face folder of a published shape with random weights and a made-up tokenizer: nothing is downloaded.

    make_model.py SHAPE FOLDER

The weights have GPT-2's own initial spread, so the hidden states are as lively as a fresh model's; only Llama's attention is
sharper. Those of GPT-2 are in f32, the others in f16, since published checkpoints have 16 bits. Needs numpy and safetensors.
"""
import argparse
import itertools
import json
import pathlib

import numpy
from safetensors.numpy import save_file

from shapes import CONTEXT, SHAPES

SPREAD = 0.02  # standard deviation of every weight, and of a gain around 1
LIVELY = 1.5  # deviation of a value of Llama's queries and keys: a sharp attention, so that a wrong rotation changes the tokens
END_OF_TEXT = "<|endoftext|>"


class Dice:
    """Draws tensors into `weights`, name -> array."""

    def __init__(self, precision):
        self.random = numpy.random.default_rng(1)
        self.precision = precision
        self.weights = {}

    def draw(self, name, *shape, around=0, spread=SPREAD):
        values = around + spread * self.random.standard_normal(shape, dtype=numpy.float32)
        self.weights[name] = values.astype(self.precision)

    def linear(self, name, *shape, bias, spread=SPREAD):
        """The shape is that of the checkpoint; a bias has one value for each of so many outputs."""
        self.draw(name + ".weight", *shape, spread=spread)
        if bias:
            self.draw(name + ".bias", bias)


def make_gpt2(config):
    """In the input-by-output order of GPT-2's checkpoints."""
    dice, width = Dice(numpy.float32), config["n_embd"]

    def draw_norm(name):
        dice.draw(name + ".weight", width, around=1)
        dice.draw(name + ".bias", width)

    dice.draw("wte.weight", config["vocab_size"], width)
    dice.draw("wpe.weight", config["n_positions"], width)
    for layer in range(config["n_layer"]):
        block = f"h.{layer}"
        draw_norm(block + ".ln_1")
        dice.linear(block + ".attn.c_attn", width, 3 * width, bias=3 * width)
        dice.linear(block + ".attn.c_proj", width, width, bias=width)
        draw_norm(block + ".ln_2")
        dice.linear(block + ".mlp.c_fc", width, 4 * width, bias=4 * width)
        dice.linear(block + ".mlp.c_proj", 4 * width, width, bias=width)
    draw_norm("ln_f")
    return dice.weights


def make_llama(config):
    """Output by input; Qwen2's queries, keys and values have biases."""
    dice, width, mlp = Dice(numpy.float16), config["hidden_size"], config["intermediate_size"]
    kv = width // config["num_attention_heads"] * config["num_key_value_heads"]
    biased, lively = config["model_type"] == "qwen2", LIVELY / width ** 0.5
    dice.draw("model.embed_tokens.weight", config["vocab_size"], width)
    for layer in range(config["num_hidden_layers"]):
        block = f"model.layers.{layer}"
        dice.draw(block + ".input_layernorm.weight", width, around=1)
        for part, outputs, spread in (("q", width, lively), ("k", kv, lively), ("v", kv, SPREAD)):
            dice.linear(f"{block}.self_attn.{part}_proj", outputs, width, bias=outputs if biased else 0, spread=spread)
        dice.linear(block + ".self_attn.o_proj", width, width, bias=0)
        dice.draw(block + ".post_attention_layernorm.weight", width, around=1)
        dice.linear(block + ".mlp.gate_proj", mlp, width, bias=0)
        dice.linear(block + ".mlp.up_proj", mlp, width, bias=0)
        dice.linear(block + ".mlp.down_proj", width, mlp, bias=0)
    dice.draw("model.norm.weight", width, around=1)
    return dice.weights


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
        "tokenizer_class": "GPT2Tokenizer", "model_max_length": CONTEXT, "add_prefix_space": False,
        "bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "unk_token": END_OF_TEXT}))


def main():
    parser = argparse.ArgumentParser(description="Writes a random model as a Hugging Face folder")
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("folder", type=pathlib.Path)
    options = parser.parse_args()
    config = SHAPES[options.shape]
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "config.json").write_text(json.dumps(config, indent=1))
    write_tokenizer(options.folder, config["vocab_size"])
    make = make_gpt2 if config["model_type"] == "gpt2" else make_llama
    save_file(make(config), options.folder / "model.safetensors")


if __name__ == "__main__":
    main()
