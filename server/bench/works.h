/* What bench times of a model, by name: --works. */
#pragma once

#include <stdbool.h>

#include "engine/tools/tools.h"

enum { BENCH_WORKS = 12 };

struct bench_named_work {
    const char *name;
    struct bench_item item;
};

extern const struct bench_named_work bench_works[BENCH_WORKS];

/* Which of them are timed, and whether what sampling costs is. */
struct bench_choice {
    bool works[BENCH_WORKS];
    bool sampling;
};

/* names: separated by commas; NULL: all. STATUS_OPTION, with all names, for one that is none of them. */
enum status bench_choose(const char *names, struct bench_choice *out, struct error *e);
