"""Times CTranslate2 on a model of convert_ctranslate2.py and prints {"name of a work": tokens/s, ...}.

    bench_ctranslate2.py MODEL --type int8 --threads 2 [--repetitions 3] [--works '[{"kind": "prefill", "tokens": 128}, ...]']

prefill: a prompt of so many tokens, one token generated. With include_prompt_in_result=False the prompt passes at once and
only its last token the head, as in any server.
decode: the time to generate n + 1 tokens less the time to generate one, behind a prompt that is cached (static_prompt), so
neither the prompt nor the copy of its cache to each sequence counts. Greedy, always the full length.
--check LENGTH: prints the tokens that follow the given ids instead, as a list.
"""
import argparse
import json
import pathlib
import random
import statistics
import time

import ctranslate2

import work


class Model:
    def __init__(self, folder, compute_type, threads):
        self.generator = ctranslate2.Generator(str(folder), compute_type=compute_type, intra_threads=threads, inter_threads=1)
        self.tokens = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        self.dice = random.Random(1)

    def prompt(self, length):
        return self.dice.choices(self.tokens[:-1], k=length)

    def generate(self, prompts, length, shared=None):
        """Seconds to generate so many tokens for each prompt."""
        started = time.perf_counter()
        results = self.generator.generate_batch(prompts, max_length=length, min_length=length, static_prompt=shared, end_token=[],
                                                include_prompt_in_result=False)
        seconds = time.perf_counter() - started
        if any(len(result.sequences[0]) != length for result in results):
            raise SystemExit(f"CTranslate2 generated another number of tokens than {length}")
        return seconds

    def follow(self, ids, length):
        prompt = [self.tokens[i] for i in ids]
        result = self.generator.generate_batch([prompt], max_length=length, min_length=length, end_token=[],
                                               include_prompt_in_result=False)
        return result[0].sequences_ids[0]


def time_prefill(model, tokens, repetitions):
    model.generate([model.prompt(tokens)], 1)
    return tokens / statistics.median(model.generate([model.prompt(tokens)], 1) for _ in range(repetitions))


def time_decode(model, item, repetitions):
    # The cached prompt and the one token behind it make the context; the token generated first is the first step's input.
    shared = model.prompt(item.context - 1)
    short, long = [], []
    for _ in range(repetitions + 1):
        prompts = [model.prompt(1) for _ in range(item.batch)]
        short.append(model.generate(prompts, 1, shared))
        long.append(model.generate(prompts, 1 + item.tokens, shared))
    # The first of each filled the prompt's cache and grew the memory.
    return item.batch * item.tokens / (statistics.median(long[1:]) - statistics.median(short[1:]))


def time_work(model, item, repetitions):
    if item.kind == "prefill":
        return time_prefill(model, item.tokens, repetitions)
    return time_decode(model, item, repetitions)


def main():
    parser = argparse.ArgumentParser(description="Times CTranslate2")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--type", default="float32")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--works", type=json.loads, help="default: all of work.py")
    parser.add_argument("--check", type=int, metavar="LENGTH")
    parser.add_argument("--ids", type=json.loads, help="prompt of --check")
    options = parser.parse_args()
    model = Model(options.model, options.type, options.threads)
    if options.check:
        print(json.dumps(model.follow(options.ids, options.check)))
        return
    works = [work.Work(**fields) for fields in options.works] if options.works else work.WORKS
    print(json.dumps({item.name: time_work(model, item, options.repetitions) for item in works}))


if __name__ == "__main__":
    main()
