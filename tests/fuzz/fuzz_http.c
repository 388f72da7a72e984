/* What comes from sockets: several connections with keep-alive, through the real handler on a real loop and
 * listener, over the fake engine. Nothing sleeps: a run goes on until the daemon has nothing more to do.
 *
 * An input is a byte of settings (see set_up), then what the clients send. Bytes from 0xfa on are not text:
 *   0xff    the daemon goes on until nothing moves
 *   0xfe    the next of the clients goes on
 *   0xfd n  (n + 1) * 256 times the byte 'a'
 *   0xfc    the client closes its direction
 *   0xfb    the client leaves
 *   0xfa    the daemon makes one turn
 *
 * In the end each client's bytes must be whole answers, JSON where they say so; every answer that was counted
 * has arrived; and no connection, request, ticket or sequence is left. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "server/endpoints/endpoints.h"
#include "server/http/connection.h"
#include "server/http/deliver.h"
#include "server/http/http.h"
#include "server/http/http_request.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_file.h"
#include "tests/support/fake_engine.h"
#include "tests/support/http_answers.h"

enum { CLIENTS = 3, PENDING_MAX = 1 << 16, ESCAPE_LEAST = 0xfa, QUIET_TURNS = 3 };

/* Far longer than anything takes: past it something hangs. */
static const uint64_t patience_ns = 60 * 1000000000ull;

struct client {
    int fd;                   /* -1: closed */
    bool has_ended, has_left; /* the daemon, the client; what has left may lose answers */
    struct bytes received;
};

static struct service *service;
static struct config config;
static struct engine *engine;
static struct sockaddr_un address;
static socklen_t address_length;
static struct client clients[CLIENTS];

/* ---- the daemon ---------------------------------------------------------------------------------------- */

static void on_wake(void *context) {
    struct service *s = context;
    if (s->engine) deliver_all(s);
}

static void on_tick(void *context) {
    connection_sweep(context);
}

static void on_signal(void *context, int number) {
    (void)context;
    _exit(128 + number);
}

static void wake_from_engine(void *context) {
    loop_wake(context);
}

static int listen_somewhere(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    address.sun_family = AF_UNIX; /* without a path: the kernel chooses an abstract one */
    address_length = sizeof address;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address.sun_family) != 0 ||
        listen(fd, 16) != 0 || getsockname(fd, (struct sockaddr *)&address, &address_length) != 0)
        abort();
    return fd;
}

static void load_engine(struct service *s) {
    const struct engine_options options = {.model = "tokens-max=40",
                                           .wake = wake_from_engine,
                                           .wake_context = &s->loop,
                                           .max_pending_events = 8,
                                           .sequences_max = 4,
                                           .queue_max = 8,
                                           .logprobs_max = 5};
    struct error e;
    enum status status = STATUS_OK;
    if (opener_create(&options, &s->loop, &s->opener, &e) != STATUS_OK) abort();
    while (!opener_take_result(s->opener, &status, &engine, &e)) loop_run_once(&s->loop);
    if (status != STATUS_OK) abort();
    engine_info(engine, &s->info);
}

static void stop(void) {
    struct service *s = service;
    s->phase = SERVICE_STOPPING;
    http_stop(s);
    opener_destroy(s->opener);
    engine_close(engine);
    loop_deinit(&s->loop);
    serving_memory_deinit(&s->memory);
    keys_deinit(&s->keys);
    config_deinit(&config);
    free(s);
}

/* One key: "k". */
static void load_keys(struct service *s) {
    char folder[] = FUZZ_FOLDER, path[64];
    struct error e;
    if (!mkdtemp(folder)) abort();
    fuzz_write(folder, "keys", "k", 1, path);
    if (keys_load(&s->keys, path, &e) != STATUS_OK) abort();
    unlink(path);
    rmdir(folder);
}

/* Once in a process: what a run leaves behind are figures. */
static void start(void) {
    struct error e;
    struct service *s = service = calloc(1, sizeof *s);
    const struct loop_callbacks callbacks = {on_wake, on_tick, on_signal, s};
    if (!s || config_init(&config, &e) != STATUS_OK) abort();
    log_set_level(LOG_LEVEL_ERROR);
    config.body_bytes_max = config.reply_bytes_max = 4096;
    s->config = &config;
    s->routes = &endpoints;
    serving_memory_init(&s->memory, &config, 0);
    s->admission = (struct admission){.requests_max = 4, .bytes_max = 8192};
    strcpy(s->model, "m");
    strcpy(s->fingerprint, "f");
    if (loop_init(&s->loop, &callbacks, &e) != STATUS_OK) abort();
    work_lanes_init(&s->lanes, &s->loop, config.encode_threads, 2);
    load_keys(s);
    load_engine(s);
    s->listener.fd = listen_somewhere();
    if (http_start(s, &e) != STATUS_OK || atexit(stop) != 0) abort();
}

