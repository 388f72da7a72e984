#include "engine/grammar/rules/expression.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "engine/base/clock.h"
#include "engine/grammar/rules/dfa.h"

/* The clock is looked at once in so many steps. */
#define STEPS_A_LOOK 1024
/* Items of a list that are compared for what a step costs. */
#define COMPARED_A_STEP 16

bool rules_failed(const struct rules *r) {
    return r->error.code != STATUS_OK;
}

rules_expression rules_fail(struct rules *r, enum status status, const char *where, const char *format, ...) {
    va_list args;
    if (rules_failed(r)) return RULES_NONE;
    va_start(args, format);
    error_vset(&r->error, status, where, format, args);
    va_end(args);
    return RULES_NONE;
}

enum status rules_take_failure(struct rules *r, struct error *e) {
    enum status code = r->error.code;
    if (e) *e = r->error;
    r->error = (struct error){.code = STATUS_OK};
    r->scratch_count = 0;
    return code;
}

static bool take_of_budget(const struct rules *r, size_t bytes) {
    struct grammar_budget *budget = r->budget;
    if (!budget) return true;
    size_t most = budget->bytes_max - (r->has_reserve ? 0 : budget->reserve);
    size_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    do
        if (bytes > most || used > most - bytes) return false;
    while (!atomic_compare_exchange_weak_explicit(&budget->used, &used, used + bytes, memory_order_relaxed,
                                                  memory_order_relaxed));
    return true;
}

static bool take(struct rules *r, size_t bytes) {
    if (!take_of_budget(r, bytes)) {
        rules_fail(r, STATUS_BUSY, "grammar", "those in use leave too little of %zu bytes",
                   r->budget->bytes_max);
        return false;
    }
    r->bytes += bytes;
    return true;
}

static size_t needed_bytes(const struct rules *r) {
    return r->bytes - r->kept_bytes;
}

bool rules_charge(struct rules *r, size_t bytes) {
    if (rules_failed(r)) return false;
    if (bytes > r->bytes_max || needed_bytes(r) > r->bytes_max - bytes) {
        rules_fail(r, STATUS_LIMIT, "grammar", "it needs more than the %zu bytes that a grammar may have",
                   r->bytes_max);
        return false;
    }
    return take(r, bytes);
}

void rules_refund(struct rules *r, size_t bytes) {
    r->bytes -= bytes;
    if (r->budget) atomic_fetch_sub_explicit(&r->budget->used, bytes, memory_order_relaxed);
}

void *rules_keep(struct rules *r, size_t bytes) {
    if (rules_failed(r) || !take(r, bytes)) return NULL;
    void *block = malloc(bytes);
    if (block) {
        r->kept_bytes += bytes;
        return block;
    }
    rules_refund(r, bytes);
    rules_fail(r, STATUS_NO_MEMORY, "grammar", "cannot allocate %zu bytes", bytes);
    return NULL;
}

void rules_give_back(struct rules *r, size_t bytes) {
    rules_refund(r, bytes);
    r->kept_bytes -= bytes;
}

void rules_refund_kept(struct rules *r) {
    rules_refund(r, r->kept_bytes);
    r->kept_bytes = 0;
}

/* Twice as many, and less where the memory ends before that. */
static size_t grown_capacity(const struct rules *r, size_t capacity, size_t count, size_t size) {
    size_t left = (r->bytes_max - needed_bytes(r)) / size, little = count + 8 + count / 16;
    if (capacity * 2 <= count) return count + 8;
    return capacity > left / 2 && little - capacity <= left ? little : capacity * 2;
}

/* What is charged already. */
static bool enlarge(struct rules *r, void *block, size_t *capacity, size_t wanted, size_t size) {
    void *old, *grown;
    memcpy(&old, block, sizeof old);
    grown = reallocarray(old, wanted, size);
    if (!grown) {
        rules_refund(r, (wanted - *capacity) * size);
        rules_fail(r, STATUS_NO_MEMORY, "grammar", "cannot allocate %zu bytes", wanted * size);
        return false;
    }
    memcpy(block, &grown, sizeof grown); /* the block is the caller's */
    *capacity = wanted;
    /* cppcheck-suppress memleak */
    return true;
}

