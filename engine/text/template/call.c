/* Arguments and calls. */
#include <string.h>

#include "engine/text/template/eval.h"
#include "engine/text/template/for_loop.h"
#include "engine/text/template/methods.h"

/* ---- arguments as they are written --------------------------------------------------------------------- */

static bool unpack_rest(struct render *r, struct scope *s, const struct node *rest, struct arguments *out) {
    struct value v;
    struct list *list;
    if (!eval(r, s, rest, &v) || !value_elements(r, &v, &list)) return false;
    struct value *items = render_take(r, out->count + list->count, sizeof *items);
    if (!items || !render_steps(r, list->count)) return false;
    for (size_t i = 0; i < out->count; i++) items[i] = out->items[i];
    for (size_t i = 0; i < list->count; i++) items[out->count + i] = list->items[i];
    out->items = items;
    out->count += list->count;
    return true;
}

static bool unpack_keywords(struct render *r, struct scope *s, const struct node *rest,
                            struct arguments *out) {
    struct value v;
    if (!eval(r, s, rest, &v)) return false;
    if (v.kind != VALUE_DICT)
        return render_error(r, "argument after ** must be a mapping, not %s", value_type(&v));
    struct keyword *keywords = render_take(r, out->keyword_count + v.dict->count, sizeof *keywords);
    if (!keywords || !render_steps(r, v.dict->count)) return false;
    for (size_t i = 0; i < out->keyword_count; i++) keywords[i] = out->keywords[i];
    for (size_t i = 0; i < v.dict->count; i++) {
        const struct entry *entry = &v.dict->entries[i];
        if (entry->key.kind != VALUE_STRING) return render_error(r, "keywords must be strings");
        keywords[out->keyword_count + i] = (struct keyword){entry->key.string, entry->value};
    }
    out->keywords = keywords;
    out->keyword_count += v.dict->count;
    return true;
}

static bool eval_keywords(struct render *r, struct scope *s, const struct call *call, struct arguments *out) {
    out->keyword_count = call->keyword_count;
    if (call->keyword_count > 0) {
        out->keywords = render_take(r, call->keyword_count, sizeof *out->keywords);
        if (!out->keywords) return false;
    }
    for (size_t i = 0; i < call->keyword_count; i++) {
        out->keywords[i].name = call->names[i];
        if (!eval(r, s, call->values[i], &out->keywords[i].value)) return false;
    }
    return !call->keyword_rest || unpack_keywords(r, s, call->keyword_rest, out);
}

bool call_arguments(struct render *r, struct scope *s, const struct call *call, struct arguments *out) {
    *out = (struct arguments){.count = call->count};
    if (call->count > 0) {
        out->items = render_take(r, call->count, sizeof *out->items);
        if (!out->items) return false;
    }
    for (size_t i = 0; i < call->count; i++)
        if (!eval(r, s, call->items[i], &out->items[i])) return false;
    if (call->rest && !unpack_rest(r, s, call->rest, out)) return false;
    return eval_keywords(r, s, call, out);
}

/* ---- arguments as they are taken ----------------------------------------------------------------------- */

/* The place of a name among those with blanks between them; PARAMETERS_MAX: it is not there. */
static size_t find_parameter(const char *parameters, const struct string *name) {
    size_t index = 0;
    for (const char *at = parameters; *at; index++) {
        size_t length = strcspn(at, " ");
        if (length == name->length && memcmp(at, name->bytes, length) == 0) return index;
        at += length + (at[length] == ' ');
    }
    return PARAMETERS_MAX;
}

static size_t count_parameters(const char *parameters) {
    size_t count = *parameters != '\0';
    for (; *parameters; parameters++) count += *parameters == ' ';
    return count;
}

bool call_bind(struct render *r, const char *what, const char *parameters, size_t required, bool keywords,
               const struct arguments *a, struct value p[PARAMETERS_MAX]) {
    size_t count = count_parameters(parameters);
    memset(p, 0, PARAMETERS_MAX * sizeof *p);
    if (a->count > count)
        return render_error(r, "%s takes at most %zu argument(s) (%zu given)", what, count, a->count);
    for (size_t i = 0; i < a->count; i++) p[i] = a->items[i];
    for (size_t i = 0; i < a->keyword_count; i++) {
        const struct string *name = a->keywords[i].name;
        size_t index = keywords ? find_parameter(parameters, name) : PARAMETERS_MAX;
        if (index == PARAMETERS_MAX)
            return render_error(r, "%s got an unexpected keyword argument '%.*s'", what,
                                (int)(name->length & 255), name->bytes);
        if (p[index].kind != VALUE_MISSING)
            return render_error(r, "%s got multiple values for argument '%.*s'", what,
                                (int)(name->length & 255), name->bytes);
        p[index] = a->keywords[i].value;
    }
    for (size_t i = 0; i < required; i++)
        if (p[i].kind == VALUE_MISSING) return render_error(r, "%s lacks an argument", what);
    return true;
}

/* ---- macros -------------------------------------------------------------------------------------------- */

bool call_define(struct render *r, struct scope *s, const struct node *node, const char *name,
                 struct value *out) {
    struct callable *c = render_take(r, 1, sizeof *c);
    if (!c) return false;
    if (node->name) {
        char *copy = render_take_bytes(r, node->name->length + 1);
        if (!copy) return false;
        memcpy(copy, node->name->bytes, node->name->length);
        copy[node->name->length] = '\0';
        name = copy;
    }
    *c = (struct callable){.kind = CALLABLE_MACRO, .name = name, .node = node, .scope = s};
    *out = (struct value){.kind = VALUE_CALLABLE, .callable = c};
    return true;
}

