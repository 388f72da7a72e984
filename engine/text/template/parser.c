/* Statements. */
#include "engine/text/template/parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/text/template/template.h"
#include "engine/text/unicode/unicode.h"

/* Different names in one template: they are looked for one by one. */
enum { SYMBOLS_MAX = 4096 };

/* ---- tokens -------------------------------------------------------------------------------------------- */

bool parser_fail(struct parser *p, enum status status, unsigned line, const char *format, ...) {
    char where[64];
    va_list args;
    if (p->status != STATUS_OK) return false;
    snprintf(where, sizeof where, "chat template, line %u", line);
    va_start(args, format);
    p->status = error_vset(p->e, status, where, format, args);
    va_end(args);
    return false;
}

bool parser_next(struct parser *p) {
    if (p->has_ahead)
        p->token = p->ahead;
    else if (p->status == STATUS_OK)
        p->status = lexer_next(&p->lexer, &p->token);
    p->has_ahead = false;
    return p->status == STATUS_OK;
}

bool parser_look(struct parser *p) {
    if (!p->has_ahead && p->status == STATUS_OK) p->status = lexer_next(&p->lexer, &p->ahead);
    p->has_ahead = true;
    return p->status == STATUS_OK;
}

bool token_is(const struct token *token, enum token_kind kind, const char *text) {
    if (token->kind != kind) return false;
    return !text || (token->length == strlen(text) && memcmp(token->text, text, token->length) == 0);
}

bool parser_is(const struct parser *p, enum token_kind kind, const char *text) {
    return token_is(&p->token, kind, text);
}

bool parser_skip(struct parser *p, enum token_kind kind, const char *text) {
    return parser_is(p, kind, text) && parser_next(p);
}

static const char *describe(const struct token *token, char out[64]) {
    static const char *const names[] = {"end of template",          "template data",
                                        "begin of print statement", "end of print statement",
                                        "begin of statement block", "end of statement block"};
    if (token->kind <= TOKEN_BLOCK_END) return names[token->kind];
    if (token->kind == TOKEN_INTEGER || token->kind == TOKEN_FLOAT) return "a number";
    snprintf(out, 64, "%.*s", token->length < 60 ? (int)token->length : 60, token->text);
    return out;
}

bool parser_expect(struct parser *p, enum token_kind kind, const char *text) {
    char found[64], wanted[64];
    if (parser_is(p, kind, text)) return parser_next(p);
    struct token expected = {.kind = kind, .text = text ? text : "name", .length = text ? strlen(text) : 4};
    return parser_fail(p, STATUS_MALFORMED, p->token.line, "expected token '%s', got '%s'",
                       describe(&expected, wanted), describe(&p->token, found));
}

bool parser_enter(struct parser *p) {
    if (++p->depth <= TEMPLATE_NESTING_MAX) return true;
    return parser_fail(p, STATUS_LIMIT, p->token.line, "nested deeper than %d levels", TEMPLATE_NESTING_MAX);
}

/* ---- making nodes -------------------------------------------------------------------------------------- */

void *parser_take(struct parser *p, size_t count, size_t size) {
    void *taken = arena_take_array(&p->t->arena, count, size);
    if (!taken && p->status == STATUS_OK) p->status = template_no_memory(p->e, &p->t->arena);
    return taken;
}

struct node *parser_node(struct parser *p, enum node_kind kind, unsigned line) {
    if (++p->t->node_count > TEMPLATE_NODES_MAX) {
        parser_fail(p, STATUS_LIMIT, line, "more than %zu nodes", TEMPLATE_NODES_MAX);
        return NULL;
    }
    struct node *node = parser_take(p, 1, sizeof *node);
    if (node) *node = (struct node){.kind = kind, .line = line};
    return node;
}

const struct string template_empty_string = STRING_LITERAL("");

const struct string *parser_string(struct parser *p, const char *text, size_t length) {
    struct string *s = parser_take(p, 1, sizeof *s);
    if (s)
        *s = (struct string){
            .bytes = text, .length = length, .characters = length ? utf8_count(text, length) : 0};
    return s;
}

