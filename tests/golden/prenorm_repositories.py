"""What the models of five repositories are called in the `prenorm` format: which parameter becomes which tensor, which setting
which key (docs/prenorm-format.md has the same as tables).

Each function takes the state dict of the repository's own module and its settings (a dict), and gives config and tensors for
`export_prenorm.export`. What the format can't say raises Unsupported, and so does a parameter that nothing here knows: a model
that is not the one that was trained is never written. Tokens' ids and torch_dtype are left to the caller.
"""
import math
import re

import torch

LINEAR = (".weight", ".bias")


class Unsupported(Exception):
    pass


def demand(condition, what):
    if not condition:
        raise Unsupported(what)


def is_on(settings, *keys):
    return any(settings.get(key) for key in keys)


def rename(state, names, layer_pattern, layer_names, ignored=()):
    """names: prefix of a module -> the format's; layer_pattern has one group, the layer, before the rest of the name."""
    tensors = {}
    for name, tensor in state.items():
        if re.search("|".join(ignored) or "$^", name):
            continue
        layer = re.match(layer_pattern, name)
        table, prefix, inner = (layer_names, f"layers.{layer[1]}.", name[layer.end():]) if layer else (names, "", name)
        module, dot, leaf = inner.rpartition(".")
        if inner in table:
            module, dot, leaf = inner, "", ""
        demand(module in table, f"{name} is not a parameter that the format has")
        tensors[prefix + table[module] + dot + leaf] = tensor
    return tensors


# ---- GPAS (Chen et al. 2025): LLaMA with NORM_TYPE and POST_NUM of its environment --------------------------------------------

GPAS_NAMES = {"model.embed_tokens": "embed_tokens", "model.norm": "final_norm", "lm_head": "lm_head"}
GPAS_LINEARS = {
    "self_attn.q_proj": "attn.q_proj", "self_attn.k_proj": "attn.k_proj", "self_attn.v_proj": "attn.v_proj",
    "self_attn.o_proj": "attn.out_proj", "mlp.gate_proj": "mlp.gate_proj", "mlp.up_proj": "mlp.fc1", "mlp.down_proj": "mlp.fc2",
    "gpas_block.gate": "gate",
}
# post_attention_layernorm is in front of the MLP in Pre-LN layers, behind the attention in all others.
GPAS_NORMS = {
    "pre": {"input_layernorm": "attn_norm", "post_attention_layernorm": "mlp_norm"},
    "post": {"post_attention_layernorm": "attn_norm", "post_feedforward_layernorm": "mlp_norm"},
    "sandwich": {"input_layernorm": "attn_norm", "post_attention_layernorm": "attn_post_norm",
                 "pre_feedforward_layernorm": "mlp_norm", "post_feedforward_layernorm": "mlp_post_norm"},
}
GPAS_NORMS["deepnorm"] = GPAS_NORMS["post"]
# "lns" begins with scaled gains and trains them: the checkpoint has them as they are.
GPAS_TYPES = {"pre": "pre", "scale_pre": "pre", "lns": "pre", "post": "post", "deeppost": "deepnorm", "sandwich": "sandwich"}


def from_gpas(state, settings):
    """settings: the LlamaConfig, and norm_type and post_num as NORM_TYPE and POST_NUM were."""
    norm_type, layers = settings["norm_type"].lower(), settings["num_hidden_layers"]
    gpas, plain = norm_type.endswith("_gpas"), norm_type.removesuffix("_gpas")
    if plain in ("post_pre", "scale_post_pre"):
        posts = int(settings.get("post_num", 0))
        placement = ["post" if i < posts else "pre" for i in range(layers)]
    else:
        demand(plain in GPAS_TYPES, f"NORM_TYPE={norm_type}")
        placement = [GPAS_TYPES[plain]] * layers
    tensors = {}
    for i, name in [(None, None), *enumerate(placement)]:
        pattern = r"model\.layers\.(\d+)\."
        part = {n: t for n, t in state.items() if (m := re.match(pattern, n)) is None and i is None or m and int(m[1]) == i}
        tensors.update(rename(part, GPAS_NAMES, pattern, {**GPAS_LINEARS, **GPAS_NORMS.get(name, {})}, [r"rotary_emb\."]))
    return {
        "vocab_size": settings["vocab_size"], "hidden_size": settings["hidden_size"],
        "intermediate_size": settings["intermediate_size"], "num_attention_heads": settings["num_attention_heads"],
        "num_hidden_layers": layers, "max_position_embeddings": settings["max_position_embeddings"],
        "hidden_act": settings["hidden_act"], "gated_mlp": True, "norm_type": "rmsnorm",
        "layer_norm_eps": settings["rms_norm_eps"], "norm_placement": placement if len(set(placement)) > 1 else placement[0],
        "gpas": gpas, "final_norm": True, "position_embedding_type": "rotary", "tie_word_embeddings": False,
    }, tensors


# ---- fairseq's decoder (TransformerLanguageModel), with NormFormer's options; ResiDual's, which is one ------------------------

