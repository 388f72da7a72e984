/* The life of the daemon: listen, load, serve, drain, close, in that order. Owns the struct service. */
#include "server/daemon/server.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <version.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/memory.h"
#include "engine/base/thread.h"
#include "server/daemon/reload.h"
#include "server/endpoints/endpoints.h"
#include "server/http/connection.h"
#include "server/http/cors.h"
#include "server/http/deliver.h"
#include "server/http/http.h"
#include "server/http/http_request.h"
#include "server/reference/openapi.h"

/* Files that are open beside the connections: the model's shards, the loop's own, standard streams. */
enum { DESCRIPTORS_BESIDE = 256 };

/* After requests were cut short, their errors have so long to reach the clients. */
enum { FAREWELL_SECONDS = 1 };

/* ---- phases -------------------------------------------------------------------------------------------- */

static void stop(struct service *s, enum status status) {
    s->status = status;
    notify_send(&s->notify, "STOPPING=1");
    service_set_phase(s, SERVICE_STOPPING);
    loop_stop(&s->loop);
}

static void drain(struct service *s) {
    log_info("draining: new requests are refused, for at most %zu s; still running: %zu",
             s->config->drain_seconds, (size_t)s->stats.requests);
    notify_send(&s->notify, "STOPPING=1\nSTATUS=Draining, requests running: %zu", (size_t)s->stats.requests);
    if (s->listener.is_shared && !s->leave_ns) http_stop_listening(s);
    service_set_phase(s, SERVICE_DRAINING);
    s->drain_ns = s->phase_ns;
    engine_drain(s->engine);
    service_end_drain(s);
}

/* Balancers see /ready fail before anybody is refused, and clients that keep their connections are told to close them. */
static void leave(struct service *s) {
    log_info("leaving: requests are still served for %zu s, /ready fails", s->config->lame_duck_seconds);
    notify_send(&s->notify, "STOPPING=1\nSTATUS=Serving for %zu s more", s->config->lame_duck_seconds);
    s->leave_ns = clock_ns();
    if (s->listener.is_shared) http_stop_listening(s);
}

static void begin_end(struct service *s) {
    if (s->config->lame_duck_seconds && !s->leave_ns)
        leave(s);
    else
        drain(s);
}

static void cut_short(struct service *s) {
    s->cut_requests = (size_t)s->stats.requests;
    log_warn("stopping, requests unfinished: %zu", s->cut_requests);
    service_set_phase(s, SERVICE_STOPPING);
    for (struct http_request *r = s->requests, *next; r; r = next) {
        next = r->next;
        deliver_cut(r);
    }
    service_end_drain(s);
}

static void on_signal(void *context, int number) {
    struct service *s = context;
    if (number == SIGHUP) {
        if (s->phase < SERVICE_STOPPING) reload_start(s);
        return;
    }
    log_info("%s", number == SIGTERM ? "SIGTERM" : "SIGINT");
    if (s->phase == SERVICE_LOADING)
        stop(s, STATUS_OK);
    else if (s->phase == SERVICE_SERVING)
        begin_end(s);
    else if (s->phase == SERVICE_DRAINING)
        cut_short(s);
    else
        loop_stop(&s->loop);
}

static void trim(void *context) {
    (void)context;
    memory_give_back();
}

static void on_trimmed(void *context) {
    struct service *s = context;
    s->is_trimming = false;
}

static void trim_heap(struct service *s) {
    if (s->is_trimming || s->memory.freed_bytes < SERVING_MEMORY_FREED_MAX) return;
    s->memory.freed_bytes = 0;
    s->trimming.run = trim;
    s->trimming.done = on_trimmed;
    s->trimming.context = s;
    s->is_trimming = work_start(&s->lanes, &s->trimming, false);
}

/* Said once when it begins and once when it is over. */
static void watch_engine(struct service *s) {
    struct api_error reason;
    struct engine_pulse pulse;
    if (!s->engine) return;
    double before = liveness_seconds(&s->liveness);
    engine_pulse(s->engine, &pulse);
    liveness_observe(&s->liveness, &pulse, clock_ns());
    bool is_stuck = service_check_alive(s, &reason) != API_OK;
    if (is_stuck && !s->liveness.is_told)
        log_error("%s /health and /ready answer 503 until it goes on", reason.message);
    else if (!is_stuck && s->liveness.is_told)
        log_warn("the engine goes on, after %.0f seconds", before);
    s->liveness.is_told = is_stuck;
}

