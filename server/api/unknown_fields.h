/* Names of fields that requests had and that nobody knows: each is logged once, so that a misspelt field
 * shows without a client filling the log. Any thread. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* Names that are remembered, and bytes of one: after as many different ones it is no longer a slip of a
 * client's author, and the log has said enough. */
#define UNKNOWN_FIELDS_MAX      64
#define UNKNOWN_FIELD_BYTES_MAX 64

struct unknown_fields {
    pthread_mutex_t mutex;
    char names[UNKNOWN_FIELDS_MAX]
              [UNKNOWN_FIELD_BYTES_MAX]; /* longer ones are cut, and equal from there on */
    size_t count;
    bool is_full; /* and has said so */
};

void unknown_fields_init(struct unknown_fields *u);
void unknown_fields_deinit(struct unknown_fields *u);

/* Logs the name unless it was there before. Returns whether a line was written. */
bool unknown_fields_note(struct unknown_fields *u, const char *name);
