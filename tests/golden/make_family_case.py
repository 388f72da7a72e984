#!/usr/bin/env python3
"""Makes golden cases of model families in the layout of tests/golden/families, with the transformers library.

    pip install torch transformers safetensors
    tests/golden/make_family_case.py OUT            # every variant of the tables below that is for this version of the library
    tests/golden/make_family_case.py OUT NAME...    # these

PRENORM_CASE_SEED is the first seed that is tried: another one gives other checkpoints.

Weights are random, stored as float16 and computed with in float64 in one pass over each sequence. Run the cases with

    PRENORM_TEST_MODELS=OUT build/tests/test_golden_forward

Attention is the library's eager one unless a variant names another. That matters for Falcon with ALiBi alone, whose eager
attention adds the bias twice: config.json then says so. Its default, sdpa, needs no word.
"""
import copy
import json
import os
import pathlib
import shutil
import sys

import torch
import transformers
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
TOKENIZER = HERE / "families" / "gpt2"
TOKENIZER_VOCABULARY = 320
FIRST_SEED = int(os.environ.get("PRENORM_CASE_SEED", 0))
SEEDS = range(FIRST_SEED, FIRST_SEED + 50)
LENGTHS = (24, 40)
PROMPT, GREEDY = 8, 16
MARGIN_MIN = 1e-3

# The sizes of each family under its own names; a variant is a family and what it overrides.
GPT = dict(n_embd=32, n_head=4, n_layer=2, n_positions=64)
HIDDEN = dict(hidden_size=32, num_attention_heads=4, num_hidden_layers=2, max_position_embeddings=64)
SIZES = {
    "gpt2": GPT,
    "gptj": dict(GPT, rotary_dim=4),
    "codegen": dict(GPT, rotary_dim=4, n_ctx=64),
    "gpt_bigcode": GPT,
    "ctrl": dict(GPT, dff=80),
    "gpt_neo": dict(hidden_size=32, num_heads=4, num_layers=2, max_position_embeddings=64, window_size=8,
                    attention_types=[[["global", "local"], 1]]),
    "gpt_neox": dict(HIDDEN, intermediate_size=80),
    "gpt_neox_japanese": HIDDEN,
    "opt": dict(HIDDEN, ffn_dim=80),
    "bloom": dict(hidden_size=32, n_head=4, n_layer=2),
    "falcon": HIDDEN,
    "mpt": dict(d_model=32, n_heads=4, n_layers=2, max_seq_len=64),
    "phi": dict(HIDDEN, intermediate_size=80),
    "persimmon": dict(HIDDEN, intermediate_size=80),
    "stablelm": dict(HIDDEN, intermediate_size=80, num_key_value_heads=2),
    "starcoder2": dict(HIDDEN, intermediate_size=80, num_key_value_heads=2),
    "cohere": dict(HIDDEN, intermediate_size=80, num_key_value_heads=2),
    "cohere2": dict(HIDDEN, intermediate_size=80, num_key_value_heads=2, sliding_window=8),
    "olmo": dict(HIDDEN, intermediate_size=80, num_key_value_heads=2),
    "nemotron": dict(HIDDEN, intermediate_size=80, num_key_value_heads=2),
    "xglm": dict(d_model=32, attention_heads=4, num_layers=2, ffn_dim=80, max_position_embeddings=64),
    "biogpt": dict(HIDDEN, intermediate_size=80),
    **{family: dict(HIDDEN, intermediate_size=80, num_key_value_heads=2, **more) for family, more in {
        "llama": {}, "mistral": dict(sliding_window=None), "qwen2": {}, "qwen3": dict(head_dim=12), "gemma": dict(head_dim=12),
        "gemma2": dict(head_dim=12, sliding_window=8, query_pre_attn_scalar=24),
        "gemma3_text": dict(head_dim=12, sliding_window=8, query_pre_attn_scalar=24), "phi3": {}, "olmo2": {},
        "granite": dict(attention_multiplier=0.4), "smollm3": dict(num_hidden_layers=3)}.items()},
}
ROPE_LINEAR = dict(rope_type="linear", factor=3.0)
ROPE_DYNAMIC = dict(rope_type="dynamic", factor=3.0)  # the greedy text stays within max_position_embeddings
ROPE_LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=24)
ROPE_YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16)
# One sequence is within the context of the training, as the greedy text is, and one beyond it.
ROPE_LONG = dict(type="longrope", short_factor=[1.0, 1.1, 1.3, 1.7], long_factor=[1.0, 2.5, 4.0, 9.0])
LAYERS_OF_3 = ["full_attention", "sliding_attention", "full_attention"]

