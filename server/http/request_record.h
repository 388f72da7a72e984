/* What is remembered of a request for the line that it leaves in the access log, and for the figures: how it ended, and
 * why. A completion's memory may be the pool's when its client leaves, so what is said of it is noted while it is the
 * loop's. Loop thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/api/api_error.h"

struct http_request;
struct engine_event;

struct request_record {
    bool has_tokens;
    uint64_t prompt_tokens, cached_tokens, generated_tokens;
    double queued_seconds;       /* the longest of its choices */
    uint64_t first_token_ns;     /* when the loop took it; 0: none */
    bool is_late, is_long;       /* a choice ended by its time; one by its length */
    enum api_error_kind failure; /* that it ended with, once the answer had begun or before */
    const char *cut_by;          /* who has ended it, where that was not its client; static */
};

/* An event that was taken from the engine. */
void request_record_event(struct http_request *r, const struct engine_event *event);

/* The completion has ended, or is given up: what it has used until now. */
void request_record_note(struct http_request *r);

/* The request is over. is_whole: its answer was sent completely. Writes the line, says refusals in the log. */
void request_record_write(struct http_request *r, bool is_whole);
