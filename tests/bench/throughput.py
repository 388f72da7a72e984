#!/usr/bin/env python3
"""Throughput over HTTP at 1, 4, 16 and 64 streaming clients, with and without a shared prefix; and what the prefill of a
long prompt does to streams that are running. With --engine instead: 16 streams beside what the engine does alone.

    tests/bench/throughput.py build/release/prenormd MODEL [--prompt 64] [--tokens 64] [options of prenormd serve]
    tests/bench/throughput.py build/release/prenormd MODEL --engine [options of prenormd serve and bench, as --weights int8]

MODEL needs a tokenizer. Random weights of a real size do for speed. Their texts run in circles, so there are no drafts (speculate.py
measures those) unless --speculate says so.
"""
import asyncio
import json
import pathlib
import random
import statistics
import subprocess
import sys
import time

import client
import command

sys.path.append(str(pathlib.Path(__file__).parent / "peers"))
import streams  # noqa: E402: clients that cost nearly nothing


def prompts(count, length, vocabulary, shared):
    dice = random.Random(random.random())
    prefix = [dice.randrange(1, vocabulary) for _ in range(shared)]
    return [prefix + [dice.randrange(1, vocabulary) for _ in range(length - shared)] for _ in range(count)]


async def measure(port, count, length, tokens, vocabulary, shared):
    fields = {"max_tokens": tokens, "temperature": 0, "ignore_eos": True, "return_token_ids": True}
    arrivals = [[] for _ in range(count)]
    before = await client.metrics(port)
    started = time.perf_counter()
    await asyncio.gather(*(client.complete(port, {**fields, "prompt": p}, arrivals=a)
                           for p, a in zip(prompts(count, length, vocabulary, shared), arrivals)))
    seconds = time.perf_counter() - started
    after = await client.metrics(port)
    first = statistics.median(a[0] - started for a in arrivals)
    between = statistics.mean((a[-1] - a[0]) / (len(a) - 1) for a in arrivals)
    hits = after["vllm:prefix_cache_hits_total"] - before["vllm:prefix_cache_hits_total"]
    return count * tokens / seconds, first, between, hits


