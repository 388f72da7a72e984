"""Times OpenVINO GenAI on a model of convert_openvino.py; bench_script.py has the command line.

The setting's "attention" is "paged" (its continuous batching), with "chunk" tokens of a prompt in a step, or "stateful" (its simple
pipeline). The step that prefills computes the head for the last token of each sequence. Decode is timed from the end of the step in
which the prompts are prefilled; paged steps by the clock around them, stateful ones by the library's own times of new tokens.
"""
import time

import numpy
import openvino
import openvino_genai

import bench_script

WHOLE = 1 << 20  # tokens in a step: any number of prompts


def greedy(length):
    config = openvino_genai.GenerationConfig()
    config.max_new_tokens, config.ignore_eos, config.do_sample = length, True, False
    return config


def properties(options):
    return {"INFERENCE_PRECISION_HINT": options.setting.get("precision", "f32"), "KV_CACHE_PRECISION": "f16",
            "INFERENCE_NUM_THREADS": options.threads, "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False}


def check_length(handles, length):
    """Of what has been generated. (A request whose handle is gone is dropped, and steps take no time.)"""
    for handle in handles:
        if not handle.can_read() or len(handle.read_all()[0].generated_ids) != length:
            raise SystemExit(f"OpenVINO generated another number of tokens than {length} in as many steps")


class Paged:
    def __init__(self, options):
        self.options = options
        self.prompts = bench_script.Prompts(bench_script.vocabulary_size(options.model))
        self.chunk, self.pipeline, self.requests = None, None, 0

    def open(self, chunk):
        """The number of tokens in a step is fixed for a pipeline; decode wants all prompts in one, so that none is ahead."""
        if chunk == self.chunk:
            return
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.cache_size = 1  # GB
        scheduler.max_num_batched_tokens, scheduler.enable_prefix_caching = chunk, False
        self.pipeline = None
        self.pipeline = openvino_genai.ContinuousBatchingPipeline(str(self.options.model), scheduler, "CPU", properties(self.options))
        self.chunk = chunk

    def add(self, ids, length):
        self.requests += 1
        return self.pipeline.add_request(self.requests, openvino.Tensor(numpy.array([ids], dtype=numpy.int64)), greedy(length))

    def run(self):
        while self.pipeline.has_non_finished_requests():
            self.pipeline.step()

    def prefill(self, tokens):
        self.open(self.options.setting.get("chunk") or WHOLE)
        handle = self.add(self.prompts.draw(tokens), 1)
        started = time.perf_counter()
        self.run()
        seconds = time.perf_counter() - started
        check_length([handle], 1)
        return seconds

    def decode(self, item):
        self.open(WHOLE)
        handles = [self.add(self.prompts.draw(item.context), 1 + item.tokens) for _ in range(item.batch)]
        self.pipeline.step()
        started = time.perf_counter()
        for _ in range(item.tokens):
            self.pipeline.step()
        seconds = time.perf_counter() - started
        check_length(handles, 1 + item.tokens)
        return seconds

    def follow(self, ids, length):
        self.open(WHOLE)
        handle = self.add(ids, length)
        self.run()
        return list(handle.read_all()[0].generated_ids)


class Stateful:
    def __init__(self, options):
        self.prompts = bench_script.Prompts(bench_script.vocabulary_size(options.model))
        self.pipeline = openvino_genai.LLMPipeline(str(options.model), "CPU", ATTENTION_BACKEND="SDPA", **properties(options))

    def generate(self, prompts, length):
        ids = numpy.array(prompts, dtype=numpy.int64)
        inputs = openvino_genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(numpy.ones_like(ids)))
        result = self.pipeline.generate(inputs, greedy(length))
        if any(len(tokens) != length for tokens in result.tokens):
            raise SystemExit(f"OpenVINO generated another number of tokens than {length}")
        return result

    def prefill(self, tokens):
        prompt = self.prompts.draw(tokens)
        started = time.perf_counter()
        self.generate([prompt], 1)
        return time.perf_counter() - started

    def decode(self, item):
        result = self.generate([self.prompts.draw(item.context) for _ in range(item.batch)], 1 + item.tokens)
        times = result.perf_metrics.raw_metrics.m_new_token_times  # milliseconds
        if len(times) != 1 + item.tokens:
            raise SystemExit(f"OpenVINO tells {len(times)} times of {1 + item.tokens} tokens")
        return (times[-1] - times[0]) / 1000

    def follow(self, ids, length):
        return list(self.generate([ids], length).tokens[0])


if __name__ == "__main__":
    bench_script.main(lambda options: (Stateful if options.setting.get("attention") == "stateful" else Paged)(options))
