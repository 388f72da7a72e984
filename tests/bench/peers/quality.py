#!/usr/bin/env python3
"""Prenorm beside llama.cpp on a model with a meaning: what each weight type changes, and how fast it is.

    tests/bench/peers/quality.py FOLDER TEXT [--program build/release/prenormd] [--tokens 2048] [--calibrate TEXT] [--no-speed]

FOLDER is a GPT-2, a Llama or a Qwen2 in f16 or f32, TEXT a file. With --calibrate, which names another text, our int4 calibrated with it
stands beside llama.cpp's kinds of 4 bits with an importance matrix of the same tokens. Both programs see the same weights and the same tokens; README.md says how
that is checked.
"""
import argparse
import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import prepare
import programs
import report
import run
from prepare import say
from work import Work

WEIGHTS = ("f32", "bf16", "int8", "int4")
CALIBRATED_INT4 = "int4 calibrated"
KINDS = ("F16", *prepare.QUANTISED)  # of GGUF files, beside F32
CALIBRATED = ("Q4_0", "IQ4_XS", "Q4_K_M")  # kinds of GGUF files that an importance matrix is made for
WINDOW = 512  # tokens: verify's own, where the context is not shorter
SAME_PERPLEXITY = 1e-4  # f32 sums move it by less, a wrong token or a wrong rotation by much more
WORKS = (Work("prefill", 512), Work("decode", 32, batch=1, context=128))
GENERATED_TOKENS = 48
SHOWN_CHARACTERS = 60  # of a greedy text in the table


def fingerprint(folder):
    """The cache's name for a model: another content is another model."""
    found = hashlib.sha256()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        found.update((folder / name).read_bytes())
    return f"{folder.resolve().name}-{found.hexdigest()[:12]}"


# ---- what both say about quality ----

def verify(options, converted):
    """(tokens, perplexity of the untouched model, {weights: figures of the form that is served})."""
    command = [options.program, "verify", "--model", options.folder, "--text", options.text, "--verify-tokens", options.tokens,
               "--threads", options.threads, "--json", *(["--converted", converted] if converted else [])]
    # A verdict beyond its bound is an exit code of its own, and no failure here.
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    try:
        told = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise programs.Failed(f"{options.program} verify ended with {done.returncode}:\n{done.stderr[-2000:]}") from None
    (reference,) = [row for row in told["forms"] if row["reference"]]
    # From the untouched form to the one furthest converted, which is the default.
    served = {CALIBRATED_INT4 if "converted" in row else row["weights"]: row for row in told["forms"] if row["weights"] in WEIGHTS}
    return told["tokens"], reference["perplexity"], served


def generate(machine, options, model, prompt):
    """model: a folder and a type of weights, or a converted file."""
    return machine.output([options.program, "generate", "--model", *model, "--temperature", 0,
                           "--max-tokens", GENERATED_TOKENS, "--threads", options.threads, "--log-level", "error", prompt])


def ask_llama(machine, cache, options, kinds):
    return json.loads(machine.output([
        cache.python, prepare.HERE / "llama_logits.py", cache.gguf("F32"), cache.gguf("F32"), *map(cache.gguf, kinds), "--source",
        cache.llama, "--library", cache.llama_build / "bin", "--text", options.text, "--tokens", options.tokens, "--window", WINDOW,
        "--threads", options.threads, "--prompts", json.dumps(options.prompts), "--generate", GENERATED_TOKENS]))


def check_same_model(tokens, perplexity, llama):
    theirs = llama["files"]["reference"]["perplexity"]
    if tokens != llama["tokens"] or abs(theirs / perplexity - 1) > SAME_PERPLEXITY:
        raise SystemExit("the programs do not run the same model on the same tokens: prenormd's untouched model has perplexity "
                         f"{perplexity} on {tokens} tokens, llama.cpp's F32 {theirs} on {llama['tokens']}")
    say(f"both untouched models have perplexity {perplexity:.4f} on {tokens} tokens; they differ by {theirs / perplexity - 1:+.1e}")


def convert(machine, options, weights, file, *more):
    machine.output([options.program, "convert", "--model", options.folder, "--weights", weights, "--threads", options.threads, "--out",
                    file, *more])
    return file


def own_bytes(machine, options, weights):
    with tempfile.TemporaryDirectory(prefix="prenorm-quality-") as folder:
        return convert(machine, options, weights, pathlib.Path(folder) / "converted").stat().st_size


def own_row(machine, options, weights, served, model, size):
    texts = {prompt: generate(machine, options, model, prompt) for prompt in options.prompts}
    return {"program": "prenormd", **served, "weights": weights, "bytes": size, "texts": texts}


