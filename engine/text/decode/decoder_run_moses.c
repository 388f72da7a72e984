/* The step of decoder_run.c that joins Moses' words to a text again: MosesDetokenizer("en") of sacremoses 0.2.0. What becomes
 * of a word depends on those before it and on whether a split hyphen follows, so one word waits. */
#include <string.h>

#include "engine/text/decode/decoder_run_parts.h"
#include "engine/text/unicode/moses_classes.h"
#include "engine/text/unicode/unicode.h"

static const char word_end[] = "</w>", split_hyphen[] = "@-@";

static bool is_text(const struct text_buffer *b, const char *text) {
    return b->length == strlen(text) && memcmp(b->bytes, text, b->length) == 0;
}

/* Entities become characters, in the package's order: what an ampersand gives is looked at no more. */
static void unescape(struct text_buffer *b, struct text_buffer *other) {
    static const char *const pairs[][2] = {
        {"&bar;", "|"},   {"&#124;", "|"}, {"&lt;", "<"},  {"&gt;", ">"},  {"&bra;", "["}, {"&ket;", "]"},
        {"&quot;", "\""}, {"&apos;", "'"}, {"&#91;", "["}, {"&#93;", "]"}, {"&amp;", "&"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (memchr(b->bytes, '&', b->length))
            decoder_replace_all(b, pairs[i][0], strlen(pairs[i][0]), pairs[i][1], strlen(pairs[i][1]), other);
}

/* ---- kinds of words ---------------------------------------------------------------------------------------- */

/* Whether every character is one of these, or of these classes. */
static bool is_all(const struct text_buffer *b, const char *characters, int32_t classes) {
    for (size_t at = 0; at < b->length;) {
        int32_t point = utf8_next(b->bytes, b->length, &at);
        bool found = moses_is(point, classes);
        for (size_t i = 0, length = strlen(characters); !found && i < length;)
            found = utf8_next(characters, length, &i) == point;
        if (!found) return false;
    }
    return true;
}

static int32_t first_of(const struct text_buffer *b) {
    size_t at = 0;
    return utf8_next(b->bytes, b->length, &at);
}

/* An apostrophe, then a letter. */
static bool is_contraction(const struct text_buffer *b) {
    size_t at = 1;
    return b->length > 1 && b->bytes[0] == '\'' &&
           moses_is(utf8_next(b->bytes, b->length, &at), MOSES_PLAIN_ALPHA);
}

/* Whether this quote was open; then it is closed, else opened if it may. The open ones stand in a list, a NUL behind
 * each. */
static bool toggle_quote(struct moses_state *m, const struct text_buffer *quote, bool may_open) {
    const char *name = is_all(quote, "\u201e\u201c", 0) ? "\"" : quote->bytes;
    size_t length = name == quote->bytes ? quote->length : 1;
    for (size_t at = 0; at < m->open_quotes.length;) {
        size_t size = strlen(m->open_quotes.bytes + at);
        if (size == length && memcmp(m->open_quotes.bytes + at, name, length) == 0) {
            memmove(m->open_quotes.bytes + at, m->open_quotes.bytes + at + size + 1,
                    m->open_quotes.length - at - size - 1);
            m->open_quotes.length -= size + 1;
            return true;
        }
        at += size + 1;
    }
    if (may_open) text_buffer_append(&m->open_quotes, name, length);
    if (may_open) text_buffer_append_byte(&m->open_quotes, '\0');
    return false;
}

/* ---- words ------------------------------------------------------------------------------------------------- */

/* Whether a blank goes before the word, and *glues: none behind it. */
static bool takes_blank(struct moses_state *m, const struct text_buffer *word, bool *glues) {
    *glues = false;
    if (moses_is(first_of(word), MOSES_CJK)) return !moses_is(m->last, MOSES_CJK);
    if (is_all(word, "([{\u00bf\u00a1", MOSES_CURRENCY)) {
        *glues = true;
        return true;
    }
    if (is_all(word, ",.?!:;\\%}])", 0)) return false;
    if (m->last >= 0 && is_contraction(word)) return false;
    if (!is_all(word, "'\"\u201e\u201c`", 0)) return true;
    bool possessive = is_text(word, "'") && m->last == 's'; /* the Jones' house */
    *glues = !toggle_quote(m, word, !possessive) && !possessive;
    return *glues;
}

static void say_word(struct decoder_run *run, size_t at) {
    struct moses_state *m = &run->stages[at].moses;
    bool glues;
    if (m->word.length == 0 || m->word.failed) return;
    unescape(&m->word, &run->other);
    if (m->word.failed) return;
    bool blank = takes_blank(m, &m->word, &glues) && m->last >= 0 && !m->glued;
    if (blank) decoder_feed(run, at + 1, " ", 1);
    decoder_feed(run, at + 1, m->word.bytes, m->word.length);
    size_t last = utf8_previous(m->word.bytes, m->word.length);
    m->last = utf8_next(m->word.bytes, m->word.length, &last);
    m->glued = glues;
    text_buffer_clear(&m->word);
}

/* The word that was being read is whole: a split hyphen joins the words around it. */
static void end_word(struct decoder_run *run, size_t at) {
    struct stage *s = &run->stages[at];
    struct moses_state *m = &s->moses;
    if (s->held.length == 0) return;
    bool joins = is_text(&s->held, split_hyphen) && !m->joined;
    if (joins) {
        text_buffer_append_byte(&m->word, '-');
    } else {
        if (!m->joined) say_word(run, at);
        text_buffer_append(&m->word, s->held.bytes, s->held.length);
    }
    m->joined = joins;
    text_buffer_clear(&s->held);
}

void decoder_end_moses(struct decoder_run *run, size_t at) {
    struct stage *s = &run->stages[at];
    const size_t size = sizeof word_end - 1;
    for (size_t i = 0, start = 0; i < s->token.length; start = i) {
        bool ends = s->token.length - i >= size && memcmp(s->token.bytes + i, word_end, size) == 0;
        int32_t point = ends ? '\n' : utf8_next(s->token.bytes, s->token.length, &i);
        bool blank = unicode_is_whitespace(point) || (point >= 0x1C && point <= 0x1F);
        if (ends) i += size;
        if (blank && point != ' ') end_word(run, at);
        if (!blank) text_buffer_append(&s->held, s->token.bytes + start, i - start);
    }
}

void decoder_finish_moses(struct decoder_run *run, size_t at) {
    end_word(run, at);
    say_word(run, at);
}
