"""Times vLLM's CPU build on a Hugging Face folder; bench_script.py has the command line.

The engine runs in this process, so that a step is a call. All prompts of a work fit in the first step, which computes the head for the
last token of each; decode is the time of the steps behind it. The cache has the type of the weights: it has no f16 beside f32.
"""
import time

import vllm

import bench_script


class Model:
    def __init__(self, options):
        length, tokens = bench_script.longest(options.works)
        self.prompts = bench_script.Prompts(bench_script.vocabulary_size(options.model))
        self.engine = vllm.LLM(
            model=str(options.model), dtype=options.setting.get("type", "float32"), skip_tokenizer_init=True, max_model_len=length,
            max_num_seqs=max(item.batch for item in options.works), max_num_batched_tokens=max(length, tokens),
            enable_prefix_caching=False, async_scheduling=False, enforce_eager=options.setting.get("eager", False),
            disable_log_stats=True).llm_engine
        self.requests = 0

    def add(self, ids, length):
        self.requests += 1
        self.engine.add_request(str(self.requests), {"prompt_token_ids": ids}, vllm.SamplingParams(
            temperature=0, max_tokens=length, ignore_eos=True, detokenize=False))

    def run(self, steps):
        """So many steps, of which the last ends all requests: their tokens."""
        for _ in range(steps - 1):
            if any(output.finished for output in self.engine.step()):
                raise SystemExit("vLLM took fewer steps than tokens")
        outputs = self.engine.step()
        if self.engine.has_unfinished_requests():
            raise SystemExit("vLLM took more steps than tokens")
        return [list(output.outputs[0].token_ids) for output in outputs]

    def prefill(self, tokens):
        self.add(self.prompts.draw(tokens), 1)
        started = time.perf_counter()
        self.run(1)
        return time.perf_counter() - started

    def decode(self, item):
        for _ in range(item.batch):
            self.add(self.prompts.draw(item.context), 1 + item.tokens)
        self.engine.step()
        started = time.perf_counter()
        self.run(item.tokens)
        return time.perf_counter() - started

    def follow(self, ids, length):
        self.add(ids, length)
        return self.run(length)[0]


if __name__ == "__main__":
    bench_script.main(Model)