bool rules_grow(struct rules *r, void *block, size_t *capacity, size_t count, size_t size) {
    if (count <= *capacity) return !rules_failed(r);
    size_t wanted = grown_capacity(r, *capacity, count, size);
    return rules_charge(r, (wanted - *capacity) * size) && enlarge(r, block, capacity, wanted, size);
}

bool rules_keep_array(struct rules *r, void *block, size_t *capacity, size_t count, size_t size) {
    if (count <= *capacity) return !rules_failed(r);
    size_t wanted = count + 8 + *capacity, more = (wanted - *capacity) * size;
    if (rules_failed(r) || !take(r, more) || !enlarge(r, block, capacity, wanted, size)) return false;
    r->kept_bytes += more;
    return true;
}

void rules_shrink(struct rules *r, void *block, size_t *capacity, size_t count, size_t size) {
    void *old, *kept;
    memcpy(&old, block, sizeof old);
    if (*capacity == count) return;
    if (count == 0) {
        free(old);
        kept = NULL;
    } else if (!(kept = reallocarray(old, count, size))) {
        return; /* it stays as large as it is */
    }
    memcpy(block, &kept, sizeof kept);
    rules_refund(r, (*capacity - count) * size);
    *capacity = count;
}

void rules_limit_time(struct rules *r, double seconds_max) {
    r->deadline = seconds_max > 0 ? clock_thread_ns() + (uint64_t)(seconds_max * 1e9) : 0;
}

void rules_reserve_time(struct rules *r, uint64_t ns) {
    if (r->deadline > 0) r->deadline -= ns;
}

bool rules_tick(struct rules *r) {
    return rules_spend(r, 1);
}

static void look_at_clock(struct rules *r) {
    r->next_look = r->steps + STEPS_A_LOOK;
    if (clock_thread_ns() > r->deadline)
        rules_fail(r, STATUS_LIMIT, "grammar", "compiling it takes longer than a grammar may take");
}

void rules_limit_steps(struct rules *r, size_t steps_max) {
    r->steps_end = r->steps + (steps_max > 0 ? steps_max : 1);
}

void rules_unlimit_steps(struct rules *r) {
    r->steps_end = 0;
}

static void end_steps(struct rules *r) {
    if (!r->pause)
        rules_fail(r, STATUS_BUSY, "grammar", "it takes more steps than there are now");
    else if (!r->pause(r->pause_context))
        rules_fail(r, STATUS_CANCELLED, "grammar", "nobody waits for it any more");
}

bool rules_spend(struct rules *r, size_t steps) {
    r->steps += steps;
    if (r->deadline > 0 && r->steps >= r->next_look) look_at_clock(r);
    if (r->steps_end > 0 && r->steps > r->steps_end && !rules_failed(r)) end_steps(r);
    return !rules_failed(r);
}

bool scratch_push(struct rules *r, uint32_t value) {
    if (!rules_grow(r, &r->scratch, &r->scratch_capacity, r->scratch_count + 1, sizeof *r->scratch))
        return false;
    r->scratch[r->scratch_count++] = value;
    return true;
}

struct sorting {
    struct rules *rules;
    size_t compared;
    int (*compare)(const void *a, const void *b);
};

static int compare_and_count(const void *a, const void *b, void *context) {
    struct sorting *s = context;
    if (++s->compared % COMPARED_A_STEP == 0) rules_spend(s->rules, 1);
    return s->compare(a, b);
}

bool rules_sort(struct rules *r, void *items, size_t count, size_t size,
                int (*compare)(const void *a, const void *b)) {
    struct sorting sorting = {.rules = r, .compare = compare};
    if (count > 1) qsort_r(items, count, size, compare_and_count, &sorting);
    return !rules_failed(r);
}

/* slots[capacity] is empty. */
static void put_number(uint32_t *slots, size_t capacity, const void *hashes, size_t stride, uint32_t number) {
    uint32_t hash;
    memcpy(&hash, (const char *)hashes + number * stride, sizeof hash);
    size_t at = hash & (capacity - 1);
    while (slots[at] != RULES_NONE) at = (at + 1) & (capacity - 1);
    slots[at] = number;
}

