"""Writes a model of a Hugging Face folder as a GGUF file of f32 tensors, which llama-quantize narrows.

    convert_gguf.py FOLDER FILE [--pre-tokenizer NAME]

GPT-2, Llama and Qwen2, the rotation unscaled. llama.cpp's own convert_hf_to_gguf.py needs torch and knows tokenizers by a list
of hashes, where one that was made up cannot be. The names of tensors come from the same table (gguf.TensorNameMap), and who calls
this compares the tokens or the perplexity that come out.
"""
import argparse
import json
import pathlib

import gguf
import numpy
from safetensors.numpy import load_file

LINEAR_OF_GPT2 = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
ARCHITECTURES = {"gpt2": gguf.MODEL_ARCH.GPT2, "llama": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2}


# ---- settings ----

def add_gpt2_settings(writer, config):
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_block_count(config["n_layer"])
    writer.add_feed_forward_length(4 * config["n_embd"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])


def add_llama_settings(writer, config):
    if config.get("rope_scaling"):
        raise SystemExit(f"config.json: rope_scaling is {config['rope_scaling']}; only an unscaled rotation is converted")
    heads = config["num_attention_heads"]
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads", heads))
    writer.add_rope_dimension_count(config.get("head_dim") or config["hidden_size"] // heads)
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])


# ---- tokenizer ----

def read_tokenizer(folder):
    """(vocabulary, merges as "a b", ids of special tokens) of tokenizer.json or of GPT-2's two files."""
    if (folder / "tokenizer.json").exists():
        told = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        special = {token["content"]: token["id"] for token in told["added_tokens"]}
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in told["model"]["merges"]]
        return {**told["model"]["vocab"], **special}, merges, set(special.values())
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    return vocabulary, (folder / "merges.txt").read_text(encoding="utf-8").splitlines()[1:], set()


def adds_first_token(folder):
    """Whether tokenizer.json puts a token before every text: as a template, or in a sequence of such."""
    if not (folder / "tokenizer.json").exists():
        return False
    steps = [json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")).get("post_processor") or {}]
    steps += steps[0].get("processors", [])
    return any("SpecialToken" in step["single"][0] for step in steps if step.get("type") == "TemplateProcessing")


def add_tokenizer(writer, folder, config, pre_tokenizer):
    vocabulary, merges, special = read_tokenizer(folder)
    tokens = sorted(vocabulary, key=vocabulary.get)
    end = config["eos_token_id"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer)
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if i in special | {end} else gguf.TokenType.NORMAL for i in range(len(tokens))])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(adds_first_token(folder))


# ---- tensors ----

def pairs_together(rows, heads):
    """Rows of a head from halves (x0, x1, .., y0, y1, ..) to pairs (x0, y0, x1, y1, ..): what llama.cpp rotates in Llama."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(rows.shape)


def as_stored(name, array, config):
    """The values in GGUF's order, output by input."""
    if name.endswith(LINEAR_OF_GPT2):
        return array.T
    # Qwen2's heads stay as they are: llama.cpp rotates their halves.
    if config["model_type"] == "llama" and ".q_proj." in name:
        return pairs_together(array, config["num_attention_heads"])
    if config["model_type"] == "llama" and ".k_proj." in name:
        return pairs_together(array, config.get("num_key_value_heads", config["num_attention_heads"]))
    return array


def add_tensors(writer, folder, config, layers):
    names = gguf.get_tensor_name_map(ARCHITECTURES[config["model_type"]], layers)
    prefix = "transformer." if config["model_type"] == "gpt2" else ""
    for name, array in load_file(folder / "model.safetensors").items():
        theirs = names.get_name(prefix + name.removeprefix(prefix), try_suffixes=(".weight", ".bias"))
        if theirs is None:
            raise SystemExit(f"{folder}: GGUF has no name for the tensor '{name}'")
        writer.add_tensor(theirs, numpy.ascontiguousarray(as_stored(name, array, config), dtype=numpy.float32))


def main():
    parser = argparse.ArgumentParser(description="Writes a model as a GGUF file of f32 tensors")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--pre-tokenizer", default="gpt-2", help="llama.cpp's name of how text is split (default: %(default)s)")
    options = parser.parse_args()
    config = json.loads((options.folder / "config.json").read_text())
    kind = config["model_type"]
    if kind not in ARCHITECTURES:
        raise SystemExit(f"config.json: model_type is '{kind}', none of {', '.join(ARCHITECTURES)}")
    writer = gguf.GGUFWriter(options.file, gguf.MODEL_ARCH_NAMES[ARCHITECTURES[kind]])
    writer.add_name(options.folder.name)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    (add_gpt2_settings if kind == "gpt2" else add_llama_settings)(writer, config)
    add_tokenizer(writer, options.folder, config, options.pre_tokenizer)
    add_tensors(writer, options.folder, config, config["n_layer" if kind == "gpt2" else "num_hidden_layers"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
