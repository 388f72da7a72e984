/* A grammar whose tokens are the 256 bytes, asked line by line over stdin, for scripts: tests/bench/schema_suite.py.
 *
 *     compile KIND HEX [S] -> "ok SECONDS", or "refused SECONDS STATUS: TEXT". KIND: schema, regex, object, choice or gbnf;
 *                          HEX: the source; S: seconds that it may take (10)
 *     check HEX            -> "yes": the text matches; "no OFFSET": the byte there may not come; "open": more must come
 *     walk SEED BYTES [HEX] -> "HEX": bytes that are drawn among those allowed, behind those given; beyond BYTES those that
 *                          close come first
 *     end HEX              -> "HEX": the fewest bytes behind those given that end the text; "!long": none was
 *                          found among many
 *
 * An empty HEX is "-". */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/files/json_file.h"
#include "engine/grammar/grammar.h"

enum { BYTES = 256, TEXT_MAX = 1 << 20, LONGEST_WALK = 4000, STEPS_MAX = 1 << 20 };

static struct grammar_vocabulary *vocabulary;
static struct grammar *grammar;
static char line[2 * TEXT_MAX + 100], text[TEXT_MAX];

static void make_vocabulary(void) {
    static char bytes[BYTES];
    struct engine_string texts[BYTES];
    struct error e;
    for (int i = 0; i < BYTES; i++) {
        bytes[i] = (char)i;
        texts[i] = (struct engine_string){&bytes[i], 1};
    }
    if (grammar_vocabulary_create(texts, BYTES, &vocabulary, &e) != STATUS_OK) exit(2);
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t from_hex(const char *hex) {
    size_t length = 0;
    for (; hex_digit(hex[0]) >= 0 && hex_digit(hex[1]) >= 0 && length < TEXT_MAX; hex += 2)
        text[length++] = (char)(hex_digit(hex[0]) * 16 + hex_digit(hex[1]));
    return length;
}

static void compile(const char *kind, const char *hex, const char *seconds_max) {
    static const char *const kinds[] = {"object", "schema", "regex", "choice",
                                        "gbnf"}; /* as in enum grammar_kind */
    const struct grammar_options options = {.bytes_max = (size_t)256 << 20,
                                            .seconds_max = seconds_max ? strtod(seconds_max, NULL) : 10};
    struct engine_string source = {text, from_hex(hex)};
    struct error e;
    int number = 0;
    while (number < 4 && strcmp(kinds[number], kind) != 0) number++;
    grammar_release(grammar);
    double start = clock_seconds();
    enum status status =
        grammar_compile((enum grammar_kind)number, source, &options, vocabulary, &grammar, &e);
    double seconds = clock_seconds() - start;
    if (status == STATUS_OK)
        printf("ok %.6f\n", seconds);
    else
        printf("refused %.6f %s: %s: %s\n", seconds, status_name(status), e.where, e.text);
}

static void check(const char *hex) {
    size_t length = from_hex(hex), i = 0;
    grammar_state state = GRAMMAR_START;
    struct error e;
    for (; i < length; i++) {
        if (grammar_accept(grammar, state, (unsigned char)text[i], &state, &e) != STATUS_OK) {
            printf("failed %s: %s\n", e.where, e.text);
            return;
        }
        if (state == GRAMMAR_DEAD) break;
    }
    if (i < length)
        printf("no %zu\n", i);
    else
        puts(grammar_may_end(grammar, state) ? "yes" : "open");
}

static uint64_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed >> 11;
}

static bool is_set(const uint32_t *bits, int byte) {
    return bits[byte >> 5] >> (byte & 31) & 1;
}

/* A byte among those of the mask; -1: none. ASCII is twice as likely to be looked for at first. */
static int draw(const uint32_t *bits, uint64_t *seed, bool closes) {
    static const char closers[] = "\"}]";
    int allowed[BYTES], count = 0, ascii = 0;
    closes = closes && next_random(seed) % 2 == 0;
    for (size_t i = 0; closes && i < strlen(closers); i++)
        if (is_set(bits, closers[i])) return closers[i];
    for (int i = 0; i < BYTES; i++) {
        if (!is_set(bits, i)) continue;
        allowed[count++] = i;
        ascii += i < 128;
    }
    if (count == 0) return -1;
    if (ascii > 0 && next_random(seed) % 2 == 0) count = ascii;
    return allowed[next_random(seed) % (uint64_t)count];
}

/* The state behind the text. */
static grammar_state read_text(size_t length) {
    grammar_state state = GRAMMAR_START;
    struct error e;
    for (size_t i = 0; i < length && state != GRAMMAR_DEAD; i++)
        if (grammar_accept(grammar, state, (unsigned char)text[i], &state, &e) != STATUS_OK)
            return GRAMMAR_DEAD;
    return state;
}