const struct string *parser_name(struct parser *p) {
    struct token token = p->token;
    if (!parser_expect(p, TOKEN_NAME, NULL)) return NULL;
    return parser_string(p, token.text, token.length);
}

bool parser_symbol(struct parser *p, const struct string *name, unsigned *symbol) {
    struct symbols *s = &p->t->symbols;
    for (size_t i = 0; i < s->count; i++) {
        if (!string_equal(s->names[i], name)) continue;
        *symbol = (unsigned)i;
        return true;
    }
    if (s->count == SYMBOLS_MAX)
        return parser_fail(p, STATUS_LIMIT, p->token.line, "more than %d different names", SYMBOLS_MAX);
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 32;
        const struct string **names = parser_take(p, capacity, sizeof *names);
        if (!names) return false;
        if (s->count) memcpy(names, s->names, s->count * sizeof *names);
        s->names = names;
        s->capacity = capacity;
    }
    *symbol = (unsigned)s->count;
    s->names[s->count++] = name;
    return true;
}

bool node_list_add(struct parser *p, struct node_list *list, struct node *node) {
    if (!node) return false;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 4;
        struct node **items = parser_take(p, capacity, sizeof *items);
        if (!items) return false;
        if (list->count) memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = node;
    return true;
}

/* ---- bodies -------------------------------------------------------------------------------------------- */

static struct node *parse_statement(struct parser *p);

static struct node *parse_data(struct parser *p) {
    struct node *node = parser_node(p, NODE_DATA, p->token.line);
    const struct string *text = parser_string(p, p->token.text, p->token.length);
    if (!node || !text || !parser_next(p)) return NULL;
    node->constant = STRING(text);
    return node;
}

static struct node *parse_output(struct parser *p) {
    struct node *node = parser_node(p, NODE_OUTPUT, p->token.line);
    if (!node || !parser_next(p)) return NULL;
    node->a = parse_tuple(p, TUPLE_PLAIN, NULL);
    return node->a && parser_expect(p, TOKEN_VARIABLE_END, NULL) ? node : NULL;
}

/* ends: names with blanks between them; NULL: up to the end of the template. */
static bool ends_here(const struct parser *p, const char *ends) {
    size_t length = p->token.length;
    if (p->token.kind != TOKEN_NAME) return false;
    for (const char *at = ends; at && *at; at += strcspn(at, " "), at += *at == ' ')
        if (strcspn(at, " ") == length && memcmp(at, p->token.text, length) == 0) return true;
    return false;
}

static struct node *parse_block(struct parser *p) {
    if (!parser_enter(p)) return NULL;
    struct node *node = parse_statement(p);
    p->depth--;
    return node && parser_expect(p, TOKEN_BLOCK_END, NULL) ? node : NULL;
}

static struct node *parse_body(struct parser *p, const char *ends) {
    struct node_list list = {0};
    struct node *body = parser_node(p, NODE_BODY, p->token.line), *node;
    while (body && p->status == STATUS_OK && p->token.kind != TOKEN_END) {
        if (p->token.kind == TOKEN_DATA) {
            node = parse_data(p);
        } else if (p->token.kind == TOKEN_VARIABLE_BEGIN) {
            node = parse_output(p);
        } else {
            if (!parser_next(p)) return NULL;
            if (ends_here(p, ends)) break;
            node = parse_block(p);
        }
        if (!node_list_add(p, &list, node)) return NULL;
    }
    if (!body || p->status != STATUS_OK) return NULL;
    if (ends && p->token.kind == TOKEN_END) {
        parser_fail(p, STATUS_MALFORMED, p->token.line, "Unexpected end of template, looking for: %s", ends);
        return NULL;
    }
    body->items = list.items;
    body->count = list.count;
    return body;
}

