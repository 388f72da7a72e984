#include "server/http/cors.h"

#include <string.h>

#include "config/config.h"
#include "server/http/http_check.h"

static const char *const known[] = {"Authorization", "Content-Type", "X-Request-Id", "X-Api-Key", "api-key"};

enum { KNOWN_COUNT = sizeof known / sizeof *known };

#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789"

static bool has_usual_port(const char *text) {
    const char *port = strrchr(text, ':');
    return (strncmp(text, "http:", 5) == 0 && strcmp(port, ":80") == 0) ||
           (strncmp(text, "https:", 6) == 0 && strcmp(port, ":443") == 0);
}

/* SCHEME://HOST or SCHEME://HOST:PORT. A browser writes hosts in lower case, and in ASCII (xn--), and leaves the scheme's own
 * port out. */
static bool is_origin(const char *text) {
    size_t scheme = strspn(text, LOWER "+-.");
    if (!scheme || strncmp(text + scheme, "://", 3) != 0) return false;
    const char *host = text + scheme + 3;
    return *host && !host[strspn(host, LOWER "-._~%[]:")] && !has_usual_port(text);
}

enum status cors_check_origin(const char *origin, struct error *e) {
    if (!origin || strcmp(origin, "*") == 0 || strcmp(origin, "null") == 0 || is_origin(origin))
        return STATUS_OK;
    return error_set(e, STATUS_OPTION, "cors-origin",
                     "is no origin as a browser says it: '*', or one like https://example.org or "
                     "http://localhost:3000 was expected, in lower case, without the port that the scheme "
                     "has by itself, and with nothing behind host and port");
}

static bool is_known(struct http_text name) {
    for (int i = 0; i < KNOWN_COUNT; i++)
        if (http_text_is(name, known[i])) return true;
    return false;
}

void cors_write_allowed(struct bytes *out, const char *asked) {
    for (int i = 0; i < KNOWN_COUNT; i++) bytes_format(out, "%s%s", i ? ", " : "", known[i]);
    size_t length = asked ? strnlen(asked, CORS_ASKED_BYTES_MAX + 1) : 0;
    /* A list that is cut could end in a part of a name. */
    while (length > CORS_ASKED_BYTES_MAX || (length && asked[length] && asked[length] != ',')) length--;
    for (size_t at = 0, end; at < length && !out->failed; at = end + 1) {
        const char *comma = memchr(asked + at, ',', length - at);
        end = comma ? (size_t)(comma - asked) : length;
        struct http_text name = http_text_trim(asked + at, end - at);
        if (!http_is_token(name.data, name.length) || is_known(name)) continue;
        bytes_text(out, ", ");
        bytes_append(out, name.data, name.length);
    }
}

/* A header that cannot be added (no memory) is missing; the browser then refuses the answer to the page. */
static void add(struct MHD_Response *response, const char *name, const char *value) {
    (void)MHD_add_response_header(response, name, value);
}

void cors_add_headers(struct MHD_Response *response, const struct config *config, bool is_preflight) {
    if (!config->cors_origin) return;
    bool any = strcmp(config->cors_origin, "*") == 0;
    add(response, "Access-Control-Allow-Origin", config->cors_origin);
    add(response, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After, x-should-retry");
    if (is_preflight)
        add(response, "Vary",
            any ? "Access-Control-Request-Headers" : "Origin, Access-Control-Request-Headers");
    else if (!any)
        add(response, "Vary", "Origin");
}

void cors_add_preflight_headers(struct MHD_Response *response, const char *asked) {
    struct bytes allowed = {0};
    cors_write_allowed(&allowed, asked);
    bytes_append(&allowed, "", 1);
    if (!allowed.failed) add(response, "Access-Control-Allow-Headers", allowed.data);
    bytes_deinit(&allowed);
    add(response, "Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS");
    add(response, "Access-Control-Max-Age", "600");
}
