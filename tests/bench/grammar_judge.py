"""Who is right about a token that one program allows and the other does not: by whole texts, which a third program looks at.

A token is rightly allowed if and only if the text with it can be brought to an end that matches. So each token of a difference
that ours allows is brought to an end by ours, each that llguidance alone allows by llguidance, and grammar_opinion.py says whether the whole
matches. Where a text that matches is not taken, the reason has to be one of those in docs/structured-output.md, and has to be
the only one: with that reason taken away (a schema without `format`, a string in another spelling) ours must take the very bytes.

Tokens that end at the same byte, as the program that refuses them reads them, are refused for the same reason: they are one group.
"""
import json
import random
import re
import unicodedata

import jsonschema
import llguidance
import llguidance.numpy
import numpy as np

import grammar_opinion
import schema_suite

WHITESPACE = r" ?|\r?\n(?: {0,32}|\t{0,8})"  # what ours takes by default
BYTES = llguidance.LLTokenizer("byte")
ENDS, MOST, CLOSERS = 4, 3000, b"\"}]"
UNKNOWN = "unexplained"


def grammar_of(kind, source):
    if kind == "regex":
        return llguidance.LLMatcher.grammar_from_regex(source)
    return llguidance.LLMatcher.grammar_from_json_schema(source, defaults={"whitespace_flexible": True, "whitespace_pattern": WHITESPACE})


class Peer:
    """llguidance with a token for each byte."""

    def __init__(self, kind, source):
        self.start = llguidance.LLMatcher(BYTES, grammar_of(kind, source))
        self.mask = llguidance.numpy.allocate_token_bitmask(1, BYTES.vocab_size)

    def fitting(self, text):
        return self.start.deep_copy().validate_tokens(list(text))

    def end(self, text, rng):
        """The text and more behind it, as the grammar has it; None: no end was found."""
        matcher, out = self.start.deep_copy(), bytearray(text)
        if text and not matcher.consume_tokens(list(text)):
            return None
        while len(out) < len(text) + MOST:
            if matcher.is_accepting():
                return bytes(out)
            llguidance.numpy.fill_next_token_bitmask(matcher, self.mask, 0)
            allowed = np.flatnonzero(np.unpackbits(self.mask.view(np.uint8), bitorder="little")[:256])
            closing = [byte for byte in CLOSERS if byte in allowed] if rng.random() < 0.6 else []
            ascii_only = allowed[allowed < 128] if rng.random() < 0.8 else allowed
            if len(allowed) == 0:
                return None
            byte = int(rng.choice(closing or list(ascii_only) or list(allowed)))
            if not matcher.consume_token(byte):
                return None
            out.append(byte)
        return None


class Ours:
    """tests/bench/grammar_bytes.c."""

    def __init__(self, program):
        self.grammar, self.compiled = schema_suite.Grammar(program), None

    def ask(self, kind, source, line):
        if self.compiled != (kind, source):
            refused = self.grammar.compile(kind, source)
            self.compiled = (kind, source) if not refused else None
            if refused:
                return "refused"
        return self.grammar.ask(line)

    def fitting(self, kind, source, text):
        """How many bytes may come; -1 where the source is refused."""
        answer = self.ask(kind, source, f"check {text.hex() or '-'}").split()
        return int(answer[1]) if answer[0] == "no" else -1 if answer[0] == "refused" else len(text)

    def takes(self, kind, source, text):
        return self.ask(kind, source, f"check {text.hex() or '-'}") == "yes"

    def end(self, kind, source, text, rng):
        drawn, _, wrong = self.ask(kind, source, f"walk {rng.getrandbits(60)} 0 {text.hex() or '-'}").partition("!")
        return None if wrong or drawn == "refused" else text + bytes.fromhex(drawn)

    def shortest_end(self, kind, source, text):
        """The fewest bytes more: where walks by chance find none, as through keys that have to match an expression."""
        drawn, _, wrong = self.ask(kind, source, f"end {text.hex() or '-'}").partition("!")
        return None if wrong or drawn == "refused" else text + bytes.fromhex(drawn)

    def in_order(self, source, value, before=b"", tries=None):
        """The text before it and the value, its members in an order that ours takes; None: there is none, or none was found."""
        tries = tries if tries is not None else [500]
        leaf = not isinstance(value, (list, dict)) or not value
        opens, closes = (b"", b"") if leaf else (b"[", b"]") if isinstance(value, list) else (b"{", b"}")
        whole = before + (grammar_opinion.compact(value).encode() if leaf else opens)
        tries[0] -= 1
        if tries[0] < 0 or self.fitting("schema", source, whole) < len(whole):
            return None
        if leaf:
            return whole
        left = list(value.items()) if isinstance(value, dict) else value
        for _ in range(len(left)):
            comma = b"," if whole[-1:] != opens or len(whole) > len(before) + 1 else b""
            for i, entry in enumerate(left if isinstance(value, dict) else left[:1]):
                key = grammar_opinion.compact(entry[0]).encode() + b":" if isinstance(value, dict) else b""
                longer = self.in_order(source, entry[1] if isinstance(value, dict) else entry, whole + comma + key, tries)
                if longer:
                    break
            else:
                return None
            whole, left = longer, left[:i] + left[i + 1:]
        return whole + closes


