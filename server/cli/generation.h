/* Texts one after another through an engine of our own, without HTTP. They go to standard output as they grow. The
 * main thread takes the events; the scheduler thread and the signal handler only post a semaphore. One at a time in a
 * process. */
#pragma once

#include <signal.h>
#include <stdbool.h>

#include "server/cli/choice.h"
#include "server/cli/engine_setup.h"

struct generation {
    struct engine *engine;
    struct choice *choices; /* CHOICES_OF_PROMPT_MAX; of the last prompt the first `count` */
    size_t count, finished;
    size_t showing; /* the choice that standard output gets now: those before it are there */
    bool cancelled;
    bool is_silent;          /* standard output gets nothing */
    bool output_closed;      /* the reader of standard output has gone: nobody wants the rest */
    struct error output;     /* any other failure to write, or no memory; code OK while there is none */
    char last_byte;          /* that was written */
    struct grammar *grammar; /* that texts match; NULL: any will do. generation_close gives it back */
};

/* The signal that asked to stop, 0 while none has. It ends the text that grows. Whoever goes on afterwards puts 0
 * here. */
extern volatile sig_atomic_t generation_signal;

/* Opens the engine, with the setup changed: its wake, and room for the choices of one prompt. From then on SIGINT and SIGTERM are
 * told by generation_signal, and SIGPIPE is ignored. generation_close is needed after an error, too. */
enum status generation_open(struct generation *g, struct engine_setup *setup, const struct config *config,
                            struct error *e);
void generation_close(struct generation *g);

/* Ids of a prompt. An empty one starts from the token that stands before a text in training; STATUS_INVALID_ARGUMENT
 * where the model has none. The caller frees *ids, after an error too. */
enum status generation_encode(const struct generation *g, const char *text, size_t length, int32_t **ids,
                              size_t *count, struct error *e);

/* The texts of one prompt, from their beginning to their end, sampled as the configuration says; then the choices say how
 * they ended. With several, each follows a line with its number. A signal is no error. ids are borrowed for the call. */
enum status generation_run(struct generation *g, const struct config *config, const int32_t *ids,
                           size_t count, struct error *e);

/* What --logprobs asks for, and the rates of the last prompt, in the log. */
void generation_report(const struct generation *g);
