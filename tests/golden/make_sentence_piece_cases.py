#!/usr/bin/env python3
"""Small SentencePiece models, and what the sentencepiece library makes of texts.

    tests/golden/make_sentence_piece_cases.py TEXT_CASES OUT [--random N] [--all]

TEXT_CASES is a folder of tokenizer cases (tests/golden/tokenizers): their texts are encoded, N random ones too. Models
are trained on those texts and written to OUT/sp-NAME with a tokenizer_config.json and a cases.json. --all trains the
variants whose character maps are large, too. Needs sentencepiece (0.2.3).

Plain ids are the library's. A text is cut at special tokens first, as transformers does, and each part is encoded for
itself. Texts of ids are the library's too, with special tokens written out where they are kept.
"""
import argparse
import io
import json
import os
import random
import re

import sentencepiece

COMMON = dict(vocab_size=420, hard_vocab_limit=False, character_coverage=0.98, num_threads=1, minloglevel=2)

# name: (options of the trainer, tokenizer_config.json, whether the model is large)
VARIANTS = {
    "unigram": (dict(model_type="unigram", normalization_rule_name="identity"), {}, False),
    "bpe": (dict(model_type="bpe", normalization_rule_name="identity"), {}, False),
    "bpe-bytes": (dict(model_type="bpe", byte_fallback=True, vocab_size=700, normalization_rule_name="identity",
                       remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True),
                  {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
                  False),
    "unigram-bytes": (dict(model_type="unigram", byte_fallback=True, vocab_size=700,
                           normalization_rule_name="identity", add_dummy_prefix=False,
                           remove_extra_whitespaces=False, pad_id=3),
                      {"tokenizer_class": "GemmaTokenizer", "bos_token": "<s>", "eos_token": "</s>",
                       "pad_token": "<pad>", "add_eos_token": True}, False),
    "bpe-symbols": (dict(model_type="bpe", normalization_rule_name="identity",
                         user_defined_symbols=["<sep>", " of the ", "\t", "king", "kingdom"],
                         control_symbols=["<ctl>"]), {}, False),
    "unigram-symbols": (dict(model_type="unigram", normalization_rule_name="identity",
                             user_defined_symbols=["<sep>", "the", "kingdom", "  "], control_symbols=["<ctl>"]),
                        {"add_bos_token": True}, False),
    "unigram-rules": (dict(model_type="unigram", rules="normalization_rule_tsv", remove_extra_whitespaces=False),
                      {}, False),
    "bpe-rules": (dict(model_type="bpe", rules="normalization_rule_tsv", denormal="denormalization_rule_tsv",
                       byte_fallback=True, vocab_size=700), {}, False),
    "bpe-suffix": (dict(model_type="bpe", normalization_rule_name="identity", treat_whitespace_as_suffix=True), {},
                   False),
    "bpe-unused": (dict(model_type="bpe", normalization_rule_name="identity", unused=3), {}, False),
    "unigram-unused": (dict(model_type="unigram", normalization_rule_name="identity", unused=3), {}, False),
    "bpe-modern": (dict(model_type="bpe", byte_fallback=True, vocab_size=700, normalization_rule_name="identity",
                        remove_extra_whitespaces=False),
                   {"tokenizer_class": "LlamaTokenizer", "legacy": False}, False),
    "unigram-nmt-nfkc": (dict(model_type="unigram", normalization_rule_name="nmt_nfkc", vocab_size=500), {}, True),
    "bpe-nfkc-cf": (dict(model_type="bpe", normalization_rule_name="nfkc_cf", remove_extra_whitespaces=False), {},
                    True),
    "bpe-nmt-nfkc-bytes": (dict(model_type="bpe", normalization_rule_name="nmt_nfkc", byte_fallback=True,
                                vocab_size=700), {"tokenizer_class": "LlamaTokenizer"}, True),
    "unigram-nmt-symbols": (dict(model_type="unigram", normalization_rule_name="nmt_nfkc_cf", vocab_size=500,
                                 user_defined_symbols=["<sep>", "King", "\uFF21\uFF22"]), {}, True),
}

# Upper-case letters, a ligature, a sign that becomes a blank, one that vanishes, keys of which one begins another.
RULES = "".join(f"{ord(a):x}\t{ord(a.lower()):x}\n" for a in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
RULES += "fb01\t66 69\n3000\t20\n9\t20\na0\t20\n200b\t\n66 66\t46\n66 66 66\t47\n65 301\te9\n"
DENORMAL = "66 6f\t46\n66 6f 6f\t47 48\ne9\t65 301\n"


def read_texts(folder):
    texts = []
    for root, _, names in sorted(os.walk(folder)):
        if "cases.json" in names and not os.path.basename(root).startswith(("mixed", "sp-", "hf-")):
            with open(os.path.join(root, "cases.json"), encoding="utf-8") as file:
                texts += [case["text"] for case in json.load(file)]
    return list(dict.fromkeys(texts))


def random_texts(count, texts):
    chance = random.Random(7)
    blanks = " \t\n\r\u00a0\u3000\u2003\u200b\u2581"
    letters = "abcdefghijklmnopqrstuvwxyzAEIOU0123456789.,!?'"
    whole = "".join(texts)

    def point():
        while True:
            code = chance.choice([chance.randrange(0x80), chance.randrange(0x800), chance.randrange(0x10000),
                                  chance.randrange(0x110000)])
            if not 0xD800 <= code < 0xE000 and code != 0:
                return chr(code)

    def piece():
        kind = chance.randrange(7)
        if kind == 0:
            return "".join(chance.choice(blanks) for _ in range(chance.randrange(1, 4)))
        if kind == 1:
            return "".join(point() for _ in range(chance.randrange(1, 6)))
        if kind == 2:
            return "".join(chance.choice(letters) for _ in range(chance.randrange(1, 9)))
        if kind == 3:
            return chance.choice(["<sep>", "king", "kingdom", " of the ", "the", "King", "<ctl>", "fff", "e\u0301", "foo",
                                  "\ufb01", "<unk>", "<0x41>"])
        at = chance.randrange(len(whole))
        return whole[at:at + chance.randrange(1, 40)]

    return ["".join(piece() for _ in range(chance.randrange(1, 7))) for _ in range(count)]


def train(texts, options, scratch):
    options = dict(COMMON, **options)
    unused = options.pop("unused", 0)
    for key, content in (("rules", RULES), ("denormal", DENORMAL)):
        name = options.pop(key, None)
        if name:
            options[name] = os.path.join(scratch, name)
            with open(options[name], "w", encoding="utf-8") as file:
                file.write(content)
    lines = [line for text in texts if len(text) < 2000 for line in text.split("\n") if line and "\0" not in line]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, **options)
    return mark_unused(model.getvalue(), unused) if unused else model.getvalue()


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at


def mark_unused(data, every):
    """Makes some normal pieces of several characters unused: a field 3 of value 5 at the end of the piece."""
    out, at, seen = bytearray(), 0, 0
    while at < len(data):
        start = at
        tag, at = varint(data, at)
        length, at = varint(data, at)
        body = data[at:at + length]
        at += length
        if tag == 10 and b"\x18" not in body[-2:-1] and len(body[2:2 + body[1]].decode()) > 1:
            seen += 1
            if seen % every == 0:
                body = body + b"\x18\x05"
                out += bytes([10, len(body)]) + body
                continue
        out += data[start:at]
    return bytes(out)


class Reference:
    def __init__(self, model, config):
        self.sp = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.config = config
        size = self.sp.get_piece_size()
        self.special = {self.sp.id_to_piece(i): i for i in range(size)
                        if self.sp.is_control(i) or self.sp.is_unknown(i)}
        names = sorted(map(re.escape, self.special), key=len, reverse=True)
        self.pattern = re.compile("(" + "|".join(names) + ")")
        self.modern = config.get("legacy") is False
        if self.modern:
            # A further normalizer_spec (field 3) with add_dummy_prefix (field 3) false is merged into the first.
            self.no_prefix = sentencepiece.SentencePieceProcessor(model_proto=model + b"\x1a\x02\x18\x00")
        self.letter = self.sp.piece_to_id("a")
        named = config.get("tokenizer_class") is not None
        self.before = [self.sp.piece_to_id("<s>")] if config.get("add_bos_token", named) else []
        self.after = [self.sp.piece_to_id("</s>")] if config.get("add_eos_token", False) else []

    def encode_part(self, text, first):
        if not self.modern:
            return self.sp.encode(text)
        text = text.replace("\u2581", " ")
        if first:
            text = "\u2581" + text
        if not text.startswith((" ", "\u2581")):
            return self.no_prefix.encode(text)
        return self.no_prefix.encode("<unk>" + text)[len(self.no_prefix.encode("<unk>")):]

    def encode(self, text):
        ids, at = [], 0
        for part in self.pattern.split(text):
            if part in self.special:
                ids.append(self.special[part])
            elif part:
                ids += self.encode_part(part, at == 0)
            at += len(part)
        return ids

    def decode(self, ids, skip):
        special = set(self.special.values())
        if skip:
            return self.sp.decode([i for i in ids if i not in special])
        out, run, first = "", [], True
        for i in ids + [None]:
            if i is not None and i not in special:
                run.append(i)
                continue
            if run:
                out += self.sp.decode(run) if first else self.sp.decode([self.letter] + run)[1:]
            if i is not None:
                out += self.sp.id_to_piece(i)
            run, first = [], False
        return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cases")
    parser.add_argument("out")
    parser.add_argument("--random", type=int, default=60)
    parser.add_argument("--all", action="store_true")
    arguments = parser.parse_args()
    texts = read_texts(arguments.cases)
    tests = texts + random_texts(arguments.random, texts)
    if not arguments.all:  # what is committed stays small
        tests = [text for text in tests[::3] if len(text) < 500]
    for name, (options, config, large) in VARIANTS.items():
        if large and not arguments.all and name != "unigram-nmt-nfkc":
            continue
        folder = os.path.join(arguments.out, "sp-" + name)
        os.makedirs(folder, exist_ok=True)
        model = train(texts, options, "/tmp")
        with open(os.path.join(folder, "tokenizer.model"), "wb") as file:
            file.write(model)
        if config:
            with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as file:
                json.dump(config, file)
        reference = Reference(model, config)
        cases = []
        for text in tests:
            plain = reference.encode(text)
            ids = reference.before + plain + reference.after
            cases.append({"text": text, "ids": ids, "ids_plain": plain, "decoded": reference.decode(ids, False),
                          "decoded_skip": reference.decode(ids, True),
                          "decoded_plain": reference.decode(plain, False)})
        with open(os.path.join(folder, "cases.json"), "w", encoding="utf-8") as file:
            file.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
        print(name, len(model), len(cases))


if __name__ == "__main__":
    main()
