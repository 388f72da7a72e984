/* A grammar over a vocabulary, driven from outside: grammar_peers.py walks it beside other programs' grammars. Commands
 * on standard input, one a line, some with bytes behind it; each answers with one line.
 *
 *   V <path>              the vocabulary: a 32-bit count, then for each token a 32-bit length and its bytes
 *   C <kind> <length>     and that many bytes: compiles; "OK <ns> <bytes>" or "ERROR <what>"
 *   M <state>             "OK <ns> <may end>" and the mask's words
 *   A <state> <token>     "OK <ns> <state>", the state -1 where the token may not come */
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

static void compile(int kind, size_t length) {
    const struct grammar_options options = {.bytes_max = BYTES_MAX, .seconds_max = SECONDS_MAX};
    char *source = malloc(length + 1);
    struct error e;
    if (!source || fread(source, 1, length, stdin) != length) return;
    grammar_release(grammar);
    uint64_t start = clock_thread_ns();
    enum status status = grammar_compile((enum grammar_kind)kind, (struct engine_string){source, length},
                                         &options, vocabulary, &grammar, &e);
    if (status == STATUS_OK)
        printf("OK %llu %zu\n", (unsigned long long)(clock_thread_ns() - start), grammar_bytes(grammar));
    else
        say_error(&e);
    free(source);
}

static void mask(unsigned state) {
    size_t words = (token_count + 31) / 32;
    uint32_t *bits = calloc(words, sizeof *bits);
    struct error e;
    uint64_t start = clock_thread_ns();
    if (bits && grammar_mask(grammar, state, bits, &e) == STATUS_OK) {
        printf("OK %llu %d\n", (unsigned long long)(clock_thread_ns() - start),
               grammar_may_end(grammar, state));
        fwrite(bits, sizeof *bits, words, stdout);
    } else {
        say_error(&e);
    }
    free(bits);
}

static void accept_token(unsigned state, int token) {
    grammar_state to;
    struct error e;
    uint64_t start = clock_thread_ns();
    if (grammar_accept(grammar, state, token, &to, &e) == STATUS_OK)
        printf("OK %llu %d\n", (unsigned long long)(clock_thread_ns() - start), (int)to);
    else
        say_error(&e);
}

int main(void) {
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        size_t length;
        unsigned state;
        int number;
        line[strcspn(line, "\n")] = 0;
        if (line[0] == 'V')
            load(line + 2);
        else if (sscanf(line, "C %d %zu", &number, &length) == 2)
            compile(number, length);
        else if (vocabulary && grammar && sscanf(line, "M %u", &state) == 1)
            mask(state);
        else if (vocabulary && grammar && sscanf(line, "A %u %d", &state, &number) == 2)
            accept_token(state, number);
        else
            printf("ERROR not understood: %s\n", line);
        fflush(stdout);
    }
    grammar_release(grammar);
    grammar_vocabulary_destroy(vocabulary);
    return 0;
}
