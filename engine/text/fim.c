#include "engine/text/fim.h"

#include <stdlib.h>
#include <string.h>

#include "engine/text/tokenizer_parts.h"

/* A row a way to name the three tokens. Beside those of `ends` that a tokenizer has, the three themselves end a middle:
 * a model that writes one of them begins another. */
struct scheme {
    const char *prefix, *suffix, *middle;
    const char *ends[FIM_ENDS_MAX - 3];
    const char *repositories[2], *files[3]; /* the first of each that the tokenizer has */
    bool is_joined, has_suffix_first;
};

static const struct scheme schemes[] = {
    /* StarCoder, StarCoder2, Granite Code, Stable Code, CodeQwen1.5, Refact, Replit */
    {.prefix = "<fim_prefix>",
     .suffix = "<fim_suffix>",
     .middle = "<fim_middle>",
     .ends = {"<fim_pad>", "<file_sep>", "<repo_name>", "<filename>", "<reponame>", "<|endoftext|>"},
     .repositories = {"<repo_name>", "<reponame>"},
     .files = {"<file_sep>", "<filename>"},
     .has_suffix_first = true},
    /* SantaCoder */
    {.prefix = "<fim-prefix>",
     .suffix = "<fim-suffix>",
     .middle = "<fim-middle>",
     .ends = {"<fim-pad>", "<|endoftext|>"},
     .has_suffix_first = true},
    /* CodeLlama: infilling_prompt_tokens of its authors */
    {.prefix = "▁<PRE>",
     .suffix = "▁<SUF>",
     .middle = "▁<MID>",
     .ends = {"▁<EOT>"},
     .is_joined = true,
     .has_suffix_first = true},
    /* Qwen2.5-Coder, Qwen3-Coder, CodeGemma, Granite 4 */
    {.prefix = "<|fim_prefix|>",
     .suffix = "<|fim_suffix|>",
     .middle = "<|fim_middle|>",
     .ends = {"<|fim_pad|>", "<|file_sep|>", "<|repo_name|>", "<|file_separator|>", "<|filename|>",
              "<|reponame|>", "<|endoftext|>", "<|im_end|>"},
     .repositories = {"<|repo_name|>", "<|reponame|>"},
     .files = {"<|file_sep|>", "<|file_separator|>", "<|filename|>"}},
    /* DeepSeek-Coder, DeepSeek-Coder-V2: begin, hole and end are what stands before prefix, suffix and middle */
    {.prefix = "<｜fim▁begin｜>",
     .suffix = "<｜fim▁hole｜>",
     .middle = "<｜fim▁end｜>",
     .ends = {"<｜end▁of▁sentence｜>"}},
};

static void add_end(struct fim *fim, int32_t id) {
    if (id >= 0) fim->ends[fim->end_count++] = id;
}

static int32_t find_first(const struct tokenizer *t, const char *const *names, size_t count) {
    int32_t id = -1;
    for (size_t i = 0; i < count && names[i] && id < 0; i++) id = tokenizer_find(t, names[i]);
    return id;
}
#define FIND_FIRST(t, names) find_first(t, names, sizeof(names) / sizeof *(names))

