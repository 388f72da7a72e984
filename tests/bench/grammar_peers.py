#!/usr/bin/env python3
"""Masks beside llguidance's, token by token, and what a mask costs beside llguidance and XGrammar, in one run.

    tests/bench/grammar_peers.py build/tests/grammar_walk [--tokenizers FOLDER] [--ranks FILE --sizes 50257,151936]
        [--schemas N] [--documents N] [--suite FOLDER] [--regexes N] [--walks N] [--steps N] [--seed N] [--no-xgrammar] [-v]

Needs llguidance, xgrammar and numpy from PyPI. --documents adds the random schemas of schema_suite.py and those of
grammar_step.py, --suite those of the JSON-Schema-Test-Suite (schema_suite.py says where it is), both of which need jsonschema, too. Vocabularies: each FOLDER/*/tokenizer.json, and of FILE (tiktoken's format, for
example dashscope/resources/qwen.tiktoken of the package dashscope) the first tokens of each size. Random schemas, regular
expressions and GBNF grammars are compiled by all, random walks take tokens that all allow, and each mask of a walk is compared.
Exit code 1 where a difference is none of those that explain() names. Times of ours are processor time within the program,
those of the others wall time around the call from Python: leave the machine alone.
"""
import argparse
import base64
import collections
import json
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile
import time

import llguidance
import llguidance.numpy
import numpy as np

KINDS = {"schema": 1, "regex": 2, "gbnf": 4}
WHITESPACE = r" ?|\r?\n(?: {0,32}|\t{0,8})"  # what ours takes by default
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
FIXED_REGEXES = [
    r"[a-z]+", r"(foo|bar)+baz?", r".*", r"[^\n]{1,40}\.", r"([a-z]+ ){2,5}end", r"a.*b.*c", r"(.{3}){2,4}", r".{10,50}",
    r"[A-Z][a-z]{2,8}( [A-Z][a-z]{2,8}){0,3}", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", r"\p{Lu}\p{Ll}+ é?",
    r'"([^"\\]|\\.)*"', r"(a|ab|abc){1,4}d", r"[α-ω]{2,5}|[一-龥]+", r"https?://[a-z0-9.]+(/[^ ]*)?", r"(?i)yes|no",
    r"x{0,100}y", r"[\x00-\x7f]{5,30}z", r".{60,200}\n", r"(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"]
# GBNF for ours and for XGrammar; llguidance has another language.
FIXED_GBNF = [
    'root ::= "abc" | "abd" "x"* | [a-z]{3,10} "."',
    'root ::= (expr "=" term "\\n")+\nexpr ::= term ([-+*/] term)*\nterm ::= ident | num | "(" ws expr ")" ws\n'
    'ident ::= [a-z] [a-z0-9_]* ws\nnum ::= [0-9]+ ws\nws ::= [ \\t\\n]*',
    'root ::= "a" root "b" | ""',
    'root ::= ("The " | "the ")? word (" " word){2,5} "."\nword ::= [a-zA-Z]{1,8}',
    'root ::= [^\\x00-\\x7f]* "x"',
    'root ::= "\\"" [^"]{3,12} "\\"" (", \\"" [^"]* "\\"")*',
    'root ::= list+\nlist ::= "- " [^\\n]+ "\\n" sub*\nsub ::= "  * " [^\\n]{1,20} "\\n"',
    'root ::= ("a" | "aa"){3,7} "b" | ("ab")* c\nc ::= "c" | d{2}\nd ::= "d" ("e" | c)?']


