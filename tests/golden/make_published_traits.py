#!/usr/bin/env python3
"""What the transformers library reads out of a published config.json, in traits.json beside it.

    tests/golden/make_published_traits.py [tests/cases/published]

For the families with RMSNorm, whose classes are alike: sizes, rotary positions, windows, scales. Needs transformers (4.57).
"""
import json
import pathlib
import sys

import transformers

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3", "olmo2", "granite", "smollm3")
WINDOWED = ("mistral", "phi3")  # in every layer, where the config has a window and names no types of layers


def windows(c):
    """Of each layer; 0: none."""
    window = getattr(c, "sliding_window", None) or 0
    types = getattr(c, "layer_types", None)
    if types is None:
        return [window if c.model_type in WINDOWED else 0] * c.num_hidden_layers
    return [window if kind == "sliding_attention" else 0 for kind in types]


def score_scale(c, head_dim):
    if c.model_type == "granite":
        return c.attention_multiplier
    return getattr(c, "query_pre_attn_scalar", head_dim) ** -0.5


def scaling(c):
    """(type, factor, positions before scaling)"""
    given = getattr(c, "rope_scaling", None) or {}
    kind = given.get("rope_type", given.get("type", "none"))
    context = given.get("original_max_position_embeddings") or getattr(c, "original_max_position_embeddings", 0)
    return kind, given.get("factor", 0), context if kind not in ("none", "linear") else 0


def traits(c):
    heads = c.num_attention_heads
    head_dim = getattr(c, "head_dim", None) or c.hidden_size // heads
    kind, factor, before = scaling(c)
    return {
        "model_type": c.model_type, "vocabulary": c.vocab_size, "width": c.hidden_size, "layers": c.num_hidden_layers,
        "heads": heads, "kv_heads": c.num_key_value_heads, "head_dim": head_dim, "mlp_width": c.intermediate_size,
        # What was stretched is stretched as far: the library asks for the user's word, max_position_embeddings, which few change.
        "context": int(factor * before) if kind == "yarn" else c.max_position_embeddings, "norm_eps": c.rms_norm_eps, "tied": c.tie_word_embeddings,
        "rotated": int(head_dim * getattr(c, "partial_rotary_factor", 1.0)), "theta": float(c.rope_theta),
        "local_theta": float(getattr(c, "rope_local_base_freq", 0)), "scaling": kind, "scaling_factor": float(factor),
        "scaling_context": before, "windows": windows(c), "rotary_layers": list(getattr(c, "no_rope_layers", [])) or
        [1] * c.num_hidden_layers, "score_scale": score_scale(c, head_dim),
        "score_cap": float(getattr(c, "attn_logit_softcapping", None) or 0),
        "logit_cap": float(getattr(c, "final_logit_softcapping", None) or 0),
        "embedding_scale": c.hidden_size ** 0.5 if c.model_type.startswith("gemma") else getattr(c, "embedding_multiplier", 1.0),
        "residual_multiplier": getattr(c, "residual_multiplier", 1.0), "logit_scale": 1 / getattr(c, "logits_scaling", 1.0),
        "qkv_bias": c.model_type == "qwen2" or bool(getattr(c, "attention_bias", False)),
    }


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/cases/published")
    for path in sorted(folder.iterdir()):
        if json.loads((path / "config.json").read_text())["model_type"] in FAMILIES:
            read = transformers.AutoConfig.from_pretrained(path)
            (path / "traits.json").write_text(json.dumps(traits(read)) + "\n")


if __name__ == "__main__":
    main()
