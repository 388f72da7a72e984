/* Values, and what stands behind them: calls, filters, tests, subscripts. */
#include <stdio.h>
#include <string.h>

#include "engine/text/template/filters.h"
#include "engine/text/template/parser.h"
#include "engine/text/template/tests.h"

struct node *parser_failed(struct parser *p, const char *what) {
    parser_fail(p, STATUS_MALFORMED, p->token.line, "%s", what);
    return NULL;
}

struct node *parser_pair(struct parser *p, enum node_kind kind, unsigned line, struct node *a,
                         struct node *b) {
    struct node *node = a && b ? parser_node(p, kind, line) : NULL;
    if (!node) return NULL;
    node->a = a;
    node->b = b;
    return node;
}

struct node *parser_single(struct parser *p, enum node_kind kind, unsigned line, struct node *a) {
    return parser_pair(p, kind, line, a, a);
}

struct node *parser_items(struct parser *p, enum node_kind kind, unsigned line,
                          const struct node_list *list) {
    struct node *node = p->status == STATUS_OK ? parser_node(p, kind, line) : NULL;
    if (!node) return NULL;
    node->items = list->items;
    node->count = list->count;
    return node;
}

static struct node *constant(struct parser *p, unsigned line, struct value v) {
    struct node *node = parser_node(p, NODE_CONSTANT, line);
    if (node) node->constant = v;
    return node;
}

/* What the value says where there is none, cut where the name is long. */
static bool set_message(struct parser *p, struct node *node, const struct string *name) {
    char message[128];
    const char *format =
        node->kind == NODE_NAME ? "'%.*s' is undefined" : "the value has no attribute '%.*s'";
    snprintf(message, sizeof message, format, name->length < 64 ? (int)name->length : 64, name->bytes);
    char *kept = arena_take_bytes(&p->t->arena, strlen(message) + 1);
    if (!kept) p->status = template_no_memory(p->e, &p->t->arena);
    if (kept) memcpy(kept, message, strlen(message) + 1);
    node->message = kept;
    return kept != NULL;
}

/* ---- values -------------------------------------------------------------------------------------------- */

static bool parse_elements(struct parser *p, const char *end, bool pairs, struct node_list *list) {
    size_t count = 0;
    while (!parser_is(p, TOKEN_OPERATOR, end)) {
        if (count++ > 0 && !parser_expect(p, TOKEN_OPERATOR, ",")) return false;
        if (parser_is(p, TOKEN_OPERATOR, end)) break;
        if (!node_list_add(p, list, parse_expression(p, true))) return false;
        if (!pairs) continue;
        if (!parser_expect(p, TOKEN_OPERATOR, ":") || !node_list_add(p, list, parse_expression(p, true)))
            return false;
    }
    return parser_next(p);
}

static struct node *parse_display(struct parser *p, enum node_kind kind, const char *end) {
    struct node_list list = {0};
    unsigned line = p->token.line;
    if (!parser_next(p) || !parse_elements(p, end, kind == NODE_DICT, &list)) return NULL;
    return parser_items(p, kind, line, &list);
}

static struct node *parse_parentheses(struct parser *p) {
    if (!parser_next(p)) return NULL;
    struct node *node = parse_tuple(p, TUPLE_PARENTHESES, NULL);
    return node && parser_expect(p, TOKEN_OPERATOR, ")") ? node : NULL;
}

/* Strings beside each other are one. */
static struct node *parse_strings(struct parser *p) {
    unsigned line = p->token.line;
    const char *text = p->token.text;
    size_t length = p->token.length;
    if (!parser_next(p)) return NULL;
    while (p->token.kind == TOKEN_STRING) {
        char *joined = arena_take_bytes(&p->t->arena, length + p->token.length + 1);
        if (!joined) {
            p->status = template_no_memory(p->e, &p->t->arena);
            return NULL;
        }
        if (length) memcpy(joined, text, length);
        if (p->token.length) memcpy(joined + length, p->token.text, p->token.length);
        text = joined;
        length += p->token.length;
        if (!parser_next(p)) return NULL;
    }
    const struct string *s = parser_string(p, text, length);
    return s ? constant(p, line, STRING(s)) : NULL;
}

