#!/usr/bin/env python3
"""A thousand connections at once against a queue of 64: every request must be answered, with 200 or with 429, none lost, and
the daemon must drain.

    tests/bench/flood.py build/release/prenormd deploy/models/tales [--connections 1000] [--rounds 3] [OPTION...]
"""
import asyncio
import collections
import json
import resource

import client
import command

BODY = json.dumps({"prompt": "Once upon a time", "max_tokens": 16, "ignore_eos": True}).encode()


async def one_connection(port, gate, rounds, counts):
    """All requests of one connection that stays open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await gate.wait()
    for _ in range(rounds):
        writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        json.loads(await reader.readexactly(int(fields[b"content-length"])))
        counts[int(head.split()[1])] += 1
        if int(head.split()[1]) == 429 and b"retry-after" not in fields:
            counts["429 without Retry-After"] += 1
    writer.close()


async def run(daemon, options):
    counts, gate = collections.Counter(), asyncio.Event()
    asked = [asyncio.create_task(one_connection(daemon.port, gate, options.rounds, counts))
             for _ in range(options.connections)]
    await asyncio.sleep(1)
    gate.set()
    for outcome in await asyncio.gather(*asked, return_exceptions=True):
        if outcome:
            counts[type(outcome).__name__] += 1
    return counts, await client.metrics(daemon.port)


def main():
    parser = command.parser(__doc__, further=True)
    parser.add_argument("--connections", type=int, default=1000, help="at once")
    parser.add_argument("--rounds", type=int, default=3, help="one after the other")
    parser.add_argument("--queue", type=int, default=64, help="--max-queue of the daemon")
    options, more = parser.parse_known_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65536), most))
    daemon = client.Daemon(options.program, options.model, "--max-queue", str(options.queue), *more)
    try:
        counts, values = asyncio.run(run(daemon, options))
    finally:
        code = daemon.stop()
    expected = options.connections * options.rounds
    print(f"{expected} requests on {options.connections} connections: {dict(counts)}; the daemon ended with {code}")
    failures = []
    if counts[200] + counts[429] != expected:
        failures.append(f"{expected - counts[200] - counts[429]} requests were not answered with 200 or 429")
    if set(counts) - {200, 429}:
        failures.append(f"other outcomes: {set(counts) - {200, 429}}")
    if counts[200] < options.queue:
        failures.append(f"only {counts[200]} were served; the queue alone holds {options.queue}")
    for name in ("vllm:num_requests_running", "vllm:num_requests_waiting", "prenorm_answer_memory_bytes"):
        if values[name] != 0:
            failures.append(f"{name} is {values[name]}, expected 0")
    if code != 0:
        failures.append(f"the daemon ended with {code}")
    for failure in failures:
        print("FAILED:", failure)
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
