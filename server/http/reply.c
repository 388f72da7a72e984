#include "server/http/reply.h"

#include <string.h>

#include "engine/base/clock.h"
#include "server/memory/serving_memory.h"

/* What every stream may hold however little memory is left for all: part of its connection's memory, so it is
 * not counted. */
enum { OWN_BYTES = STREAM_BLOCK_BYTES };

void reply_init(struct reply *r, size_t limit, struct budget *total) {
    *r = (struct reply){.limit = limit, .total = total, .appended_ns = clock_ns(), .taken_ns = clock_ns()};
}

/* The buffer is there already: what is over is made up for by streams that wait. */
static void charge(struct reply *r) {
    if (!r->total) return;
    size_t shared = r->bytes.capacity > OWN_BYTES ? r->bytes.capacity - OWN_BYTES : 0;
    if (shared > r->charged)
        budget_force(r->total, shared - r->charged);
    else
        budget_give(r->total, r->charged - shared);
    r->charged = shared;
}

void reply_deinit(struct reply *r) {
    bytes_deinit(&r->bytes);
    charge(r);
}

size_t reply_pending(const struct reply *r) {
    return r->bytes.length - r->taken;
}

bool reply_has_room(const struct reply *r) {
    size_t pending = reply_pending(r);
    if (pending >= r->limit) return false;
    return pending < OWN_BYTES || !r->total || !budget_is_low(r->total);
}

/* A reader that has had everything is not late with what comes now. */
void reply_appended(struct reply *r) {
    r->appended_ns = clock_ns();
    if (!r->is_waiting) r->taken_ns = r->appended_ns;
    r->is_waiting = reply_pending(r) > 0;
    charge(r);
}

size_t reply_take(struct reply *r, char *out, size_t size) {
    size_t length = reply_pending(r) < size ? reply_pending(r) : size;
    if (!length) return 0;
    memcpy(out, r->bytes.data + r->taken, length);
    r->taken += length;
    r->taken_ns = clock_ns();
    r->is_waiting = reply_pending(r) > 0;
    /* Moving the rest to the front only when it is the smaller half keeps the cost of a byte constant. */
    if (r->taken * 2 >= r->bytes.length) {
        size_t rest = reply_pending(r);
        memmove(r->bytes.data, r->bytes.data + r->taken, rest);
        r->bytes.length = rest;
        r->taken = 0;
    }
    if (r->bytes.length == 0 && r->bytes.capacity > OWN_BYTES) {
        bytes_deinit(&r->bytes);
        charge(r);
    }
    return length;
}