bool table_grow(struct rules *r, struct intern_table *t, const void *hashes, size_t stride) {
    if (t->count * 2 < t->capacity) return !rules_failed(r);
    size_t capacity = t->capacity ? t->capacity * 2 : 64;
    if (!rules_charge(r, (capacity - t->capacity) * sizeof *t->slots)) return false;
    uint32_t *slots = malloc(capacity * sizeof *slots);
    if (!slots) {
        rules_refund(r, (capacity - t->capacity) * sizeof *t->slots);
        rules_fail(r, STATUS_NO_MEMORY, "grammar", "cannot allocate %zu bytes", capacity * sizeof *slots);
        return false;
    }
    memset(slots, 0xFF, capacity * sizeof *slots);
    for (size_t i = 0; i < t->capacity; i++)
        if (t->slots[i] != RULES_NONE) put_number(slots, capacity, hashes, stride, t->slots[i]);
    free(t->slots);
    t->slots = slots;
    t->capacity = capacity;
    return true;
}

void table_rebuild(struct rules *r, struct intern_table *t, const void *hashes, size_t stride, uint32_t first,
                   uint32_t count) {
    size_t capacity = 64;
    t->count = count - first;
    while (capacity <= 2 * t->count) capacity *= 2;
    if (capacity < t->capacity) rules_shrink(r, &t->slots, &t->capacity, capacity, sizeof *t->slots);
    if (t->capacity > 0) memset(t->slots, 0xFF, t->capacity * sizeof *t->slots);
    for (uint32_t i = first; i < count; i++) put_number(t->slots, t->capacity, hashes, stride, i);
}

enum status rules_create(size_t bytes_max, struct grammar_budget *budget, struct rules **out,
                         struct error *e) {
    struct rules *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!r) return error_set(e, STATUS_NO_MEMORY, "grammar", "cannot allocate %zu bytes", sizeof *r);
    r->bytes_max = bytes_max;
    r->budget = budget;
    if (getrandom(&r->hash_seed, sizeof r->hash_seed, GRND_NONBLOCK) != (ssize_t)sizeof r->hash_seed)
        r->hash_seed = (uint32_t)clock_ns();
    expression_intern(r, EXPRESSION_NOTHING, 0, 0, 0);
    expression_intern(r, EXPRESSION_EMPTY, 0, 0, 0);
    if (rules_failed(r)) {
        enum status status = rules_take_failure(r, e);
        rules_destroy(r);
        return status;
    }
    *out = r;
    return STATUS_OK;
}

void rules_destroy(struct rules *r) {
    if (!r) return;
    dfa_deinit(r);
    rules_refund(r, r->bytes);
    free(r->expressions);
    free(r->expression_table.slots);
    free(r->members);
    free(r->sets);
    free(r->texts);
    free(r->set_table.slots);
    free(r->rules);
    free(r->names);
    free(r->scratch);
    free(r);
}

rules_name rules_declare(struct rules *r, const char *name) {
    size_t length = strnlen(name, RULES_NAME_BYTES_MAX);
    if (!rules_tick(r) || !rules_grow(r, &r->rules, &r->rule_capacity, r->rule_count + 1, sizeof *r->rules) ||
        !rules_grow(r, &r->names, &r->name_capacity, r->name_count + length + 1, 1))
        return RULES_NONE;
    memcpy(r->names + r->name_count, name, length);
    r->names[r->name_count + length] = 0;
    r->rules[r->rule_count] = (struct rule){.meaning = RULES_NONE, .name = (uint32_t)r->name_count};
    r->name_count += length + 1;
    return (rules_name)r->rule_count++;
}

void rules_define(struct rules *r, rules_name rule, rules_expression meaning) {
    if (rules_failed(r) || rule == RULES_NONE || meaning == RULES_NONE) return;
    if (r->rules[rule].meaning != RULES_NONE)
        rules_fail(r, STATUS_INVALID_ARGUMENT, rule_name(r, rule), "the rule is defined twice");
    else
        r->rules[rule].meaning = meaning;
}

const char *rule_name(const struct rules *r, rules_name rule) {
    return r->names + r->rules[rule].name;
}
