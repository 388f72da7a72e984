"""Writes a GPT-2 of a Hugging Face folder as a GGUF file of f32 tensors, which llama-quantize narrows.

    convert_gguf.py FOLDER FILE

llama.cpp's own convert_hf_to_gguf.py needs torch and knows tokenizers by a list of hashes, where one that was made up cannot
be. The names of tensors come from the same table (gguf.TensorNameMap), and run.py compares the tokens that come out.
"""
import argparse
import json
import pathlib

import gguf
import numpy
from safetensors.numpy import load_file

LINEAR = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")


def add_settings(writer, config):
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_block_count(config["n_layer"])
    writer.add_feed_forward_length(4 * config["n_embd"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)


def add_tokenizer(writer, folder, config):
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    merges = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    tokens = sorted(vocabulary, key=vocabulary.get)
    end = config["eos_token_id"]
    types = [gguf.TokenType.CONTROL if i == end else gguf.TokenType.NORMAL for i in range(len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)


def add_tensors(writer, folder, config):
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GPT2, config["n_layer"])
    for name, array in load_file(folder / "model.safetensors").items():
        theirs = names.get_name("transformer." + name, try_suffixes=(".weight", ".bias"))
        if theirs is None:
            raise SystemExit(f"{folder}: GGUF has no name for the tensor '{name}'")
        # GPT-2's checkpoints hold a linear's weight input by output, GGUF output by input.
        writer.add_tensor(theirs, numpy.ascontiguousarray(array.T) if name.endswith(LINEAR) else array)


def main():
    parser = argparse.ArgumentParser(description="Writes a GPT-2 as a GGUF file of f32 tensors")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("file", type=pathlib.Path)
    options = parser.parse_args()
    config = json.loads((options.folder / "config.json").read_text())
    writer = gguf.GGUFWriter(options.file, "gpt2")
    writer.add_name("random GPT-2 124M")
    add_settings(writer, config)
    add_tokenizer(writer, options.folder, config)
    add_tensors(writer, options.folder, config)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
