#include "engine/text/decode/stop_set.h"

#include <stdlib.h>
#include <string.h>

#include "engine/text/containers/text_buffer.h"

/* States are numbered level by level, the children of a state one behind the other in the order of their
 * bytes. So where a state goes when the next byte does not fit (its longest proper end that is a state, one
 * level up at least) always has a lower number, and is complete when the state is made. */
struct stop_set {
    size_t count;
    char *bytes;    /* of all strings, one behind the other */
    size_t *starts; /* [count + 1] of each in bytes */
    uint32_t state_count;
    uint32_t *first_child; /* [states + 1]; the children end where those of the next state begin */
    uint32_t *fallback;    /* [states] */
    uint32_t *depth;       /* [states] */
    int32_t *found;        /* [states] */
    char *byte;            /* [states] that leads here */
};

/* A set, and what is needed while it is made: so many blocks, to each of which the heap adds so much at most. */
enum { BLOCKS = 11, BLOCK_BYTES = 32 };

static size_t length_of(const struct stop_set *set, size_t i) {
    return set->starts[i + 1] - set->starts[i];
}

/* ---- making -------------------------------------------------------------------------------------------- */

/* Strings in the order of their bytes: those with the same beginning stand together. */
struct sorted {
    const struct stop_set *set;
    uint32_t *order;
    /* [states]: the strings that begin with the state's text, as places in `order` */
    uint32_t *from, *to;
};

static int compare(const void *a, const void *b, void *context) {
    const struct stop_set *set = context;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    size_t left = length_of(set, i), right = length_of(set, j);
    int order = memcmp(set->bytes + set->starts[i], set->bytes + set->starts[j], left < right ? left : right);
    if (order != 0) return order;
    if (left != right) return left < right ? -1 : 1;
    return i < j ? -1 : i > j;
}

static bool sort(struct sorted *s, size_t states_max) {
    s->order = calloc(s->set->count + 1, sizeof *s->order);
    s->from = calloc(states_max, sizeof *s->from);
    s->to = calloc(states_max, sizeof *s->to);
    if (!s->order || !s->from || !s->to) return false;
    for (uint32_t i = 0; i < s->set->count; i++) s->order[i] = i;
    qsort_r(s->order, s->set->count, sizeof *s->order, compare, (void *)s->set);
    return true;
}

static char byte_at(const struct sorted *s, uint32_t path, uint32_t depth) {
    return s->set->bytes[s->set->starts[s->order[path]] + depth];
}

static uint32_t find_child(const struct stop_set *set, uint32_t state, char byte) {
    uint32_t low = set->first_child[state], high = set->first_child[state + 1];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (set->byte[middle] == byte) return middle;
        if ((unsigned char)set->byte[middle] < (unsigned char)byte)
            low = middle + 1;
        else
            high = middle;
    }
    return STOP_SET_START;
}

/* The strings at places from..to begin with the text of the parent and this byte. */
static void add_child(struct stop_set *set, struct sorted *s, uint32_t parent, uint32_t from, uint32_t to) {
    uint32_t state = set->state_count++, first = s->order[from];
    set->byte[state] = byte_at(s, from, set->depth[parent]);
    set->depth[state] = set->depth[parent] + 1;
    set->fallback[state] = parent == STOP_SET_START
                               ? STOP_SET_START
                               : stop_set_next(set, set->fallback[parent], set->byte[state]);
    bool ends = length_of(set, first) == set->depth[state];
    set->found[state] = ends ? (int32_t)first : set->found[set->fallback[state]];
    s->from[state] = from;
    s->to[state] = to;
}

static void add_children(struct stop_set *set, struct sorted *s, uint32_t state) {
    uint32_t at = s->from[state], to = s->to[state], depth = set->depth[state];
    set->first_child[state] = set->state_count;
    while (at < to && length_of(set, s->order[at]) == depth) at++; /* those that end here */
    while (at < to) {
        uint32_t from = at;
        while (at < to && byte_at(s, at, depth) == byte_at(s, from, depth)) at++;
        add_child(set, s, state, from, at);
    }
    set->first_child[state + 1] = set->state_count;
}