static bool use(struct fim *fim, const struct tokenizer *t, const struct scheme *scheme) {
    struct fim found = {.prefix = tokenizer_find(t, scheme->prefix),
                        .suffix = tokenizer_find(t, scheme->suffix),
                        .middle = tokenizer_find(t, scheme->middle),
                        .repository = FIND_FIRST(t, scheme->repositories),
                        .file = FIND_FIRST(t, scheme->files),
                        .is_joined = scheme->is_joined,
                        .has_suffix_first = scheme->has_suffix_first};
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

/* A file's token, its name with a line end, and its text. */
static enum status encode_file(const struct fim *fim, const struct tokenizer *t, const struct fim_file *file,
                               size_t tokens_max, struct token_list *out, struct error *e) {
    char *line = malloc(file->name_length + 1);
    if (!line) return text_no_memory(e);
    if (file->name_length) memcpy(line, file->name, file->name_length);
    line[file->name_length] = '\n';
    enum status status = add_id(out, fim->file, e);
    if (status == STATUS_OK) status = encode_text(t, line, file->name_length + 1, tokens_max, out, e);
    if (status == STATUS_OK) status = encode_text(t, file->text, file->text_length, tokens_max, out, e);
    free(line);
    return status;
}

/* The others, and then the one with the gap, as llama-server writes them: a request says neither the repository's name
 * nor that of its own file, and models were trained with both. */
static enum status encode_files(const struct fim *fim, const struct tokenizer *t, const struct fim_gap *gap,
                                size_t tokens_max, struct token_list *out, struct error *e) {
    static const char repository[] = "myproject\n", name[] = "filename";
    const struct fim_file own = {.name = name, .name_length = sizeof name - 1, .text = ""};
    size_t begun = out->count;
    enum status status = STATUS_OK;
    if (!gap->file_count) return STATUS_OK;
    if (fim->repository >= 0) {
        status = add_id(out, fim->repository, e);
        if (status == STATUS_OK)
            status = encode_text(t, repository, sizeof repository - 1, tokens_max, out, e);
    }
    for (size_t i = 0; status == STATUS_OK && i < gap->file_count; i++) {
        status = encode_file(fim, t, &gap->files[i], tokens_max, out, e);
        if (tokens_max && out->count > begun + tokens_max) return status; /* fim_encode refuses it */
    }
    return status == STATUS_OK ? encode_file(fim, t, &own, tokens_max, out, e) : status;
}

/* The prefix with its token, in the order suffix first with that of the middle: what is written goes on from it. */
static enum status encode_prefix(const struct tokenizer *t, const struct fim_gap *gap, int32_t token,
                                 size_t tokens_max, struct token_list *out, struct error *e) {
    enum status status = add_id(out, token, e);
    return status == STATUS_OK ? encode_text(t, gap->prefix, gap->prefix_length, tokens_max, out, e) : status;
}

static enum status encode_gap(const struct fim *fim, const struct tokenizer *t, const struct fim_gap *gap,
                              size_t tokens_max, struct token_list *out, struct error *e) {
    enum status status = gap->suffix_first ? add_id(out, fim->prefix, e)
                                           : encode_prefix(t, gap, fim->prefix, tokens_max, out, e);
    if (status == STATUS_OK) status = add_id(out, fim->suffix, e);
    if (status == STATUS_OK) status = encode_suffix(fim, t, gap, tokens_max, out, e);
    if (status != STATUS_OK) return status;
    return gap->suffix_first ? encode_prefix(t, gap, fim->middle, tokens_max, out, e)
                             : add_id(out, fim->middle, e);
}

static enum status encode_all(const struct fim *fim, const struct tokenizer *t, const struct fim_gap *gap,
                              size_t tokens_max, struct token_list *out, struct error *e) {
    const struct token_list *before = tokenizer_ids_before(t);
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && gap->special && i < before->count; i++)
        status = add_id(out, before->ids[i], e);
    if (status == STATUS_OK) status = encode_files(fim, t, gap, tokens_max, out, e);
    return status == STATUS_OK ? encode_gap(fim, t, gap, tokens_max, out, e) : status;
}

static enum status check(const struct fim *fim, const struct fim_gap *gap, struct error *e) {
    if (!fim->end_count)
        return error_set(e, STATUS_UNSUPPORTED, "suffix", "the tokenizer has no tokens for filling in");
    if (gap->file_count && fim->file < 0)
        return error_set(e, STATUS_UNSUPPORTED, "input_extra",
                         "the model's tokenizer has no token that begins another file");
    if (gap->suffix_first && !fim->has_suffix_first)
        return error_set(e, STATUS_UNSUPPORTED, "suffix_first",
                         "models with these tokens were trained with the prefix first alone");
    return STATUS_OK;
}

enum status fim_encode(const struct fim *fim, const struct tokenizer *t, const struct fim_gap *gap,
                       size_t tokens_max, struct token_list *out, struct error *e) {
    size_t count = out->count;
    enum status status = check(fim, gap, e);
    if (status == STATUS_OK) status = encode_all(fim, t, gap, tokens_max, out, e);
    if (status == STATUS_OK && tokens_max && out->count - count > tokens_max)
        status = error_set(e, STATUS_LIMIT, "tokens", "the texts have more than %zu tokens", tokens_max);
    if (status != STATUS_OK) out->count = count;
    return status;
}
