/* Certificate and key of the daemon, read again on demand. GnuTLS asks for them at each handshake. */
#pragma once

#include <microhttpd.h>

#include "engine/base/error.h"

struct tls_pair;

struct tls {
    struct tls_pair *pair; /* newest first; NULL: no TLS. Older ones stay: a handshake may be using them */
};

/* Reads a certificate chain and its private key (PEM) and checks that they belong together. On failure what
 * was there stays in use. */
enum status tls_load(struct tls *t, const char *cert_path, const char *key_path, struct error *e);
void tls_deinit(struct tls *t);

/* Whether GnuTLS can read the priority string, which is the option tls-priorities. */
enum status tls_check_priorities(const char *priorities, struct error *e);

/* For MHD_OPTION_HTTPS_CERT_CALLBACK. GnuTLS hands no context to it, so it answers from the one struct tls of
 * the process that is loaded. */
void *tls_callback(void);
