/* Expressions by their content, each once, with what is known of it; and those without parts: sets of bytes, and texts. */
#include "engine/grammar/rules/expression.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of a text that are looked at for what a step costs. */
#define TEXT_BYTES_A_STEP 32

static uint32_t hash_words(uint32_t hash, const void *data, size_t count) {
    const uint32_t *words = data;
    for (size_t i = 0; i < count; i++) hash = hash_mix(hash, words[i]);
    return hash;
}

static unsigned both_flags(const struct rules *r, rules_expression a, rules_expression b) {
    return r->expressions[a].flags & r->expressions[b].flags;
}

static unsigned either_flags(const struct rules *r, rules_expression a, rules_expression b) {
    return r->expressions[a].flags | r->expressions[b].flags;
}

#define FLAGS_OF_ALL (EXPRESSION_REGULAR)
#define FLAGS_OF_ANY (EXPRESSION_BOOLEAN | EXPRESSION_BROAD | EXPRESSION_WIDE)

static unsigned choice_flags(const struct rules *r, const struct expression *x) {
    unsigned all = FLAGS_OF_ALL, any = 0;
    for (uint32_t i = 0; i < x->b; i++) {
        unsigned flags = r->expressions[r->members[x->a + i]].flags;
        all &= flags;
        any |= flags & (FLAGS_OF_ANY | EXPRESSION_NULLABLE);
    }
    return all | any;
}

static unsigned repeat_flags(const struct rules *r, const struct expression *x) {
    unsigned flags = r->expressions[x->a].flags;
    if (x->b == 0) flags |= EXPRESSION_NULLABLE;
    if (x->c > 1 && (flags & EXPRESSION_BROAD)) flags |= EXPRESSION_WIDE;
    return flags;
}

static unsigned pair_flags(const struct rules *r, const struct expression *x) {
    unsigned flags =
        (either_flags(r, x->a, x->b) & FLAGS_OF_ANY) | (both_flags(r, x->a, x->b) & FLAGS_OF_ALL);
    if (x->kind != EXPRESSION_SEQUENCE) flags |= EXPRESSION_BOOLEAN;
    if (x->kind == EXPRESSION_DIFFERENCE)
        flags |= expression_is(r, x->a, EXPRESSION_NULLABLE) && !expression_is(r, x->b, EXPRESSION_NULLABLE)
                     ? EXPRESSION_NULLABLE
                     : 0;
    else
        flags |= both_flags(r, x->a, x->b) & EXPRESSION_NULLABLE;
    return flags;
}

uint8_t expression_flags(const struct rules *r, const struct expression *x) {
    switch ((enum expression_kind)x->kind) {
    case EXPRESSION_NOTHING:
        return EXPRESSION_REGULAR;
    case EXPRESSION_EMPTY:
        return EXPRESSION_REGULAR | EXPRESSION_NULLABLE;
    case EXPRESSION_BYTES:
        return EXPRESSION_REGULAR |
               (byte_set_size(&r->sets[x->a]) >= RULES_BROAD_FROM ? EXPRESSION_BROAD : 0);
    case EXPRESSION_TEXT:
        return EXPRESSION_REGULAR;
    case EXPRESSION_CHOICE:
        return (uint8_t)choice_flags(r, x);
    case EXPRESSION_REPEAT:
        return (uint8_t)repeat_flags(r, x);
    case EXPRESSION_CALL:
        return r->rules[x->a].nullable ? EXPRESSION_NULLABLE : 0;
    case EXPRESSION_SEQUENCE:
    case EXPRESSION_INTERSECTION:
    case EXPRESSION_DIFFERENCE:
        break;
    }
    return (uint8_t)pair_flags(r, x);
}

static unsigned depth_of(const struct rules *r, const struct expression *x) {
    unsigned depth = 0;
    switch ((enum expression_kind)x->kind) {
    case EXPRESSION_CHOICE:
        for (uint32_t i = 0; i < x->b; i++) {
            unsigned member = r->expressions[r->members[x->a + i]].depth;
            if (member > depth) depth = member;
        }
        return depth + 1;
    case EXPRESSION_REPEAT:
        return r->expressions[x->a].depth + 1u;
    case EXPRESSION_SEQUENCE: {
        unsigned a = r->expressions[x->a].depth + 1u, b = r->expressions[x->b].depth;
        return a > b ? a : b;
    }
    case EXPRESSION_INTERSECTION:
    case EXPRESSION_DIFFERENCE: {
        unsigned a = r->expressions[x->a].depth, b = r->expressions[x->b].depth;
        return (a > b ? a : b) + RULES_BOOLEAN_LEVELS;
    }
    default:
        return 0;
    }
}

static uint32_t hash_text(uint32_t hash, const char *text, size_t length) {
    for (; length >= 4; text += 4, length -= 4) {
        uint32_t word;
        memcpy(&word, text, sizeof word);
        hash = hash_mix(hash, word);
    }
    for (; length > 0; text++, length--) hash = hash_mix(hash, (unsigned char)*text);
    return hash;
}

uint32_t expression_hash(const struct rules *r, const struct expression *x) {
    uint32_t hash = hash_mix(r->hash_seed, x->kind);
    if (x->kind == EXPRESSION_TEXT) return hash_text(hash, r->texts + x->a, x->b);
    if (x->kind == EXPRESSION_CHOICE) return hash_words(hash, r->members + x->a, x->b);
    return hash_mix(hash_mix(hash_mix(hash_mix(hash, x->a), x->b), x->c), 0x5bd1e995u);
}

