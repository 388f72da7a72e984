"""Writes a GPT-2, Llama or Qwen2 of a Hugging Face folder as a CTranslate2 model of f32 weights; it narrows them to int8 when it
loads them.

    convert_ctranslate2.py FOLDER OUT

The same as its own ct2-transformers-converter does, through its public model description, without torch and transformers.
"""
import argparse
import json
import pathlib

import numpy
from ctranslate2.specs import common_spec, transformer_spec
from safetensors.numpy import load_file


class Source:
    """The tensors of a checkpoint, put into parts of a description."""

    def __init__(self, folder):
        self.tensors = {name: array.astype(numpy.float32) for name, array in load_file(folder / "model.safetensors").items()}

    def norm(self, part, name):
        part.gamma = self.tensors[name + ".weight"]
        if name + ".bias" in self.tensors:
            part.beta = self.tensors[name + ".bias"]

    def linear_of_gpt2(self, part, name):
        # GPT-2's checkpoints hold a linear's weight input by output, CTranslate2 output by input.
        part.weight = self.tensors[name + ".weight"].T.copy()
        part.bias = self.tensors[name + ".bias"]

    def linear(self, part, *names):
        """Several linears of the same input become one."""
        part.weight = numpy.concatenate([self.tensors[name + ".weight"] for name in names])
        if names[0] + ".bias" in self.tensors:
            part.bias = numpy.concatenate([self.tensors[name + ".bias"] for name in names])

    def gpt2_block(self, part, name):
        self.norm(part.self_attention.layer_norm, name + ".ln_1")
        self.linear_of_gpt2(part.self_attention.linear[0], name + ".attn.c_attn")
        self.linear_of_gpt2(part.self_attention.linear[1], name + ".attn.c_proj")
        self.norm(part.ffn.layer_norm, name + ".ln_2")
        self.linear_of_gpt2(part.ffn.linear_0, name + ".mlp.c_fc")
        self.linear_of_gpt2(part.ffn.linear_1, name + ".mlp.c_proj")

    def llama_block(self, part, name):
        self.norm(part.self_attention.layer_norm, name + ".input_layernorm")
        self.linear(part.self_attention.linear[0], *(f"{name}.self_attn.{which}_proj" for which in "qkv"))
        self.linear(part.self_attention.linear[1], name + ".self_attn.o_proj")
        self.norm(part.ffn.layer_norm, name + ".post_attention_layernorm")
        self.linear(part.ffn.linear_0, name + ".mlp.gate_proj")
        self.linear(part.ffn.linear_0_noact, name + ".mlp.up_proj")
        self.linear(part.ffn.linear_1, name + ".mlp.down_proj")


def describe_gpt2(source, config):
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        config["n_layer"], config["n_head"], pre_norm=True, activation=common_spec.Activation.GELUTanh)
    decoder = spec.decoder
    decoder.embeddings.weight = decoder.projection.weight = source.tensors["wte.weight"]
    decoder.position_encodings.encodings = source.tensors["wpe.weight"]
    source.norm(decoder.layer_norm, "ln_f")
    for i, layer in enumerate(decoder.layer):
        source.gpt2_block(layer, f"h.{i}")
    return spec


def describe_llama(source, config):
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        config["num_hidden_layers"], heads, activation=common_spec.Activation.SWISH, pre_norm=True, ffn_glu=True, rms_norm=True,
        rotary_dim=0, rotary_interleave=False, rotary_base=config["rope_theta"],
        num_heads_kv=None if kv_heads == heads else kv_heads)
    decoder = spec.decoder
    decoder.embeddings.weight = decoder.projection.weight = source.tensors["model.embed_tokens.weight"]
    source.norm(decoder.layer_norm, "model.norm")
    for i, layer in enumerate(decoder.layer):
        source.llama_block(layer, f"model.layers.{i}")
    spec.config.layer_norm_epsilon = config["rms_norm_eps"]
    return spec


def describe(folder, config):
    spec = (describe_gpt2 if config["model_type"] == "gpt2" else describe_llama)(Source(folder), config)
    spec.decoder.scale_embeddings = False
    return spec


def main():
    parser = argparse.ArgumentParser(description="Writes a model as a CTranslate2 model")
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
