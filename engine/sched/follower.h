/* A guess at what a sequence says next: a text is followed from where the tokens before it are the last ones of the
 * sequence. The text is the sequence's own, prompt and answer (what was said once is said again), or a `prediction`
 * that came with the request. Whether the guesses are right is counted with every token, used as drafts or not, by how
 * much of the text agreed before: so what a draft is worth is known before one costs anything. A function of the
 * tokens alone: of no clock and no load. Pure; scheduler thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FOLLOWER_LENGTH_MIN 2 /* tokens that must agree before one is guessed; a single one says too little */
#define FOLLOWER_LENGTH_MAX 16 /* tokens that are compared: more hardly change the odds */
#define FOLLOWER_CLASSES    5  /* of lengths: less than the least, then each twice the one before */
/* Tokens of the text that are looked through when it was lost: some microseconds for a context of 4,096, and a bound
 * for prompts that are made to be slow to look through. */
#define FOLLOWER_SEARCH_MAX 32768

struct follower {
    bool follows;
    bool is_prediction; /* not the sequence's own text */
    size_t at;          /* in the text: the token that is expected next, or was when it was lost */
    size_t length;      /* tokens before it that agree, at most FOLLOWER_LENGTH_MAX */
    size_t right;       /* guesses that were right since the start */
    uint32_t hits[FOLLOWER_CLASSES], trials[FOLLOWER_CLASSES]; /* of late */
};

struct follower_text {
    const int32_t *tokens;
    size_t count;
};

/* Of the sequence's own text nothing is guessed before follower_see has found a place in it. A prediction is expected
 * from its first token on. */
void follower_init(struct follower *f, bool is_prediction);

/* The last token of `said` was added just now. text: as at all other calls, but for what was added at its end; the
 * same as `said` where that is followed. */
void follower_see(struct follower *f, const struct follower_text *text, const struct follower_text *said);

/* Writes the probabilities that the first 1, 2 ... guesses are all right; returns how many guesses there are, at most
 * `most`. */
size_t follower_chances(const struct follower *f, const struct follower_text *text, size_t most,
                        double *chances);

/* Copies that many guesses to where they would stand in the sequence; a text that is followed to its own end goes on
 * there. */
void follower_guess(const struct follower *f, const struct follower_text *text, size_t count, int32_t *out);
