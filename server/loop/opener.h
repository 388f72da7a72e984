/* The loading thread: opens the engine while the loop already serves. The loop asks for the state after a
 * wake-up. */
#pragma once

#include <stdbool.h>

#include "engine/api/engine.h"
#include "server/loop/loop.h"

struct opener;

/* Starts to load. options are copied; their progress is passed on. l is woken when the thread has finished. */
enum status opener_create(const struct engine_options *options, struct loop *l, struct opener **out,
                          struct error *e);

/* Whether it has finished; then *status, *engine (the caller's from now on, once) and *e say how. */
bool opener_take_result(struct opener *opener, enum status *status, struct engine **engine, struct error *e);

/* Share of the present stage in 0..1; its name goes to stage, which has room for size bytes. */
double opener_progress(struct opener *opener, char *stage, size_t size);

/* Ends the thread if it has finished. If not, it is left behind: it touches nothing of the caller's from now
 * on, and parks at its next report of progress. The process must end soon. Returns whether it had finished;
 * its engine, if nobody took it, is closed. */
bool opener_destroy(struct opener *opener);
