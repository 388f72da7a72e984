"""The programs that are compared: how each is started, with which settings, and what its output says."""
import dataclasses
import json
import os
import pathlib
import shlex
import statistics
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
CELL_PADDING = 256  # llama.cpp gives each sequence a multiple of so many positions


class Failed(Exception):
    """A program that is measured ended with an error."""


@dataclasses.dataclass
class Machine:
    threads: int
    prefix: list  # a command that starts each measured program, such as taskset

    def output(self, command, environment=None):
        command = [*self.prefix, *map(str, command)]
        everything = {**os.environ, **(environment or {}), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, env=everything, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout

    def start(self, command, log):
        """A server; what it says goes to a file."""
        with open(log, "wb") as output:
            return subprocess.Popen([*self.prefix, *map(str, command)], stdout=output, stderr=subprocess.STDOUT,
                                    start_new_session=True)


class Prenorm:
    name = "prenormd"
    types = {"f32": "f32", "bf16": "bf16", "int8": "int8", "int4": "int4"}

    def __init__(self, machine, cache, program):
        self.machine, self.cache, self.program = machine, cache, program
        self.facts = {}

    def options(self, weights):
        return ["--model", self.cache.model, "--weights", self.types[weights], "--threads", self.machine.threads,
                "--kv-type", "f16", "--log-level", "error"]

    def settings(self, weights):
        return [None]  # as it is

    def measure(self, weights, setting, works, repetitions):
        """The command has its own number of repetitions."""
        names = ",".join(item.key for item in works)
        told = json.loads(self.machine.output([self.program, "bench", "--json", "--works", names, *self.options(weights)]))
        self.facts = {"isa": told["machine"]["isa"], **told["bounds"]}
        rates = {}
        for line in told["results"]:
            place = (line["work"], line.get("tokens"), line.get("batch"), line.get("context"))
            rates[place] = line["tokens_per_s"]
        try:
            return {item.name: rates[place_of(item)] for item in works}
        except KeyError as missing:
            raise Failed(f"{self.program} bench does not measure {missing}: work.py and server/bench/works.c differ, or the "
                         "context is too short") from None

    def serve(self, weights, setting, port, slots, context):
        # Greedy texts of random weights run in circles, which drafts find: the others have none.
        return [self.program, "serve", "--port", port, "--max-sequences", slots, "--speculate", "off", *self.options(weights)]

    ready_path = "/ready"


def place_of(item):
    if item.kind == "prefill":
        return ("prefill", item.tokens, None, None)
    return ("decode", None, item.batch, item.context)


@dataclasses.dataclass(frozen=True)
class LlamaSetting:
    flash: str  # attention: on or off
    repack: bool  # quantised weights, at load: what its AMX products need

    @property
    def name(self):
        return f"flash attention {self.flash}" + ("" if self.repack else ", not repacked")

    def arguments(self):
        return ["-fa", self.flash, *([] if self.repack else ["--no-repack"])]

    def bench_arguments(self):
        return ["-fa", self.flash, "--repack", int(self.repack)]


class LlamaCpp:
    name = "llama.cpp"
    types = {"f32": "F32", "bf16": "BF16", "int8": "Q8_0", "int4": "Q4_0"}
    ready_path = "/health"

    def __init__(self, machine, cache):
        self.machine, self.cache = machine, cache
        self.facts = {}

    def settings(self, weights):
        repacks = (True,) if weights in ("f32", "bf16") else (True, False)
        return [LlamaSetting(flash, repack) for repack in repacks for flash in ("on", "off")]

    def measure(self, weights, setting, works, repetitions):
        rates = {}
        for item in works:
            rates[item.name] = (self.batched_bench if item.batch > 1 else self.bench)(weights, setting, item, repetitions)
        return rates

    def version(self):
        return self.cache.llama_version()

    def common(self, program, weights):
        return [self.cache.llama_program(program), "-m", self.cache.gguf(self.types[weights]), "-t", self.machine.threads,
                "-ctk", "f16", "-ctv", "f16"]

    def bench(self, weights, setting, item, repetitions):
        amount = ["-p", item.tokens, "-n", 0] if item.kind == "prefill" else ["-p", 0, "-n", item.tokens, "-d", item.context]
        (told,) = json.loads(self.machine.output([*self.common("llama-bench", weights), *amount, *setting.bench_arguments(),
                                                  "-r", repetitions, "-o", "json"]))
        self.facts = {"commit": told["build_commit"], "cpu": told["cpu_info"]}
        return statistics.median(told["samples_ts"])

    def batched_bench(self, weights, setting, item, repetitions):
        """-pps: one prompt is computed and its cache copied to each sequence, before the clock starts. The first is warm-up."""
        room = -(-(item.context + item.tokens + 1) // CELL_PADDING) * CELL_PADDING
        out = self.machine.output([*self.common("llama-batched-bench", weights), "-c", item.batch * room, "-npp", item.context,
                                   "-ntg", item.tokens, "-npl", ",".join([str(item.batch)] * (repetitions + 1)), "-pps",
                                   "--output-format", "jsonl", *setting.arguments()])
        rates = [json.loads(line)["speed_tg"] for line in out.splitlines() if line.startswith("{")]
        if len(rates) != repetitions + 1:
            raise Failed(f"llama-batched-bench measured {len(rates)} times, not {repetitions + 1}: {item.name}")
        return statistics.median(rates[1:])

    def follow(self, ids, length):
        """By the library: its programs take no ids, and its server may be missing."""
        return json.loads(self.machine.output([
            self.cache.python, HERE / "follow_llama.py", self.cache.gguf("F32"), "--source", self.cache.llama, "--library",
            self.cache.llama_build / "bin", "--threads", self.machine.threads, "--length", length, "--ids", json.dumps(ids)]))

    def serve(self, weights, setting, port, slots, context):
        """Without the copies that it keeps of finished prompts: none comes twice."""
        return [*self.common("llama-server", weights), "--port", port, "-np", slots, "-c", slots * context, "--cache-ram", 0,
                "--no-ui", *setting.arguments()]
