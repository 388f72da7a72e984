#!/usr/bin/env python3
"""Prenorm beside llama.cpp, CTranslate2, OpenVINO GenAI and vLLM: the same random model, one alternating run, one table in Markdown.

    tests/bench/peers/run.py [--program build/release/prenormd] [--shape gpt2-124m] [--cache DIR] [--rounds 3] [--quick]

README.md says what is compared and how it is made fair.
"""
import argparse
import datetime
import itertools
import json
import os
import pathlib
import platform
import random
import shlex
import sys
import time

import prepare
import programs
import report
import scripted
import servers
import streams
from machine import ROOT, cpu_name, default_threads, own_commit, pin
from prepare import say
from shapes import CONTEXT, SHAPES
from work import WORKS, trial_works

WEIGHTS = ("f32", "bf16", "int8", "int4")
HTTP_WEIGHTS = "int8"
HTTP_ROW = f"HTTP, {servers.CLIENTS} streams, {servers.PROMPT_TOKENS} tokens in, {servers.GENERATED_TOKENS} out"
CHECKED_TOKENS = 24
PEERS = {programs.LlamaCpp: prepare.prepare_llama_model, scripted.CTranslate2: prepare.prepare_ctranslate2_model,
         scripted.OpenVino: prepare.prepare_openvino_model, scripted.Vllm: prepare.prepare_vllm}


# ---- the same model ----

def check_same_model(ours, peers):
    """Conversions that went wrong would still be fast: from the f32 weights all must choose the same tokens. The peers that run here."""
    ids = servers.random_ids(random.Random(7), ours.cache.config()["vocab_size"])
    found, running = {ours.name: servers.follow_prenorm(ours, ids, CHECKED_TOKENS)}, []
    for peer in peers:
        try:
            found[peer.name] = peer.follow(ids, CHECKED_TOKENS)
            running.append(peer)
        except programs.Failed as why:
            say(f"{peer.name} is left out, since it does not run here:\n{why}")
    if len({tuple(tokens) for tokens in found.values()}) != 1:
        raise SystemExit("the programs do not run the same model; greedy tokens of one prompt:\n"
                         + "\n".join(f"{name:12} {tokens}" for name, tokens in found.items()))
    if not running:
        raise prepare.Unavailable("no other engine is left to compare with")
    say(f"{', '.join(found)} choose the same {CHECKED_TOKENS} tokens after a prompt")
    return running


# ---- the settings of the peers ----

def try_settings(peer, weights, works, repetitions):
    """{group of works: the setting that was fastest}."""
    settings = peer.settings(weights)
    rates = [peer.measure(weights, setting, works, repetitions) for setting in settings]
    best = {}
    for item in works:
        index = max(range(len(settings)), key=lambda i, item=item: rates[i][item.name])
        best[item.group] = settings[index]
        say(f"  {peer.name} {peer.types[weights]}, {item.name}: " + "; ".join(
            f"{setting.name} {rate[item.name]:.0f}" for setting, rate in zip(settings, rates)))
    return best


def try_server_settings(llama):
    """For its server, whose sequences are shorter than those of the batches above: the setting that was fastest."""
    settings = llama.settings(HTTP_WEIGHTS)
    rates = [servers.measure_streams(llama, HTTP_WEIGHTS, setting, seed=0).tokens_per_s for setting in settings]
    say(f"  {llama.name}'s server: " + "; ".join(f"{setting.name} {rate:.0f}" for setting, rate in zip(settings, rates)))
    return settings[rates.index(max(rates))]


def choose_settings(peers, options):
    """{(peer, weights): {group: setting}}; in a quick run the first setting, which is about what a peer does by itself."""
    chosen = {}
    if not options.quick:
        say("trying the peers' settings (tokens/s)")
    for weights, peer in itertools.product(options.weights, peers):
        if weights not in peer.types:
            continue
        if options.quick:
            chosen[(peer.name, weights)] = {item.group: peer.settings(weights)[0] for item in options.works}
        else:
            chosen[(peer.name, weights)] = try_settings(peer, weights, trial_works(options.works), options.repetitions)
    return chosen