/* Takes a keyword out of the arguments; VALUE_MISSING: it is not there. */
static bool take_keyword(struct render *r, struct arguments *a, const struct string *name,
                         struct value *out) {
    *out = (struct value){0};
    if (!render_steps(r, a->keyword_count / 8)) return false;
    for (size_t i = 0; i < a->keyword_count; i++) {
        if (!string_equal(a->keywords[i].name, name)) continue;
        *out = a->keywords[i].value;
        a->keyword_count--;
        memmove(a->keywords + i, a->keywords + i + 1, (a->keyword_count - i) * sizeof *a->keywords);
        break;
    }
    return true;
}

static bool bind_parameters(struct render *r, const struct node *node, struct scope *s, struct arguments *a) {
    for (size_t i = 0; i < node->count; i++) {
        const struct node *parameter = node->items[i];
        struct value v;
        if (i < a->count)
            v = a->items[i];
        else if (!take_keyword(r, a, parameter->name, &v))
            return false;
        if (v.kind == VALUE_MISSING && i >= node->required &&
            !eval(r, s, node->defaults[i - node->required], &v))
            return false;
        if (v.kind == VALUE_MISSING) v = UNDEFINED("a parameter of a macro was not provided");
        if (!scope_set(r, s, parameter->symbol, v)) return false;
    }
    return true;
}

static bool bind_kwargs(struct render *r, const struct node *node, struct scope *s, const char *name,
                        const struct arguments *a) {
    struct dict *kwargs = node->wants_kwargs ? dict_create(r, a->keyword_count) : NULL;
    if (!node->wants_kwargs && a->keyword_count > 0)
        return render_error(r, "macro '%s' takes no keyword argument '%.*s'", name,
                            (int)(a->keywords[0].name->length & 255), a->keywords[0].name->bytes);
    if (!node->wants_kwargs) return true;
    for (size_t i = 0; kwargs && i < a->keyword_count; i++)
        if (!dict_set(r, kwargs, STRING(a->keywords[i].name), a->keywords[i].value)) return false;
    return kwargs && scope_set(r, s, r->template->kwargs, dict_value(kwargs));
}

static bool bind_varargs(struct render *r, const struct node *node, struct scope *s, const char *name,
                         const struct arguments *a) {
    size_t more = a->count > node->count ? a->count - node->count : 0;
    if (!node->wants_varargs && more > 0)
        return render_error(r, "macro '%s' takes not more than %zu argument(s)", name, node->count);
    if (!node->wants_varargs) return true;
    struct list *varargs = list_create(r, LIST_TUPLE, more);
    if (!varargs) return false;
    for (size_t i = 0; i < more; i++) varargs->items[i] = a->items[node->count + i];
    varargs->count = more;
    return scope_set(r, s, r->template->varargs, list_value(varargs));
}

static bool bind_macro(struct render *r, const struct callable *c, struct scope *s, struct arguments *a) {
    static const struct string caller = STRING_LITERAL("caller");
    const struct node *node = c->node;
    if (!bind_parameters(r, node, s, a)) return false;
    if (node->wants_caller) {
        struct value v;
        if (!take_keyword(r, a, &caller, &v)) return false;
        if (v.kind == VALUE_MISSING || v.kind == VALUE_NONE) v = UNDEFINED("No caller defined");
        if (!scope_set(r, s, r->template->caller, v)) return false;
    }
    return bind_kwargs(r, node, s, c->name, a) && bind_varargs(r, node, s, c->name, a);
}

static bool call_macro(struct render *r, const struct callable *c, const struct arguments *a,
                       struct value *out) {
    enum flow flow;
    struct arguments own = *a; /* its keywords are taken from a copy */
    struct scope *s = scope_create(r, c->scope);
    own.keywords = render_take(r, a->keyword_count, sizeof *own.keywords);
    if (!s || !own.keywords) return false;
    for (size_t i = 0; i < a->keyword_count; i++) own.keywords[i] = a->keywords[i];
    if (!render_enter(r)) return false;
    bool done = bind_macro(r, c, s, &own) && exec_captured(r, s, c->node->b, &flow, out);
    render_leave(r);
    return done;
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static bool call_method(struct render *r, const struct callable *c, const struct arguments *a,
                        struct value *out) {
    struct value p[PARAMETERS_MAX];
    const struct method *m = c->method;
    char what[48];
    if (!m->run)
        return render_fail(r, STATUS_UNSUPPORTED, "the method '%s' of a %s is not supported", m->name,
                           value_type(&c->self));
    size_t length = strlen(m->name);
    memcpy(what, m->name, length);
    memcpy(what + length, "()", 3);
    return call_bind(r, what, m->parameters, m->required, m->keywords, a, p) && m->run(r, &c->self, p, out);
}

bool call_value(struct render *r, const struct value *callee, const struct arguments *a, struct value *out) {
    if (callee->kind == VALUE_UNDEFINED) return render_error(r, "%s", callee->undefined);
    if (callee->kind == VALUE_LOOP) return for_loop_call(r, callee->loop, a, out);
    if (callee->kind != VALUE_CALLABLE)
        return render_error(r, "'%s' object is not callable", value_type(callee));
    struct callable *c = callee->callable;
    if (c->kind == CALLABLE_MACRO) return call_macro(r, c, a, out);
    if (c->kind == CALLABLE_METHOD && c->method) return call_method(r, c, a, out);
    if (c->call) return c->call(r, c, a, out);
    return render_error(r, "'%s' object is not callable", c->name);
}