static void build(struct stop_set *set, struct sorted *s) {
    set->state_count = 1;
    set->found[STOP_SET_START] = -1;
    s->to[STOP_SET_START] = (uint32_t)set->count;
    for (uint32_t state = 0; state < set->state_count; state++) add_children(set, s, state);
}

static bool copy_strings(struct stop_set *set, const char *const *strings, const size_t *lengths,
                         size_t total) {
    set->bytes = malloc(total + 1);
    set->starts = calloc(set->count + 1, sizeof *set->starts);
    if (!set->bytes || !set->starts) return false;
    for (size_t i = 0; i < set->count; i++) {
        memcpy(set->bytes + set->starts[i], strings[i], lengths[i]);
        set->starts[i + 1] = set->starts[i] + lengths[i];
    }
    return true;
}

static bool allocate_states(struct stop_set *set, size_t states_max) {
    set->first_child = calloc(states_max + 1, sizeof *set->first_child);
    set->fallback = calloc(states_max, sizeof *set->fallback);
    set->depth = calloc(states_max, sizeof *set->depth);
    set->found = calloc(states_max, sizeof *set->found);
    set->byte = calloc(states_max, sizeof *set->byte);
    return set->first_child && set->fallback && set->depth && set->found && set->byte;
}

static bool fill(struct stop_set *set, const char *const *strings, const size_t *lengths, size_t total) {
    struct sorted s = {.set = set};
    bool made =
        copy_strings(set, strings, lengths, total) && allocate_states(set, total + 1) && sort(&s, total + 1);
    if (made) build(set, &s);
    free(s.order);
    free(s.from);
    free(s.to);
    return made;
}

enum status stop_set_create(const char *const *strings, const size_t *lengths, size_t count,
                            struct stop_set **out, struct error *e) {
    size_t total = 0;
    *out = NULL;
    for (size_t i = 0; i < count; i++)
        if (__builtin_add_overflow(total, lengths[i], &total) || total > INT32_MAX)
            return error_set(e, STATUS_LIMIT, "stop", "the strings have more than %d bytes", INT32_MAX);
    struct stop_set *set = calloc(1, sizeof *set);
    if (!set) return text_no_memory(e);
    set->count = count;
    if (!fill(set, strings, lengths, total)) {
        stop_set_destroy(set);
        return text_no_memory(e);
    }
    *out = set;
    return STATUS_OK;
}

size_t stop_set_bytes(size_t count, size_t bytes) {
    static const struct stop_set *set;
    static const struct sorted *sorted;
    size_t state = sizeof *set->first_child + sizeof *set->fallback + sizeof *set->depth +
                   sizeof *set->found + sizeof *set->byte + sizeof *sorted->from + sizeof *sorted->to;
    return sizeof *set + (bytes + 1) * (state + sizeof *set->bytes) +
           (count + 1) * (sizeof *set->starts + sizeof *sorted->order) + BLOCKS * BLOCK_BYTES;
}

void stop_set_destroy(struct stop_set *set) {
    if (!set) return;
    free(set->bytes);
    free(set->starts);
    free(set->first_child);
    free(set->fallback);
    free(set->depth);
    free(set->found);
    free(set->byte);
    free(set);
}

/* ---- walking ------------------------------------------------------------------------------------------- */

uint32_t stop_set_next(const struct stop_set *set, uint32_t state, char byte) {
    uint32_t child = find_child(set, state, byte);
    while (child == STOP_SET_START && state != STOP_SET_START) {
        state = set->fallback[state];
        child = find_child(set, state, byte);
    }
    return child;
}

int stop_set_found(const struct stop_set *set, uint32_t state) {
    return set->found[state];
}

uint32_t stop_set_pass(const struct stop_set *set, uint32_t state) {
    while (state != STOP_SET_START && set->first_child[state] == set->first_child[state + 1])
        state = set->fallback[state];
    return state;
}

size_t stop_set_depth(const struct stop_set *set, uint32_t state) {
    return set->depth[state];
}

const char *stop_set_string(const struct stop_set *set, size_t index, size_t *length) {
    *length = length_of(set, index);
    return set->bytes + set->starts[index];
}
