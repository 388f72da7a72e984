#include "engine/text/regex/regex.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "engine/base/clock.h"
#include "engine/text/unicode/unicode.h"

/* A match of the patterns in use takes a few steps a character; a run of a million blanks backtracks a
 * million times. JIT takes it for no step when a repeat of one character gives one back: a pattern like
 * "[a-z]*e[a-z]*[!?]" can take the square of a text's length. */
enum {
    STEPS_PER_MATCH_MAX = 10 * 1000 * 1000,
    JIT_STACK_FIRST = 32 * 1024,
    JIT_STACK_MAX = 64 * 1024 * 1024
};
enum { HEAP_KIBIBYTES_MAX = 64 * 1024, TRANSLATED_BYTES_MAX = 1 << 20 };

struct regex {
    pcre2_code *code; /* or NULL, and what matches is this: */
    struct text_buffer literal;
};

/* The processor's time that the matches of one run may take together, some hundred times what patterns in use need for a
 * megabyte. The limit of steps cannot see a pattern that goes far from every place of a text. Reading that time can cost
 * more than a match, so a run is only looked at once this much time has passed in its matches. */
#define RUN_SECONDS_MAX     20.0
#define RUN_SECONDS_UNKNOWN 1.0

struct regex_run {
    double seconds, cpu_seconds;
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

static enum status no_memory(struct error *e) {
    return error_set(e, STATUS_NO_MEMORY, "", "no memory for a regular expression");
}

static enum status compile(const char *pattern, size_t length, uint32_t options, struct regex **out,
                           struct error *e) {
    int code;
    PCRE2_SIZE offset;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    struct regex *r = calloc(1, sizeof *r);
    if (context && r) {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        r->code = pcre2_compile((PCRE2_SPTR)pattern, length, options, &code, &offset, context);
    }
    pcre2_compile_context_free(context);
    if (!context || !r || (!r->code && code == PCRE2_ERROR_NOMEMORY)) {
        free(r);
        return no_memory(e);
    }
    if (!r->code) {
        PCRE2_UCHAR text[128];
        pcre2_get_error_message(code, text, sizeof text);
        free(r);
        return error_set(e, STATUS_MALFORMED, "", "the regular expression, near offset %zu: %s",
                         (size_t)offset, (const char *)text);
    }
    pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* without JIT the interpreter takes over */
    *out = r;
    return STATUS_OK;
}

enum status regex_create(const char *pattern, size_t length, struct regex **out, struct error *e) {
    struct text_buffer translated = {0};
    if (length > REGEX_PATTERN_BYTES_MAX)
        return error_set(e, STATUS_LIMIT, "", "the regular expression is longer than %d bytes",
                         REGEX_PATTERN_BYTES_MAX);
    enum status status = regex_translate(pattern, length, &translated, e);
    if (status == STATUS_OK && translated.length > TRANSLATED_BYTES_MAX)
        status = error_set(e, STATUS_LIMIT, "", "the regular expression has too many sets");
    if (status == STATUS_OK)
        status = compile(translated.bytes ? translated.bytes : "", translated.length,
                         PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, out, e);
    text_buffer_deinit(&translated);
    return status;
}

enum status regex_create_literal(const char *text, size_t length, struct regex **out, struct error *e) {
    struct regex *r = calloc(1, sizeof *r);
    if (!r) return no_memory(e);
    text_buffer_append(&r->literal, text, length);
    if (r->literal.failed) {
        regex_destroy(r);
        return no_memory(e);
    }
    *out = r;
    return STATUS_OK;
}

bool regex_is_literal(const struct regex *r) {
    return !r->code;
}

void regex_destroy(struct regex *r) {
    if (!r) return;
    pcre2_code_free(r->code);
    text_buffer_deinit(&r->literal);
    free(r);
}

enum status regex_run_create(struct regex_run **out, struct error *e) {
    struct regex_run *run = calloc(1, sizeof *run);
    if (!run) return no_memory(e);
    run->data = pcre2_match_data_create(1, NULL);
    run->context = pcre2_match_context_create(NULL);
    run->stack = pcre2_jit_stack_create(JIT_STACK_FIRST, JIT_STACK_MAX, NULL);
    if (!run->data || !run->context) {
        regex_run_destroy(run);
        return no_memory(e);
    }
    pcre2_set_match_limit(run->context, STEPS_PER_MATCH_MAX);
    pcre2_set_heap_limit(run->context, HEAP_KIBIBYTES_MAX);
    if (run->stack) pcre2_jit_stack_assign(run->context, NULL, run->stack);
    *out = run;
    return STATUS_OK;
}

void regex_run_destroy(struct regex_run *run) {
    if (!run) return;
    pcre2_match_data_free(run->data);
    pcre2_match_context_free(run->context);
    pcre2_jit_stack_free(run->stack);
    free(run);
}

void regex_scan_init(struct regex_scan *s, const struct regex *r, struct regex_run *run, const char *text,
                     size_t length) {
    *s = (struct regex_scan){.regex = r, .run = run, .text = text, .length = length};
}

static enum status match_error(int code, struct error *e) {
    if (code == PCRE2_ERROR_NOMEMORY) return no_memory(e);
    return error_set(e, STATUS_LIMIT, "tokenizer",
                     "a regular expression of the tokenizer takes too long on this text");
}

static int match(struct regex_scan *s) {
    struct regex_run *run = s->run;
    bool looked_at = run->seconds > RUN_SECONDS_UNKNOWN;
    if (run->cpu_seconds > RUN_SECONDS_MAX) return PCRE2_ERROR_MATCHLIMIT;
    uint64_t cpu_start = looked_at ? clock_thread_ns() : 0;
    double start = clock_seconds();
    int code = pcre2_match(s->regex->code, (PCRE2_SPTR)s->text, s->length, s->at, PCRE2_NO_UTF_CHECK,
                           run->data, run->context);
    run->seconds += clock_seconds() - start;
    if (looked_at) run->cpu_seconds += (double)(clock_thread_ns() - cpu_start) * 1e-9;
    return code;
}

/* Searches in windows: under the sanitizers memmem looks at all of its haystack first, each time. */
static const char *search(const char *text, size_t length, const struct text_buffer *literal) {
    enum { WINDOW = 4096 };
    for (size_t at = 0; at < length; at += WINDOW) {
        size_t window = WINDOW + literal->length - 1, rest = length - at;
        const char *found = memmem(text + at, window < rest ? window : rest, literal->bytes, literal->length);
        if (found) return found;
    }
    return NULL;
}

static bool find_literal(struct regex_scan *s) {
    const struct text_buffer *literal = &s->regex->literal;
    const char *found = s->at < s->length ? search(s->text + s->at, s->length - s->at, literal) : NULL;
    if (!found) return false;
    s->start = (size_t)(found - s->text);
    s->at = s->end = s->start + literal->length;
    return true;
}

enum status regex_scan_next(struct regex_scan *s, bool *found, struct error *e) {
    *found = regex_is_literal(s->regex) && find_literal(s);
    if (regex_is_literal(s->regex)) return STATUS_OK;
    while (s->at <= s->length) {
        int code = match(s);
        if (code == PCRE2_ERROR_NOMATCH) return STATUS_OK;
        if (code < 0) return match_error(code, e);
        const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(s->run->data);
        s->start = ends[0];
        s->end = ends[1];
        if (s->start != s->end || !s->had_match || s->last_end != s->end) {
            *found = s->had_match = true;
            s->at = s->last_end = s->end;
            return STATUS_OK;
        }
        if (s->at == s->length) return STATUS_OK;
        utf8_next(s->text, s->length, &s->at);
    }
    return STATUS_OK;
}
