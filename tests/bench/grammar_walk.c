/* A grammar over a vocabulary, driven from outside: grammar_peers.py walks it beside other programs' grammars. Commands
 * on standard input, one a line, some with bytes behind it; each answers with one line.
 *
 *   V <path>              the vocabulary: a 32-bit count, then for each token a 32-bit length and its bytes
 *   C <kind> <length>     and that many bytes: compiles; "OK <ns> <bytes>" or "ERROR <what>"
 *   B                     begins a text; "OK"
 *   R <token>             reads it (-1: none, as the text begins) and makes the mask of what comes behind it, as the daemon
 *                         does: "OK <ns> <ns again> <may end>" and the mask's words. The second time is that of another
 *                         text with the same tokens, which finds all that the first one made. "DEAD": it may not come */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/grammar/grammar.h"

#define BYTES_MAX   ((size_t)256 << 20)
#define SECONDS_MAX 10.0

static struct grammar_vocabulary *vocabulary;
static struct grammar *grammar;
static size_t token_count;

/* A text, and one that comes behind it. */
static struct grammar_place places[2];
static int32_t *tokens;
static size_t read_count, token_capacity;

static void say_error(const struct error *e) {
    char line[ERROR_LINE_BYTES];
    error_format(e, line, sizeof line);
    printf("ERROR %s\n", line);
}

static char *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) return NULL;
    *length = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*length + 1);
    bool done = bytes && fread(bytes, 1, *length, file) == *length;
    fclose(file);
    if (done) return bytes;
    free(bytes);
    return NULL;
}

static void load(const char *path) {
    size_t length = 0, at = 4;
    uint32_t count, size;
    char *bytes = read_file(path, &length);
    struct error e;
    if (!bytes || length < 4) {
        printf("ERROR cannot read %s\n", path);
        return;
    }
    memcpy(&count, bytes, 4);
    struct engine_string *texts = calloc(count, sizeof *texts);
    for (uint32_t i = 0; texts && i < count && at + 4 <= length; i++) {
        memcpy(&size, bytes + at, 4);
        texts[i] = (struct engine_string){bytes + at + 4, size};
        at += 4 + size;
    }
    grammar_vocabulary_destroy(vocabulary);
    token_count = count;
    uint64_t start = clock_thread_ns();
    if (!texts || grammar_vocabulary_create(texts, count, &vocabulary, &e) != STATUS_OK)
        say_error(&e);
    else
        printf("OK %llu %zu\n", (unsigned long long)(clock_thread_ns() - start),
               grammar_vocabulary_bytes(vocabulary));
    free(texts);
    free(bytes);
}

static void leave_text(void) {
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) grammar_place_deinit(&places[i]);
    read_count = 0;
}

static void compile(int kind, size_t length) {
    const struct grammar_options options = {.bytes_max = BYTES_MAX, .seconds_max = SECONDS_MAX};
    char *source = malloc(length + 1);
    struct error e;
    if (!source || fread(source, 1, length, stdin) != length) return;
    leave_text();
    grammar_release(grammar);
    grammar = NULL;
    uint64_t start = clock_thread_ns();
    enum status status = grammar_compile((enum grammar_kind)kind, (struct engine_string){source, length},
                                         &options, vocabulary, &grammar, &e);
    if (status == STATUS_OK)
        printf("OK %llu %zu\n", (unsigned long long)(clock_thread_ns() - start), grammar_bytes(grammar));
    else
        say_error(&e);
    free(source);
}

static void begin_text(void) {
    leave_text();
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) grammar_place_init(&places[i], grammar);
    puts("OK");
}

static bool add_token(int token) {
    if (token < 0) return true;
    if (read_count == token_capacity) {
        size_t capacity = token_capacity ? 2 * token_capacity : 256;
        int32_t *more = realloc(tokens, capacity * sizeof *more);
        if (!more) return false;
        tokens = more;
        token_capacity = capacity;
    }
    tokens[read_count++] = token;
    return true;
}

static void read_token(int token) {
    size_t words = (token_count + 31) / 32;
    uint32_t *bits = calloc(words, sizeof *bits);
    unsigned long long times[2] = {0, 0};
    struct grammar_outlook outlook = {0};
    struct error e;
    enum status status = bits && add_token(token) ? STATUS_OK : STATUS_NO_MEMORY;
    if (status != STATUS_OK) status = error_set(&e, status, "tool", "no memory");
    for (int i = 0; i < 2 && status == STATUS_OK; i++) {
        uint64_t start = clock_thread_ns();
        status = grammar_place_read(&places[i], tokens, read_count, NULL, bits, &outlook, &e);
        times[i] = clock_thread_ns() - start;
    }
    if (status != STATUS_OK) {
        say_error(&e);
    } else if (outlook.is_dead) {
        puts("DEAD");
    } else {
        printf("OK %llu %llu %d\n", times[0], times[1], outlook.may_end);
        fwrite(bits, sizeof *bits, words, stdout);
    }
    free(bits);
}

int main(void) {
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        size_t length;
        int number;
        line[strcspn(line, "\n")] = 0;
        if (line[0] == 'V')
            load(line + 2);
        else if (sscanf(line, "C %d %zu", &number, &length) == 2)
            compile(number, length);
        else if (grammar && strcmp(line, "B") == 0)
            begin_text();
        else if (places[0].grammar && sscanf(line, "R %d", &number) == 1)
            read_token(number);
        else
            printf("ERROR not understood: %s\n", line);
        fflush(stdout);
    }
    leave_text();
    free(tokens);
    grammar_release(grammar);
    grammar_vocabulary_destroy(vocabulary);
    return 0;
}
