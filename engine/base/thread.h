/* Threads as all of the program starts them. */
#pragma once

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

/* A stack of at least so many bytes has every thread, whatever `ulimit -s` or the C library says (musl: 128 KiB). */
#define THREAD_STACK_BYTES ((size_t)1 << 20)
/* Of it a thread of ours uses so much at most: one that computes, where GEMMs of many wide rows with AMX have their sums
 * (640 KiB; attention over bf16 takes 340), and any other, of which those are deepest that render chat templates (tests:
 * test_stack.c of the kernels, test_template_stack.c). */
#define THREAD_STACK_COMPUTE ((size_t)704 << 10)
#define THREAD_STACK_USED    ((size_t)384 << 10)

/* For main: the stack of the first thread may grow to THREAD_STACK_BYTES. STATUS_LIMIT where that is forbidden. */
enum status thread_reserve_stack(struct error *e);

/* Starts a joinable thread; 0, or an errno. name: at most 15 bytes, NULL: that of the process. Signals from
 * outside are for the thread that waits for them, so they are blocked in this one; those that a thread brings
 * upon itself (SIGBUS, SIGSEGV, ...) are not: blocked, they would end the process without a word, past every
 * handler. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *context), void *context);
/* The same with a stack of just so many bytes, for those of which there may be many; 0: as others have. */
int thread_start_small(pthread_t *thread, const char *name, size_t stack_bytes, void *(*run)(void *context),
                       void *context);

/* Blocks those signals in the calling thread, and so in threads that it makes from now on: for libraries that start some
 * by themselves, and for an end that no signal is to disturb. before: what pthread_sigmask sets back; NULL: nothing will. */
void thread_block_signals(sigset_t *before);

/* Lets go of a thread that works on when the process ends. From then on the process must end without what
 * exit() runs, which would take away what the thread still uses: see thread_any_abandoned. */
void thread_abandon(pthread_t thread);

/* Whether thread_abandon was called: main then ends with _exit. */
bool thread_any_abandoned(void);

/* Whether so many threads can be started now, tried by starting them; 0, or the errno of the one that could
 * not. For libraries that end the process when a thread of theirs cannot be started. */
int thread_try(size_t count);