VARIANTS = {
    "gpt2-unscaled-untied": ("gpt2", dict(scale_attn_weights=False, tie_word_embeddings=False, n_inner=72)),
    "gpt_neo-windows": ("gpt_neo", dict(num_layers=5, window_size=5, intermediate_size=72, activation_function="relu",
                                        attention_types=[[["local"], 2], [["global", "local", "local"], 1]])),
    "gpt_neox-no-attention-bias": ("gpt_neox", dict(attention_bias=False, use_parallel_residual=False, hidden_act="silu")),
    "gpt_neox-odd-rotary": ("gpt_neox", dict(hidden_size=64, rotary_pct=0.33)),
    "gpt_neox-dynamic": ("gpt_neox", dict(max_position_embeddings=26, rotary_pct=0.5, rope_scaling=ROPE_DYNAMIC)),
    "gpt_neox-tied": ("gpt_neox", dict(tie_word_embeddings=True)),
    "gpt_neox_japanese-partial": ("gpt_neox_japanese", dict(rotary_pct=0.5, rotary_emb_base=700, hidden_act="silu",
                                                            intermediate_multiple_size=3, num_hidden_layers=3)),
    "gpt_neox_japanese-untied": ("gpt_neox_japanese", dict(tie_word_embeddings=False)),
    "gptj-full-rotary": ("gptj", dict(rotary_dim=8, n_inner=72, activation_function="gelu")),
    "gptj-tied": ("gptj", dict(tie_word_embeddings=True)),
    "codegen-16-heads": ("codegen", dict(n_embd=128, n_head=16, rotary_dim=8, n_inner=72)),
    "opt-plain-norms": ("opt", dict(layer_norm_elementwise_affine=False)),
    "opt-wide-embedding": ("opt", dict(word_embed_proj_dim=48, tie_word_embeddings=False, activation_function="gelu")),
    "bloom-12-heads": ("bloom", dict(hidden_size=48, n_head=12)),
    "bloom-untied": ("bloom", dict(tie_word_embeddings=False)),
    "falcon-alibi-12-heads": ("falcon", dict(hidden_size=48, num_attention_heads=12, alibi=True, multi_query=False,
                                             num_kv_heads=12, parallel_attn=False, bias=True,
                                             attn_implementation="eager")),
    "falcon-alibi-parallel": ("falcon", dict(alibi=True, multi_query=False, num_kv_heads=4, bias=True,
                                             attn_implementation="sdpa")),
    "falcon-alibi-groups": ("falcon", dict(alibi=True, new_decoder_architecture=True, num_kv_heads=2,
                                           attn_implementation="eager")),
    "falcon-sequential-mqa": ("falcon", dict(parallel_attn=False, bias=True)),
    "falcon-11b": ("falcon", dict(new_decoder_architecture=True, num_kv_heads=2, num_ln_in_parallel_attn=1,
                                  ffn_hidden_size=72)),
    "falcon-mha-rotary": ("falcon", dict(multi_query=False, num_kv_heads=4, activation="relu")),
    "falcon-one-norm-rope": ("falcon", dict(num_ln_in_parallel_attn=1, rope_scaling=ROPE_LINEAR)),
    "mpt-softmax-scale": ("mpt", dict(attn_config=dict(softmax_scale=0.6, clip_qkv=1.5))),
    "mpt-7-heads": ("mpt", dict(d_model=56, n_heads=7, tie_word_embeddings=False)),
    "phi-head-norm": ("phi", dict(qk_layernorm=True, num_key_value_heads=2, layer_norm_eps=1e-2)),
    "phi-whole-rotary": ("phi", dict(partial_rotary_factor=1.0, rope_theta=300.0, tie_word_embeddings=True)),
    "phi-head-dim": ("phi", dict(head_dim=12)),
    "phi-linear": ("phi", dict(rope_scaling=ROPE_LINEAR)),
    "persimmon-no-head-norm": ("persimmon", dict(qk_layernorm=False, partial_rotary_factor=1.0)),
    "persimmon-tied": ("persimmon", dict(tie_word_embeddings=True, hidden_act="gelu", layer_norm_eps=1e-2)),
    "stablelm-head-norm-sequential": ("stablelm", dict(qk_layernorm=True, use_qkv_bias=True, layer_norm_eps=1e-2)),
    "stablelm-parallel": ("stablelm", dict(use_parallel_residual=True, num_key_value_heads=4, tie_word_embeddings=True,
                                           partial_rotary_factor=0.5)),
    "starcoder2-no-bias": ("starcoder2", dict(use_bias=False, sliding_window=5, tie_word_embeddings=False)),
    "starcoder2-linear": ("starcoder2", dict(rope_scaling=ROPE_LINEAR, num_key_value_heads=4, hidden_act="relu")),
    "starcoder2-head-dim": ("starcoder2", dict(head_dim=12)),
    "gpt_bigcode-unscaled": ("gpt_bigcode", dict(scale_attn_weights=False, tie_word_embeddings=False)),
    "gpt_bigcode-mha-inner": ("gpt_bigcode", dict(multi_query=False, n_inner=72, activation_function="relu")),
    "cohere-head-norm": ("cohere", dict(use_qk_norm=True, attention_bias=True, logit_scale=0.5, layer_norm_eps=1e-2)),
    "cohere-untied-mha": ("cohere", dict(tie_word_embeddings=False, num_key_value_heads=4, hidden_act="gelu")),
    "cohere2-pattern": ("cohere2", dict(num_hidden_layers=5, sliding_window_pattern=2, attention_bias=True)),
    "cohere2-layer-types": ("cohere2", dict(layer_types=["full_attention", "sliding_attention"], sliding_window=4)),
    "olmo-bias-gqa": ("olmo", dict(attention_bias=True, clip_qkv=1.0, num_key_value_heads=1)),
    "olmo-dynamic": ("olmo", dict(max_position_embeddings=26, rope_scaling=ROPE_DYNAMIC)),
    "olmo-tied": ("olmo", dict(tie_word_embeddings=True, rope_theta=500.0, hidden_act="gelu")),
    "nemotron-biases": ("nemotron", dict(attention_bias=True, mlp_bias=True, partial_rotary_factor=1.0)),
    "nemotron-odd-rotary": ("nemotron", dict(head_dim=20, partial_rotary_factor=0.27, tie_word_embeddings=True)),
    "xglm-unscaled": ("xglm", dict(scale_embedding=False, tie_word_embeddings=False, activation_function="relu")),
    "xglm-odd-width": ("xglm", dict(d_model=33, attention_heads=3)),
    "biogpt-unscaled": ("biogpt", dict(scale_embedding=False, hidden_act="relu", tie_word_embeddings=False)),
    "ctrl-odd-width": ("ctrl", dict(n_embd=35, n_head=5, layer_norm_epsilon=1e-2)),
    "ctrl-untied": ("ctrl", dict(tie_word_embeddings=False)),
    "llama-biases": ("llama", dict(attention_bias=True, mlp_bias=True, head_dim=12, num_key_value_heads=1, rms_norm_eps=1e-2)),
    # As many layers as it takes for int8 to keep the last one's MLP finer, and columns of it that are rotated.
    "llama-deep": ("llama", dict(num_hidden_layers=24, num_key_value_heads=2, intermediate_size=64)),
    "llama-linear-tied": ("llama", dict(rope_scaling=ROPE_LINEAR, tie_word_embeddings=True, hidden_act="gelu")),
    "llama-dynamic": ("llama", dict(max_position_embeddings=26, rope_scaling=ROPE_DYNAMIC)),
    "llama-llama3": ("llama", dict(rope_scaling=ROPE_LLAMA3, rope_theta=500.0)),
    "llama-yarn": ("llama", dict(head_dim=16, rope_scaling=dict(ROPE_YARN, beta_fast=8.0, beta_slow=0.5, mscale=0.7,
                                                                mscale_all_dim=0.4, truncate=False))),
    "mistral-window": ("mistral", dict(sliding_window=7, head_dim=12)),
    "mistral-yarn": ("mistral", dict(head_dim=8, rope_scaling=dict(ROPE_YARN, attention_factor=1.3), rope_theta=300.0)),
    "qwen2-windows": ("qwen2", dict(num_hidden_layers=3, use_sliding_window=True, sliding_window=6, max_window_layers=1,
                                    rope_scaling=ROPE_YARN, tie_word_embeddings=True)),
    "qwen2-layer-types": ("qwen2", dict(num_hidden_layers=3, use_sliding_window=True, sliding_window=6, layer_types=LAYERS_OF_3)),
    "qwen3-bias": ("qwen3", dict(attention_bias=True, rms_norm_eps=1e-2, num_key_value_heads=1)),
    "qwen3-windows": ("qwen3", dict(use_sliding_window=True, sliding_window=6, max_window_layers=1, rope_scaling=ROPE_LLAMA3)),
    "gemma-bias": ("gemma", dict(attention_bias=True, rms_norm_eps=1e-2, num_key_value_heads=1)),
    "gemma2-caps": ("gemma2", dict(attn_logit_softcapping=3.0, final_logit_softcapping=5.0, num_hidden_layers=3)),
    "gemma2-no-caps": ("gemma2", dict(attn_logit_softcapping=None, final_logit_softcapping=None, attention_bias=True,
                                      rope_scaling=ROPE_LINEAR)),
    "gemma3_text-pattern": ("gemma3_text", dict(num_hidden_layers=3, sliding_window_pattern=3, rope_local_base_freq=100.0,
                                                rope_theta=5000.0, rope_scaling=ROPE_LINEAR)),
    "gemma3_text-cap": ("gemma3_text", dict(layer_types=["full_attention", "sliding_attention"], final_logit_softcapping=5.0,
                                             attention_bias=True, rms_norm_eps=1e-2)),
    "phi3-window-partial": ("phi3", dict(partial_rotary_factor=0.5, sliding_window=7, rms_norm_eps=1e-2)),
    "phi3-longrope": ("phi3", dict(rope_scaling=ROPE_LONG, original_max_position_embeddings=30)),
    "phi3-longrope-partial": ("phi3", dict(hidden_size=64, partial_rotary_factor=0.5, original_max_position_embeddings=7,
                                           rope_scaling=ROPE_LONG, tie_word_embeddings=True)),
    "olmo2-bias": ("olmo2", dict(attention_bias=True, rms_norm_eps=1e-2, num_key_value_heads=1)),
    "olmo2-dynamic": ("olmo2", dict(max_position_embeddings=26, rope_scaling=dict(type="dynamic", factor=3.0), head_dim=12)),
    "granite-biases": ("granite", dict(attention_bias=True, mlp_bias=True, embedding_multiplier=3.0, residual_multiplier=0.4,
                                       attention_multiplier=0.2, logits_scaling=2.0, tie_word_embeddings=True)),
    "smollm3-windows": ("smollm3", dict(no_rope_layer_interval=2, use_sliding_window=True, sliding_window=6, attention_bias=True,
                                        mlp_bias=True, rope_theta=500.0)),
    "smollm3-yarn": ("smollm3", dict(no_rope_layers=[0, 1, 1], rope_scaling=ROPE_YARN, tie_word_embeddings=False)),
}

