#!/usr/bin/env python3
"""Models of SentencePiece under other names than tokenizer.model, as the classes of the transformers library read them.

    tests/golden/make_sentence_piece_class_cases.py TEXT_CASES OUT [--random N] [--all]

Texts, and what a case has, are those of make_sentence_piece_cases.py. Ids are those of the library's own (slow) classes; texts
of ids are the sentencepiece library's, as there, since the classes put blanks around special tokens. Needs transformers (4.57),
sentencepiece (0.2.3) and protobuf.
"""
import argparse
import json
import pathlib

import sentencepiece
import transformers

import make_sentence_piece_cases as plain

SW3 = "\u00a0\u2003\u3000\ufffc\u00ad\u200b\u0084\x0b\x7f\r\u2002e\u0301A\u030a"  # what it drops, turns into blanks, composes

# name: (class, file name, options of the trainer, tokenizer_config.json)
VARIANTS = {
    "xglm": ("XGLMTokenizer", "sentencepiece.bpe.model", dict(model_type="unigram"), {}),
    "xglm-bpe": ("XGLMTokenizer", "sentencepiece.bpe.model", dict(model_type="bpe"),
                 {"add_bos_token": True, "legacy": False, "additional_special_tokens": ["<madeupword3>", "<new>"]}),
    "t5": ("T5Tokenizer", "spiece.model", dict(model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1), {}),
    "t5-none": ("T5Tokenizer", "spiece.model", dict(model_type="unigram", pad_id=3),
                {"extra_ids": 0, "additional_special_tokens": [], "bos_token": "<s>"}),
    "t5-modern": ("T5Tokenizer", "spiece.model", dict(model_type="bpe", pad_id=0, eos_id=1, unk_id=2, bos_id=-1),
                  {"extra_ids": 3, "additional_special_tokens": ["<new>"], "legacy": False}),
    "sw3": ("GPTSw3Tokenizer", "spiece.model", dict(model_type="bpe", byte_fallback=True, vocab_size=700, pad_id=3,
                                                    remove_extra_whitespaces=False), {"eos_token": "</s>"}),
}
TOKENS = ["<extra_id_0>", " <extra_id_2> ", "<extra_id_99>", "<new>", "<madeupword6>", "</s>", "<pad>", "<unk>", "<s>"]


class Reference:
    """ids by the class; texts by the library from the ids that it has in the model."""

    def __init__(self, folder, model, config):
        self.tokenizer = getattr(transformers, config["tokenizer_class"]).from_pretrained(folder)
        self.sp = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.config = config
        self.special = {i: str(t) for t, i in self.tokenizer.added_tokens_encoder.items()}
        self.letter = self.sp.piece_to_id("a")

    def encode(self, text, whole):
        ids = self.tokenizer.encode(text, add_special_tokens=whole)
        # The class does not add the end token where a text ends in one; what its fast form has adds it always, and so do we.
        if whole and self.config["tokenizer_class"] == "T5Tokenizer" and ids == self.encode(text, False):
            ids = ids + [self.tokenizer.eos_token_id]
        return ids

    def pieces(self, ids):
        return [self.sp.piece_to_id(self.tokenizer.convert_ids_to_tokens(i)) for i in ids]

    def decode(self, ids, skip):
        if skip:
            return self.sp.decode(self.pieces([i for i in ids if i not in self.special]))
        out, run, first = "", [], True
        for i in ids + [None]:
            if i is not None and i not in self.special:
                run.append(i)
                continue
            if run:
                pieces = self.pieces(run)
                out += self.sp.decode(pieces) if first else self.sp.decode([self.letter] + pieces)[1:]
            if i is not None:
                out += self.special[i]
            run, first = [], False
        return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cases")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--random", type=int, default=60)
    parser.add_argument("--all", action="store_true")
    arguments = parser.parse_args()
    texts = plain.read_texts(arguments.cases)
    tests = texts + plain.random_texts(arguments.random, texts)
    if not arguments.all:  # what is committed stays small
        tests = [text for text in tests[::4] if len(text) < 300]
    tests = [text for text in tests if "\0" not in text]
    tests += [f"a king{token}the king {token} {token}" for token in TOKENS] + [SW3, " ".join(SW3), "king".join(SW3)]
    for name, (class_name, file, options, config) in VARIANTS.items():
        folder = arguments.out / ("sp-" + name)
        folder.mkdir(parents=True, exist_ok=True)
        model = plain.train(texts, dict(options, normalization_rule_name="identity"), "/tmp")
        (folder / file).write_bytes(model)
        config = dict(config, tokenizer_class=class_name)
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        reference = Reference(folder, model, config)
        cases = []
        for text in tests:
            ids, only = reference.encode(text, True), reference.encode(text, False)
            cases.append({"text": text, "ids": ids, "ids_plain": only, "decoded": reference.decode(ids, False),
                          "decoded_skip": reference.decode(ids, True), "decoded_plain": reference.decode(only, False)})
        (folder / "cases.json").write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")
        print(name, len(model), len(cases))


if __name__ == "__main__":
    main()
