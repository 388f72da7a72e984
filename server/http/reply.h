/* Bytes of a stream on their way to the reader: appended by delivery, taken by libmicrohttpd's content
 * reader. Bounded: whoever appends asks reply_has_room first, so the buffer holds at most the limit and one
 * event more, and all buffers together what their budget allows and an event of each. Loop thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/json/bytes.h"
#include "server/memory/budget.h"

struct reply {
    struct bytes bytes;
    size_t taken; /* bytes at the front that the reader has had */
    size_t limit;
    bool ended;           /* nothing more will be appended */
    struct budget *total; /* of all streams; NULL: none */
    size_t charged;       /* taken of it */
    bool is_waiting;      /* there is something for the reader */
    uint64_t appended_ns;
    uint64_t taken_ns; /* the reader took last, or got something to take after it had everything */
};

void reply_init(struct reply *r, size_t limit, struct budget *total);
void reply_deinit(struct reply *r);

/* However little memory is left for all streams, one that holds little always has room: so none waits for the
 * reader of another. */
bool reply_has_room(const struct reply *r);
size_t reply_pending(const struct reply *r);

/* To be called after appending to r->bytes. */
void reply_appended(struct reply *r);

/* Moves up to size bytes to out; returns how many. */
size_t reply_take(struct reply *r, char *out, size_t size);
