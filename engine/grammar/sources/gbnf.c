#include "engine/grammar/sources/gbnf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/grammar/sources/gbnf_reader.h"
#include "engine/text/unicode/unicode.h"

/* Parentheses within each other. */
#define GROUPS_MAX     100
#define GBNF_BYTES_MAX (1 << 20)
/* Characters of a rule's name. */
#define NAME_MAX_BYTES 100

struct named_rule {
    size_t start, length; /* of its name in the text */
    rules_name rule;
    size_t first_use;
    bool defined;
};

struct gbnf {
    struct gbnf_reader reader;
    struct rules *rules;
    struct named_rule *named;
    size_t named_count, named_capacity;
    uint32_t *slots; /* of the names: open addressing, UINT32_MAX is free */
    size_t slot_count;
    rules_expression *stack; /* elements and alternatives that are not put together yet */
    size_t stack_count, stack_capacity;
    size_t groups;
};

/* ---- memory -------------------------------------------------------------------------------------------------- */

static bool no_memory(struct gbnf *g) {
    if (!gbnf_failed(&g->reader))
        g->reader.status = error_set(g->reader.error, STATUS_NO_MEMORY, "grammar", "cannot allocate");
    return false;
}

static bool push(struct gbnf *g, rules_expression x) {
    if (g->stack_count == g->stack_capacity) {
        size_t capacity = g->stack_capacity * 2 + 16;
        rules_expression *grown = reallocarray(g->stack, capacity, sizeof *grown);
        if (!grown) return no_memory(g);
        g->stack = grown;
        g->stack_capacity = capacity;
    }
    g->stack[g->stack_count++] = x;
    return true;
}

static size_t name_slot(const struct gbnf *g, size_t start, size_t length) {
    const char *text = g->reader.text;
    uint32_t hash = 0x811C9DC5u;
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)text[start + i]) * 0x01000193u;
    size_t at = hash & (g->slot_count - 1);
    for (; g->slots[at] != UINT32_MAX; at = (at + 1) & (g->slot_count - 1)) {
        const struct named_rule *n = &g->named[g->slots[at]];
        if (n->length == length && memcmp(text + n->start, text + start, length) == 0) return at;
    }
    return at;
}

static bool grow_names(struct gbnf *g) {
    size_t slot_count = g->slot_count ? g->slot_count * 2 : 64;
    struct named_rule *named = reallocarray(g->named, slot_count / 2, sizeof *named);
    if (!named) return no_memory(g);
    g->named = named;
    uint32_t *slots = malloc(slot_count * sizeof *slots);
    if (!slots) return no_memory(g);
    memset(slots, 0xFF, slot_count * sizeof *slots);
    free(g->slots);
    g->slots = slots;
    g->slot_count = slot_count;
    for (size_t i = 0; i < g->named_count; i++)
        g->slots[name_slot(g, g->named[i].start, g->named[i].length)] = (uint32_t)i;
    return true;
}

/* The rule whose name is at the place, which is passed. NULL: failed. Good until the next. */
static struct named_rule *take_name(struct gbnf *g) {
    struct gbnf_reader *in = &g->reader;
    size_t start = in->at, length = gbnf_name(in);
    char name[NAME_MAX_BYTES + 1];
    if (length == 0 || length > NAME_MAX_BYTES) {
        gbnf_refuse(in, "expected the name of a rule (letters, digits, '-', '_'; at most %d)",
                    NAME_MAX_BYTES);
        return NULL;
    }
    if (g->named_count * 2 >= g->slot_count && !grow_names(g)) return NULL;
    size_t slot = name_slot(g, start, length);
    if (g->slots[slot] == UINT32_MAX) {
        memcpy(name, in->text + start, length);
        name[length] = 0;
        g->named[g->named_count] =
            (struct named_rule){start, length, rules_declare(g->rules, name), start, false};
        g->slots[slot] = (uint32_t)g->named_count++;
    }
    in->at += length;
    return &g->named[g->slots[slot]];
}

/* ---- elements -------------------------------------------------------------------------------------------------- */