FAIRSEQ_NAMES = {
    "embed_tokens": "embed_tokens", "embed_positions": "embed_positions", "layernorm_embedding": "embed_norm",
    "layer_norm": "final_norm", "output_projection": "lm_head",
}
FAIRSEQ_LAYER = {
    "self_attn.q_proj": "attn.q_proj", "self_attn.k_proj": "attn.k_proj", "self_attn.v_proj": "attn.v_proj",
    "self_attn.out_proj": "attn.out_proj", "self_attn_layer_norm": "attn_norm", "final_layer_norm": "mlp_norm",
    "fc1": "mlp.fc1", "fc2": "mlp.fc2", "c_attn": "attn.head_scale", "attn_ln": "attn_post_norm",
    "ffn_layernorm": "mlp.inner_norm", "w_resid": "mlp.residual_scale",
}
FAIRSEQ_IGNORED = (r"^version$", r"\._float_tensor$", r"num_batches_tracked$")
FAIRSEQ_ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "gelu_accurate": "gelu_new", "swish": "silu"}


def fairseq_sizes(state, settings, positions):
    """What fairseq and torchscale have in common: sizes, embedding and its positions."""
    demand(not is_on(settings, "adaptive_softmax_cutoff", "adaptive_input"), "an adaptive softmax or input")
    demand(not is_on(settings, "moe_freq", "moe_expert_count"), "a mixture of experts")
    demand(not is_on(settings, "multiway", "xpos_rel_pos", "rel_pos_buckets", "max_rel_pos"), "multiway, xPos or relative positions")
    demand(not any("encoder_attn" in name for name in state), "cross-attention")
    demand(settings["activation_fn"] in FAIRSEQ_ACTIVATIONS, f"activation_fn={settings['activation_fn']}")
    vocabulary, width = state["embed_tokens.weight"].shape
    config = {
        "vocab_size": vocabulary, "hidden_size": width, "intermediate_size": settings["decoder_ffn_embed_dim"],
        "num_attention_heads": settings["decoder_attention_heads"], "num_hidden_layers": settings["decoder_layers"],
        "max_position_embeddings": settings["max_target_positions"], "hidden_act": FAIRSEQ_ACTIVATIONS[settings["activation_fn"]],
        "norm_type": "layernorm", "layer_norm_eps": settings.get("layernorm_eps", 1e-5), "position_embedding_type": positions,
        "embedding_scale": 1.0 if settings["no_scale_embedding"] else math.sqrt(width),
        "embedding_norm": bool(settings.get("layernorm_embedding")),
        "tie_word_embeddings": bool(settings["share_decoder_input_output_embed"]),
    }
    if positions in ("learned", "sinusoidal"):
        config["position_offset"] = 2  # the first token's position is padding_idx + 1, and the padding's index is 1
    return config


def without_prefix(state):
    """Of a language model the decoder alone is meant."""
    return {name.removeprefix("decoder."): tensor for name, tensor in state.items()}


def cut_positions(config, tensors):
    """Learned positions beyond the longest sequence are never read."""
    if config["position_embedding_type"] == "learned":
        rows = config["max_position_embeddings"] + config["position_offset"]
        demand(len(tensors["embed_positions.weight"]) >= rows, f"embed_positions has fewer than {rows} rows")
        tensors["embed_positions.weight"] = tensors["embed_positions.weight"][:rows]
    if config["tie_word_embeddings"]:
        tensors.pop("lm_head.weight", None)


def fairseq_decoder(state, settings):
    state = without_prefix(state)
    learned, none = settings.get("decoder_learned_pos"), settings.get("no_token_positional_embeddings")
    config = fairseq_sizes(state, settings, "none" if none else "learned" if learned else "sinusoidal")
    tensors = rename(state, FAIRSEQ_NAMES, r"layers\.(\d+)\.", FAIRSEQ_LAYER, FAIRSEQ_IGNORED)
    cut_positions(config, tensors)
    return config, tensors


def from_fairseq(state, settings):
    """settings: the arguments of the training (checkpoint["cfg"]["model"] or ["args"])."""
    config, tensors = fairseq_decoder(state, settings)
    before, scaled = settings["decoder_normalize_before"], is_on(settings, "scale_attn", "scale_fc", "scale_heads", "scale_resids")
    demand(before or not scaled, "NormFormer's scales behind the addition (without decoder_normalize_before)")
    config["norm_placement"] = "normformer" if scaled else "pre" if before else "post"
    config["final_norm"] = bool(before and not settings.get("no_decoder_final_norm"))
    if scaled:
        config["attn_post_norm"] = bool(settings.get("scale_attn"))
        config["mlp_inner_norm"] = bool(settings.get("scale_fc"))
        config["residual_scale"] = bool(settings.get("scale_resids"))
        config.update({"head_scale": "output"} if settings.get("scale_heads") else {})
    return config, tensors