static void set_up(uint8_t settings) {
    static char any[] = "*", one[] = "https://a.example";
    static const enum service_phase phases[] = {SERVICE_SERVING, SERVICE_SERVING, SERVICE_LOADING,
                                                SERVICE_DRAINING};
    struct service *s = service;
    config.cors_origin = settings & 1 ? any : settings & 2 ? one : NULL;
    s->keys.required = (settings & 4) != 0;
    config.public_metrics = (settings & 8) != 0;
    s->phase = phases[settings >> 4 & 3];
    s->engine = s->phase == SERVICE_LOADING ? NULL : engine;
    s->limits = (struct api_limits){.memory = &s->memory,
                                    .context = FAKE_CONTEXT,
                                    .vocabulary = FAKE_VOCABULARY,
                                    .embedding_width = FAKE_EMBEDDING_WIDTH,
                                    .logprobs_max = 5,
                                    .n_max = 4,
                                    .choices_max = 6,
                                    .stops_max = 4,
                                    .stop_bytes_max = 4096,
                                    .tokenize_bytes_max = 4096,
                                    .tokenize_ids_max = 4096,
                                    .model = "m",
                                    .any_model = (settings & 64) != 0,
                                    .refuse_unknown = (settings & 128) != 0};
}

/* ---- turns --------------------------------------------------------------------------------------------- */

static void read_answers(struct client *c) {
    char part[16384];
    ssize_t length;
    if (c->fd < 0 || c->has_ended) return;
    while ((length = recv(c->fd, part, sizeof part, MSG_DONTWAIT)) > 0)
        bytes_append(&c->received, part, (size_t)length);
    c->has_ended = length == 0 || (errno != EAGAIN && errno != EINTR);
}

/* Changes whenever anything has moved. */
static uint64_t trace(void) {
    const struct http_stats *stats = &service->stats;
    uint64_t sum = stats->connections + stats->connections_opened * 3 + stats->requests * 5 +
                   stats->events * 7 + stats->body_bytes * 11 + stats->stream_bytes * 13 +
                   service->lingering_count * 17;
    for (int i = 0; i < CLIENTS; i++) sum += clients[i].received.length * 19 + clients[i].has_ended * 23u;
    for (const struct connection *c = service->connections; c; c = c->next) {
        int unread = 0;
        ioctl(c->fd, FIONREAD, &unread);
        sum += (uint64_t)unread * 29;
    }
    return sum;
}

/* Another thread will wake the loop. */
static bool waits_for_others(void) {
    if (service->admission.requests || service->lanes.held) return true;
    for (const struct http_request *r = service->requests; r; r = r->next)
        if (r->state == REQUEST_PREPARING || r->state == REQUEST_RUNNING ||
            (r->state == REQUEST_STREAMING && !r->reply.ended && !r->completion->stalled))
            return true;
    return false;
}

static void turn(uv_run_mode mode) {
    uv_run(&service->loop.uv, mode);
    for (int i = 0; i < CLIENTS; i++) read_answers(&clients[i]);
}

static void check_patience(uint64_t since, const char *what) {
    if (clock_ns() - since < patience_ns) return;
    fprintf(stderr, "%s: %zu connections, %zu requests\n", what, (size_t)service->stats.connections,
            (size_t)service->stats.requests);
    abort();
}

static void run_until_quiet(void) {
    uint64_t since = clock_ns(), before = trace();
    for (int quiet = 0; quiet < QUIET_TURNS;) {
        bool waits = waits_for_others();
        turn(waits ? UV_RUN_ONCE : UV_RUN_NOWAIT);
        quiet = waits || trace() != before ? 0 : quiet + 1;
        before = trace();
        check_patience(since, "the daemon does not come to rest");
    }
}

/* ---- clients ------------------------------------------------------------------------------------------- */

static void leave(struct client *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

static void connect_client(struct client *c) {
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, address_length) != 0) abort();
}

static void send_pending(struct client *c, const char *data, size_t length) {
    while (length && c->fd >= 0) {
        ssize_t sent = send(c->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) return; /* the daemon has closed */
        if (sent > 0) {
            data += sent;
            length -= (size_t)sent;
            continue;
        }
        uint64_t before = trace();
        run_until_quiet();
        if (trace() == before) return; /* it does not read on: what is left is not sent */
    }
}

