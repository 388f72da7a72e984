"""What the scripts have in common that time a peer through its Python package: the command line, and one line of JSON as answer.

    bench_PEER.py MODEL --threads 2 [--setting JSON] [--repetitions 3] [--works '[{"kind": "prefill", "tokens": 128}, ...]']

prints {"name of a work": tokens/s, ...}; with --check LENGTH the tokens that follow --ids instead, as a list. A setting is what
programs.py makes of it; its "type" is the peer's name of a weight type.
"""
import argparse
import json
import pathlib
import random
import statistics

import work


def median_after_warm_up(measure, repetitions):
    """Of so many calls, which return seconds; the first touches memory and compiles, and does not count."""
    measure()
    return statistics.median(measure() for _ in range(repetitions))


class Prompts:
    """Random ids, none alike."""

    def __init__(self, vocabulary):
        self.dice, self.vocabulary = random.Random(1), vocabulary

    def draw(self, length):
        # The last is the end token.
        return [self.dice.randrange(self.vocabulary - 1) for _ in range(length)]


def vocabulary_size(folder):
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"]


def longest(works):
    """Positions of one sequence, and of all sequences of a step; a token more than is counted is generated."""
    lengths = [item.context + item.tokens + 1 for item in works]
    return max(lengths), max(length * item.batch for length, item in zip(lengths, works))


def time_work(model, item, repetitions):
    """model.prefill(tokens) and model.decode(work) return seconds."""
    if item.kind == "prefill":
        return item.tokens / median_after_warm_up(lambda: model.prefill(item.tokens), repetitions)
    return item.batch * item.tokens / median_after_warm_up(lambda: model.decode(item), repetitions)


def parse_options():
    parser = argparse.ArgumentParser(description="Times a program beside Prenorm through its Python package")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--setting", type=json.loads, default={})
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--works", type=lambda text: [work.Work(**fields) for fields in json.loads(text)], default=list(work.WORKS),
                        help="default: all of work.py")
    parser.add_argument("--check", type=int, metavar="LENGTH")
    parser.add_argument("--ids", type=json.loads, help="prompt of --check")
    options = parser.parse_args()
    if options.check:
        options.works = [work.Work("prefill", len(options.ids)), work.Work("decode", options.check, context=len(options.ids))]
    return options


def main(open_model):
    """open_model(options) -> what has prefill, decode and follow(ids, length)."""
    options = parse_options()
    model = open_model(options)
    if options.check:
        print(json.dumps(model.follow(options.ids, options.check)))
    else:
        print(json.dumps({item.name: time_work(model, item, options.repetitions) for item in options.works}))
