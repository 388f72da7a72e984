"""Folders with random weights in the shapes of large models, and with fewer layers than those have: what a start costs grows by the layer. Standard
library only; the values are repeated, since none counts for how long a start takes."""
import array
import json
import pathlib
import random
import struct

NEOX = {
    "architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "torch_dtype": "bfloat16", "hidden_act": "gelu", "vocab_size": 50432,
    "hidden_size": 4096, "intermediate_size": 16384, "num_attention_heads": 32, "max_position_embeddings": 2048, "rotary_pct": 0.25,
    "layer_norm_eps": 1e-5, "use_parallel_residual": True, "tie_word_embeddings": False,
}
LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "hidden_act": "silu", "vocab_size": 32000,
    "hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
}


def neox_tensors(config, layers):
    """(name, shape, gain)"""
    width, mlp, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]

    def linear(name, out, inputs):
        return [(name + ".weight", (out, inputs), False), (name + ".bias", (out,), False)]

    def norm(name):
        return [(name + ".weight", (width,), True), (name + ".bias", (width,), False)]

    yield "gpt_neox.embed_in.weight", (vocabulary, width), False
    for i in range(layers):
        at = f"gpt_neox.layers.{i}."
        yield from norm(at + "input_layernorm") + norm(at + "post_attention_layernorm")
        yield from linear(at + "attention.query_key_value", 3 * width, width) + linear(at + "attention.dense", width, width)
        yield from linear(at + "mlp.dense_h_to_4h", mlp, width) + linear(at + "mlp.dense_4h_to_h", width, mlp)
    yield from norm("gpt_neox.final_layer_norm")
    yield "embed_out.weight", (vocabulary, width), False


def llama_tensors(config, layers):
    """(name, shape, gain)"""
    width, mlp, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    yield "model.embed_tokens.weight", (vocabulary, width), False
    for i in range(layers):
        at = f"model.layers.{i}."
        yield at + "input_layernorm.weight", (width,), True
        yield at + "post_attention_layernorm.weight", (width,), True
        for part in "qkvo":
            yield f"{at}self_attn.{part}_proj.weight", (width, width), False
        yield at + "mlp.gate_proj.weight", (mlp, width), False
        yield at + "mlp.up_proj.weight", (mlp, width), False
        yield at + "mlp.down_proj.weight", (width, mlp), False
    yield "model.norm.weight", (width,), True
    yield "lm_head.weight", (vocabulary, width), False


# (config, tensors, layers that the model has)
SHAPES = {"gpt-neox-6.9b": (NEOX, neox_tensors, 32), "llama-7b": (LLAMA, llama_tensors, 32)}

SAMPLES = 1000003  # of each kind; a prime, so that no two rows of a matrix begin alike


def bf16_samples(mean, seed):
    """Normally distributed, of a deviation of 0.02, as bytes."""
    numbers = random.Random(seed)
    floats = array.array("f", (numbers.gauss(mean, 0.02) for _ in range(SAMPLES)))
    words = array.array("I", floats.tobytes())
    return array.array("H", (word >> 16 for word in words)).tobytes()


def element_count(shape):
    return shape[0] * (shape[1] if len(shape) > 1 else 1)


def write_values(file, samples, count):
    """Samples over and over."""
    for done in range(0, count, SAMPLES):
        file.write(samples[:2 * min(SAMPLES, count - done)])


def write_model(folder, shape, layers):
    """A folder with so many layers of the shape, in bf16."""
    config, tensors_of, _ = SHAPES[shape]
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": layers}), encoding="ascii")
    header, at = {}, 0
    for name, dims, _ in tensors_of(config, layers):
        end = at + 2 * element_count(dims)
        header[name] = {"dtype": "BF16", "shape": dims, "data_offsets": (at, end)}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    weights, gains = bf16_samples(0, 1), bf16_samples(1, 2)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, dims, gain in tensors_of(config, layers):
            write_values(file, gains if gain else weights, element_count(dims))
