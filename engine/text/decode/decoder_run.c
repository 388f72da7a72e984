/* Between two steps of the pipeline go tokens, each as any number of parts and then its end. A step that
 * joins tokens (ByteLevel, Fuse, SentencePiece) passes parts on as they come and ends its one token when the text ends; a
 * step that must see a token whole gathers it. Parts are whole characters. Recursion goes along the steps,
 * never along the text. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/hex.h"
#include "engine/text/pretokenize/byte_level.h"
#include "engine/text/decode/decoder.h"
#include "engine/text/decode/decoder_run_parts.h"
#include "engine/text/unicode/unicode.h"

static void end_token(struct decoder_run *run, size_t at);

/* A text that takes the decoder too long is no limit of the daemon's, which more of something would lift. */
static void keep_failure(struct decoder_run *run, enum status status) {
    if (run->status != STATUS_OK) return;
    run->status = run->error.code = status == STATUS_LIMIT ? STATUS_UNSUPPORTED : status;
}

/* Bytes that may come to one step: no decoder in use makes a text as much longer, but a file may say that each letter
 * becomes two, again and again. It is less than a normalizer may add, since the text of every token is made at the start. */
static size_t fed_bytes_max(const struct decoder_run *run) {
    enum { TIMES = 32, BESIDE = 4 << 10 };
    return run->pushed * TIMES + BESIDE;
}

/* Whether so many bytes more may come to the step; the run has failed otherwise. */
static bool may_feed(struct decoder_run *run, size_t at, size_t length) {
    size_t most = fed_bytes_max(run);
    if (run->status != STATUS_OK) return false;
    if (length <= most && run->stages[at].fed <= most - length) return true;
    keep_failure(run, error_set(&run->error, STATUS_UNSUPPORTED, "tokenizer",
                                "the decoder makes more than %zu bytes of the text", most));
    return false;
}

void decoder_feed_token(struct decoder_run *run, size_t at, const char *text, size_t length) {
    decoder_feed(run, at, text, length);
    end_token(run, at);
}

/* ByteLevel: a token made of its alphabet stands for bytes; any other is text. */
static void gather_bytes(struct stage *s) {
    size_t before = s->held.length;
    for (size_t at = 0; at < s->token.length;) {
        int byte = byte_level_byte(utf8_next(s->token.bytes, s->token.length, &at));
        if (byte < 0) {
            s->held.length = before;
            text_buffer_append(&s->held, s->token.bytes, s->token.length);
            return;
        }
        text_buffer_append_byte(&s->held, (char)byte);
    }
}

void decoder_say_bytes(struct decoder_run *run, size_t at, bool each_byte, bool is_end) {
    struct stage *s = &run->stages[at];
    size_t done = 0, used;
    while (done < s->held.length) {
        size_t whole = utf8_valid_prefix(s->held.bytes + done, s->held.length - done);
        decoder_feed(run, at + 1, s->held.bytes + done, whole);
        done += whole;
        if (done == s->held.length) break;
        enum utf8_kind kind =
            utf8_classify((const unsigned char *)s->held.bytes + done, s->held.length - done, &used);
        if (kind == UTF8_INCOMPLETE && !is_end) break;
        decoder_feed(run, at + 1, replacement_utf8, sizeof replacement_utf8 - 1);
        done += each_byte ? 1 : used;
    }
    text_buffer_drop_front(&s->held, done);
}

int decoder_fallback_byte(const struct text_buffer *token) {
    if (token->length != 6 || memcmp(token->bytes, "<0x", 3) != 0 || token->bytes[5] != '>') return -1;
    int high = token->bytes[3] == '+' ? 0 : hex_value(token->bytes[3]), low = hex_value(token->bytes[4]);
    return high >= 0 && low >= 0 ? high * 16 + low : -1;
}

/* ByteFallback: a run of bytes is text as a whole or not at all, so it waits for its end. */
static void say_fallback(struct decoder_run *run, size_t at) {
    struct stage *s = &run->stages[at];
    if (s->held.length == 0) return;
    if (utf8_valid_prefix(s->held.bytes, s->held.length) == s->held.length)
        decoder_feed_token(run, at + 1, s->held.bytes, s->held.length);
    else
        for (size_t i = 0; i < s->held.length; i++)
            decoder_feed_token(run, at + 1, replacement_utf8, sizeof replacement_utf8 - 1);
    text_buffer_clear(&s->held);
}

static void end_fallback(struct decoder_run *run, size_t at) {
    struct stage *s = &run->stages[at];
    int byte = decoder_fallback_byte(&s->token);
    if (byte >= 0) {
        text_buffer_append_byte(&s->held, (char)byte);
        return;
    }
    say_fallback(run, at);
    decoder_feed_token(run, at + 1, s->token.bytes, s->token.length);
}

