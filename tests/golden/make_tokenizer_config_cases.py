#!/usr/bin/env python3
"""Tokenizers whose tokenizer.json and tokenizer_config.json say different things, and what transformers makes of them.

    tests/golden/make_tokenizer_config_cases.py OUT             # all
    tests/golden/make_tokenizer_config_cases.py OUT NAME...     # these

Writes OUT/hf-NAME with the files of a model folder and a cases.json, as AutoTokenizer (transformers 4.57.6, fast) reads
that folder. The tokenizers are small ones trained here. Needs transformers, tokenizers and protobuf.
"""
import json
import os
import shutil
import sys

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

PROSE = ["Once upon a time there was a king's son, who was very far from his palace.",
         "The king said: \u201cTake the money\u201d, and he'd taken 1,000 of it in 1999!", "for (int i = 0; i < n; i++) {\n\tx += i;\n}",
         "Der K\u00f6nig \u00fcber dem Fluss \u2014 \u65e5\u672c\u8a9e \u0440\u0443\u0441\u0441\u043a\u0438\u0439 \U0001f600"]
TEXTS = ["", " ", "Hello", " Hello", "  Hello  there ", "the king", "a<|endoftext|>b", "a <|endoftext|> b", "<s>a</s>", " <s> a </s> ",
         "<unk><pad>", "x<new>y <new> z", "x<b>y <b> z", "king <extra> king", "<madeupword3> money", "<BOS_TOKEN> time",
         "<bos> time <eos>", "\u65e5\u672c\u8a9e\u2581x", "tab\tnew\nline", "he'd taken 1999", "\U0001f600\U0001f1e9\U0001f1ea e\u0301",
         "<s><s>king", "the<pad>king", "KING kInG", "<img> money"] + PROSE


def byte_level(specials=("<|endoftext|>",), prefix=False, split=False):
    t = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=not split)
    t.pre_tokenizer = level if not split else pre_tokenizers.Sequence(
        [pre_tokenizers.Split(" ", "merged_with_next"), level])
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.train_from_iterator(PROSE, trainers.BpeTrainer(
        vocab_size=300, special_tokens=list(specials), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    return t


def with_added(*contents):
    """As people leave it who add tokens without saying that they are special."""
    t = byte_level()
    t.add_tokens([AddedToken(content) for content in contents])
    return t


def llama():
    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    t.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
                                   decoders.Strip(" ", 1, 0)])
    t.train_from_iterator(PROSE, trainers.BpeTrainer(vocab_size=360, special_tokens=specials, limit_alphabet=50,
                                                     show_progress=False))
    state = json.loads(t.to_str())
    state["added_tokens"] = state["added_tokens"][:3]
    return Tokenizer.from_str(json.dumps(state))


def unigram():
    t = Tokenizer(models.Unigram())
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    t.train_from_iterator(PROSE, trainers.UnigramTrainer(
        vocab_size=120, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False))
    t.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 2)])
    return t


def token(content, **flags):
    return dict({"content": content, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False,
                 "special": True}, **flags)


CTRL_TEXTS = ["Once upon a time\n", "time\ntime\n\n time", " the\u00a0king\x1cson\x85x ", "x {\n}\n", "q", "qq q@@ @@ x@@y", "\n",
              "\t\u3000", "a\u2009b\u200bc", "king's\r\nson", "last money far", "\u00e9{\u00e9 te\u0301", "@@@@ @@"]
