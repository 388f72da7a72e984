#!/usr/bin/env python3
"""Answers that must match, from a daemon with a model: every one parses and validates.

    tests/bench/structured.py build/prenormd deploy/models/tales [--answers 10000] [--seed N]

Needs jsonschema from PyPI. Answers are sampled at temperature 1.5, several at a time, of schemas as people write them, of random
ones (schema_suite.py) and of regular expressions. Where an answer ends by itself (`stop`) it is read and validated by jsonschema,
or matched by Python's re. One that was cut by its length is only counted: that it can be brought to an end is for the tests of
engine/grammar. Exit code 1 where an answer is wrong.
"""
import concurrent.futures
import decimal
import http.client
import json
import random
import re
import sys
import threading

import jsonschema

import command
from client import Daemon
from schema_suite import random_document

ADDRESS = {"type": "object", "properties": {"street": {"type": "string", "maxLength": 20},
                                            "zip": {"type": "string", "pattern": "^[0-9]{5}$"}},
           "required": ["street", "zip"], "additionalProperties": False}
SCHEMAS = [
    {"type": "object", "properties": {"name": {"type": "string", "maxLength": 15}, "age": {"type": "integer", "minimum": 0,
     "maximum": 120}}, "required": ["name", "age"], "additionalProperties": False},
    {"type": "array", "items": {"type": "number", "minimum": -1, "maximum": 1}, "minItems": 2, "maxItems": 5},
    {"type": "object", "properties": {"home": {"$ref": "#/$defs/address"}, "work": {"$ref": "#/$defs/address"}},
     "required": ["home"], "additionalProperties": False, "$defs": {"address": ADDRESS}},
    {"enum": ["red", "green", 7, None, {"a": [1, 2]}]},
    {"anyOf": [{"type": "boolean"}, {"type": "string", "format": "date"}]},
    {"type": "object", "properties": {"when": {"type": "string", "format": "date-time"}, "id": {"type": "string",
     "format": "uuid"}, "from": {"type": "string", "format": "ipv4"}}, "required": ["when", "id", "from"],
     "additionalProperties": False},
    {"type": "object", "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}},
     "required": ["value", "next"], "additionalProperties": False},
    {"type": "object", "patternProperties": {"^n_[a-z]{1,3}$": {"type": "integer", "multipleOf": 5}},
     "additionalProperties": False, "minProperties": 1, "maxProperties": 3},
    {"type": "array", "prefixItems": [{"type": "string", "minLength": 1, "maxLength": 4}, {"type": "boolean"}], "items": False,
     "minItems": 2},
]
REGEXES = [r"[A-Z][a-z]{1,8} (ran|sat|fell)( down)?\.", r"\d{3}-\d{4}", r"(a|bc)*d?e+", r"[^\n\"]{5,20}!", r"(\w+, ){2}\w+",
           r"[äöü€☃]{3}[a-f0-9]{8}", r"(?:yes|no|(?:perhaps){1,2})"]

local = threading.local()


def ask(port, body):
    if not hasattr(local, "connection"):
        local.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    local.connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = local.connection.getresponse()
    return answer.status, json.loads(answer.read())


def draw(rng):
    """A field of a request, and what says whether a text is right (it raises, or returns False)."""
    if rng.random() < 0.3:
        pattern = rng.choice(REGEXES)
        return {"guided_regex": pattern}, lambda text: re.fullmatch(pattern, text, re.ASCII) is not None
    schema = rng.choice(SCHEMAS) if rng.random() < 0.6 else random_document(rng)
    # Decimals, since 2.3 is a multiple of 0.1 and the nearest binary fractions are not.
    exact = json.loads(json.dumps(schema), parse_float=decimal.Decimal)
    checker = jsonschema.Draft202012Validator(exact, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)

    def is_right(text):
        checker.validate(json.loads(text, parse_float=decimal.Decimal))
        return True
    return {"structured_outputs": {"json": schema}}, is_right


def try_one(port, seed, counts, lock):
    rng = random.Random(seed)
    field, is_right = draw(rng)
    body = {"prompt": rng.choice(["Once upon a time", "The answer is ", "{"]), "max_tokens": 200, "temperature": 1.5,
            "seed": seed, **field}
    status, answer = ask(port, body)
    outcome, why = "refused", ""
    if status == 200:
        choice = answer["choices"][0]
        outcome = "cut"
        if choice["finish_reason"] == "stop":
            try:
                outcome = "right" if is_right(choice["text"]) else "wrong"
            except (ValueError, jsonschema.ValidationError) as error:
                outcome, why = "wrong", str(error).splitlines()[0]
    elif status != 400:
        outcome, why = "failed", answer["error"]["message"]
    with lock:
        counts[outcome] = counts.get(outcome, 0) + 1
        if outcome in ("wrong", "failed"):
            print(f"{outcome}: seed {seed}: {json.dumps(field)}: {answer} {why}")


def main():
    parser = command.parser(__doc__)
    parser.add_argument("--answers", type=int, default=10000, help="that are asked for")
    parser.add_argument("--seed", type=int, default=1, help="of the random schemas and expressions")
    options = parser.parse_args()
    daemon = Daemon(options.program, options.model, "--kv-cache-mib", "128")
    counts, lock = {}, threading.Lock()
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        for _ in pool.map(lambda i: try_one(daemon.port, options.seed * 10_000_000 + i, counts, lock),
                          range(options.answers)):
            pass
    code = daemon.stop()
    print(f"{options.answers} answers:", ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())))
    return 1 if code or counts.get("wrong") or counts.get("failed") or not counts.get("right") else 0


if __name__ == "__main__":
    sys.exit(main())
