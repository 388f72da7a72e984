/* Between decoder_run.c and those of single steps (decoder_run_pieces.c, decoder_run_moses.c): the state of a run, and what
 * its steps do with each other. `at` is the number of a step; the one behind the last is the output. */
#pragma once

#include "engine/text/decode/decoder.h"
#include "engine/text/decode/decoder_step.h"

static const char replacement_utf8[] = "\xEF\xBF\xBD";

/* Moses: words that were joined so far. */
struct moses_state {
    struct text_buffer word;        /* whole, but for a hyphen that may follow */
    struct text_buffer open_quotes; /* those that an even number stands before, a NUL behind each */
    int32_t last;                   /* character of the text; -1: none yet */
    bool joined;                    /* the word ends in a hyphen that the next one is joined to */
    bool glued;                     /* no blank goes before the next word */
};

struct stage {
    const struct decoder_step *step;
    /* What was gathered of the token at hand. */
    struct text_buffer token;
    /* ByteLevel, ByteFallback: bytes that are not text yet; BPEDecoder: the last token; Replace: the
     * result. */
    struct text_buffer held;
    bool past_first; /* a token has ended here before */
    bool in_token;   /* DECODER_JOIN: the token at hand was begun */
    bool goes_on;    /* CTRL: the last token ends in "@@", which is held */
    bool said;       /* SentencePiece, CTRL: the text has begun, and keeps its blanks from here on */
    /* Strip: characters taken at the start of the token, and those held back at its end. */
    int64_t stripped, trailing;
    size_t fed; /* bytes that came to the step, in all tokens */
    struct moses_state moses;
};

struct decoder_run {
    struct stage *stages; /* [count], and one behind them that only counts what comes to the output */
    size_t count;
    size_t pushed; /* bytes of all tokens, and one for each: an empty one may become a blank */
    struct text_buffer output, work, other;
    struct regex_run *regex_run;
    enum status status; /* the first failure, */
    struct error error; /* and its words */
};

/* Gives step `at` a part of a token; or the whole of one, with its end. */
void decoder_feed(struct decoder_run *run, size_t at, const char *text, size_t length);
void decoder_feed_token(struct decoder_run *run, size_t at, const char *text, size_t length);

/* Says what is whole of the held bytes, U+FFFD for what is broken (each_byte: for each byte of it), and at the end for
 * what is incomplete, which waits until then. */
void decoder_say_bytes(struct decoder_run *run, size_t at, bool each_byte, bool is_end);

/* The byte of "<0xNN>", or -1. The library's parser takes "+N" for N. */
int decoder_fallback_byte(const struct text_buffer *token);

/* *b with every `from` replaced by `to`; other is working memory. */
void decoder_replace_all(struct text_buffer *b, const char *from, size_t from_length, const char *to,
                         size_t to_length, struct text_buffer *other);

/* SentencePiece: the token at hand ends; the text ends. */
void decoder_end_piece(struct decoder_run *run, size_t at);
void decoder_finish_pieces(struct decoder_run *run, size_t at);

/* CharacterMap: the longest key that the held text begins with is replaced, once no longer one can come. */
void decoder_say_mapped(struct decoder_run *run, size_t at, bool is_end);

/* CTRL: a blank between two tokens, unless the first ends in "@@", which falls away before another. Blanks that may be
 * the end of the text are held back, and so is "@@". */
void decoder_end_ctrl(struct decoder_run *run, size_t at);
void decoder_finish_ctrl(struct decoder_run *run, size_t at);

/* Moses: a word of its tokenizer ends where a token has "</w>". */
void decoder_end_moses(struct decoder_run *run, size_t at);
void decoder_finish_moses(struct decoder_run *run, size_t at);
