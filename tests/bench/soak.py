#!/usr/bin/env python3
"""Many clients for some minutes: random prompts, lengths, sampling, clients that leave. In the end every answer must have
come, every page must be free again, and memory must not have grown.

    tests/bench/soak.py build/release/prenormd deploy/models/tales [--seconds 300] [--clients 64]
"""
import argparse
import asyncio
import random
import time

import client

WORDS = "the old king said that his daughter went into wood and saw a golden bird upon tree but nobody knew why".split()


class Counts:
    def __init__(self):
        self.answers = self.left = self.refused = self.tokens = 0
        self.lost = []


def random_request(dice, shared):
    prompt = [0] + [dice.randrange(1, 4096) for _ in range(dice.choice([1, 5, 30, 200, 400]))]
    if dice.random() < 0.4:
        prompt = shared + prompt[: dice.randrange(1, 40)]
    if dice.random() < 0.3:
        prompt = " ".join(dice.choices(WORDS, k=dice.randrange(1, 60)))
    return {
        "prompt": prompt,
        "max_tokens": dice.choice([1, 3, 20, 60, 100]),
        "temperature": dice.choice([0, 0.7, 1.2]),
        "n": 1,
        "ignore_eos": dice.random() < 0.5,
    }


async def one_client(port, number, until, counts):
    dice = random.Random(number)
    shared = [0] + [random.Random(0).randrange(1, 4096) for _ in range(150)]
    while time.monotonic() < until:
        leave = dice.choice([0, 1, 3, 10]) if dice.random() < 0.2 else None
        try:
            text, finish, times = await client.complete(port, random_request(dice, shared), leave)
            counts.tokens += len(times)
            if leave is not None and finish is None:
                counts.left += 1
            elif finish in ("stop", "length"):
                counts.answers += 1
            else:
                counts.lost.append(f"client {number}: finish_reason {finish} after {text!r}")
        except client.Refused as refusal:
            if refusal.status not in (429, 503):
                counts.lost.append(f"client {number}: {refusal}")
            counts.refused += 1
            await asyncio.sleep(0.2)
        except OSError as error:
            counts.lost.append(f"client {number}: {error}")


async def watch(daemon, until, interval):
    """Resident memory over time."""
    samples = []
    while time.monotonic() < until:
        samples.append(daemon.resident_mib())
        await asyncio.sleep(interval)
    return samples


async def run(daemon, options):
    counts, until = Counts(), time.monotonic() + options.seconds
    clients = [one_client(daemon.port, i, until, counts) for i in range(options.clients)]
    memory, *_ = await asyncio.gather(watch(daemon, until, max(1, options.seconds / 60)), *clients)
    await asyncio.sleep(2)
    values = await client.metrics(daemon.port)
    return counts, memory, values


def main():
    parser = argparse.ArgumentParser(description="Soak test over HTTP")
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--growth-mib", type=float, default=16, help="memory may grow by so much in the second half")
    options, more = parser.parse_known_args()
    daemon = client.Daemon(options.program, options.model, "--log-level", "info", *more)
    try:
        counts, memory, values = asyncio.run(run(daemon, options))
    finally:
        code = daemon.stop()
    half = memory[len(memory) // 2:]
    growth = max(half[-3:]) - min(half[:3])
    failures = list(counts.lost[:5])
    for name in ("vllm:kv_cache_usage_perc", "vllm:num_requests_running", "vllm:num_requests_waiting"):
        if values[name] != 0:
            failures.append(f"{name} is {values[name]}, expected 0")
    if growth > options.growth_mib:
        failures.append(f"memory grew by {growth:.1f} MiB in the second half")
    if code != 0:
        failures.append(f"the daemon ended with {code}")
    print(f"{counts.answers} answers, {counts.left} clients left, {counts.refused} refused, {counts.tokens} tokens, "
          f"{values['vllm:num_preemptions_total']:.0f} preemptions, "
          f"{values['vllm:prefix_cache_hits_total']:.0f} of {values['vllm:prefix_cache_queries_total']:.0f} prompt tokens cached; "
          f"memory {memory[0]:.0f} MiB at first, {memory[len(memory) // 2]:.0f} in the middle, {memory[-1]:.0f} at last")
    for failure in failures:
        print("FAILED:", failure)
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
