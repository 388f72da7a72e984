#!/usr/bin/env python3
"""Exports a torch model to the `prenorm` checkpoint format, with golden data to check it by.

The format is a folder: config.json (whose norm_placement names where the norms stand), model.safetensors with the names
below, and tokenizer files. `export` is what a researcher needs: a config, and a mapping from the format's names to the
tensors of the model at hand. The rest of this file is an example of it: a small decoder written in plain torch, with GPAS
gates (Chen et al. 2025) when --gpas is given, exported together with its own logits in float64.

    pip install torch safetensors numpy
    tests/golden/export_prenorm.py /tmp/cases/mine --tokenizer tests/golden/placements/pre [--gpas]
    prenormd verify --model /tmp/cases/mine                                   # the conversion, on any text
    PRENORM_TEST_MODELS=/tmp/cases build/tests/test_golden_forward            # against torch's logits

Tensors (weights [out, in]; every linear may have a .bias, every norm has .weight and, for layernorm, .bias):
    embed_tokens.weight, embed_positions.weight (learned positions), final_norm, lm_head.weight (when not tied), and per layer
    layers.N.attn_norm, layers.N.attn.{q,k,v}_proj, layers.N.attn.out_proj, layers.N.mlp_norm, layers.N.mlp.fc1, .fc2
    layers.N.attn.inner_norm, layers.N.mlp.inner_norm        sub_ln; the second also normformer
    layers.N.attn_post_norm, layers.N.mlp_post_norm          sandwich; the first also normformer
    layers.N.attn.head_scale [heads], layers.N.mlp.residual_scale [width]   normformer, where the config says so
    layers.N.gate [1]                                        gpas: s = 1 - SiLU(gate)
"""
import argparse
import json
import pathlib
import shutil

import torch
from safetensors.torch import save_file


def export(folder, config, tensors, tokenizer=None):
    """Writes a checkpoint: config (a dict, see main), tensors (name -> torch tensor), tokenizer (a folder to copy from)."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": "prenorm", "architectures": ["PrenormForCausalLM"], **config}
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    save_file({name: t.detach().contiguous().cpu() for name, t in tensors.items()}, folder / "model.safetensors")
    if tokenizer:
        for name in ("tokenizer.json", "tokenizer_config.json"):
            if (pathlib.Path(tokenizer) / name).exists():
                shutil.copy(pathlib.Path(tokenizer) / name, folder / name)


class Block(torch.nn.Module):
    def __init__(self, width, heads, inner, gated):
        super().__init__()
        self.heads = heads
        self.attn_norm, self.mlp_norm = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.attn = torch.nn.ModuleDict({n: torch.nn.Linear(width, width) for n in ("q_proj", "k_proj", "v_proj", "out_proj")})
        self.mlp = torch.nn.ModuleDict({"fc1": torch.nn.Linear(width, inner), "fc2": torch.nn.Linear(inner, width)})
        self.gate = torch.nn.Parameter(torch.randn(1)) if gated else None

    def attention(self, x):
        rows, width = x.shape
        q, k, v = (self.attn[n](x).view(rows, self.heads, -1).transpose(0, 1) for n in ("q_proj", "k_proj", "v_proj"))
        heads = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.attn["out_proj"](heads.transpose(0, 1).reshape(rows, width))

    def forward(self, x):
        scale = 1 if self.gate is None else 1 - torch.nn.functional.silu(self.gate)
        x = scale * (x + self.attention(self.attn_norm(x)))
        hidden = torch.nn.functional.gelu(self.mlp["fc1"](self.mlp_norm(x)))
        return scale * (x + self.mlp["fc2"](hidden))


class Decoder(torch.nn.Module):
    def __init__(self, vocabulary, width, heads, inner, layers, positions, gated):
        super().__init__()
        self.embed_tokens, self.embed_positions = torch.nn.Embedding(vocabulary, width), torch.nn.Embedding(positions, width)
        self.layers = torch.nn.ModuleList(Block(width, heads, inner, gated) for _ in range(layers))
        self.final_norm = torch.nn.LayerNorm(width)

    def forward(self, ids):
        x = self.embed_tokens(ids) + self.embed_positions(torch.arange(len(ids)))
        for layer in self.layers:
            x = layer(x)
        return self.final_norm(x) @ self.embed_tokens.weight.T  # tied


def greedy(model, prompt, count, sampleable):
    ids, margin = list(prompt), float("inf")
    for _ in range(count):
        best = model(torch.tensor(ids))[-1, :sampleable].topk(2)
        margin = min(margin, (best.values[0] - best.values[1]).item())
        ids.append(best.indices[0].item())
    return {"prompt": prompt, "tokens": ids[len(prompt):], "smallest_margin": margin}


def main():
    parser = argparse.ArgumentParser(description="Exports a small random model with golden data.")
    parser.add_argument("folder")
    parser.add_argument("--tokenizer", help="folder to copy tokenizer.json from")
    parser.add_argument("--gpas", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    size = {"vocabulary": 320, "width": 48, "heads": 4, "inner": 160, "layers": 3, "positions": 64}
    model = Decoder(**size, gated=options.gpas)
    config = {
        "vocab_size": size["vocabulary"], "hidden_size": size["width"], "intermediate_size": size["inner"],
        "num_attention_heads": size["heads"], "num_hidden_layers": size["layers"],
        "max_position_embeddings": size["positions"], "hidden_act": "gelu", "layer_norm_eps": 1e-5,
        "norm_type": "layernorm", "norm_placement": "pre", "gpas": options.gpas, "position_embedding_type": "learned",
        "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 0, "torch_dtype": "float32",
    }
    # Here the module's own names are the format's; another model maps its names to them.
    export(options.folder, config, dict(model.named_parameters()), options.tokenizer)

    model = model.double()  # the float32 weights that were saved, computed with in float64
    sequences = [torch.randint(1, size["vocabulary"], (n,)).tolist() for n in (24, 40)]
    folder = pathlib.Path(options.folder)
    with torch.no_grad():
        save_file({f"logits_{i}": model(torch.tensor(ids)).float() for i, ids in enumerate(sequences)},
                  folder / "golden.safetensors")
        golden = {"vocab_size": size["vocabulary"], "tokenizer_vocab": size["vocabulary"],
                  "sequences": [{"ids": ids} for ids in sequences],
                  "greedy": greedy(model, sequences[0][:8], 16, size["vocabulary"])}
    (folder / "golden.json").write_text(json.dumps(golden))


if __name__ == "__main__":
    main()
