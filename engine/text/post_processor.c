#include "engine/text/post_processor.h"

#include <stdlib.h>
#include <string.h>

#include "engine/text/containers/text_buffer.h"

struct reader {
    struct post_processor *into;
    const struct tokenizer *tokenizer;
    struct token_list before, after; /* of the processor that is being read */
    bool past_text;
};

static enum status add_id(struct reader *r, const struct json_path *path, const json_t *value,
                          struct error *e) {
    json_int_t id = json_integer_value(value);
    if (!json_is_integer(value) || id < 0 || id > INT32_MAX || !tokenizer_has(r->tokenizer, (int32_t)id))
        return json_path_error(path, STATUS_MALFORMED, e, "expected the id of a token");
    const struct post_processor *p = r->into;
    if (r->before.count + r->after.count + p->before.count + p->after.count >= POST_PROCESSOR_PARTS_MAX)
        return json_path_error(path, STATUS_LIMIT, e, "more than %d ids", POST_PROCESSOR_PARTS_MAX);
    struct token_list *list = r->past_text ? &r->after : &r->before;
    return token_list_add(list, (int32_t)id) ? STATUS_OK : text_no_memory(e);
}

/* special_tokens.<name>.ids */
static enum status add_special(struct reader *r, const struct json_path *template, const char *name,
                               struct error *e) {
    struct json_path tokens = json_path_member(template, "special_tokens");
    struct json_path token = json_path_member(&tokens, name);
    struct json_path ids = json_path_member(&token, "ids");
    size_t count;
    enum status status = json_path_array(&ids, &count, e);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        struct json_path id = json_path_element(&ids, i);
        status = add_id(r, &id, id.value, e);
    }
    return status;
}

static enum status read_part(struct reader *r, const struct json_path *template, const struct json_path *part,
                             struct error *e) {
    struct json_path special = json_path_member(part, "SpecialToken"),
                     text = json_path_member(part, "Sequence");
    const char *name;
    enum status status = json_path_string(special.value ? &special : &text, "id", NULL, &name, NULL, e);
    if (status != STATUS_OK) return status;
    if (special.value) return add_special(r, template, name, e);
    if (strcmp(name, "A") != 0 || r->past_text)
        return json_path_error(part, STATUS_UNSUPPORTED, e,
                               "a template of one text has $A once, not '%s' here", name);
    r->past_text = true;
    return STATUS_OK;
}

static enum status read_template(struct reader *r, const struct json_path *path, struct error *e) {
    struct json_path single = json_path_member(path, "single");
    size_t count;
    enum status status = json_path_array(&single, &count, e);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        struct json_path part = json_path_element(&single, i);
        status = read_part(r, path, &part, e);
    }
    if (status == STATUS_OK && !r->past_text)
        return json_path_error(&single, STATUS_UNSUPPORTED, e, "a template without the text itself");
    r->into->divided = count > 1;
    return status;
}

/* RobertaProcessing and BertProcessing: "cls": [content, id] before the text and "sep" behind it. */
static enum status read_pair(struct reader *r, const struct json_path *path, struct error *e) {
    struct json_path start = json_path_member(path, "cls"), end = json_path_member(path, "sep");
    enum status status = add_id(r, &start, json_array_get(start.value, 1), e);
    r->past_text = true;
    return status == STATUS_OK ? add_id(r, &end, json_array_get(end.value, 1), e) : status;
}

static enum status add_all(struct token_list *to, const struct token_list *from, struct error *e) {
    for (size_t i = 0; i < from->count; i++)
        if (!token_list_add(to, from->ids[i])) return text_no_memory(e);
    return STATUS_OK;
}

/* What this processor says goes around what those before it said. */
static enum status wrap(struct reader *r, struct error *e) {
    enum status status = add_all(&r->before, &r->into->before, e);
    if (status == STATUS_OK) status = add_all(&r->into->after, &r->after, e);
    if (status != STATUS_OK) return status;
    struct token_list kept = r->into->before;
    r->into->before = r->before;
    r->before = kept;
    return STATUS_OK;
}

static enum status
read_wrapping(struct post_processor *p, const struct json_path *path, const struct tokenizer *t,
              enum status (*read)(struct reader *, const struct json_path *, struct error *),
              struct error *e) {
    struct reader r = {.into = p, .tokenizer = t};
    if (p->divided)
        return json_path_error(
            path, STATUS_UNSUPPORTED, e,
            "follows a template that adds tokens, each of which the library then takes for "
            "a text of its own");
    enum status status = read(&r, path, e);
    if (status == STATUS_OK) status = wrap(&r, e);
    free(r.before.ids);
    free(r.after.ids);
    return status;
}

static enum status read_any(struct post_processor *p, const struct json_path *path, const struct tokenizer *t,
                            struct error *e);

static enum status read_sequence(struct post_processor *p, const struct json_path *path,
                                 const struct tokenizer *t, struct error *e) {
    struct json_path list = json_path_member(path, "processors");
    size_t count;
    enum status status = json_path_array(&list, &count, e);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        struct json_path element = json_path_element(&list, i);
        status = read_any(p, &element, t, e);
    }
    return status;
}

static enum status read_any(struct post_processor *p, const struct json_path *path, const struct tokenizer *t,
                            struct error *e) {
    const char *type;
    enum status status = json_path_type(path, &type, e);
    if (status != STATUS_OK) return status;
    if (strcmp(type, "ByteLevel") == 0) return STATUS_OK;
    if (strcmp(type, "Sequence") == 0) return read_sequence(p, path, t, e);
    if (strcmp(type, "TemplateProcessing") == 0) return read_wrapping(p, path, t, read_template, e);
    if (strcmp(type, "RobertaProcessing") == 0 || strcmp(type, "BertProcessing") == 0)
        return read_wrapping(p, path, t, read_pair, e);
    struct json_path at = json_path_member(path, "type");
    return json_path_error(&at, STATUS_UNSUPPORTED, e, "'%s' is not supported", type);
}

enum status post_processor_init(struct post_processor *p, const struct json_path *path,
                                const struct tokenizer *t, struct error *e) {
    *p = (struct post_processor){0};
    return path->value ? read_any(p, path, t, e) : STATUS_OK;
}

void post_processor_deinit(struct post_processor *p) {
    free(p->before.ids);
    free(p->after.ids);
    *p = (struct post_processor){0};
}
