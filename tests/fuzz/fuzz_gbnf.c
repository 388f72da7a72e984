/* The input is a GBNF grammar. What compiles is walked: every token of a mask may come and leads on, what is not in it
 * may not come, and where no token may come the text may end; all within the limits that a server gives. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/grammar/grammar.h"
#include "tests/fuzz/fuzz.h"

#define BYTES_MAX   ((size_t)1 << 20)
#define SECONDS_MAX 0.5
#define STEPS_MAX   12
#define INPUT_MAX   4096

enum { TOKENS = 256 + 4, WORDS = (TOKENS + 31) / 32 };

static struct grammar_vocabulary *make_vocabulary(void) {
    static char bytes[256];
    static const char *const texts[] = {"ab", "\"}", "\xc3\xa9x", ""};
    struct engine_string all[TOKENS];
    struct grammar_vocabulary *v;
    struct error e;
    for (size_t i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        all[i] = (struct engine_string){&bytes[i], 1};
    }
    for (size_t i = 256; i < TOKENS; i++)
        all[i] = (struct engine_string){texts[i - 256], strlen(texts[i - 256])};
    return grammar_vocabulary_create(all, TOKENS, &v, &e) == STATUS_OK ? v : NULL;
}

/* The `number`-th allowed token, counted around; TOKENS: none is allowed. */
static size_t pick(const uint32_t *bits, unsigned number) {
    for (size_t i = 0; i < TOKENS; i++) {
        size_t token = (number + i) % TOKENS;
        if ((bits[token / 32] >> (token % 32)) & 1) return token;
    }
    return TOKENS;
}

/* False: the grammar's memory is used up, which is no matter. */
static bool check_mask(struct grammar *g, grammar_state at, const uint32_t *bits) {
    for (int32_t token = 0; token < TOKENS; token++) {
        bool allowed = (bits[token / 32] >> (token % 32)) & 1;
        grammar_state to;
        struct error e;
        enum status status = grammar_accept(g, at, token, &to, &e);
        if (status == STATUS_LIMIT) return false;
        assert(status == STATUS_OK && (to != GRAMMAR_DEAD) == allowed);
    }
    return !((bits[(TOKENS - 1) / 32] >> ((TOKENS - 1) % 32)) & 1);
}

static void walk(struct grammar *g, const uint8_t *data, size_t size) {
    grammar_state at = GRAMMAR_START;
    for (size_t step = 0; step < STEPS_MAX; step++) {
        uint32_t bits[WORDS];
        struct error e;
        enum status status = grammar_mask(g, at, bits, &e);
        assert(status == STATUS_OK || status == STATUS_LIMIT);
        if (status != STATUS_OK || !check_mask(g, at, bits)) return;
        size_t token = pick(bits, data[step % size] * 31u);
        assert(token < TOKENS || grammar_may_end(g, at));
        if (token == TOKENS || grammar_accept(g, at, (int32_t)token, &at, &e) != STATUS_OK) return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct grammar_vocabulary *vocabulary;
    const struct grammar_options options = {.bytes_max = BYTES_MAX, .seconds_max = SECONDS_MAX};
    struct grammar *g;
    struct error e;
    if (!vocabulary) vocabulary = make_vocabulary();
    if (!vocabulary || size == 0 || size > INPUT_MAX) return 0;
    enum status status = grammar_compile(GRAMMAR_GBNF, (struct engine_string){(const char *)data, size},
                                         &options, vocabulary, &g, &e);
    if (status == STATUS_OK)
        walk(g, data, size);
    else
        assert((status == STATUS_INVALID_ARGUMENT || status == STATUS_LIMIT) && !g && strlen(e.where) > 0);
    if (status == STATUS_OK) grammar_release(g);
    return 0;
}
