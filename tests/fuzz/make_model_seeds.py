#!/usr/bin/env python3
"""Makes the seeds of fuzz_model_file again, which a new layout of converted files refuses:

    tests/fuzz/make_model_seeds.py build/dev/prenormd

Tiny models of random weights, converted; without the checksums, which the target puts behind what it mutates.
"""
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

CHECKSUM_BLOCK = 65536
TOKENIZER = {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}


def linear(name, out, width, transposed=False):
    return {name + ".weight": [width, out] if transposed else [out, width], name + ".bias": [out]}


def norm(name, width):
    return {name + ".weight": [width], name + ".bias": [width]}


def gpt2():
    config = dict(model_type="gpt2", vocab_size=5, n_embd=4, n_layer=1, n_head=1, n_positions=4)
    return config, {"wte.weight": [5, 4], "wpe.weight": [4, 4], **norm("h.0.ln_1", 4), **norm("h.0.ln_2", 4),
                    **linear("h.0.attn.c_attn", 12, 4, True), **linear("h.0.attn.c_proj", 4, 4, True),
                    **linear("h.0.mlp.c_fc", 16, 4, True), **linear("h.0.mlp.c_proj", 4, 16, True), **norm("ln_f", 4)}


def gpt_neox(vocabulary):
    config = dict(model_type="gpt_neox", vocab_size=vocabulary, hidden_size=8, intermediate_size=8, num_attention_heads=2,
                  num_hidden_layers=1, max_position_embeddings=4)
    at = "layers.0."
    return config, {"embed_in.weight": [vocabulary, 8], "embed_out.weight": [vocabulary, 8],
                    **norm(at + "input_layernorm", 8), **norm(at + "post_attention_layernorm", 8),
                    **linear(at + "attention.query_key_value", 24, 8), **linear(at + "attention.dense", 8, 8),
                    **linear(at + "mlp.dense_h_to_4h", 8, 8), **linear(at + "mlp.dense_4h_to_h", 8, 8),
                    **norm("final_layer_norm", 8)}


def opt():
    config = dict(model_type="opt", vocab_size=5, hidden_size=4, ffn_dim=4, num_attention_heads=1, num_hidden_layers=1,
                  max_position_embeddings=4, word_embed_proj_dim=4)
    at = "decoder.layers.0."
    attention = {}
    for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
        attention.update(linear(at + "self_attn." + name, 4, 4))
    return config, {"decoder.embed_tokens.weight": [5, 4], "decoder.embed_positions.weight": [6, 4], **attention,
                    **norm(at + "self_attn_layer_norm", 4), **norm(at + "final_layer_norm", 4), **linear(at + "fc1", 4, 4),
                    **linear(at + "fc2", 4, 4), **norm("decoder.final_layer_norm", 4)}


def prenorm():
    config = dict(model_type="prenorm", vocab_size=5, hidden_size=4, intermediate_size=4, num_attention_heads=1,
                  num_hidden_layers=1, max_position_embeddings=4)
    at = "layers.0."
    attention = {}
    for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
        attention.update(linear(at + "attn." + name, 4, 4))
    return config, {"embed_tokens.weight": [5, 4], "embed_positions.weight": [4, 4], **attention, **norm(at + "attn_norm", 4),
                    **norm(at + "mlp_norm", 4), **linear(at + "mlp.fc1", 4, 4), **linear(at + "mlp.fc2", 4, 4),
                    **norm("final_norm", 4)}


# The second has rows of common tokens apart from the others.
SEEDS = {"gpt2-f32": (gpt2(), []), "neox-int8": (gpt_neox(104), []), "opt-bf16": (opt(), []), "prenorm-int4": (prenorm(), []),
         "prenorm-int4-head4": (prenorm(), ["--head-weights", "int4"])}


def write_model(folder, config, shapes):
    dice, header, data = random.Random(7), {}, b""
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        begin = len(data)
        data += struct.pack(f"<{count}f", *(dice.gauss(0, 0.3) + (len(shape) == 1 and name.endswith("weight"))
                                            for _ in range(count)))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "config.json").write_text(json.dumps(config, separators=(",", ":")))
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER, separators=(",", ":")))


def without_checksums(data):
    for size in range(len(data)):
        if size + (-(-size // CHECKSUM_BLOCK) + 1) * 8 == len(data):
            return data[:size]
    raise SystemExit("no size of what its checksums are of fits")


def main():
    program = sys.argv[1]
    corpus = pathlib.Path(__file__).parent / "corpus" / "fuzz_model_file"
    for name, ((config, shapes), options) in SEEDS.items():
        with tempfile.TemporaryDirectory() as place:
            folder, out = pathlib.Path(place), pathlib.Path(place) / "converted"
            write_model(folder, config, shapes)
            subprocess.run([program, "convert", "--model", folder, "--out", out, "--weights", name.split("-")[1], *options],
                           check=True)
            (corpus / name).write_bytes(without_checksums(out.read_bytes()))


if __name__ == "__main__":
    main()
