#include "engine/text/template/for_loop.h"

/* ---- going on ------------------------------------------------------------------------------------------ */

static bool passes(struct render *r, struct for_loop *loop, const struct value *v, bool *out) {
    struct value holds;
    struct scope *s = scope_create(r, loop->around);
    if (!s || !exec_assign(r, s, loop->node->a, v) || !eval(r, s, loop->test, &holds)) return false;
    *out = value_truth(&holds);
    return true;
}

/* The next element, VALUE_MISSING at the end. */
static bool fetch(struct render *r, struct for_loop *loop, struct value *out) {
    *out = (struct value){0};
    while (loop->position < loop->list->count) {
        struct value v = loop->list->items[loop->position++];
        bool passed = true;
        if (!render_steps(r, 1) || (loop->test && !passes(r, loop, &v, &passed))) return false;
        if (!passed) continue;
        *out = v;
        return true;
    }
    return true;
}

/* *there: the body has another turn. */
static bool advance(struct render *r, struct for_loop *loop, bool *there) {
    struct value v = loop->after;
    loop->after = (struct value){0};
    if (v.kind == VALUE_MISSING && !fetch(r, loop, &v)) return false;
    *there = v.kind != VALUE_MISSING;
    if (!*there) return true;
    if (loop->started) loop->index0++;
    loop->started = true;
    loop->before = loop->current;
    loop->current = v;
    return true;
}

static enum flow run_body(struct render *r, struct for_loop *loop, struct scope *s) {
    for (;;) {
        bool there;
        if (!advance(r, loop, &there)) return FLOW_FAILED;
        if (!there) return FLOW_ON;
        s->count = 0;
        r->line = loop->node->line;
        if (!exec_assign(r, s, loop->node->a, &loop->current) ||
            !scope_set(r, s, r->template->loop, (struct value){.kind = VALUE_LOOP, .loop = loop}))
            return FLOW_FAILED;
        enum flow flow = exec(r, s, loop->node->c);
        if (flow == FLOW_FAILED) return flow;
        if (flow == FLOW_BREAK) return FLOW_ON;
        loop->completed |= flow == FLOW_ON;
    }
}

static enum flow run(struct render *r, struct scope *around, const struct node *node, const struct value *v,
                     size_t depth0) {
    struct for_loop *loop = render_take(r, 1, sizeof *loop);
    struct scope *s = scope_create(r, around);
    if (!loop || !s) return FLOW_FAILED;
    *loop = (struct for_loop){.node = node, .around = around, .test = node->items[1], .depth0 = depth0};
    if (!value_elements(r, v, &loop->list)) return FLOW_FAILED;
    enum flow flow = run_body(r, loop, s);
    /* Jinja's rule for "else": not whether there were elements, but whether a turn has come to its end. */
    if (flow != FLOW_ON || loop->completed || !node->items[0]) return flow;
    struct scope *otherwise = scope_create(r, around);
    return otherwise ? exec(r, otherwise, node->items[0]) : FLOW_FAILED;
}

enum flow for_loop_run(struct render *r, struct scope *s, const struct node *node) {
    struct value v;
    return eval(r, s, node->b, &v) ? run(r, s, node, &v, 0) : FLOW_FAILED;
}

bool for_loop_call(struct render *r, struct for_loop *loop, const struct arguments *a, struct value *out) {
    if (!loop->node->recursive)
        return render_error(r, "The loop must have the 'recursive' marker to be called recursively.");
    if (a->count != 1 || a->keyword_count > 0) return render_error(r, "loop() takes one argument");
    struct builder b = {.r = r}, *output = r->output;
    if (!render_enter(r)) return false;
    r->output = &b;
    enum flow flow = run(r, loop->around, loop->node, &a->items[0], loop->depth0 + 1);
    r->output = output;
    render_leave(r);
    const struct string *text = flow == FLOW_FAILED ? NULL : builder_take(&b);
    *out = STRING(text);
    return text != NULL;
}

/* ---- the variable -------------------------------------------------------------------------------------- */

static bool peek(struct render *r, struct for_loop *loop) {
    return loop->after.kind != VALUE_MISSING || fetch(r, loop, &loop->after);
}