/* While the model loads a start may take as long as it gets on: each report extends the manager's patience. */
enum { PATIENCE_SECONDS = 120 };

static void tell_manager(struct service *s) {
    struct api_error reason;
    notify_tick(&s->notify, clock_ns(), service_check_alive(s, &reason) == API_OK);
    if (s->phase != SERVICE_LOADING || s->notify.fd < 0) return;
    char stage[64];
    int percent = (int)(opener_progress(s->opener, stage, sizeof stage) * 100);
    if (percent == s->loaded_percent) return;
    s->loaded_percent = percent;
    notify_send(&s->notify, "STATUS=Loading: %s, %d %%\nEXTEND_TIMEOUT_USEC=%d000000", stage, percent,
                PATIENCE_SECONDS);
}

static bool is_over(uint64_t since_ns, size_t seconds) {
    return clock_ns() - since_ns >= seconds * 1000000000u;
}

/* One stage a tick: each has its time from where it began. */
static void go_on_ending(struct service *s) {
    if (s->phase == SERVICE_SERVING && s->leave_ns && is_over(s->leave_ns, s->config->lame_duck_seconds))
        drain(s);
    else if (s->phase == SERVICE_DRAINING && is_over(s->phase_ns, s->config->drain_seconds))
        cut_short(s);
    else if (s->phase == SERVICE_STOPPING && is_over(s->phase_ns, FAREWELL_SECONDS))
        loop_stop(&s->loop);
    else
        service_end_drain(s);
}

static void on_tick(void *context) {
    struct service *s = context;
    trim_heap(s);
    watch_engine(s);
    connection_sweep(s);
    tell_manager(s);
    tls_drop_older(&s->tls, connection_oldest_handshake(s));
    log_tell_dropped();
    go_on_ending(s);
}

/* ---- loading ------------------------------------------------------------------------------------------- */

static void take_engine(struct service *s) {
    struct error e;
    enum status status;
    if (!opener_take_result(s->opener, &status, &s->engine, &e)) return;
    if (status != STATUS_OK) {
        s->error = e;
        stop(s, status);
        return;
    }
    engine_info(s->engine, &s->info);
    service_set_limits(s);
    if (service_generation(s) && s->info.generation.unapplied[0])
        log_warn("generation-defaults: the model also says %s, which is not applied",
                 s->info.generation.unapplied);
    service_fingerprint(&s->info, s->fingerprint, sizeof s->fingerprint);
    status = s->listener.is_shared ? http_start(s, &s->error) : STATUS_OK;
    if (status != STATUS_OK) {
        stop(s, status);
        return;
    }
    service_set_phase(s, SERVICE_SERVING);
    service_tell_ready(s);
    log_info("ready: %s, context %zu, loaded in %.1f s", s->model, s->info.context, s->info.load_seconds);
}

static void on_wake(void *context) {
    struct service *s = context;
    if (s->phase == SERVICE_LOADING) take_engine(s);
    if (s->engine) deliver_all(s);
}

static void wake_from_engine(void *context) {
    loop_wake(context);
}

/* ---- start and end ------------------------------------------------------------------------------------- */

static void warn_if_open(const struct service *s) {
    if (!s->listener.is_loopback && !s->keys.required)
        log_warn("listening beyond this machine without an API key: anybody who reaches %s may use it (see "
                 "--api-key-file)",
                 s->listener.url);
}

/* Libuv makes its pool when it is first asked for work, with as many threads as the environment says. */
static void set_lanes(struct service *s) {
    const struct config *config = s->config;
    char threads[24];
    snprintf(threads, sizeof threads, "%zu", config->encode_threads);
    setenv("UV_THREADPOOL_SIZE", threads, 1);
    work_lanes_init(&s->lanes, &s->loop, config->encode_threads, config->encode_requests_max / 2);
}

