"""Times CTranslate2 on a model of convert_ctranslate2.py; bench_script.py has the command line.

prefill: a prompt of so many tokens, one token generated. With include_prompt_in_result=False the prompt passes at once and
only its last token the head, as in any server.
decode: the time to generate n + 1 tokens less the time to generate one, behind a prompt that is cached (static_prompt), so
neither the prompt nor the copy of its cache to each sequence counts. Greedy, always the full length.
"""
import json
import time

import ctranslate2

import bench_script


class Model:
    def __init__(self, options):
        self.generator = ctranslate2.Generator(str(options.model), compute_type=options.setting.get("type", "float32"),
                                               intra_threads=options.threads, inter_threads=1)
        self.tokens = json.loads((options.model / "vocabulary.json").read_text(encoding="utf-8"))
        self.prompts = bench_script.Prompts(len(self.tokens))
        self.shared = {}

    def prompt(self, length):
        return [self.tokens[i] for i in self.prompts.draw(length)]

    def generate(self, prompts, length, shared=None):
        """Seconds to generate so many tokens for each prompt."""
        started = time.perf_counter()
        results = self.generator.generate_batch(prompts, max_length=length, min_length=length, static_prompt=shared, end_token=[],
                                                include_prompt_in_result=False)
        seconds = time.perf_counter() - started
        if any(len(result.sequences[0]) != length for result in results):
            raise SystemExit(f"CTranslate2 generated another number of tokens than {length}")
        return seconds

    def prefill(self, tokens):
        return self.generate([self.prompt(tokens)], 1)

    def decode(self, item):
        # The cached prompt and the one token behind it make the context; the token generated first is the first step's input.
        if item not in self.shared:
            self.shared[item] = self.prompt(item.context - 1)
        prompts = [self.prompt(1) for _ in range(item.batch)]
        short = self.generate(prompts, 1, self.shared[item])
        return self.generate(prompts, 1 + item.tokens, self.shared[item]) - short

    def follow(self, ids, length):
        prompt = [self.tokens[i] for i in ids]
        result = self.generator.generate_batch([prompt], max_length=length, min_length=length, end_token=[],
                                               include_prompt_in_result=False)
        return result[0].sequences_ids[0]


if __name__ == "__main__":
    bench_script.main(Model)
