#!/usr/bin/env python3
"""What structured output costs a step: as many sequences as the batch has, each with a schema of its own, beside the same
without schemas, in turns.

    tests/bench/grammar_step.py build/prenormd MODEL [--sequences 16] [--tokens 200] [--turns 5] [--seed N] [options of serve]

MODEL needs a tokenizer as people use them, for its tokens are what a mask is made of; the weights may be random:

    tests/bench/peers/make_model.py gpt2-124m /tmp/model
    tests/bench/peers/rank_tokenizer.py qwen.tiktoken /tmp/model
    tests/bench/grammar_step.py build/prenormd /tmp/model --weights int8

A turn is one request a sequence, at temperature 1, of as many tokens at most; with a schema a text may end before, and the next
one of the same schema follows until all tokens are said. The first turn is the first that the daemon sees of the schemas: nearly
each mask is made then; later ones find most of them. Figures are of the daemon's own metrics: the time of masks on all compute
threads as a part of the time of the steps, and tokens a second of those (medians of the turns behind the first). Standard library
only.
"""
import argparse
import asyncio
import json
import statistics

import client

TEXT, LINE, WHOLE, NUMBER, FLAG = ({"type": "string"}, {"type": "string", "maxLength": 80}, {"type": "integer"}, {"type": "number"},
                                   {"type": "boolean"})


def record(required=None, **properties):
    return {"type": "object", "properties": properties, "required": required or list(properties), "additionalProperties": False}


def rows(items, **bounds):
    return {"type": "array", "items": items, **bounds}


def one_of(*values):
    return {"enum": list(values)}


def optional(schema):
    return {"anyOf": [schema, {"type": "null"}]}


PERSON = record(name=LINE, age={"type": "integer", "minimum": 0, "maximum": 130}, email={"type": "string", "format": "email"})
ADDRESS = record(street=LINE, city=LINE, zip={"type": "string", "pattern": "^[0-9]{5}(-[0-9]{4})?$"}, country=one_of("DE", "FR", "US"))
SCHEMAS = [
    PERSON,
    record(reasoning=rows(record(explanation=TEXT, output=TEXT)), final_answer=TEXT),
    record(location=LINE, unit=one_of("celsius", "fahrenheit"), days={"type": "integer", "minimum": 1, "maximum": 14}),
    record(sentiment=one_of("positive", "neutral", "negative"), score={"type": "number", "minimum": 0, "maximum": 1}, why=TEXT),
    record(["number", "lines"], number={"type": "string", "pattern": "^[A-Z]{2}-[0-9]{6}$"}, date={"type": "string", "format": "date"},
           lines=rows(record(item=LINE, count=WHOLE, price={"type": "number", "minimum": 0, "multipleOf": 0.01}), minItems=1), to=ADDRESS),
    record(entities=rows(record(text=TEXT, kind=one_of("person", "place", "organisation", "date", "other"), start=WHOLE, end=WHOLE))),
    record(title=LINE, servings=WHOLE, ingredients=rows(record(name=LINE, amount=NUMBER, unit=one_of("g", "ml", "piece")), maxItems=20),
           steps=rows(TEXT, minItems=1, maxItems=12)),
    record(title=LINE, begins={"type": "string", "format": "date-time"}, ends=optional({"type": "string", "format": "date-time"}),
           guests=rows({"type": "string", "format": "email"}), remote=FLAG),
    {"$defs": {"node": record(value=TEXT, children=rows({"$ref": "#/$defs/node"}))}, "$ref": "#/$defs/node"},
    record(query=TEXT, filters=rows(record(field=LINE, op=one_of("=", "<", ">", "like"), value={"anyOf": [TEXT, NUMBER, FLAG]})),
           limit={"type": "integer", "minimum": 1, "maximum": 1000}),
    record(name=one_of("search", "open", "write"), arguments={"type": "object", "additionalProperties": TEXT}),
    {"anyOf": [record(type={"const": "error"}, message=TEXT), record(type={"const": "answer"}, text=TEXT, sources=rows(
        {"type": "string", "format": "uri"}))]},
    record(id={"type": "string", "format": "uuid"}, host={"type": "string", "format": "ipv4"}, level=one_of("info", "warning", "error"),
           message={"type": "string", "maxLength": 200}, tags=rows({"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,30}$"})),
    record(["question"], question=TEXT, choices=rows(LINE, minItems=4, maxItems=4), right={"type": "integer", "minimum": 0, "maximum": 3},
           hints=rows(TEXT)),
    rows(record(x=NUMBER, y=NUMBER, label=optional(LINE)), minItems=1),
    {"type": "object"},
]


def request(schema, tokens, seed):
    fields = {"prompt": "Once upon a time", "max_tokens": tokens, "temperature": 1, "seed": seed}
    return {**fields, "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}} if schema else {
        **fields, "ignore_eos": True}


async def say(port, schema, tokens, seed):
    """Texts one behind the other, so many tokens in all."""
    while tokens > 0:
        arrivals = []
        await client.complete(port, {**request(schema, tokens, seed), "return_token_ids": True}, arrivals=arrivals)
        tokens -= max(1, len(arrivals))
        seed += 1_000_000


async def turn(port, given, schemas, seed):
    before = await client.metrics(port)
    await asyncio.gather(*(say(port, schemas[i % len(schemas)] if schemas else None, given.tokens, seed * 1000 + i)
                           for i in range(given.sequences)))
    after = await client.metrics(port)
    grown = {name: after[name] - before.get(name, 0) for name in after}
    seconds, steps = grown["prenorm_step_duration_seconds_sum"], grown["prenorm_step_duration_seconds_count"]
    masks = grown.get("prenorm_grammar_masks_total", 0)
    return {"tokens": grown["prenorm_generated_tokens_total"], "seconds": seconds, "steps": steps, "masks": masks,
            "mask_seconds": grown.get("prenorm_grammar_mask_seconds_total", 0)}


def tokens_a_second(result):
    return result["tokens"] / result["seconds"]


def say_line(what, result):
    line = (f"{what}: {result['tokens']:.0f} tokens in {result['steps']:.0f} steps of {1000 * result['seconds'] / result['steps']:.1f} ms, "
            f"{tokens_a_second(result):.0f} tokens/s of steps")
    if result["masks"]:
        line += (f"; {result['masks']:.0f} masks of {1e6 * result['mask_seconds'] / result['masks']:.1f} us, "
                 f"{100 * result['mask_seconds'] / result['seconds']:.2f} % of the steps' time")
    print(line, flush=True)


async def run(port, given):
    found = {"with": [], "without": []}
    for number in range(given.turns + 1):
        for what, schemas in (("with", SCHEMAS), ("without", None)):
            result = await turn(port, given, schemas, given.seed * 100 + number)
            say_line(f"turn {number}, {what} schemas", result)
            if number > 0:
                found[what].append(result)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("--sequences", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    given, options = parser.parse_known_args()
    daemon = client.Daemon(given.program, given.model, "--max-sequences", str(given.sequences), *options)
    try:
        found = asyncio.run(run(daemon.port, given))
    finally:
        code = daemon.stop()
    median = {what: statistics.median(map(tokens_a_second, results)) for what, results in found.items()}
    share = statistics.median(r["mask_seconds"] / r["seconds"] for r in found["with"])
    print(json.dumps({"tokens_a_second": median, "mask_part": round(share, 5)}))
    return code


if __name__ == "__main__":
    raise SystemExit(main())