T5_TEXTS = [" <extra_id_0> the<extra_id_1>king <extra_id_99>", "king</s>"]
FOUR = ("<unk>", "<s>", "</s>", "<pad>")
GENERIC = "PreTrainedTokenizerFast"
# name: (tokenizer, tokenizer_config.json, other files)
VARIANTS = {
    "bos-ignored": (byte_level, {"tokenizer_class": GENERIC, "add_bos_token": True, "bos_token": "<|endoftext|>"}, {}),
    "gpt2-bos-ignored": (byte_level, {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True}, {}),
    "prefix-true": (byte_level, {"tokenizer_class": GENERIC, "add_prefix_space": True}, {}),
    "prefix-false": (lambda: byte_level(prefix=True), {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False}, {}),
    "prefix-null": (lambda: byte_level(prefix=True), {"tokenizer_class": GENERIC, "add_prefix_space": None}, {}),
    "prefix-in-sequence": (lambda: byte_level(split=True), {"tokenizer_class": GENERIC, "add_prefix_space": True}, {}),
    "neox-bos-eos": (byte_level, {"tokenizer_class": "GPTNeoXTokenizer", "add_bos_token": True, "add_eos_token": True,
                                  "eos_token": "<new>", "add_prefix_space": False}, {}),
    "neox-by-type": (byte_level, {"add_eos_token": True, "add_prefix_space": False},
                     {"config.json": {"model_type": "gpt_neox"}}),
    "codegen": (byte_level, {"tokenizer_class": "CodeGenTokenizer", "pad_token": "money"}, {}),
    "bloom-prefix": (lambda: byte_level(FOUR, split=True), {"tokenizer_class": "BloomTokenizerFast",
                                                            "add_prefix_space": True}, {}),
    "cohere": (lambda: byte_level(FOUR, split=True), {"tokenizer_class": "CohereTokenizerFast"}, {}),
    "cohere-prefix": (lambda: byte_level(FOUR, split=True),
                      {"tokenizer_class": "CohereTokenizer", "add_prefix_space": True, "add_eos_token": True,
                       "bos_token": "<s>", "eos_token": "</s>"}, {}),
    "qwen2": (byte_level, {"tokenizer_class": "Qwen2Tokenizer", "bos_token": None, "add_bos_token": False,
                           "add_prefix_space": False, "pad_token": "<pad>"}, {}),
    "llama": (llama, {"tokenizer_class": "LlamaTokenizer"}, {}),
    "llama-eos": (llama, {"tokenizer_class": "LlamaTokenizerFast", "add_bos_token": False, "add_eos_token": True}, {}),
    "llama-bytes": (lambda: byte_level(prefix=True), {"tokenizer_class": "LlamaTokenizerFast",
                                                      "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}, {}),
    "gemma": (llama, {"tokenizer_class": "GemmaTokenizer", "bos_token": "<s>", "eos_token": "</s>",
                      "add_eos_token": True}, {}),
    "xglm": (unigram, {"tokenizer_class": "XGLMTokenizer"}, {}),
    "t5": (unigram, {"tokenizer_class": "T5Tokenizer"}, {}),
    "t5-listed": (unigram, {"tokenizer_class": "T5TokenizerFast", "extra_ids": 2, "bos_token": "<s>",
                            "additional_special_tokens": ["<new>"]}, {}),
    "decoder-flags": (byte_level, {"tokenizer_class": GENERIC, "added_tokens_decoder": {
        "0": token("<|endoftext|>", lstrip=True, rstrip=True), "301": token("<new>", special=False, normalized=True),
        "300": token("<b>", single_word=True), "7": token("king", special=False)}, "add_prefix_space": False}, {}),
    "decoder-alone": (byte_level, {"tokenizer_class": GENERIC, "added_tokens_decoder": {}, "bos_token": "<extra>",
                                   "add_prefix_space": False},
                      {"special_tokens_map.json": {"eos_token": "<s>"}, "added_tokens.json": {"<new>": 300}}),
    "older-files": (byte_level, {"tokenizer_class": GENERIC, "bos_token": "<s>", "add_prefix_space": False},
                    {"special_tokens_map.json": {"bos_token": token("<b>", lstrip=True), "eos_token": "<|endoftext|>",
                                                 "additional_special_tokens": ["<extra>", token("<pad>", rstrip=True)]},
                     "added_tokens.json": {"<new>": 301, "<b>": 300}}),
    "named-specials": (lambda: with_added("<new>", "<b>", "<img>"),
                       {"tokenizer_class": GENERIC, "eos_token": "<new>", "add_prefix_space": False},
                       {"special_tokens_map.json": {"pad_token": "<b>"}}),
    "special-flags": (lambda: byte_level(FOUR), {
        "tokenizer_class": GENERIC, "add_prefix_space": False,
        "bos_token": {"__type": "AddedToken", "content": "<s>", "lstrip": True, "rstrip": False, "normalized": False,
                      "single_word": False},
        "eos_token": {"__type": "AddedToken", "content": "</s>", "lstrip": False, "rstrip": True, "normalized": False,
                      "single_word": False},
        "additional_special_tokens": [{"__type": "AddedToken", "content": "<unk>", "lstrip": True, "rstrip": True,
                                       "normalized": False, "single_word": False}],
        "added_tokens_decoder": {"2": token("</s>")}}, {}),
    "more-specials": (byte_level, {"tokenizer_class": GENERIC, "additional_special_tokens": ["<extra>", "king"],
                                   "extra_special_tokens": {"image_token": "<img>"}, "add_prefix_space": False,
                                   "mask_token": {"__type": "AddedToken", "content": "<b>", "lstrip": True,
                                                  "rstrip": False, "normalized": True, "single_word": False}}, {}),
}


def write_ctrl(folder):
    """CTRL's vocab.json and merges.txt; every seventh symbol has no token."""
    t = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    t.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    t.train_from_iterator(PROSE * 3, trainers.BpeTrainer(vocab_size=260, end_of_word_suffix="</w>", show_progress=False))
    model = json.loads(t.to_str())["model"]
    names = [symbol[:-4] if symbol.endswith("</w>") else symbol + "@@" for symbol in model["vocab"]]
    names = [name for i, name in enumerate(names) if i % 7] + ["<unk>", "\n", "time\n", "q", "x@@", "{\n", "@@"]
    with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as file:
        json.dump({name: i for i, name in enumerate(dict.fromkeys(names))}, file)
    lines = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    lines += ["t i", "m e\n</w>", "ti me\n</w>", "q", "a b c", "", "{ \u00e9</w>"]
    with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as file:
        file.write("#version: 0.2\n" + "\n".join(lines) + "\nla st")


VARIANTS["ctrl"] = (write_ctrl, {"tokenizer_class": "CTRLTokenizer"}, {})
VARIANTS["ctrl-by-type"] = (write_ctrl, {"unk_token": "q", "eos_token": "</s>"}, {"config.json": {"model_type": "ctrl"}})


def make(out, name):
    build, config, others = VARIANTS[name]
    folder = os.path.join(out, "hf-" + name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    if build is write_ctrl:
        write_ctrl(folder)
    else:
        with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as file:
            file.write(build().to_str())
    for file_name, content in dict(others, **{"tokenizer_config.json": config}).items():
        with open(os.path.join(folder, file_name), "w", encoding="utf-8") as file:
            json.dump(content, file)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    cases = []
    own_texts = CTRL_TEXTS if build is write_ctrl else T5_TEXTS if name.startswith("t5") else []
    for text in TEXTS + own_texts:
        ids = tokenizer(text)["input_ids"]
        plain = tokenizer(text, add_special_tokens=False)["input_ids"]
        decode = lambda ids, skip: tokenizer.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False)
        cases.append({"text": text, "ids": ids, "ids_plain": plain, "decoded": decode(ids, False),
                      "decoded_skip": decode(ids, True), "decoded_plain": decode(plain, False)})
    with open(os.path.join(folder, "cases.json"), "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
    print(name, type(tokenizer).__name__, len(tokenizer))


def main():
    for name in sys.argv[2:] or VARIANTS:
        make(sys.argv[1], name)


if __name__ == "__main__":
    main()