def choose_server_setting(llama, options):
    return llama.settings(HTTP_WEIGHTS)[0] if options.quick else try_server_settings(llama)


# ---- measuring ----

def measure_program(program, weights, settings, options):
    """{name of a work: tokens/s}, works of one setting in one go."""
    rates = {}
    for setting in dict.fromkeys(settings.values()):
        works = [item for item in options.works if settings[item.group] == setting]
        rates |= program.measure(weights, setting, works, options.repetitions)
    return rates


def measure_round(results, ours, peers, settings, options):
    for weights in options.weights:
        for program in (ours, *peers):
            if weights not in program.types:
                continue
            # Our own steps need no setting: one way for all groups.
            chosen = settings.get((program.name, weights)) or {item.group: None for item in options.works}
            started = time.monotonic()
            for row, rate in measure_program(program, weights, chosen, options).items():
                results.add(row, weights, program.name, rate)
            say(f"  {program.name} {program.types[weights]}: {time.monotonic() - started:.0f} s")


def measure_http(results, ours, llama, llama_setting, seed):
    for program, setting in ((ours, None), (llama, llama_setting)):
        measured = servers.measure_streams(program, HTTP_WEIGHTS, setting, seed)
        results.add(HTTP_ROW, HTTP_WEIGHTS, program.name, measured.tokens_per_s)
        say(f"  {program.name}'s server: {measured.tokens_per_s:.0f} tokens/s; the clients took "
            f"{100 * measured.client_seconds / measured.seconds:.1f} % of one core")


# ---- what is told ----

def named_settings(settings, server_setting):
    named = {f"{peer} {weights}": {group: setting.name for group, setting in chosen.items()}
             for (peer, weights), chosen in settings.items()}
    return named | ({"llama-server": server_setting.name} if server_setting else {})


def facts(ours, peers, options, cores):
    return {
        "date": datetime.date.today().isoformat(), "command": shlex.join(["tests/bench/peers/run.py", *sys.argv[1:]]),
        "shape": options.shape, "cpu": cpu_name(), "cores": cores, "threads": options.threads, "kernel": platform.release(),
        "rounds": options.rounds, "prenormd": {"commit": own_commit(), **ours.facts},
        "peers": {peer.name: {"version": peer.version(), **peer.facts} for peer in peers},
    }


def headline(told):
    rounds = "one round" if told["rounds"] == 1 else f"medians of {told['rounds']} rounds"
    peers = "".join(f", {name} {peer['version']}" for name, peer in told["peers"].items())
    machine = f"{told['cpu']}, {told['cores']} cores, {told['threads']} threads"
    return (f"{told['shape']}, {machine}, {told['date']}, `{told['command']}`, {rounds}; "
            f"prenormd {told['prenormd']['commit']}{peers}:")


# ---- command line ----

def choose_from(known):
    """The type of an option: names out of {name: thing}, separated by commas."""
    def choose(text):
        if unknown := [name for name in text.split(",") if name not in known]:
            raise argparse.ArgumentTypeError(f"'{unknown[0]}' is none of {', '.join(known)}")
        return [known[name] for name in text.split(",")]
    return choose