/* The soft limit on descriptors is often 1,024, whatever the hard one allows. */
static void raise_descriptor_limit(size_t connections) {
    struct rlimit limit;
    rlim_t need = connections + DESCRIPTORS_BESIDE;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need) return;
    limit.rlim_cur = limit.rlim_max < need ? limit.rlim_max : need;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < need)
        log_warn("connections-max is %zu, but only %llu descriptors may be open: more connections wait",
                 connections, (unsigned long long)limit.rlim_cur);
}

/* A file that is wrong when it is first read is a mistake of who named it: the option is named, and the program ends
 * with 2, so that a service manager does not try for ever. What memory could not be had for may go well next time. */
static enum status blame(const char *option, enum status status, struct error *e) {
    if (status == STATUS_OK || status == STATUS_NO_MEMORY) return status;
    struct error cause = *e;
    return error_set(e, STATUS_OPTION, option, "%s", cause.text);
}

static enum status read_keys(struct service *s, struct error *e) {
    return blame("api-key-file", keys_load(&s->keys, s->config->api_key_file, e), e);
}

static enum status read_certificate(struct service *s, struct error *e) {
    const struct config *config = s->config;
    struct tls_pair *pair = NULL;
    enum status status = tls_pair_load(config->tls_cert, config->tls_key, &pair, e);
    tls_use(&s->tls, pair);
    bool of_key = status != STATUS_OK && strcmp(e->where, config->tls_cert) != 0;
    return blame(of_key ? "tls-key" : "tls-cert", status, e);
}

/* That of a service manager, else one of our own. */
static enum status open_listener(struct service *s, struct error *e) {
    const struct config *config = s->config;
    const char *scheme = s->tls.pair ? "https" : "http";
    bool found;
    enum status status = listener_inherit(&s->listener, scheme, &found, e);
    if (status != STATUS_OK || found) return status;
    return listener_init(&s->listener, config->host, config->port, config->reuse_port, config->unix_socket,
                         scheme, e);
}

