#!/usr/bin/env python3
"""Throughput over HTTP at 1, 4, 16 and 64 streaming clients, with and without a shared prefix; and what the prefill of a
long prompt does to streams that are running.

    tests/bench/throughput.py build/release/prenormd MODEL [--prompt 64] [--tokens 64] [options of prenormd serve]

MODEL needs a tokenizer. Random weights of a real size do for speed.
"""
import argparse
import asyncio
import random
import statistics
import time

import client


def prompts(count, length, vocabulary, shared):
    dice = random.Random(random.random())
    prefix = [dice.randrange(1, vocabulary) for _ in range(shared)]
    return [prefix + [dice.randrange(1, vocabulary) for _ in range(length - shared)] for _ in range(count)]


async def measure(port, count, length, tokens, vocabulary, shared):
    fields = {"max_tokens": tokens, "temperature": 0, "ignore_eos": True}
    before = await client.metrics(port)
    started = time.perf_counter()
    results = await asyncio.gather(*(client.complete(port, {**fields, "prompt": p})
                                     for p in prompts(count, length, vocabulary, shared)))
    seconds = time.perf_counter() - started
    after = await client.metrics(port)
    first = statistics.median(times[0] for _, _, times in results)
    gaps = [b - a for _, _, times in results for a, b in zip(times, times[1:])]
    hits = after["vllm:prefix_cache_hits_total"] - before["vllm:prefix_cache_hits_total"]
    return count * tokens / seconds, first, statistics.median(gaps), hits


async def table(port, options):
    print(f"{'clients':>7} {'shared':>7} {'tokens/s':>9} {'first token':>12} {'between':>9} {'cached':>7}")
    for count in (1, 4, 16, 64):
        for shared in (0, options.prompt * 3 // 4):
            # Other prompts each time: nothing is left in the cache from the run before.
            random.seed(count * 1000 + shared)
            rate, first, between, hits = await measure(port, count, options.prompt, options.tokens, options.vocabulary, shared)
            print(f"{count:7} {shared:7} {rate:9.1f} {first * 1e3:9.1f} ms {between * 1e3:6.1f} ms {hits:7.0f}", flush=True)


async def stall(port, options):
    """Gaps between tokens of 4 streams, alone and while a prompt of 1,000 tokens (or all the context has) is prefilled."""
    length = min(1000, options.context - 8)
    fields = {"max_tokens": min(200, options.context - options.prompt), "temperature": 0, "ignore_eos": True}
    streams = [asyncio.create_task(client.complete(port, {**fields, "prompt": p}))
               for p in prompts(4, options.prompt, options.vocabulary, 0)]
    await asyncio.sleep(1)
    long_prompt = prompts(1, length, options.vocabulary, 0)[0]
    started = time.perf_counter()
    _, _, times = await client.complete(port, {"prompt": long_prompt, "max_tokens": 1, "temperature": 0})
    window = (started, started + times[0])
    alone, beside = [], []
    for task in streams:
        _, _, own = await task
        origin = started - 1  # the streams were sent a second before
        for a, b in zip(own, own[1:]):
            at = origin + b
            (beside if window[0] <= at <= window[1] else alone).append(b - a)
    if not beside or not alone:
        print("the streams ended before the long prompt was there: use a larger model or context")
        return
    print(f"prefill of {length} tokens beside 4 streams took {times[0] * 1e3:.0f} ms; gap between tokens: "
          f"median {statistics.median(alone) * 1e3:.1f} ms alone, {statistics.median(beside) * 1e3:.1f} ms beside "
          f"({statistics.median(beside) / statistics.median(alone):.2f} times), "
          f"largest {max(alone) * 1e3:.1f} and {max(beside) * 1e3:.1f} ms")


async def run(port, options):
    await table(port, options)
    await stall(port, options)


def main():
    parser = argparse.ArgumentParser(description="Throughput over HTTP")
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("--prompt", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--vocabulary", type=int, default=4096, help="ids to draw prompts from")
    parser.add_argument("--context", type=int, default=512, help="of the model")
    options, more = parser.parse_known_args()
    daemon = client.Daemon(options.program, options.model, *more)
    try:
        asyncio.run(run(daemon.port, options))
    finally:
        daemon.stop()


if __name__ == "__main__":
    main()
