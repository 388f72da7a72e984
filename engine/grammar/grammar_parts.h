/* Inside of a grammar: for grammar.c and grammar_place.c alone. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "engine/grammar/grammar.h"
#include "engine/grammar/grammar_task.h"
#include "engine/grammar/match/mask.h"
#include "engine/grammar/match/reset.h"

/* A question that takes more than one piece. */
struct grammar_job {
    struct grammar_task *task;   /* NULL: there was none yet */
    struct grammar_place *owner; /* NULL: there is no question */
    const int32_t *tokens;       /* the asker's: all of its text, */
    size_t count;
    uint32_t *bits; /* and where its mask goes; NULL: it wants none */
    struct grammar_outlook outlook;
    enum status status;
    struct error error;
};

struct grammar {
    atomic_uint references;
    pthread_mutex_t lock; /* of the rest */
    struct matcher *matcher;
    struct masks masks;
    const struct grammar_vocabulary *vocabulary;
    struct matcher_mark mark; /* what was compiled, and the first state */
    size_t compiled_bytes;
    size_t
        growth_max; /* of states that texts share; where one alone takes more it has the grammar to itself */
    struct grammar_place *places;
    uint64_t line; /* numbers that those got who stood in line */
    struct grammar_job job;
};

/* Behind a text, byte by byte. CONFIGURATION_DEAD, CONFIGURATION_FAILED. */
static inline configuration grammar_step_text(struct matcher *m, configuration at,
                                              struct engine_string text) {
    const struct rules *r = m->rules;
    for (size_t i = 0; i < text.length && at < CONFIGURATION_FAILED; i++)
        at = matcher_step(m, at, r->class_of[(unsigned char)text.text[i]]);
    return at;
}
