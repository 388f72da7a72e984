"""The `prenorm` checkpoint format as its definition: a decoder in torch that computes what docs/prenorm-format.md says, from
config.json and the tensors alone, in whatever precision the tensors have. It shares nothing with the engine.

`tensor_shapes(config)` lists the tensors of a configuration; `Decoder(config, tensors)(ids)` gives logits [tokens, vocabulary].
"""
import math

import torch
import torch.nn.functional as F

ACTIVATIONS = {
    "gelu": F.gelu, "gelu_new": lambda x: F.gelu(x, approximate="tanh"), "relu": F.relu, "silu": F.silu,
}
POST_LIKE = ("post", "deepnorm", "residual_dual", "keel")
# Norms of a block, by the names of their tensors below layers.N. In post, deepnorm and residual_dual the two stand behind the
# addition; in keel the post norms do.
INPUT = ("attn_norm", "mlp_norm")
POST = ("attn_post_norm", "mlp_post_norm")
INNER = ("attn.inner_norm", "mlp.inner_norm")
NORMS = {
    "pre": INPUT, "post": INPUT, "deepnorm": INPUT, "residual_dual": INPUT, "sandwich": INPUT + POST, "sub_ln": INPUT + INNER,
    "normformer": INPUT + ("attn_post_norm", "mlp.inner_norm"), "output": POST, "keel": INPUT + POST,
}
# A key that is false leaves a norm out.
NORM_FLAGS = {"attn_post_norm": "attn_post_norm", "mlp.inner_norm": "mlp_inner_norm", "attn.inner_norm": "attn_inner_norm"}


def placements(config):
    """The placement of each layer."""
    placement = config.get("norm_placement", "pre")
    return placement if isinstance(placement, list) else [placement] * config["num_hidden_layers"]


def norms_of(config, layer):
    """Names below layers.N of the norms that a layer has."""
    return [n for n in NORMS[placements(config)[layer]] if n not in NORM_FLAGS or config.get(NORM_FLAGS[n], True)]


def has_final_norm(config):
    return config.get("final_norm", placements(config)[-1] not in ("post", "deepnorm"))


def head_dim(config):
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def tensor_shapes(config, biases=True):
    """Name -> shape of all tensors. biases: whether linears have one (each of them may)."""
    width, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    kv_heads, dim, vocabulary = config.get("num_key_value_heads", heads), head_dim(config), config["vocab_size"]
    shapes = {"embed_tokens.weight": (vocabulary, width)}

    def norm(name, size):
        shapes[name + ".weight"] = (size,)
        if config.get("norm_type", "layernorm") == "layernorm":
            shapes[name + ".bias"] = (size,)

    def linear(name, out, size):
        shapes[name + ".weight"] = (out, size)
        if biases:
            shapes[name + ".bias"] = (out,)

    if config.get("position_embedding_type", "learned") == "learned":
        positions = config["max_position_embeddings"] + config.get("position_offset", 0)
        shapes["embed_positions.weight"] = (positions, width)
    if config.get("embedding_norm"):
        norm("embed_norm", width)
    if has_final_norm(config):
        norm("final_norm", width)
    if not config.get("tie_word_embeddings", True):
        shapes["lm_head.weight"] = (vocabulary, width)
    for i in range(config["num_hidden_layers"]):
        at = f"layers.{i}."
        sizes = {"attn.inner_norm": heads * dim, "mlp.inner_norm": inner}
        for name in norms_of(config, i):
            norm(at + name, sizes.get(name, width))
        linear(at + "attn.q_proj", heads * dim, width)
        linear(at + "attn.k_proj", kv_heads * dim, width)
        linear(at + "attn.v_proj", kv_heads * dim, width)
        linear(at + "attn.out_proj", width, heads * dim)
        linear(at + "mlp.fc1", inner, width)
        if config.get("gated_mlp"):
            linear(at + "mlp.gate_proj", inner, width)
        linear(at + "mlp.fc2", width, inner)
        if config.get("head_scale"):
            shapes[at + "attn.head_scale"] = (heads,)
        if config.get("residual_scale"):
            shapes[at + "mlp.residual_scale"] = (width,)
        if config.get("gpas"):
            shapes[at + "gate"] = (1,)
    return shapes


def alibi_slopes(heads):
    """Press et al. 2022: 2^(-8 i / n) for a power of 2; else those of the power below, then every other one of twice that."""
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    return slopes + [2 ** (-4 * (2 * i + 1) / power) for i in range(heads - power)]


