/* For tests that walk over every golden model: two workers and the best kernels for all of them, as setup and teardown for
 * cmocka, and how a case is loaded. */
#pragma once

#include "engine/base/log.h"
#include "engine/forward/forward.h"
#include "engine/loaded/loaded_model.h"
#include "tests/support/golden.h"

static struct workers *walk_workers;
static const struct kernel_table *walk_kernels;

/* Models so far. */
static size_t walk_models;

/* Whether part of parts is run of this model: each is, but under a sanitizer, where kernels are some twenty times slower, one of
 * them, another one for the next model. */
static inline bool walk_runs(size_t part, size_t parts) {
    return !TEST_SHARE || walk_models % parts == part;
}

/* Whether this model's turn is passed over: under a sanitizer that of all but each fourth pair of them, and of the bundled
 * one, which is a hundred times larger than the others. */
static inline bool walk_skips(const char *name) {
    return TEST_SHARE && (walk_models % 8 >= 2 || strcmp(name, "tales") == 0);
}

static inline int walk_setup(void **state) {
    struct error e;
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    assert_ok(workers_create(2, &walk_workers, &e));
    assert_ok(kernel_select(KERNEL_ISA_AUTO, &walk_kernels, &e));
    return 0;
}

static inline int walk_teardown(void **state) {
    (void)state;
    workers_destroy(walk_workers);
    return 0;
}

/* In exactly that form. The parts of a loaded model point at each other: it stays where it is loaded. */
static inline void walk_load(struct loaded_model *model, const char *path, enum norm_form form,
                             enum matmul_kind matmul, enum weight_type type) {
    struct error e = {0};
    struct golden_place place;
    golden_place(path, &place);
    const struct loaded_model_options options = {.model = place.model,
                                                 .lora = place.lora,
                                                 .form = form,
                                                 .exact_form = true,
                                                 .matmul = matmul,
                                                 .weights = type};
    assert_ok(loaded_model_init(model, &options, walk_workers, &e));
}
