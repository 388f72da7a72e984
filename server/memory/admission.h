/* Tickets for what waits before the engine: bodies that are being received or turned into tokens. The uv
 * pool's own queue has no bound, so the loop takes a ticket first and refuses where there is none. Loop
 * thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct admission {
    size_t requests, requests_max; /* in the uv pool */
    size_t bytes, bytes_max;       /* of bodies held in memory */
};

bool admission_take_bytes(struct admission *a, size_t bytes);
void admission_give_bytes(struct admission *a, size_t bytes);
bool admission_take_request(struct admission *a);
void admission_give_request(struct admission *a);
