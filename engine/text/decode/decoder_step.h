/* One step of a decoder, between decoder.c (which reads it from the file) and decoder_run.c (which runs
 * it). */
#pragma once

#include "engine/text/decode/decoder.h"
#include "engine/text/normalize/character_map.h"
#include "engine/text/pretokenize/metaspace.h"

enum decoder_kind {
    DECODER_BYTE_LEVEL,
    DECODER_METASPACE,
    DECODER_BYTE_FALLBACK,
    DECODER_FUSE,
    DECODER_STRIP,
    DECODER_REPLACE,
    DECODER_WORD_PIECE,
    DECODER_BPE,
    DECODER_CTRL,
    DECODER_MOSES,
    DECODER_SENTENCE_PIECE,
    DECODER_CHARACTER_MAP, /* SentencePiece's denormalizer */
    DECODER_JOIN,          /* no decoder in the file: blanks between tokens */
};

struct decoder_step {
    enum decoder_kind kind;
    struct metaspace metaspace;
    struct regex *regex;             /* Replace: what is replaced, */
    struct text_buffer text;         /* by this; WordPiece: the prefix; BPEDecoder: the suffix */
    int32_t strip_point;             /* Strip: the character, */
    int64_t strip_start, strip_stop; /* and how many of it at most at either end */
    bool cleanup;                    /* WordPiece */
    /* SentencePiece: "<0xNN>" is a byte; the blank that the text begins with falls away, or all of them */
    bool byte_fallback, strips_first, strips_all;
    struct character_map map;
};