class Decoder:
    def __init__(self, config, tensors):
        self.config, self.tensors = config, tensors
        self.placement = placements(config)
        self.heads, self.dim = config["num_attention_heads"], head_dim(config)
        self.kv_heads = config.get("num_key_value_heads", self.heads)
        self.dtype = tensors["embed_tokens.weight"].dtype

    def norm(self, name, x, eps=None):
        eps = self.config["layer_norm_eps"] if eps is None else eps
        gain, bias = self.tensors.get(name + ".weight"), self.tensors.get(name + ".bias")
        kind, width = self.config.get("norm_type", "layernorm"), x.shape[-1]
        if kind == "layernorm":
            return F.layer_norm(x, (width,), gain, bias, eps)
        squares, divisor = x.square().sum(-1, keepdim=True), width
        if kind == "crmsnorm":  # Jiang et al. 2023: the missing entry is minus the sum of the others
            squares, divisor = squares + x.sum(-1, keepdim=True).square(), width + 1
        normed = x / torch.sqrt(squares / divisor + eps)
        return normed if gain is None else normed * gain

    def linear(self, name, x):
        return F.linear(x, self.tensors[name + ".weight"], self.tensors.get(name + ".bias"))

    def embed(self, ids):
        config, width = self.config, self.config["hidden_size"]
        x = self.tensors["embed_tokens.weight"][ids] * config.get("embedding_scale", 1)
        positions = torch.arange(len(ids)) + config.get("position_offset", 0)
        kind = config.get("position_embedding_type", "learned")
        if kind == "learned":
            x = x + self.tensors["embed_positions.weight"][positions]
        elif kind == "sinusoidal":
            half = width // 2
            frequencies = 10000.0 ** -(torch.arange(half, dtype=self.dtype) / (half - 1))
            angles = positions.to(self.dtype)[:, None] * frequencies
            x = x + F.pad(torch.cat([angles.sin(), angles.cos()], 1), (0, width % 2))
        return self.norm("embed_norm", x) if config.get("embedding_norm") else x

    def rotate(self, x):
        """Pairs (i, i + dim/2) of each head [heads, tokens, dim]."""
        half = self.dim // 2
        frequencies = self.config.get("rope_theta", 10000.0) ** -(torch.arange(half, dtype=self.dtype) / half)
        angles = torch.arange(x.shape[1], dtype=self.dtype)[:, None] * frequencies
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], -1)

    def attention(self, i, x):
        at, rows = f"layers.{i}.attn.", len(x)
        q, k, v = (self.linear(at + n, x).view(rows, -1, self.dim).transpose(0, 1) for n in ("q_proj", "k_proj", "v_proj"))
        kind = self.config.get("position_embedding_type", "learned")
        if kind == "rotary":
            q, k = self.rotate(q), self.rotate(k)
        k, v = (t.repeat_interleave(self.heads // self.kv_heads, 0) for t in (k, v))
        scores = q @ k.transpose(1, 2) / math.sqrt(self.dim)
        distance = torch.arange(rows)[None, :] - torch.arange(rows)[:, None]
        if kind == "alibi":
            scores = scores + torch.tensor(alibi_slopes(self.heads), dtype=self.dtype)[:, None, None] * distance
        heads = scores.masked_fill(distance > 0, -math.inf).softmax(-1) @ v
        return self.join_heads(i, heads.transpose(0, 1))

    def join_heads(self, i, heads):
        at, scale = f"layers.{i}.attn.", self.config.get("head_scale")
        if scale == "paper":
            heads = heads * self.tensors[at + "head_scale"][:, None]
        joined = heads.reshape(len(heads), -1)
        if "attn.inner_norm" in norms_of(self.config, i):
            joined = self.norm(at + "inner_norm", joined)
        out = self.linear(at + "out_proj", joined)
        if scale == "output":
            out = (out.view(len(out), self.heads, -1) * self.tensors[at + "head_scale"][:, None]).reshape(out.shape)
        return out

    def mlp(self, i, x):
        at, activation = f"layers.{i}.mlp.", ACTIVATIONS[self.config.get("hidden_act", "gelu_new")]
        hidden = self.linear(at + "fc1", x)
        if self.config.get("gated_mlp"):
            hidden = activation(self.linear(at + "gate_proj", x)) * hidden
        else:
            hidden = activation(hidden)
        if "mlp.inner_norm" in norms_of(self.config, i):
            hidden = self.norm(at + "inner_norm", hidden)
        return self.linear(at + "fc2", hidden)

    def gate(self, i):
        return 1 - F.silu(self.tensors[f"layers.{i}.gate"].reshape(())) if self.config.get("gpas") else 1

    def sublayer(self, i, name, x):
        """name: attn or mlp."""
        at, config, placement = f"layers.{i}.{name}_", self.config, self.placement[i]
        branch = self.attention if name == "attn" else self.mlp
        if placement in ("post", "deepnorm"):
            alpha = config.get("deepnorm_alpha", (2 * config["num_hidden_layers"]) ** 0.25) if placement == "deepnorm" else 1
            return self.norm(at + "norm", self.gate(i) * alpha * x + branch(i, x))
        if placement == "keel":
            return self.norm(at + "post_norm", config["residual_alpha"] * x + branch(i, self.norm(at + "norm", x)))
        y = branch(i, x if placement == "output" else self.norm(at + "norm", x))
        if f"{name}_post_norm" in norms_of(config, i):
            y = self.norm(at + "post_norm", y)
        x = config.get("residual_alpha", 1) * x
        if name == "mlp" and config.get("residual_scale"):
            x = self.tensors[f"layers.{i}.mlp.residual_scale"] * x
        return self.gate(i) * (x + y)

    def dual(self, x):
        """ResiDual (Xie et al. 2023): p <- norm(p + F(p)), q <- q + F(p); alpha p + norm(q)."""
        config = self.config
        scale = config.get("dual_scale", 1)
        p, q = x, scale * x
        for i in range(config["num_hidden_layers"]):
            for name, branch in (("attn", self.attention), ("mlp", self.mlp)):
                y = branch(i, p)
                p, q = self.norm(f"layers.{i}.{name}_norm", p + y), q + scale * y
        return config.get("dual_alpha", 1) * p + self.norm("final_norm", q, config.get("dual_norm_eps", 1e-7))

    def hidden(self, x):
        if self.placement[0] == "residual_dual":
            return self.dual(x)
        for i in range(self.config["num_hidden_layers"]):
            for name in ("attn", "mlp"):
                x = self.sublayer(i, name, x)
        return self.norm("final_norm", x) if has_final_norm(self.config) else x

    def __call__(self, ids):
        head = "embed_tokens" if self.config.get("tie_word_embeddings", True) else "lm_head"
        x = self.hidden(self.embed(torch.as_tensor(ids)))
        return F.linear(x, self.tensors[head + ".weight"], self.tensors.get("lm_head.bias"))
