/* Statements. */
#include "engine/text/template/eval.h"
#include "engine/text/template/for_loop.h"
#include "engine/text/template/print.h"
#include "engine/text/template/template.h"

static enum flow flow_of(bool done) {
    return done ? FLOW_ON : FLOW_FAILED;
}

static bool write(struct render *r, const struct string *text) {
    builder_string(r->output, text);
    if (r->output->failed) return false;
    if (r->output->length > TEMPLATE_OUTPUT_BYTES_MAX)
        return render_fail(r, STATUS_LIMIT, "the text is longer than %zu MiB",
                           TEMPLATE_OUTPUT_BYTES_MAX >> 20);
    return render_bytes(r, text->length);
}

static bool exec_output(struct render *r, struct scope *s, const struct node *node) {
    struct value v;
    const struct string *text;
    return eval(r, s, node->a, &v) && print_value(r, &v, &text) && write(r, text);
}

static enum flow exec_body(struct render *r, struct scope *s, const struct node *node) {
    for (size_t i = 0; i < node->count; i++) {
        enum flow flow = exec(r, s, node->items[i]);
        if (flow != FLOW_ON) return flow;
    }
    return FLOW_ON;
}

static enum flow exec_if(struct render *r, struct scope *s, const struct node *node) {
    for (; node && node->kind == NODE_IF; node = node->c) {
        struct value condition;
        if (!eval(r, s, node->a, &condition)) return FLOW_FAILED;
        if (value_truth(&condition)) return exec(r, s, node->b);
    }
    return node ? exec(r, s, node) : FLOW_ON;
}

bool exec_captured(struct render *r, struct scope *s, const struct node *body, enum flow *flow,
                   struct value *out) {
    struct builder b = {.r = r}, *output = r->output;
    r->output = &b;
    *flow = exec(r, s, body);
    r->output = output;
    const struct string *text = *flow == FLOW_FAILED ? NULL : builder_take(&b);
    if (!text) *flow = FLOW_FAILED;
    *out = STRING(text);
    return *flow == FLOW_ON;
}

/* ---- assignments --------------------------------------------------------------------------------------- */

static bool assign_tuple(struct render *r, struct scope *s, const struct node *target,
                         const struct value *v) {
    struct list *list;
    if (!value_is_iterable(v)) return render_error(r, "cannot unpack non-iterable %s object", value_type(v));
    if (!value_elements(r, v, &list)) return false;
    if (list->count < target->count)
        return render_error(r, "not enough values to unpack (expected %zu, got %zu)", target->count,
                            list->count);
    if (list->count > target->count)
        return render_error(r, "too many values to unpack (expected %zu)", target->count);
    for (size_t i = 0; i < target->count; i++)
        if (!exec_assign(r, s, target->items[i], &list->items[i])) return false;
    return true;
}

static bool assign_attribute(struct render *r, struct scope *s, const struct node *target,
                             const struct value *v) {
    struct value namespace;
    if (!scope_get(r, s, target, &namespace)) return false;
    if (namespace.kind != VALUE_NAMESPACE)
        return render_error(r, "cannot assign attribute on non-namespace object");
    return dict_set(r, namespace.dict, STRING(target->name), *v);
}

bool exec_assign(struct render *r, struct scope *s, const struct node *target, const struct value *v) {
    if (target->kind == NODE_NAME) return scope_set(r, s, target->symbol, *v);
    if (target->kind == NODE_NAMESPACE_TARGET) return assign_attribute(r, s, target, v);
    if (!render_enter(r)) return false;
    bool done = assign_tuple(r, s, target, v);
    render_leave(r);
    return done;
}

static bool exec_set(struct render *r, struct scope *s, const struct node *node) {
    struct value v;
    return eval(r, s, node->b, &v) && exec_assign(r, s, node->a, &v);
}

static enum flow exec_set_block(struct render *r, struct scope *s, const struct node *node) {
    enum flow flow;
    struct value v;
    struct scope *inner = scope_create(r, s);
    if (!inner) return FLOW_FAILED;
    if (!exec_captured(r, inner, node->b, &flow, &v)) return flow;
    if (node->c && !eval_block_filters(r, inner, node->c, &v, &v)) return FLOW_FAILED;
    return flow_of(exec_assign(r, s, node->a, &v));
}

