"""Writes a GPT-2, Llama or Qwen2 of a Hugging Face folder as an OpenVINO model for its GenAI library.

    convert_openvino.py FOLDER OUT [--weights f32|int8|int4] [--near F32_OUT]

What optimum-intel's export would trace of the same checkpoint, made through OpenVINO's own operations, without torch and
transformers: a state for each layer's keys and values, one attention operation a layer (which GenAI makes a paged one), weights
behind a conversion and scales, as its compression tool leaves them. int8: a scale for each output, the head too. int4: one for
each 32 weights, the head in int8. The tokenizer is one of numbers, since prompts and answers are ids.
"""
import argparse
import json
import pathlib
import shutil

import numpy
import openvino
from openvino import Type, opset13, opset15
from safetensors.numpy import load_file

GROUP = 32  # weights to a scale of int4
LARGEST = {"int8": 127, "int4": 7}
FAR = 0.9  # of the logits' size: weights of noise have 1.3, int4 some 0.2, more in deep models
CHECKED_TOKENS = 16
SMALLEST_SCALE = numpy.finfo(numpy.float16).tiny  # of a row of zeros


def ids(*values):
    return opset13.constant(numpy.array(values, dtype=numpy.int64))


def scalar(value, kind=numpy.float32):
    return opset13.constant(numpy.array(value, dtype=kind))


# ---- weights ----

def narrowed(rows, kind):
    """(levels, scales) of rows of weights, a scale for each row."""
    scales = numpy.abs(rows).max(axis=-1, keepdims=True) / LARGEST[kind]
    scales = numpy.maximum(scales, SMALLEST_SCALE).astype(numpy.float16)
    levels = numpy.clip(numpy.rint(rows / scales.astype(numpy.float32)), -LARGEST[kind], LARGEST[kind])
    return levels.astype(numpy.int8), scales


def two_to_a_byte(levels):
    """Of int4: the first in the low half."""
    pairs = levels.astype(numpy.uint8).reshape(-1, 2) & 15
    return pairs[:, 0] | pairs[:, 1] << 4


def weight_node(array, kind):
    """Output by input."""
    array = numpy.ascontiguousarray(array, dtype=numpy.float32)
    if kind == "f32":
        return opset13.constant(array)
    grouped = array if kind == "int8" else array.reshape(array.shape[0], -1, GROUP)
    levels, scales = narrowed(grouped, kind)
    if kind == "int4":
        # A tensor shares its memory, which is gone after this.
        stored = opset13.constant(openvino.Tensor(two_to_a_byte(levels), list(levels.shape), Type.i4), shared_memory=False)
    else:
        stored = opset13.constant(levels)
    node = opset13.multiply(opset13.convert(stored, Type.f16), opset13.constant(scales))
    if kind == "int4":
        node = opset13.reshape(node, ids(*array.shape), False)
    return opset13.convert(node, Type.f32)


# ---- the graph ----