def parse_options():
    parser = argparse.ArgumentParser(description="Prenorm beside llama.cpp, CTranslate2, OpenVINO GenAI and vLLM",
                                     epilog="The first run downloads and builds the peers; that takes about fifteen minutes.")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build" / "release" / "prenormd",
                        help="default: %(default)s")
    parser.add_argument("--shape", choices=SHAPES, default=next(iter(SHAPES)), help="of the random model (default: %(default)s)")
    parser.add_argument("--cache", type=pathlib.Path, default=prepare.DEFAULT_CACHE,
                        help="where the peers are made and kept (default: %(default)s)")
    parser.add_argument("--rounds", type=int, help="default: 3, with --quick 1")
    parser.add_argument("--repetitions", type=int, default=1,
                        help="of each work of a peer in a round, of which the median counts (default: %(default)s)")
    parser.add_argument("--weights", type=choose_from({name: name for name in WEIGHTS}), default=list(WEIGHTS),
                        help="default: " + ",".join(WEIGHTS))
    parser.add_argument("--works", type=choose_from({item.key: item for item in WORKS}), default=list(WORKS),
                        help="default: " + ",".join(item.key for item in WORKS))
    parser.add_argument("--peers", type=choose_from({peer.name: peer for peer in PEERS}), default=list(PEERS),
                        help="default: " + ",".join(peer.name for peer in PEERS))
    parser.add_argument("--threads", type=int, default=default_threads(), help="of each program (default: cores, %(default)s)")
    parser.add_argument("--json", type=pathlib.Path, help="file for all figures (default: results.json in the cache)")
    parser.add_argument("--run-with", type=shlex.split, default=[], metavar="COMMAND",
                        help="starts each measured program, for example 'taskset -c 2,3'")
    parser.add_argument("--quick", action="store_true", help="one round, with the peers' first settings")
    parser.add_argument("--prepare-only", action="store_true", help="download, build and convert; measure nothing")
    parser.add_argument("--no-http", action="store_true", help="leave the servers out")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    return options


def prepare_all(options, cache):
    """What can be had: (peers, whether llama.cpp's server is there)."""
    prepare.prepare_python(cache)
    prepare.make_model(cache, options.shape)
    kinds = [kind for kind in PEERS if kind in options.peers and prepare.is_there(kind.name, PEERS[kind], cache)]
    if not kinds:
        raise prepare.Unavailable("no other engine is left to compare with")
    wanted = programs.LlamaCpp in kinds and HTTP_WEIGHTS in options.weights and not options.no_http
    return kinds, wanted and prepare.is_there("the comparison over HTTP", prepare.build_llama, cache, (prepare.LLAMA_SERVER,))


def compare(options, cache, kinds, with_http):
    started = time.monotonic()
    cores = default_threads()
    pin(options.threads)
    machine = programs.Machine(options.threads, options.run_with)
    ours = programs.Prenorm(machine, cache, options.program.resolve())
    peers = check_same_model(ours, [kind(machine, cache) for kind in kinds])
    llama = next((peer for peer in peers if with_http and isinstance(peer, programs.LlamaCpp)), None)
    settings = choose_settings(peers, options)
    server_setting = choose_server_setting(llama, options) if llama else None
    results = report.Results()
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        measure_round(results, ours, peers, settings, options)
        if llama:
            measure_http(results, ours, llama, server_setting, number + 1)
    told = facts(ours, peers, options, cores)
    told["settings"] = named_settings(settings, server_setting)
    file = options.json or cache.folder / "results.json"
    file.write_text(json.dumps({**told, "results": results.as_list()}, indent=1))
    rows = [item.name for item in options.works] + ([HTTP_ROW] if llama else [])
    print("\n\n".join((headline(told), report.table(results, ours, peers, rows, options.weights),
                       report.thinnest(results, ours.name, [peer.name for peer in peers], rows, options.weights))))
    say(f"all figures: {file}; measured in {time.monotonic() - started:.0f} s")


def main():
    options = parse_options()
    if not options.prepare_only and not os.access(options.program, os.X_OK):
        raise SystemExit(f"{options.program} is not there: build it (cmake --build build/release --target prenormd) or name it "
                         "with --program")
    # Models of another context are others.
    cache = prepare.Cache(options.cache, f"{options.shape}-{CONTEXT}")
    try:
        kinds, with_http = prepare_all(options, cache)
        if not options.prepare_only:
            compare(options, cache, kinds, with_http)
    except (prepare.Unavailable, programs.Failed, streams.BadAnswer, OSError) as failure:
        raise SystemExit(str(failure)) from None


if __name__ == "__main__":
    main()