/* Metaspace: the replacement stands for a blank, but for none in the first token when one was put there. */
static void feed_metaspace(struct decoder_run *run, size_t at, const char *text, size_t length) {
    const struct stage *s = &run->stages[at];
    const struct metaspace *m = &s->step->metaspace;
    bool drop = !s->past_first && m->prepend != METASPACE_NEVER;
    for (size_t i = 0, start = 0; i < length; start = i) {
        if (utf8_next(text, length, &i) != m->replacement)
            decoder_feed(run, at + 1, text + start, i - start);
        else if (!drop)
            decoder_feed(run, at + 1, " ", 1);
    }
}

/* Strip: drops at the start while it may, and holds back at the end what may have to be dropped. */
static void feed_strip(struct decoder_run *run, size_t at, const char *text, size_t length) {
    struct stage *s = &run->stages[at];
    char bytes[UTF8_BYTES_MAX];
    size_t size = utf8_encode(s->step->strip_point, bytes);
    for (size_t i = 0, start = 0; i < length; start = i) {
        bool same = utf8_next(text, length, &i) == s->step->strip_point;
        if (same && s->stripped < s->step->strip_start) {
            s->stripped++;
        } else if (same && s->trailing < s->step->strip_stop) {
            s->stripped = INT64_MAX;
            s->trailing++;
        } else {
            s->stripped = INT64_MAX;
            for (; !same && s->trailing > 0; s->trailing--) decoder_feed(run, at + 1, bytes, size);
            decoder_feed(run, at + 1, text + start, i - start);
        }
    }
}

/* *out, which the next step is given: text with each match of the step's pattern replaced. */
static void replace_matches(struct decoder_run *run, size_t at, const char *text, size_t length,
                            struct text_buffer *out) {
    const struct decoder_step *step = run->stages[at].step;
    struct regex_scan scan;
    size_t done = 0;
    bool found = true;
    enum status status = STATUS_OK;
    text_buffer_clear(out);
    regex_scan_init(&scan, step->regex, run->regex_run, text, length);
    while (may_feed(run, at + 1, out->length)) {
        status = regex_scan_next(&scan, &found, &run->error);
        if (status != STATUS_OK || !found) break;
        text_buffer_append(out, text + done, scan.start - done);
        text_buffer_append(out, step->text.bytes, step->text.length);
        done = scan.end;
    }
    text_buffer_append(out, text + done, length - done);
    keep_failure(run, status);
}

void decoder_replace_all(struct text_buffer *b, const char *from, size_t from_length, const char *to,
                         size_t to_length, struct text_buffer *other) {
    text_buffer_clear(other);
    for (size_t at = 0; at < b->length && !other->failed;) {
        const char *found = memmem(b->bytes + at, b->length - at, from, from_length);
        size_t next = found ? (size_t)(found - b->bytes) : b->length;
        text_buffer_append(other, b->bytes + at, next - at);
        if (found) text_buffer_append(other, to, to_length);
        at = found ? next + from_length : next;
    }
    struct text_buffer swapped = *b;
    *b = *other;
    *other = swapped;
}

/* The tidying of BERT's English, in its order. */
static void clean_up(struct text_buffer *b, struct text_buffer *other) {
    static const char *const pairs[][2] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        decoder_replace_all(b, pairs[i][0], strlen(pairs[i][0]), pairs[i][1], strlen(pairs[i][1]), other);
}

/* WordPiece: the prefix of a token that goes on within a word falls away, and a blank goes before any
 * other. */
static void end_word_piece(struct decoder_run *run, size_t at) {
    struct stage *s = &run->stages[at];
    const struct text_buffer *prefix = &s->step->text;
    size_t skip = 0;
    text_buffer_clear(&run->work);
    if (s->past_first) {
        bool inner = s->token.length >= prefix->length &&
                     (prefix->length == 0 || memcmp(s->token.bytes, prefix->bytes, prefix->length) == 0);
        if (inner) skip = prefix->length;
        if (!inner) text_buffer_append_byte(&run->work, ' ');
    }
    if (s->token.length > skip) text_buffer_append(&run->work, s->token.bytes + skip, s->token.length - skip);
    if (s->step->cleanup) clean_up(&run->work, &run->other);
    struct text_buffer word = run->work; /* the steps behind may use run->work themselves */
    run->work = (struct text_buffer){0};
    decoder_feed_token(run, at + 1, word.bytes, word.length);
    text_buffer_deinit(&run->work);
    run->work = word;
}

