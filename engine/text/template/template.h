/* Chat templates: Jinja as the transformers library runs it (a sandbox without autoescape, with trim_blocks,
 * lstrip_blocks, loop controls and "generation" blocks; its own tojson, raise_exception, strftime_now), by an
 * interpreter of our own. A template is compiled once and never changes afterwards, so any thread may render it.
 * What we do not do is refused when compiling, with line and construct.
 *
 * A template comes with the model, but it need not mean well: source, nesting, steps, memory and output are bounded
 * by the limits below, whatever it does.
 *
 * What of the output a client wrote is tracked: each byte of a string remembers whether it came from the client's
 * variables, through slices, concatenation, filters and tojson. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "engine/base/error.h"
#include "engine/types/text_range.h"

/* Bytes of a template's source. The longest that are published have some 50 KB. */
#define TEMPLATE_SOURCE_BYTES_MAX ((size_t)1 << 20)

/* Nodes of its syntax tree. */
#define TEMPLATE_NODES_MAX ((size_t)1 << 18)

/* Levels of nested blocks and expressions, as it is compiled, and of all that is under way at once, as it is rendered
 * (calls of macros in each other). */
enum { TEMPLATE_NESTING_MAX = 200, TEMPLATE_DEPTH_MAX = 1000 };

/* Steps of one rendering: a step is a node that is evaluated, an element that is visited, or 64 bytes that are looked
 * at. A chat of 100 messages takes some 10,000 to 100,000. */
#define TEMPLATE_STEPS_MAX ((size_t)20 << 20)

/* Memory of one rendering: all values that it makes, and the text that it writes. */
#define TEMPLATE_MEMORY_MAX ((size_t)64 << 20)

/* Bytes of the rendered text. */
#define TEMPLATE_OUTPUT_BYTES_MAX ((size_t)16 << 20)

struct template;

/* *out is the caller's. STATUS_MALFORMED: Jinja would not compile it either; STATUS_UNSUPPORTED: Jinja would, we do
 * not; STATUS_LIMIT. e->where is "chat template, line N". The text need not be kept. */
enum status template_create(const char *text, size_t length, struct template **out, struct error *e);
void template_destroy(struct template *t);

/* What a template is rendered with. Both may be NULL; where both have a name, the client's counts, and "model" may
 * hold what it likes. Strings and keys of "client" are a client's text, at any depth, but for the value of "role" in
 * an object where it is one of the roles that everybody knows ("system", "user", "assistant", ...): that is a choice,
 * and no text. Only read. */
struct template_input {
    const json_t *model;  /* object: bos_token, ... */
    const json_t *client; /* object: messages, add_generation_prompt, ... */
    time_t now;           /* that strftime_now writes, in local time; 0: the clock's */
    /* In place of TEMPLATE_MEMORY_MAX and TEMPLATE_STEPS_MAX, where they are less; 0: those. */
    size_t memory_max, steps_max;
};

struct template_text {
    char *text; /* malloc'ed, NUL-terminated; may hold NULs */
    size_t length;
    struct text_range *client; /* malloc'ed: the bytes that the client wrote; NULL where there are none */
    size_t client_count;
};
void template_text_deinit(struct template_text *t);

/* *out is the caller's after STATUS_OK, to be given to template_text_deinit; else it holds nothing.
 * STATUS_INVALID_ARGUMENT: the template does not render this input. e->where is "raise_exception" where the template
 * itself said so, and e->text is its message alone; else "chat template, line N" and what went wrong, mostly in
 * Jinja's words. STATUS_LIMIT: one of the limits above, by name; STATUS_UNSUPPORTED: an operation that we do not do
 * (whole numbers beyond 64 bits); STATUS_NO_MEMORY. */
enum status template_render(const struct template *t, const struct template_input *input,
                            struct template_text *out, struct error *e);
