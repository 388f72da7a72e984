/* How many requests each client has under way, and the limit of it. Loop thread.
 *
 * A table of counters, with open addressing: a client is in it while it has a request. It has room for the
 * requests that are meant to be there at once; past that new clients are refused. Places are found by a hash
 * with a random seed, so that nobody can choose addresses that collide. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

struct client_count {
    uint64_t client;
    size_t requests; /* 0: the entry is empty */
};

struct client_counts {
    size_t most; /* requests of one client; 0: no limit, nothing is counted */
    struct client_count *entries;
    size_t client_count; /* entries that are not empty */
    size_t entry_count;  /* a power of 2, at least twice the clients */
    uint64_t hash_seed;
};

/* most: of one client. requests_max: of all together, also those whose connection is gone. */
enum status client_counts_init(struct client_counts *counts, size_t most, size_t requests_max,
                               struct error *e);
void client_counts_deinit(struct client_counts *counts);

/* What the table takes. */
size_t client_counts_bytes(size_t most, size_t requests_max);

enum client_counts_answer {
    CLIENT_COUNTS_TAKEN,
    CLIENT_COUNTS_AT_LIMIT, /* the client has as many as it may */
    CLIENT_COUNTS_FULL,     /* there is no room for another client */
};
enum client_counts_answer client_counts_take(struct client_counts *counts, uint64_t client);
/* Gives back what was taken. */
void client_counts_give(struct client_counts *counts, uint64_t client);