/* From the end of a tag to the tag that ends the block, whose name is at hand; a single one is taken. */
static struct node *parse_statements(struct parser *p, const char *ends) {
    parser_skip(p, TOKEN_OPERATOR, ":");
    if (!parser_expect(p, TOKEN_BLOCK_END, NULL)) return NULL;
    struct node *body = parse_body(p, ends);
    if (body && !strchr(ends, ' ') && !parser_next(p)) return NULL;
    return body;
}

/* Such a body in a frame of its own. */
static struct node *parse_inner(struct parser *p, const char *ends) {
    bool soft = p->soft;
    p->soft = false;
    struct node *body = parse_statements(p, ends);
    p->soft = soft;
    return body;
}

/* A body that is a function of its own: a loop around it is not its loop. */
static struct node *parse_function(struct parser *p, const char *ends) {
    size_t loops = p->loops;
    p->loops = 0;
    struct node *body = parse_inner(p, ends);
    p->loops = loops;
    return body;
}

/* ---- statements ---------------------------------------------------------------------------------------- */

static struct node *parse_if(struct parser *p, struct node *node) {
    bool soft = p->soft;
    struct node *first = node;
    for (;;) {
        p->soft = true;
        node->a = parse_tuple(p, TUPLE_UNCONDITIONAL, NULL);
        node->b = node->a ? parse_statements(p, "elif else endif") : NULL;
        if (!node->b) return NULL;
        if (!parser_is(p, TOKEN_NAME, "elif")) break;
        node->c = parser_node(p, NODE_IF, p->token.line);
        node = node->c;
        if (!node || !parser_next(p)) return NULL;
    }
    bool has_else = parser_is(p, TOKEN_NAME, "else");
    if (!parser_next(p)) return NULL;
    if (has_else) node->c = parse_statements(p, "endif");
    p->soft = soft;
    return has_else && !node->c ? NULL : first;
}

static bool names_loop(const struct parser *p, const struct node *target) {
    if (target->kind == NODE_NAME) return target->symbol == p->t->loop;
    for (size_t i = 0; target->kind == NODE_TUPLE && i < target->count; i++)
        if (names_loop(p, target->items[i])) return true;
    return false;
}

static bool check_target(struct parser *p, const struct node *target) {
    if (!names_loop(p, target)) return true;
    return parser_fail(p, STATUS_MALFORMED, target->line,
                       "Can't assign to special loop variable in for-loop target");
}

static bool parse_for_head(struct parser *p, struct node *node) {
    node->a = parse_target(p, false, "in");
    if (!node->a || !check_target(p, node->a) || !parser_expect(p, TOKEN_NAME, "in")) return false;
    node->b = parse_tuple(p, TUPLE_UNCONDITIONAL, "recursive");
    if (!node->b) return false;
    if (parser_skip(p, TOKEN_NAME, "if")) {
        bool soft = p->soft;
        p->soft = false;
        node->items[1] = parse_expression(p, true);
        p->soft = soft;
        if (!node->items[1]) return false;
    }
    node->recursive = parser_skip(p, TOKEN_NAME, "recursive");
    return p->status == STATUS_OK;
}

static struct node *parse_for(struct parser *p, struct node *node) {
    node->items = parser_take(p, 2, sizeof(struct node *));
    if (!node->items || !parse_for_head(p, node)) return NULL;
    bool within = p->within_loop;
    p->within_loop = true;
    p->loops++;
    node->c = parse_inner(p, "endfor else");
    p->loops--;
    p->within_loop = within;
    bool has_else = parser_is(p, TOKEN_NAME, "else");
    if (!node->c || !parser_next(p)) return NULL;
    if (has_else) node->items[0] = parse_inner(p, "endfor");
    return has_else && !node->items[0] ? NULL : node;
}

static struct node *parse_set(struct parser *p, struct node *node) {
    node->a = parse_target(p, true, NULL);
    if (!node->a || (p->within_loop && !check_target(p, node->a))) return NULL;
    if (parser_skip(p, TOKEN_OPERATOR, "=")) {
        node->b = parse_tuple(p, TUPLE_PLAIN, NULL);
        return node->b ? node : NULL;
    }
    node->kind = NODE_SET_BLOCK;
    if (parser_is(p, TOKEN_OPERATOR, "|")) {
        node->c = parse_filters(p, NULL, false);
        if (!node->c) return NULL;
    }
    node->b = parse_inner(p, "endset");
    return node->b ? node : NULL;
}

