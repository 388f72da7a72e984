#!/usr/bin/env python3
"""What clients that are refused, or that ask for much, cost another who only asks for /health: 16 clients post the dearest
bodies one after the other while a 17th measures. Prints its median, its 99th percentile, and the longest call of the loop
thread by kind (/metrics). The clients run in processes of their own, so that the measuring one does not wait for them.

    tests/bench/loop_latency.py build/release/prenormd deploy/models/tales [--seconds 10] [--clients 16] [--only NAME]

    refused   8 prompts, n 16, 16 long stop strings each; the queue has a place, but not for all
    full      the same, and the queue has none
    parsed    bodies of a megabyte of text, which are read and found too long
    answers   whole answers with 20 alternatives a token, for 16 choices

Meant for a machine that does nothing else.
"""
import http.client
import json
import multiprocessing
import re
import time

import client
import command

STOPS = 16


def post(port, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", path)
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def bodies(name, stop_bytes):
    stops = ["x" * (stop_bytes // STOPS - 1) + chr(97 + i) for i in range(STOPS)]
    return json.dumps({
        "refused": {"prompt": ["word " * 400] * 8, "n": 16, "max_tokens": 2, "stop": stops},
        "full": {"prompt": ["word " * 400] * 8, "n": 16, "max_tokens": 2, "stop": stops},
        "parsed": {"prompt": "some words of a text " * 50000, "max_tokens": 2},
        "answers": {"prompt": "Once upon a time", "n": 16, "max_tokens": 400, "logprobs": 20, "ignore_eos": True},
    }[name]).encode()


def keep_posting(port, body, until, counts):
    while time.time() < until:
        status = post(port, body)
        with counts.get_lock():
            counts[status] += 1


def fill(port, choices, tokens):
    """Requests that run and wait for as long as the measurement takes."""
    body = json.dumps({"prompt": ["a"] * choices, "max_tokens": tokens, "ignore_eos": True}).encode()
    process = multiprocessing.Process(target=post, args=(port, body), daemon=True)
    process.start()
    return process


def sample(port, name):
    found = re.search(r"^" + re.escape(name) + r" (\S+)$", get(port, "/metrics"), re.M)
    return float(found[1]) if found else 0


def wait_for_waiting(port, choices):
    while sample(port, "prenorm_sequences_waiting") < choices:
        time.sleep(0.05)


def measure(port, seconds):
    latencies = []
    until = time.time() + seconds
    while time.time() < until:
        begin = time.perf_counter()
        get(port, "/health")
        latencies.append(time.perf_counter() - begin)
        time.sleep(0.02)
    return sorted(latencies)


def run(arguments, name):
    queue = 100 if name == "full" else 128
    daemon = client.Daemon(arguments.program, arguments.model, "--max-queue", str(queue), "--max-sequences", "16", *arguments.option)
    counts = multiprocessing.Array("i", 600)
    fillers = []
    if name in ("refused", "full"):
        fillers = [fill(daemon.port, n, 490) for n in ((16, 64) if name == "refused" else (16, 100))]
        wait_for_waiting(daemon.port, 64 if name == "refused" else 100)
    until = time.time() + arguments.seconds + 1
    body = bodies(name, arguments.stop_bytes)
    posters = [multiprocessing.Process(target=keep_posting, args=(daemon.port, body, until, counts), daemon=True)
               for _ in range(arguments.clients)]
    for poster in posters:
        poster.start()
    time.sleep(1)
    latencies = measure(daemon.port, arguments.seconds)
    text = get(daemon.port, "/metrics")
    calls, cpu = (re.findall(r'^prenorm_loop_callback_%s_max\{kind="(\w+)"\} (\S+)$' % what, text, re.M)
                  for what in ("seconds", "cpu_seconds"))
    for process in posters + fillers:
        process.terminate()
    daemon.process.kill()
    daemon.process.wait()
    answers = {status: counts[status] for status in range(600) if counts[status]}
    print(f"{name}: body {len(body)} bytes, answers {answers}, /health {len(latencies)} times: median "
          f"{latencies[len(latencies) // 2] * 1e3:.1f} ms, 99th percentile {latencies[int(len(latencies) * 0.99)] * 1e3:.1f} ms, "
          f"longest {latencies[-1] * 1e3:.1f} ms; longest call of the loop, ms by the clock (and of "
          "the processor): " + ", ".join(f"{kind} {float(value) * 1e3:.2f} ({float(own) * 1e3:.2f})"
                                         for (kind, value), (_, own) in zip(calls, cpu)), flush=True)


def main():
    parser = command.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of each kind of request")
    parser.add_argument("--clients", type=int, default=16, help="that ask for much")
    parser.add_argument("--stop-bytes", type=int, default=16384, help="of all stop strings of a body")
    parser.add_argument("--only", choices=["refused", "full", "parsed", "answers"], help="one kind of request")
    parser.add_argument("--option", action="append", default=[], help="passed to the daemon, as --option=--threads=1")
    arguments = parser.parse_args()
    for name in [arguments.only] if arguments.only else ["refused", "full", "parsed", "answers"]:
        run(arguments, name)


if __name__ == "__main__":
    main()
