/* "decoder" of tokenizer.json: contents of tokens -> text. It runs as a pipeline that takes one token at a
 * time and says at once what can no longer change, so that decoding as one goes along and decoding in one go
 * are the same thing. Understood: ByteLevel, Metaspace, ByteFallback, Fuse, Strip, Replace, WordPiece,
 * BPEDecoder, Sequence; and CTRL, Moses and SentencePiece, which are ours (engine/text/sources/vocab_merges.h,
 * sentence_piece_source.h). */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"
#include "engine/files/json_path.h"
#include "engine/text/regex/regex.h"
#include "engine/text/containers/text_buffer.h"

struct decoder_step;

/* Immutable once read. */
struct decoder {
    struct decoder_step *steps;
    size_t count, capacity;
    bool has_regex; /* a step needs a regex_run */
};

/* place: "decoder"; without a value the tokens are joined by blanks. deinit also after an error. */
enum status decoder_init(struct decoder *d, const struct json_path *path, struct error *e);
void decoder_deinit(struct decoder *d);

struct decoder_run;

/* The state of one text; d is borrowed. */
enum status decoder_run_create(const struct decoder *d, struct decoder_run **out, struct error *e);
void decoder_run_destroy(struct decoder_run *run);
/* A run of its own that has seen what the other has, with an empty output. The other must not have failed; it
 * is not changed. */
enum status decoder_run_copy(const struct decoder_run *other, struct decoder_run **out, struct error *e);

/* Adds a token (well-formed UTF-8). What can be said now is appended to the output, in whole characters. Here and at the
 * end STATUS_UNSUPPORTED: a step makes the text some 32 times as long as it was, or its regular expression takes too long. */
enum status decoder_run_push(struct decoder_run *run, const char *content, size_t length, struct error *e);
/* The end of the text: the rest is appended. Push nothing afterwards. */
enum status decoder_run_finish(struct decoder_run *run, struct error *e);
/* What the end of the text would append now, into *out; the run goes on as if nothing had been asked. */
enum status decoder_run_peek(const struct decoder_run *run, struct text_buffer *out, struct error *e);

/* Bytes of a text that are not U+FFFD at its end: there it may stand for a character that is not whole. */
size_t decoder_whole_length(const char *text, size_t length);

/* What was said so far; the caller may clear it or take it. */
struct text_buffer *decoder_run_output(struct decoder_run *run);
