#include "engine/text/template/render.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/text/template/template.h"

/* Bytes of a message that is made in the arena. */
enum { MESSAGE_BYTES_MAX = 256 };

void render_set_error(struct render *r, enum status status, const char *format, ...) {
    if (r->failed) return;
    r->failed = true;
    char where[64];
    snprintf(where, sizeof where, "chat template, line %u", r->line);
    va_list args;
    va_start(args, format);
    error_vset(r->e, status, where, format, args);
    va_end(args);
}

bool render_steps(struct render *r, size_t count) {
    r->steps += count;
    if (r->steps <= r->steps_max) return true;
    return render_fail(r, STATUS_LIMIT, "rendering takes more than %zu steps", r->steps_max);
}

bool render_enter_levels(struct render *r, size_t levels) {
    if (r->depth > TEMPLATE_DEPTH_MAX - levels)
        return render_fail(r, STATUS_LIMIT, "rendering goes deeper than %d levels", TEMPLATE_DEPTH_MAX);
    r->depth += levels;
    return true;
}

static bool fail_memory(struct render *r) {
    if (r->arena.no_memory) return render_fail(r, STATUS_NO_MEMORY, "no memory to render the template");
    return render_fail(r, STATUS_LIMIT, "rendering takes more than %zu KiB of memory",
                       r->arena.bytes_max >> 10);
}

void *render_take(struct render *r, size_t count, size_t size) {
    void *taken = arena_take_array(&r->arena, count, size);
    if (!taken) fail_memory(r);
    return taken;
}

char *render_take_bytes(struct render *r, size_t bytes) {
    char *taken = arena_take_bytes(&r->arena, bytes);
    if (!taken) fail_memory(r);
    return taken;
}

const char *render_format(struct render *r, const char *format, ...) {
    char message[MESSAGE_BYTES_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    char *copy = render_take_bytes(r, strlen(message) + 1);
    return copy ? memcpy(copy, message, strlen(message) + 1) : "undefined";
}
