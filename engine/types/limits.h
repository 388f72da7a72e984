/* Limits that more than one stage needs to know, each said once. Those that an operator may change are options. */
#pragma once

#include <stddef.h>

/* Of the text of one token (engine/text/token_texts.h); a longer one is cut at a character. The longest of known
 * vocabularies are below 300 bytes. */
#define TOKEN_TEXT_BYTES_MAX 1023

/* Positions in a block of keys, which attention computes together: a page of the cache has whole blocks. */
#define KV_PAGE_TOKENS_STEP 16

/* Tokens that end a text by themselves. Models name one to five. */
#define END_TOKENS_MAX 16

/* Of the names of unknown keys of config.json, in a message or in /version; what does not fit is left out. */
#define CONFIG_UNKNOWN_BYTES_MAX 256

/* Of a text that is turned into ids, whoever it comes from. */
#define TEXT_BYTES_MAX ((size_t)64 << 20)

/* What a request, an option and a model's generation_config.json may say. */
#define TEMPERATURE_MAX        2
#define REPETITION_PENALTY_MIN 0.01
#define REPETITION_PENALTY_MAX 100

/* Continuations that are computed for one prompt: n, and best_of. */
#define CHOICES_OF_PROMPT_MAX 128

/* A stop string longer than this is not a stop string but an attempt to make the engine hold text back. */
#define STOP_BYTES_MAX 4096

/* Threads of the pool that reads bodies and encodes texts; libuv has no more. */
#define POOL_THREADS_MAX 1024

/* Tokens that int4 weights are calibrated with, and the fewest (docs/performance.md has figures for both). */
#define CALIBRATE_TOKENS     16384
#define CALIBRATE_TOKENS_MIN 2048

/* What `verify` allows unless it is told otherwise (engine/verify/verify.h says why); as help prints them. */
#define VERIFY_BOUND_F32 0.0002 /* largest difference of a logit, in standard deviations */
#define VERIFY_RISE_BF16 0.0005 /* largest relative rise of the perplexity */
#define VERIFY_RISE_INT8 0.002
#define VERIFY_RISE_INT4 0.03
