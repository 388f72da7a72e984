#include "server/memory/admission.h"

#include <assert.h>

bool admission_take_bytes(struct admission *a, size_t bytes) {
    if (bytes > a->bytes_max - a->bytes) return false;
    a->bytes += bytes;
    return true;
}

void admission_give_bytes(struct admission *a, size_t bytes) {
    assert(bytes <= a->bytes);
    a->bytes -= bytes;
}

bool admission_take_request(struct admission *a) {
    if (a->requests >= a->requests_max) return false;
    a->requests++;
    return true;
}

void admission_give_request(struct admission *a) {
    assert(a->requests > 0);
    a->requests--;
}
