#include "server/memory/serving_memory.h"

#include <assert.h>
#include <stdint.h>

#include "engine/base/memory.h"
#include "engine/base/thread.h"

#define MIB ((size_t)1 << 20)

/* Where nobody knows what there is: as on a small server. */
#define AVAILABLE_UNKNOWN (4096 * MIB)

/* Shares of the memory at hand that the totals take unless an option says more or less. */
enum {
    BODIES_SHARE = 32,
    READING_SHARE = 16,
    READING_SHARE_MOST = 8,
    ANSWERS_SHARE = 16,
    CONNECTIONS_SHARE = 16
};

/* More than this no total takes by itself, and not less than that. */
#define TOTAL_BYTES_MOST  (512 * MIB)
#define TOTAL_BYTES_LEAST (8 * MIB)

/* A short chat takes 8 MiB while its template runs (engine_chat_bytes): one must find room. */
#define READING_BYTES_LEAST (16 * MIB)

/* A body that is a list of short ids, once parsed, takes at most 15 times its bytes, and itself. */
enum { TREE_BYTES_PER_BODY_BYTE = 16 };

/* Of a connection: libmicrohttpd's buffer and its own structure, ours of the connection and of its request,
 * and what is handed over at once. Of a session of TLS with GnuTLS 3.7: some 40 KiB after the
 * handshake. */
enum { CONNECTION_BYTES = CONNECTION_MEMORY_BYTES + STREAM_BLOCK_BYTES + 8192, TLS_SESSION_BYTES = 65536 };
enum { CONNECTIONS_LEAST = 16 };

/* Libraries, tables, and what the heap cannot give back; the loop and libuv's pool. */
#define PROGRAM_BYTES (24 * MIB)
enum { PROGRAM_SHARE = 64 };

static size_t at_most(size_t value, size_t most) {
    return value < most ? value : most;
}

static size_t at_least(size_t value, size_t least) {
    return value > least ? value : least;
}

/* A body that is allowed by its size alone must find room. */
static size_t bodies_bytes(const struct config *c, size_t available) {
    bool chosen = config_is_set(c, OPTION_encode_bytes_max);
    size_t bytes = chosen ? c->encode_bytes_max : at_most(c->encode_bytes_max, available / BODIES_SHARE);
    return at_least(bytes, c->body_bytes_max);
}

static size_t reading_bytes(const struct config *c, size_t available) {
    if (c->read_memory_mib > 0) return c->read_memory_mib * MIB;
    size_t one_body = c->body_bytes_max * TREE_BYTES_PER_BODY_BYTE;
    size_t share = at_most(available / READING_SHARE, TOTAL_BYTES_MOST);
    return at_least(at_most(at_least(share, one_body), available / READING_SHARE_MOST), READING_BYTES_LEAST);
}

static size_t answers_bytes(const struct config *c, size_t available) {
    if (c->answer_memory_mib > 0) return c->answer_memory_mib * MIB;
    return at_least(at_most(available / ANSWERS_SHARE, TOTAL_BYTES_MOST), TOTAL_BYTES_LEAST);
}

static size_t connections_max(const struct config *c, size_t available, size_t each) {
    if (config_is_set(c, OPTION_connections_max)) return c->connections_max;
    return at_most(c->connections_max, at_least(available / CONNECTIONS_SHARE / each, CONNECTIONS_LEAST));
}

void serving_memory_init(struct serving_memory *m, const struct config *c, size_t available) {
    if (available == 0) available = AVAILABLE_UNKNOWN;
    m->values_max = c->json_values_max;
    m->bodies_bytes = bodies_bytes(c, available);
    m->connection_bytes = CONNECTION_BYTES + (c->tls_cert ? TLS_SESSION_BYTES : 0);
    m->connections_max = connections_max(c, available, m->connection_bytes);
    m->program_bytes = PROGRAM_BYTES + available / PROGRAM_SHARE +
                       (1 + c->encode_threads) * memory_thread_bytes(THREAD_STACK_USED);
    gate_init(&m->reading, reading_bytes(c, available));
    m->answers.used = m->freed_bytes = 0;
    m->answers.max = answers_bytes(c, available);
}

void serving_memory_deinit(struct serving_memory *m) {
    gate_deinit(&m->reading);
}

static void add(struct engine_options *o, const char *name, size_t bytes) {
    assert(o->reserve_count < ENGINE_RESERVES_MAX);
    o->reserves[o->reserve_count++] = (struct engine_reserve){name, bytes};
}

void serving_memory_reserve(const struct serving_memory *m, struct engine_options *o) {
    size_t connections;
    if (!memory_multiply(m->connections_max, m->connection_bytes, &connections)) connections = SIZE_MAX;
    add(o, "bodies (encode-bytes-max)", m->bodies_bytes);
    add(o, "reading requests (read-memory-mib)", m->reading.max);
    add(o, "requests and answers (answer-memory-mib)", m->answers.max);
    add(o, "connections (connections-max)", connections);
    add(o, "program, its threads and heap", m->program_bytes);
}