static struct node *parse_name(struct parser *p, bool namespaces) {
    static const char *const truths[] = {"false", "False", "true", "True"};
    unsigned line = p->token.line;
    const struct string *name = parser_name(p);
    if (!name) return NULL;
    for (size_t i = 0; i < 4; i++)
        if (string_is(name, truths[i])) return constant(p, line, BOOLEAN(i >= 2));
    if (string_is(name, "none") || string_is(name, "None")) return constant(p, line, NONE);
    if (string_is(name, "lipsum")) {
        parser_fail(p, STATUS_UNSUPPORTED, line, "the function 'lipsum' is not supported");
        return NULL;
    }
    struct node *node = parser_node(p, NODE_NAME, line);
    if (!node || !parser_symbol(p, name, &node->symbol)) return NULL;
    node->name = name;
    if (!set_message(p, node, name)) return NULL;
    p->names_caller |= node->symbol == p->t->caller;
    p->names_kwargs |= node->symbol == p->t->kwargs;
    p->names_varargs |= node->symbol == p->t->varargs;
    if (!namespaces || !parser_skip(p, TOKEN_OPERATOR, ".")) return node;
    node->kind = NODE_NAMESPACE_TARGET;
    node->name = parser_name(p);
    return node->name ? node : NULL;
}

struct node *parse_primary(struct parser *p, bool namespaces) {
    struct token token = p->token;
    switch (token.kind) {
    case TOKEN_NAME:
        return parse_name(p, namespaces);
    case TOKEN_STRING:
        return parse_strings(p);
    case TOKEN_INTEGER:
        return parser_next(p) ? constant(p, token.line, INTEGER(token.integer)) : NULL;
    case TOKEN_FLOAT:
        return parser_next(p) ? constant(p, token.line, REAL(token.real)) : NULL;
    default:
        break;
    }
    if (parser_is(p, TOKEN_OPERATOR, "(")) return parse_parentheses(p);
    if (parser_is(p, TOKEN_OPERATOR, "[")) return parse_display(p, NODE_LIST, "]");
    if (parser_is(p, TOKEN_OPERATOR, "{")) return parse_display(p, NODE_DICT, "}");
    if (token.kind == TOKEN_OPERATOR)
        parser_fail(p, STATUS_MALFORMED, token.line, "unexpected '%.*s'", (int)(token.length & 3),
                    token.text);
    return parser_failed(p, "expected an expression, got the end of the tag");
}

static bool tuple_ends(const struct parser *p, const char *end_name) {
    return p->token.kind == TOKEN_VARIABLE_END || p->token.kind == TOKEN_BLOCK_END ||
           parser_is(p, TOKEN_OPERATOR, ")") || (end_name && parser_is(p, TOKEN_NAME, end_name));
}

/* Elements as far as there are any; *is_tuple: there was a comma. */
static bool parse_tuple_elements(struct parser *p, int rules, bool namespaces, const char *end_name,
                                 struct node_list *list, bool *is_tuple) {
    while (!tuple_ends(p, end_name)) {
        struct node *node =
            rules < 0 ? parse_primary(p, namespaces) : parse_expression(p, rules != TUPLE_UNCONDITIONAL);
        if (!node_list_add(p, list, node)) return false;
        if (!parser_is(p, TOKEN_OPERATOR, ",")) break;
        *is_tuple = true;
        if (!parser_next(p)) return false;
    }
    return true;
}

struct node *parse_tuple(struct parser *p, enum tuple_rules rules, const char *end_name) {
    struct node_list list = {0};
    unsigned line = p->token.line;
    bool is_tuple = false;
    if (!parse_tuple_elements(p, (int)rules, false, end_name, &list, &is_tuple)) return NULL;
    if (!is_tuple && list.count == 1) return list.items[0];
    if (!is_tuple && rules != TUPLE_PARENTHESES) return parser_failed(p, "Expected an expression");
    return parser_items(p, NODE_TUPLE, line, &list);
}

