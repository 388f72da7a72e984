/* The steps of decoder_run.c that are ours: SentencePiece with its denormalizer, and CTRL. */
#include <string.h>

#include "engine/text/decode/decoder_run_parts.h"
#include "engine/text/unicode/unicode.h"

static bool ends_in(const struct text_buffer *b, const char *end, size_t length) {
    return b->length >= length && memcmp(b->bytes + b->length - length, end, length) == 0;
}

/* Blanks as Python strips them. */
static bool is_blank(int32_t point) {
    return unicode_is_whitespace(point) || (point >= 0x1C && point <= 0x1F);
}

/* How much of a text of so many bytes is left when the blanks at its end go. */
static size_t length_without_blanks(const char *text, size_t length) {
    while (length > 0) {
        size_t last = utf8_previous(text, length), at = last;
        if (!is_blank(utf8_next(text, length, &at))) break;
        length = last;
    }
    return length;
}

/* CTRL: says so many of the held bytes, but no blanks at the start of the text. */
static void say_words(struct decoder_run *run, size_t at, size_t length) {
    struct stage *s = &run->stages[at];
    size_t start = 0;
    for (size_t next = 0; !s->said && next < length;) {
        if (!is_blank(utf8_next(s->held.bytes, length, &next))) s->said = true;
        if (!s->said) start = next;
    }
    decoder_feed(run, at + 1, s->held.bytes + start, length - start);
    text_buffer_drop_front(&s->held, length);
}

static const char word_goes_on[] = "@@";

void decoder_end_ctrl(struct decoder_run *run, size_t at) {
    struct stage *s = &run->stages[at];
    const size_t size = sizeof word_goes_on - 1;
    if (s->past_first && s->goes_on)
        s->held.length -= size;
    else if (s->past_first)
        text_buffer_append_byte(&s->held, ' ');
    text_buffer_append(&s->held, s->token.bytes, s->token.length);
    s->goes_on = ends_in(&s->token, word_goes_on, size);
    if (s->held.length == 0 || s->held.failed) return;
    size_t certain = s->held.length - (s->goes_on ? size : 0);
    say_words(run, at, length_without_blanks(s->held.bytes, certain));
}

void decoder_finish_ctrl(struct decoder_run *run, size_t at) {
    const struct text_buffer *held = &run->stages[at].held;
    if (held->length > 0) say_words(run, at, length_without_blanks(held->bytes, held->length));
}

/* SentencePiece: U+FFFD for each byte of a run that is part of no character. */
static void say_piece_bytes(struct decoder_run *run, size_t at, bool is_end) {
    struct stage *s = &run->stages[at];
    size_t held = s->held.length;
    decoder_say_bytes(run, at, true, is_end);
    if (s->held.length < held) s->said = true;
}

void decoder_finish_pieces(struct decoder_run *run, size_t at) {
    say_piece_bytes(run, at, true);
}

void decoder_end_piece(struct decoder_run *run, size_t at) {
    static const char symbol[] = "\xE2\x96\x81"; /* U+2581, which stands for a blank */
    struct stage *s = &run->stages[at];
    const struct decoder_step *step = s->step;
    const size_t size = sizeof symbol - 1;
    int byte = step->byte_fallback ? decoder_fallback_byte(&s->token) : -1;
    if (byte >= 0) {
        text_buffer_append_byte(&s->held, (char)byte);
        say_piece_bytes(run, at, false);
        return;
    }
    say_piece_bytes(run, at, true);
    bool starts_blank = s->token.length >= size && memcmp(s->token.bytes, symbol, size) == 0;
    bool strips = step->strips_first && !s->said && starts_blank;
    if (strips) text_buffer_drop_front(&s->token, size);
    if (strips && !step->strips_all) s->said = true;
    if (s->token.length > 0) s->said = true;
    decoder_replace_all(&s->token, symbol, size, " ", 1, &run->other);
    decoder_feed_token(run, at + 1, s->token.bytes, s->token.length);
}

void decoder_say_mapped(struct decoder_run *run, size_t at, bool is_end) {
    struct stage *s = &run->stages[at];
    size_t done = 0;
    while (done < s->held.length) {
        const char *text = s->held.bytes + done;
        size_t length = s->held.length - done, key = 0;
        bool open;
        const char *found = character_map_longest(&s->step->map, text, length, &key, &open);
        if (open && !is_end) break;
        if (!found) utf8_next(text, length, &key);
        decoder_feed(run, at + 1, found ? found : text, found ? strlen(found) : key);
        done += key;
    }
    text_buffer_drop_front(&s->held, done);
}
