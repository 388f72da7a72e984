/* Source of a template to its syntax tree: the grammar of Jinja 3.1, with loop controls and the "generation" blocks of
 * the transformers library. */
#pragma once

#include "engine/text/template/lexer.h"
#include "engine/text/template/node.h"

/* Fills t, whose arena has its limit; what it holds after an error is of no use. */
enum status parser_run(struct template *t, const char *text, size_t length, struct error *e);

/* ---- for the files of the parser ----------------------------------------------------------------------- */

struct parser {
    struct template *t;
    struct lexer lexer;
    struct token token, ahead; /* the next, and the one behind it */
    bool has_ahead;
    size_t depth;
    size_t loops;     /* that a break may end */
    bool within_loop; /* at any distance */
    bool soft;        /* in an if: what is unknown is an error only once it is reached */
    size_t unknown;   /* filters and tests, not so */
    unsigned unknown_line;
    const char *unknown_what;
    const struct string *unknown_name;
    bool names_caller, names_kwargs, names_varargs;
    enum status status;
    struct error *e;
};

/* Those that return a pointer or a bool give NULL or false after an error, which p->status has. */
bool parser_fail(struct parser *p, enum status status, unsigned line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool parser_next(struct parser *p);
/* The token behind the next one. */
bool parser_look(struct parser *p);
bool parser_enter(struct parser *p);
bool token_is(const struct token *token, enum token_kind kind, const char *text);
bool parser_is(const struct parser *p, enum token_kind kind, const char *text);
/* Takes the next token where it is that one. */
bool parser_skip(struct parser *p, enum token_kind kind, const char *text);
bool parser_expect(struct parser *p, enum token_kind kind, const char *text);
/* Zeroes, of the template's arena. */
void *parser_take(struct parser *p, size_t count, size_t size);
struct node *parser_node(struct parser *p, enum node_kind kind, unsigned line);
const struct string *parser_string(struct parser *p, const char *text, size_t length);
/* The name at hand, which is taken. */
const struct string *parser_name(struct parser *p);
bool parser_symbol(struct parser *p, const struct string *name, unsigned *symbol);

/* Nodes that are being collected. */
struct node_list {
    struct node **items;
    size_t count, capacity;
};
bool node_list_add(struct parser *p, struct node_list *list, struct node *node);

/* A node of two parts, of one, of a list; NULL too where a part is. */
struct node *parser_pair(struct parser *p, enum node_kind kind, unsigned line, struct node *a,
                         struct node *b);
struct node *parser_single(struct parser *p, enum node_kind kind, unsigned line, struct node *a);
struct node *parser_items(struct parser *p, enum node_kind kind, unsigned line, const struct node_list *list);
/* NULL, with an error at the token at hand. */
struct node *parser_failed(struct parser *p, const char *what);

struct node *parse_expression(struct parser *p, bool conditional);
/* Attributes, subscripts and calls behind a value; filters, tests and calls behind that. */
struct node *parse_postfix(struct parser *p, struct node *node);
struct node *parse_filter_expression(struct parser *p, struct node *node);
struct node *parse_primary(struct parser *p, bool namespaces);
/* One expression, or several with commas between them. */
enum tuple_rules { TUPLE_PLAIN, TUPLE_UNCONDITIONAL, TUPLE_PARENTHESES };
struct node *parse_tuple(struct parser *p, enum tuple_rules rules, const char *end_name);
/* A target of an assignment. */
struct node *parse_target(struct parser *p, bool namespaces, const char *end_name);
/* Filters behind a value, or (inline, with value NULL) the name of the first at hand. */
struct node *parse_filters(struct parser *p, struct node *value, bool inline_start);

extern const struct string template_empty_string;
