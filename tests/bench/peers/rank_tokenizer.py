#!/usr/bin/env python3
"""A tokenizer as people use them for a model of make_model.py, whose own is made up: the first tokens of a file of ranks.

    tests/bench/peers/rank_tokenizer.py RANKS FOLDER

RANKS is in tiktoken's format (for example dashscope/resources/qwen.tiktoken of the package dashscope): the tokens in the order in
which they were merged, so that the first of them are the tokenizer that a shorter training would have given. vocab.json and
merges.txt of FOLDER are written anew, as long as its config.json says. Standard library only.
"""
import argparse
import base64
import json
import pathlib


def byte_symbols():
    """The printable character that stands for each byte in GPT-2's vocabulary: itself where it is printable Latin-1, else
    one from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    symbols = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    return [symbols[byte] for byte in range(256)]


def merged_parts(token, ranks):
    """The two tokens that become this one: what is left of its bytes when all earlier merges are done."""
    parts = [token[i:i + 1] for i in range(len(token))]
    while len(parts) > 2:
        pairs = [ranks.get(a + b, len(ranks)) for a, b in zip(parts, parts[1:])]
        best = min(range(len(pairs)), key=pairs.__getitem__)
        parts[best:best + 2] = [parts[best] + parts[best + 1]]
    return parts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ranks", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    given = parser.parse_args()
    size = json.loads((given.folder / "config.json").read_text())["vocab_size"]
    words = given.ranks.read_text().split()
    ranks = {base64.b64decode(a): int(b) for a, b in zip(words[::2], words[1::2]) if int(b) < size - 1}
    symbols = byte_symbols()

    def spelled(token):
        return "".join(symbols[byte] for byte in token)
    vocabulary = {spelled(token): rank for token, rank in ranks.items()}
    end = json.loads((given.folder / "tokenizer_config.json").read_text())["eos_token"]
    vocabulary |= {f"<unused {i}>": i for i in range(len(ranks), size - 1)} | {end: size - 1}
    merges = [merged_parts(token, ranks) for token in sorted(ranks, key=ranks.get) if len(token) > 1]
    (given.folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (given.folder / "merges.txt").write_text(
        "#version: 0.2\n" + "".join(f"{spelled(a)} {spelled(b)}\n" for a, b in merges), encoding="utf-8")


if __name__ == "__main__":
    main()