/* BPEDecoder: the suffix that ends a word is a blank, but in the last token nothing; so one token waits. */
static void say_held(struct decoder_run *run, size_t at, const char *blank) {
    struct stage *s = &run->stages[at];
    if (!s->past_first) return;
    decoder_replace_all(&s->held, s->step->text.bytes, s->step->text.length, blank, strlen(blank),
                        &run->other);
    decoder_feed_token(run, at + 1, s->held.bytes, s->held.length);
}

static void end_bpe(struct decoder_run *run, size_t at) {
    struct stage *s = &run->stages[at];
    say_held(run, at, " ");
    text_buffer_clear(&s->held);
    text_buffer_append(&s->held, s->token.bytes, s->token.length);
}

static void end_replace(struct decoder_run *run, size_t at) {
    struct stage *s = &run->stages[at];
    replace_matches(run, at, s->token.bytes ? s->token.bytes : "", s->token.length, &s->held);
    decoder_feed_token(run, at + 1, s->held.bytes, s->held.length);
}

static void begin_joined(struct decoder_run *run, size_t at) {
    struct stage *s = &run->stages[at];
    if (!s->in_token && s->past_first) decoder_feed(run, at + 1, " ", 1);
    s->in_token = true;
}

void decoder_feed(struct decoder_run *run, size_t at, const char *text, size_t length) {
    if (!may_feed(run, at, length)) return;
    run->stages[at].fed += length;
    if (at == run->count) {
        text_buffer_append(&run->output, text, length);
        return;
    }
    if (length == 0) return;
    switch (run->stages[at].step->kind) {
    case DECODER_FUSE:
        decoder_feed(run, at + 1, text, length);
        break;
    case DECODER_CHARACTER_MAP:
        text_buffer_append(&run->stages[at].held, text, length);
        decoder_say_mapped(run, at, false);
        break;
    case DECODER_METASPACE:
        feed_metaspace(run, at, text, length);
        break;
    case DECODER_STRIP:
        feed_strip(run, at, text, length);
        break;
    case DECODER_JOIN:
        begin_joined(run, at);
        decoder_feed(run, at + 1, text, length);
        break;
    default:
        text_buffer_append(&run->stages[at].token, text, length);
    }
}

static void end_token(struct decoder_run *run, size_t at) {
    if (at == run->count || run->status != STATUS_OK) return;
    struct stage *s = &run->stages[at];
    switch (s->step->kind) {
    case DECODER_BYTE_LEVEL:
        gather_bytes(s);
        decoder_say_bytes(run, at, false, false);
        break;
    case DECODER_FUSE:
    case DECODER_CHARACTER_MAP:
        break;
    case DECODER_SENTENCE_PIECE:
        decoder_end_piece(run, at);
        break;
    case DECODER_CTRL:
        decoder_end_ctrl(run, at);
        break;
    case DECODER_MOSES:
        decoder_end_moses(run, at);
        break;
    case DECODER_BYTE_FALLBACK:
        end_fallback(run, at);
        break;
    case DECODER_REPLACE:
        end_replace(run, at);
        break;
    case DECODER_WORD_PIECE:
        end_word_piece(run, at);
        break;
    case DECODER_BPE:
        end_bpe(run, at);
        break;
    case DECODER_JOIN:
        begin_joined(run, at); /* fall through */
    case DECODER_METASPACE:
    case DECODER_STRIP:
        end_token(run, at + 1);
        break;
    }
    text_buffer_clear(&s->token);
    s->past_first = true;
    s->in_token = false;
    s->stripped = s->trailing = 0;
    if (s->token.failed || s->held.failed || s->moses.word.failed || s->moses.open_quotes.failed)
        keep_failure(run, text_no_memory(&run->error));
}

/* The text ends at step `at`: it says what it held back, and ends the token that it made of all. */
static void end_text(struct decoder_run *run, size_t at) {
    switch (run->stages[at].step->kind) {
    case DECODER_BYTE_LEVEL:
        decoder_say_bytes(run, at, false, true);
        end_token(run, at + 1);
        break;
    case DECODER_FUSE:
        end_token(run, at + 1);
        break;
    case DECODER_SENTENCE_PIECE:
        decoder_finish_pieces(run, at);
        end_token(run, at + 1);
        break;
    case DECODER_CTRL:
        decoder_finish_ctrl(run, at);
        end_token(run, at + 1);
        break;
    case DECODER_MOSES:
        decoder_finish_moses(run, at);
        end_token(run, at + 1);
        break;
    case DECODER_CHARACTER_MAP:
        decoder_say_mapped(run, at, true);
        end_token(run, at + 1);
        break;
    case DECODER_BYTE_FALLBACK:
        say_fallback(run, at);
        break;
    case DECODER_BPE:
        say_held(run, at, "");
        break;
    default:
        break;
    }
}