# With transformers 5, whose configs have other spellings.
VARIANTS_OF_5 = {
    "llama-yarn-tf5": ("llama", dict(head_dim=16, rope_parameters=dict(ROPE_YARN, rope_theta=300.0, mscale=0.7, mscale_all_dim=0.4))),
    "llama-llama3-tf5": ("llama", dict(rope_parameters=dict(ROPE_LLAMA3, rope_theta=500.0))),
    "qwen3-windows-tf5": ("qwen3", dict(use_sliding_window=True, sliding_window=6, max_window_layers=1,
                                        rope_parameters=dict(rope_type="default", rope_theta=500.0))),
    "gemma2-tf5": ("gemma2", dict(attn_logit_softcapping=3.0, final_logit_softcapping=5.0)),
    "gemma3_text-tf5": ("gemma3_text", dict(layer_types=["full_attention", "sliding_attention"], rope_parameters=dict(
        full_attention=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16, rope_theta=5000.0),
        sliding_attention=dict(rope_type="linear", factor=2.0, rope_theta=100.0)))),
    "phi3-longrope-tf5": ("phi3", dict(original_max_position_embeddings=30, rope_parameters=dict(
        ROPE_LONG, rope_type="longrope", rope_theta=500.0))),
    "olmo2-yarn-tf5": ("olmo2", dict(rope_parameters=dict(ROPE_YARN, rope_theta=300.0))),
    "smollm3-tf5": ("smollm3", dict(no_rope_layer_interval=3)),
    "nemotron-linear": ("nemotron", dict(rope_parameters=dict(ROPE_LINEAR, rope_theta=500.0))),
}


