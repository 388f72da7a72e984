/* Who a request is from, as a number that is the same for the same client: for fair shares and for the limit
 * of requests a client. Pure; knows sockets' addresses, not libmicrohttpd.
 *
 * By address: that of the peer. An IPv6 client is a /64, which is what one subscriber has at least. Where the
 * peer is a trusted proxy, X-Forwarded-For says who it asked for: its entries are walked from the right, the
 * end that the nearest proxy wrote, past trusted ones, to the first that is not trusted: that is the client,
 * and nothing left of it is believed. An entry that is not an address ends the walk at what was reached so far;
 * so do the CLIENT_LINES_MAX-th line and the CLIENT_HOPS_MAX-th entry. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "config/config.h"

#define CLIENT_LINES_MAX    16  /* of X-Forwarded-For: each proxy adds one at most */
#define CLIENT_HOPS_MAX     32  /* more proxies in a row than there are anywhere */
#define CLIENT_NETWORKS_MAX 256 /* that are trusted: each is compared with each hop */

/* IPv4 addresses are IPv4-mapped IPv6 ones (::ffff:a.b.c.d), however they were written. */
struct client_address {
    unsigned char bytes[16];
};

struct client_network {
    struct client_address address; /* no bits beyond the length */
    unsigned bits;                 /* of the 128 */
};

struct client_rules {
    bool is_needed; /* false: nobody asks, every client is 0 */
    bool is_by_key;
    bool trusts_unix; /* a peer on the Unix socket is a trusted proxy */
    struct client_network *trusted;
    size_t trusted_count;
};

/* From fair-share, max-requests-per-client, trusted-proxy and api-key-file. INVALID_ARGUMENT: a network that
 * is none, or clients by key where there are no keys. LIMIT: too many networks. */
enum status client_rules_init(struct client_rules *rules, const struct config *config, struct error *e);
void client_rules_deinit(struct client_rules *rules);

/* "10.0.0.0/8", "fd00::/8", or an address alone. false: anything else, also bits beyond the length. */
bool client_network_read(struct client_network *network, const char *text);

/* An entry of X-Forwarded-For without the spaces around it: an address, perhaps with a port ("1.2.3.4:5",
 * "[::1]:5"). false: anything else. */
bool client_address_read(struct client_address *address, const char *text, size_t length);

/* The text of an address, with its terminator. */
#define CLIENT_TEXT_BYTES 46
void client_address_write(const struct client_address *address, char out[CLIENT_TEXT_BYTES]);

/* The address that client_by_address numbers. false: it is not known. */
bool client_address_find(const struct client_rules *rules, const struct sockaddr *peer,
                         const char *const *lines, size_t count, struct client_address *out);

/* peer: of the connection. lines: the values of X-Forwarded-For, in the order in which they came; the last
 * CLIENT_LINES_MAX are enough. Never fails: a peer of another family than IPv4, IPv6 and Unix is client 0,
 * and so is a Unix peer of whose client nothing is known. */
uint64_t client_by_address(const struct client_rules *rules, const struct sockaddr *peer,
                           const char *const *lines, size_t count);

/* index: of the API key that was used. */
static inline uint64_t client_by_key(size_t index) {
    return (uint64_t)index + 1;
}
