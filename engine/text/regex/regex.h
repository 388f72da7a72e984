/* Regular expressions of tokenizer files. They are in Oniguruma's dialect; regex_translate.c says which part
 * of it is understood and rewrites it for PCRE2, the rest is refused. A compiled regex is immutable; every
 * user matches with a regex_run of its own. No match goes on without end: its memory is limited, and the steps that
 * all matches of a run take together, whatever the pattern (regex_callouts.h), so that a run takes about a second at most,
 * or about one for each megabyte of a longer text, and one of the scheduler's thread a few tens of milliseconds. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/text/containers/text_buffer.h"

/* Bytes of a pattern in a file. */
enum { REGEX_PATTERN_BYTES_MAX = 64 * 1024 };

struct regex;
struct regex_run;

/* MALFORMED or UNSUPPORTED with the offset in the pattern as it stands in the file; *e's where is left for
 * the caller (who knows the place in the file): it is "" on return. */
enum status regex_create(const char *pattern, size_t length, struct regex **out, struct error *e);
/* One that matches exactly these bytes (not empty). */
enum status regex_create_literal(const char *text, size_t length, struct regex **out, struct error *e);
void regex_destroy(struct regex *r);
/* A literal is searched for without a regex_run. */
bool regex_is_literal(const struct regex *r);

/* Steps of a run, beside those that its texts give it by their length. A step takes some nanoseconds. */
enum { REGEX_STEPS_ENCODING = 1 << 26, REGEX_STEPS_DECODING = 1 << 18 };

/* Working memory of one encoding or decoding. */
enum status regex_run_create(size_t steps, struct regex_run **out, struct error *e);
void regex_run_destroy(struct regex_run *run);

/* Goes through the matches of a text. Empty matches directly behind a match do not count. */
struct regex_scan {
    const struct regex *regex;
    struct regex_run *run;
    const char *text; /* well-formed UTF-8 */
    size_t length;
    size_t at;         /* where to search next */
    size_t last_end;   /* end of the last match, */
    bool had_match;    /* if there was one */
    size_t start, end; /* the match at hand */
};
void regex_scan_init(struct regex_scan *s, const struct regex *r, struct regex_run *run, const char *text,
                     size_t length);
/* *found: whether there is a next match. STATUS_LIMIT when the run's regexes take too many steps. */
enum status regex_scan_next(struct regex_scan *s, bool *found, struct error *e);

/* Oniguruma's dialect -> PCRE2's (UTF, UCP, MULTILINE, newline LF). Errors as in regex_create. */
enum status regex_translate(const char *pattern, size_t length, struct text_buffer *out, struct error *e);
