/* The input is a certificate chain in PEM format, a zero byte, and a private key. */
#include <string.h>

#include "engine/base/log.h"
#include "server/service/tls.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t cert_size = zero ? (size_t)(zero - data) : size;
    char folder[] = FUZZ_FOLDER, cert[64], key[64];
    struct tls tls = {0};
    struct error e = {0};
    log_set_level(LOG_LEVEL_ERROR);
    if (!mkdtemp(folder)) abort();
    fuzz_write(folder, "cert.pem", data, cert_size, cert);
    fuzz_write(folder, "key.pem", zero ? zero + 1 : data, zero ? size - cert_size - 1 : 0, key);
    struct tls_pair *pair;
    enum status status = tls_pair_load(cert, key, &pair, &e);
    if ((status == STATUS_OK) != (pair != NULL)) abort();
    tls_use(&tls, pair);
    if (tls.pair != pair) abort();
    if (status != STATUS_OK && (e.code != status || !e.text[0])) abort();
    tls_deinit(&tls);
    unlink(cert);
    unlink(key);
    rmdir(folder);
    return 0;
}
