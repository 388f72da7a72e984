#!/usr/bin/env python3
"""Tokens a second of this machine by shape and weight type, as a table in Markdown: what a daemon of such a model can do at most. Random
weights, by `prenormd bench`.

    tests/bench/sizing.py build/release/prenormd [--shapes gpt2-124m,llama-1b] [--weights int8,int4] [--threads N]

llama-1b takes 5 GB of disk in TMPDIR and as much memory, and a minute for each type.
"""
import json
import subprocess

import command

SHAPES = ("gpt2-124m", "qwen2-0.5b", "llama-1b")
WEIGHTS = ("f32", "bf16", "int8", "int4")
WORKS = {"prefill-512": ("prefill, 512 tokens", 512), "decode-1": ("1 sequence", 1), "decode-16": ("16 sequences", 16),
         "decode-64": ("64 sequences", 64)}


def measure(program, shape, weights, more):
    """(MiB of weights, [tokens/s of each of WORKS])"""
    told = json.loads(subprocess.check_output([program, "bench", "--json", "--shape", shape, "--weights", weights, "--works",
                                               ",".join(WORKS), "--log-level", "error", *more], stderr=subprocess.DEVNULL))
    rates = {(row["work"], row.get("tokens") or row["batch"]): row["tokens_per_s"] for row in told["results"]}
    return told["cache"]["weight_bytes"] / 2**20, [rates[key.split("-")[0], size] for key, (_, size) in WORKS.items()]


def main():
    parser = command.parser(__doc__, model=False)
    parser.epilog = "Further options go to prenormd bench."
    parser.add_argument("--shapes", type=lambda text: text.split(","), default=",".join(SHAPES), help="of bench, separated by commas")
    parser.add_argument("--weights", type=lambda text: text.split(","), default=",".join(WEIGHTS), help="likewise")
    options, more = parser.parse_known_args()
    print("| tokens/s | weights, MiB | " + " | ".join(name for name, _ in WORKS.values()) + " |\n" + "|---" * (2 + len(WORKS)) + "|")
    for shape in options.shapes:
        for weights in options.weights:
            mib, rates = measure(options.program, shape, weights, more)
            print(f"| {shape}, {weights} | {mib:,.0f} | " + " | ".join(f"{rate:,.0f}" for rate in rates) + " |", flush=True)


if __name__ == "__main__":
    main()