def make_calibrated(machine, cache, options):
    """Our converted file (None without --calibrate), and llama.cpp's kinds with an importance matrix of the same text."""
    if not options.calibrate:
        return None, ()
    key = hashlib.sha256(options.calibrate.read_bytes() + str(options.calibrate_tokens).encode()).hexdigest()[:12]
    importance = prepare.make_importance(cache, options.calibrate, key, options.calibrate_tokens, WINDOW, options.threads)
    kinds = prepare.make_calibrated_gguf(cache, CALIBRATED, importance, key)
    say("calibrating our own int4")
    file = convert(machine, options, "int4", cache.models / f"calibrated-{key}.prenorm", "--calibrate", options.calibrate,
                   "--calibrate-tokens", options.calibrate_tokens)
    return file, kinds


def label_of(kind):
    """Of a GGUF file by its name, in which the text of an importance matrix stands behind the kind."""
    name, _, key = kind.partition("-")
    return f"{name} with its importance matrix" if key else name


def quality(machine, cache, options):
    """One entry for each program and weight type, in the table's order."""
    converted, calibrated = make_calibrated(machine, cache, options)
    say("prenormd verify")
    tokens, perplexity, served = verify(options, converted)
    say("llama.cpp")
    llama = ask_llama(machine, cache, options, (*KINDS, *calibrated))
    check_same_model(tokens, perplexity, llama)
    rows = []
    for weights in WEIGHTS:
        rows.append(own_row(machine, options, weights, served[weights], (options.folder, "--weights", weights),
                            own_bytes(machine, options, weights)))
    if converted:
        rows.append(own_row(machine, options, CALIBRATED_INT4, served[CALIBRATED_INT4], (converted,), converted.stat().st_size))
    for kind in ("F32", *KINDS, *calibrated):
        rows.append({"program": "llama.cpp", "weights": label_of(kind), **llama["files"][kind], "bytes": cache.gguf(kind).stat().st_size})
    return {"tokens": tokens, "perplexity": perplexity, "rows": rows}


# ---- speed ----

def speeds(machine, cache, options):
    """{(weights, work, program): tokens/s}, medians of rounds in which both are measured in turn."""
    ours, llama = programs.Prenorm(machine, cache, options.program), programs.LlamaCpp(machine, cache)
    say("trying the settings of llama.cpp (tokens/s)")
    settings = {weights: run.try_settings(llama, weights, WORKS, 1) for weights in options.weights}
    results = report.Results()
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        for weights in options.weights:
            for row, rate in ours.measure(weights, None, WORKS, 1).items():
                results.add(row, weights, ours.name, rate)
            for item in WORKS:
                for row, rate in llama.measure(weights, settings[weights][item.group], [item], 1).items():
                    results.add(row, weights, llama.name, rate)
    return results.as_list()


# ---- tables ----

def same_characters(text, expected):
    return next((i for i, (a, b) in enumerate(zip(text, expected)) if a != b), min(len(text), len(expected)))


def same_texts(row, rows):
    """How many texts are those of the same program's f32."""
    (first,) = [other for other in rows if other["program"] == row["program"] and other["weights"].lower() == "f32"]
    return sum(row["texts"][prompt] == text for prompt, text in first["texts"].items())


def quality_table(told):
    lines = ["| weights | file, MB | KL, nats a token | same greedy token | perplexity | rise | greedy texts as in f32 |",
             "|---|---|---|---|---|---|---|",
             f"| untouched, double | | | | {told['perplexity']:.4f} | | |"]
    for row in told["rows"]:
        lines.append(f"| {row['program']} {row['weights']} | {row['bytes'] / 1e6:.0f} | {row['kl_divergence']:.2e} | "
                     f"{100 * row['greedy_agreement']:.2f} % | {row['perplexity']:.4f} | "
                     f"{100 * (row['perplexity'] / told['perplexity'] - 1):+.3f} % | {same_texts(row, told['rows'])} of "
                     f"{len(row['texts'])} |")
    return "\n".join(lines)


def texts_table(told):
    """Where each text leaves that of the same program's f32, and how it goes on from there."""
    lines = []
    for prompt in told["rows"][0]["texts"]:
        lines.append(f"\n{prompt!r}:\n")
        expected = told["rows"][0]["texts"][prompt]
        for row in told["rows"]:
            text = row["texts"][prompt]
            same = same_characters(text, expected)
            rest = "the same as prenormd f32" if text == expected else f"... {text[same:same + SHOWN_CHARACTERS]!r}"
            lines.append(f"- {row['program']} {row['weights']}: {same} of {len(expected)} characters, {rest}")
    return "\n".join(lines)


