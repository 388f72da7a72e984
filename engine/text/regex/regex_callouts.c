#include "engine/text/regex/regex_callouts.h"

#include <stdio.h>

enum { WAYS_MAX = 8, WALK_MAX = 64, TRIED_MAX = WAYS_MAX * WALK_MAX };

/* Of a set as it is written for PCRE2, which goes through it for each character: so many take as long as a character. */
enum { BYTES_OF_A_CHARACTER = 256 };

static uint32_t sum(uint32_t a, uint32_t b) {
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static uint32_t product(uint32_t a, uint32_t b) {
    return b != 0 && a > UINT32_MAX / b ? UINT32_MAX : a * b;
}

void regex_sequence_init(struct regex_sequence *s) {
    *s = (struct regex_sequence){.paths.ways = 1};
}

void regex_sequence_go_on(struct regex_sequence *s, struct regex_parser *p) {
    if (!s->is_due) return;
    const uint32_t tried = s->tried;
    regex_emit(p, "(?C)");
    regex_sequence_init(s);
    s->has_called = true;
    s->tried = tried;
}

void regex_sequence_add(struct regex_sequence *s, const struct regex_paths *item) {
    s->paths.tried = sum(s->paths.tried, product(s->paths.ways, item->tried));
    if (!s->has_called) s->tried = s->paths.tried;
    s->paths.ways = product(s->paths.ways, item->ways);
    s->paths.walk = sum(s->paths.walk, item->walk);
    s->is_due = s->paths.ways > WAYS_MAX || s->paths.walk > WALK_MAX || s->paths.tried > TRIED_MAX;
}

void regex_paths_add(struct regex_paths *all, const struct regex_sequence *alternative) {
    all->ways = sum(all->ways, alternative->paths.ways);
    all->walk = sum(all->walk, alternative->paths.walk);
    all->tried = sum(all->tried, alternative->tried);
}

void regex_paths_go_on(struct regex_paths *all, struct regex_parser *p) {
    if (all->tried <= TRIED_MAX) return;
    regex_emit(p, "(?C)");
    all->tried = 0;
}

/* The number of a callout is the power of two that comes next. */
static void announce(struct regex_parser *p, size_t atom, uint32_t tried) {
    char callout[16];
    unsigned power = 0;
    while (power < 31 && (UINT32_C(1) << power) < tried) power++;
    snprintf(callout, sizeof callout, "(?C%u)", power);
    regex_insert(p, atom, callout);
}

void regex_paths_weigh(struct regex_paths *item, struct regex_parser *p, size_t atom) {
    item->tried = sum(1, (uint32_t)((p->out->length - atom) / BYTES_OF_A_CHARACTER));
}

void regex_paths_announce(struct regex_paths *item, struct regex_parser *p, size_t atom) {
    if (item->tried <= WALK_MAX) return;
    announce(p, atom, item->tried);
    item->tried = WALK_MAX;
}

void regex_paths_repeat(struct regex_paths *item, struct regex_parser *p, size_t atom, bool is_group,
                        uint32_t least, uint32_t most) {
    if (most <= 1) {
        item->ways = sum(item->ways, least == 0);
    } else if (is_group) {
        regex_insert(p, atom, "(?:");
        regex_emit(p, "(?C))");
        *item = (struct regex_paths){.ways = UINT32_MAX, .walk = 1, .tried = item->tried};
    } else {
        *item = (struct regex_paths){.ways = most > least ? sum(most - least, 1) : 1,
                                     .walk = most,
                                     .tried = product(sum(least, 1), item->tried)};
    }
    if (!is_group) regex_paths_announce(item, p, atom);
}
