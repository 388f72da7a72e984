#include "engine/sched/batch.h"

#include <assert.h>

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* ---- pages --------------------------------------------------------------------------------------------- */

static bool has_use(const struct batch_sequence *s) {
    return s->joining || batch_can_run(s);
}

/* The last that has no use for its pages, else the last of the others, but for the first that can run. count:
 * none. One that joins is no less than those that run: it has its place by its rank. */
static size_t choose_victim(const struct batch_sequence *sequences, size_t count, const bool *victims) {
    size_t first = 0;
    while (first < count && !batch_can_run(&sequences[first])) first++;
    for (int uses = 0; uses < 2; uses++)
        for (size_t i = count; i-- > 0;)
            if (!victims[i] && i != first && has_use(&sequences[i]) == uses) return i;
    return count;
}

size_t batch_pages_needed(const struct batch_sequence *sequences, size_t count) {
    size_t needed = 0;
    for (size_t i = 0; i < count; i++) needed += sequences[i].needs_page && batch_can_run(&sequences[i]);
    return needed;
}

size_t batch_preempt(const struct batch_sequence *sequences, size_t count, size_t free_pages, bool *victims) {
    size_t needed = batch_pages_needed(sequences, count), chosen = 0;
    for (size_t i = 0; i < count; i++) victims[i] = false;
    while (needed > free_pages) {
        size_t victim = choose_victim(sequences, count, victims);
        if (victim == count) break; /* the first alone is left: the pool holds one whole context */
        victims[victim] = true;
        chosen++;
        free_pages += sequences[victim].held;
        needed -= sequences[victim].needs_page && batch_can_run(&sequences[victim]);
    }
    return chosen;
}

bool batch_admits(const struct batch_limits *limits, size_t running, size_t free_pages, size_t needed) {
    if (running >= limits->sequences || needed > free_pages) return false;
    return running == 0 || free_pages - needed >= running;
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

struct left {
    size_t rows, logit_rows;
};

static struct batch_share share_of(const struct batch_sequence *s, const struct left *left) {
    if (s->needs_page) return (struct batch_share){0};
    size_t rows = smaller(smaller(s->pending, left->rows), s->plain + smaller(s->room, left->logit_rows));
    return (struct batch_share){.rows = rows, .logit_rows = rows > s->plain ? rows - s->plain : 0};
}

static void take(struct left *left, const struct batch_share *share) {
    left->rows -= share->rows;
    left->logit_rows -= share->logit_rows;
}

size_t batch_decode_rows(const struct batch_sequence *sequences, size_t count) {
    size_t rows = 0;
    for (size_t i = 0; i < count; i++)
        rows += sequences[i].decoding && batch_can_run(&sequences[i]) && !sequences[i].needs_page;
    return rows;
}

size_t batch_prefill_rows(const struct batch_limits *limits, size_t decode_rows) {
    size_t left = limits->rows - decode_rows;
    return decode_rows == 0 ? left : smaller(left, limits->mixed_prefill_rows);
}

/* What those that decode leave of a step. */
static struct left left_by_decoding(const struct batch_limits *limits, const struct batch_sequence *sequences,
                                    size_t count) {
    struct left left = {limits->rows, limits->logit_rows};
    for (size_t i = 0; i < count; i++) {
        if (!sequences[i].decoding) continue;
        struct batch_share share = share_of(&sequences[i], &left);
        take(&left, &share);
    }
    return left;
}

size_t batch_burst_rows(const struct batch_limits *limits, const struct batch_sequence *sequences,
                        size_t count) {
    struct left left = left_by_decoding(limits, sequences, count);
    size_t decode_rows = limits->rows - left.rows, rows = 0, finished = 0;
    left.rows = smaller(left.rows, BATCH_BURST_ROWS_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct batch_sequence *s = &sequences[i];
        if (s->decoding || s->needs_page || !batch_can_run(s)) continue;
        struct batch_share share = share_of(s, &left);
        if (share.rows < s->pending) break;
        take(&left, &share);
        rows += share.rows;
        finished++;
    }
    return finished > decode_rows ? rows : 0;
}

size_t batch_share_rows(const struct batch_limits *limits, const struct batch_sequence *sequences,
                        size_t count, struct batch_share *shares) {
    assert(count <= limits->sequences && limits->sequences <= limits->rows &&
           limits->sequences <= limits->logit_rows);
    struct left left = {limits->rows, limits->logit_rows};
    size_t decode_rows = 0;
    for (size_t i = 0; i < count; i++) {
        shares[i] = (struct batch_share){0};
        if (!sequences[i].decoding) continue;
        shares[i] = share_of(&sequences[i], &left);
        take(&left, &shares[i]);
        decode_rows += shares[i].rows;
    }
    left.rows = batch_prefill_rows(limits, decode_rows);
    size_t total = decode_rows;
    for (size_t i = 0; i < count; i++) {
        if (sequences[i].decoding) continue;
        shares[i] = share_of(&sequences[i], &left);
        take(&left, &shares[i]);
        total += shares[i].rows;
    }
    return total;
}
