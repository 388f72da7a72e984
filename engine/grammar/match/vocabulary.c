#include "engine/grammar/match/vocabulary.h"

#include <stdlib.h>
#include <string.h>

#include "engine/grammar/match/byte_groups.h"

/* A token while it is sorted: its first bytes as a number decide most comparisons. */
struct sorted_token {
    uint64_t key;
    const char *text;
    uint32_t length, id;
};

static uint64_t key_of(const char *text, size_t length) {
    uint64_t key = 0;
    for (size_t i = 0; i < 8; i++) key = key << 8 | (i < length ? (unsigned char)text[i] : 0);
    return key;
}

static int compare_tokens(const void *a, const void *b) {
    const struct sorted_token *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    size_t shorter = x->length < y->length ? x->length : y->length;
    int order = memcmp(x->text, y->text, shorter);
    if (order != 0) return order;
    if (x->length != y->length) return x->length < y->length ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static size_t common_prefix(const struct sorted_token *a, const struct sorted_token *b) {
    size_t length = 0;
    while (length < a->length && length < b->length && a->text[length] == b->text[length]) length++;
    return length;
}

/* *count sorted tokens; NULL: no memory. */
static struct sorted_token *sort_tokens(const struct grammar_vocabulary *v, size_t *count) {
    struct sorted_token *sorted = calloc(v->count + 1, sizeof *sorted);
    *count = 0;
    if (!sorted) return NULL;
    for (size_t id = 0; id < v->count; id++) {
        struct engine_string text = vocabulary_text(v, id);
        if (text.length == 0) continue;
        sorted[(*count)++] = (struct sorted_token){key_of(text.text, text.length), text.text,
                                                   (uint32_t)text.length, (uint32_t)id};
    }
    qsort(sorted, *count, sizeof *sorted, compare_tokens);
    return sorted;
}

static size_t count_nodes(const struct sorted_token *sorted, size_t count, size_t *depth) {
    size_t nodes = 1;
    *depth = 0;
    for (size_t i = 0; i < count; i++) {
        nodes += sorted[i].length - (i > 0 ? common_prefix(&sorted[i - 1], &sorted[i]) : 0);
        if (sorted[i].length > *depth) *depth = sorted[i].length;
    }
    return nodes;
}

/* open[d]: the node that is d bytes deep and not ended yet. */
static void fill_trie(struct token_trie *t, const struct sorted_token *sorted, uint32_t *open) {
    size_t node = 1, depth = 0;
    open[0] = 0;
    t->nodes[0].first = 0;
    for (size_t i = 0; i < t->token_count; i++) {
        size_t shared = i > 0 ? common_prefix(&sorted[i - 1], &sorted[i]) : 0;
        for (; depth > shared; depth--) t->nodes[open[depth]].end = (uint32_t)node;
        for (; depth < sorted[i].length; node++) {
            t->nodes[node].byte = (uint8_t)sorted[i].text[depth];
            t->nodes[node].first = (uint32_t)i;
            open[++depth] = (uint32_t)node;
        }
        t->tokens[i] = sorted[i].id;
    }
    for (size_t d = depth + 1; d-- > 0;) t->nodes[open[d]].end = (uint32_t)node;
    t->nodes[node].first = (uint32_t)t->token_count;
}

static void fill_tops(struct token_trie *t) {
    uint32_t node = 1;
    for (unsigned byte = 0; byte < 256; byte++) {
        t->tops[byte] = node;
        if (node < t->count && t->nodes[node].byte == byte) node = t->nodes[node].end;
    }
    t->tops[256] = (uint32_t)t->count;
}

static unsigned begins_character(unsigned byte) {
    return (byte & 0xC0) != 0x80;
}

/* That of a node's byte. */
static uint64_t group_of(const struct token_trie *t, const uint32_t *parents, uint32_t node) {
    unsigned byte = t->nodes[node].byte;
    uint32_t second = parents[node], first = parents[second];
    if (byte < 0x80) return byte_group(byte);
    bool ends_line =
        second > 0 && first > 0 && is_line_end(t->nodes[first].byte, t->nodes[second].byte, byte);
    return ends_line ? GROUPS_LINE_ENDS : GROUPS_BEYOND_ASCII;
}

/* The states of a reader of UTF-8 from which all of a node and below it is UTF-8; valid[node] is the set of those behind
 * the node's own byte. */
static uint8_t valid_before(const struct token_trie *t, const uint8_t *valid, uint32_t node) {
    unsigned states = 0;
    for (unsigned state = 0; state < UTF8_STATES; state++) {
        enum utf8_state next = utf8_step_of((enum utf8_state)state, t->nodes[node].byte);
        if (next != UTF8_REJECTED && ((valid[node] >> next) & 1)) states |= 1u << state;
    }
    return (uint8_t)states;
}

/* What a node has to say to the one above it. */
static void tell_parent(struct token_trie *t, uint8_t *valid, uint32_t node, const uint32_t *parents) {
    uint32_t parent = parents[node];
    unsigned byte = t->nodes[node].byte, height = t->nodes[node].height + begins_character(byte);
    valid[parent] &= valid_before(t, valid, node);
    t->nodes[parent].groups |= t->nodes[node].groups | group_of(t, parents, node);
    if (height > UINT8_MAX) height = UINT8_MAX;
    if (height > t->nodes[parent].height) t->nodes[parent].height = (uint8_t)height;
}

#define NOT_PLAIN UINT8_MAX

/* Nodes below which (and on the way to which) everything is plain. Of the node d bytes deep that is being looked into:
 * states[d] is where a reader of UTF-8 is in its text, NOT_PLAIN where that is not plain; lengths[d] are its characters. */
static void fill_plain(struct token_trie *t, const uint8_t *valid, const uint32_t *parents, uint32_t *ends,
                       uint8_t *states, uint32_t *lengths) {
    size_t depth = 0;
    ends[0] = (uint32_t)t->count;
    lengths[0] = 0;
    states[0] = UTF8_BOUNDARY;
    for (uint32_t node = 1; node < t->count; node++) {
        while (node >= ends[depth]) depth--;
        unsigned byte = t->nodes[node].byte, state = states[depth++];
        lengths[depth] = lengths[depth - 1] + begins_character(byte);
        if (!(group_of(t, parents, node) & PLAIN_GROUPS)) state = NOT_PLAIN;
        if (state != NOT_PLAIN) state = utf8_step_of((enum utf8_state)state, byte);
        if (state == UTF8_REJECTED) state = NOT_PLAIN;
        states[depth] = (uint8_t)state;
        ends[depth] = t->nodes[node].end;
        size_t length = lengths[depth] + t->nodes[node].height;
        bool all = state != NOT_PLAIN && (t->nodes[node].groups & ~PLAIN_GROUPS) == 0 &&
                   ((valid[node] >> state) & 1);
        t->nodes[node].plain = !all ? 0 : length < UINT8_MAX ? (uint8_t)length : UINT8_MAX;
    }
}

static void fill_parents(const struct token_trie *t, uint32_t *parents) {
    for (uint32_t node = 0; node < t->count; node++)
        for (uint32_t child = node + 1; child < t->nodes[node].end; child = t->nodes[child].end)
            parents[child] = node;
}

/* From the last node to the first, children before their parents. */
static bool fill_groups(struct token_trie *t, uint32_t *open) {
    uint8_t *valid = malloc(t->count), *states = malloc(t->depth + 1);
    uint32_t *parents = calloc(t->count, sizeof *parents), *lengths = calloc(t->depth + 1, sizeof *lengths);
    bool done = valid && states && parents && lengths;
    if (done) {
        memset(valid, 0xFF, t->count);
        fill_parents(t, parents);
        for (uint32_t node = (uint32_t)t->count; node-- > 1;) tell_parent(t, valid, node, parents);
        fill_plain(t, valid, parents, open, states, lengths);
        for (uint32_t node = 1; node < t->count; node++) {
            bool begins = (valid_before(t, valid, node) >> UTF8_BOUNDARY) & 1;
            t->nodes[node].groups |= group_of(t, parents, node) | (begins ? 0 : GROUPS_NO_UTF8);
        }
    }
    free(valid);
    free(states);
    free(parents);
    free(lengths);
    return done;
}

static bool build_trie(struct grammar_vocabulary *v) {
    struct token_trie *t = &v->trie;
    struct sorted_token *sorted = sort_tokens(v, &t->token_count);
    if (!sorted) return false;
    t->count = count_nodes(sorted, t->token_count, &t->depth);
    t->nodes = calloc(t->count + 1, sizeof *t->nodes);
    t->tokens = calloc(t->token_count + 1, sizeof *t->tokens);
    uint32_t *open = calloc(t->depth + 1, sizeof *open);
    bool done = t->nodes && t->tokens && open;
    if (done) fill_trie(t, sorted, open);
    if (done) fill_tops(t);
    done = done && fill_groups(t, open);
    free(open);
    free(sorted);
    v->memory += (t->count + 1) * sizeof *t->nodes;
    v->memory += t->token_count * sizeof *t->tokens;
    return done;
}

/* Characters of a plain text, also a begun one; UINT32_MAX: it is not plain. */
static uint32_t plain_length(struct engine_string text) {
    enum utf8_state state = UTF8_BOUNDARY;
    uint32_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        unsigned byte = (unsigned char)text.text[i];
        state = utf8_step_of(state, byte);
        if (state == UTF8_REJECTED || (byte < 0x80 && !(byte_group(byte) & PLAIN_GROUPS))) return UINT32_MAX;
        if (i > 1 && is_line_end((unsigned char)text.text[i - 2], (unsigned char)text.text[i - 1], byte))
            return UINT32_MAX;
        length += begins_character(byte);
    }
    return length > 0 ? length : UINT32_MAX;
}

