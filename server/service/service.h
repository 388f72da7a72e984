/* What the loop thread owns, in one place: the daemon, its connections and requests, keys, tickets and
 * figures. The other threads see of it only what they are handed: the uv pool a request's own memory, the
 * opener its options. */
#pragma once

#include <microhttpd.h>
#include <time.h>

#include "config/config.h"
#include "engine/api/engine.h"
#include "server/api/params.h"
#include "server/api/unknown_fields.h"
#include "server/clients/client.h"
#include "server/clients/client_counts.h"
#include "server/clients/keys.h"
#include "server/loop/loop.h"
#include "server/loop/opener.h"
#include "server/loop/work.h"
#include "server/memory/admission.h"
#include "server/memory/serving_memory.h"
#include "server/page/page.h"
#include "server/service/access_log.h"
#include "server/service/http_stats.h"
#include "server/service/listener.h"
#include "server/service/liveness.h"
#include "server/service/notify.h"
#include "server/service/tls.h"

struct connection;
struct http_request;
struct linger_socket;
struct prompt;
struct reload;
struct route_table;

enum service_phase {
    SERVICE_LOADING,
    SERVICE_SERVING,
    SERVICE_DRAINING, /* what was admitted goes on, the rest is refused */
    SERVICE_STOPPING, /* what still runs is cut short */
};

struct service {
    const struct config *config;
    const struct route_table *routes;
    enum service_phase phase;
    struct loop loop;
    struct listener listener;
    struct tls tls;
    struct MHD_Daemon *daemon;
    struct opener *opener;
    struct engine *engine;    /* NULL until it is loaded */
    struct engine_info info;  /* zero until then */
    struct liveness liveness; /* of the engine */
    struct notify notify;
    int loaded_percent;       /* of the present stage, as the service manager was told */
    struct api_limits limits; /* of completions; complete once loaded */
    char model[256], fingerprint[128];
    time_t started;
    struct keys keys;
    struct client_rules client_rules;
    struct client_counts client_counts;
    struct admission admission;
    struct serving_memory memory;
    struct work_lanes lanes;
    struct work trimming; /* the heap gives back what requests have freed */
    bool is_trimming;
    struct reload *reload; /* NULL: nothing is being read again */
    bool reload_again;     /* asked for meanwhile */
    struct page page;
    char *openapi; /* the description of the API */
    struct http_stats stats;
    struct access_log access_log;
    struct unknown_fields unknown_fields;
    struct connection *connections;  /* all that are open */
    size_t newcomers;                /* of these, those that have not asked for anything yet */
    struct http_request *requests;   /* all whose answer is not complete */
    struct prompt *delivering;       /* whose events were not all taken for want of time; NULL: none */
    struct linger_socket *lingering; /* see linger.h */
    size_t lingering_count;
    uint64_t phase_ns;   /* when the phase began */
    uint64_t leave_ns;   /* when the lame duck began, which serves, but is not ready; 0: it has not */
    uint64_t drain_ns;   /* when draining began; 0: it has not */
    size_t cut_requests; /* that draining left unfinished */
    enum status status;  /* why it ended */
    struct error error;
};

/* What the model is called in answers: the name of its folder or file, unless another is configured. */
void service_model_name(const struct config *config, const char *model, char *out, size_t size);

/* `system_fingerprint` of answers: what their bits depend on. */
void service_fingerprint(const struct engine_info *info, char *out, size_t size);

/* The model's defaults of sampling where they apply (generation-defaults); NULL: the API's own do. */
const struct generation_defaults *service_generation(const struct service *s);

/* Of s->limits what the configuration and the loaded model say. */
void service_set_limits(struct service *s);

/* To the service manager: READY, and what is served where. */
void service_tell_ready(struct service *s);

void service_set_phase(struct service *s, enum service_phase phase);

/* Seconds that a refused client is told to wait: from the engine's rate for a full queue, a constant
 * otherwise. */
unsigned service_retry_after(const struct service *s, enum api_error_kind kind);

/* Whether requests are taken, which is what /ready and its metric say: API_OK, or why not in *e. A full queue is no
 * reason: that is said by 429 alone. */
enum api_error_kind service_check_ready(struct service *s, struct api_error *e);

/* Whether the engine gets on, which is what /health says, and by which a service manager's watchdog is fed: API_OK, or
 * API_STUCK in *e. Loading is not stuck. */
enum api_error_kind service_check_alive(const struct service *s, struct api_error *e);

/* Whether clients should turn elsewhere with their next request: their answers say Connection: close. */
static inline bool service_is_leaving(const struct service *s) {
    return s->leave_ns || s->phase >= SERVICE_DRAINING;
}

/* Ends a drain that is complete: no request runs, and newcomers have asked, have left, or have had the time for it. To be
 * called when that may have become so. */
void service_end_drain(struct service *s);
