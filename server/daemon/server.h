/* The HTTP daemon: everything between its start and its end on the calling thread. */
#pragma once

#include "config/config.h"
#include "engine/api/engine.h"

/* Listens, loads the model on a thread of its own while already answering, serves, and returns when it has been
 * stopped: SIGTERM or SIGINT drain (a second one cuts that short), SIGHUP reads keys and certificates again.
 *
 * engine: how to open the model, filled by the caller from the configuration; its `progress` is called on the loading
 * thread and never again once this function has returned; its `wake` is replaced. Borrowed until the return.
 *
 * STATUS_OK after an orderly end. When a signal comes while the model is still loading, the function returns without
 * waiting for that: the loading thread is left behind, so the process must end next. Errors: the address cannot be
 * bound (IO, naming it), a key or certificate file cannot be read, or the model cannot be loaded (the engine's error).
 * Sets SIGPIPE to be ignored. Call once in a process, on its main thread. */
enum status server_run(const struct config *config, const struct engine_options *engine, struct error *e);

/* Whether server_run would get as far as listening: the access log is opened, keys, certificates and rules are read, the
 * address is bound and given back at once. url: what it would listen on; with port 0 the port that it was given this time.
 * The options get what the server reserves. Errors are those of server_run. */
enum status server_check(const struct config *config, struct engine_options *options, char *url, size_t size,
                         struct error *e);
