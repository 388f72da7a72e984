#include "server/http/client_request.h"

#include <strings.h>

/* The last lines of the header: a ring. */
struct forwarded {
    const char *lines[CLIENT_LINES_MAX];
    size_t count; /* of all that there were */
};

static enum MHD_Result take_line(void *context, enum MHD_ValueKind kind, const char *name,
                                 const char *value) {
    struct forwarded *f = context;
    (void)kind;
    if (strcasecmp(name, "X-Forwarded-For") == 0)
        f->lines[f->count++ % CLIENT_LINES_MAX] = value ? value : "";
    return MHD_YES;
}

/* The peer, and lines of X-Forwarded-For in order; their number. */
static size_t who_asks(const struct http_request *r, const struct sockaddr **peer,
                       const char *lines[CLIENT_LINES_MAX]) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct forwarded f = {.count = 0};
    MHD_get_connection_values(r->mhd, MHD_HEADER_KIND, take_line, &f);
    size_t count = f.count < CLIENT_LINES_MAX ? f.count : CLIENT_LINES_MAX;
    for (size_t i = 0; i < count; i++) lines[i] = f.lines[(f.count - count + i) % CLIENT_LINES_MAX];
    *peer = info ? info->client_addr : NULL;
    return count;
}

static uint64_t by_address(const struct http_request *r) {
    const struct sockaddr *peer;
    const char *lines[CLIENT_LINES_MAX];
    size_t count = who_asks(r, &peer, lines);
    return client_by_address(&r->service->client_rules, peer, lines, count);
}

const char *client_request_text(const struct http_request *r, char out[CLIENT_TEXT_BYTES]) {
    const struct sockaddr *peer;
    const char *lines[CLIENT_LINES_MAX];
    struct client_address address;
    size_t count = who_asks(r, &peer, lines);
    if (client_address_find(&r->service->client_rules, peer, lines, count, &address)) {
        client_address_write(&address, out);
        return out;
    }
    return peer && peer->sa_family == AF_UNIX ? "unix" : "";
}

static uint64_t by_key(const struct http_request *r) {
    return r->key == KEYS_NONE ? 0 : client_by_key(r->key);
}

enum api_error_kind client_request_enter(struct http_request *r) {
    struct service *s = r->service;
    if (!s->client_rules.is_needed) return API_OK;
    r->client = s->client_rules.is_by_key ? by_key(r) : by_address(r);
    switch (client_counts_take(&s->client_counts, r->client)) {
    case CLIENT_COUNTS_TAKEN:
        break;
    case CLIENT_COUNTS_AT_LIMIT:
        return api_error_set(&r->error, API_CLIENT_LIMIT, NULL,
                             "This client has %zu completions under way, as many as it may have at once. "
                             "Try again when one of them has ended.",
                             s->client_counts.most);
    case CLIENT_COUNTS_FULL:
        return api_error_set(&r->error, API_QUEUE_FULL, NULL,
                             "There are more clients with completions under way than the server counts. Try "
                             "again later.");
    }
    r->is_counted = true;
    return API_OK;
}

void client_request_leave(struct http_request *r) {
    if (r->is_counted) client_counts_give(&r->service->client_counts, r->client);
    r->is_counted = false;
}
