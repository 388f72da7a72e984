#include "server/reply.h"

#include <string.h>

#include "engine/base/clock.h"

void reply_init(struct reply *r, size_t limit) {
    *r = (struct reply){.limit = limit, .appended_ns = clock_ns(), .taken_ns = clock_ns()};
}

void reply_deinit(struct reply *r) {
    bytes_deinit(&r->bytes);
}

size_t reply_pending(const struct reply *r) {
    return r->bytes.length - r->taken;
}

bool reply_has_room(const struct reply *r) {
    return reply_pending(r) < r->limit;
}

void reply_appended(struct reply *r) {
    r->appended_ns = clock_ns();
}

size_t reply_take(struct reply *r, char *out, size_t size) {
    size_t length = reply_pending(r) < size ? reply_pending(r) : size;
    if (!length) return 0;
    memcpy(out, r->bytes.data + r->taken, length);
    r->taken += length;
    r->taken_ns = clock_ns();
    /* Moving the rest to the front only when it is the smaller half keeps the cost of a byte constant. */
    if (r->taken * 2 >= r->bytes.length) {
        size_t rest = reply_pending(r);
        memmove(r->bytes.data, r->bytes.data + r->taken, rest);
        r->bytes.length = rest;
        r->taken = 0;
    }
    return length;
}
