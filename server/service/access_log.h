/* The access log: one line a finished request, to a file or to stdout, in the form of log-format. Nobody waits for its
 * reader or its disk (engine/base/line_sink.h): a line that is not taken is dropped and counted, and the log says so
 * when it begins and when it is over. Everything that a client chose is escaped into printable ASCII. Loop thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/line_sink.h"
#include "engine/base/log.h"

/* Of a path; a longer one is cut. No route of ours has as many. */
#define ACCESS_PATH_BYTES_MAX 200
/* Of a method; RFC 9110 has none with as many. */
#define ACCESS_METHOD_BYTES_MAX 20

struct access_log {
    bool is_on, owns_fd, is_json, is_journal;
    struct line_sink sink;
    uint64_t dropped, dropped_told;
};

/* Borrowed texts; "" is nothing to say, as are negative seconds. */
struct access_record {
    const char *id, *trace_id, *client, *method, *path;
    unsigned status; /* 0: none was sent */
    const char *outcome, *reason;
    bool has_tokens; /* false: it is no completion, or never got so far */
    uint64_t prompt_tokens, cached_tokens, generated_tokens;
    double queued_seconds, first_token_seconds, total_seconds;
};

/* path: NULL: off; "-": stdout. STATUS_OPTION: the file cannot be opened. */
enum status access_log_open(struct access_log *log, const char *path, enum log_format format,
                            struct error *e);
void access_log_close(struct access_log *log);

/* Whether access_log_open would succeed. A file that is not there is made, and removed again. */
enum status access_log_check(const char *path, struct error *e);

/* A descriptor of the file, for access_log_use; -1, and *e says why. May take long: any thread. */
int access_log_open_file(const char *path, struct error *e);

/* Goes on in this file, which is owned from here. */
void access_log_use(struct access_log *log, int fd);

void access_log_write(struct access_log *log, const struct access_record *record);
