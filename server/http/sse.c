#include "server/http/sse.h"

void sse_write_begin(struct bytes *out) {
    bytes_text(out, "data: ");
}

void sse_write_end(struct bytes *out) {
    bytes_text(out, "\n\n");
}

void sse_write_done(struct bytes *out) {
    bytes_text(out, "data: [DONE]\n\n");
}

void sse_write_ping(struct bytes *out) {
    bytes_text(out, ": ping\n\n");
}