class Graph:
    """Operations that all architectures share; those of one take its tensors by name."""

    def __init__(self, tensors, weights, layers, heads, kv_heads, head_dim):
        self.tensors, self.weights = tensors, weights
        self.layers, self.heads, self.kv_heads, self.head_dim = layers, heads, kv_heads, head_dim
        self.input_ids, self.mask, self.positions = (
            self.parameter(name, [-1, -1], Type.i64) for name in ("input_ids", "attention_mask", "position_ids"))
        self.beams = self.parameter("beam_idx", [-1], Type.i32)
        self.states = []
        self.rotation = None
        self.bias = self.causal_bias()

    @staticmethod
    def parameter(name, shape, kind):
        node = opset13.parameter(shape, kind, name=name)
        node.output(0).get_tensor().set_names({name})
        return node

    def values(self, name):
        return opset13.constant(self.tensors[name].astype(numpy.float32))

    def linear(self, x, name, transposed=False):
        """transposed: GPT-2's checkpoints hold a weight input by output."""
        weight = self.tensors[name + ".weight"]
        return self.with_bias(self.product(x, weight.T if transposed else weight, self.weights), name)

    def with_bias(self, x, name):
        return opset13.add(x, self.values(name + ".bias")) if name + ".bias" in self.tensors else x

    @staticmethod
    def product(x, weight, kind):
        return opset13.matmul(x, weight_node(weight, kind), False, True)

    def head(self, x, name):
        logits = self.product(x, self.tensors[name], "f32" if self.weights == "f32" else "int8")
        logits.output(0).get_tensor().set_names({"logits"})
        return logits

    def embedding(self, name, index):
        return opset13.gather(self.values(name), index, scalar(0, numpy.int64))

    def layer_norm(self, x, name, epsilon):
        x = opset13.mvn(x, ids(-1), True, epsilon, "inside_sqrt")
        return opset13.add(opset13.multiply(x, self.values(name + ".weight")), self.values(name + ".bias"))

    def rms_norm(self, x, name, epsilon):
        mean = opset13.reduce_mean(opset13.power(x, scalar(2)), ids(-1), True)
        root = opset13.sqrt(opset13.add(mean, scalar(epsilon)))
        return opset13.multiply(self.values(name + ".weight"), opset13.multiply(x, opset13.divide(scalar(1), root)))

    def causal_bias(self):
        """[sequences, 1, queries, keys]: 0 where a query sees a key. Queries are the last positions; padding is in the mask."""
        zero = scalar(0, numpy.int64)
        queries = opset13.gather(opset13.shape_of(self.input_ids), scalar(1, numpy.int64), zero)
        keys = opset13.gather(opset13.shape_of(self.mask), scalar(1, numpy.int64), zero)
        key = opset13.range(zero, keys, scalar(1, numpy.int64), Type.i64)
        query = opset13.unsqueeze(opset13.range(opset13.subtract(keys, queries), keys, scalar(1, numpy.int64), Type.i64), ids(1))
        seen = opset13.logical_and(opset13.less_equal(key, query), opset13.unsqueeze(opset13.convert(self.mask, Type.boolean), ids(1, 2)))
        return opset13.select(seen, scalar(0), scalar(numpy.finfo(numpy.float32).min))

    def split_heads(self, x, heads):
        return opset13.transpose(opset13.reshape(x, ids(0, 0, heads, self.head_dim), True), ids(0, 2, 1, 3))

    def cached(self, x, name):
        """All keys or values of each sequence so far, in the order that a beam search would want."""
        sequences = opset13.gather(opset13.shape_of(self.input_ids), ids(0), scalar(0, numpy.int64))
        shape = opset13.concat([sequences, ids(self.kv_heads), ids(0), ids(self.head_dim)], 0)
        before = opset15.read_value(opset13.broadcast(scalar(0), shape), name, Type.f32,
                                    openvino.PartialShape([-1, self.kv_heads, -1, self.head_dim]))
        everything = opset13.concat([opset13.gather(before, self.beams, scalar(0, numpy.int64)), x], 2)
        self.states.append(opset13.assign(everything, name))
        return everything

    def repeated(self, x):
        """A key/value head for each head that shares it."""
        if self.kv_heads == self.heads:
            return x
        times = self.heads // self.kv_heads
        x = opset13.unsqueeze(x, ids(2))
        shape = opset13.shape_of(x)
        parts = [opset13.gather(shape, ids(i), scalar(0, numpy.int64)) for i in (0, 1, 3, 4)]
        x = opset13.broadcast(x, opset13.concat([*parts[:2], ids(times), *parts[2:]], 0), "bidirectional")
        return opset13.reshape(x, ids(0, self.heads, -1, self.head_dim), True)

    def attention(self, query, key, value, layer):
        query, key, value = (self.split_heads(x, heads) for x, heads in
                             ((query, self.heads), (key, self.kv_heads), (value, self.kv_heads)))
        if self.rotation:
            query, key = self.rotate(query), self.rotate(key)
        key, value = (self.cached(x, f"past_key_values.{layer}.{name}present.{layer}.{name}")
                      for x, name in ((key, "key"), (value, "value")))
        x = opset13.scaled_dot_product_attention(query, self.repeated(key), self.repeated(value), self.bias, causal=False)
        return opset13.reshape(opset13.transpose(x, ids(0, 2, 1, 3)), ids(0, 0, self.heads * self.head_dim), True)

    def prepare_rotation(self, base):
        steps = base ** -(numpy.arange(0, self.head_dim, 2, dtype=numpy.float32) / self.head_dim)
        angles = opset13.multiply(opset13.unsqueeze(opset13.convert(self.positions, Type.f32), ids(2)), opset13.constant(steps))
        angles = opset13.concat([angles, angles], -1)
        self.rotation = [opset13.unsqueeze(f(angles), ids(1)) for f in (opset13.cos, opset13.sin)]

    def rotate(self, x):
        half, end = self.head_dim // 2, numpy.iinfo(numpy.int64).max
        first = opset13.slice(x, ids(0), ids(half), ids(1), ids(3))
        second = opset13.slice(x, ids(half), ids(end), ids(1), ids(3))
        turned = opset13.concat([opset13.multiply(second, scalar(-1)), first], -1)
        return opset13.add(opset13.multiply(x, self.rotation[0]), opset13.multiply(turned, self.rotation[1]))

    def model(self, logits, name):
        return openvino.Model([opset13.result(logits)], self.states, [self.input_ids, self.mask, self.positions, self.beams], name)


