#!/usr/bin/env python3
"""Writes checkpoints of the `prenorm` format (docs/prenorm-format.md): a folder with config.json, model.safetensors and tokenizer
files.

`export` is what a researcher needs: a config, and the tensors under the format's names. For the models of five repositories
prenorm_repositories.py knows both, from the state dict and the settings that it was trained with.

    pip install torch safetensors numpy
    tests/golden/export_prenorm.py convert gpas STATE SETTINGS.json OUT --tokenizer DIR --eos 2
    prenormd verify --model OUT
    tests/golden/export_prenorm.py cases OUT [NAME...]     # small random models of every kind, with golden data in float64
    PRENORM_TEST_MODELS=OUT build/tests/test_golden_forward                   # the engine against torch's logits
    prenormd verify --model OUT/NAME                                          # the conversion, on any text
"""
import argparse
import json
import pathlib
import shutil

import torch
from safetensors.torch import load_file, save_file

import prenorm_decoder
from prenorm_repositories import REPOSITORIES

HERE = pathlib.Path(__file__).parent
TOKENIZER = HERE / "placements" / "pre"


def export(folder, config, tensors, tokenizer=None):
    """Writes a checkpoint: config (a dict of the format's keys), tensors (name -> torch tensor), tokenizer (a folder to copy
    from)."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": "prenorm", "architectures": ["PrenormForCausalLM"], **config}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file({name: t.detach().contiguous().cpu() for name, t in tensors.items()}, folder / "model.safetensors")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if tokenizer and (pathlib.Path(tokenizer) / name).exists():
            shutil.copy(pathlib.Path(tokenizer) / name, folder / name)


# ---- small random models with golden data ----

BASE = {
    "vocab_size": 320, "hidden_size": 32, "intermediate_size": 80, "num_attention_heads": 4, "num_hidden_layers": 3,
    "max_position_embeddings": 48, "hidden_act": "gelu", "layer_norm_eps": 1e-5, "norm_type": "layernorm",
    "norm_placement": "pre", "position_embedding_type": "learned", "tie_word_embeddings": True, "bos_token_id": 0,
    "eos_token_id": 0, "torch_dtype": "float16",
}
LLAMA = {"norm_type": "rmsnorm", "hidden_act": "silu", "gated_mlp": True, "position_embedding_type": "rotary",
         "tie_word_embeddings": False, "layer_norm_eps": 1e-6}
# Name -> what differs from BASE.
CASES = {
    "output": {"norm_placement": "output"},
    "output-rms": {**LLAMA, "norm_placement": "output", "num_key_value_heads": 2},
    "mix-layernorm": {"norm_placement": ["post", "deepnorm", "pre", "sandwich"], "num_hidden_layers": 4, "gpas": True},
    "mix-layernorm-pre-first": {"norm_placement": ["pre", "post", "pre"], "gpas": True, "residual_alpha": 1.25},
    "mix-rms": {**LLAMA, "norm_placement": ["post", "sandwich", "post", "pre"], "num_hidden_layers": 4, "gpas": True},
    "mix-post-last": {"norm_placement": ["pre", "pre", "post"], "final_norm": True},
    "gated-grouped-alibi": {"gated_mlp": True, "num_key_value_heads": 2, "head_dim": 12, "position_embedding_type": "alibi",
                            "hidden_act": "gelu_new"},
    "alibi-6-heads": {"num_attention_heads": 6, "head_dim": 8, "position_embedding_type": "alibi"},
    "residual-alpha": {"residual_alpha": 1.5650845800732873},
    "residual-alpha-sandwich-gpas": {"norm_placement": "sandwich", "residual_alpha": 0.75, "gpas": True},
    "residual-alpha-normformer-scale": {"norm_placement": "normformer", "residual_alpha": 1.5, "residual_scale": True},
    "residual-alpha-sub-ln-large": {"norm_placement": "sub_ln", "residual_alpha": 40.0, "num_hidden_layers": 4},
    "no-final-norm": {"final_norm": False},
    "no-final-norm-rms-gpas": {**LLAMA, "final_norm": False, "gpas": True},
    "deepnorm-final-norm": {"norm_placement": "deepnorm", "deepnorm_alpha": 1.7, "final_norm": True, "gpas": True},
    "normformer-scale-attention": {"norm_placement": "normformer", "mlp_inner_norm": False, "head_scale": "paper"},
    "normformer-heads-alone": {"norm_placement": "normformer", "attn_post_norm": False, "mlp_inner_norm": False,
                               "head_scale": "output"},
    "normformer-heads-alone-paper": {"norm_placement": "normformer", "attn_post_norm": False, "mlp_inner_norm": False,
                                     "head_scale": "paper"},
    "sub-ln-mlp-alone": {"norm_placement": "sub_ln", "attn_inner_norm": False},
    "sub-ln-attention-alone": {"norm_placement": "sub_ln", "mlp_inner_norm": False},
    "sinusoidal-scaled-embedding": {"position_embedding_type": "sinusoidal", "position_offset": 2, "hidden_size": 33,
                                    "head_dim": 8, "embedding_scale": 5.744562646538029, "embedding_norm": True,
                                    "tie_word_embeddings": False},
    "learned-offset": {"position_offset": 2, "embedding_scale": 0.5},
    "positions-none": {"position_embedding_type": "none", "tie_word_embeddings": False},
    "crmsnorm": {"norm_type": "crmsnorm", "hidden_size": 31, "head_dim": 8, "tie_word_embeddings": False},
    "crmsnorm-gain-gpas": {"norm_type": "crmsnorm", "hidden_size": 31, "head_dim": 8, "gpas": True, "residual_alpha": 1.5,
                           "embedding_norm": True},
    "layernorm-scaling": {},
    "peri-ln": {**LLAMA, "norm_placement": "sandwich", "embedding_norm": True},
    "keel": {**LLAMA, "norm_placement": "keel", "residual_alpha": 6.0, "final_norm": False},
    "keel-layernorm": {"norm_placement": "keel", "residual_alpha": 6.0},
}
WITHOUT_GAINS = ("crmsnorm",)
RANK_0_GATES = ("mix-layernorm", "residual-alpha-sandwich-gpas")
SEEDS, LENGTHS, PROMPT, GREEDY, MARGIN_MIN = range(50), (12, 20), 6, 12, 2e-3


def random_tensor(name, shape):
    """Gains lie around 1, biases and tables have means away from 0: a centring or a bias that is forgotten shows."""
    if name.endswith("norm.weight"):
        return 1 + 0.3 * torch.randn(shape)
    if name.endswith((".bias", "_scale")):
        return (1 if name.endswith("_scale") else 0.1) + 0.3 * torch.randn(shape)
    if name.endswith("gate"):
        return torch.randn(shape)
    if name.startswith("embed_") or name == "lm_head.weight":
        return 0.05 + 0.3 * torch.randn(shape)
    return 0.01 + torch.randn(shape) / shape[1] ** 0.5


def scale_layernorms(tensors):
    """LayerNorm Scaling (Sun et al. 2025) divides what the norms of layer l = 1, 2, ... give by sqrt(l): gain and bias do."""
    for name, tensor in tensors.items():
        if name.split(".")[0] == "layers" and "norm" in name:
            tensor /= (int(name.split(".")[1]) + 1) ** 0.5


class ScaledNorms(prenorm_decoder.Decoder):
    """LayerNorm Scaling by its definition, on tensors that are not scaled."""

    def norm(self, name, x, eps=None):
        scale = (int(name.split(".")[1]) + 1) ** -0.5 if name.startswith("layers.") else 1
        return scale * super().norm(name, x, eps)


def random_model(name, config, seed):
    """Tensors as they are stored, in float16, and the model that they are of."""
    torch.manual_seed(seed)
    shapes = prenorm_decoder.tensor_shapes(config)
    tensors = {n: random_tensor(n, shape) for n, shape in shapes.items()
               if not (name in WITHOUT_GAINS and n.endswith("norm.weight"))}
    if name in RANK_0_GATES:
        tensors.update({n: t.reshape(()) for n, t in tensors.items() if n.endswith(".gate")})
    if name == "layernorm-scaling":
        model = ScaledNorms(config, {n: t.double() for n, t in tensors.items()})
        tensors = {n: t.clone() for n, t in tensors.items()}
        scale_layernorms(tensors)
        return tensors, model  # in float32: the fold is rounded once
    tensors = {n: t.half() for n, t in tensors.items()}
    return tensors, prenorm_decoder.Decoder(config, {n: t.double() for n, t in tensors.items()})


def greedy(model, prompt, count, sampleable):
    ids, margin = list(prompt), float("inf")
    for _ in range(count):
        best = model(ids)[-1, :sampleable].topk(2)
        margin = min(margin, (best.values[0] - best.values[1]).item())
        ids.append(best.indices[0].item())
    return {"prompt": prompt, "tokens": ids[len(prompt):], "smallest_margin": margin}


def is_clear(text):
    return text["smallest_margin"] > MARGIN_MIN and 0 not in text["tokens"] and len(set(text["tokens"])) > 2


def make_case(out, name):
    """Seeds are tried until the greedy text is clear."""
    config = {**BASE, **CASES[name]}
    for seed in SEEDS:
        tensors, model = random_model(name, config, seed)
        sequences = [torch.randint(1, config["vocab_size"], (n,)).tolist() for n in LENGTHS]
        text = greedy(model, sequences[0][:PROMPT], GREEDY, config["vocab_size"])
        if is_clear(text):
            break
    folder = out / name
    export(folder, config, tensors, TOKENIZER)
    save_file({f"logits_{i}": model(ids).float() for i, ids in enumerate(sequences)}, folder / "golden.safetensors")
    golden = {"vocab_size": config["vocab_size"], "tokenizer_vocab": config["vocab_size"], "seed": seed,
              "sequences": [{"ids": ids} for ids in sequences], "greedy": text}
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")
    print(f"{name}: seed {seed}, margin {text['smallest_margin']:.2g}, clear {is_clear(text)}")


# ---- the models of others ----

def load_state(path):
    """A state dict: of safetensors, or of torch.save, also below "model" (fairseq) or "state_dict"."""
    if path.suffix == ".safetensors":
        return load_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("model", "state_dict"):
        state = state[key] if isinstance(state.get(key), dict) else state
    return state


def convert(options):
    state, settings = load_state(options.state), json.loads(options.settings.read_text())
    config, tensors = REPOSITORIES[options.repository](state, settings)
    tokens = {"bos_token_id": options.bos, "eos_token_id": options.eos}
    dtype = str(tensors["embed_tokens.weight"].dtype).removeprefix("torch.")
    export(options.out, {**config, **tokens, "torch_dtype": dtype}, tensors, options.tokenizer)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    cases = commands.add_parser("cases", help="small random models with golden data")
    cases.add_argument("out", type=pathlib.Path)
    cases.add_argument("names", nargs="*", metavar="NAME", help=" ".join(CASES))
    other = commands.add_parser("convert", help="a checkpoint of another repository")
    other.add_argument("repository", choices=REPOSITORIES)
    other.add_argument("state", type=pathlib.Path, help="state dict, of torch.save or safetensors")
    other.add_argument("settings", type=pathlib.Path, help="JSON of the settings that it was trained with")
    other.add_argument("out", type=pathlib.Path)
    other.add_argument("--tokenizer", help="folder to copy tokenizer.json from")
    other.add_argument("--bos", type=int)
    other.add_argument("--eos", type=int)
    options = parser.parse_args()
    if options.command == "convert":
        convert(options)
        return
    torch.set_num_threads(1)
    for name in options.names or CASES:
        make_case(options.out, name)


if __name__ == "__main__":
    main()
