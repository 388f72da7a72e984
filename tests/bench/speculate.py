#!/usr/bin/env python3
"""What drafts (--speculate) are worth over HTTP: two daemons of the same model, one with --speculate off, answer the same
requests in turn. Answers are compared byte by byte; figures are tokens a second from the first token to the last (ratio:
of the rounds, the median, the least and the most), and by the processor's time of all threads, prompts included (cpu, the
median), which other work on the machine disturbs less: on a busy one with --threads 1, for threads that wait spin.

    tests/bench/speculate.py build/release/prenormd MODEL [--rounds 5] [--tokens 128] [options of prenormd serve]

MODEL needs a tokenizer, and for the cases that copy a mind for it: deploy/models/tales, or SmolLM2 (smollm2.py).

    ordinary    a text at temperature 1: little is said twice, and drafts must cost next to nothing
    greedy      the same at temperature 0: int4 agrees in nine tokens of ten, and small models begin to repeat themselves
    repetitive  lines of a log, greedy: the answer goes on with more of them, whatever the weights; dates and numbers change
    prediction  ordinary, with the answer itself as `prediction`, a word in each twenty changed

How repetitive an answer is depends on the model and on its weights, so it is told (again): of its words, those that came
behind the same two words before, where these were said last.
"""
import asyncio
import json
import random
import re
import statistics

import client
import command

BEGINNINGS = ["Once upon a time there was a", "The weather in the mountains", "My grandmother used to say that", "In the year 1912 the",
              "The little dog went to", "There are three reasons why", "When the ship came into the harbour", "She opened the old box and"]
LINES = "".join(f"2026-03-{day:02d} 12:{minute:02d}:07 INFO server: request GET /index.html answered 200 in {3 + day % 4} ms\n"
                for day, minute in zip(range(1, 9), range(10, 26, 2)))


def ordinary(client_number, tokens):
    return {"prompt": BEGINNINGS[client_number % len(BEGINNINGS)], "temperature": 1, "seed": 1 + client_number,
            "max_tokens": tokens, "ignore_eos": True}


def greedy(client_number, tokens):
    return {**ordinary(client_number, tokens), "temperature": 0}


def repetitive(client_number, tokens):
    return {"prompt": f"Server {client_number}\n" + LINES, "temperature": 0, "max_tokens": tokens, "ignore_eos": True}


def said_again(prompt, text):
    """(Words of the text that came behind the same two words before, words)."""
    before, words = re.findall(r"\w+|[^\w\s]", prompt), re.findall(r"\w+|[^\w\s]", text)
    known, again = dict(zip(zip(before, before[1:]), before[2:])), 0
    said = (before + words)[max(len(before) - 2, 0):]
    for first, second, third in zip(said, said[1:], said[2:]):
        again += known.get((first, second)) == third
        known[first, second] = third
    return again, len(words)


async def answer(port, fields):
    """(text, seconds between the first token and the last, tokens behind the first)."""
    arrivals = []
    text, _, _ = await client.complete(port, {**fields, "return_token_ids": True}, arrivals=arrivals)
    return text, arrivals[-1] - arrivals[0], len(arrivals) - 1


async def run(port, requests):
    """(texts, tokens a second of all together)."""
    answers = await asyncio.gather(*(answer(port, r) for r in requests))
    return [a[0] for a in answers], sum(a[2] for a in answers) / max(a[1] for a in answers)


def changed(text, dice):
    words = text.split(" ")
    return " ".join(w if dice.random() > 0.05 else "something" for w in words)


async def requests_of(case, clients, tokens, port):
    if case in ("greedy", "repetitive"):
        return [(greedy if case == "greedy" else repetitive)(i, tokens) for i in range(clients)]
    requests = [ordinary(i, tokens) for i in range(clients)]
    if case == "prediction":
        dice = random.Random(7)
        texts, _ = await run(port, requests)
        for request, text in zip(requests, texts):
            request["prediction"] = {"type": "content", "content": changed(text, dice)}
    return requests


async def measure(case, clients, options, daemons):
    ports = [d.port for d in daemons]
    requests = await requests_of(case, clients, options.tokens, ports[0])
    rates, ratios, cpu = [[], []], [], [[], []]
    for turn in range(-1, options.rounds):  # the first warms up
        answers = []
        for side, daemon in enumerate(daemons):
            before = daemon.cpu_seconds()
            answers.append(await run(daemon.port, requests))
            cpu[side].append(daemon.cpu_seconds() - before)
        if answers[0][0] != answers[1][0]:
            raise SystemExit(f"{case}, {clients} clients: the answers are not the same\n{answers[0][0]}\n{answers[1][0]}")
        if turn >= 0:
            for side in (0, 1):
                rates[side].append(answers[side][1])
            ratios.append(answers[1][1] / answers[0][1])
    again, words = map(sum, zip(*(said_again(r["prompt"], text) for r, text in zip(requests, answers[0][0]))))
    return {"rates": [statistics.median(r) for r in rates], "ratios": [statistics.median(ratios), min(ratios), max(ratios)],
            "cpu": statistics.median(off / max(on, 1e-9) for off, on in zip(cpu[0][1:], cpu[1][1:])), "again": again / max(words, 1)}


async def table(options, daemons):
    print(f"{'case':12} {'clients':>7} {'off':>8} {'drafts':>8} {'ratio':>6}  {'least':>6} {'most':>6} {'cpu':>6} {'again':>6}  "
          f"{'drafted':>8} {'accepted':>8}")
    for case in options.cases.split(","):
        for clients in options.clients:
            before = await client.metrics(daemons[1].port)
            found = await measure(case, clients, options, daemons)
            after = await client.metrics(daemons[1].port)
            drafted, accepted = (after[f"prenorm_spec_{name}_tokens_total"] - before[f"prenorm_spec_{name}_tokens_total"]
                                 for name in ("draft", "accepted"))
            rates, ratios = found["rates"], found["ratios"]
            print(f"{case:12} {clients:7} {rates[0]:8.1f} {rates[1]:8.1f} {ratios[0]:6.2f}  {ratios[1]:6.2f} {ratios[2]:6.2f} "
                  f"{found['cpu']:6.2f} {found['again']:6.0%}  {drafted:8.0f} {accepted:8.0f}", flush=True)


def main():
    parser = command.parser(__doc__, further=True)
    parser.add_argument("--rounds", type=int, default=5, help="of which the median counts")
    parser.add_argument("--tokens", type=int, default=128, help="of each answer")
    parser.add_argument("--clients", type=json.loads, default=[1, 4, 16], help="as [1,4,16]")
    parser.add_argument("--cases", default="ordinary,greedy,repetitive,prediction", help="kinds of text, separated by commas")
    parser.add_argument("--mode", default="auto", help="of the daemon that drafts")
    options, rest = parser.parse_known_args()
    daemons = [client.Daemon(options.program, options.model, *rest, "--speculate", mode) for mode in ("off", options.mode)]
    try:
        asyncio.run(table(options, daemons))
    finally:
        for daemon in daemons:
            daemon.stop()


if __name__ == "__main__":
    main()
