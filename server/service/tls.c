#include "server/service/tls.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "engine/base/clock.h"

enum { CHAIN_MAX = 16 };

struct tls_pair {
    struct tls_pair *older;
    uint64_t replaced_ns;
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned chain_count;
    gnutls_privkey_t key;
};

static const struct tls *current;

static int on_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
                          const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                          gnutls_pcert_st **chain, unsigned *chain_count, gnutls_privkey_t *key) {
    (void)session, (void)authorities, (void)authority_count, (void)algorithms, (void)algorithm_count;
    if (!current || !current->pair) return -1;
    *chain = current->pair->chain;
    *chain_count = current->pair->chain_count;
    *key = current->pair->key;
    return 0;
}

void *tls_callback(void) {
    return (void *)on_certificate;
}

void tls_pair_destroy(struct tls_pair *pair) {
    if (!pair) return;
    for (unsigned i = 0; i < pair->chain_count; i++) gnutls_pcert_deinit(&pair->chain[i]);
    gnutls_privkey_deinit(pair->key);
    free(pair);
}

static enum status import(struct tls_pair *pair, const gnutls_datum_t *cert, const gnutls_datum_t *key,
                          const char *cert_path, const char *key_path, struct error *e) {
    unsigned count = CHAIN_MAX;
    int result = gnutls_pcert_list_import_x509_raw(pair->chain, &count, cert, GNUTLS_X509_FMT_PEM, 0);
    if (result < 0)
        return error_set(e, STATUS_MALFORMED, cert_path, "is not a certificate chain in PEM format: %s",
                         gnutls_strerror(result));
    pair->chain_count = count;
    result = gnutls_privkey_import_x509_raw(pair->key, key, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (result < 0)
        return error_set(e, STATUS_MALFORMED, key_path, "is not a private key in PEM format: %s",
                         gnutls_strerror(result));
    return STATUS_OK;
}

/* GnuTLS checks the match when the two are made credentials. */
static enum status check_match(const gnutls_datum_t *cert, const gnutls_datum_t *key, const char *key_path,
                               struct error *e) {
    gnutls_certificate_credentials_t credentials;
    if (gnutls_certificate_allocate_credentials(&credentials) < 0)
        return error_set(e, STATUS_NO_MEMORY, key_path, "there is no memory to check it");
    int result = gnutls_certificate_set_x509_key_mem(credentials, cert, key, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(credentials);
    if (result < 0)
        return error_set(e, STATUS_MISMATCH, key_path, "does not belong to the certificate: %s",
                         gnutls_strerror(result));
    return STATUS_OK;
}

static enum status load_pair(struct tls_pair *pair, const char *cert_path, const char *key_path,
                             struct error *e) {
    gnutls_datum_t cert = {0}, key = {0};
    enum status status = STATUS_OK;
    if (gnutls_load_file(cert_path, &cert) < 0)
        status = error_set(e, STATUS_IO, cert_path, "the certificate cannot be read");
    else if (gnutls_load_file(key_path, &key) < 0)
        status = error_set(e, STATUS_IO, key_path, "the private key cannot be read");
    else if (gnutls_privkey_init(&pair->key) < 0)
        status = error_set(e, STATUS_NO_MEMORY, key_path, "there is no memory to read it");
    if (status == STATUS_OK) status = import(pair, &cert, &key, cert_path, key_path, e);
    if (status == STATUS_OK) status = check_match(&cert, &key, key_path, e);
    gnutls_free(cert.data);
    if (key.data) gnutls_memset(key.data, 0, key.size);
    gnutls_free(key.data);
    return status;
}

enum status tls_pair_load(const char *cert_path, const char *key_path, struct tls_pair **out,
                          struct error *e) {
    *out = NULL;
    if (!cert_path && !key_path) return STATUS_OK;
    if (!cert_path || !key_path)
        return error_set(e, STATUS_INVALID_ARGUMENT, cert_path ? "tls-key" : "tls-cert",
                         "tls-cert and tls-key need each other");
    struct tls_pair *pair = calloc(1, sizeof *pair);
    if (!pair) return error_set(e, STATUS_NO_MEMORY, cert_path, "there is no memory to read it");
    enum status status = load_pair(pair, cert_path, key_path, e);
    if (status == STATUS_OK)
        *out = pair;
    else
        tls_pair_destroy(pair);
    return status;
}

void tls_use(struct tls *t, struct tls_pair *pair) {
    if (!pair) return;
    if (t->pair) t->pair->replaced_ns = clock_ns();
    pair->older = t->pair;
    t->pair = pair;
    current = t;
}

void tls_drop_older(struct tls *t, uint64_t oldest_handshake_ns) {
    if (!t->pair) return;
    struct tls_pair *keeps = t->pair;
    while (keeps->older && keeps->older->replaced_ns >= oldest_handshake_ns) keeps = keeps->older;
    while (keeps->older) {
        struct tls_pair *dropped = keeps->older;
        keeps->older = dropped->older;
        tls_pair_destroy(dropped);
    }
}

enum status tls_check_priorities(const char *priorities, struct error *e) {
    gnutls_priority_t parsed;
    const char *at = priorities;
    int result = gnutls_priority_init(&parsed, priorities, &at);
    if (result == GNUTLS_E_MEMORY_ERROR)
        return error_set(e, STATUS_NO_MEMORY, "tls-priorities", "there is no memory to check it");
    if (result < 0)
        return error_set(e, STATUS_INVALID_ARGUMENT, "tls-priorities",
                         "'%.200s' is not a priority string of GnuTLS: %s at '%.100s'", priorities,
                         gnutls_strerror(result), at);
    gnutls_priority_deinit(parsed);
    return STATUS_OK;
}

void tls_deinit(struct tls *t) {
    while (t->pair) {
        struct tls_pair *older = t->pair->older;
        tls_pair_destroy(t->pair);
        t->pair = older;
    }
    if (current == t) current = NULL;
}

/* ---- ends ---------------------------------------------------------------------------------------------- */

enum { RECORD_HEAD_BYTES = 5, TYPE_ALERT = 21, TYPE_DATA = 23, ALERT_BYTES = 2, KEY_UPDATE_BYTES = 5 };

/* In TLS 1.3 every record says that it is data; what it is stands in it, encrypted, behind its content. */
static bool may_be_end(gnutls_session_t session, unsigned char type, size_t length) {
    if (type == TYPE_ALERT) return true;
    if (type != TYPE_DATA || gnutls_protocol_get_version(session) != GNUTLS_TLS1_3) return false;
    size_t around = 1 + gnutls_cipher_get_tag_size(gnutls_cipher_get(session));
    return length == ALERT_BYTES + around || length == KEY_UPDATE_BYTES + around;
}

/* Nothing more comes, but it is not an end: libmicrohttpd would not send the answer after that. */
static ssize_t read_nothing(gnutls_transport_ptr_t transport, void *out, size_t size) {
    (void)transport, (void)out, (void)size;
    errno = EAGAIN;
    return -1;
}

static enum tls_look read_record(gnutls_session_t session) {
    char data[ALERT_BYTES + KEY_UPDATE_BYTES];
    ssize_t length = gnutls_record_recv(session, data, sizeof data);
    if (length == 0) return TLS_ENDED;
    if (length < 0) return gnutls_error_is_fatal((int)length) ? TLS_ENDED : TLS_NOTHING;
    if (length == 2 && memcmp(data, "\r\n", 2) == 0)
        return TLS_NOTHING; /* may stand behind a body, for nothing */
    gnutls_transport_set_pull_function(session, read_nothing);
    return TLS_UNUSABLE;
}

enum tls_look tls_look(struct MHD_Connection *mhd, int fd) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    gnutls_session_t session = info ? info->tls_session : NULL;
    unsigned char head[RECORD_HEAD_BYTES];
    int available = 0;
    if (!session || gnutls_record_check_pending(session)) return TLS_DATA;
    ssize_t got = recv(fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT);
    if (got == 0) return TLS_ENDED;
    if (got < RECORD_HEAD_BYTES) return TLS_NOTHING;
    size_t length = (size_t)head[3] << 8 | head[4];
    if (!may_be_end(session, head[0], length)) return TLS_DATA;
    if (ioctl(fd, FIONREAD, &available) != 0 || (size_t)available < sizeof head + length) return TLS_NOTHING;
    return read_record(session);
}