static void walk(uint64_t seed, size_t bytes, const char *behind) {
    uint32_t bits[BYTES / 32];
    grammar_state state = read_text(behind ? from_hex(behind) : 0);
    struct error e;
    if (state == GRAMMAR_DEAD) {
        puts("!refused");
        return;
    }
    seed = seed * 0x9E3779B97F4A7C15u | 1;
    for (size_t i = 0; i < LONGEST_WALK; i++) {
        bool may_end = grammar_may_end(grammar, state);
        if (may_end && (i > bytes || next_random(&seed) % 4 == 0)) break;
        if (grammar_mask(grammar, state, bits, &e) != STATUS_OK) {
            printf("!%s: %s\n", e.where, e.text);
            return;
        }
        int byte = draw(bits, &seed, i > bytes);
        if (byte < 0) {
            printf("%s\n", may_end ? "" : "!dead");
            return;
        }
        printf("%02x", (unsigned)byte);
        if (grammar_accept(grammar, state, byte, &state, &e) != STATUS_OK || state == GRAMMAR_DEAD) {
            puts("!refused");
            return;
        }
    }
    puts(grammar_may_end(grammar, state) ? "" : "!long");
}

/* ---- the shortest end, by breadth ---------------------------------------------------------------------------- */

struct step {
    grammar_state state;
    uint32_t before; /* the step, or itself */
    unsigned char byte;
};

struct search {
    struct step *steps; /* STEPS_MAX */
    size_t count;
    unsigned char *seen; /* by state */
    size_t seen_capacity;
};

static void add_step(struct search *s, grammar_state state, size_t before, int byte) {
    if (state >= s->seen_capacity) {
        size_t capacity = 2 * (size_t)state + 1024;
        s->seen = realloc(s->seen, capacity);
        if (!s->seen) exit(2);
        memset(s->seen + s->seen_capacity, 0, capacity - s->seen_capacity);
        s->seen_capacity = capacity;
    }
    if (s->seen[state] || s->count == STEPS_MAX) return;
    s->seen[state] = 1;
    s->steps[s->count++] =
        (struct step){.state = state, .before = (uint32_t)before, .byte = (unsigned char)byte};
}

static void print_steps(const struct search *s, size_t last) {
    size_t length = 0;
    for (; last > 0 && length < TEXT_MAX; last = s->steps[last].before)
        text[length++] = (char)s->steps[last].byte;
    while (length > 0) printf("%02x", (unsigned char)text[--length]);
    puts("");
}

/* White space, escapes, characters beyond ASCII, and what opens a value where there may be another one: they lead to no end that others do
 * not lead to, and to ever more states. */
static bool is_detour(int byte) {
    return byte >= 128 || strchr(" \t\r\n\\[{", byte) != NULL;
}

/* False: there is nothing more to look at, or something failed. */
static bool look_behind(struct search *s, size_t at) {
    uint32_t bits[BYTES / 32];
    grammar_state next;
    struct error e;
    bool goes_straight = false;
    if (grammar_mask(grammar, s->steps[at].state, bits, &e) != STATUS_OK) return false;
    for (int byte = 1; byte < 128; byte++) goes_straight |= is_set(bits, byte) && !is_detour(byte);
    for (int byte = 0; byte < BYTES; byte++) {
        if (!is_set(bits, byte) || (goes_straight && is_detour(byte))) continue;
        if (grammar_accept(grammar, s->steps[at].state, byte, &next, &e) != STATUS_OK) return false;
        if (next != GRAMMAR_DEAD) add_step(s, next, at, byte);
    }
    return true;
}

static void find_end(const char *behind) {
    struct search s = {.steps = calloc(STEPS_MAX, sizeof *s.steps)};
    grammar_state state = read_text(from_hex(behind));
    size_t at = 0;
    if (!s.steps) exit(2);
    if (state != GRAMMAR_DEAD) add_step(&s, state, 0, 0);
    while (at < s.count && !grammar_may_end(grammar, s.steps[at].state))
        at = look_behind(&s, at) ? at + 1 : s.count;
    if (at < s.count)
        print_steps(&s, at);
    else
        puts(state == GRAMMAR_DEAD ? "!refused" : "!long");
    free(s.steps);
    free(s.seen);
}

int main(void) {
    json_file_process_init();
    make_vocabulary();
    while (fgets(line, sizeof line, stdin)) {
        char *fields[4] = {strtok(line, " \n"), strtok(NULL, " \n"), strtok(NULL, " \n"),
                           strtok(NULL, " \n")};
        if (fields[0] && fields[2] && strcmp(fields[0], "compile") == 0)
            compile(fields[1], fields[2], fields[3]);
        else if (fields[1] && grammar && strcmp(fields[0], "check") == 0)
            check(fields[1]);
        else if (fields[2] && grammar && strcmp(fields[0], "walk") == 0)
            walk(strtoull(fields[1], NULL, 10), strtoull(fields[2], NULL, 10), fields[3]);
        else if (fields[1] && grammar && strcmp(fields[0], "end") == 0)
            find_end(fields[1]);
        else
            puts("what?");
        fflush(stdout);
    }
    grammar_release(grammar);
    grammar_vocabulary_destroy(vocabulary);
    return 0;
}