def build_gpt2(tensors, config, weights):
    heads, epsilon = config["n_head"], config["layer_norm_epsilon"]
    graph = Graph(tensors, weights, config["n_layer"], heads, heads, config["n_embd"] // heads)
    x = opset13.add(graph.embedding("wte.weight", graph.input_ids), graph.embedding("wpe.weight", graph.positions))
    for layer in range(config["n_layer"]):
        block = f"h.{layer}"
        joined = graph.linear(graph.layer_norm(x, block + ".ln_1", epsilon), block + ".attn.c_attn", True)
        query, key, value = opset13.split(joined, scalar(2, numpy.int64), 3).outputs()
        x = opset13.add(x, graph.linear(graph.attention(query, key, value, layer), block + ".attn.c_proj", True))
        inner = graph.linear(graph.layer_norm(x, block + ".ln_2", epsilon), block + ".mlp.c_fc", True)
        x = opset13.add(x, graph.linear(opset13.gelu(inner, "tanh"), block + ".mlp.c_proj", True))
    return graph.model(graph.head(graph.layer_norm(x, "ln_f", epsilon), "wte.weight"), "gpt2")


def build_llama(tensors, config, weights):
    heads, epsilon = config["num_attention_heads"], config["rms_norm_eps"]
    graph = Graph(tensors, weights, config["num_hidden_layers"], heads, config["num_key_value_heads"], config["hidden_size"] // heads)
    graph.prepare_rotation(config["rope_theta"])
    x = graph.embedding("model.embed_tokens.weight", graph.input_ids)
    for layer in range(config["num_hidden_layers"]):
        block = f"model.layers.{layer}"
        normed = graph.rms_norm(x, block + ".input_layernorm", epsilon)
        parts = (graph.linear(normed, f"{block}.self_attn.{part}_proj") for part in "qkv")
        x = opset13.add(x, graph.linear(graph.attention(*parts, layer), block + ".self_attn.o_proj"))
        normed = graph.rms_norm(x, block + ".post_attention_layernorm", epsilon)
        gate = opset13.swish(graph.linear(normed, block + ".mlp.gate_proj"))
        inner = opset13.multiply(gate, graph.linear(normed, block + ".mlp.up_proj"))
        x = opset13.add(x, graph.linear(inner, block + ".mlp.down_proj"))
    return graph.model(graph.head(graph.rms_norm(x, "model.norm", epsilon), "model.embed_tokens.weight"), config["model_type"])


# ---- the check ----

def logits_of(folder, vocabulary):
    """Of a few tokens, by the plain runtime."""
    model = openvino.Core().compile_model(folder / "openvino_model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    places = numpy.arange(CHECKED_TOKENS, dtype=numpy.int64)[None]
    return model({"input_ids": places * 37 % vocabulary, "attention_mask": numpy.ones_like(places), "position_ids": places,
                  "beam_idx": numpy.zeros(1, numpy.int32)})[0]


def check_near(folder, original, vocabulary):
    """Narrow weights that were stored or are read in another order would cost no time, and change all logits."""
    found, expected = logits_of(folder, vocabulary), logits_of(original, vocabulary)
    off = float(numpy.sqrt(numpy.mean((found - expected) ** 2) / numpy.mean(expected ** 2)))
    print(f"{folder}: logits are off those of {original} by {off:.3f} of their size")
    if not off < FAR:
        raise SystemExit(f"that is no rounding of weights: at most {FAR} is")


def main():
    parser = argparse.ArgumentParser(description="Writes a model as an OpenVINO model")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--weights", choices=("f32", *LARGEST), default="f32")
    parser.add_argument("--near", type=pathlib.Path, help="the same model in f32, to compare logits with")
    options = parser.parse_args()
    config = json.loads((options.folder / "config.json").read_text())
    build = build_gpt2 if config["model_type"] == "gpt2" else build_llama
    model = build(load_file(options.folder / "model.safetensors"), config, options.weights)
    options.out.mkdir(parents=True, exist_ok=True)
    openvino.save_model(model, options.out / "openvino_model.xml", compress_to_fp16=False)
    shutil.copy(options.folder / "config.json", options.out)
    if options.near:
        check_near(options.out, options.near, config["vocab_size"])


if __name__ == "__main__":
    main()
