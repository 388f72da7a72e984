"""The config.json of each random model; needs no package."""

CONTEXT = 2304  # of all shapes: room for the longest prompt; a longer one changes no speed


def llama(model_type, vocabulary, layers, width, heads, kv_heads, mlp, base, epsilon):
    """As in engine/tools/bench_random.c, the head tied."""
    return {
        "architectures": ["LlamaForCausalLM" if model_type == "llama" else "Qwen2ForCausalLM"], "model_type": model_type,
        "torch_dtype": "float16", "hidden_act": "silu", "vocab_size": vocabulary, "hidden_size": width,
        "intermediate_size": mlp, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "max_position_embeddings": CONTEXT, "rope_theta": base, "rms_norm_eps": epsilon, "tie_word_embeddings": True,
        "bos_token_id": vocabulary - 1, "eos_token_id": vocabulary - 1,
    }


SHAPES = {
    "gpt2-124m": {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "torch_dtype": "float32", "activation_function": "gelu_new",
        "vocab_size": 50257, "n_positions": CONTEXT, "n_ctx": CONTEXT, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_inner": None,
        "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True, "bos_token_id": 50256, "eos_token_id": 50256,
    },
    "smollm2-135m": llama("llama", 49152, 30, 576, 9, 3, 1536, 100000.0, 1e-5),
    "qwen2-0.5b": llama("qwen2", 151936, 24, 896, 14, 2, 4864, 1000000.0, 1e-6),
    "llama-1b": llama("llama", 128256, 16, 2048, 32, 8, 8192, 500000.0, 1e-5),
}
