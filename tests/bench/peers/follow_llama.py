"""The most likely tokens that llama.cpp finds behind a row of ids, by its C interface; prints them as a list.

    follow_llama.py FILE.gguf --source DIR --library DIR --threads N --length N --ids '[1, 2, ...]'

--source and --library as in llama_logits.py.
"""
import argparse
import json
import pathlib

from llama_logits import TYPE_F32, Library, Model


def follow(model, ids, length):
    told, logits = [], model.step(ids, 0, False)
    for place in range(len(ids), len(ids) + length):
        told.append(int(logits[0].argmax()))
        logits = model.step(told[-1:], place, False)
    return told


def main():
    parser = argparse.ArgumentParser(description="Continues a row of ids by the most likely tokens")
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--library", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--ids", type=json.loads, required=True)
    options = parser.parse_args()
    library = Library(options.source, options.library)
    model = Model(library, options.file, len(options.ids) + options.length, options.threads, TYPE_F32)
    print(json.dumps(follow(model, options.ids, options.length)))
    model.close()


if __name__ == "__main__":
    main()