# ---- reasons -----------------------------------------------------------------------------------------------------------


def without(*keys):
    def change(part):
        return {key: value for key, value in part.items() if key not in keys or isinstance(value, (dict, list))}
    return change


def alone(part):
    return {key: value for key, value in part.items() if key in ("$ref", "definitions", "$defs")} if isinstance(part.get("$ref"), str) else part


def unlimited(part):
    bounds = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
    return {key: value for key, value in part.items() if key not in bounds}


def where(text, refused):
    """What the byte stands in that is refused."""
    in_string, escape = False, 0  # bytes of an escape that are to come
    before = text + refused[:-1]
    for byte in before:
        if escape:
            escape += 3 if byte == 0x75 and escape == 1 else -1
        elif byte == 0x5C and in_string:
            escape = 1
        elif byte == 0x22:
            in_string = not in_string
    byte = refused[-1:]
    if in_string:
        return "an escape" if escape or byte == b"\\" else "DEL" if byte == b"\x7f" else "another character of a string"
    if byte in b"0123456789.eE+-" and (byte != b"-" or before[-1:] in b"eE"):
        return "a number"
    return "white space" if byte in b" \t\r\n" else "elements"


def is_unassigned(text, length):
    """Whether the character that byte length - 1 belongs to is none that Python's own Unicode (14) has."""
    before = text[:length].decode(errors="ignore")
    at = len(before) - (before.encode() == text[:length])
    return unicodedata.category(text.decode()[at]) == "Cn"


def digits_are_many(text):
    """The number at the end has more digits than ours writes: docs/structured-output.md."""
    number = re.search(rb"-?(\d+)(?:\.(\d*))?(?:[eE][-+]?(\d*))?$", text)
    return number is not None and (len(number[1]) > 20 or len(number[2] or b"") > 19 or len(number[3] or b"") > 2)


