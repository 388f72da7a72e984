#include "server/clients/client.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool is_mapped(const struct client_address *a) {
    return memcmp(a->bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

static void set_mapped(struct client_address *a, const void *ipv4) {
    memcpy(a->bytes, mapped_prefix, sizeof mapped_prefix);
    memcpy(a->bytes + sizeof mapped_prefix, ipv4, 4);
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* Without a port. *is_ipv4: written with dots alone. */
static bool read_plain(struct client_address *address, const char *text, size_t length, bool *is_ipv4) {
    char copy[INET6_ADDRSTRLEN];
    struct in_addr ipv4;
    if (length >= sizeof copy || memchr(text, '\0', length)) return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    *is_ipv4 = inet_pton(AF_INET, copy, &ipv4) == 1;
    if (*is_ipv4) set_mapped(address, &ipv4);
    return *is_ipv4 || inet_pton(AF_INET6, copy, address->bytes) == 1;
}

static bool is_port(const char *text, size_t length) {
    if (length == 0 || length > 5) return false;
    for (size_t i = 0; i < length; i++)
        if (text[i] < '0' || text[i] > '9') return false;
    return true;
}

static bool read_bracketed(struct client_address *address, const char *text, size_t length) {
    const char *close = memchr(text, ']', length);
    bool is_ipv4;
    if (!close || !read_plain(address, text + 1, (size_t)(close - text) - 1, &is_ipv4) || is_ipv4)
        return false;
    size_t rest = length - (size_t)(close - text) - 1;
    return rest == 0 || (close[1] == ':' && is_port(close + 2, rest - 1));
}

bool client_address_read(struct client_address *address, const char *text, size_t length) {
    bool is_ipv4;
    if (length > 0 && text[0] == '[') return read_bracketed(address, text, length);
    if (read_plain(address, text, length, &is_ipv4)) return true;
    const char *colon = memchr(text, ':', length);
    if (!colon) return false;
    size_t host = (size_t)(colon - text);
    return read_plain(address, text, host, &is_ipv4) && is_ipv4 && is_port(colon + 1, length - host - 1);
}

static bool has_bits_beyond(const struct client_network *n) {
    for (unsigned bit = n->bits; bit < 128; bit++)
        if (n->address.bytes[bit / 8] & 0x80 >> bit % 8) return true;
    return false;
}

bool client_network_read(struct client_network *network, const char *text) {
    size_t length = strcspn(text, "/"), digits = text[length] ? strlen(text + length + 1) : 0;
    bool is_ipv4;
    if (!read_plain(&network->address, text, length, &is_ipv4)) return false;
    unsigned most = is_ipv4 ? 32 : 128, bits = most;
    if (text[length]) {
        if (digits > 3 || !is_port(text + length + 1, digits)) return false;
        bits = (unsigned)strtoul(text + length + 1, NULL, 10);
    }
    network->bits = bits + 128 - most;
    return bits <= most && !has_bits_beyond(network);
}

/* ---- rules --------------------------------------------------------------------------------------------- */

static enum status read_trusted(struct client_rules *rules, const struct config_list *list, struct error *e) {
    if (list->count > CLIENT_NETWORKS_MAX)
        return error_set(e, STATUS_OPTION, "trusted-proxy", "%zu networks; at most %d are possible",
                         list->count, CLIENT_NETWORKS_MAX);
    rules->trusted = calloc(list->count + 1, sizeof *rules->trusted);
    if (!rules->trusted) return error_set(e, STATUS_NO_MEMORY, "trusted-proxy", "%zu networks", list->count);
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], "unix") == 0)
            rules->trusts_unix = true;
        else if (client_network_read(&rules->trusted[rules->trusted_count], list->items[i]))
            rules->trusted_count++;
        else
            return error_set(
                e, STATUS_OPTION, "trusted-proxy",
                "'%.200s' is neither an address nor a network (10.0.0.0/8, fd00::/8; no bits beyond its "
                "length) and not 'unix'",
                list->items[i]);
    }
    return STATUS_OK;
}

enum status client_rules_init(struct client_rules *rules, const struct config *config, struct error *e) {
    *rules = (struct client_rules){.is_by_key = strcmp(config->fair_share, "key") == 0,
                                   .is_needed = strcmp(config->fair_share, "off") != 0 ||
                                                config->max_requests_per_client > 0};
    if (rules->is_by_key && !config->api_key_file)
        return error_set(e, STATUS_OPTION, "fair-share",
                         "'key' tells clients apart by their API keys, and there are none: api-key-file is "
                         "not set");
    enum status status = read_trusted(rules, &config->trusted_proxy, e);
    if (status != STATUS_OK) client_rules_deinit(rules);
    return status;
}

