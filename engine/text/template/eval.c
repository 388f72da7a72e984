/* Expressions. */
#include "engine/text/template/eval.h"

#include "engine/text/template/filters.h"
#include "engine/text/template/print.h"
#include "engine/text/template/tests.h"

struct scope *scope_create(struct render *r, struct scope *parent) {
    struct scope *s = render_take(r, 1, sizeof *s);
    if (s) s->parent = parent;
    return s;
}

/* *found: what the scope itself has of that name, or NULL. */
static bool find_binding(struct render *r, const struct scope *s, unsigned symbol, struct binding **found) {
    size_t i = 0;
    while (i < s->count && s->items[i].symbol != symbol) i++;
    *found = i < s->count ? &s->items[i] : NULL;
    return render_steps(r, i / 8);
}

bool scope_set(struct render *r, struct scope *s, unsigned symbol, struct value v) {
    struct binding *found;
    if (!find_binding(r, s, symbol, &found)) return false;
    if (found) {
        found->value = v;
        return true;
    }
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 8;
        struct binding *items = render_take(r, capacity, sizeof *items);
        if (!items) return false;
        for (size_t i = 0; i < s->count; i++) items[i] = s->items[i];
        s->items = items;
        s->capacity = capacity;
    }
    s->items[s->count++] = (struct binding){symbol, v};
    return true;
}

bool scope_get(struct render *r, const struct scope *s, const struct node *name, struct value *out) {
    for (; s; s = s->parent) {
        struct binding *found;
        if (!find_binding(r, s, name->symbol, &found)) return false;
        if (!found) continue;
        *out = found->value;
        return true;
    }
    struct value *known = &r->variables[name->symbol];
    if (known->kind == VALUE_MISSING) {
        if (!input_get(r, name->name, known)) return false;
        if (known->kind == VALUE_MISSING && !globals_get(r, name->name, known)) return false;
        if (known->kind == VALUE_MISSING) *known = UNDEFINED(name->message);
    }
    *out = *known;
    return true;
}

static bool eval_all(struct render *r, struct scope *s, const struct node *node, struct list **out) {
    *out = list_create(r, node->kind == NODE_TUPLE ? LIST_TUPLE : LIST_LIST, node->count);
    if (!*out) return false;
    for (size_t i = 0; i < node->count; i++)
        if (!eval(r, s, node->items[i], &(*out)->items[i])) return false;
    (*out)->count = node->count;
    return true;
}

static bool eval_list(struct render *r, struct scope *s, const struct node *node, struct value *out) {
    struct list *list;
    if (!eval_all(r, s, node, &list)) return false;
    *out = list_value(list);
    return true;
}

static bool eval_dict(struct render *r, struct scope *s, const struct node *node, struct value *out) {
    struct dict *d = dict_create(r, node->count / 2);
    if (!d) return false;
    for (size_t i = 0; i < node->count; i += 2) {
        struct value key, v;
        if (!eval(r, s, node->items[i], &key) || !eval(r, s, node->items[i + 1], &v) ||
            !dict_set(r, d, key, v))
            return false;
    }
    *out = dict_value(d);
    return true;
}

static bool eval_concat(struct render *r, struct scope *s, const struct node *node, struct value *out) {
    const struct string *sum = NULL;
    for (size_t i = 0; i < node->count; i++) {
        struct value v;
        const struct string *text;
        if (!eval(r, s, node->items[i], &v) || !print_value(r, &v, &text)) return false;
        text = string_with_safety(r, text, false);
        if (!text) return false;
        sum = sum ? string_concat(r, sum, text) : text;
        if (!sum) return false;
    }
    *out = STRING(sum);
    return true;
}

static bool eval_compare(struct render *r, struct scope *s, const struct node *node, struct value *out) {
    struct value left, right;
    bool holds = true;
    if (!eval(r, s, node->a, &left)) return false;
    for (size_t i = 0; holds && i < node->count; i++) {
        if (!eval(r, s, node->items[i], &right)) return false;
        if (!operator_compare(r, node->operators[i], &left, &right, &holds)) return false;
        left = right;
    }
    *out = BOOLEAN(holds);
    return true;
}

static bool eval_logic(struct render *r, struct scope *s, const struct node *node, struct value *out) {
    if (!eval(r, s, node->a, out)) return false;
    return value_truth(out) == (node->kind == NODE_AND) ? eval(r, s, node->b, out) : true;
}

static bool eval_conditional(struct render *r, struct scope *s, const struct node *node, struct value *out) {
    struct value condition;
    if (!eval(r, s, node->b, &condition)) return false;
    if (value_truth(&condition)) return eval(r, s, node->a, out);
    if (node->c) return eval(r, s, node->c, out);
    *out = UNDEFINED("the inline if-expression evaluated to false and no else section was defined.");
    return true;
}

