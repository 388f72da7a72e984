#include "engine/grammar/sources/point_classes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- tables of Unicode, each made once, when it is first needed: that takes some milliseconds ---------------------------- */

/* Points from `first` up to the next element's have one category. Unicode has some 3,300 such runs. In front of
 * WHOLE_BLOCKS and behind OTHER_BLOCKS every point is looked at, between them a block of 256 is taken for what its ends are: they
 * are planes that nothing is assigned in. */
enum { RUNS_MAX = 8192, WHOLE_BLOCKS = 0x40000, OTHER_BLOCKS = 0xE0000, BLOCK = 256 };
enum { CASED_MAX = 8192, CASED_LAST = 0x1FFFF };

static struct {
    struct {
        uint32_t first;
        utf8proc_category_t category;
    } items[RUNS_MAX];
    size_t count;
} runs;

struct cased_point {
    uint32_t point, folded;
};

/* Points whose form without case is another; for some, which stand behind the `agreed` others, not everywhere. */
static struct {
    struct cased_point items[CASED_MAX];
    size_t agreed, count;
} cased;

/* The two letters i of Turkish are other letters to all but Python, and the rest one letter to those alone that have Unicode 15.1. */
static const struct cased_point disputed[] = {
    {0x0130, 'i'}, {0x0131, 'i'}, {0x1FD3, 0x0390}, {0x1FE3, 0x03B0}, {0xFB05, 0xFB06}};
enum { DISPUTED = sizeof disputed / sizeof *disputed };

static pthread_once_t runs_once = PTHREAD_ONCE_INIT, cased_once = PTHREAD_ONCE_INIT;

static utf8proc_category_t category_of(uint32_t point) {
    return utf8proc_category((utf8proc_int32_t)point);
}

static uint32_t points_alike(uint32_t point) {
    bool is_whole = point >= WHOLE_BLOCKS && point < OTHER_BLOCKS && point % BLOCK == 0;
    return is_whole && category_of(point) == category_of(point + BLOCK - 1) ? BLOCK : 1;
}

static void make_runs(void) {
    for (uint32_t point = 0; point <= RULES_POINT_MAX; point += points_alike(point)) {
        utf8proc_category_t category = category_of(point);
        size_t n = runs.count;
        if ((n > 0 && runs.items[n - 1].category == category) || n == RUNS_MAX) continue;
        runs.items[n].first = point;
        runs.items[n].category = category;
        runs.count++;
    }
}

/* Upper case first: letters such as the long s and the Kelvin sign are one with what they share the capital with. */
static uint32_t folded(uint32_t point) {
    const utf8proc_property_t *property = utf8proc_get_property((utf8proc_int32_t)point);
    if (property->uppercase_seqindex == UINT16_MAX && property->lowercase_seqindex == UINT16_MAX)
        return point;
    return (uint32_t)utf8proc_tolower(utf8proc_toupper((utf8proc_int32_t)point));
}

static bool is_disputed(uint32_t point) {
    for (size_t i = 0; i < DISPUTED; i++)
        if (disputed[i].point == point) return true;
    return false;
}

static void make_cased(void) {
    for (uint32_t point = 0; point <= CASED_LAST && cased.agreed < CASED_MAX - DISPUTED; point++) {
        uint32_t other = folded(point);
        if (other != point && !is_disputed(point))
            cased.items[cased.agreed++] = (struct cased_point){point, other};
    }
    memcpy(cased.items + cased.agreed, disputed, sizeof disputed);
    cased.count = cased.agreed + DISPUTED;
}

static void add_categories(struct point_set *s, uint32_t categories) {
    pthread_once(&runs_once, make_runs);
    for (size_t i = 0; i < runs.count; i++) {
        uint32_t end = i + 1 < runs.count ? runs.items[i + 1].first : RULES_POINT_MAX + 1;
        if (categories >> runs.items[i].category & 1) point_set_add(s, runs.items[i].first, end - 1);
    }
}

/* ---- general categories ------------------------------------------------------------------------------------------- */

/* In the order of utf8proc_category_t. */
static const char categories[][3] = {"Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd",
                                     "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm",
                                     "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"};

/* One bit for each category whose name begins so; none if there is none. */
static uint32_t categories_of(const char *name, size_t length) {
    uint32_t found = 0;
    if (length == 0 || length > 2) return 0;
    for (size_t i = 0; i < sizeof categories / sizeof categories[0]; i++)
        if (memcmp(categories[i], name, length) == 0) found |= 1u << i;
    return found;
}

