#!/usr/bin/env python3
"""What drafts (--speculate) are worth over HTTP: two daemons of the same model, one with --speculate off, answer the same
requests in turn. Answers are compared byte by byte; figures are tokens a second from the first token to the last (ratio:
of the rounds, the median, the least and the most), and by the processor's time of all threads, prompts included (cpu),
which other work on the machine disturbs less.

    tests/bench/speculate.py build/release/prenormd MODEL [--rounds 5] [--tokens 128] [options of prenormd serve]

MODEL needs a tokenizer, and for the cases that copy a mind for it: deploy/models/tales, or SmolLM2 (smollm2.py).

    ordinary    a text at temperature 1: little is said twice, and drafts must cost next to nothing
    repetitive  a prompt that says a paragraph again and again, greedy: the answer goes on with that
    prediction  ordinary, with the answer itself as `prediction`, a word in each twenty changed
"""
import asyncio
import json
import random
import statistics

import client
import command

BEGINNINGS = ["Once upon a time there was a", "The weather in the mountains", "My grandmother used to say that", "In the year 1912 the",
              "The little dog went to", "There are three reasons why", "When the ship came into the harbour", "She opened the old box and"]
PARAGRAPH = ("The red fox ran over the green hill to the old mill. The miller gave the fox some bread and a cup of cold milk. "
             "Then the fox went home to sleep. ")


def ordinary(client_number, tokens):
    return {"prompt": BEGINNINGS[client_number % len(BEGINNINGS)], "temperature": 1, "seed": 1 + client_number,
            "max_tokens": tokens, "ignore_eos": True}


def repetitive(client_number, tokens):
    return {"prompt": f"Number {client_number}. " + PARAGRAPH * 3, "temperature": 0, "max_tokens": tokens, "ignore_eos": True}


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
    if case == "repetitive":
        return [repetitive(i, tokens) for i in range(clients)]
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
    rates, ratios, cpu = [[], []], [], [0, 0]
    for turn in range(-1, options.rounds):  # the first warms up
        answers = []
        for side, daemon in enumerate(daemons):
            before = daemon.cpu_seconds()
            answers.append(await run(daemon.port, requests))
            cpu[side] += daemon.cpu_seconds() - before if turn >= 0 else 0
        if answers[0][0] != answers[1][0]:
            raise SystemExit(f"{case}, {clients} clients: the answers are not the same\n{answers[0][0]}\n{answers[1][0]}")
        if turn >= 0:
            for side in (0, 1):
                rates[side].append(answers[side][1])
            ratios.append(answers[1][1] / answers[0][1])
    return [statistics.median(r) for r in rates], [statistics.median(ratios), min(ratios), max(ratios)], cpu[0] / max(cpu[1], 1e-9)


async def table(options, daemons):
    print(f"{'case':12} {'clients':>7} {'off':>8} {'drafts':>8} {'ratio':>6}  {'least':>6} {'most':>6} {'cpu':>6}  {'drafted':>8} {'accepted':>8}")
    for case in options.cases.split(","):
        for clients in options.clients:
            before = await client.metrics(daemons[1].port)
            rates, ratios, cpu = await measure(case, clients, options, daemons)
            after = await client.metrics(daemons[1].port)
            drafted, accepted = (after[f"prenorm_spec_{name}_tokens_total"] - before[f"prenorm_spec_{name}_tokens_total"]
                                 for name in ("draft", "accepted"))
            print(f"{case:12} {clients:7} {rates[0]:8.1f} {rates[1]:8.1f} {ratios[0]:6.2f}  {ratios[1]:6.2f} {ratios[2]:6.2f} {cpu:6.2f}  "
                  f"{drafted:8.0f} {accepted:8.0f}", flush=True)


def main():
    parser = command.parser(__doc__, further=True)
    parser.add_argument("--rounds", type=int, default=5, help="of which the median counts")
    parser.add_argument("--tokens", type=int, default=128, help="of each answer")
    parser.add_argument("--clients", type=json.loads, default=[1, 4, 16], help="as [1,4,16]")
    parser.add_argument("--cases", default="ordinary,repetitive,prediction", help="kinds of text, separated by commas")
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
