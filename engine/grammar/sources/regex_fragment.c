#include "engine/grammar/sources/regex_fragment.h"

struct regex_fragment regex_fragment_plain(rules_expression language, bool has_empty) {
    return (struct regex_fragment){.language = {language}, .present = {true}, .empty = {has_empty}};
}

struct regex_fragment regex_fragment_anchor(struct rules *r, unsigned place) {
    struct regex_fragment f = {0};
    f.language[place] = rules_text(r, "", 0);
    f.present[place] = f.empty[place] = true;
    return f;
}

bool regex_fragment_is_plain(const struct regex_fragment *f) {
    return f->present[0] && !f->present[1] && !f->present[2] && !f->present[3];
}

static void add(struct rules *r, struct regex_fragment *f, unsigned place, rules_expression language,
                bool has_empty) {
    if (f->present[place])
        language = rules_choice(r, (const rules_expression[]){f->language[place], language}, 2);
    f->language[place] = language;
    f->present[place] = true;
    f->empty[place] |= has_empty;
}

/* The texts of a's language x with those of b's language y behind. */
static void join(struct rules *r, struct regex_fragment *out, const struct regex_fragment *a, unsigned x,
                 const struct regex_fragment *b, unsigned y) {
    bool ends = x & REGEX_AT_END, begins = y & REGEX_AT_BEGIN, both = a->empty[x] && b->empty[y];
    unsigned place = x | y;
    if (!ends && !begins)
        add(r, out, place, rules_sequence(r, (const rules_expression[]){a->language[x], b->language[y]}, 2),
            both);
    else if (ends && begins && both) /* the text is empty */
        add(r, out, place, rules_text(r, "", 0), true);
    else if (ends && !begins && b->empty[y])
        add(r, out, place, a->language[x], a->empty[x]);
    else if (begins && !ends && a->empty[x])
        add(r, out, place, b->language[y], b->empty[y]);
}

struct regex_fragment regex_fragment_join(struct rules *r, const struct regex_fragment *a,
                                          const struct regex_fragment *b) {
    struct regex_fragment out = {0};
    for (unsigned x = 0; x < REGEX_LANGUAGES; x++)
        for (unsigned y = 0; y < REGEX_LANGUAGES; y++)
            if (a->present[x] && b->present[y]) join(r, &out, a, x, b, y);
    return out;
}

struct regex_fragment regex_fragment_optional(struct rules *r, const struct regex_fragment *f) {
    struct regex_fragment out = *f;
    add(r, &out, 0, rules_text(r, "", 0), true);
    return out;
}

rules_expression regex_fragment_texts(struct rules *r, const struct regex_fragment *f,
                                      const rules_expression *any) {
    rules_expression choices[REGEX_LANGUAGES];
    size_t count = 0;
    for (unsigned place = 0; place < REGEX_LANGUAGES; place++) {
        if (!f->present[place]) continue;
        rules_expression parts[3], language = f->language[place];
        size_t n = 0;
        bool opens = any && !(place & REGEX_AT_BEGIN), goes_on = any && !(place & REGEX_AT_END);
        if (goes_on) language = rules_trim_end(r, language);
        if (opens) language = rules_trim_begin(r, language);
        if (opens) parts[n++] = *any;
        parts[n++] = language;
        if (goes_on) parts[n++] = *any;
        choices[count++] = rules_sequence(r, parts, n);
    }
    return count > 0 ? rules_choice(r, choices, count) : rules_points(r, NULL, 0);
}