static bool eval_slice(struct render *r, struct scope *s, const struct node *node, struct value *out) {
    struct value v, bounds[3] = {NONE, NONE, NONE};
    if (!eval(r, s, node->a, &v)) return false;
    for (size_t i = 0; i < 3; i++)
        if (node->items[i] && !eval(r, s, node->items[i], &bounds[i])) return false;
    return access_slice(r, &v, bounds, out);
}

static bool apply_filter(struct render *r, struct scope *s, const struct node *node, const struct value *v,
                         struct value *out) {
    struct arguments a;
    if (!node->filter)
        return render_error(r, "No filter named '%.*s' found.", (int)(node->name->length & 255),
                            node->name->bytes);
    if (!call_arguments(r, s, node->call, &a)) return false;
    r->line = node->line;
    return filters_apply(r, node->filter, v, &a, out);
}

static bool eval_filter(struct render *r, struct scope *s, const struct node *node, struct value *out) {
    struct value v;
    return eval(r, s, node->a, &v) && apply_filter(r, s, node, &v, out);
}

bool eval_block_filters(struct render *r, struct scope *s, const struct node *node, const struct value *v,
                        struct value *out) {
    struct value inner = *v;
    if (!render_enter(r)) return false;
    bool done = !node->a || eval_block_filters(r, s, node->a, v, &inner);
    render_leave(r);
    return done && apply_filter(r, s, node, &inner, out);
}

static bool eval_test(struct render *r, struct scope *s, const struct node *node, struct value *out) {
    struct value v;
    struct arguments a;
    bool holds;
    if (!eval(r, s, node->a, &v)) return false;
    if (!node->test)
        return render_error(r, "No test named '%.*s' found.", (int)(node->name->length & 255),
                            node->name->bytes);
    if (!call_arguments(r, s, node->call, &a) || !tests_apply(r, node->test, &v, &a, &holds)) return false;
    *out = BOOLEAN(holds);
    return true;
}

static bool eval_call(struct render *r, struct scope *s, const struct node *node, struct value *out) {
    struct value callee;
    struct arguments a;
    if (!eval(r, s, node->a, &callee) || !call_arguments(r, s, node->call, &a)) return false;
    r->line = node->line;
    return call_value(r, &callee, &a, out);
}

static bool eval_attribute(struct render *r, struct scope *s, const struct node *node, struct value *out) {
    struct value v;
    if (!eval(r, s, node->a, &v)) return false;
    r->line = node->line;
    return access_attribute(r, &v, node->name, node->message, out);
}

static bool eval_item(struct render *r, struct scope *s, const struct node *node, struct value *out) {
    struct value v, key;
    if (!eval(r, s, node->a, &v) || !eval(r, s, node->b, &key)) return false;
    r->line = node->line;
    return access_item(r, &v, &key, node->message, out);
}

static bool eval_unary(struct render *r, struct scope *s, const struct node *node, struct value *out) {
    struct value v;
    if (!eval(r, s, node->a, &v)) return false;
    if (node->kind != NODE_NOT) return operator_unary(r, node->kind, &v, out);
    *out = BOOLEAN(!value_truth(&v));
    return true;
}

static bool eval_binary(struct render *r, struct scope *s, const struct node *node, struct value *out) {
    struct value a, b;
    if (!eval(r, s, node->a, &a) || !eval(r, s, node->b, &b)) return false;
    r->line = node->line;
    return operator_binary(r, node->kind, &a, &b, out);
}

static bool eval_kind(struct render *r, struct scope *s, const struct node *node, struct value *out) {
    switch (node->kind) {
    case NODE_LIST:
    case NODE_TUPLE:
        return eval_list(r, s, node, out);
    case NODE_DICT:
        return eval_dict(r, s, node, out);
    case NODE_ATTRIBUTE:
        return eval_attribute(r, s, node, out);
    case NODE_ITEM:
        return eval_item(r, s, node, out);
    case NODE_SLICE:
        return eval_slice(r, s, node, out);
    case NODE_CALL:
        return eval_call(r, s, node, out);
    case NODE_FILTER:
        return eval_filter(r, s, node, out);
    case NODE_TEST:
        return eval_test(r, s, node, out);
    case NODE_NOT:
    case NODE_NEGATE:
    case NODE_PLUS:
        return eval_unary(r, s, node, out);
    case NODE_AND:
    case NODE_OR:
        return eval_logic(r, s, node, out);
    case NODE_CONCAT:
        return eval_concat(r, s, node, out);
    case NODE_COMPARE:
        return eval_compare(r, s, node, out);
    case NODE_CONDITIONAL:
        return eval_conditional(r, s, node, out);
    default:
        return eval_binary(r, s, node, out);
    }
}

bool eval(struct render *r, struct scope *s, const struct node *node, struct value *out) {
    if (!render_steps(r, 1)) return false;
    if (node->kind == NODE_CONSTANT) {
        *out = node->constant;
        return true;
    }
    if (node->kind == NODE_NAME) return scope_get(r, s, node, out);
    if (!render_enter(r)) return false;
    r->line = node->line;
    bool done = eval_kind(r, s, node, out);
    render_leave(r);
    return done;
}