/* Elements that a test has not seen yet are tried now. */
static bool try_rest(struct render *r, struct for_loop *loop) {
    struct list *rest = list_create(r, LIST_LIST, 0);
    struct value v;
    if (!rest) return false;
    for (;;) {
        if (!fetch(r, loop, &v)) return false;
        if (v.kind == VALUE_MISSING) break;
        if (!list_add(r, rest, v)) return false;
    }
    size_t seen = loop->index0 + 1 + (loop->after.kind != VALUE_MISSING);
    struct list *all = list_create(r, LIST_LIST, seen + rest->count);
    if (!all) return false;
    for (size_t i = 0; i < rest->count; i++) all->items[seen + i] = rest->items[i];
    all->count = seen + rest->count;
    loop->list = all; /* what has been seen is not asked for again */
    loop->position = seen;
    loop->test = NULL;
    return true;
}

bool for_loop_length(struct render *r, struct for_loop *loop, size_t *length) {
    if (loop->test && !try_rest(r, loop)) return false;
    *length = loop->list->count;
    return true;
}

static bool cycle(struct render *r, struct callable *self, const struct arguments *a, struct value *out) {
    if (a->count == 0) return render_error(r, "no items for cycling given");
    *out = a->items[self->self.loop->index0 % a->count];
    return true;
}

static bool changed(struct render *r, struct callable *self, const struct arguments *a, struct value *out) {
    struct for_loop *loop = self->self.loop;
    struct list *now = list_create(r, LIST_TUPLE, a->count);
    if (!now) return false;
    for (size_t i = 0; i < a->count; i++) now->items[i] = a->items[i];
    now->count = a->count;
    bool equal = false;
    struct value before = list_value(loop->changed), after = list_value(now);
    if (loop->changed && !value_equal(r, &before, &after, &equal)) return false;
    loop->changed = now;
    *out = BOOLEAN(!equal);
    return true;
}

static bool method(struct render *r, struct for_loop *loop, const char *name, call_function *call,
                   struct value *out) {
    struct callable *c = render_take(r, 1, sizeof *c);
    if (!c) return false;
    *c = (struct callable){
        .kind = CALLABLE_LOOP_METHOD, .name = name, .call = call, .self = {.kind = VALUE_LOOP, .loop = loop}};
    *out = (struct value){.kind = VALUE_CALLABLE, .callable = c};
    return true;
}

static bool from_length(struct render *r, struct for_loop *loop, size_t less, struct value *out) {
    size_t length;
    if (!for_loop_length(r, loop, &length)) return false;
    *out = INTEGER((int64_t)length - (int64_t)less);
    return true;
}

static bool neighbour(struct render *r, struct for_loop *loop, bool next, struct value *out) {
    if (next && !peek(r, loop)) return false;
    *out = next ? loop->after : loop->before;
    if (out->kind == VALUE_MISSING)
        *out = UNDEFINED(next ? "there is no next item" : "there is no previous item");
    return true;
}

bool for_loop_attribute(struct render *r, struct for_loop *loop, const struct string *name,
                        struct value *out) {
    int64_t index0 = (int64_t)loop->index0, depth0 = (int64_t)loop->depth0;
    if (string_is(name, "index0")) *out = INTEGER(index0);
    if (string_is(name, "index")) *out = INTEGER(index0 + 1);
    if (string_is(name, "first")) *out = BOOLEAN(index0 == 0);
    if (string_is(name, "depth0")) *out = INTEGER(depth0);
    if (string_is(name, "depth")) *out = INTEGER(depth0 + 1);
    if (string_is(name, "length")) return from_length(r, loop, 0, out);
    if (string_is(name, "revindex")) return from_length(r, loop, loop->index0, out);
    if (string_is(name, "revindex0")) return from_length(r, loop, loop->index0 + 1, out);
    if (string_is(name, "previtem")) return neighbour(r, loop, false, out);
    if (string_is(name, "nextitem")) return neighbour(r, loop, true, out);
    if (string_is(name, "cycle")) return method(r, loop, "cycle", cycle, out);
    if (string_is(name, "changed")) return method(r, loop, "changed", changed, out);
    if (!string_is(name, "last")) return true;
    if (!peek(r, loop)) return false;
    *out = BOOLEAN(loop->after.kind == VALUE_MISSING);
    return true;
}
