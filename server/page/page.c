#include "server/page/page.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/embed.h"

extern const char page_begin[], page_end[];

EMBED_FILE("page", EMBEDDED);

enum { SHA256_BYTES = 32, SOURCE_BYTES = 64 };

/* What stands between two tags; false where they are not there. */
static bool find_element(const struct page *p, const char *open, const char *close, gnutls_datum_t *out) {
    const char *from = memmem(p->html, p->length, open, strlen(open));
    if (!from) return false;
    from += strlen(open);
    const char *to = memmem(from, p->length - (size_t)(from - p->html), close, strlen(close));
    if (!to) return false;
    *out = (gnutls_datum_t){(unsigned char *)(uintptr_t)from, (unsigned)(to - from)};
    return true;
}

/* "sha256-...": how a policy names an element that stands in the page. */
static bool name_element(const struct page *p, const char *open, const char *close, char out[SOURCE_BYTES]) {
    unsigned char digest[SHA256_BYTES];
    gnutls_datum_t element, hash = {digest, sizeof digest}, text = {0};
    if (!find_element(p, open, close, &element)) return false;
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, element.data, element.size, digest) != 0) return false;
    if (gnutls_base64_encode2(&hash, &text) != 0) return false;
    int length = snprintf(out, SOURCE_BYTES, "sha256-%.*s", (int)text.size, (const char *)text.data);
    gnutls_free(text.data);
    return length < SOURCE_BYTES;
}

enum status page_init(struct page *p, struct error *e) {
    char style[SOURCE_BYTES], script[SOURCE_BYTES];
    *p = (struct page){.html = page_begin, .length = EMBEDDED_BYTES(page)};
    if (!name_element(p, "<style>", "</style>", style) || !name_element(p, "<script>", "</script>", script))
        return error_set(e, STATUS_UNSUPPORTED, "page", "GnuTLS cannot hash its parts by SHA-256");
    snprintf(p->policy, sizeof p->policy,
             "default-src 'none'; style-src '%s'; script-src '%s'; connect-src 'self'; img-src data:; "
             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
             style, script);
    return STATUS_OK;
}
