/* The source of a template as tokens, by the rules of Jinja 3.1 with trim_blocks and lstrip_blocks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/text/template/arena.h"

enum token_kind {
    TOKEN_END,
    TOKEN_DATA,
    TOKEN_VARIABLE_BEGIN,
    TOKEN_VARIABLE_END,
    TOKEN_BLOCK_BEGIN,
    TOKEN_BLOCK_END,
    TOKEN_NAME,
    TOKEN_STRING,
    TOKEN_INTEGER,
    TOKEN_FLOAT,
    TOKEN_OPERATOR,
};

struct token {
    enum token_kind kind;
    unsigned line;
    const char *text; /* of data, a name, a string (its escapes undone), an operator */
    size_t length;
    int64_t integer;
    double real;
};

struct lexer {
    const char *source; /* its line ends are \n, and the last of them is gone */
    size_t length, at;
    unsigned line;
    /* TOKEN_DATA: outside of all tags; TOKEN_END: in a raw block; else what began the tag, */
    enum token_kind inside;
    bool entering;      /* which is still to be read */
    bool line_starting; /* what was read last ended with a line end */
    char brackets[128]; /* that are open, as they close: no more than nesting allows */
    size_t open;
    struct arena *arena; /* for what the tokens point at */
    struct error *e;
};

/* The source need not be kept. */
enum status lexer_init(struct lexer *l, struct arena *arena, const char *source, size_t length,
                       struct error *e);
enum status lexer_next(struct lexer *l, struct token *out);

/* An error at a line of the template. */
enum status template_error(struct error *e, enum status status, unsigned line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
enum status template_no_memory(struct error *e, const struct arena *arena);
