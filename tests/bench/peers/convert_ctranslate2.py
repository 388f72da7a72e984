"""Writes a GPT-2 of a Hugging Face folder as a CTranslate2 model of f32 weights; it narrows them to int8 when it loads them.

    convert_ctranslate2.py FOLDER OUT

The same as its own ct2-transformers-converter does, through its public model description, without torch and transformers.
"""
import argparse
import json
import pathlib

from ctranslate2.specs import common_spec, transformer_spec
from safetensors.numpy import load_file


class Source:
    """The tensors of a checkpoint, put into parts of a description."""

    def __init__(self, folder):
        self.tensors = load_file(folder / "model.safetensors")

    def norm(self, part, name):
        part.gamma = self.tensors[name + ".weight"]
        part.beta = self.tensors[name + ".bias"]

    def linear(self, part, name):
        # GPT-2's checkpoints hold a linear's weight input by output, CTranslate2 output by input.
        part.weight = self.tensors[name + ".weight"].T.copy()
        part.bias = self.tensors[name + ".bias"]

    def block(self, part, name):
        self.norm(part.self_attention.layer_norm, name + ".ln_1")
        self.linear(part.self_attention.linear[0], name + ".attn.c_attn")
        self.linear(part.self_attention.linear[1], name + ".attn.c_proj")
        self.norm(part.ffn.layer_norm, name + ".ln_2")
        self.linear(part.ffn.linear_0, name + ".mlp.c_fc")
        self.linear(part.ffn.linear_1, name + ".mlp.c_proj")


def describe(folder, config):
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        config["n_layer"], config["n_head"], pre_norm=True, activation=common_spec.Activation.GELUTanh)
    source = Source(folder)
    decoder = spec.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight = source.tensors["wte.weight"]
    decoder.projection.weight = source.tensors["wte.weight"]
    decoder.position_encodings.encodings = source.tensors["wpe.weight"]
    source.norm(decoder.layer_norm, "ln_f")
    for i, layer in enumerate(decoder.layer):
        source.block(layer, f"h.{i}")
    return spec


def main():
    parser = argparse.ArgumentParser(description="Writes a GPT-2 as a CTranslate2 model")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    options = parser.parse_args()
    config = json.loads((options.folder / "config.json").read_text())
    vocabulary = json.loads((options.folder / "vocab.json").read_text(encoding="utf-8"))
    tokens = sorted(vocabulary, key=vocabulary.get)
    spec = describe(options.folder, config)
    spec.register_vocabulary(tokens)
    spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = tokens[config["eos_token_id"]]
    spec.validate()
    spec.optimize()
    options.out.mkdir(parents=True, exist_ok=True)
    spec.save(str(options.out))


if __name__ == "__main__":
    main()
