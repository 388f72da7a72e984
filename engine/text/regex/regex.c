#include "engine/text/regex/regex.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "engine/text/unicode/unicode.h"

/* Of a pattern. Where one is longer than is usual, so many bytes of it count as another step of each step: a match may look
 * at all of its alternatives and sets at one place of the text. */
enum { TRANSLATED_BYTES_MAX = 1 << 20, BYTES_OF_A_STEP = 4096 };

/* Characters: PCRE2 goes them back before any callout within. */
enum { LOOK_BEHIND_MAX = 64 };

/* Of a match. The steps that PCRE2 counts itself, anew from each place of the text, are those of groups, and those back within a
 * run of characters, which may be all of the text, once for each alternative. */
enum {
    GROUP_STEPS_MAX = 10 * 1000 * 1000,
    GROUP_STEPS_PER_BYTE = 16,
    HEAP_KIBIBYTES_MAX = 64 * 1024,
    JIT_STACK_FIRST = 32 * 1024,
    JIT_STACK_MAX = 64 * 1024 * 1024
};

/* Of a run: each byte of a text that is searched gives it some more steps. Patterns in use take up to ten a byte. */
enum { STEPS_PER_BYTE = 64 };

struct regex {
    pcre2_code *code; /* or NULL, and what matches is this: */
    struct text_buffer literal;
    uint64_t step_cost;
};

struct regex_run {
    uint64_t steps_left, step_cost;
    size_t start, at; /* of the last callout: where its match began, and its place */
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

static enum status no_memory(struct error *e) {
    return error_set(e, STATUS_NO_MEMORY, "", "no memory for a regular expression");
}

/* A step for each character that the match has gone over, forward or back, since the last callout. */
static int count_steps(pcre2_callout_block *block, void *data) {
    struct regex_run *run = data;
    size_t at = block->current_position, ahead = block->subject_length - at;
    size_t from = block->start_match == run->start ? run->at : block->start_match;
    uint64_t walk = at > from ? at - from : from - at;
    uint64_t cost = (walk + 1) * run->step_cost;
    if (block->callout_number > 0) { /* what comes next, if the text is so long */
        uint64_t told = UINT64_C(1) << (block->callout_number < 31 ? block->callout_number : 31);
        cost += told < ahead ? told : ahead;
    }
    run->start = block->start_match;
    run->at = at;
    if (cost > run->steps_left) return PCRE2_ERROR_CALLOUT;
    run->steps_left -= cost;
    return 0;
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
    uint32_t back = 0;
    pcre2_pattern_info(r->code, PCRE2_INFO_MAXLOOKBEHIND, &back);
    if (back > LOOK_BEHIND_MAX) {
        regex_destroy(r);
        return error_set(e, STATUS_LIMIT, "",
                         "the regular expression looks %u characters back, and %d are the most", back,
                         LOOK_BEHIND_MAX);
    }
    pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* without JIT the interpreter takes over */
    r->step_cost = 1 + length / BYTES_OF_A_STEP;
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

enum status regex_run_create(size_t steps, struct regex_run **out, struct error *e) {
    struct regex_run *run = calloc(1, sizeof *run);
    if (!run) return no_memory(e);
    run->data = pcre2_match_data_create(1, NULL);
    run->context = pcre2_match_context_create(NULL);
    run->stack = pcre2_jit_stack_create(JIT_STACK_FIRST, JIT_STACK_MAX, NULL);
    if (!run->data || !run->context) {
        regex_run_destroy(run);
        return no_memory(e);
    }
    run->steps_left = steps;
    pcre2_set_callout(run->context, count_steps, run);
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
    if (!regex_is_literal(r)) run->steps_left += (uint64_t)length * STEPS_PER_BYTE;
}

static enum status match_error(int code, struct error *e) {
    if (code == PCRE2_ERROR_NOMEMORY) return no_memory(e);
    return error_set(e, STATUS_LIMIT, "tokenizer",
                     "a regular expression of the tokenizer takes too long on this text");
}

static int match(struct regex_scan *s) {
    struct regex_run *run = s->run;
    run->step_cost = s->regex->step_cost;
    run->start = run->at = s->at;
    uint64_t limit = GROUP_STEPS_MAX + (uint64_t)s->length * GROUP_STEPS_PER_BYTE;
    pcre2_set_match_limit(run->context, limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX);
    return pcre2_match(s->regex->code, (PCRE2_SPTR)s->text, s->length, s->at, PCRE2_NO_UTF_CHECK, run->data,
                       run->context);
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
