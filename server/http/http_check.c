#include "server/http/http_check.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- texts --------------------------------------------------------------------------------------------- */

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

struct http_text http_text_trim(const char *text, size_t length) {
    while (length && is_blank(text[0])) text++, length--;
    while (length && is_blank(text[length - 1])) length--;
    return (struct http_text){text, length};
}

struct http_text http_header(struct MHD_Connection *mhd, const char *name) {
    const char *value = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, name);
    return value ? http_text_trim(value, strlen(value)) : (struct http_text){0};
}

struct named {
    const char *name;
    unsigned count;
};

static enum MHD_Result count_named(void *context, enum MHD_ValueKind kind, const char *name,
                                   const char *value) {
    struct named *named = context;
    (void)kind, (void)value;
    named->count += strcasecmp(name, named->name) == 0;
    return MHD_YES;
}

struct http_text http_header_once(struct MHD_Connection *mhd, const char *name) {
    struct named named = {.name = name};
    MHD_get_connection_values(mhd, MHD_HEADER_KIND, count_named, &named);
    return named.count == 1 ? http_header(mhd, name) : (struct http_text){0};
}

bool http_text_is(struct http_text text, const char *other) {
    return text.data && text.length == strlen(other) && strncasecmp(text.data, other, text.length) == 0;
}

/* Whether all bytes are letters, digits or of `others`. */
static bool has_only(const char *text, size_t length, const char *others) {
    for (size_t i = 0; i < length; i++) {
        char c = text[i], lower = (char)(c | 0x20);
        bool is_word = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
        if (!is_word && (!c || !strchr(others, c))) return false;
    }
    return true;
}

bool http_is_token(const char *text, size_t length) {
    return length && has_only(text, length, "!#$%&'*+-.^_`|~");
}

/* Tabs may stand in a value, other control characters may not. Bytes beyond ASCII are let through. */
static bool has_control(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ' ? text[i] != '\t' : text[i] == 0x7f) return true;
    return false;
}

/* ---- the library --------------------------------------------------------------------------------------- */

/* Up to 0.9.75 libmicrohttpd reads a header where it lies, has no strict mode worth the name, and tells how
 * many bytes the header had: then this file can account for every one of them. Later releases move what they
 * read, and refuse by themselves what the accounting would find. */
static bool reads_in_place(void) {
    unsigned major = 0, minor = 0, patch = 0;
    return sscanf(MHD_get_version(), "%u.%u.%u", &major, &minor, &patch) == 3 && major == 0 &&
           (minor < 9 || (minor == 9 && patch <= 75));
}

int http_strictness(void) {
    return reads_in_place() ? 0 : 1; /* 1 in the old ones: an answer in HTML of its own for want of a Host */
}

/* ---- the lines of a header ----------------------------------------------------------------------------- */

struct walk {
    struct api_error *e;
    bool in_place;
    size_t bytes; /* that the lines take, each with CRLF */
    unsigned hosts, lengths, codings;
    struct http_text host, coding;
};

static enum api_error_kind refuse(struct api_error *e, const char *message) {
    return api_error_set(e, API_MALFORMED, NULL, "%s", message);
}

static enum api_error_kind check_line(struct walk *w, const char *name, size_t name_length, const char *value,
                                      size_t value_length) {
    /* A continued line is joined to the name, which then lies elsewhere; the value stays. */
    if (w->in_place && (uintptr_t)value <= (uintptr_t)name)
        return refuse(w->e, "A header line is continued on the next line; each must stand on one line.");
    if (!http_is_token(name, name_length))
        return api_error_set(
            w->e, API_MALFORMED, NULL,
            "'%.100s' is not a name of a header; a name has no blanks and ends right at the colon.", name);
    if (has_control(value, value_length))
        return api_error_set(w->e, API_MALFORMED, NULL, "The header %.100s has a control character.", name);
    if (w->in_place) w->bytes += (size_t)((uintptr_t)value - (uintptr_t)name) + value_length + 2;
    return API_OK;
}

static enum MHD_Result on_header(void *context, enum MHD_ValueKind kind, const char *name, size_t name_length,
                                 const char *value, size_t value_length) {
    struct walk *w = context;
    (void)kind;
    if (!value) value = "", value_length = 0;
    if (check_line(w, name, name_length, value, value_length) != API_OK) return MHD_NO;
    struct http_text text = http_text_trim(value, value_length), label = {name, name_length};
    if (http_text_is(label, "Host")) {
        w->hosts++;
        w->host = text;
    } else if (http_text_is(label, "Content-Length"))
        w->lengths++;
    else if (http_text_is(label, "Transfer-Encoding")) {
        w->codings++;
        w->coding = text;
        if (value_length != text.length)
            /* The library would not know the value and read on to the end of the connection. */
            refuse(w->e, "Blanks after the value of Transfer-Encoding are not supported.");
    }
    return w->e->kind == API_OK ? MHD_YES : MHD_NO;
}

