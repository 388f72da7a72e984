/* Operators between values, from the loosest to the tightest. */
#include <string.h>

#include "engine/text/template/parser.h"

static struct node *parse_unary(struct parser *p, bool filters) {
    unsigned line = p->token.line;
    bool minus = parser_is(p, TOKEN_OPERATOR, "-"), plus = parser_is(p, TOKEN_OPERATOR, "+");
    struct node *node;
    if (!parser_enter(p)) return NULL;
    if (minus || plus)
        node = parser_next(p) ? parser_single(p, minus ? NODE_NEGATE : NODE_PLUS, line, parse_unary(p, false))
                              : NULL;
    else
        node = parse_primary(p, false);
    if (node) node = parse_postfix(p, node);
    if (node && filters) node = parse_filter_expression(p, node);
    p->depth--;
    return node;
}

struct binary {
    const char *sign;
    enum node_kind kind;
};

/* The operator at hand, which is taken; NULL: none of these. */
static const struct binary *take_operator(struct parser *p, const struct binary *operators) {
    for (; operators->sign; operators++)
        if (parser_skip(p, TOKEN_OPERATOR, operators->sign)) return operators;
    return NULL;
}

static struct node *parse_power(struct parser *p) {
    static const struct binary power[] = {{"**", NODE_POWER}, {NULL, NODE_POWER}};
    unsigned line = p->token.line;
    struct node *left = parse_unary(p, true);
    while (left && take_operator(p, power))
        left = parser_pair(p, NODE_POWER, line, left, parse_unary(p, true));
    return left;
}

static struct node *parse_product(struct parser *p) {
    static const struct binary products[] = {{"*", NODE_MULTIPLY},
                                             {"/", NODE_DIVIDE},
                                             {"//", NODE_FLOOR_DIVIDE},
                                             {"%", NODE_MODULO},
                                             {NULL, NODE_MULTIPLY}};
    const struct binary *operator;
    unsigned line = p->token.line;
    struct node *left = parse_power(p);
    while (left && (operator= take_operator(p, products)))
        left = parser_pair(p, operator->kind, line, left, parse_power(p));
    return left;
}

static struct node *parse_concat(struct parser *p) {
    struct node_list list = {0};
    unsigned line = p->token.line;
    do {
        if (!node_list_add(p, &list, parse_product(p))) return NULL;
    } while (parser_skip(p, TOKEN_OPERATOR, "~"));
    return list.count == 1 ? list.items[0] : parser_items(p, NODE_CONCAT, line, &list);
}

static struct node *parse_sum(struct parser *p) {
    static const struct binary sums[] = {{"+", NODE_ADD}, {"-", NODE_SUBTRACT}, {NULL, NODE_ADD}};
    const struct binary *operator;
    unsigned line = p->token.line;
    struct node *left = parse_concat(p);
    while (left && (operator= take_operator(p, sums)))
        left = parser_pair(p, operator->kind, line, left, parse_concat(p));
    return left;
}

/* A comparison at hand, which is taken; false: none. */
static bool take_comparison(struct parser *p, unsigned char *out) {
    static const char *const signs[] = {"==", "!=", "<", "<=", ">", ">="};
    for (unsigned char i = 0; i < 6; i++) {
        *out = i;
        if (parser_skip(p, TOKEN_OPERATOR, signs[i])) return true;
    }
    *out = COMPARE_IN;
    if (parser_skip(p, TOKEN_NAME, "in")) return true;
    *out = COMPARE_NOT_IN;
    if (!parser_is(p, TOKEN_NAME, "not") || !parser_look(p) || !token_is(&p->ahead, TOKEN_NAME, "in"))
        return false;
    if (!parser_next(p)) return false; /* "not" */
    return parser_next(p);
}

static struct node *parse_comparison(struct parser *p) {
    struct node_list list = {0};
    unsigned char operators[64];
    unsigned line = p->token.line;
    struct node *first = parse_sum(p);
    while (first && list.count < sizeof operators && take_comparison(p, &operators[list.count]))
        if (!node_list_add(p, &list, parse_sum(p))) return NULL;
    if (!first || list.count == 0) return p->status == STATUS_OK ? first : NULL;
    struct node *node = parser_items(p, NODE_COMPARE, line, &list);
    unsigned char *kept = parser_take(p, list.count, sizeof *kept);
    if (!node || !kept) return NULL;
    memcpy(kept, operators, list.count);
    node->a = first;
    node->operators = kept;
    return node;
}

static struct node *parse_not(struct parser *p) {
    unsigned line = p->token.line;
    if (!parser_is(p, TOKEN_NAME, "not")) return parse_comparison(p);
    if (!parser_enter(p) || !parser_next(p)) return NULL;
    struct node *node = parser_single(p, NODE_NOT, line, parse_not(p));
    p->depth--;
    return node;
}

static struct node *parse_and(struct parser *p) {
    unsigned line = p->token.line;
    struct node *left = parse_not(p);
    while (left && parser_skip(p, TOKEN_NAME, "and"))
        left = parser_pair(p, NODE_AND, line, left, parse_not(p));
    return left;
}

static struct node *parse_or(struct parser *p) {
    unsigned line = p->token.line;
    struct node *left = parse_and(p);
    while (left && parser_skip(p, TOKEN_NAME, "or")) left = parser_pair(p, NODE_OR, line, left, parse_and(p));
    return left;
}

struct node *parse_expression(struct parser *p, bool conditional) {
    size_t unknown = p->unknown;
    unsigned line = p->token.line;
    struct node *value = parse_or(p);
    while (value && conditional && parser_skip(p, TOKEN_NAME, "if")) {
        struct node *node = parser_pair(p, NODE_CONDITIONAL, line, value, parse_or(p));
        bool has_else = node && parser_skip(p, TOKEN_NAME, "else");
        if (has_else) {
            if (!parser_enter(p)) return NULL;
            node->c = parse_expression(p, true);
            p->depth--;
        }
        p->unknown = unknown; /* any of them may not be reached */
        value = has_else && !node->c ? NULL : node;
    }
    return p->status == STATUS_OK ? value : NULL;
}