static rules_expression read_text(struct gbnf *g) {
    struct gbnf_reader *in = &g->reader;
    size_t from = g->stack_count;
    while (!gbnf_failed(in) && !gbnf_take(in, "\"")) {
        char bytes[UTF8_BYTES_MAX];
        uint32_t point = gbnf_point(in);
        if (gbnf_failed(in)) return RULES_NONE;
        size_t length = utf8_encode((int32_t)point, bytes);
        if (!push(g, rules_text(g->rules, bytes, length))) return RULES_NONE;
    }
    rules_expression made = rules_sequence(g->rules, g->stack + from, g->stack_count - from);
    g->stack_count = from;
    return made;
}

static bool read_range(struct gbnf *g, struct rules_range *range) {
    struct gbnf_reader *in = &g->reader;
    range->first = range->last = gbnf_point(in);
    if (gbnf_peek(in) == '-' && in->at + 1 < in->length && in->text[in->at + 1] != ']') {
        in->at++;
        range->last = gbnf_point(in);
        if (range->last < range->first) gbnf_refuse(in, "a range from a higher to a lower character");
    }
    return !gbnf_failed(in);
}

static rules_expression read_set(struct gbnf *g) {
    struct gbnf_reader *in = &g->reader;
    struct rules_range *ranges = NULL;
    size_t count = 0, capacity = 0;
    bool others = gbnf_take(in, "^");
    rules_expression made = RULES_NONE;
    while (!gbnf_failed(in) && !gbnf_take(in, "]")) {
        if (count == capacity) {
            struct rules_range *grown = reallocarray(ranges, capacity * 2 + 8, sizeof *grown);
            if (!grown) {
                no_memory(g);
                break;
            }
            ranges = grown;
            capacity = capacity * 2 + 8;
        }
        count += read_range(g, &ranges[count]);
    }
    if (count == 0 && !others) gbnf_refuse(in, "a set without characters");
    if (!gbnf_failed(in))
        made = others ? rules_other_points(g->rules, ranges, count) : rules_points(g->rules, ranges, count);
    free(ranges);
    return made;
}

static rules_expression read_alternatives(struct gbnf *g, bool in_group);

static rules_expression read_group(struct gbnf *g) {
    struct gbnf_reader *in = &g->reader;
    if (++g->groups > GROUPS_MAX) {
        gbnf_refuse(in, "parentheses within each other deeper than %d", GROUPS_MAX);
        return RULES_NONE;
    }
    gbnf_skip(in, true);
    rules_expression made = read_alternatives(g, true);
    if (!gbnf_take(in, ")")) gbnf_refuse(in, "expected ')'");
    g->groups--;
    return made;
}

static rules_expression read_element(struct gbnf *g) {
    struct gbnf_reader *in = &g->reader;
    if (gbnf_take(in, "\"")) return read_text(g);
    if (gbnf_take(in, "[")) return read_set(g);
    if (gbnf_take(in, "(")) return read_group(g);
    if (gbnf_take(in, ".")) return rules_other_points(g->rules, NULL, 0);
    if (gbnf_peek(in) == '<' || gbnf_peek(in) == '!') {
        gbnf_refuse(in, "tokens of the vocabulary in a grammar are not understood");
        return RULES_NONE;
    }
    struct named_rule *n = take_name(g);
    return n ? rules_call(g->rules, n->rule) : RULES_NONE;
}

/* "{m}", "{m,}", "{m,n}" behind the '{'. */
static rules_expression read_counts(struct gbnf *g, rules_expression x) {
    struct gbnf_reader *in = &g->reader;
    uint32_t least, most;
    gbnf_skip(in, false);
    if (!gbnf_number(in, &least)) return RULES_NONE;
    most = least;
    gbnf_skip(in, false);
    if (gbnf_take(in, ",")) {
        gbnf_skip(in, false);
        most = RULES_UNLIMITED;
        if (gbnf_peek(in) != '}' && !gbnf_number(in, &most)) return RULES_NONE;
        gbnf_skip(in, false);
    }
    if (!gbnf_take(in, "}")) gbnf_refuse(in, "expected '}' behind the counts");
    if (most < least) gbnf_refuse(in, "the lower count is above the upper one");
    return gbnf_failed(in) ? RULES_NONE : rules_repeat(g->rules, x, least, most);
}

