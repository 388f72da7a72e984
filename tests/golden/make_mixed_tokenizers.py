"""Writes tokenizers/mixed-NN: small tokenizers put together at random, so that components meet in ways that no published
tokenizer shows, with what the tokenizers library makes of odd texts.

    pip install tokenizers==0.22.2
    python make_mixed_tokenizers.py tokenizers

A case is left out where the library itself panics (a Strip that takes more than there is, some empty replacements).
"""

import json
import pathlib
import random
import sys

from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

FOLDERS, TEXTS, FIRST_SEED = 48, 14, 20261122

PARTS = (
    "a|b|c|A|B|Z|x|ing|the| the| |  |   |\n|\r\n|\t|\x0b|\x85|\u2028|\u00a0|\u3000|\u180e|\u200b|\u200d|0|1|12|123|1234|٣|Ⅷ|½|²|①|"
    ".|,|!|?|'|'s|'S|'ſ|'ll|\"|$|+|<|=|>|^|`|~|-|_|—|…|。|、|،|é|e\u0301|ß|İ|ı|\u212a|ﬁ|Ａ|１|中|文|日本|\uf900|\U00020000|\U0002b820|한|"
    "\u1112\u1161\u11ab|ก็|\u0e33|क्ष|\u093e|\u0301|\u0323\u0307|\u0307\u0323|\u20dd|😀|👨‍👩‍👧|🇩🇪|\ud7ff|\ue000|\ufffd|\U0010ffff|\x00|\x01|"
    "\x7f|\u00ad|\ufeff|▁|Ġ|<s>|</s>|<unk>|<0x41>|[UNK]|##|##b|@|Ⓐ|\u0345|ΑΣ|ς|ǅ|ʰ|℃|\u0344|a\u0328\u0301|\u0378|<mask>|norm|"
    "<word>|_word|don't|I'M|do not| n't| 'm"
).split("|")

REGEXES = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'m)?|\p{N}{1,3}|\s+(?!\S)|\s+",
    r" ?[^(\s|[.,!?…。，、।۔،])]+",
    r"[0-9][0-9][0-9]",
    r"\w+|[^\w\s]+",
    r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{L}&&[^\p{Han}]]+|\p{N}",
    r"(?<![a-z])[a-z]{2,}+",
    r"^.*$",
    r"\ba\w*",
    r"[^\S\n]+",
    r"\d{1,3}(?=(?:\d{3})*\b)",
    r"[[:punct:]]+|[[:alpha:]]+",
    r"\W+",
    r"[\W\d]",
    r"a{,2}b",
    r"[a-c[0-9]]+",
    r"(a)(b)?|(?<name>c)+",
    r"[^[^a]]|\B.",
    r"(?m:a.)b?|\u0041|\x{1F600}",
    r"a|b|",
]
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
SCHEMES = ["always", "first", "never"]


def chance(r, share):
    return r.random() < share


def normalizer(r, depth=0):
    kind = r.randrange(10)
    if kind == 0:
        return {"type": r.choice(["NFC", "NFD", "NFKC", "NFKD"])}
    if kind == 1:
        return {"type": r.choice(["Lowercase", "StripAccents"])}
    if kind == 2:
        flags = {key: chance(r, 0.5) for key in ("clean_text", "handle_chinese_chars", "lowercase")}
        return {"type": "BertNormalizer", "strip_accents": r.choice([None, True, False]), **flags}
    if kind == 3:
        patterns = [{"String": " "}, {"String": "."}, {"Regex": " {2,}"}, {"Regex": "[aeiou]"}, {"Regex": "(?<=a)b"}]
        return {"type": "Replace", "pattern": r.choice(patterns), "content": r.choice(["", "▁", "zz"])}
    if kind == 4:
        return {"type": "Prepend", "prepend": r.choice(["▁", "a "])}
    if kind == 5:
        return {"type": "Strip", "strip_left": chance(r, 0.5), "strip_right": chance(r, 0.5)}
    if kind < 8 and depth < 2:
        return {"type": "Sequence", "normalizers": [normalizer(r, depth + 1) for _ in range(r.randrange(4))]}
    return {"type": "Lowercase"} if depth else None


