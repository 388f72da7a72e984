/* Golden cases: a model folder with what another implementation computed for it: golden.json +
 * golden.safetensors, or (the bundled model) reference.json + reference.safetensors. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "tests/support/test_support.h"

struct golden_sequence {
    int32_t *ids;
    size_t count;
    float *logits;    /* [count, vocabulary] */
    double deviation; /* standard deviation of all its logits */
};

struct golden_greedy {
    int32_t *prompt, *tokens;
    size_t prompt_count, count;
    double smallest_margin; /* least lead of a winner over the second, in logits */
};

struct golden {
    size_t vocabulary, tokenizer_vocabulary;
    struct golden_sequence *sequences;
    size_t sequence_count;
    struct golden_greedy *greedy;
    size_t greedy_count;
};

/* Fails the test when the folder has no golden data. */
void golden_init(struct golden *g, const char *folder);
void golden_deinit(struct golden *g);

/* What a case is of: its own folder, or (golden.json has a "base" then) that model below tests/golden, or
 * in the case's folder, with the case's folder as an adapter. */
struct golden_place {
    char model[1024];
    const char *lora; /* NULL: none */
};
void golden_place(const char *folder, struct golden_place *place);

/* Every adapter with golden data: below tests/golden/adapters, and below the folders that PRENORM_TEST_ADAPTERS
 * names. */
size_t golden_each_adapter(void (*each)(const char *path, const char *name, void *context), void *context);

/* Every model folder with golden data: below tests/golden/placements and tests/golden/families, the bundled
 * model, and the folders below those that PRENORM_TEST_MODELS names (colon-separated). */
size_t golden_each(void (*each)(const char *path, const char *name, void *context), void *context);