static bool fill_slices(struct grammar_vocabulary *v) {
    size_t words = vocabulary_words(v);
    for (size_t i = 0; i < PLAIN_SLICES; i++) {
        v->plain[i] = calloc(words + 1, sizeof *v->plain[i]);
        if (!v->plain[i]) return false;
        v->memory += words * sizeof *v->plain[i];
    }
    for (size_t id = 0; id < v->count; id++) {
        uint32_t length = plain_length(vocabulary_text(v, id));
        size_t slice = length <= PLAIN_LENGTH_MAX ? length - 1 : PLAIN_LENGTH_MAX;
        if (length != UINT32_MAX) v->plain[slice][id / 32] |= (uint32_t)1 << (id % 32);
    }
    for (size_t i = 1; i < PLAIN_SLICES; i++)
        for (size_t word = 0; word < words; word++) v->plain[i][word] |= v->plain[i - 1][word];
    return true;
}

static bool copy_texts(struct grammar_vocabulary *v, const struct engine_string *texts) {
    size_t sum = 0;
    for (size_t i = 0; i < v->count; i++) sum += texts[i].length;
    v->bytes = malloc(sum + 1);
    v->offsets = calloc(v->count + 1, sizeof *v->offsets);
    if (!v->bytes || !v->offsets) return false;
    sum = 0;
    for (size_t i = 0; i < v->count; i++) {
        if (texts[i].length > 0) memcpy(v->bytes + sum, texts[i].text, texts[i].length);
        sum += texts[i].length;
        v->offsets[i + 1] = sum;
    }
    v->memory = sizeof *v + sum + (v->count + 1) * sizeof *v->offsets;
    return true;
}

enum status vocabulary_create(const struct engine_string *texts, size_t count,
                              struct grammar_vocabulary **out, struct error *e) {
    struct grammar_vocabulary *v = calloc(1, sizeof *v);
    *out = NULL;
    if (v) v->count = count;
    if (!v || !copy_texts(v, texts) || !build_trie(v) || !fill_slices(v)) {
        vocabulary_destroy(v);
        return error_set(e, STATUS_NO_MEMORY, "vocabulary", "cannot allocate for %zu tokens", count);
    }
    *out = v;
    return STATUS_OK;
}

void vocabulary_destroy(struct grammar_vocabulary *v) {
    if (!v) return;
    free(v->bytes);
    free(v->offsets);
    free(v->trie.nodes);
    for (size_t i = 0; i < PLAIN_SLICES; i++) free(v->plain[i]);
    free(v->trie.tokens);
    free(v);
}
