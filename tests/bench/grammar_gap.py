#!/usr/bin/env python3
"""What requests whose grammars take much do to another's stream: the longest pause between two of its tokens, with them and
without, in turns.

    tests/bench/grammar_gap.py build/prenormd deploy/models/tales [--requests 6] [--streams 5] [--tokens 150] [options of serve]

The others are so many requests at a time, each with an expression of its own that has ever new states; nearly each of their
tokens takes many steps. Whoever ends is followed by the next. The streams are of plain requests, one after the other, as many
with the others as without; where they end counts for nothing. Prints for both the longest gap of all, that below which 99 of a
hundred are, and the median, and of the time with the others how many steps were worked for masks and how many turns sat out, by
/metrics. Standard library only.
"""
import argparse
import asyncio
import json
import statistics

import client

PATTERN = "((([a-c ]{{2,{0}}} [a-d]){{1,50}} [a-c]{{1,40}} b?)|([a-e ]{{3,9}}e)*){{200}}!"


def heavy(number, tokens):
    return {"prompt": "Once upon a time", "max_tokens": tokens, "temperature": 1, "seed": number,
            "structured_outputs": {"regex": PATTERN.format(60 + number % 30)}}


async def keep_busy(port, number, tokens, counts):
    """One request behind the other, until it is cancelled."""
    while True:
        try:
            await client.complete(port, heavy(number, tokens))
            counts["ended"] += 1
        except client.Refused as refused:
            counts["refused"] += 1
            if refused.status not in (429, 503):
                raise
            await asyncio.sleep(0.1)
        number += 1000


async def gaps_of_streams(port, given):
    """Seconds between tokens, of all streams."""
    gaps = []
    for seed in range(given.streams):
        arrivals = []
        await client.complete(port, {"prompt": "Once upon a time", "max_tokens": given.tokens, "seed": seed, "temperature": 1,
                                     "ignore_eos": True, "return_token_ids": True}, arrivals=arrivals)
        gaps += [b - a for a, b in zip(arrivals, arrivals[1:])]
    return gaps


def describe(gaps):
    ordered = sorted(1000 * gap for gap in gaps)
    return {"tokens": len(ordered), "longest_ms": round(ordered[-1], 2), "p99_ms": round(ordered[len(ordered) * 99 // 100], 2),
            "median_ms": round(statistics.median(ordered), 2)}


async def with_others(port, given):
    before, counts = await client.metrics(port), {"ended": 0, "refused": 0}
    others = [asyncio.create_task(keep_busy(port, number, given.tokens, counts)) for number in range(given.requests)]
    await asyncio.sleep(given.warm)
    gaps = await gaps_of_streams(port, given)
    broken = [task.exception() for task in others if task.done()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    if broken:
        raise broken[0]
    after = await client.metrics(port)
    for name in ("mask_steps", "mask_waits"):
        counts[name] = int(after[f"prenorm_grammar_{name}_total"] - before[f"prenorm_grammar_{name}_total"])
    return gaps, counts


async def until_idle(port):
    while (await client.metrics(port))["prenorm_sequences_running"] > 0:
        await asyncio.sleep(0.05)


async def run(port, given):
    without, beside, counts = [], [], {}
    await gaps_of_streams(port, given)
    for _ in range(given.turns):
        without += await gaps_of_streams(port, given)
        gaps, seen = await with_others(port, given)
        beside += gaps
        counts = {name: counts.get(name, 0) + value for name, value in seen.items()}
        await until_idle(port)
    return {"without": describe(without), "with": {**describe(beside), **counts}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("--requests", type=int, default=6, help="at a time beside the stream")
    parser.add_argument("--streams", type=int, default=5, help="of each turn")
    parser.add_argument("--tokens", type=int, default=150)
    parser.add_argument("--turns", type=int, default=3, help="without the others and with them")
    parser.add_argument("--warm", type=float, default=1.0, help="seconds that the others run before")
    given, options = parser.parse_known_args()
    daemon = client.Daemon(given.program, given.model, *options)
    try:
        found = asyncio.run(run(daemon.port, given))
    finally:
        code = daemon.stop()
    for what, figures in found.items():
        print(f"{what} them: {json.dumps(figures)}")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