static bool can_assign(const struct node *node) {
    if (node->kind == NODE_NAME || node->kind == NODE_NAMESPACE_TARGET) return true;
    for (size_t i = 0; node->kind == NODE_TUPLE && i < node->count; i++)
        if (!can_assign(node->items[i])) return false;
    return node->kind == NODE_TUPLE;
}

struct node *parse_target(struct parser *p, bool namespaces, const char *end_name) {
    struct node_list list = {0};
    unsigned line = p->token.line;
    bool is_tuple = false;
    if (!parse_tuple_elements(p, -1, namespaces, end_name, &list, &is_tuple)) return NULL;
    if (!is_tuple && list.count == 0) return parser_failed(p, "Expected an expression");
    struct node *node = is_tuple ? parser_items(p, NODE_TUPLE, line, &list) : list.items[0];
    if (node && !can_assign(node)) return parser_failed(p, "can't assign to what stands there");
    return node;
}

/* ---- calls, filters, tests ----------------------------------------------------------------------------- */

struct call_lists {
    struct node_list items, names, values;
};

/* One argument. Names are kept as nodes that have them. */
static bool parse_argument(struct parser *p, struct call *call, struct call_lists *lists) {
    bool keywords = lists->names.count > 0 || call->keyword_rest;
    if (parser_is(p, TOKEN_OPERATOR, "*") && !call->rest && !call->keyword_rest)
        return parser_next(p) && (call->rest = parse_expression(p, true));
    if (parser_is(p, TOKEN_OPERATOR, "**") && !call->keyword_rest)
        return parser_next(p) && (call->keyword_rest = parse_expression(p, true));
    if (!parser_look(p)) return false;
    if (p->token.kind == TOKEN_NAME && token_is(&p->ahead, TOKEN_OPERATOR, "=") && !call->keyword_rest) {
        struct node *name = parser_node(p, NODE_NAME, p->token.line);
        if (!name || !(name->name = parser_name(p)) || !parser_next(p)) return false;
        return node_list_add(p, &lists->names, name) &&
               node_list_add(p, &lists->values, parse_expression(p, true));
    }
    if (keywords || call->rest)
        return parser_failed(p, "invalid syntax for function call expression") != NULL;
    return node_list_add(p, &lists->items, parse_expression(p, true));
}

static bool keep_names(struct parser *p, struct call *call, const struct node_list *names) {
    if (names->count == 0) return true;
    call->names = parser_take(p, names->count, sizeof *call->names);
    for (size_t i = 0; call->names && i < names->count; i++) call->names[i] = names->items[i]->name;
    return call->names != NULL;
}

/* From "(" to ")". */
static bool parse_arguments(struct parser *p, struct call *call) {
    struct call_lists lists = {0};
    bool first = true;
    if (!parser_next(p)) return false;
    while (!parser_is(p, TOKEN_OPERATOR, ")")) {
        if (!first && !parser_expect(p, TOKEN_OPERATOR, ",")) return false;
        if (!first && parser_is(p, TOKEN_OPERATOR, ")")) break;
        if (!parse_argument(p, call, &lists)) return false;
        first = false;
    }
    call->items = lists.items.items;
    call->count = lists.items.count;
    call->values = lists.values.items;
    call->keyword_count = lists.values.count;
    return keep_names(p, call, &lists.names) && parser_next(p);
}

static struct node *call_node(struct parser *p, enum node_kind kind, unsigned line, struct node *a) {
    struct node *node = parser_node(p, kind, line);
    if (!node) return NULL;
    node->a = a;
    node->call = parser_take(p, 1, sizeof *node->call);
    return node->call ? node : NULL;
}

static struct node *parse_call(struct parser *p, struct node *callee) {
    struct node *node = call_node(p, NODE_CALL, p->token.line, callee);
    return node && parse_arguments(p, node->call) ? node : NULL;
}

