#!/usr/bin/env python3
"""A small BioGPT tokenizer, and what the transformers library makes of texts by it.

    tests/golden/make_moses_cases.py TEXT_CASES OUT [--random N] [--all]

Texts are those of make_sentence_piece_cases.py, and some made of what Moses' rules look for. Merges are trained on their words;
some symbols that others are merged from are no tokens, as in the published vocabulary. Needs transformers (4.57), tokenizers,
sentencepiece (of the other script) and sacremoses (0.2.0).
"""
import argparse
import json
import pathlib
import random

import sacremoses
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

import make_sentence_piece_cases as plain

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
PARTS = ["the", "a", "king", "Dr", "Mr.", "No.", "No. 5", "pp. 12", "e.g.", "i.e.", "U.S.A.", "5,300", "1,", ",5", "x,y", "a,b,c",
         "...", "..", ".....", "DOTMULTI", "DOTDOTMULTI", "can't", "o'clock", "1990's", "Jones'", "'tis", "'", "''", "\"", "``", "`",
         "well-known", "a-b-c", "-", "--", "@-@", "(", ")", "[x]", "{y}", "<z>", "&amp;", "&", "|", "#", "$5", "\u20ac7", "\u00bfque?", "\u00a1",
         "\u201equote\u201c", "\u201cx\u201d", "!", "?", ":", ";", "%", "\\", "/", "and/or", "end.", "end.'", "word", "IL-2", "p<0.05", "5%",
         "\u4e2d\u6587", "\uac00\uac01", "\u3042", "\u093f\u094d", "\u0e01", "na\u00efve", "\u0391\u03b2", "s", "'s", "it's", "\x01", "\u00a0", "\u3000", "\t", "\n",
         "Lower", "lower", "\u00df", "A.", "a.b.", "3.", "x.", "http://a.b/c", "a@b.c", "&bar;", "&lt;b&gt;", "e\u0301", "\U0001f600"]


def random_texts(count):
    chance = random.Random(11)
    return ["".join(chance.choice(PARTS) + chance.choice(["", " ", " ", "  "]) for _ in range(chance.randrange(1, 12)))
            for _ in range(count)]


def train(texts, folder):
    moses = sacremoses.MosesTokenizer("en")
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words = [" ".join(moses.tokenize(text, aggressive_dash_splits=True)) for text in texts]
    tokenizer.train_from_iterator(words, trainers.BpeTrainer(vocab_size=1500, end_of_word_suffix="</w>", min_frequency=2))
    state = json.loads(tokenizer.to_str())["model"]
    merges = [m if isinstance(m, list) else m.split(" ") for m in state["merges"]]
    inner = [token for token in state["vocab"] if len(token) > 2 and not token.endswith("</w>")]
    dropped = set(inner[::5]) | {"Q", "q</w>"}
    tokens = SPECIALS + [token for token in sorted(state["vocab"]) if token not in dropped]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    lines = [f"{left} {right} {1000 - i}\n" for i, (left, right) in enumerate(merges)]
    (folder / "merges.txt").write_text("".join(lines), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BioGptTokenizer"}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cases")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--random", type=int, default=120)
    parser.add_argument("--all", action="store_true")
    arguments = parser.parse_args()
    texts = plain.read_texts(arguments.cases)
    made = random_texts(arguments.random)
    tests = texts + plain.random_texts(arguments.random // 4, texts)
    if not arguments.all:  # what is committed stays small
        tests = [text for text in tests[::4] if len(text) < 300]
    folder = arguments.out / "moses"
    train([text for text in texts if len(text) < 2000] + made, folder)
    tokenizer = transformers.BioGptTokenizer.from_pretrained(folder)
    cases = []
    for text in tests + made + ["", " ", "</s>", "a</s>b <pad> c"]:
        ids, only = tokenizer.encode(text), tokenizer.encode(text, add_special_tokens=False)
        cases.append({"text": text, "ids": ids, "ids_plain": only, "decoded": tokenizer.decode(ids),
                      "decoded_skip": tokenizer.decode(ids, skip_special_tokens=True), "decoded_plain": tokenizer.decode(only)})
    (folder / "cases.json").write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")
    print(len(tokenizer), len(cases), sum(case["ids_plain"].count(tokenizer.unk_token_id) for case in cases))


if __name__ == "__main__":
    main()