def from_residual(state, settings):
    """ResiDual (Xie et al. 2023): its decoder without an encoder."""
    demand(not is_on(settings, "scale_attn", "scale_fc", "scale_heads", "scale_resids"), "NormFormer's scales in ResiDual")
    config, tensors = fairseq_decoder(state, settings)
    return {
        **config, "norm_placement": "residual_dual", "dual_scale": settings.get("dec_res_input_norm_scale", 1.0),
        "dual_alpha": settings.get("dec_alpha", 1.0), "dual_norm_eps": 1e-7,
    }, tensors


# ---- torchscale's decoder -----------------------------------------------------------------------------------------------------

TORCHSCALE_LAYER = {
    **FAIRSEQ_LAYER, "self_attn.inner_attn_ln": "attn.inner_norm", "ffn.fc1": "mlp.fc1", "ffn.fc2": "mlp.fc2",
    "ffn.ffn_layernorm": "mlp.inner_norm",
}


def from_torchscale(state, settings):
    """settings: the DecoderConfig, as it is once it is made (it sets some of its fields by others)."""
    state = without_prefix(state)
    config = fairseq_sizes(state, settings, "learned" if "embed_positions.weight" in state else "none")
    tensors = rename(state, FAIRSEQ_NAMES, r"layers\.(\d+)\.", TORCHSCALE_LAYER, FAIRSEQ_IGNORED)
    cut_positions(config, tensors)
    before, alpha = settings["decoder_normalize_before"], (2 * settings["decoder_layers"]) ** 0.25
    demand(before or not settings["subln"], "subln without decoder_normalize_before")
    config["norm_placement"] = "sub_ln" if settings["subln"] else "pre" if before else "post"
    config["final_norm"] = bool(before)
    if settings["deepnorm"] and before:
        config["residual_alpha"] = alpha  # as it ships: the factor of DeepNorm, and norms in front
    elif settings["deepnorm"]:
        config.update({"norm_placement": "deepnorm", "deepnorm_alpha": alpha})
    return config, tensors


# ---- the GPT of Jiang et al. 2023 ---------------------------------------------------------------------------------------------

JIANG_TYPES = {
    "pre-ln": "layernorm", "pre-apex-ln": "layernorm", "pre-customized-ln": "layernorm", "pre-rms": "rmsnorm",
    "pre-apex-rms": "rmsnorm", "pre-crms": "crmsnorm", "pre-crms-same-dim": "crmsnorm",
}
JIANG_NAMES = {"wte": "embed_tokens", "wpe": "embed_positions", "final_linear": "lm_head"}
JIANG_LAYER = {"1.to_out": "attn.out_proj", "3.net.0": "mlp.fc1", "3.net.2": "mlp.fc2"}


def centred(tensors):
    """pre_rms_training subtracts means from these as it runs; afterwards they are what the weights are."""
    for name, tensor in tensors.items():
        if name.startswith("embed_"):
            tensors[name] = tensor - tensor.mean(1, keepdim=True)
        if re.search(r"(out_proj|fc2)\.(weight|bias)$", name):
            tensors[name] = tensor - tensor.mean(0, keepdim=True)


def from_jiang(state, settings):
    """settings: heads and method, and pre_rms_training, of the GPT."""
    demand(settings["method"] in JIANG_TYPES, f"method={settings['method']}")
    kind, tensors, rest = JIANG_TYPES[settings["method"]], {}, {}
    for name, tensor in state.items():
        match = re.match(r"transformer\.layers\.(\d+)\.1\.to_qkv\.(weight|bias)$", name)
        if not match:
            rest[name] = tensor
            continue
        for letter, part in zip("qkv", tensor.chunk(3)):
            tensors[f"layers.{match[1]}.attn.{letter}_proj.{match[2]}"] = part
    tensors.update(rename(rest, JIANG_NAMES, r"transformer\.layers\.(\d+)\.", JIANG_LAYER))
    if settings.get("pre_rms_training") and kind == "rmsnorm":
        centred(tensors)
    vocabulary, width = tensors["embed_tokens.weight"].shape
    layers = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("layers."))
    for norm in ["final_norm"] + [f"layers.{i}.{n}_norm" for i in range(layers) for n in ("attn", "mlp")]:
        if kind != "crmsnorm":  # no norm of theirs has a gain; the format leaves it out in crmsnorm alone
            tensors[norm + ".weight"] = torch.ones(width)
        if kind == "layernorm":
            tensors[norm + ".bias"] = torch.zeros(width)
    return {
        "vocab_size": vocabulary, "hidden_size": width, "intermediate_size": len(tensors["layers.0.mlp.fc1.weight"]),
        "num_attention_heads": settings["heads"], "head_dim": len(tensors["layers.0.attn.q_proj.weight"]) // settings["heads"],
        "num_hidden_layers": layers, "max_position_embeddings": len(tensors["embed_positions.weight"]), "hidden_act": "gelu",
        "norm_type": kind, "layer_norm_eps": 1e-5, "norm_placement": "pre", "position_embedding_type": "learned",
        "tie_word_embeddings": False,
    }, tensors


REPOSITORIES = {
    "gpas": from_gpas, "fairseq": from_fairseq, "residual": from_residual, "torchscale": from_torchscale, "jiang": from_jiang,
}
