#!/usr/bin/env python3
"""Many clients for half an hour, or for as many hours as there is time: random prompts, lengths, sampling, clients that leave. In the
end every answer must have come, every page and descriptor must be free again, gauges must be back at 0, and memory must not grow: by its
slope in the second half. (Pages of the cache count once they were used: a run of less than some minutes sees memory grow.)

    tests/bench/soak.py build/release/prenormd deploy/models/tales [--hours 24 | --seconds 60] [--clients 64]
"""
import asyncio
import random
import statistics
import time

import client
import command

DEFAULT_SECONDS = 1800
SETTLE_SECONDS = 60  # at most, until the daemon has noticed that all clients are gone
SAMPLES = 240  # of memory, at most one a second
# What must be 0 once nobody asks any more.
GAUGES = ("vllm:kv_cache_usage_perc", "vllm:num_requests_running", "vllm:num_requests_waiting", "prenorm_engine_stalled_seconds")
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
    """[(seconds since the start, resident MiB)]"""
    samples, started = [], time.monotonic()
    while time.monotonic() < until:
        samples.append((time.monotonic() - started, daemon.resident_mib()))
        await asyncio.sleep(interval)
    return samples


def slope(samples):
    """MiB an hour, by the line that fits best."""
    times, values = zip(*samples)
    return statistics.linear_regression(times, values).slope * 3600


async def settled(daemon, descriptors):
    """(metrics, descriptors) once nothing is under way, or after SETTLE_SECONDS as they are."""
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        values, left = await client.metrics(daemon.port), daemon.descriptors()
        if time.monotonic() > end or (left <= descriptors and not any(values[name] for name in GAUGES)):
            return values, left
        await asyncio.sleep(0.2)


async def run(daemon, options):
    """(counts, samples of memory, metrics at the end, descriptors at the beginning and the end)"""
    await client.metrics(daemon.port)
    descriptors = daemon.descriptors()
    counts, until = Counts(), time.monotonic() + options.seconds
    clients = [one_client(daemon.port, i, until, counts) for i in range(options.clients)]
    memory, *_ = await asyncio.gather(watch(daemon, until, max(1, options.seconds / SAMPLES)), *clients)
    values, left = await settled(daemon, descriptors)
    return counts, memory, values, (descriptors, left)


def judge(counts, half, values, descriptors, options):
    """What is wrong, as texts."""
    failures = list(counts.lost[:5])
    failures += [f"{name} is {values[name]}, expected 0" for name in GAUGES if values[name] != 0]
    if descriptors[1] > descriptors[0]:
        failures.append(f"{descriptors[0]} descriptors were open at first, {descriptors[1]} are at last")
    growth = slope(half) / 3600 * (half[-1][0] - half[0][0])
    if growth > options.growth_mib:
        failures.append(f"memory grew by {growth:.1f} MiB in the second half")
    if counts.answers == 0:
        failures.append("nothing was answered")
    return failures


def parse_options():
    parser = command.parser(__doc__, further=True)
    parser.add_argument("--seconds", type=float, help=f"default: {DEFAULT_SECONDS}")
    parser.add_argument("--hours", type=float, help="instead of seconds")
    parser.add_argument("--clients", type=int, default=64, help="at once")
    parser.add_argument("--growth-mib", type=float, default=16, help="memory may grow by so much in the second half")
    options, more = parser.parse_known_args()
    if options.hours and options.seconds:
        parser.error("--hours and --seconds: one of the two")
    options.seconds = options.hours * 3600 if options.hours else options.seconds or DEFAULT_SECONDS
    return options, more


def main():
    options, more = parse_options()
    daemon = client.Daemon(options.program, options.model, "--log-level", "info", *more)
    try:
        counts, memory, values, descriptors = asyncio.run(run(daemon, options))
    finally:
        code = daemon.stop()
    half = memory[len(memory) // 2:]
    failures = judge(counts, half, values, descriptors, options)
    if code != 0:
        failures.append(f"the daemon ended with {code}")
    print(f"{options.seconds / 60:.0f} minutes, {options.clients} clients: {counts.answers} answers, {len(counts.lost)} lost, "
          f"{counts.left} clients left, {counts.refused} refused, {counts.tokens} chunks, "
          f"{values['vllm:num_preemptions_total']:.0f} preemptions, "
          f"{values['vllm:prefix_cache_hits_total']:.0f} of {values['vllm:prefix_cache_queries_total']:.0f} prompt tokens cached; "
          f"descriptors {descriptors[0]} at first, {descriptors[1]} at last; "
          f"memory {memory[0][1]:.0f} MiB at first, {half[0][1]:.0f} in the middle, {memory[-1][1]:.0f} at last, "
          f"{slope(half):+.1f} MiB an hour in the second half")
    for failure in failures:
        print("FAILED:", failure)
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
