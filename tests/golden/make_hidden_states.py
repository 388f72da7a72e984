#!/usr/bin/env python3
"""Adds the transformers library's last hidden states to golden cases of families: hidden.safetensors beside their golden.json.

    pip install torch transformers safetensors
    tests/golden/make_hidden_states.py             # of the cases that have such a file
    tests/golden/make_hidden_states.py NAME...     # of these, below tests/golden/families

hidden_0 [tokens, width] is `last_hidden_state` for the case's first sequence: what the head reads, behind the final norm (and
behind the projection of OPT's that have one); BioGPT alone has another `hidden_states[-1]`, that from before the norm. It is
computed in float64 from the case's own weights, after its logits were found to be the golden ones.
"""
import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file

FAMILIES = pathlib.Path(__file__).parent / "families"
LOGITS_BOUND = 1e-4


def outputs_of(model, ids):
    torch.set_default_dtype(torch.float64)  # some models make masks of the default type
    try:
        with torch.no_grad():
            tokens = torch.tensor([ids])
            return model(tokens, use_cache=False).logits[0], model.base_model(tokens, use_cache=False).last_hidden_state[0]
    finally:
        torch.set_default_dtype(torch.float32)


def make(folder):
    ids = json.loads((folder / "golden.json").read_text())["sequences"][0]["ids"]
    golden = load_file(folder / "golden.safetensors")["logits_0"].double()
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
    logits, hidden = outputs_of(model, ids)
    difference = (logits - golden).abs().max().item() / golden.std().item()
    if difference > LOGITS_BOUND:
        sys.exit(f"{folder.name}: logits are {difference:.2g} off the golden ones: another version of the library?")
    save_file({"hidden_0": hidden.float().contiguous()}, folder / "hidden.safetensors")
    print(f"{folder.name}: {list(hidden.shape)}, logits {difference:.2g} off")


def main():
    transformers.logging.set_verbosity_error()
    names = sys.argv[1:] or sorted(path.parent.name for path in FAMILIES.glob("*/hidden.safetensors"))
    for name in names:
        make(FAMILIES / name)


if __name__ == "__main__":
    main()
