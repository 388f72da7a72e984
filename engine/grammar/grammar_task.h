/* A computation that goes on for a piece at a time, on a thread of its own, which rests between two pieces: so what is
 * deep within calls can be interrupted. Whoever lets it run waits for the piece, so no more threads work than before.
 * One caller at a time, by a lock of the owner's. */
#pragma once

#include <stdbool.h>

#include "engine/base/error.h"

struct grammar_task;

/* Of its thread's stack: calls within each other are as deep as expressions and choices may be. */
#define GRAMMAR_TASK_STACK_BYTES ((size_t)1 << 20)

typedef void grammar_task_fn(void *context);

/* NO_MEMORY: its thread cannot be started. */
enum status grammar_task_create(struct grammar_task **out, struct error *e);
/* It is idle. NULL is nothing. */
void grammar_task_destroy(struct grammar_task *t);

/* What it is to do; nothing is done yet. It is idle. */
void grammar_task_begin(struct grammar_task *t, grammar_task_fn *fn, void *context);
/* Lets it go on to its next pause or its end; true: that was its end, and it is idle. */
bool grammar_task_run(struct grammar_task *t);
/* The same up to its end: its pauses are none, and say so. What has not begun never does. */
void grammar_task_give_up(struct grammar_task *t);

/* By fn: the piece is over. False: it is given up, and fn should come to its end. */
bool grammar_task_pause(struct grammar_task *t);