/* What Jinja does not know either is no error before it is reached, where it may never be. */
static void note_unknown(struct parser *p, const struct node *node, const char *what) {
    if (p->soft) return;
    if (p->unknown++ > 0) return;
    p->unknown_line = node->line;
    p->unknown_what = what;
    p->unknown_name = node->name;
}

static bool refuse(struct parser *p, const struct node *node, const char *what) {
    return parser_fail(p, STATUS_UNSUPPORTED, node->line, "the %s '%.*s' is not supported", what,
                       (int)(node->name->length & 255), node->name->bytes);
}

/* A name with dots in it is none that is known. */
static const struct string *parse_dotted_name(struct parser *p) {
    const struct string *name = parser_name(p);
    while (name && parser_skip(p, TOKEN_OPERATOR, ".")) {
        const struct string *last = parser_name(p);
        if (!last) return NULL;
        name = parser_string(p, name->bytes, (size_t)(last->bytes + last->length - name->bytes));
    }
    return name;
}

static struct node *parse_filter(struct parser *p, struct node *value) {
    struct node *node = call_node(p, NODE_FILTER, p->token.line, value);
    if (!node || !(node->name = parse_dotted_name(p))) return NULL;
    node->filter = filters_find(node->name);
    if (!node->filter) note_unknown(p, node, "filter");
    if (node->filter && !filters_has(node->filter) && !refuse(p, node, "filter")) return NULL;
    if (parser_is(p, TOKEN_OPERATOR, "(") && !parse_arguments(p, node->call)) return NULL;
    return node;
}

struct node *parse_filters(struct parser *p, struct node *value, bool inline_start) {
    struct node *node = value;
    while (inline_start || parser_is(p, TOKEN_OPERATOR, "|")) {
        if (!inline_start && !parser_next(p)) return NULL;
        inline_start = false;
        node = parse_filter(p, node);
        if (!node) return NULL;
    }
    return node;
}

static bool starts_argument(const struct parser *p) {
    static const char *const words[] = {"else", "or", "and"};
    const struct token *token = &p->token;
    for (size_t i = 0; i < 3; i++)
        if (parser_is(p, TOKEN_NAME, words[i])) return false;
    return token->kind == TOKEN_NAME || token->kind == TOKEN_STRING || token->kind == TOKEN_INTEGER ||
           token->kind == TOKEN_FLOAT ||
           (token->kind == TOKEN_OPERATOR && (*token->text == '[' || *token->text == '{'));
}

static bool parse_test_arguments(struct parser *p, struct node *node) {
    struct node_list list = {0};
    if (parser_is(p, TOKEN_OPERATOR, "(")) return parse_arguments(p, node->call);
    if (!starts_argument(p)) return true;
    if (parser_is(p, TOKEN_NAME, "is"))
        return parser_failed(p, "You cannot chain multiple tests with is") != NULL;
    struct node *argument = parse_primary(p, false);
    if (argument) argument = parse_postfix(p, argument);
    if (!node_list_add(p, &list, argument)) return false;
    node->call->items = list.items;
    node->call->count = 1;
    return true;
}

static struct node *parse_test(struct parser *p, struct node *value) {
    unsigned line = p->token.line;
    if (!parser_next(p)) return NULL;
    bool negated = parser_skip(p, TOKEN_NAME, "not");
    struct node *node = call_node(p, NODE_TEST, line, value);
    if (!node || !(node->name = parse_dotted_name(p))) return NULL;
    node->test = tests_find(node->name);
    if (!node->test) note_unknown(p, node, "test");
    if (!parse_test_arguments(p, node)) return NULL;
    return negated ? parser_single(p, NODE_NOT, line, node) : node;
}

/* ---- behind a value ------------------------------------------------------------------------------------ */