static bool same_content(const struct rules *r, const struct expression *x, const struct expression *y) {
    if (x->hash != y->hash || x->kind != y->kind || x->b != y->b || x->c != y->c) return false;
    if (x->kind == EXPRESSION_TEXT) return memcmp(r->texts + x->a, r->texts + y->a, x->b) == 0;
    if (x->kind != EXPRESSION_CHOICE) return x->a == y->a;
    return memcmp(r->members + x->a, r->members + y->a, x->b * sizeof *r->members) == 0;
}

/* The number of x where there is such a one, else the free place for it (*found false). */
static size_t find_place(const struct rules *r, const struct expression *x, bool *found) {
    const struct intern_table *t = &r->expression_table;
    size_t at = x->hash & (t->capacity - 1);
    for (; t->slots[at] != RULES_NONE; at = (at + 1) & (t->capacity - 1)) {
        *found = same_content(r, &r->expressions[t->slots[at]], x);
        if (*found) return at;
    }
    *found = false;
    return at;
}

rules_expression expression_intern(struct rules *r, enum expression_kind kind, uint32_t a, uint32_t b,
                                   uint32_t c) {
    struct expression x = {.kind = (uint8_t)kind, .a = a, .b = b, .c = c};
    bool found;
    if (!rules_tick(r) ||
        !table_grow(r, &r->expression_table, r->expressions ? &r->expressions->hash : NULL, sizeof x))
        return RULES_NONE;
    x.hash = expression_hash(r, &x);
    size_t at = find_place(r, &x, &found);
    if (found) {
        if (kind == EXPRESSION_CHOICE) r->member_count -= b;
        return r->expression_table.slots[at];
    }
    unsigned depth = depth_of(r, &x);
    if (depth > RULES_DEPTH_MAX)
        return rules_fail(r, STATUS_LIMIT, "grammar", "expressions within each other deeper than %d",
                          RULES_DEPTH_MAX);
    if (!rules_grow(r, &r->expressions, &r->expression_capacity, r->expression_count + 1, sizeof x))
        return RULES_NONE;
    x.depth = (uint16_t)depth;
    x.flags = expression_flags(r, &x);
    r->expressions[r->expression_count] = x;
    r->expression_table.slots[at] = (uint32_t)r->expression_count;
    r->expression_table.count++;
    return (rules_expression)r->expression_count++;
}

static bool set_is_empty(const struct byte_set *s) {
    return (s->bits[0] | s->bits[1] | s->bits[2] | s->bits[3]) == 0;
}

static bool same_set(const struct byte_set *a, const struct byte_set *b) {
    return memcmp(a->bits, b->bits, sizeof a->bits) == 0;
}

rules_expression expression_bytes(struct rules *r, const struct byte_set *set) {
    struct intern_table *t = &r->set_table;
    if (set_is_empty(set)) return RULES_NOTHING;
    if (!table_grow(r, t, r->sets ? &r->sets->hash : NULL, sizeof *set)) return RULES_NONE;
    uint32_t hash = hash_words(r->hash_seed, set->bits, sizeof set->bits / 4);
    size_t at = hash & (t->capacity - 1);
    for (; t->slots[at] != RULES_NONE; at = (at + 1) & (t->capacity - 1))
        if (same_set(&r->sets[t->slots[at]], set))
            return expression_intern(r, EXPRESSION_BYTES, t->slots[at], 0, 0);
    if (!rules_grow(r, &r->sets, &r->set_capacity, r->set_count + 1, sizeof *set)) return RULES_NONE;
    r->sets[r->set_count] = *set;
    r->sets[r->set_count].hash = hash;
    t->slots[at] = (uint32_t)r->set_count++;
    t->count++;
    return expression_intern(r, EXPRESSION_BYTES, t->slots[at], 0, 0);
}

static rules_expression one_byte(struct rules *r, unsigned byte) {
    struct byte_set one = {0};
    one.bits[byte >> 6] |= (uint64_t)1 << (byte & 63);
    return expression_bytes(r, &one);
}

rules_expression expression_text(struct rules *r, uint32_t first, uint32_t length) {
    if (length == 0) return RULES_EMPTY;
    if (length == 1) return one_byte(r, (unsigned char)r->texts[first]);
    if (!rules_spend(r, length / TEXT_BYTES_A_STEP)) return RULES_NONE;
    return expression_intern(r, EXPRESSION_TEXT, first, length, 0);
}

/* Where the text is there already the one that was written behind the others goes again. */
rules_expression rules_text(struct rules *r, const char *bytes, size_t length) {
    size_t first = r->text_count;
    if (rules_failed(r)) return RULES_NONE;
    if (length > UINT32_MAX / 2 - first)
        return rules_fail(r, STATUS_LIMIT, "grammar", "texts of more than %u bytes together", UINT32_MAX / 2);
    if (!rules_grow(r, &r->texts, &r->text_capacity, first + length, 1)) return RULES_NONE;
    if (length > 0) memcpy(r->texts + first, bytes, length);
    r->text_count += length;
    rules_expression made = expression_text(r, (uint32_t)first, (uint32_t)length);
    bool is_kept =
        made != RULES_NONE && r->expressions[made].kind == EXPRESSION_TEXT && r->expressions[made].a == first;
    if (!is_kept) r->text_count = first;
    return made;
}