static enum flow exec_with(struct render *r, struct scope *s, const struct node *node) {
    struct scope *inner = scope_create(r, s);
    if (!inner) return FLOW_FAILED;
    for (size_t i = 0; i < node->count; i += 2) {
        struct value v;
        if (!eval(r, s, node->items[i + 1], &v) || !exec_assign(r, inner, node->items[i], &v))
            return FLOW_FAILED;
    }
    return exec(r, inner, node->b);
}

/* ---- macros -------------------------------------------------------------------------------------------- */

static bool exec_macro(struct render *r, struct scope *s, const struct node *node) {
    struct value macro;
    return call_define(r, s, node, "macro", &macro) && scope_set(r, s, node->symbol, macro);
}

static bool add_caller(struct render *r, struct scope *s, const struct node *node, struct arguments *a) {
    static const struct string name = STRING_LITERAL("caller");
    struct keyword *keywords = render_take(r, a->keyword_count + 1, sizeof *keywords);
    if (!keywords) return false;
    for (size_t i = 0; i < a->keyword_count; i++) keywords[i] = a->keywords[i];
    keywords[a->keyword_count].name = &name;
    a->keywords = keywords;
    return call_define(r, s, node, "caller", &keywords[a->keyword_count++].value);
}

static bool exec_call_block(struct render *r, struct scope *s, const struct node *node) {
    struct value callee, v;
    struct arguments a;
    const struct string *text;
    if (!eval(r, s, node->a->a, &callee) || !call_arguments(r, s, node->a->call, &a)) return false;
    return add_caller(r, s, node, &a) && call_value(r, &callee, &a, &v) && print_value(r, &v, &text) &&
           write(r, text);
}

static enum flow exec_filter_block(struct render *r, struct scope *s, const struct node *node) {
    enum flow flow;
    struct value v;
    const struct string *text;
    struct scope *inner = scope_create(r, s);
    if (!inner) return FLOW_FAILED;
    if (!exec_captured(r, inner, node->b, &flow, &v)) return flow;
    return flow_of(eval_block_filters(r, inner, node->a, &v, &v) && print_value(r, &v, &text) &&
                   write(r, text));
}

static enum flow exec_scope(struct render *r, struct scope *s, const struct node *node) {
    struct scope *inner = scope_create(r, s);
    return inner ? exec(r, inner, node->b) : FLOW_FAILED;
}

static enum flow exec_kind(struct render *r, struct scope *s, const struct node *node) {
    switch (node->kind) {
    case NODE_OUTPUT:
        return flow_of(exec_output(r, s, node));
    case NODE_BODY:
        return exec_body(r, s, node);
    case NODE_IF:
        return exec_if(r, s, node);
    case NODE_FOR:
        return for_loop_run(r, s, node);
    case NODE_SET:
        return flow_of(exec_set(r, s, node));
    case NODE_SET_BLOCK:
        return exec_set_block(r, s, node);
    case NODE_MACRO:
        return flow_of(exec_macro(r, s, node));
    case NODE_CALL_BLOCK:
        return flow_of(exec_call_block(r, s, node));
    case NODE_FILTER_BLOCK:
        return exec_filter_block(r, s, node);
    case NODE_WITH:
        return exec_with(r, s, node);
    case NODE_SCOPE:
        return exec_scope(r, s, node);
    default:
        return node->kind == NODE_BREAK ? FLOW_BREAK : FLOW_CONTINUE;
    }
}

enum flow exec(struct render *r, struct scope *s, const struct node *node) {
    if (!render_steps(r, 1)) return FLOW_FAILED;
    if (node->kind == NODE_DATA) return flow_of(write(r, node->constant.string));
    if (!render_enter(r)) return FLOW_FAILED;
    r->line = node->line;
    enum flow flow = exec_kind(r, s, node);
    render_leave(r);
    return flow;
}