class Judge:
    def __init__(self, ours, kind, source, draft=jsonschema.Draft202012Validator, seed=1):
        self.ours, self.kind, self.source, self.draft = ours, kind, source, draft
        self.schema = json.loads(source) if kind == "schema" else None
        self.peer, self.rng, self.known, self.examples = Peer(kind, source), random.Random(seed), {}, {}
        self.opinion = grammar_opinion.SchemaOpinion(self.schema, draft) if kind == "schema" else grammar_opinion.RegexOpinion(source)
        self.said = [text.encode() for text in re.findall(r"[A-Za-z0-9./_-]{2,}", source.replace("\\\\", ""))] if "attern" in source else []
        self.without_one_of = None

    def reason(self, text, token, ours_allows):
        """(the bytes that decide, why)"""
        whole = text + token
        fits = self.peer.fitting(whole) if ours_allows else self.ours.fitting(self.kind, self.source, whole)
        if fits == len(whole):
            return token, ("llguidance takes these bytes, but not split into this token" if ours_allows else
                           UNKNOWN + ": ours takes the bytes and not the token")
        if fits < len(text):
            return token, UNKNOWN + ": the text so far is refused"
        decides = token[:fits + 1 - len(text)]
        if not ours_allows and self.peer.fitting(whole) < len(whole):
            return decides, "llguidance does not take these bytes itself, but for the token"
        key = (text, decides, ours_allows)
        if key not in self.known:
            self.known[key] = self.of_ours(text, token, decides) if ours_allows else self.of_peer(text, decides)
        return decides, self.known[key]

    def end_of_ours(self, whole):
        """Some expressions are not met by chance: what they say is tried, too."""
        for said in [b""] + self.said * (self.kind == "schema"):
            more = whole + said
            if self.ours.fitting(self.kind, self.source, more) == len(more):
                end = self.ours.end(self.kind, self.source, more, self.rng)
                if end is not None:
                    return end
        return None

    def is_twice(self, end):
        """A text that does not match, for one of its keys comes twice: that is not seen to among keys that no one lists."""
        return self.kind == "schema" and self.opinion.answers(end) != {True} and schema_suite.has_a_key_twice(end)

    def of_ours(self, text, token, decides):
        if self.ours.fitting(self.kind, self.source, text + token) < len(text + token):
            return UNKNOWN + ": ours takes the token and not its bytes"
        ends = [self.end_of_ours(text + token) for _ in range(ENDS)]
        ends = [end for end in ends if end is not None and not self.is_twice(end)]
        if not ends:
            end = self.ours.shortest_end(self.kind, self.source, text + token)
            if end is None or self.is_twice(end):
                return UNKNOWN + ": ours came to no end"
            ends = [end]
        if all(self.opinion.answers(end) == {True} for end in ends):
            place = where(text, decides) if self.kind == "schema" else "an expression"
            return f"ours is right, as its texts are valid: llguidance refuses {place}"
        if self.kind == "schema" and "oneOf" in self.source:
            if not self.without_one_of:
                self.without_one_of = grammar_opinion.SchemaOpinion(grammar_opinion.each_schema(self.schema, schema_suite.one_of_as_any_of), self.draft)
            if all(self.without_one_of.answers(end) == {True} for end in ends):
                return "ours reads oneOf as anyOf"
        wrong = next(end for end in ends if self.opinion.answers(end) != {True})
        self.examples[(text, decides)] = wrong
        return f"{UNKNOWN}: ours came to a text that does not match ({self.opinion.complaint(wrong)})"

    def of_peer(self, text, decides):
        ends = [self.peer.end(text + decides, self.rng) for _ in range(ENDS)]
        answers = [(self.opinion.answers(end), end) for end in ends if end is not None]
        answers = [(answer, end) for answer, end in answers if answer]
        if not answers:
            return UNKNOWN + ": llguidance came to no end"
        end = next((end for answer, end in answers if answer == {True}), None)
        if end is not None:
            return self.restriction(text, decides, end)
        if any(True in answer for answer, _ in answers):
            return "ours takes of \\d, \\s, \\w and . what all readings agree on"
        self.examples[(text, decides)] = answers[0][1]
        return f"ours is right, as llguidance's texts are not valid: {self.opinion.complaint(answers[0][1])}"

    def other_words(self, source, end, before):
        """What has to be written otherwise so that ours takes the same value."""
        for label, numbers in (("strings", None), ("numbers", grammar_opinion.plain)):
            other = grammar_opinion.rewritten(end, numbers)
            if other and self.ours.takes("schema", source, other):
                return f"one spelling of {label}"
        # Numbers elsewhere in the text may have more digits than ours writes, which is not the token's fault.
        if before[-1:] not in b"0123456789.eE+-":
            other = grammar_opinion.rewritten(end, grammar_opinion.short)
            if other and self.opinion.answers(other) == {True} and self.ours.takes("schema", source, other):
                return "one spelling of strings"
        value = schema_suite.in_order(grammar_opinion.read(end), schema_suite.property_names(self.schema, []))
        return "one order of members" if value is not None and self.ours.in_order(source, value) else None

    def restriction(self, text, decides, end):
        """Why ours does not take a text that matches: which of its restrictions is the only one."""
        whole = text + decides
        if is_unassigned(end, len(whole)):
            return "ours is narrower: characters that its Unicode (15) does not know, where a class or its opposite is asked for"
        if self.kind != "schema":
            self.examples[(text, decides)] = end
            return f"{UNKNOWN}: a text that matches"
        for label, change in (("format: the core of what the RFC says", without("format")), ("beside $ref the others hold, too", alone),
                              ("with a bound, numbers have few digits and no exponent", unlimited)):
            source = json.dumps(grammar_opinion.each_schema(self.schema, change))
            if source != json.dumps(self.schema) and self.ours.fitting("schema", source, whole) == len(whole):
                return f"ours is narrower: {label}"
        if digits_are_many(whole):
            return "ours is narrower: digits of a number"
        if re.search(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{0,2}.{0,4}$", whole, re.DOTALL):
            return "ours is narrower: surrogates that are no pair"
        # The rest of the text may have another format's spelling, which is not the token's fault.
        for source in (self.source, json.dumps(grammar_opinion.each_schema(self.schema, without("format")))):
            label = self.other_words(source, end, whole)
            if label:
                return f"ours is narrower: {label}"
        self.examples[(text, decides)] = end
        return f"{UNKNOWN}: a text that is valid"
