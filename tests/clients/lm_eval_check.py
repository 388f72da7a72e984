#!/usr/bin/env python3
"""What lm_eval makes of the daemon's answers, beside the model in float64: tests/clients/lm_eval_check.py PROGRAM

lm_eval's local-completions sends texts and ids to a daemon with the bundled model; the sum of the log probabilities of each
continuation, and whether it is the greedy one, are compared with GPT-2 in numpy. lm_eval comes from PyPI (pypi.py), unless this
Python has it. Where it can be had from nowhere the last line says "not run", and the exit code is 77."""
import json
import os
import sys
import urllib.request

# Before numpy: matrices of this size gain nothing from more threads, which busy machines make wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODEL = os.path.join(ROOT, "deploy", "models", "tales")
sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))
from client import Daemon  # noqa: E402 - the folder has just been named
from pypi import NOT_RUN, want  # noqa: E402

BOUND = 1e-4  # of a sum of up to some hundred log probabilities that are computed in f32
FLOAT_TYPES = {"F16": "float16", "F32": "float32"}


def read_tensors(numpy, path):
    """A safetensors file, in float64."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = numpy.frombuffer(data[begin:end], FLOAT_TYPES[entry["dtype"]]).astype("float64")
        tensors[name.removeprefix("transformer.")] = values.reshape(entry["shape"])
    return tensors


class Gpt2:
    """Radford et al. 2019, as its authors define it: the reference."""

    def __init__(self, numpy, folder):
        self.numpy = numpy
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            self.config = json.load(file)
        self.tensors = read_tensors(numpy, os.path.join(folder, "model.safetensors"))

    def norm(self, name, x):
        mean = x.mean(-1, keepdims=True)
        deviation = self.numpy.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + self.config["layer_norm_epsilon"])
        return (x - mean) / deviation * self.tensors[name + ".weight"] + self.tensors[name + ".bias"]

    def linear(self, name, x):
        return x @ self.tensors[name + ".weight"] + self.tensors[name + ".bias"]

    def attention(self, name, x):
        numpy, heads, count = self.numpy, self.config["n_head"], len(x)
        queries, keys, values = self.linear(name + ".c_attn", x).reshape(count, 3, heads, -1).transpose(1, 2, 0, 3)
        scores = queries @ keys.transpose(0, 2, 1) / numpy.sqrt(queries.shape[-1])
        scores[:, numpy.triu_indices(count, 1)[0], numpy.triu_indices(count, 1)[1]] = -numpy.inf
        weights = numpy.exp(scores - scores.max(-1, keepdims=True))
        mixed = weights / weights.sum(-1, keepdims=True) @ values
        return self.linear(name + ".c_proj", mixed.transpose(1, 0, 2).reshape(count, -1))

    def mlp(self, name, x):
        x = self.linear(name + ".c_fc", x)
        x = 0.5 * x * (1 + self.numpy.tanh(self.numpy.sqrt(2 / self.numpy.pi) * (x + 0.044715 * x ** 3)))
        return self.linear(name + ".c_proj", x)

    def log_probabilities(self, ids):
        """[position][token]: of what follows it."""
        x = self.tensors["wte.weight"][ids] + self.tensors["wpe.weight"][:len(ids)]
        for layer in range(self.config["n_layer"]):
            x = x + self.attention(f"h.{layer}.attn", self.norm(f"h.{layer}.ln_1", x))
            x = x + self.mlp(f"h.{layer}.mlp", self.norm(f"h.{layer}.ln_2", x))
        logits = self.norm("ln_f", x) @ self.tensors["wte.weight"].T
        logits -= logits.max(-1, keepdims=True)
        return logits - self.numpy.log(self.numpy.exp(logits).sum(-1, keepdims=True))

    def score(self, context, continuation):
        """What lm_eval calls loglikelihood: (sum, whether each token is the most likely one)."""
        rows = self.log_probabilities(context + continuation)[len(context) - 1:-1]
        chosen = rows[range(len(continuation)), continuation]
        return chosen.sum(), bool((rows.argmax(-1) == continuation).all())


def compare(model, reference, instance):
    with open(os.path.join(ROOT, "tests", "clients", "lm_eval", "tales.jsonl"), encoding="utf-8") as file:
        pairs = [(case["beginning"], case["end"]) for case in map(json.loads, file)]
    with open(os.path.join(MODEL, "held-out.txt"), encoding="utf-8") as file:
        text = file.read(1500)
    pairs += [(text[start:start + 200], text[start + 200:start + 240]) for start in range(0, 1200, 240)] + [("", "The end.")]
    got = model.loglikelihood([instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)],
                              disable_tqdm=True)
    worst = 0.0
    for (context, continuation), (total, is_greedy) in zip(pairs, got):
        ids = model._encode_pair(context, continuation) if context else ([model.prefix_token_id], model.tok_encode(continuation))
        expected, greedy = reference.score(*map(list, ids))
        worst = max(worst, abs(total - expected))
        assert abs(total - expected) < BOUND, (context, continuation, total, expected)
        assert is_greedy == greedy, (context, continuation)
    rolling = model.loglikelihood_rolling([instance("loglikelihood_rolling", {}, (text,), 0)], disable_tqdm=True)[0]
    ids = model.tok_encode(text)
    assert len(ids) < reference.config["n_ctx"]
    expected, _ = reference.score([model.prefix_token_id], ids)
    assert abs(rolling - expected) < 10 * BOUND, (rolling, expected)
    return len(pairs), max(worst, abs(rolling - expected) / 10)


def check_chat(chat, instance, json_chat, address):
    """local-chat-completions: its text is that of a plain request."""
    messages = [{"role": "user", "content": "Once upon a time"}]
    body = json.dumps({"messages": messages, "max_tokens": 12, "temperature": 0, "stop": ["@@"]}).encode()
    request = urllib.request.Request(address + "/v1/chat/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        expected = json.load(answer)["choices"][0]["message"]["content"]
    context = json_chat(json.dumps([{**messages[0], "type": "text"}]))
    got = chat.generate_until([instance("generate_until", {}, (context, {"until": ["@@"], "max_gen_toks": 12}), 0)],
                              disable_tqdm=True)
    assert got == [expected] and expected, (got, expected)


def main():
    if not want(["lm_eval", "tenacity"]):
        print("not run: the package lm_eval[api] is not installed, and PyPI cannot be reached")
        return NOT_RUN
    import numpy
    from lm_eval.api.instance import Instance
    from lm_eval.models.api_models import JsonChatStr
    from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI
    daemon = Daemon(sys.argv[1], MODEL, "--chat-template", os.path.join(ROOT, "tests", "clients", "chat.jinja"))
    address = f"http://127.0.0.1:{daemon.port}"
    try:
        results = {}
        for concurrent in (1, 8):
            model = LocalCompletionsAPI(model="tales", base_url=address + "/v1/completions",
                                        tokenizer_backend="remote", tokenized_requests=True, max_length=512,
                                        num_concurrent=concurrent, batch_size=1 if concurrent > 1 else 4, max_retries=1)
            results[concurrent] = compare(model, Gpt2(numpy, MODEL), Instance)
        assert results[1] == results[8], results
        check_chat(LocalChatCompletion(model="tales", base_url=address + "/v1/chat/completions", max_retries=1), Instance,
                   JsonChatStr, address)
    finally:
        assert daemon.stop() == 0
    print("%d log likelihoods and a rolling one, within %.1e of float64; a chat" % results[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
