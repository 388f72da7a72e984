#include "server/daemon/reload.h"

#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "server/service/service.h"

/* What is read; it belongs to the pool until it is back. */
struct reload {
    struct work work;
    struct service *service;
    struct keys keys;
    struct tls_pair *pair;
    enum status status;
    struct error error;
    int access_log; /* a descriptor of the file, opened anew; -1: none, log_error says why */
    struct error log_error;
};

static void run(void *context) {
    struct reload *r = context;
    const struct config *config = r->service->config;
    if (r->service->access_log.owns_fd)
        r->access_log = access_log_open_file(config->access_log, &r->log_error);
    r->status = keys_load(&r->keys, config->api_key_file, &r->error);
    if (r->status == STATUS_OK)
        r->status = tls_pair_load(config->tls_cert, config->tls_key, &r->pair, &r->error);
}

static void take(struct reload *r) {
    struct service *s = r->service;
    struct keys old = s->keys;
    s->keys = r->keys;
    r->keys = old;
    tls_use(&s->tls, r->pair);
    r->pair = NULL;
    log_info("SIGHUP: keys and certificates have been read again");
}

static void complain(const struct reload *r) {
    char text[ERROR_LINE_BYTES];
    error_format(&r->error, text, sizeof text);
    log_error("SIGHUP: %s; nothing was changed: keys and certificates stay as they were", text);
}

/* Whatever became of the keys: who has moved the file away waits for the new one. */
static void take_access_log(struct reload *r) {
    struct access_log *log = &r->service->access_log;
    if (r->access_log >= 0)
        access_log_use(log, r->access_log);
    else if (log->owns_fd)
        log_error("SIGHUP: access-log: %s %s; the old file goes on", r->log_error.where, r->log_error.text);
}

static void destroy(struct reload *r) {
    keys_deinit(&r->keys);
    tls_pair_destroy(r->pair);
    free(r);
}

/* As it was before; who leaves meanwhile has said so. */
static void tell_ready(struct service *s) {
    if (s->phase == SERVICE_SERVING && !s->leave_ns) service_tell_ready(s);
}

static void done(void *context) {
    struct reload *r = context;
    struct service *s = r->service;
    take_access_log(r);
    if (r->status == STATUS_OK)
        take(r);
    else
        complain(r);
    destroy(r);
    s->reload = NULL;
    bool again = s->reload_again && s->phase < SERVICE_STOPPING;
    s->reload_again = false;
    if (again)
        reload_start(s);
    else
        tell_ready(s);
}

void reload_start(struct service *s) {
    if (s->reload) {
        s->reload_again = true;
        return;
    }
    if (s->phase == SERVICE_SERVING && !s->leave_ns) notify_reloading(&s->notify, clock_ns());
    struct reload *r = calloc(1, sizeof *r);
    if (r) {
        *r =
            (struct reload){.work = {.run = run, .done = done, .context = r}, .service = s, .access_log = -1};
        s->reload = r;
        if (work_start(&s->lanes, &r->work, false)) return;
    }
    s->reload = NULL;
    free(r);
    tell_ready(s);
    log_error("SIGHUP: there is no memory to read keys and certificates; nothing was changed");
}
