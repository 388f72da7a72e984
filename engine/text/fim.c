#include "engine/text/fim.h"

#include <stdlib.h>
#include <string.h>

#include "engine/text/tokenizer_parts.h"

/* A row a way to name the three tokens. Beside those of `ends` that a tokenizer has, the three themselves end a middle:
 * a model that writes one of them begins another. */
struct scheme {
    const char *prefix, *suffix, *middle;
    const char *ends[FIM_ENDS_MAX - 3];
    bool is_joined;
};

static const struct scheme schemes[] = {
    /* StarCoder, StarCoder2, Granite Code, Stable Code, CodeQwen1.5, Refact, Replit */
    {"<fim_prefix>",
     "<fim_suffix>",
     "<fim_middle>",
     {"<fim_pad>", "<file_sep>", "<repo_name>", "<filename>", "<reponame>", "<|endoftext|>"},
     false},
    /* SantaCoder */
    {"<fim-prefix>", "<fim-suffix>", "<fim-middle>", {"<fim-pad>", "<|endoftext|>"}, false},
    /* CodeLlama: infilling_prompt_tokens of its authors */
    {"▁<PRE>", "▁<SUF>", "▁<MID>", {"▁<EOT>"}, true},
    /* Qwen2.5-Coder, Qwen3-Coder, CodeGemma, Granite 4 */
    {"<|fim_prefix|>",
     "<|fim_suffix|>",
     "<|fim_middle|>",
     {"<|fim_pad|>", "<|file_sep|>", "<|repo_name|>", "<|file_separator|>", "<|filename|>", "<|reponame|>",
      "<|endoftext|>", "<|im_end|>"},
     false},
    /* DeepSeek-Coder, DeepSeek-Coder-V2: begin, hole and end are what stands before prefix, suffix and middle */
    {"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", {"<｜end▁of▁sentence｜>"}, false},
};

static void add_end(struct fim *fim, int32_t id) {
    if (id >= 0) fim->ends[fim->end_count++] = id;
}

static bool use(struct fim *fim, const struct tokenizer *t, const struct scheme *scheme) {
    struct fim found = {.prefix = tokenizer_find(t, scheme->prefix),
                        .suffix = tokenizer_find(t, scheme->suffix),
                        .middle = tokenizer_find(t, scheme->middle),
                        .is_joined = scheme->is_joined};
    if (found.prefix < 0 || found.suffix < 0 || found.middle < 0) return false;
    add_end(&found, found.prefix);
    add_end(&found, found.suffix);
    add_end(&found, found.middle);
    for (size_t i = 0; i < sizeof scheme->ends / sizeof *scheme->ends && scheme->ends[i]; i++)
        add_end(&found, tokenizer_find(t, scheme->ends[i]));
    *fim = found;
    return true;
}

void fim_init(struct fim *fim, const struct tokenizer *t) {
    *fim = (struct fim){0};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (use(fim, t, &schemes[i])) return;
}

static enum status add_id(struct token_list *out, int32_t id, struct error *e) {
    return token_list_add(out, id) ? STATUS_OK : text_no_memory(e);
}

/* What stands before a text keeps the tokenizer from putting a blank there: a sign that no other text has a token with,
 * whose own ids are taken off again. It is the one that CodeLlama's authors use. */
static const char sign[] = "☺";

static enum status encode_joined(const struct tokenizer *t, const char *text, size_t length,
                                 size_t tokens_max, struct token_list *out, struct error *e) {
    struct token_list of_sign = {0}, both = {0};
    char *joined = malloc(sizeof sign - 1 + length);
    if (!joined) return text_no_memory(e);
    memcpy(joined, sign, sizeof sign - 1);
    if (length) memcpy(joined + sizeof sign - 1, text, length);
    enum status status = tokenizer_encode(t, sign, sizeof sign - 1, false, 0, &of_sign, e);
    const struct text_range all = {0, sizeof sign - 1 + length};
    if (status == STATUS_OK)
        status = tokenizer_encode_guarded(t, joined, all.end, false, &all, 1,
                                          tokens_max ? tokens_max + of_sign.count : 0, &both, e);
    if (status == STATUS_OK && (both.count < of_sign.count ||
                                memcmp(both.ids, of_sign.ids, of_sign.count * sizeof *of_sign.ids) != 0))
        status =
            error_set(e, STATUS_UNSUPPORTED, "suffix", "the tokenizer joins its beginning with '%s'", sign);
    for (size_t i = of_sign.count; status == STATUS_OK && i < both.count; i++)
        status = add_id(out, both.ids[i], e);
    free(joined);
    free(of_sign.ids);
    free(both.ids);
    return status;
}

/* Tokens of control that stand in a text are text: else a file that names the tokens of its own tokenizer would end. */
static enum status encode_text(const struct tokenizer *t, const char *text, size_t length, size_t tokens_max,
                               struct token_list *out, struct error *e) {
    const struct text_range all = {0, length};
    return tokenizer_encode_guarded(t, text, length, false, &all, length ? 1 : 0, tokens_max, out, e);
}

static enum status encode_suffix(const struct fim *fim, const struct tokenizer *t, const struct fim_gap *gap,
                                 size_t tokens_max, struct token_list *out, struct error *e) {
    if (fim->is_joined) return encode_joined(t, gap->suffix, gap->suffix_length, tokens_max, out, e);
    return encode_text(t, gap->suffix, gap->suffix_length, tokens_max, out, e);
}

static enum status encode_all(const struct fim *fim, const struct tokenizer *t, const struct fim_gap *gap,
                              size_t tokens_max, struct token_list *out, struct error *e) {
    const struct token_list *before = tokenizer_ids_before(t);
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && gap->special && i < before->count; i++)
        status = add_id(out, before->ids[i], e);
    if (status == STATUS_OK) status = add_id(out, fim->prefix, e);
    if (status == STATUS_OK) status = encode_text(t, gap->prefix, gap->prefix_length, tokens_max, out, e);
    if (status == STATUS_OK) status = add_id(out, fim->suffix, e);
    if (status == STATUS_OK) status = encode_suffix(fim, t, gap, tokens_max, out, e);
    if (status == STATUS_OK) status = add_id(out, fim->middle, e);
    return status;
}

enum status fim_encode(const struct fim *fim, const struct tokenizer *t, const struct fim_gap *gap,
                       size_t tokens_max, struct token_list *out, struct error *e) {
    size_t count = out->count;
    if (!fim->end_count)
        return error_set(e, STATUS_UNSUPPORTED, "suffix", "the tokenizer has no tokens for filling in");
    enum status status = encode_all(fim, t, gap, tokens_max, out, e);
    if (status == STATUS_OK && tokens_max && out->count - count > tokens_max)
        status = error_set(e, STATUS_LIMIT, "tokens", "the texts have more than %zu tokens", tokens_max);
    if (status != STATUS_OK) out->count = count;
    return status;
}
