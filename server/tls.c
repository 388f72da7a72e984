#include "server/tls.h"

#include <stdlib.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

enum { CHAIN_MAX = 16 };

struct tls_pair {
    struct tls_pair *older;
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

static void pair_destroy(struct tls_pair *pair) {
    for (unsigned i = 0; i < pair->chain_count; i++) gnutls_pcert_deinit(&pair->chain[i]);
    gnutls_privkey_deinit(pair->key);
    free(pair);
}

static enum status import(struct tls_pair *pair, const gnutls_datum_t *cert, const gnutls_datum_t *key,
                          const char *cert_path, const char *key_path, struct error *e) {
    unsigned count = CHAIN_MAX;
    int result = gnutls_pcert_list_import_x509_raw(pair->chain, &count, cert, GNUTLS_X509_FMT_PEM, 0);
    if (result < 0)
        return error_set(e, STATUS_MALFORMED, cert_path, "is no certificate chain in PEM format: %s",
                         gnutls_strerror(result));
    pair->chain_count = count;
    result = gnutls_privkey_import_x509_raw(pair->key, key, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (result < 0)
        return error_set(e, STATUS_MALFORMED, key_path, "is no private key in PEM format: %s",
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

enum status tls_load(struct tls *t, const char *cert_path, const char *key_path, struct error *e) {
    if (!cert_path && !key_path) return STATUS_OK;
    if (!cert_path || !key_path)
        return error_set(e, STATUS_INVALID_ARGUMENT, cert_path ? "tls-key" : "tls-cert",
                         "tls-cert and tls-key need each other");
    struct tls_pair *pair = calloc(1, sizeof *pair);
    if (!pair) return error_set(e, STATUS_NO_MEMORY, cert_path, "there is no memory to read it");
    enum status status = load_pair(pair, cert_path, key_path, e);
    if (status != STATUS_OK) {
        pair_destroy(pair);
        return status;
    }
    pair->older = t->pair;
    t->pair = pair;
    current = t;
    return STATUS_OK;
}

enum status tls_check_priorities(const char *priorities, struct error *e) {
    gnutls_priority_t parsed;
    const char *at = priorities;
    int result = gnutls_priority_init(&parsed, priorities, &at);
    if (result == GNUTLS_E_MEMORY_ERROR)
        return error_set(e, STATUS_NO_MEMORY, "tls-priorities", "there is no memory to check it");
    if (result < 0)
        return error_set(e, STATUS_INVALID_ARGUMENT, "tls-priorities",
                         "'%.200s' is no priority string of GnuTLS: %s at '%.100s'", priorities,
                         gnutls_strerror(result), at);
    gnutls_priority_deinit(parsed);
    return STATUS_OK;
}

void tls_deinit(struct tls *t) {
    while (t->pair) {
        struct tls_pair *older = t->pair->older;
        pair_destroy(t->pair);
        t->pair = older;
    }
    if (current == t) current = NULL;
}
