#!/usr/bin/env python3
"""Makes golden cases of adapters in the layout of tests/golden/adapters, with the peft library, on the models of
tests/golden/families.

    pip install torch transformers peft safetensors
    tests/golden/make_adapter_case.py OUT            # every variant of the table below
    tests/golden/make_adapter_case.py OUT NAME...    # these

A case is an adapter with random weights, what golden.json says of its base, and logits in float64 of the base with
the adapter beside it, unmerged: what was trained. Where neither table nor head is touched, or they are not tied, the
script checks that peft's own merge gives the same.
"""
import json
import pathlib
import sys
import tempfile

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

from make_family_case import HIDDEN, LENGTHS, PROMPT, SEEDS, TOKENIZER_VOCABULARY, greedy, logits_of, save
from make_family_case import randomise as randomise_base

HERE = pathlib.Path(__file__).parent
LENGTH = LENGTHS[0]
MERGED_MAX = 1e-9  # largest difference of a logit

# Bases that the case has with it, in its folder "base", rather than among the families.
OWN_BASES = {"llama": dict(HIDDEN, intermediate_size=80, num_key_value_heads=2)}

# Base, settings of LoraConfig, and how the file is written: a dtype, or "bin" for a pickle.
VARIANTS = {
    "gpt2-c_attn": ("gpt2", dict(target_modules=["c_attn"], fan_in_fan_out=True, lora_alpha=8), torch.float32),
    "gpt2-all-linear": ("gpt2", dict(target_modules="all-linear", use_rslora=True, rank_pattern={"c_fc": 5, "h.1.mlp.c_proj": 2},
                                     alpha_pattern={r"h\.0\..*": 3, "c_attn": 6}), torch.float16),
    "gpt2-tables": ("gpt2", dict(target_modules=["wte", "wpe", "c_fc"]), torch.float16),
    "gpt2-tied-head": ("gpt2", dict(target_modules=["lm_head", "attn.c_proj"]), torch.float16),
    "gpt2-saved": ("gpt2", dict(target_modules=["mlp.c_proj"], modules_to_save=["lm_head", "wte", "ln_f", "ln_2"]), torch.float16),
    "gpt2-saved-table": ("gpt2", dict(target_modules=["c_attn"], modules_to_save=["wte"]), torch.float16),
    "gpt2-saved-biases": ("gpt2", dict(target_modules=["c_attn"], bias="all", modules_to_save=["ln_f", "ln_1", "mlp.c_fc"]),
                          torch.float16),
    "gpt2-untied": ("gpt2-unscaled-untied", dict(target_modules=["lm_head", "wte", "c_attn"]), torch.float16),
    "gpt_neox-regex": ("gpt_neox", dict(target_modules=r".*\.(query_key_value|dense(_h_to_4h)?)"), "bin"),
    "gpt_neox-saved-head": ("gpt_neox", dict(target_modules=["dense_4h_to_h"], modules_to_save=["embed_out"]), torch.bfloat16),
    "falcon-grouped": ("falcon-40b", dict(target_modules=["query_key_value", "dense_4h_to_h"], r=7), torch.bfloat16),
    "codegen-packed": ("codegen", dict(target_modules=["qkv_proj", "out_proj"]), torch.bfloat16),
    "opt-biases": ("opt", dict(target_modules=["q_proj", "v_proj", "fc2"], bias="all", layers_to_transform=[1],
                               layers_pattern="layers"), torch.float32),
    "opt-projections": ("opt-proj", dict(target_modules=["project_in", "project_out", "k_proj"], r=3), torch.float16),
    "xglm-table": ("xglm", dict(target_modules=["embed_tokens", "fc1"]), torch.float16),
    "stablelm-excluded": ("stablelm", dict(target_modules="all-linear", exclude_modules=["down_proj", "layers.0.self_attn.q_proj"],
                                           r=2, lora_alpha=5), torch.float16),
    "llama-gated": ("llama", dict(target_modules="all-linear", use_rslora=True, r=3, lora_alpha=2), torch.bfloat16),
}