static bool parse_parameter(struct parser *p, struct node_list *names, struct node_list *defaults) {
    struct node *node = parser_node(p, NODE_NAME, p->token.line);
    if (!node || !(node->name = parser_name(p)) || !parser_symbol(p, node->name, &node->symbol)) return false;
    if (parser_skip(p, TOKEN_OPERATOR, "=")) {
        if (!node_list_add(p, defaults, parse_expression(p, true))) return false;
    } else if (defaults->count > 0) {
        return parser_fail(p, STATUS_MALFORMED, p->token.line,
                           "non-default argument follows default argument");
    }
    return node_list_add(p, names, node);
}

static bool parse_signature(struct parser *p, struct node *node) {
    struct node_list names = {0}, defaults = {0};
    if (!parser_expect(p, TOKEN_OPERATOR, "(")) return false;
    while (!parser_is(p, TOKEN_OPERATOR, ")")) {
        if (names.count > 0 && !parser_expect(p, TOKEN_OPERATOR, ",")) return false;
        if (!parse_parameter(p, &names, &defaults)) return false;
    }
    node->items = names.items;
    node->count = names.count;
    node->required = names.count - defaults.count;
    node->defaults = defaults.items;
    return parser_next(p);
}

static bool is_parameter(const struct node *node, unsigned symbol) {
    for (size_t i = 0; i < node->count; i++)
        if (node->items[i]->symbol == symbol) return true;
    return false;
}

static struct node *parse_function_body(struct parser *p, struct node *node, const char *end) {
    bool caller = p->names_caller, kwargs = p->names_kwargs, varargs = p->names_varargs;
    p->names_caller = p->names_kwargs = p->names_varargs = false;
    node->b = parse_function(p, end);
    node->wants_caller = p->names_caller && !is_parameter(node, p->t->caller);
    node->wants_kwargs = p->names_kwargs && !is_parameter(node, p->t->kwargs);
    node->wants_varargs = p->names_varargs && !is_parameter(node, p->t->varargs);
    p->names_caller |= caller;
    p->names_kwargs |= kwargs;
    p->names_varargs |= varargs;
    return node->b ? node : NULL;
}

static struct node *parse_macro(struct parser *p, struct node *node) {
    node->name = parser_name(p);
    if (!node->name || !parser_symbol(p, node->name, &node->symbol) || !parse_signature(p, node)) return NULL;
    return parse_function_body(p, node, "endmacro");
}

static struct node *parse_call_block(struct parser *p, struct node *node) {
    if (parser_is(p, TOKEN_OPERATOR, "(") && !parse_signature(p, node)) return NULL;
    node->a = parse_expression(p, true);
    if (node->a && node->a->kind != NODE_CALL) {
        parser_fail(p, STATUS_MALFORMED, node->line, "expected call");
        return NULL;
    }
    return node->a ? parse_function_body(p, node, "endcall") : NULL;
}

static struct node *parse_filter_block(struct parser *p, struct node *node) {
    node->a = parse_filters(p, NULL, true);
    node->b = node->a ? parse_inner(p, "endfilter") : NULL;
    return node->b ? node : NULL;
}

static struct node *parse_with(struct parser *p, struct node *node) {
    struct node_list list = {0};
    while (p->token.kind != TOKEN_BLOCK_END) {
        if (list.count > 0 && !parser_expect(p, TOKEN_OPERATOR, ",")) return NULL;
        if (!node_list_add(p, &list, parse_target(p, false, NULL)) ||
            !parser_expect(p, TOKEN_OPERATOR, "=") || !node_list_add(p, &list, parse_expression(p, true)))
            return NULL;
    }
    node->items = list.items;
    node->count = list.count;
    node->b = parse_inner(p, "endwith");
    return node->b ? node : NULL;
}