def speed_table(rates, weights_list):
    found = {(rate["work"], rate["weights"], rate["program"]): rate["tokens_per_s"] for rate in rates}
    types = programs.LlamaCpp.types
    lines = ["| tokens/s: prenormd / llama.cpp | " + " | ".join(f"{weights} / {types[weights]}" for weights in weights_list) + " |",
             "|---|" + "---|" * len(weights_list)]
    for item in WORKS:
        cells = []
        for weights in weights_list:
            own, theirs = (found[(item.name, weights, name)] for name in (programs.Prenorm.name, programs.LlamaCpp.name))
            cells.append(f"{own:,.0f} / {theirs:,.0f} ({own / theirs:.2f}×)")
        lines.append(f"| {item.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


# ---- command line ----

def parse_options(arguments, prompts, pre_tokenizer):
    parser = argparse.ArgumentParser(description="Quality and speed of Prenorm's weight types beside llama.cpp's")
    parser.add_argument("folder", type=pathlib.Path, help="GPT-2, Llama or Qwen2 in Hugging Face format")
    parser.add_argument("text", type=pathlib.Path, help="its first tokens are measured")
    parser.add_argument("--program", type=pathlib.Path, default=run.ROOT / "build" / "release" / "prenormd",
                        help="default: %(default)s")
    parser.add_argument("--cache", type=pathlib.Path, default=prepare.DEFAULT_CACHE,
                        help="where llama.cpp is made and kept (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=2048, help="default: %(default)s")
    parser.add_argument("--calibrate", type=pathlib.Path, metavar="TEXT",
                        help="another text than the one that is measured: for weights of 4 bits that are made with one")
    parser.add_argument("--calibrate-tokens", type=int, default=16384, help="of that text, at most (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=run.default_threads(), help="of each program (default: cores, %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of the speeds (default: %(default)s)")
    parser.add_argument("--no-speed", action="store_true", help="measure quality alone: for a machine that does other things too")
    parser.add_argument("--no-quality", action="store_true", help="measure speed alone")
    parser.add_argument("--weights", type=run.choose_from({name: name for name in WEIGHTS}), default=list(WEIGHTS),
                        help="whose speed is measured (default: " + ",".join(WEIGHTS) + ")")
    parser.add_argument("--prompt", dest="prompts", action="append", default=list(prompts), metavar="TEXT",
                        help="is continued by the most likely tokens; may be given several times")
    parser.add_argument("--pre-tokenizer", default=pre_tokenizer, help="llama.cpp's name of how the model's tokenizer splits text "
                        "(default: %(default)s)")
    parser.add_argument("--json", type=pathlib.Path, help="file for all figures and texts (default: quality.json in the cache)")
    options = parser.parse_args(arguments)
    options.program = options.program.resolve()
    return options


def compare(cache, options):
    machine = programs.Machine(options.threads, [])
    told = {"date": datetime.date.today().isoformat(), "cpu": run.cpu_name(), "threads": options.threads,
            "commit": run.own_commit(), "model": str(options.folder), "text": str(options.text),
            "llama.cpp": cache.llama_version()}
    who = f"prenormd {told['commit']}, llama.cpp of {told['llama.cpp']}"
    if not options.no_quality:
        told |= quality(machine, cache, options)
        print(f"{told['model']}, first {told['tokens']} tokens of {told['text']} in windows of {WINDOW}; {who}:\n\n"
              f"{quality_table(told)}\n{texts_table(told)}\n", flush=True)
    if not options.no_speed:
        told["speeds"] = speeds(machine, cache, options)
        print(f"{told['model']}, {told['cpu']}, {told['threads']} threads, {told['date']}, medians of {options.rounds} rounds; "
              f"{who}:\n\n{speed_table(told['speeds'], options.weights)}")
    file = options.json or cache.folder / "quality.json"
    file.write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
    say(f"all figures and texts: {file}")


def main(arguments, prompts=(), pre_tokenizer="gpt-2"):
    options = parse_options(arguments, prompts, pre_tokenizer)
    if not os.access(options.program, os.X_OK):
        raise SystemExit(f"{options.program} is not there: build it or name it with --program")
    cache = prepare.Cache(options.cache, fingerprint(options.folder), options.folder.resolve())
    try:
        prepare.prepare_python(cache)
        prepare.prepare_llama(cache)
        prepare.make_gguf(cache, KINDS, "--pre-tokenizer", options.pre_tokenizer)
        compare(cache, options)
    except (prepare.Unavailable, programs.Failed, OSError) as failure:
        raise SystemExit(str(failure)) from None


if __name__ == "__main__":
    main(sys.argv[1:])