def randomise(model):
    """What training changes: the adapters, biases and saved modules; numbers that the file's type has."""
    for name, p in model.named_parameters():
        if "lora_A" in name or "lora_embedding_B" in name:
            p.data = torch.randn_like(p) * p.shape[-1] ** -0.5
        elif "lora_B" in name or "lora_embedding_A" in name:
            p.data = torch.randn_like(p) * 0.3
        elif p.requires_grad:
            p.data = p.data + torch.randn_like(p) * 0.1


def base_of(name, out):
    """Its folder, and what golden.json calls it."""
    base = VARIANTS[name][0]
    if base not in OWN_BASES:
        return HERE / "families" / base, f"families/{base}"
    folder = out / name / "base"
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(base, vocab_size=TOKENIZER_VOCABULARY + 8, bos_token_id=0, eos_token_id=0,
                                               **OWN_BASES[base])
    model = transformers.AutoModelForCausalLM.from_config(config)
    randomise_base(model)
    model.half().save_pretrained(folder)
    return folder, "base"


def load_base(base):
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float64, attn_implementation="eager")
    return model.eval()


def adapted(base, settings, dtype, seed):
    """The base with an adapter whose numbers the type has."""
    torch.manual_seed(seed)
    config = peft.LoraConfig(task_type="CAUSAL_LM", **{"r": 4, "lora_alpha": 8, **settings})
    model = peft.get_peft_model(load_base(base), config)
    randomise(model)
    kind = torch.float32 if dtype == "bin" else dtype
    for p in model.parameters():
        if p.requires_grad:
            p.data = p.data.to(kind).double()
    return model


def load_adapted(base, folder):
    """As PEFT reads the files: it sorts the patterns as it writes them, so that another may come first."""
    return peft.PeftModel.from_pretrained(load_base(base), folder).eval().double()


def check_merged(model, sequence, logits):
    difference = (logits_of(model.merge_and_unload(), sequence) - logits).abs().max().item()
    if difference > MERGED_MAX:
        sys.exit(f"peft's merged model differs by {difference}")


def write_adapter(model, folder, dtype):
    with tempfile.TemporaryDirectory() as place:
        model.save_pretrained(place, safe_serialization=dtype != "bin")
        place = pathlib.Path(place)
        config = json.loads((place / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = "base"
        if config["target_modules"] and isinstance(config["target_modules"], list):
            config["target_modules"].sort()
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n")
        if dtype == "bin":
            tensors = torch.load(place / "adapter_model.bin")
            torch.save({name: t.float() for name, t in tensors.items()}, folder / "adapter_model.bin")
        else:
            tensors = load_file(place / "adapter_model.safetensors")
            save_file({name: t.to(dtype).contiguous() for name, t in tensors.items()}, folder / "adapter_model.safetensors")


def make(name, out):
    _, settings, dtype = VARIANTS[name]
    folder = out / name
    base, called = base_of(name, out)
    for seed in SEEDS:
        folder.mkdir(parents=True, exist_ok=True)
        write_adapter(adapted(base, settings, dtype, seed), folder, dtype)
        model = load_adapted(base, folder)
        sequences = [torch.randint(1, TOKENIZER_VOCABULARY, (LENGTH,)).tolist()]
        answer = greedy(model, sequences[0][:PROMPT])
        if answer:
            break
    else:
        sys.exit(f"{name}: no seed gives a decided greedy text")
    save(model, folder, sequences, sequences[0][:PROMPT], answer, seed)
    for copied in ("tokenizer.json", "tokenizer_config.json"):  # the base has them
        (folder / copied).unlink(missing_ok=True)
    golden = json.loads((folder / "golden.json").read_text())
    golden["library"] = f"peft {peft.__version__}, " + golden["library"]
    golden["base"] = called
    (folder / "golden.json").write_text(json.dumps(golden))
    logits = logits_of(model, sequences[0])
    touched = {"wte", "lm_head", "embed_tokens"} & {*settings.get("modules_to_save", []), *settings["target_modules"]}
    if not (model.config.tie_word_embeddings and touched):
        check_merged(model, sequences[0], logits)
    print(f"{name}: seed {seed}")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    transformers.logging.set_verbosity_error()
    out = pathlib.Path(sys.argv[1])
    for name in sys.argv[2:] or VARIANTS:
        make(name, out)


if __name__ == "__main__":
    main()