class Ours:
    """tests/bench/grammar_walk.c over a pipe."""

    def __init__(self, program, texts):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.count = len(texts)
        with tempfile.NamedTemporaryFile() as file:
            file.write(struct.pack("<I", len(texts)))
            for text in texts:
                file.write(struct.pack("<I", len(text)) + text)
            file.flush()
            self.load_ns, self.bytes = self.ask("V " + file.name)

    def ask(self, line, extra=b""):
        self.process.stdin.write(line.encode() + b"\n" + extra)
        self.process.stdin.flush()
        answer = self.process.stdout.readline().decode().rstrip("\n")
        if not answer.startswith("OK"):
            raise ValueError(answer)
        return [int(word) for word in answer.split()[1:]]

    def compile(self, kind, source):
        source = source.encode()
        return self.ask(f"C {KINDS[kind]} {len(source)}", source)[0]

    def mask(self, state):
        ns, may_end = self.ask(f"M {state}")
        words = np.frombuffer(self.process.stdout.read((self.count + 31) // 32 * 4), dtype=np.uint32)
        return ns, bool(may_end), to_bits(words, self.count)

    def accept(self, state, token):
        return self.ask(f"A {state} {token}")[1]


def to_bits(words, count):
    return np.unpackbits(words.view(np.uint8), bitorder="little")[:count].astype(bool)


# ---- what is compared -----------------------------------------------------------------------------------------------


def random_schema(rng, depth=3):
    kind = rng.choice(["string", "integer", "number", "boolean", "null", "enum", "const", "format", "pattern", "length"]
                      + ["object", "array", "anyOf", "map"] * (2 if depth > 1 else 1 if depth else 0))
    if kind in ("string", "integer", "number", "boolean", "null"):
        return {"type": kind}
    if kind == "enum":
        return {"enum": rng.sample(["red", "green", "blue", "a\"b", "é", 1, 2.5, None, True], rng.randint(1, 5))}
    if kind == "const":
        return {"const": rng.choice(["fixed", 7, None, False])}
    if kind == "format":
        return {"type": "string", "format": rng.choice(["date", "uuid", "ipv4"])}
    if kind == "pattern":
        return {"type": "string", "pattern": rng.choice(["^[a-z]{2,8}$", "^[A-Z]{2}[0-9]+$", "^(yes|no)$", "^a[^\\r\\n]*z$"])}
    if kind == "length":
        least = rng.randint(0, 5)
        return {"type": "string", "minLength": least, "maxLength": least + rng.choice([0, 3, 20, 100])}
    if kind == "array":
        least = rng.randint(0, 2)
        return {"type": "array", "items": random_schema(rng, depth - 1), "minItems": least,
                "maxItems": least + rng.randint(1, 4)}
    if kind == "anyOf":
        return {"anyOf": [random_schema(rng, depth - 1) for _ in range(rng.randint(2, 3))]}
    if kind == "map":
        return {"type": "object", "additionalProperties": random_schema(rng, depth - 1)}
    names = rng.sample(["id", "name", "items", "price", "tags", "a b", "naïve", "next"], rng.randint(1, 5))
    return {"type": "object", "properties": {name: random_schema(rng, depth - 1) for name in names},
            "required": [name for name in names if rng.random() < 0.6], "additionalProperties": False}


def random_regex(rng, depth=3):
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(["a", "ab", "[a-z]", "[0-9]", r"\.", " ", "[^,]", ".", "é", "[α-ω]", "foo", r"\n", "[A-Za-z_]"])
    kind, part = rng.choice(["both", "or", "*", "+", "?", "{2,4}", "{3}", "both"]), random_regex(rng, depth - 1)
    if kind == "both":
        return part + random_regex(rng, depth - 1)
    if kind == "or":
        return f"({part}|{random_regex(rng, depth - 1)})"
    return f"({part}){kind}"


# ---- walks -----------------------------------------------------------------------------------------------------------


def explain(kind, source, ours, theirs, texts, matcher, text):
    """Why the masks may differ; None: no known reason."""
    more, less = [texts[i] for i in np.flatnonzero(ours & ~theirs)], [texts[i] for i in np.flatnonzero(theirs & ~ours)]
    if not less and matcher and matcher.compute_ff_bytes():
        return "llguidance allows the one tokenisation of forced bytes that its tokenizer would choose, ours all"
    if kind == "schema" and re.search(r'"format": *"(email|hostname|uri|ipv6|duration|time|date-time)"', source):
        return "formats: ours take the core of what the RFCs say, with bounds (docs/structured-output.md)"
    if kind == "schema" and re.search(r"\\\\[wWdDsS]", source):
        return "ours take of \\w, \\d, \\s and their opposites what ECMAScript, RE2 and Python agree on"
    in_escape = re.search(rb"\\(u[0-9a-fA-F]{0,3})?$", text)
    if kind == "schema" and (in_escape or all(b"\x7f" in t or b"\\" in t for t in more + less)):
        return "ours has DEL and every escape in free strings, and one spelling in keys and where something is asked of a string"
    if (not less and not text) or (less and all(t[:1] == b" " or t[:3] == b"\xe2\x96\x81" for t in less)):
        return "llguidance begins with the space that the tokenizer puts in front of a text"
    if kind == "schema" and not more and all(t[:1] in b"0123456789" for t in less) and text[-1:].isdigit():
        return "ours limits the digits of a number"
    if kind == "schema" and not less and all(b"E" in t or b"e" in t or b"." in t or b"-" in t for t in more):
        return "other spellings of numbers"
    return None


class Comparison:
    def __init__(self, arguments, name, tokenizer):
        self.arguments, self.tokenizer, self.name = arguments, tokenizer, name
        self.count = tokenizer.vocab_size
        special = [tokenizer.is_special_token(i) for i in range(self.count)]
        self.texts = [b"" if special[i] else tokenizer.decode_bytes([i]) for i in range(self.count)]
        self.has_text = np.array([len(text) > 0 for text in self.texts])
        self.ours = Ours(arguments.program, self.texts)
        self.mask = llguidance.numpy.allocate_token_bitmask(1, self.count)
        self.times, self.reasons = collections.defaultdict(list), collections.Counter()
        self.unknown = self.masks = 0
        self.xgrammar = None if arguments.no_xgrammar else self.make_xgrammar()

    def make_xgrammar(self):
        import xgrammar
        texts = [text or b"<%d>" % i for i, text in enumerate(self.texts)]
        info = xgrammar.TokenizerInfo(texts, vocab_type=xgrammar.VocabType.RAW,
                                      stop_token_ids=[int(np.flatnonzero(~self.has_text)[0])])
        self.xgrammar_mask = xgrammar.allocate_token_bitmask(1, self.count)
        return xgrammar.GrammarCompiler(info)

    def compile_xgrammar(self, kind, source):
        import xgrammar
        if not self.xgrammar:
            return None
        start = time.perf_counter_ns()
        try:
            compiled = (self.xgrammar.compile_json_schema(source, any_whitespace=True) if kind == "schema" else
                        self.xgrammar.compile_regex(source) if kind == "regex" else self.xgrammar.compile_grammar(source))
        except RuntimeError:
            return None
        self.times["XGrammar compiles"].append(time.perf_counter_ns() - start)
        return xgrammar.GrammarMatcher(compiled)

    def peer(self, kind, source):
        if kind == "gbnf":
            return None
        if kind == "regex":
            grammar = llguidance.LLMatcher.grammar_from_regex(source)
        else:
            defaults = {"whitespace_flexible": True, "whitespace_pattern": WHITESPACE}
            grammar = llguidance.LLMatcher.grammar_from_json_schema(source, defaults=defaults)
        start = time.perf_counter_ns()
        matcher = llguidance.LLMatcher(self.tokenizer, grammar)
        self.times["llguidance compiles"].append(time.perf_counter_ns() - start)
        return None if matcher.is_error() else matcher

    def timed(self, what, call):
        start = time.perf_counter_ns()
        call()
        self.times[what].append(time.perf_counter_ns() - start)

    def contradicts_itself(self, source, ours, theirs, text):
        """Whether XGrammar takes the bytes of all tokens that it does not allow, and none of those that ours does not."""
        import xgrammar
        for token in np.flatnonzero((ours != theirs) & self.has_text):
            matcher = xgrammar.GrammarMatcher(self.xgrammar.compile_grammar(source))
            if matcher.accept_string(text + self.texts[token]) != bool(ours[token]):
                return False
        return True

    def compare(self, kind, source, ours, theirs, matcher, text, peer_name):
        self.masks += 1
        if not np.any((ours != theirs) & self.has_text):
            return
        reason = explain(kind, source, ours & self.has_text, theirs & self.has_text, self.texts, matcher, text)
        if not matcher and not reason and self.contradicts_itself(source, ours, theirs, text):
            reason = "XGrammar, given the bytes instead of the token, says what ours says"
        self.reasons[reason or "unexplained"] += 1
        if reason is None:
            self.unknown += 1
            if self.arguments.verbose or self.unknown <= 5:
                more, less = (np.flatnonzero(a & ~b & self.has_text)[:5] for a, b in ((ours, theirs), (theirs, ours)))
                print(f"  {source[:200]}\n    behind {text[-60:]!r}: ours alone {[self.texts[i] for i in more]}, "
                      f"{peer_name} alone {[self.texts[i] for i in less]}")

    def walk(self, rng, kind, source):
        matcher, other = self.peer(kind, source), self.compile_xgrammar(kind, source)
        state, text = 0, b""
        for _ in range(self.arguments.steps):
            try:
                ns, _, ours = self.ours.mask(state)
            except ValueError as error:
                self.reasons[f"(no mask) {error}"] += 1
                return
            self.times["ours"].append(ns)
            allowed = ours & self.has_text
            if matcher:
                self.timed("llguidance", lambda: llguidance.numpy.fill_next_token_bitmask(matcher, self.mask, 0))
                theirs = to_bits(self.mask.view(np.uint32)[0], self.count)
                self.compare(kind, source, ours, theirs, matcher, text, "llguidance")
                allowed = allowed & theirs
            if other:
                self.timed("XGrammar", lambda: other.fill_next_token_bitmask(self.xgrammar_mask))
            if other and kind == "gbnf":
                theirs = to_bits(self.xgrammar_mask.numpy().view(np.uint32)[0], self.count)
                if text[-1:] != b"\xed":  # XGrammar lets surrogates through
                    self.compare(kind, source, ours, theirs, None, text, "XGrammar")
                allowed = allowed & theirs
            choices = np.flatnonzero(allowed)
            if len(choices) == 0:
                return
            closing = [i for i in choices if self.texts[i] in (b'"', b'",', b'"}', b"}", b",", b":")]
            token = int(rng.choice(closing if closing and rng.random() < 0.3 else choices))
            state = self.ours.accept(state, token)
            text += self.texts[token]
            if matcher:
                matcher.consume_token(token)
            if other and not other.accept_token(token):
                other = None

    def run(self, cases):
        rng = random.Random(self.arguments.seed)
        refused = 0
        for kind, source in cases:
            for _ in range(self.arguments.walks):
                try:
                    self.times["ours compiles"].append(self.ours.compile(kind, source))
                except ValueError as error:
                    refused += 1
                    if self.arguments.verbose:
                        print("  refused:", source[:100], error)
                    break
                self.walk(rng, kind, source)
        self.report(len(cases), refused)

    def report(self, cases, refused):
        print(f"{self.name}: {self.count} tokens, loaded in {self.ours.load_ns / 1e6:.0f} ms, {self.ours.bytes / 2**20:.1f} MiB; "
              f"{cases} grammars ({refused} refused), {self.masks} masks compared, {self.unknown} differ without a known reason")
        for reason, count in self.reasons.most_common():
            print(f"  {count} masks differ: {reason}")
        print("  | microseconds | median | 90 % | 99 % | most |\n  |---|---|---|---|---|")
        for what in sorted(self.times):
            values = np.percentile(np.array(self.times[what]) / 1000, (50, 90, 99, 100))
            print(f"  | {what} | " + " | ".join(f"{value:.0f}" for value in values) + " |")
        sys.stdout.flush()


def vocabularies(arguments):
    for folder in sorted(pathlib.Path(arguments.tokenizers).iterdir()) if arguments.tokenizers else []:
        if (folder / "tokenizer.json").is_file():
            try:
                yield folder.name, llguidance.LLTokenizer((folder / "tokenizer.json").read_text())
            except ValueError as error:
                print(f"{folder.name}: llguidance cannot read it ({str(error)[:80]})")
    lines = pathlib.Path(arguments.ranks).read_text().split() if arguments.ranks else []
    for size in map(int, arguments.sizes.split(",")) if lines else []:
        ranks = {base64.b64decode(a): int(b) for a, b in zip(lines[::2], lines[1::2]) if int(b) < size - 1}
        yield str(size), llguidance.LLTokenizer.from_tiktoken(
            encoder=ranks, special_tokens={"<|endoftext|>": len(ranks)}, pattern=SPLIT, eos_token=len(ranks), n_vocab=size)


def further_schemas(arguments):
    """Each once, in order."""
    schemas = []
    if arguments.documents:
        import grammar_step
        import schema_suite
        rng = random.Random(arguments.seed)
        schemas += grammar_step.SCHEMAS + [schema_suite.opened(schema_suite.random_document(rng)) for _ in range(arguments.documents)]
    if arguments.suite:
        import schema_suite
        for draft in ("draft2020-12", "draft7"):
            for file in sorted((arguments.suite / draft).glob("*.json")):
                schemas += [schema_suite.opened(group["schema"]) for group in json.loads(file.read_text())]
    return list(dict.fromkeys(json.dumps(schema) for schema in schemas if isinstance(schema, dict)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--tokenizers")
    parser.add_argument("--ranks")
    parser.add_argument("--sizes", default="50257,151936")
    for name, default in (("schemas", 200), ("regexes", 100), ("walks", 1), ("steps", 40), ("seed", 1)):
        parser.add_argument("--" + name, type=int, default=default)
    parser.add_argument("--documents", type=int, default=0)
    parser.add_argument("--suite", type=pathlib.Path)
    parser.add_argument("--no-xgrammar", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    cases = [("schema", json.dumps(random_schema(rng))) for _ in range(arguments.schemas)]
    cases += [("schema", source) for source in further_schemas(arguments)]
    cases += [("regex", regex) for regex in FIXED_REGEXES + [random_regex(rng) for _ in range(arguments.regexes)]]
    cases += [("gbnf", grammar) for grammar in ([] if arguments.no_xgrammar else FIXED_GBNF)]
    unknown = 0
    for name, tokenizer in vocabularies(arguments):
        comparison = Comparison(arguments, name, tokenizer)
        comparison.run(cases)
        unknown += comparison.unknown
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
