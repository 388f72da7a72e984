#include "engine/text/sources/tokenizer_class.h"

#include <string.h>

#include "engine/text/sources/file_names.h"

const char *const tokenizer_class_keys[CLASS_TOKENS] = {
    [CLASS_BOS] = "bos_token",   [CLASS_EOS] = "eos_token", [CLASS_UNK] = "unk_token",
    [CLASS_SEP] = "sep_token",   [CLASS_PAD] = "pad_token", [CLASS_CLS] = "cls_token",
    [CLASS_MASK] = "mask_token",
};

#define END "<|endoftext|>"

enum { GENERIC = 0 };

static const struct tokenizer_class classes[] = {
    [GENERIC] = {.name = "PreTrainedTokenizer"},
    {.name = "TokenizersBackend"}, /* what transformers 5 calls it */
    {.name = "GPT2Tokenizer", .tokens = {[CLASS_BOS] = END, [CLASS_EOS] = END, [CLASS_UNK] = END}},
    {.name = "CodeGenTokenizer",
     .tokens = {[CLASS_BOS] = END, [CLASS_EOS] = END, [CLASS_UNK] = END},
     .refuses_bos = true},
    {.name = "GPTNeoXTokenizer",
     .tokens = {[CLASS_BOS] = END, [CLASS_EOS] = END, [CLASS_UNK] = END},
     .by_flags = true},
    {.name = "BloomTokenizer",
     .tokens = {[CLASS_BOS] = "<s>", [CLASS_EOS] = "</s>", [CLASS_UNK] = "<unk>", [CLASS_PAD] = "<pad>"},
     .nested_prefix = true},
    {.name = "Qwen2Tokenizer", .tokens = {[CLASS_EOS] = END, [CLASS_UNK] = END, [CLASS_PAD] = END}},
    {.name = "LlamaTokenizer",
     .tokens = {[CLASS_BOS] = "<s>", [CLASS_EOS] = "</s>", [CLASS_UNK] = "<unk>"},
     .by_flags = true,
     .adds_bos = true,
     .from_model = true,
     .model_file = FILE_NAME_SENTENCE_PIECE,
     .model_has_options = true},
    {.name = "GemmaTokenizer",
     .tokens = {[CLASS_BOS] = "<bos>", [CLASS_EOS] = "<eos>", [CLASS_UNK] = "<unk>", [CLASS_PAD] = "<pad>"},
     .by_flags = true,
     .adds_bos = true,
     .model_file = FILE_NAME_SENTENCE_PIECE,
     .model_has_options = true},
    {.name = "CohereTokenizer",
     .tokens = {[CLASS_BOS] = "<BOS_TOKEN>", [CLASS_EOS] = "<|END_OF_TURN_TOKEN|>", [CLASS_UNK] = "<UNK>"},
     .by_flags = true,
     .adds_bos = true,
     .nested_prefix = true},
    {.name = "XGLMTokenizer",
     .tokens = {[CLASS_BOS] = "<s>",
                [CLASS_EOS] = "</s>",
                [CLASS_UNK] = "<unk>",
                [CLASS_SEP] = "</s>",
                [CLASS_PAD] = "<pad>",
                [CLASS_CLS] = "<s>"},
     .made_up_words = CLASS_MADE_UP_WORDS,
     .model_file = FILE_NAME_SENTENCE_PIECE_BPE,
     .model_sep_first = true,
     .model_is_fairseq = true},
    {.name = "T5Tokenizer",
     .tokens = {[CLASS_EOS] = "</s>", [CLASS_UNK] = "<unk>", [CLASS_PAD] = "<pad>"},
     .from_model = true,
     .has_extra_ids = true,
     .model_file = FILE_NAME_SPIECE,
     .model_has_options = true,
     .model_eos_last = true},
    {.name = "GPTSw3Tokenizer",
     .tokens = {[CLASS_BOS] = "<s>", [CLASS_EOS] = END, [CLASS_UNK] = "<unk>", [CLASS_PAD] = "<pad>"},
     .model_file = FILE_NAME_SPIECE,
     .model_cleans = true},
};

/* What a type of model is given where no class is named; types that are not here get the generic one. */
static const struct {
    const char *type, *class;
} by_type[] = {
    {"gpt2", "GPT2Tokenizer"},        {"gpt_neo", "GPT2Tokenizer"},      {"gptj", "GPT2Tokenizer"},
    {"opt", "GPT2Tokenizer"},         {"gpt_bigcode", "GPT2Tokenizer"},  {"starcoder2", "GPT2Tokenizer"},
    {"granite", "GPT2Tokenizer"},     {"codegen", "CodeGenTokenizer"},   {"phi", "CodeGenTokenizer"},
    {"gpt_neox", "GPTNeoXTokenizer"}, {"mpt", "GPTNeoXTokenizer"},       {"stablelm", "GPTNeoXTokenizer"},
    {"olmo", "GPTNeoXTokenizer"},     {"olmo2", "GPTNeoXTokenizer"},     {"bloom", "BloomTokenizer"},
    {"cohere", "CohereTokenizer"},    {"cohere2", "CohereTokenizer"},    {"persimmon", "LlamaTokenizer"},
    {"llama", "LlamaTokenizer"},      {"mistral", "LlamaTokenizer"},     {"phi3", "LlamaTokenizer"},
    {"qwen2", "Qwen2Tokenizer"},      {"qwen3", "Qwen2Tokenizer"},       {"gemma", "GemmaTokenizer"},
    {"gemma2", "GemmaTokenizer"},     {"gemma3_text", "GemmaTokenizer"}, {"xglm", "XGLMTokenizer"},
};

/* A name with or without "Fast". */
static const struct tokenizer_class *find_name(const char *name) {
    size_t length = strlen(name);
    if (length > 4 && strcmp(name + length - 4, "Fast") == 0) length -= 4;
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strlen(classes[i].name) == length && memcmp(classes[i].name, name, length) == 0)
            return &classes[i];
    return NULL;
}

static const struct tokenizer_class *find_type(const json_t *model) {
    const char *type = json_string_value(json_object_get(model, "model_type"));
    for (size_t i = 0; type && i < sizeof by_type / sizeof by_type[0]; i++)
        if (strcmp(by_type[i].type, type) == 0) return find_name(by_type[i].class);
    return &classes[GENERIC];
}

enum status tokenizer_class_find(const json_t *config, const json_t *model,
                                 const struct tokenizer_class **out, bool *named, struct error *e) {
    const char *name = json_string_value(json_object_get(config, "tokenizer_class"));
    const char *where = name ? FILE_NAME_TOKENIZER_CONFIG : FILE_NAME_MODEL_CONFIG;
    if (!name) name = json_string_value(json_object_get(model, "tokenizer_class"));
    *named = name != NULL;
    *out = name ? find_name(name) : find_type(model);
    if (*out) return STATUS_OK;
    return error_set(
        e, STATUS_UNSUPPORTED, where,
        "tokenizer_class: '%s' is not supported (PreTrainedTokenizerFast in its place would read "
        "tokenizer.json as it stands)",
        name);
}