static struct node *item_node(struct parser *p, struct node *value, struct node *key, unsigned line) {
    struct node *node = parser_pair(p, NODE_ITEM, line, value, key);
    if (!node) return NULL;
    node->message = "the value has no such element";
    bool named = key->kind == NODE_CONSTANT && key->constant.kind == VALUE_STRING;
    return !named || set_message(p, node, key->constant.string) ? node : NULL;
}

static struct node *parse_attribute(struct parser *p, struct node *value) {
    unsigned line = p->token.line;
    if (!parser_next(p)) return NULL;
    struct token token = p->token;
    if (token.kind == TOKEN_INTEGER) {
        struct node *key = parser_next(p) ? constant(p, line, INTEGER(token.integer)) : NULL;
        return key ? item_node(p, value, key, line) : NULL;
    }
    if (token.kind != TOKEN_NAME) return parser_failed(p, "expected name or number");
    struct node *node = parser_single(p, NODE_ATTRIBUTE, line, value);
    return node && (node->name = parser_name(p)) && set_message(p, node, node->name) ? node : NULL;
}

static bool slice_part_is_empty(const struct parser *p) {
    return parser_is(p, TOKEN_OPERATOR, ":") || parser_is(p, TOKEN_OPERATOR, "]") ||
           parser_is(p, TOKEN_OPERATOR, ",");
}

/* From the first colon on. */
static struct node *parse_slice(struct parser *p, struct node *value, struct node *start, unsigned line) {
    struct node *node = parser_node(p, NODE_SLICE, line);
    struct node **parts = node ? parser_take(p, 3, sizeof *parts) : NULL;
    if (!parts) return NULL;
    node->a = value;
    node->items = parts;
    parts[0] = start;
    for (size_t i = 1; i < 3 && parser_skip(p, TOKEN_OPERATOR, ":"); i++)
        if (!slice_part_is_empty(p) && !(parts[i] = parse_expression(p, true))) return NULL;
    return p->status == STATUS_OK ? node : NULL;
}

static struct node *parse_item(struct parser *p, struct node *value) {
    struct node_list list = {0};
    struct node *node = NULL;
    unsigned line = p->token.line;
    if (!parser_next(p)) return NULL;
    do {
        if (list.count > 0 && parser_is(p, TOKEN_OPERATOR, "]")) break;
        struct node *start = parser_is(p, TOKEN_OPERATOR, ":") ? NULL : parse_expression(p, true);
        if (p->status != STATUS_OK) return NULL;
        if (parser_is(p, TOKEN_OPERATOR, ":"))
            node = parse_slice(p, value, start, line);
        else if (!node_list_add(p, &list, start))
            return NULL;
        if (p->status != STATUS_OK) return NULL;
    } while (!node && parser_skip(p, TOKEN_OPERATOR, ","));
    if (node && list.count > 0) return parser_failed(p, "a slice beside other subscripts");
    if (!parser_expect(p, TOKEN_OPERATOR, "]") || node) return p->status == STATUS_OK ? node : NULL;
    if (list.count == 1) return item_node(p, value, list.items[0], line);
    struct node *key = parser_items(p, NODE_TUPLE, line, &list);
    return key ? item_node(p, value, key, line) : NULL;
}

struct node *parse_postfix(struct parser *p, struct node *node) {
    while (node && p->token.kind == TOKEN_OPERATOR && p->token.length == 1) {
        if (*p->token.text == '.')
            node = parse_attribute(p, node);
        else if (*p->token.text == '[')
            node = parse_item(p, node);
        else if (*p->token.text == '(')
            node = parse_call(p, node);
        else
            break;
    }
    return node;
}

struct node *parse_filter_expression(struct parser *p, struct node *node) {
    while (node) {
        if (parser_is(p, TOKEN_OPERATOR, "|"))
            node = parse_filters(p, node, false);
        else if (parser_is(p, TOKEN_NAME, "is"))
            node = parse_test(p, node);
        else if (parser_is(p, TOKEN_OPERATOR, "("))
            node = parse_call(p, node);
        else
            break;
    }
    return node;
}
