#include "engine/text/template/template.h"

#include <stdlib.h>
#include <string.h>

#include "engine/text/template/eval.h"
#include "engine/text/template/parser.h"
#include "engine/text/unicode/unicode.h"

/* Memory of a syntax tree: its nodes, and strings of no more bytes than the source has. */
#define TREE_BYTES_MAX ((size_t)64 << 20)

enum status template_create(const char *text, size_t length, struct template **out, struct error *e) {
    *out = NULL;
    if (length > TEMPLATE_SOURCE_BYTES_MAX)
        return error_set(e, STATUS_LIMIT, "chat template", "it has %zu bytes, more than %zu", length,
                         TEMPLATE_SOURCE_BYTES_MAX);
    size_t valid = utf8_valid_prefix(text, length);
    if (valid != length || memchr(text, '\0', length))
        return error_set(e, STATUS_MALFORMED, "chat template", "it is no text: not UTF-8, or with NULs");
    struct template *t = calloc(1, sizeof *t);
    if (!t) return error_set(e, STATUS_NO_MEMORY, "chat template", "no memory for it");
    t->arena.bytes_max = TREE_BYTES_MAX;
    enum status status = parser_run(t, text, length, e);
    if (status == STATUS_OK)
        *out = t;
    else
        template_destroy(t);
    return status;
}

void template_destroy(struct template *t) {
    if (!t) return;
    arena_deinit(&t->arena);
    free(t);
}

void template_text_deinit(struct template_text *t) {
    free(t->text);
    free(t->client);
    *t = (struct template_text){0};
}

/* Runs of marked bytes; returns how many, and writes them where there is room. */
static size_t find_ranges(const struct builder *b, struct text_range *out) {
    size_t count = 0, at = 0;
    if (!b->marks && b->client && b->length > 0) {
        if (out) out[0] = (struct text_range){0, b->length};
        return 1;
    }
    while (b->marks && at < b->length) {
        size_t start = at;
        while (at < b->length && b->marks[at] == b->marks[start]) at++;
        if (!b->marks[start]) continue;
        if (out) out[count] = (struct text_range){start, at};
        count++;
    }
    return count;
}

static enum status take_output(const struct builder *b, struct template_text *out, struct error *e) {
    size_t count = find_ranges(b, NULL);
    *out = (struct template_text){.length = b->length, .client_count = count};
    out->text = malloc(b->length + 1);
    if (count > 0) out->client = calloc(count, sizeof *out->client);
    if (!out->text || (count > 0 && !out->client)) {
        template_text_deinit(out);
        return error_set(e, STATUS_NO_MEMORY, "chat template", "no memory for its text");
    }
    if (b->length > 0) memcpy(out->text, b->bytes, b->length);
    out->text[b->length] = '\0';
    if (count > 0) find_ranges(b, out->client);
    return STATUS_OK;
}

static size_t lower_limit(size_t asked, size_t limit) {
    return asked > 0 && asked < limit ? asked : limit;
}

enum status template_render(const struct template *t, const struct template_input *input,
                            struct template_text *out, struct error *e) {
    struct error unused;
    struct render r = {.arena = {.bytes_max = lower_limit(input->memory_max, TEMPLATE_MEMORY_MAX)},
                       .steps_max = lower_limit(input->steps_max, TEMPLATE_STEPS_MAX),
                       .template = t,
                       .input = input,
                       .line = 1,
                       .e = e ? e : &unused};
    struct builder output = {.r = &r};
    *out = (struct template_text){0};
    r.output = &output;
    r.variables = render_take(&r, t->symbols.count, sizeof *r.variables);
    struct scope *root = r.variables ? scope_create(&r, NULL) : NULL;
    bool done = root && exec(&r, root, t->body) != FLOW_FAILED && !output.failed;
    enum status status = done ? take_output(&output, out, r.e) : r.e->code;
    arena_deinit(&r.arena);
    return status;
}
