/* The input is a model of SentencePiece, read as each class reads it that does more than the library; its last bytes are
 * also a text. What is read must make a tokenizer that encodes and decodes without a fault: ids are tokens, decoding id by
 * id gives the same text, and the tokenizer.json that it becomes can be read again. */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/detokenizer.h"
#include "engine/text/sources/sentence_piece_source.h"
#include "engine/text/tokenizer_parts.h"
#include "tests/fuzz/fuzz.h"

#define TEXT_BYTES_MAX 512

static void check_stream(const struct tokenizer *t, const struct token_list *ids, const char *text,
                         size_t length) {
    struct detokenizer *d;
    const char *piece;
    size_t piece_length, done = 0;
    if (detokenizer_create(t, NULL, 0, false, &d, NULL) != STATUS_OK) return;
    for (size_t i = 0; i <= ids->count; i++) {
        enum status status = i < ids->count ? detokenizer_push(d, ids->ids[i], &piece, &piece_length, NULL)
                                            : detokenizer_finish(d, &piece, &piece_length, NULL);
        assert(status == STATUS_OK && done + piece_length <= length &&
               memcmp(text + done, piece, piece_length) == 0);
        done += piece_length;
    }
    assert(done == length);
    detokenizer_destroy(d);
}

static void use(const struct tokenizer *t, const char *text, size_t length) {
    struct token_list ids = {0};
    struct error e;
    char *said;
    size_t said_length;
    if (tokenizer_encode(t, text, length, true, 0, &ids, &e) == STATUS_OK)
        for (size_t i = 0; i < ids.count; i++) assert(tokenizer_has(t, ids.ids[i]));
    if (tokenizer_decode(t, ids.ids, ids.count, false, &said, &said_length, &e) == STATUS_OK) {
        check_stream(t, &ids, said, said_length);
        free(said);
    }
    free(ids.ids);
}

/* What a converted file keeps of it. */
static void check_text(const json_t *file) {
    struct error e;
    struct tokenizer *t;
    char *text = json_dumps(file, JSON_COMPACT);
    assert(text);
    enum status status = tokenizer_open_text(text, strlen(text), "fuzz", &t, &e);
    assert(status == STATUS_OK);
    tokenizer_close(t);
    free(text);
}

/* As a file of this name is read by the class that the config names; false: it is refused. */
static bool use_as(const char *name, const char *config, const char *bytes, size_t size) {
    static const char sample[] = "a king's \t\xE2\x96\x81 <s>\xF0\x9F\x98\x80  ab<extra_id_1>\xC2\xAD";
    size_t length = size < TEXT_BYTES_MAX ? size : TEXT_BYTES_MAX;
    struct side_files side = {.config = config ? json_loads(config, 0, NULL) : NULL};
    json_t *file;
    struct error e;
    struct tokenizer *t;
    bool parsed = sentence_piece_source_parse(name, bytes, size, &side, &file, &e) == STATUS_OK;
    if (parsed && tokenizer_create(file, "fuzz", &t, &e) == STATUS_OK) {
        use(t, bytes + size - length, length);
        use(t, sample, sizeof sample - 1);
        tokenizer_close(t);
        check_text(file);
    }
    if (parsed) json_decref(file);
    json_decref(side.config);
    return parsed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *bytes = (const char *)data;
    if (!use_as("tokenizer.model", NULL, bytes, size)) return 0;
    use_as("sentencepiece.bpe.model", "{\"tokenizer_class\": \"XGLMTokenizer\"}", bytes, size);
    use_as("spiece.model", "{\"tokenizer_class\": \"T5Tokenizer\", \"extra_ids\": 2}", bytes, size);
    use_as("spiece.model", "{\"tokenizer_class\": \"GPTSw3Tokenizer\"}", bytes, size);
    return 0;
}