struct input {
    const uint8_t *data;
    size_t size, at;
    struct client *client;
    char pending[PENDING_MAX];
    size_t length;
};

static void flush(struct input *in) {
    if (in->length && in->client->fd < 0 && !in->client->has_left && !in->client->received.length)
        connect_client(in->client);
    send_pending(in->client, in->pending, in->length);
    in->length = 0;
}

static void escape(struct input *in, uint8_t code) {
    struct client *c = in->client;
    if (code == 0xfd) {
        size_t count = in->at < in->size ? ((size_t)in->data[in->at++] + 1) * 256 : 0;
        for (size_t i = 0; i < count; i++) {
            if (in->length == PENDING_MAX) flush(in);
            in->pending[in->length++] = 'a';
        }
        return;
    }
    flush(in);
    if (code == 0xff) run_until_quiet();
    if (code == 0xfe) in->client = &clients[(c - clients + 1) % CLIENTS];
    if (code == 0xfa) turn(UV_RUN_NOWAIT);
    if (code == 0xfc && c->fd >= 0) shutdown(c->fd, SHUT_WR);
    if (code == 0xfb) leave(c);
    if (code == 0xfb || code == 0xfc) c->has_left = true;
}

static void play(struct input *in) {
    while (in->at < in->size) {
        uint8_t byte = in->data[in->at++];
        if (in->length == PENDING_MAX) flush(in);
        if (byte >= ESCAPE_LEAST)
            escape(in, byte);
        else
            in->pending[in->length++] = (char)byte;
    }
    flush(in);
}

/* ---- the end ------------------------------------------------------------------------------------------- */

static uint64_t answers_counted(void) {
    uint64_t sum = 0;
    for (unsigned route = 0; route < HTTP_STATS_ROUTES_MAX; route++)
        for (unsigned i = 0; i < HTTP_STATS_STATUS_COUNT; i++) sum += service->stats.answers[route][i];
    return sum;
}

/* Whoever still has a connection closes its direction and reads to the end. */
static void finish(void) {
    uint64_t since = clock_ns();
    run_until_quiet();
    for (int i = 0; i < CLIENTS; i++)
        if (clients[i].fd >= 0) shutdown(clients[i].fd, SHUT_WR);
    while (service->connections || service->requests || service->lingering) {
        turn(UV_RUN_ONCE);
        for (int i = 0; i < CLIENTS; i++)
            if (clients[i].has_ended) leave(&clients[i]);
        check_patience(since, "a connection does not end");
    }
    run_until_quiet();
}

static void check_nothing_left(void) {
    struct engine_stats stats;
    engine_stats(engine, &stats);
    assert(!service->stats.connections && !service->stats.requests && !service->lingering_count);
    assert(!service->admission.bytes && !service->admission.requests);
    assert(!service->lanes.held && !service->lanes.first && !service->delivering);
    assert(!budget_used(&service->memory.answers) && !gate_used(&service->memory.reading));
    assert(!stats.running && !stats.waiting);
}

static void check_answers(bool has_heads, bool some_left, uint64_t counted) {
    uint64_t found = 0;
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &clients[i];
        struct http_answers answers =
            http_answers_read(c->received.data, c->received.length, has_heads, c->has_left);
        if (answers.fault) {
            fprintf(stderr, "client %d, answer at byte %zu: %s\n%.*s\n", i, answers.at, answers.fault,
                    (int)(c->received.length - answers.at), c->received.data + answers.at);
            abort();
        }
        found += answers.count;
        leave(c);
        bytes_deinit(&c->received);
    }
    if (found == counted || (some_left && found < counted)) return;
    fprintf(stderr, "%zu answers were counted and %zu have come\n", (size_t)counted, (size_t)found);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct input in;
    if (!service) start();
    if (!size) return 0;
    in = (struct input){.data = data + 1, .size = size - 1, .client = clients};
    for (int i = 0; i < CLIENTS; i++) clients[i] = (struct client){.fd = -1};
    uint64_t before = answers_counted();
    set_up(data[0]);
    play(&in);
    finish();
    bool some_left = memchr(data + 1, 0xfb, size - 1) || memchr(data + 1, 0xfc, size - 1);
    check_nothing_left();
    check_answers(memmem(data, size, "HEAD", 4), some_left, answers_counted() - before);
    return 0;
}