def randomise(model):
    """Gains around 1 (around 0 where they are stored minus 1), biases and tables with means away from 0; all of them
    numbers that float16 has."""
    for name, p in model.named_parameters():
        noise = torch.randn_like(p)
        if p.dim() >= 2 and "norm" not in name:
            table = any(word in name for word in ("embed", "wte", "wpe", "transformer.w."))
            p.data = noise * 0.5 + 0.1 if table else noise * 1.3 / p.shape[-1] ** 0.5
        elif name.endswith("bias"):
            p.data = noise * 0.3 + 0.1
        else:
            p.data = noise * 0.2 + (0 if model.config.model_type.startswith(("nemotron", "gemma")) else 1)
        p.data = p.data.half().float()


def logits_of(model, ids):
    torch.set_default_dtype(torch.float64)  # some models make masks of the default type
    try:
        with torch.no_grad():
            return model(torch.tensor([ids]), use_cache=False).logits[0]
    finally:
        torch.set_default_dtype(torch.float32)


def greedy(model, prompt):
    """Tokens and the smallest lead; None when the end token wins somewhere or a lead is too small."""
    ids, margin = list(prompt), float("inf")
    for _ in range(GREEDY):
        best = logits_of(model, ids)[-1, :TOKENIZER_VOCABULARY].topk(2)
        margin = min(margin, (best.values[0] - best.values[1]).item())
        token = best.indices[0].item()
        if token == 0 or margin < MARGIN_MIN:
            return None
        ids.append(token)
    return ids[len(prompt):], margin


