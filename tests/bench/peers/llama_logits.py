"""What llama.cpp's own quantization changes of a model, by its C interface; prints one JSON object.

    llama_logits.py REFERENCE.gguf KIND.gguf... --source DIR --library DIR --text FILE --threads N

The figures are those of `prenormd verify`: the text's first tokens in independent windows, for every token the Kullback-Leibler
divergence from the reference's distribution, for every token that has a successor in its window its likelihood. The reference
is a file of unquantised weights, run with a cache in f32; the others have a cache in f16. --source is the unpacked
llama-cpp-python, whose declarations belong to the library beside which it comes.
"""
import argparse
import ctypes
import importlib
import json
import os
import pathlib
import sys

import numpy

TYPE_F32, TYPE_F16 = 0, 1  # ggml_type
ROWS = 64  # of logits that are compared at a time, in double precision
TEXT_BYTES_MAX = 64  # of a token


class Library:
    """llama.cpp, by the declarations that llama-cpp-python has for it."""

    def __init__(self, source, folder):
        os.environ["LLAMA_CPP_LIB_PATH"] = str(folder)
        sys.path.insert(0, str(source))
        self.api = importlib.import_module("llama_cpp.llama_cpp")
        self.silent = self.api.llama_log_callback(lambda level, text, context: None)
        self.api.llama_log_set(self.silent, ctypes.c_void_p(0))
        self.api.llama_backend_init()


class Model:
    def __init__(self, library, file, window, threads, cache_type):
        self.api = library.api
        self.window = window
        self.model = self.api.llama_model_load_from_file(str(file).encode(), self.api.llama_model_default_params())
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {file}")
        self.vocabulary = self.api.llama_model_get_vocab(self.model)
        self.width = self.api.llama_vocab_n_tokens(self.vocabulary)
        settings = self.api.llama_context_default_params()
        settings.n_ctx = settings.n_batch = settings.n_ubatch = settings.n_outputs_max = window
        settings.n_threads = settings.n_threads_batch = threads
        settings.type_k = settings.type_v = cache_type
        if cache_type == TYPE_F32:  # flash attention would narrow it to f16
            settings.flash_attn_type = self.api.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.context = self.api.llama_init_from_model(self.model, settings)
        if not self.context:
            raise SystemExit(f"llama.cpp cannot run {file}")

    def close(self):
        self.api.llama_free(self.context)
        self.api.llama_model_free(self.model)

    def tokens(self, text):
        """Special tokens that are written out in the text are such, as in our own tokenizer."""
        raw = text.encode()
        ids = (self.api.llama_token * (len(raw) + 2))()
        count = self.api.llama_tokenize(self.vocabulary, raw, len(raw), ids, len(ids), True, True)
        if count < 0:
            raise SystemExit("llama.cpp finds more tokens in the text than bytes")
        return list(ids[:count])

    def forget(self):
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)

    def step(self, ids, first, every):
        """Logits [rows, vocabulary] of tokens behind those in the cache, of every one or of the last; valid until the next step."""
        batch = self.api.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = token, first + i, 1, 0
            batch.logits[i] = every or i + 1 == len(ids)
        failed = self.api.llama_decode(self.context, batch)
        self.api.llama_batch_free(batch)
        if failed:
            raise SystemExit(f"llama_decode ended with {failed}")
        return numpy.ctypeslib.as_array(self.api.llama_get_logits(self.context), (len(ids) if every else 1, self.width))

    def logits(self, ids):
        self.forget()
        return self.step(ids, 0, True)

    def text_of(self, token):
        buffer = ctypes.create_string_buffer(TEXT_BYTES_MAX)
        length = self.api.llama_token_to_piece(self.vocabulary, token, buffer, TEXT_BYTES_MAX, 0, True)
        return buffer.raw[:max(length, 0)]

    def greedy(self, prompt, length):
        self.forget()
        ids, told = self.tokens(prompt), b""
        logits = self.step(ids, 0, False)
        for place in range(len(ids), len(ids) + length):
            token = int(logits[0].argmax())
            if self.api.llama_vocab_is_eog(self.vocabulary, token):
                break
            told += self.text_of(token)
            logits = self.step([token], place, False)
        return told.decode(errors="replace")


# ---- figures, as in engine/verify/verify.c ----

def log_probabilities(logits):
    wide = logits.astype(numpy.float64)
    wide -= wide.max(axis=1, keepdims=True)
    return wide - numpy.log(numpy.exp(wide).sum(axis=1, keepdims=True))


class Sums:
    def __init__(self):
        self.divergence = self.log_likelihood = 0.0
        self.rows = self.agreed = self.predicted = 0

    def add(self, ids, logits, expected):
        """One window."""
        for first in range(0, len(ids), ROWS):
            rows = slice(first, first + ROWS)
            own, reference = log_probabilities(logits[rows]), log_probabilities(expected[rows])
            self.divergence += (numpy.exp(reference) * (reference - own)).sum()
            self.agreed += int((own.argmax(axis=1) == reference.argmax(axis=1)).sum())
            following = ids[first + 1:first + 1 + ROWS]
            self.log_likelihood += own[numpy.arange(len(following)), following].sum()
            self.predicted += len(following)
            self.rows += len(own)

    def figures(self):
        return {"kl_divergence": self.divergence / self.rows, "greedy_agreement": self.agreed / self.rows,
                "perplexity": float(numpy.exp(-self.log_likelihood / self.predicted))}


def windows(ids, window):
    return [ids[first:first + window] for first in range(0, len(ids), window)]


def compare(model, pieces, references):
    sums = Sums()
    for piece, reference in zip(pieces, references, strict=True):
        sums.add(piece, model.logits(piece), reference)
    return sums.figures()


def texts(model, options):
    return {prompt: model.greedy(prompt, options.generate) for prompt in options.prompts}


def measure(options):
    library = Library(options.source, options.library)
    model = Model(library, options.reference, options.window, options.threads, TYPE_F32)
    ids = model.tokens(options.text.read_text(encoding="utf-8"))[:options.tokens]
    pieces = windows(ids, options.window)
    references = [model.logits(piece).copy() for piece in pieces]
    told = {"tokens": len(ids), "files": {"reference": {**compare(model, pieces, references), "texts": texts(model, options)}}}
    model.close()
    for file in options.files:
        model = Model(library, file, options.window, options.threads, TYPE_F16)
        told["files"][file.stem] = {**compare(model, pieces, references), "texts": texts(model, options)}
        model.close()
    return told


def main():
    parser = argparse.ArgumentParser(description="Measures what llama.cpp's weight types change of a model")
    parser.add_argument("reference", type=pathlib.Path)
    parser.add_argument("files", type=pathlib.Path, nargs="+")
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--library", type=pathlib.Path, required=True)
    parser.add_argument("--text", type=pathlib.Path, required=True)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--window", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--prompts", type=json.loads, default=[], help="a list; each is continued by the most likely tokens")
    parser.add_argument("--generate", type=int, default=0, metavar="TOKENS")
    print(json.dumps(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