void client_rules_deinit(struct client_rules *rules) {
    free(rules->trusted);
    *rules = (struct client_rules){0};
}

/* ---- who it is ----------------------------------------------------------------------------------------- */

/* A network of IPv6 does not hold IPv4 addresses, short as it may be: those are written as themselves. */
static bool holds(const struct client_network *n, const struct client_address *a) {
    if (is_mapped(a) != (n->bits >= 96 && is_mapped(&n->address))) return false;
    size_t whole = n->bits / 8;
    if (memcmp(n->address.bytes, a->bytes, whole) != 0) return false;
    unsigned rest = n->bits % 8;
    return rest == 0 || (n->address.bytes[whole] ^ a->bytes[whole]) >> (8 - rest) == 0;
}

static bool is_trusted(const struct client_rules *rules, const struct client_address *a) {
    for (size_t i = 0; i < rules->trusted_count; i++)
        if (holds(&rules->trusted[i], a)) return true;
    return false;
}

/* IPv4 addresses stand where no IPv6 host is (1::/32 is not given to anybody). */
static uint64_t number_of(const struct client_address *a) {
    uint64_t number = 0;
    if (is_mapped(a)) {
        for (int i = 12; i < 16; i++) number = number << 8 | a->bytes[i];
        return (uint64_t)1 << 48 | number;
    }
    for (int i = 0; i < 8; i++) number = number << 8 | a->bytes[i];
    return number;
}

/* Entries of all lines, from the right. */
struct walk {
    const char *const *lines;
    size_t count; /* lines that are left, with this one */
    size_t end;   /* of this one, bytes that are left */
    bool is_in_line;
    unsigned hops;
};

static bool is_space(char c) {
    return c == ' ' || c == '\t';
}

/* false: there is no more. */
static bool next_entry(struct walk *w, const char **entry, size_t *length) {
    if (w->count == 0 || w->hops++ == CLIENT_HOPS_MAX) return false;
    const char *line = w->lines[w->count - 1];
    if (!w->is_in_line) w->end = strlen(line);
    size_t begin = w->end;
    while (begin > 0 && line[begin - 1] != ',') begin--;
    size_t from = begin, to = w->end;
    while (from < to && is_space(line[from])) from++;
    while (to > from && is_space(line[to - 1])) to--;
    *entry = line + from;
    *length = to - from;
    w->is_in_line = begin > 0;
    if (w->is_in_line)
        w->end = begin - 1;
    else
        w->count--;
    return true;
}

/* known: where the walk begins is an address, too. Whether where it ends is one. */
static bool walk(const struct client_rules *rules, struct client_address *at, bool known,
                 const char *const *lines, size_t count) {
    struct walk w = {.lines = lines, .count = count};
    const char *entry;
    size_t length;
    if (count > CLIENT_LINES_MAX) w.lines += count - CLIENT_LINES_MAX, w.count = CLIENT_LINES_MAX;
    while ((!known || is_trusted(rules, at)) && next_entry(&w, &entry, &length)) {
        struct client_address next;
        if (!client_address_read(&next, entry, length)) break;
        *at = next;
        known = true;
    }
    return known;
}

bool client_address_find(const struct client_rules *rules, const struct sockaddr *peer,
                         const char *const *lines, size_t count, struct client_address *out) {
    *out = (struct client_address){0};
    if (!peer) return false;
    switch (peer->sa_family) {
    case AF_INET:
        set_mapped(out, &((const struct sockaddr_in *)(const void *)peer)->sin_addr);
        return walk(rules, out, true, lines, count);
    case AF_INET6:
        memcpy(out->bytes, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, sizeof out->bytes);
        return walk(rules, out, true, lines, count);
    case AF_UNIX:
        return rules->trusts_unix && walk(rules, out, false, lines, count);
    default:
        return false;
    }
}

uint64_t client_by_address(const struct client_rules *rules, const struct sockaddr *peer,
                           const char *const *lines, size_t count) {
    struct client_address at;
    return client_address_find(rules, peer, lines, count, &at) ? number_of(&at) : 0;
}

void client_address_write(const struct client_address *address, char out[CLIENT_TEXT_BYTES]) {
    static_assert(CLIENT_TEXT_BYTES >= INET6_ADDRSTRLEN, "every address has room");
    if (is_mapped(address))
        inet_ntop(AF_INET, address->bytes + sizeof mapped_prefix, out, CLIENT_TEXT_BYTES);
    else
        inet_ntop(AF_INET6, address->bytes, out, CLIENT_TEXT_BYTES);
}