static enum status create(size_t count, bool has_regex, struct decoder_run **out, struct error *e) {
    struct decoder_run *run = calloc(1, sizeof *run);
    if (!run) return text_no_memory(e);
    run->stages = calloc(count + 1, sizeof *run->stages);
    enum status status = run->stages ? STATUS_OK : text_no_memory(e);
    if (status == STATUS_OK && has_regex) status = regex_run_create(REGEX_STEPS_DECODING, &run->regex_run, e);
    if (status != STATUS_OK) {
        decoder_run_destroy(run);
        return status;
    }
    run->count = count;
    *out = run;
    return STATUS_OK;
}

enum status decoder_run_create(const struct decoder *d, struct decoder_run **out, struct error *e) {
    enum status status = create(d->count, d->has_regex, out, e);
    if (status != STATUS_OK) return status;
    for (size_t i = 0; i < d->count; i++) {
        (*out)->stages[i].step = &d->steps[i];
        (*out)->stages[i].moses.last = -1;
    }
    return STATUS_OK;
}

static bool copy_buffer(struct text_buffer *to, const struct text_buffer *from) {
    *to = (struct text_buffer){0};
    text_buffer_append(to, from->bytes, from->length);
    return !to->failed;
}

static bool copy_stage(struct stage *to, const struct stage *from) {
    *to = *from;
    bool token = copy_buffer(&to->token, &from->token), held = copy_buffer(&to->held, &from->held);
    bool word = copy_buffer(&to->moses.word, &from->moses.word);
    return copy_buffer(&to->moses.open_quotes, &from->moses.open_quotes) && token && held && word;
}

enum status decoder_run_copy(const struct decoder_run *other, struct decoder_run **out, struct error *e) {
    struct decoder_run *run = NULL;
    assert(other->status == STATUS_OK);
    enum status status = create(other->count, other->regex_run, &run, e);
    if (status != STATUS_OK) return status;
    bool copied = true;
    run->pushed = other->pushed;
    run->stages[run->count].fed = other->stages[run->count].fed;
    for (size_t i = 0; i < run->count && copied; i++) copied = copy_stage(&run->stages[i], &other->stages[i]);
    if (!copied) {
        decoder_run_destroy(run);
        return text_no_memory(e);
    }
    *out = run;
    return STATUS_OK;
}

void decoder_run_destroy(struct decoder_run *run) {
    if (!run) return;
    for (size_t i = 0; i < run->count; i++) {
        text_buffer_deinit(&run->stages[i].token);
        text_buffer_deinit(&run->stages[i].held);
        text_buffer_deinit(&run->stages[i].moses.word);
        text_buffer_deinit(&run->stages[i].moses.open_quotes);
    }
    free(run->stages);
    regex_run_destroy(run->regex_run);
    text_buffer_deinit(&run->output);
    text_buffer_deinit(&run->work);
    text_buffer_deinit(&run->other);
    free(run);
}

static enum status outcome(struct decoder_run *run, struct error *e) {
    if (run->output.failed || run->work.failed || run->other.failed)
        keep_failure(run, text_no_memory(&run->error));
    if (run->status != STATUS_OK && e) *e = run->error;
    return run->status;
}

enum status decoder_run_push(struct decoder_run *run, const char *content, size_t length, struct error *e) {
    run->pushed += length + 1;
    decoder_feed_token(run, 0, content, length);
    return outcome(run, e);
}

enum status decoder_run_finish(struct decoder_run *run, struct error *e) {
    for (size_t at = 0; at < run->count && run->status == STATUS_OK; at++) end_text(run, at);
    return outcome(run, e);
}

enum status decoder_run_peek(const struct decoder_run *run, struct text_buffer *out, struct error *e) {
    struct decoder_run *clone = NULL;
    enum status status = decoder_run_copy(run, &clone, e);
    if (status != STATUS_OK) return status;
    status = decoder_run_finish(clone, e);
    if (status == STATUS_OK) text_buffer_append(out, clone->output.bytes, clone->output.length);
    decoder_run_destroy(clone);
    return status == STATUS_OK ? text_buffer_status(out, e) : status;
}

size_t decoder_whole_length(const char *text, size_t length) {
    const size_t size = sizeof replacement_utf8 - 1;
    while (length >= size && memcmp(text + length - size, replacement_utf8, size) == 0) length -= size;
    return length;
}

struct text_buffer *decoder_run_output(struct decoder_run *run) {
    return &run->output;
}