def pre_tokenizer(r, depth=0):
    kind = r.randrange(11)
    if kind == 0:
        return {"type": "ByteLevel", "add_prefix_space": chance(r, 0.5), "trim_offsets": True, "use_regex": chance(r, 0.7)}
    if kind < 4:
        pattern = {"Regex": r.choice(REGEXES)} if chance(r, 0.85) else {"String": r.choice([" ", "a", "."])}
        return {"type": "Split", "pattern": pattern, "behavior": r.choice(BEHAVIORS), "invert": chance(r, 0.4)}
    if kind == 4:
        return {"type": "Digits", "individual_digits": chance(r, 0.5)}
    if kind == 5:
        return {"type": "Punctuation", "behavior": r.choice(BEHAVIORS)}
    if kind == 6:
        return {"type": r.choice(["Whitespace", "WhitespaceSplit", "BertPreTokenizer"])}
    if kind == 7:
        scheme = {"prepend_scheme": r.choice(SCHEMES), "split": chance(r, 0.5)}
        return {"type": "Metaspace", "replacement": r.choice("▁_"), **scheme}
    if depth < 2:
        return {"type": "Sequence", "pretokenizers": [pre_tokenizer(r, depth + 1) for _ in range(r.randrange(1, 4))]}
    return {"type": "WhitespaceSplit"}


