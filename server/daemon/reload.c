#include "server/daemon/reload.h"

#include <stdlib.h>

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
};

static void run(void *context) {
    struct reload *r = context;
    const struct config *config = r->service->config;
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

static void destroy(struct reload *r) {
    keys_deinit(&r->keys);
    tls_pair_destroy(r->pair);
    free(r);
}

static void done(void *context) {
    struct reload *r = context;
    struct service *s = r->service;
    if (r->status == STATUS_OK)
        take(r);
    else
        complain(r);
    destroy(r);
    s->reload = NULL;
    bool again = s->reload_again && s->phase < SERVICE_STOPPING;
    s->reload_again = false;
    if (again) reload_start(s);
}

void reload_start(struct service *s) {
    if (s->reload) {
        s->reload_again = true;
        return;
    }
    struct reload *r = calloc(1, sizeof *r);
    if (r) {
        *r = (struct reload){.work = {.run = run, .done = done, .context = r}, .service = s};
        s->reload = r;
        if (work_start(&s->lanes, &r->work, false)) return;
    }
    s->reload = NULL;
    free(r);
    log_error("SIGHUP: there is no memory to read keys and certificates; nothing was changed");
}
