#include "engine/text/template/filter_rows.h"

#include <string.h>

#include "engine/text/template/methods.h"
#include "engine/text/template/print.h"

const struct filter_row *filters_find(const struct string *name) {
    static const struct filter_row *const tables[] = {text_filters, number_filters, list_filters,
                                                      select_filters};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct filter_row *row = tables[i]; row->name; row++)
            if (string_is(name, row->name)) return row;
    return NULL;
}

bool filters_has(const struct filter_row *row) {
    return row->run || row->raw;
}

bool filters_apply(struct render *r, const struct filter_row *row, const struct value *v,
                   const struct arguments *a, struct value *out) {
    struct value p[PARAMETERS_MAX];
    struct value in = *v; /* out may be the same place */
    if (!filters_has(row))
        return render_fail(r, STATUS_UNSUPPORTED, "the filter '%s' is not supported", row->name);
    if (row->raw) return row->raw(r, &in, a, out);
    return call_bind(r, row->name, row->parameters, row->required, true, a, p) && row->run(r, &in, p, out);
}

bool filter_text(struct render *r, const struct value *v, const struct string **out) {
    return print_value(r, v, out);
}

bool filter_integer(struct render *r, const struct value *v, int64_t absent, int64_t *out) {
    *out = absent;
    if (v->kind == VALUE_MISSING || v->kind == VALUE_NONE) return true;
    if (v->kind != VALUE_INT && v->kind != VALUE_BOOL)
        return render_error(r, "'%s' object cannot be interpreted as an integer", value_type(v));
    *out = value_integer(v);
    return true;
}

bool filter_generator(struct render *r, struct list *found, bool done, struct value *out) {
    found->kind = LIST_ITERATOR;
    *out = list_value(found);
    if (done) return true;
    if (r->e->code != STATUS_INVALID_ARGUMENT) return false;
    r->failed = false;
    found->failure = render_format(r, "%s", r->e->text);
    return !r->failed;
}

/* ---- attributes ---------------------------------------------------------------------------------------- */

static bool add_part(struct render *r, struct getter *g, const struct string *s, size_t start, size_t end) {
    int64_t number = 0;
    bool digits = end > start && end - start < 18;
    for (size_t i = start; digits && i < end; i++) {
        digits = s->bytes[i] >= '0' && s->bytes[i] <= '9';
        if (digits) number = number * 10 + (s->bytes[i] - '0');
    }
    const struct string *part = string_part(r, s, start, end);
    g->parts[g->count++] = digits ? INTEGER(number) : STRING(part);
    return part != NULL;
}

bool getter_init(struct render *r, struct getter *g, const struct value *v) {
    if (v->kind == VALUE_MISSING || v->kind == VALUE_NONE) return true;
    size_t dots = 0;
    if (v->kind == VALUE_STRING)
        for (size_t i = 0; i < v->string->length; i++) dots += v->string->bytes[i] == '.';
    g->parts = render_take(r, dots + 1, sizeof *g->parts);
    if (!g->parts) return false;
    if (v->kind != VALUE_STRING) {
        g->parts[g->count++] = *v;
        return true;
    }
    for (size_t start = 0, end; start <= v->string->length; start = end + 1) {
        const char *dot = memchr(v->string->bytes + start, '.', v->string->length - start);
        end = dot ? (size_t)(dot - v->string->bytes) : v->string->length;
        if (!add_part(r, g, v->string, start, end)) return false;
    }
    return true;
}

bool getter_get(struct render *r, const struct getter *g, const struct value *element, struct value *out) {
    *out = *element;
    if (!render_steps(r, 1)) return false;
    for (size_t i = 0; i < g->count; i++) {
        struct value from = *out;
        if (!access_item(r, &from, &g->parts[i], "an element has no such attribute", out)) return false;
        if (out->kind == VALUE_UNDEFINED && g->absent.kind != VALUE_MISSING) *out = g->absent;
    }
    if (!g->lower || out->kind != VALUE_STRING) return true;
    const struct string *lower = text_case(r, out->string, CASE_LOWER);
    *out = STRING(lower);
    return lower != NULL;
}