bool point_class_add_category(struct point_set *s, const char *name, size_t length) {
    uint32_t found = categories_of(name, length);
    if (length == 3 && memcmp(name, "Any", 3) == 0) found = UINT32_MAX;
    if (found) add_categories(s, found);
    return found != 0;
}

/* ---- \d \s \w -------------------------------------------------------------------------------------------------------- */

static void add_ranges(struct point_set *s, const struct rules_range *ranges, size_t count) {
    for (size_t i = 0; i < count; i++) point_set_add(s, ranges[i].first, ranges[i].last);
}
#define ADD(s, ...)                                                                                          \
    add_ranges(s, (const struct rules_range[]){__VA_ARGS__},                                                 \
               sizeof((const struct rules_range[]){__VA_ARGS__}) / sizeof(struct rules_range))

/* Characters that are no letters yet may be some in the Unicode of who checks: hence Cn. */
static void add_wide(struct point_set *s, char letter) {
    if (letter == 'd') {
        add_categories(s, categories_of("Nd", 2) | categories_of("Cn", 2));
    } else if (letter == 's') {
        /* The Z categories have not changed for long: no table of all characters is made for them. */
        ADD(s, {'\t', '\r'}, {0x1C, ' '}, {0x85, 0x85}, {0xA0, 0xA0}, {0x1680, 0x1680}, {0x2000, 0x200A},
            {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF});
    } else {
        add_categories(s, categories_of("L", 1) | categories_of("M", 1) | categories_of("N", 1) |
                              categories_of("Pc", 2) | categories_of("Cn", 2));
        /* joiners, and letters in circles and squares */
        ADD(s, {0x200C, 0x200D}, {0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169},
            {0x1F170, 0x1F189});
    }
}

void point_class_add_perl(struct point_set *s, char letter, enum point_class_size size) {
    if (size == POINT_CLASS_WIDE)
        add_wide(s, letter);
    else if (letter == 'd')
        ADD(s, {'0', '9'});
    else if (letter == 's')
        ADD(s, {'\t', '\n'}, {'\f', '\r'}, {' ', ' '});
    else
        ADD(s, {'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'});
}

/* ---- [:alpha:] ---------------------------------------------------------------------------------------------------------- */

/* Members as pairs of first and last. */
static const struct {
    const char *name, *pairs;
} posix[] = {
    {"alnum", "09AZaz"}, {"alpha", "AZaz"}, {"blank", "\t\t  "},  {"digit", "09"},
    {"graph", "!~"},     {"lower", "az"},   {"print", " ~"},      {"punct", "!/:@[`{~"},
    {"space", "\t\r  "}, {"upper", "AZ"},   {"word", "09AZ__az"}, {"xdigit", "09AFaf"},
};

bool point_class_add_posix(struct point_set *s, const char *name, size_t length) {
    if (length == 5 && memcmp(name, "ascii", 5) == 0) {
        point_set_add(s, 0, 0x7F);
        return true;
    }
    if (length == 5 && memcmp(name, "cntrl", 5) == 0) {
        ADD(s, {0, 0x1F}, {0x7F, 0x7F});
        return true;
    }
    for (size_t i = 0; i < sizeof posix / sizeof posix[0]; i++) {
        if (strlen(posix[i].name) != length || memcmp(posix[i].name, name, length) != 0) continue;
        for (const char *pair = posix[i].pairs; *pair; pair += 2)
            point_set_add(s, (uint32_t)pair[0], (uint32_t)pair[1]);
        return true;
    }
    return false;
}

/* ---- case --------------------------------------------------------------------------------------------------------------- */

static bool has(const struct point_set *s, size_t count, uint32_t point) {
    for (size_t low = 0, high = count; low < high;) {
        size_t middle = (low + high) / 2;
        if (point < s->ranges[middle].first)
            high = middle;
        else if (point > s->ranges[middle].last)
            low = middle + 1;
        else
            return true;
    }
    return false;
}

void point_class_fold(struct point_set *s, enum point_class_size size) {
    pthread_once(&cased_once, make_cased);
    const size_t pairs = size == POINT_CLASS_WIDE ? cased.count : cased.agreed;
    point_set_sort(s);
    size_t count = s->count;
    for (size_t i = 0; i < pairs; i++)
        if (has(s, count, cased.items[i].point))
            point_set_add(s, cased.items[i].folded, cased.items[i].folded);
    point_set_sort(s);
    count = s->count;
    for (size_t i = 0; i < pairs; i++)
        if (has(s, count, cased.items[i].folded))
            point_set_add(s, cased.items[i].point, cased.items[i].point);
    point_set_sort(s);
}