def build(family, overrides, seed):
    torch.manual_seed(seed)
    settings = dict(SIZES[family], vocab_size=TOKENIZER_VOCABULARY + 8, bos_token_id=0, eos_token_id=0, pad_token_id=0)
    settings = copy.deepcopy({**settings, **overrides})
    attention = settings.pop("attn_implementation", "eager")
    config = transformers.AutoConfig.for_model(family, **settings)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    randomise(model)
    if config.tie_word_embeddings:
        model.tie_weights()
    return model.eval().double()


def save(model, folder, sequences, prompt, answer, seed):
    tokens, margin = answer
    golden = {
        "library": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}",
        "seed": seed,
        "precision": "float64",
        "vocab_size": model.config.vocab_size,
        "tokenizer_vocab": TOKENIZER_VOCABULARY,
        "sequences": [{"ids": ids} for ids in sequences],
        "greedy": {"prompt": prompt, "tokens": tokens, "smallest_margin": margin},
    }
    (folder / "golden.json").write_text(json.dumps(golden))
    logits = {f"logits_{i}": logits_of(model, ids).float().contiguous() for i, ids in enumerate(sequences)}
    save_file(logits, folder / "golden.safetensors")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(TOKENIZER / name, folder / name)


def make(name, out):
    family, overrides = {**VARIANTS, **VARIANTS_OF_5}[name]
    folder = out / name
    for seed in SEEDS:
        model = build(family, overrides, seed)
        sequences = [torch.randint(1, TOKENIZER_VOCABULARY, (n,)).tolist() for n in LENGTHS]
        prompt = sequences[0][:PROMPT]
        answer = greedy(model, prompt)
        if answer:
            break
    else:
        sys.exit(f"{name}: no seed gives a decided greedy text")
    folder.mkdir(parents=True, exist_ok=True)
    save(model, folder, sequences, prompt, answer, seed)
    model.half().save_pretrained(folder)  # last: it rounds the tables of positions too
    if overrides.get("attn_implementation") == "eager":
        config = json.loads((folder / "config.json").read_text())
        config["attn_implementation"] = "eager"
        (folder / "config.json").write_text(json.dumps(config, indent=1))
    print(f"{name}: seed {seed}")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    transformers.logging.set_verbosity_error()
    out = pathlib.Path(sys.argv[1])
    for name in sys.argv[2:] or (VARIANTS_OF_5 if transformers.__version__ >= "5" else VARIANTS):
        try:
            make(name, out)
        except Exception as error:  # a variant that this version of the library refuses is told, and the rest goes on
            print(f"{name}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
