/* One rendering: its memory, its limits and what went wrong. One thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/text/template/arena.h"
#include "engine/text/template/value.h"

struct template;
struct template_input;

struct render {
    struct arena arena;
    const struct template *template;
    const struct template_input *input;
    struct value *variables; /* [symbols]: of the input and the globals; VALUE_MISSING: not looked for yet */
    struct builder *output;  /* where text goes now */
    size_t steps, steps_max, depth;
    unsigned line; /* of the statement or expression that is under way */
    struct error *e;
    bool failed;
};

/* Arguments of a call. */
struct keyword {
    const struct string *name;
    struct value value;
};
struct arguments {
    struct value *items;
    size_t count;
    struct keyword *keywords;
    size_t keyword_count;
};

/* What stops a rendering. The first one counts. */
void render_set_error(struct render *r, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same as a value: false. */
#define render_fail(r, ...) (render_set_error((r), __VA_ARGS__), false)
/* An error of the template or of what it was given. */
#define render_error(r, ...) render_fail((r), STATUS_INVALID_ARGUMENT, __VA_ARGS__)

/* Counts steps; false: there were too many. */
bool render_steps(struct render *r, size_t count);
/* Of something that looks at so many bytes. */
static inline bool render_bytes(struct render *r, size_t bytes) {
    return render_steps(r, bytes / 64 + 1);
}

/* So many levels deeper; false: too deep. Each that succeeds is followed by a leave. What takes the stack of several counts
 * as these. */
bool render_enter_levels(struct render *r, size_t levels);
static inline void render_leave_levels(struct render *r, size_t levels) {
    r->depth -= levels;
}
static inline bool render_enter(struct render *r) {
    return render_enter_levels(r, 1);
}
static inline void render_leave(struct render *r) {
    render_leave_levels(r, 1);
}

/* From the arena, zeroed; NULL has been told. */
void *render_take(struct render *r, size_t count, size_t size);
char *render_take_bytes(struct render *r, size_t bytes);

/* A string for a message: cut, and with what it was said about. */
const char *render_format(struct render *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