static struct node *parse_generation(struct parser *p, struct node *node) {
    node->b = parse_function(p, "endgeneration");
    return node->b ? node : NULL;
}

static struct node *parse_print(struct parser *p, struct node *node) {
    struct node_list list = {0};
    while (p->token.kind != TOKEN_BLOCK_END) {
        if (list.count > 0 && !parser_expect(p, TOKEN_OPERATOR, ",")) return NULL;
        struct node *output = parser_node(p, NODE_OUTPUT, p->token.line);
        if (!output || !(output->a = parse_expression(p, true)) || !node_list_add(p, &list, output))
            return NULL;
    }
    node->items = list.items;
    node->count = list.count;
    return node;
}

static struct node *parse_loop_control(struct parser *p, struct node *node) {
    if (p->loops > 0) return node;
    parser_fail(p, STATUS_MALFORMED, node->line, "'%s' outside of a loop",
                node->kind == NODE_BREAK ? "break" : "continue");
    return NULL;
}

static struct node *parse_statement(struct parser *p) {
    static const struct {
        const char *tag;
        enum node_kind kind;
        struct node *(*parse)(struct parser *p, struct node *node); /* NULL: Jinja has it, we do not */
    } statements[] = {
        {"if", NODE_IF, parse_if},
        {"for", NODE_FOR, parse_for},
        {"set", NODE_SET, parse_set},
        {"macro", NODE_MACRO, parse_macro},
        {"call", NODE_CALL_BLOCK, parse_call_block},
        {"filter", NODE_FILTER_BLOCK, parse_filter_block},
        {"with", NODE_WITH, parse_with},
        {"print", NODE_BODY, parse_print},
        {"generation", NODE_SCOPE, parse_generation},
        {"break", NODE_BREAK, parse_loop_control},
        {"continue", NODE_CONTINUE, parse_loop_control},
        {"block", NODE_BODY, NULL},
        {"extends", NODE_BODY, NULL},
        {"include", NODE_BODY, NULL},
        {"import", NODE_BODY, NULL},
        {"from", NODE_BODY, NULL},
        {"autoescape", NODE_BODY, NULL},
    };
    struct token tag = p->token;
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!parser_is(p, TOKEN_NAME, statements[i].tag)) continue;
        if (!statements[i].parse) {
            parser_fail(p, STATUS_UNSUPPORTED, tag.line, "the statement '%s' is not supported",
                        statements[i].tag);
            return NULL;
        }
        struct node *node = parser_node(p, statements[i].kind, tag.line);
        return node && parser_next(p) ? statements[i].parse(p, node) : NULL;
    }
    char found[64];
    parser_fail(p, STATUS_MALFORMED, tag.line,
                tag.kind == TOKEN_NAME ? "Encountered unknown tag '%s'." : "tag name expected, got '%s'",
                describe(&tag, found));
    return NULL;
}

static bool add_symbols(struct parser *p) {
    static const struct string caller = STRING_LITERAL("caller"), kwargs = STRING_LITERAL("kwargs"),
                               varargs = STRING_LITERAL("varargs"), loop = STRING_LITERAL("loop");
    struct template *t = p->t;
    return parser_symbol(p, &caller, &t->caller) && parser_symbol(p, &kwargs, &t->kwargs) &&
           parser_symbol(p, &varargs, &t->varargs) && parser_symbol(p, &loop, &t->loop);
}

enum status parser_run(struct template *t, const char *text, size_t length, struct error *e) {
    struct parser p = {.t = t, .e = e};
    p.status = lexer_init(&p.lexer, &t->arena, text, length, e);
    if (p.status != STATUS_OK || !add_symbols(&p) || !parser_next(&p)) return p.status;
    t->body = parse_body(&p, NULL);
    if (p.status == STATUS_OK && p.unknown > 0)
        parser_fail(&p, STATUS_MALFORMED, p.unknown_line, "No %s named '%.*s'.", p.unknown_what,
                    (int)(p.unknown_name->length & 255), p.unknown_name->bytes);
    return p.status;
}