static rules_expression read_repeats(struct gbnf *g, rules_expression x, bool in_group) {
    struct gbnf_reader *in = &g->reader;
    for (;;) {
        gbnf_skip(in, in_group);
        if (gbnf_take(in, "*"))
            x = rules_repeat(g->rules, x, 0, RULES_UNLIMITED);
        else if (gbnf_take(in, "+"))
            x = rules_repeat(g->rules, x, 1, RULES_UNLIMITED);
        else if (gbnf_take(in, "?"))
            x = rules_repeat(g->rules, x, 0, 1);
        else if (gbnf_take(in, "{"))
            x = read_counts(g, x);
        else
            return x;
    }
}

static bool begins_element(const struct gbnf_reader *in) {
    char c = gbnf_peek(in);
    return c != 0 && (strchr("\"[(.<!", c) || gbnf_name(in) > 0);
}

static rules_expression read_sequence(struct gbnf *g, bool in_group) {
    size_t from = g->stack_count;
    while (begins_element(&g->reader)) {
        rules_expression element = read_element(g);
        if (!push(g, read_repeats(g, element, in_group))) break;
    }
    rules_expression made = rules_sequence(g->rules, g->stack + from, g->stack_count - from);
    g->stack_count = from;
    return made;
}

static rules_expression read_alternatives(struct gbnf *g, bool in_group) {
    size_t from = g->stack_count;
    do {
        gbnf_skip(&g->reader, true);
        if (!push(g, RULES_NONE)) return RULES_NONE;
        size_t place = g->stack_count - 1;
        rules_expression alternative = read_sequence(g, in_group);
        g->stack[place] = alternative;
    } while (gbnf_take(&g->reader, "|"));
    rules_expression made = rules_choice(g->rules, g->stack + from, g->stack_count - from);
    g->stack_count = from;
    return made;
}

/* ---- rules ------------------------------------------------------------------------------------------------------ */

static void read_rule(struct gbnf *g) {
    struct gbnf_reader *in = &g->reader;
    struct named_rule *n = take_name(g);
    if (!n) return;
    if (n->defined) gbnf_refuse(in, "the rule is defined twice");
    n->defined = true;
    rules_name rule = n->rule;
    gbnf_skip(in, false);
    if (!gbnf_take(in, "::=")) gbnf_refuse(in, "expected '::='");
    gbnf_skip(in, true);
    rules_expression meaning = read_alternatives(g, false);
    if (!gbnf_failed(in)) rules_define(g->rules, rule, meaning);
    if (!gbnf_failed(in) && in->at < in->length && gbnf_peek(in) != '\n' && gbnf_peek(in) != '\r')
        gbnf_refuse(in, "expected a text, a set, a group, a rule, '|' or the end of the line");
    gbnf_skip(in, true);
}

static void check_rules(struct gbnf *g, rules_expression *out) {
    struct gbnf_reader *in = &g->reader;
    for (size_t i = 0; i < g->named_count && !gbnf_failed(in); i++) {
        const struct named_rule *n = &g->named[i];
        in->at = n->first_use;
        if (!n->defined)
            gbnf_refuse(in, "the rule '%.*s' is not defined", (int)n->length, in->text + n->start);
        if (n->length == 4 && memcmp(in->text + n->start, "root", 4) == 0)
            *out = rules_call(g->rules, n->rule);
    }
    in->at = in->length;
    if (!gbnf_failed(in) && !rules_failed(g->rules) && *out == RULES_NONE)
        gbnf_refuse(in, "there is no rule 'root'");
}

enum status gbnf_write(struct rules *r, struct engine_string source, const struct grammar_options *o,
                       rules_expression *out, struct error *e) {
    struct gbnf g = {.reader = {.text = source.text, .length = source.length, .error = e}, .rules = r};
    (void)o;
    *out = RULES_NONE;
    if (source.length > GBNF_BYTES_MAX)
        return error_set(e, STATUS_LIMIT, "grammar", "%zu bytes: at most %d are taken", source.length,
                         GBNF_BYTES_MAX);
    g.reader.at = utf8_valid_prefix(source.text, source.length);
    if (g.reader.at < source.length) gbnf_refuse(&g.reader, "it is not UTF-8");
    g.reader.at = 0;
    gbnf_skip(&g.reader, true);
    while (!gbnf_failed(&g.reader) && !rules_failed(r) && g.reader.at < source.length) read_rule(&g);
    if (!rules_failed(r)) check_rules(&g, out);
    free(g.named);
    free(g.slots);
    free(g.stack);
    /* What r failed with comes first, and rules_finish says it. */
    return rules_failed(r) ? STATUS_OK : g.reader.status;
}