def decoder(r, depth=0):
    kind = r.randrange(11)
    if kind == 0:
        return {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    if kind == 1:
        return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": r.choice(SCHEMES), "split": True}
    if kind < 4:
        return {"type": ["ByteFallback", "Fuse"][kind - 2]}
    if kind == 4:
        return {"type": "Strip", "content": r.choice(" a"), "start": r.randrange(3), "stop": r.randrange(2)}
    if kind == 5:
        pattern = r.choice([{"String": "▁"}, {"String": "ab"}, {"Regex": "a+"}])
        return {"type": "Replace", "pattern": pattern, "content": r.choice([" ", "", "x"])}
    if kind == 6:
        return {"type": "WordPiece", "prefix": r.choice(["##", "a"]), "cleanup": chance(r, 0.5)}
    if kind == 7:
        return {"type": "BPEDecoder", "suffix": r.choice(["</w>", "a"])}
    if depth < 2:
        return {"type": "Sequence", "decoders": [decoder(r, depth + 1) for _ in range(r.randrange(1, 5))]}
    return {"type": "Fuse"}


def is_byte_level(pre):
    return bool(pre) and (pre["type"] == "ByteLevel" or any(map(is_byte_level, pre.get("pretokenizers", []))))


def bpe(r, letters, spelled):
    prefix, suffix = r.choice([None, None, None, "##", ""]), r.choice([None, None, "</w>", ""])
    vocab = dict.fromkeys(["<unk>"] + letters + spelled)
    vocab.update(dict.fromkeys((prefix or "") + c for c in letters))
    vocab.update(dict.fromkeys((prefix or "") + c + (suffix or "") for c in letters))
    symbols = [token for token in vocab if token not in spelled and token != "<unk>"]
    merges = {}
    for _ in range(600):
        left, right = r.choice(symbols[-60:]), r.choice(symbols[-60:])
        joined = left + right[len(prefix or "") :]
        fits = not (suffix and left.endswith(suffix)) and (not prefix or right.startswith(prefix))
        if fits and len(joined) <= 12 and len(merges) < 60:
            merges[left, right] = None
            vocab[joined] = None
            symbols.append(joined)
    pairs = [list(merge) for merge in merges]
    if chance(r, 0.5) and not any(" " in left + right for left, right in pairs):
        pairs = [" ".join(merge) for merge in pairs]
    flags = {key: chance(r, 0.4) for key in ("fuse_unk", "ignore_merges")}
    affixes = {"continuing_subword_prefix": prefix, "end_of_word_suffix": suffix}
    unknown = r.choice([None, "<unk>", "<unk>"])
    vocab = {token: i for i, token in enumerate(vocab)}
    return {"type": "BPE", "dropout": None, "unk_token": unknown, **affixes, **flags, "vocab": vocab, "merges": pairs}


def model(r, byte_level):
    kind = r.choice(["BPE", "BPE", "Unigram", "WordPiece", "WordLevel"])
    letters = sorted({c for c in "".join(PARTS) if c != "\0" and chance(r, 0.5)})
    letters = sorted(ByteLevel.alphabet()) if byte_level else letters
    spelled = ["<0x%02X>" % byte for byte in range(256)] if chance(r, 0.3) else []
    words = ["".join(r.choice(letters) for _ in range(r.randint(2, 4))) for _ in range(40)] + ["the", "ing", "▁the"]
    if kind == "BPE":
        return {**bpe(r, letters, spelled), "byte_fallback": bool(spelled)}
    if kind == "Unigram":
        pieces = [[piece, round(-10 * r.random(), 6)] for piece in dict.fromkeys(["<unk>"] + letters + words + spelled)]
        return {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": bool(spelled)}
    vocab = {token: i for i, token in enumerate(dict.fromkeys(["[UNK]"] + letters + words + ["##" + c for c in letters]))}
    if kind == "WordLevel":
        return {"type": kind, "unk_token": "[UNK]", "vocab": vocab}
    limits = {"continuing_subword_prefix": "##", "max_input_chars_per_word": r.choice([5, 100])}
    return {"type": kind, "unk_token": "[UNK]", **limits, "vocab": vocab}


def added_tokens(r, tokens):
    contents = ["<s>", "</s>", "<mask>", "norm", "NORM", "ing", "the", "é", "ﬁ", "<s", "s>", r.choice(tokens), "_word", "1", " "]
    chosen, added = r.sample(list(dict.fromkeys(contents)), r.randrange(8)), []
    for content in chosen:
        new = sum(token["id"] >= len(tokens) for token in added)
        flags = {key: chance(r, 0.35) for key in ("single_word", "lstrip", "rstrip", "normalized", "special")}
        flags["normalized"] = flags["normalized"] and bool(content.strip())
        place = tokens.index(content) if content in tokens else len(tokens) + new
        added.append({"id": place, "content": content, **flags})
    return added


def post_processor(r, tokens):
    kind = r.randrange(4)
    if kind == 0:
        special = {name: {"id": name, "ids": ids, "tokens": [tokens[i] for i in ids]} for name, ids in (("X", [1, 0]), ("Y", [2]))}
        parts = [{"SpecialToken": {"id": "X", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
        single = parts + [{"SpecialToken": {"id": "Y", "type_id": 0}}]
        return {"type": "TemplateProcessing", "single": single, "pair": parts + single[1:2], "special_tokens": special}
    ends = {"sep": [tokens[1], 1], "cls": [tokens[2], 2]}
    if kind == 1:
        return {"type": "BertProcessing", **ends}
    if kind == 2:
        return {"type": "RobertaProcessing", **ends, "trim_offsets": True, "add_prefix_space": False}
    return None


def tokenizer(r):
    pre = pre_tokenizer(r)
    made = model(r, is_byte_level(pre))
    tokens = [piece[0] for piece in made["vocab"]] if made["type"] == "Unigram" else list(made["vocab"])
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens(r, tokens),
        "normalizer": normalizer(r),
        "pre_tokenizer": pre,
        "post_processor": post_processor(r, tokens),
        "decoder": decoder(r),
        "model": made,
    }


def case(r, library):
    text = "".join(r.choice(PARTS) * r.choice([1, 1, 1, 3]) for _ in range(r.choice([1, 2, 4, 8, 20])))
    ids = library.encode(text).ids
    plain = library.encode(text, add_special_tokens=False).ids
    decode = lambda what, skip: library.decode(what, skip_special_tokens=skip)
    decoded = {"decoded": decode(ids, False), "decoded_skip": decode(ids, True), "decoded_plain": decode(plain, False)}
    return {"text": text, "ids": ids, "ids_plain": plain, **decoded}


def write(folder, seed):
    r = random.Random(seed)
    made, cases = tokenizer(r), []
    if made["normalizer"] and '"first"' in json.dumps(made["pre_tokenizer"]):
        return False  # what "first" means after a normalizer is a matter of the library's offsets
    library = Tokenizer.from_str(json.dumps(made))
    for _ in range(TEXTS):
        try:
            cases.append(case(r, library))
        except BaseException:  # a panic of the library
            continue
    if len(cases) < TEXTS // 2:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(made, ensure_ascii=False, separators=(",", ":")) + "\n")
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in cases)
    (folder / "cases.json").write_text("[\n" + lines + "\n]\n")
    return True


written, seed = 0, FIRST_SEED
while written < FOLDERS:
    written += write(pathlib.Path(sys.argv[1]) / ("mixed-%02d" % written), seed)
    seed += 1
