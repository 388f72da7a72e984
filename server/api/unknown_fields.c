#include "server/api/unknown_fields.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/log.h"

void unknown_fields_init(struct unknown_fields *u) {
    u->count = 0;
    u->is_full = false;
    pthread_mutex_init(&u->mutex, NULL);
}

void unknown_fields_deinit(struct unknown_fields *u) {
    pthread_mutex_destroy(&u->mutex);
}

enum answer { SEEN, ADDED, FULL };

static enum answer add(struct unknown_fields *u, const char *name) {
    char cut[UNKNOWN_FIELD_BYTES_MAX];
    snprintf(cut, sizeof cut, "%s", name);
    for (size_t i = 0; i < u->count; i++)
        if (strcmp(u->names[i], cut) == 0) return SEEN;
    if (u->is_full) return SEEN;
    if (u->count == UNKNOWN_FIELDS_MAX) {
        u->is_full = true;
        return FULL;
    }
    memcpy(u->names[u->count++], cut, sizeof cut);
    return ADDED;
}

bool unknown_fields_note(struct unknown_fields *u, const char *name) {
    pthread_mutex_lock(&u->mutex);
    enum answer answer = add(u, name);
    pthread_mutex_unlock(&u->mutex);
    if (answer == ADDED)
        log_warn("a request has the field '%.*s', which is not known and is ignored (--strict refuses it)",
                 UNKNOWN_FIELD_BYTES_MAX, name);
    if (answer == FULL)
        log_warn("requests had %d different unknown fields: no further name is logged", UNKNOWN_FIELDS_MAX);
    return answer != SEEN;
}