static enum log_format log_format(const struct config *config) {
    return strcmp(config->log_format, "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
}

/* That are counted by their clients: one of each connection, and those whose connection is gone while they are in the pool, to be
 * read or written out. */
static size_t counted_requests(const struct service *s) {
    return 2 * s->memory.connections_max + s->config->encode_requests_max;
}

/* options: of the engine, which get what the server reserves. */
static void plan_memory(struct service *s, struct engine_options *options) {
    serving_memory_init(&s->memory, s->config, memory_available_bytes());
    s->memory.program_bytes += client_counts_bytes(s->config->max_requests_per_client, counted_requests(s));
    serving_memory_reserve(&s->memory, options);
}

/* All that can be refused before anything is loaded. */
static enum status listen_as_configured(struct service *s, struct error *e) {
    const struct config *config = s->config;
    enum status status = cors_check_origin(config->cors_origin, e);
    if (status == STATUS_OK) status = client_rules_init(&s->client_rules, config, e);
    if (status == STATUS_OK)
        status =
            client_counts_init(&s->client_counts, config->max_requests_per_client, counted_requests(s), e);
    if (status == STATUS_OK) status = read_keys(s, e);
    if (status == STATUS_OK) status = read_certificate(s, e);
    if (status == STATUS_OK) status = open_listener(s, e);
    return status;
}

static void stop_listening(struct service *s) {
    listener_deinit(&s->listener);
    tls_deinit(&s->tls);
    keys_deinit(&s->keys);
    client_counts_deinit(&s->client_counts);
    client_rules_deinit(&s->client_rules);
}

enum status server_check(const struct config *config, struct engine_options *options, char *url, size_t size,
                         struct error *e) {
    struct service *s = calloc(1, sizeof *s);
    if (!s) return error_set(e, STATUS_NO_MEMORY, "server", "there is no memory to start it");
    s->config = config;
    s->listener.fd = -1;
    plan_memory(s, options);
    enum status status = access_log_check(config->access_log, e);
    if (status == STATUS_OK) status = listen_as_configured(s, e);
    if (status == STATUS_OK) snprintf(url, size, "%s", s->listener.url);
    stop_listening(s);
    free(s);
    return status;
}

static enum status write_openapi(struct service *s, struct error *e) {
    const struct api_limits limits = {.n_max = s->config->max_n, .logprobs_max = s->config->max_logprobs};
    s->openapi = openapi_document(s->routes, &limits, PRENORM_VERSION);
    return s->openapi ? STATUS_OK : error_set(e, STATUS_NO_MEMORY, "server", "no memory to describe the API");
}

static enum status start(struct service *s, const struct engine_options *options, struct error *e) {
    raise_descriptor_limit(s->memory.connections_max);
    enum status status = access_log_open(&s->access_log, s->config->access_log, log_format(s->config), e);
    if (status == STATUS_OK) status = page_init(&s->page, e);
    if (status == STATUS_OK) status = write_openapi(s, e);
    if (status == STATUS_OK) status = listen_as_configured(s, e);
    if (status == STATUS_OK && !s->listener.is_shared) status = http_start(s, e);
    if (status != STATUS_OK) return status;
    log_info("listening on %s%s%s", s->listener.url,
             s->listener.is_inherited ? ", by the service manager's socket" : "",
             s->listener.is_shared ? ", once the model is loaded" : "");
    warn_if_open(s);
    return opener_create(options, &s->loop, &s->opener, e);
}

/* The last line: how it came to its end, and what of the requests. */
static void tell_end(const struct service *s) {
    if (s->status != STATUS_OK || !s->drain_ns) return;
    double seconds = (double)(clock_ns() - s->drain_ns) * 1e-9;
    if (s->cut_requests)
        log_warn("stopped after draining for %.1f s, requests cut short: %zu", seconds, s->cut_requests);
    else
        log_info("stopped: drained in %.1f s, nothing was left", seconds);
}

/* The engine is closed when nothing can call it any more: connections, then work in the pool. */
static void end(struct service *s) {
    service_set_phase(s, SERVICE_STOPPING); /* nothing new begins: nobody's SIGHUPs keep it from its end */
    http_stop(s);
    while (s->requests || s->lanes.held) loop_run_once(&s->loop);
    opener_destroy(s->opener);
    if (s->engine) engine_close(s->engine);
    thread_block_signals(NULL); /* without the loop they would end the process by themselves, half way */
    loop_deinit(&s->loop);
    stop_listening(s);
    unknown_fields_deinit(&s->unknown_fields);
    free(s->openapi);
    tell_end(s);
    access_log_close(&s->access_log);
}

/* options: of the engine, which get what the server reserves, and its wake. */
static void init(struct service *s, const struct config *config, struct engine_options *options) {
    s->config = config;
    s->routes = &endpoints;
    s->started = time(NULL);
    s->listener.fd = -1;
    s->admission.requests_max = config->encode_requests_max;
    plan_memory(s, options);
    s->admission.bytes_max = s->memory.bodies_bytes;
    options->wake = wake_from_engine;
    options->wake_context = &s->loop;
    service_model_name(config, options->model, s->model, sizeof s->model);
    notify_init(&s->notify);
    s->loaded_percent = -1;
    unknown_fields_init(&s->unknown_fields);
    set_lanes(s);
    service_set_phase(s, SERVICE_LOADING);
}

enum status server_run(const struct config *config, const struct engine_options *engine, struct error *e) {
    struct service *s = calloc(1, sizeof *s);
    if (!s) return error_set(e, STATUS_NO_MEMORY, "server", "there is no memory to start it");
    struct engine_options options = *engine;
    log_set_format(log_format(config));
    init(s, config, &options);
    json_object_seed(0); /* before threads make objects */
    signal(SIGPIPE, SIG_IGN);
    const struct loop_callbacks callbacks = {on_wake, on_tick, on_signal, s};
    enum status status = loop_init(&s->loop, &callbacks, e);
    if (status == STATUS_OK) {
        status = start(s, &options, e);
        if (status == STATUS_OK) {
            loop_run(&s->loop);
            status = s->status;
            if (status != STATUS_OK && e) *e = s->error;
        }
        end(s);
    }
    serving_memory_deinit(&s->memory);
    notify_deinit(&s->notify);
    free(s);
    return status;
}
