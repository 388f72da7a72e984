/* The input is a tokenizer.json, a zero byte, and a text; without a zero byte the text is the file itself.
 * What opens must encode and decode without a fault, its ids must be tokens, and decoding id by id must give
 * the same text. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/log.h"
#include "engine/files/json_file.h"
#include "engine/text/detokenizer.h"
#include "engine/text/tokenizer_parts.h"
#include "engine/text/unicode/unicode.h"
#include "tests/fuzz/fuzz.h"

#define VALUES_MAX 20000

static void check_stream(const struct tokenizer *t, const struct token_list *ids, bool skip, const char *text,
                         size_t length) {
    struct detokenizer *d;
    const char *piece;
    size_t piece_length, done = 0;
    if (detokenizer_create(t, NULL, 0, skip, &d, NULL) != STATUS_OK) return;
    for (size_t i = 0; i <= ids->count; i++) {
        enum status status = i < ids->count ? detokenizer_push(d, ids->ids[i], &piece, &piece_length, NULL)
                                            : detokenizer_finish(d, &piece, &piece_length, NULL);
        if (status != STATUS_OK) break;
        assert(utf8_valid_prefix(piece, piece_length) == piece_length);
        assert(done + piece_length <= length && memcmp(text + done, piece, piece_length) == 0);
        done += piece_length;
        if (i == ids->count) assert(done == length);
    }
    detokenizer_destroy(d);
}

static void check_decoding(const struct tokenizer *t, const struct token_list *ids, bool skip) {
    char *text;
    size_t length;
    if (tokenizer_decode(t, ids->ids, ids->count, skip, &text, &length, NULL) != STATUS_OK) return;
    check_stream(t, ids, skip, text, length);
    free(text);
}

/* All of it a client's: no id that is not a token, and other ids only where there was a control token. */
static void check_guarded(const struct tokenizer *t, const char *text, size_t length,
                          const struct token_list *plain) {
    const struct text_range all = {0, length};
    struct token_list ids = {0};
    struct error e;
    bool controls = length == 0 || plain->count == 0;
    for (size_t i = 0; i < plain->count; i++) controls |= tokenizer_is_control(t, plain->ids[i]);
    if (length > 0 && tokenizer_encode_guarded(t, text, length, true, &all, 1, 0, &ids, &e) == STATUS_OK &&
        !controls)
        assert(ids.count == plain->count && memcmp(ids.ids, plain->ids, ids.count * sizeof *ids.ids) == 0);
    for (size_t i = 0; i < ids.count; i++) assert(tokenizer_has(t, ids.ids[i]));
    free(ids.ids);
}

static void use(const struct tokenizer *t, const char *text, size_t length) {
    struct token_list ids = {0};
    struct error e;
    if (tokenizer_encode(t, text, length, true, 0, &ids, &e) == STATUS_OK)
        for (size_t i = 0; i < ids.count; i++) assert(tokenizer_has(t, ids.ids[i]));
    check_guarded(t, text, length, &ids);
    check_decoding(t, &ids, false);
    check_decoding(t, &ids, true);
    free(ids.ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *bytes = (const char *)data, *zero = memchr(data, 0, size);
    size_t file_length = zero ? (size_t)(zero - bytes) : size;
    json_t *file;
    struct error e;
    struct tokenizer *t;
    log_set_level(LOG_LEVEL_ERROR);
    if (json_file_parse_as(bytes, file_length, "fuzz", VALUES_MAX, JSON_FILE_WITH_NULS, &file, &e) !=
        STATUS_OK)
        return 0;
    if (tokenizer_create(file, "fuzz", &t, &e) == STATUS_OK) {
        use(t, zero ? zero + 1 : bytes, zero ? size - file_length - 1 : size);
        tokenizer_close(t);
    }
    json_decref(file);
    return 0;
}
