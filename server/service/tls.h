/* Certificate and key of the daemon, read again on demand (GnuTLS asks for them at each handshake), and the
 * end of a TLS connection that libmicrohttpd does not look at. Loop thread, but for tls_pair_load. */
#pragma once

#include <microhttpd.h>
#include <stdint.h>

#include "engine/base/error.h"

struct tls_pair;

struct tls {
    struct tls_pair
        *pair; /* newest first; NULL: no TLS. Older ones stay while a handshake may be using them */
};

/* Reads a certificate chain and its private key (PEM) and checks that they belong together. Without paths
 * *out is NULL, and that is not an error. Any thread. */
enum status tls_pair_load(const char *cert_path, const char *key_path, struct tls_pair **out,
                          struct error *e);
void tls_pair_destroy(struct tls_pair *pair);

/* Handshakes that begin from now on use this pair (NULL: nothing changes), which is owned from here. */
void tls_use(struct tls *t, struct tls_pair *pair);

/* Frees the pairs that were replaced before the oldest handshake that may still go on began. */
void tls_drop_older(struct tls *t, uint64_t oldest_handshake_ns);
void tls_deinit(struct tls *t);

/* Whether GnuTLS can read the priority string, which is the option tls-priorities. */
enum status tls_check_priorities(const char *priorities, struct error *e);

/* What a client has sent while nobody reads. */
enum tls_look {
    TLS_NOTHING,  /* nothing that is whole and means anything */
    TLS_DATA,     /* of the next request; it was left where it is */
    TLS_ENDED,    /* the client has said that it sends no more, or broken the protocol */
    TLS_UNUSABLE, /* data that looked like an end; it is lost, and the client will not be heard any more */
};

/* To be asked between two requests to libmicrohttpd, of a connection that is suspended or being answered:
 * then GnuTLS is between two records. Takes records that may be an end (in TLS 1.3 they can be told from data
 * by their length alone until they are decrypted), and leaves all others. */
enum tls_look tls_look(struct MHD_Connection *mhd, int fd);

/* For MHD_OPTION_HTTPS_CERT_CALLBACK. GnuTLS hands no context to it, so it answers from the one struct tls of
 * the process that is loaded. */
void *tls_callback(void);