static enum api_error_kind check_framing(const struct walk *w, bool is_old) {
    if (w->lengths > 1) return refuse(w->e, "There is more than one Content-Length.");
    if (w->codings > 1) return refuse(w->e, "There is more than one Transfer-Encoding.");
    if (w->codings && w->lengths)
        return refuse(w->e, "There is a Content-Length beside a Transfer-Encoding; only one may be there.");
    if (w->codings && is_old) return refuse(w->e, "HTTP/1.0 has no Transfer-Encoding.");
    if (w->codings && !http_text_is(w->coding, "chunked"))
        return api_error_set(w->e, API_CODING, NULL,
                             "The transfer coding '%.*s' is not supported; 'chunked' is.",
                             (int)(w->coding.length < 100 ? w->coding.length : 100), w->coding.data);
    return API_OK;
}

static enum api_error_kind check_host(const struct walk *w, bool is_old) {
    if (w->hosts > 1) return refuse(w->e, "There is more than one Host.");
    if (!w->hosts && !is_old) return refuse(w->e, "The header Host is missing.");
    if (!has_only(w->host.data, w->host.length, "-._~%!$&'()*+,;=:[]"))
        return refuse(w->e, "The value of Host is not a name or address.");
    return API_OK;
}

/* ---- the request line ---------------------------------------------------------------------------------- */

void http_line_set_target(struct http_line *line, const char *target) {
    line->target_bytes = target ? strlen(target) : 0;
    line->target_is_printed = target && !strpbrk(target, " \t") && !has_control(target, line->target_bytes);
}

static enum api_error_kind check_line_of_request(const struct http_line *line, struct api_error *e) {
    if (line->target_bytes > HTTP_TARGET_BYTES_MAX)
        return api_error_set(e, API_TARGET_TOO_LONG, NULL,
                             "The request's target has %zu bytes; at most %d are allowed.",
                             line->target_bytes, HTTP_TARGET_BYTES_MAX);
    if (!line->target_is_printed)
        return refuse(e, "The request's target has blanks or control characters; they must be escaped.");
    if (!http_is_token(line->method, strlen(line->method)))
        return refuse(e, "The request's method is not a name.");
    return API_OK;
}

const char *http_target_path(const char *method, const char *target) {
    static const char *const schemes[] = {"http://", "https://"};
    if (target[0] == '/') return target;
    if (strcmp(target, "*") == 0) return strcmp(method, "OPTIONS") == 0 ? target : NULL;
    for (int i = 0; i < 2; i++) {
        size_t length = strlen(schemes[i]);
        if (strncasecmp(target, schemes[i], length) != 0) continue;
        const char *authority = target + length, *path = strchr(authority, '/');
        if (path == authority || !*authority) return NULL;
        return path ? path : "/";
    }
    return NULL;
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

static size_t header_bytes(struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info ? info->header_size : 0;
}

static enum api_error_kind check_size(struct MHD_Connection *mhd, size_t size, struct api_error *e) {
    int lines = MHD_get_connection_values(mhd, MHD_HEADER_KIND, NULL, NULL);
    int cookies = MHD_get_connection_values(mhd, MHD_COOKIE_KIND, NULL, NULL);
    if (size > HTTP_HEADER_BYTES_MAX)
        return api_error_set(e, API_HEADER_TOO_LARGE, NULL,
                             "The request line and header have %zu bytes; at most %d are allowed.", size,
                             HTTP_HEADER_BYTES_MAX);
    if (lines > HTTP_HEADER_LINES_MAX || cookies > HTTP_COOKIES_MAX)
        return api_error_set(
            e, API_HEADER_TOO_LARGE, NULL,
            "The header has %d lines and %d cookies; at most %d lines and %d cookies are allowed.", lines,
            cookies, HTTP_HEADER_LINES_MAX, HTTP_COOKIES_MAX);
    return API_OK;
}

enum api_error_kind http_check(struct MHD_Connection *mhd, const struct http_line *line,
                               struct api_error *e) {
    struct walk w = {.e = e, .in_place = reads_in_place()};
    bool is_old = strcmp(line->version, "HTTP/1.0") == 0;
    size_t size = header_bytes(mhd);
    if (check_line_of_request(line, e) != API_OK || check_size(mhd, size, e) != API_OK) return e->kind;
    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, on_header, &w);
    if (e->kind != API_OK || check_framing(&w, is_old) != API_OK || check_host(&w, is_old) != API_OK)
        return e->kind;
    /* "METHOD TARGET VERSION" CRLF, the lines, CRLF. What is more or less was not seen as we see it. */
    size_t expected =
        strlen(line->method) + 1 + line->target_bytes + 1 + strlen(line->version) + 2 + w.bytes + 2;
    if (w.in_place && size != expected)
        return refuse(e, "The header has a line that does not end in CR LF, a NUL, or needless blanks in the "
                         "request line.");
    return API_OK;
}
