#include "server/bench/works.h"

#include <stdio.h>
#include <string.h>

#define SAMPLING "sampling"

/* As tests/bench/peers/work.py has them. */
const struct bench_named_work bench_works[BENCH_WORKS] = {
    {"prefill-128", {.work = BENCH_PREFILL, .tokens = 128}},
    {"prefill-512", {.work = BENCH_PREFILL, .tokens = 512}},
    {"prefill-2048", {.work = BENCH_PREFILL, .tokens = 2048}},
    {"decode-1", {.work = BENCH_DECODE, .tokens = 32, .batch = 1, .context = 128}},
    {"decode-4", {.work = BENCH_DECODE, .tokens = 32, .batch = 4, .context = 128}},
    {"decode-8", {.work = BENCH_DECODE, .tokens = 16, .batch = 8, .context = 128}},
    {"decode-16", {.work = BENCH_DECODE, .tokens = 16, .batch = 16, .context = 128}},
    {"decode-32", {.work = BENCH_DECODE, .tokens = 8, .batch = 32, .context = 128}},
    {"decode-64", {.work = BENCH_DECODE, .tokens = 4, .batch = 64, .context = 128}},
    {"decode-1-long", {.work = BENCH_DECODE, .tokens = 8, .batch = 1, .context = 984}},
    {"decode-8-long", {.work = BENCH_DECODE, .tokens = 4, .batch = 8, .context = 984}},
    {"decode-16-shared", {.work = BENCH_DECODE, .tokens = 4, .batch = 16, .context = 984, .shared = true}},
};

static enum status refuse(const char *name, size_t length, struct error *e) {
    char known[256] = SAMPLING;
    size_t used = strlen(known);
    for (size_t i = 0; i < BENCH_WORKS; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, ", %s", bench_works[i].name);
    return error_set(e, STATUS_OPTION, "works", "'%.*s' is none of %s", (int)(length < 40 ? length : 40),
                     name, known);
}

static bool is_name(const char *name, const char *text, size_t length) {
    return strlen(name) == length && memcmp(name, text, length) == 0;
}

enum status bench_choose(const char *names, struct bench_choice *out, struct error *e) {
    *out = (struct bench_choice){.sampling = !names};
    for (size_t i = 0; i < BENCH_WORKS; i++) out->works[i] = !names;
    for (const char *at = names; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        size_t length = strcspn(at, ",");
        bool found = is_name(SAMPLING, at, length);
        if (found) out->sampling = true;
        for (size_t i = 0; i < BENCH_WORKS; i++)
            if (is_name(bench_works[i].name, at, length)) found = out->works[i] = true;
        if (!found) return refuse(at, length, e);
    }
    return STATUS_OK;
}