async def table(port, options):
    print(f"{'clients':>7} {'shared':>7} {'tokens/s':>9} {'first token':>12} {'between':>9} {'cached':>7}")
    for count in (1, 4, 16, 64):
        for shared in (0, options.prompt * 3 // 4):
            # Other prompts each time: nothing is left in the cache from the run before.
            random.seed(count * 1000 + shared)
            rate, first, between, hits = await measure(port, count, options.prompt, options.tokens, options.vocabulary, shared)
            print(f"{count:7} {shared:7} {rate:9.1f} {first * 1e3:9.1f} ms {between * 1e3:6.1f} ms {hits:7.0f}", flush=True)


class Phase:
    """Gaps between the tokens of some streams from now until `end`: as clients see them, and as the daemon counts them."""

    async def begin(self, port, arrivals):
        self.port, self.arrivals = port, arrivals
        self.before = await client.metrics(port)
        self.started = time.perf_counter()
        return self

    async def end(self):
        ended = time.perf_counter()
        after = await client.metrics(self.port)
        name = "vllm:inter_token_latency_seconds"
        count = after[name + "_count"] - self.before[name + "_count"]
        self.daemon = (after[name + "_sum"] - self.before[name + "_sum"]) / count if count else 0
        inside = [[t for t in own if self.started <= t <= ended] for own in self.arrivals]
        gaps = [b - a for own in inside for a, b in zip(own, own[1:])]
        # The mean, not the median: a client that had no processor finds several tokens at once.
        self.mean, self.largest = (statistics.mean(gaps), max(gaps)) if gaps else (0, 0)


async def until(arrivals, tokens):
    """Each stream has got so many tokens more."""
    wanted = [len(own) + tokens for own in arrivals]
    while any(len(own) < most for own, most in zip(arrivals, wanted)):
        await asyncio.sleep(0.005)


async def stall(port, options):
    """Gaps between tokens of 4 streams, alone (before and after) and while a prompt of 1,000 tokens, or all that the context
    has, is prefilled."""
    length = min(1000, options.context - 8)
    fields = {"max_tokens": options.context - options.prompt, "temperature": 0, "ignore_eos": True, "return_token_ids": True}
    arrivals = [[] for _ in range(4)]
    tasks = [asyncio.create_task(client.complete(port, {**fields, "prompt": p}, arrivals=own))
             for p, own in zip(prompts(4, options.prompt, options.vocabulary, 0), arrivals)]
    phases = []
    await until(arrivals, 8)
    for beside in (False, True, False):
        phase = await Phase().begin(port, arrivals)
        if beside:
            await client.complete(port, {"prompt": prompts(1, length, options.vocabulary, 0)[0], "max_tokens": 1, "temperature": 0})
            took = time.perf_counter() - phase.started
        else:
            await until(arrivals, 40)
        await phase.end()
        phases.append(phase)
    ended = any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    if ended or not phases[1].mean:
        print("the streams ended before the long prompt was there: use a larger model or context")
        return
    print(f"prefill of {length} tokens beside 4 streams took {took * 1e3:.0f} ms")
    for who in ("mean", "daemon"):
        values = [getattr(phase, who) * 1e3 for phase in phases]
        alone = (values[0] + values[2]) / 2
        print(f"mean gap between tokens, {'at the clients' if who == 'mean' else 'in the daemon'}: {values[0]:.1f} ms before, "
              f"{values[1]:.1f} beside, {values[2]:.1f} after: {values[1] / alone:.2f} times")
    print("largest gap at the clients: " + ", ".join(f"{phase.largest * 1e3:.1f}" for phase in phases) + " ms")


# Contexts of 16 to 144, the mean of those that the bench's rows from the scheduler have.
ENGINE_STREAMS, ENGINE_PROMPT, ENGINE_TOKENS = 16, 16, 128


def engine_rate(options, more):
    """Tokens/s of 16 sequences in the scheduler, without HTTP."""
    told = json.loads(subprocess.check_output([options.program, "bench", "--model", options.model, "--json", *more]))
    rate = next((row["tokens_per_s"] for row in told["sampling"] if row["temperature"] == 0), None)
    if rate is None:
        sys.exit(f"the bench has no greedy row: the context of {options.model} is too short for it")
    return rate


def stream_rates(options, more, count):
    """Tokens/s over HTTP from the first request to the last token, prefill included; and the clients' share of a core."""
    body = {"max_tokens": ENGINE_TOKENS, "temperature": 0, "ignore_eos": True, "stream": True,
            "stream_options": {"include_usage": True}}
    daemon = client.Daemon(options.program, options.model, "--speculate", "off", *more)
    try:
        runs = [streams.measure(daemon.port, [{**body, "prompt": p} for p in
                                              prompts(ENGINE_STREAMS, ENGINE_PROMPT, options.vocabulary, 0)])
                for _ in range(count + 1)][1:]
    finally:
        daemon.stop()
    return [run.tokens_per_s for run in runs], statistics.mean(run.client_seconds / run.seconds for run in runs)


def beside_engine(options, more):
    """In turn: engine, HTTP, engine, HTTP, ..."""
    shares = []
    for _ in range(options.rounds):
        engine = engine_rate(options, more)
        rates, clients = stream_rates(options, more, 5)
        shares.append(statistics.median(rates) / engine)
        print(f"engine {engine:.0f} tokens/s, HTTP {statistics.median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f}; "
              f"the clients took {100 * clients:.1f} % of one core): {100 * shares[-1]:.1f} %", flush=True)
    print(f"median of {len(shares)}: {100 * statistics.median(shares):.1f} % of the engine's own tokens/s")


async def run(port, options):
    if not options.stall_only:
        await table(port, options)
    await stall(port, options)


def main():
    parser = command.parser(__doc__, further=True)
    parser.add_argument("--prompt", type=int, default=64, help="tokens of each prompt")
    parser.add_argument("--tokens", type=int, default=64, help="of each answer")
    parser.add_argument("--vocabulary", type=int, default=4096, help="ids to draw prompts from")
    parser.add_argument("--context", type=int, default=512, help="of the model")
    parser.add_argument("--engine", action="store_true", help="only 16 streams beside the engine alone")
    parser.add_argument("--rounds", type=int, default=3, help="of --engine")
    parser.add_argument("--stall-only", action="store_true", help="only the last: a long prompt beside running streams")
    options, more = parser.parse_known_args()
    if options.engine:
        beside_engine(options, more)
        return
    daemon = client.Daemon(options.program, options.model, "--speculate", "off", *more)
    try:
        asyncio.run(run(daemon.port, options))
    finally:
        daemon.stop()


if __name__ == "__main__":
    main()
