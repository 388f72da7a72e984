#include "engine/sched/follower.h"

#define TRIALS_MAX   128 /* then both counts are halved: what is long ago counts less */
#define PRIOR_TRIALS 4   /* so many are assumed at first, with these odds: */
static const double own_priors[FOLLOWER_CLASSES] = {0.3, 0.15, 0.3, 0.5, 0.8};
static const double prediction_priors[FOLLOWER_CLASSES] = {0.5, 0.5, 0.6, 0.7, 0.9};
/* Tokens that agreed before one that did not: then the text may go on behind it as before. */
#define RESUMED_LENGTH_MIN 4

void follower_init(struct follower *f, bool is_prediction) {
    *f = (struct follower){.follows = is_prediction, .is_prediction = is_prediction};
}

/* ---- the odds ------------------------------------------------------------------------------------------ */

/* The first class is of places behind a token that did not agree. */
static size_t class_of(size_t length) {
    size_t found = 1;
    if (length < FOLLOWER_LENGTH_MIN) return 0;
    for (size_t least = 2 * FOLLOWER_LENGTH_MIN; found + 1 < FOLLOWER_CLASSES && length >= least; least *= 2)
        found++;
    return found;
}

static double chance(const struct follower *f, size_t length) {
    size_t of = class_of(length);
    double prior = (f->is_prediction ? prediction_priors : own_priors)[of];
    return (f->hits[of] + PRIOR_TRIALS * prior) / (f->trials[of] + PRIOR_TRIALS);
}

static void count_trial(struct follower *f, bool is_right) {
    size_t of = class_of(f->length);
    f->right += is_right;
    f->hits[of] += is_right;
    if (++f->trials[of] < TRIALS_MAX) return;
    f->trials[of] /= 2;
    f->hits[of] /= 2;
}

/* ---- the place ----------------------------------------------------------------------------------------- */

/* Tokens before place i of the text that are the last ones said. */
static size_t agreement(const struct follower_text *text, size_t i, const struct follower_text *said) {
    size_t most = i < said->count ? i : said->count, length = 0;
    if (most > FOLLOWER_LENGTH_MAX) most = FOLLOWER_LENGTH_MAX;
    while (length < most && text->tokens[i - 1 - length] == said->tokens[said->count - 1 - length]) length++;
    return length;
}

/* Takes the place if it is better than what was found; false once nothing can be. */
static bool look_at(struct follower *f, const struct follower_text *text, size_t i,
                    const struct follower_text *said) {
    size_t length = agreement(text, i, said);
    if (length > f->length) {
        f->length = length;
        f->at = i;
    }
    return f->length < FOLLOWER_LENGTH_MAX;
}

/* The newest of the longest: what was said last is the likeliest. */
static void find_newest(struct follower *f, const struct follower_text *text,
                        const struct follower_text *said) {
    size_t left = text->count > 0 ? text->count - 1 : 0;
    int32_t last = said->tokens[said->count - 1];
    if (left > FOLLOWER_SEARCH_MAX) left = FOLLOWER_SEARCH_MAX;
    for (size_t i = text->count - 1; left > 0; i--, left--)
        if (text->tokens[i - 1] == last && !look_at(f, text, i, said)) return;
}

/* The next of the longest behind where it was lost, then from the start: an answer departs from its prediction and
 * comes back to it. */
static void find_next(struct follower *f, const struct follower_text *text,
                      const struct follower_text *said) {
    size_t from = f->at, left = text->count < FOLLOWER_SEARCH_MAX ? text->count : FOLLOWER_SEARCH_MAX;
    for (size_t i = from; left > 0; left--, i++) {
        if (i >= text->count) i = 0;
        if (!look_at(f, text, i, said)) return;
    }
}

/* One token was another: a number, a name. Unless a place is found that is as likely, it goes on behind it. */
static bool resume(struct follower *f, const struct follower_text *text, size_t lost_at, size_t lost_length) {
    if (lost_length < RESUMED_LENGTH_MIN || lost_at + 1 >= text->count) return false;
    if (f->length >= FOLLOWER_LENGTH_MIN && chance(f, f->length) >= chance(f, 0)) return false;
    f->at = lost_at + 1;
    f->length = 0;
    return true;
}

static void find(struct follower *f, const struct follower_text *text, const struct follower_text *said) {
    size_t lost_at = f->at, lost_length = f->follows ? f->length : 0;
    f->length = 0;
    if (f->is_prediction)
        find_next(f, text, said);
    else
        find_newest(f, text, said);
    f->follows = resume(f, text, lost_at, lost_length) || f->length >= FOLLOWER_LENGTH_MIN;
    if (!f->follows) f->at = lost_at;
}

void follower_see(struct follower *f, const struct follower_text *text, const struct follower_text *said) {
    bool is_right = f->follows && text->tokens[f->at] == said->tokens[said->count - 1];
    if (f->follows) count_trial(f, is_right);
    if (is_right) {
        f->at++;
        if (f->length < FOLLOWER_LENGTH_MAX) f->length++;
    }
    if (!is_right || f->at >= text->count) find(f, text, said);
}

/* ---- guesses ------------------------------------------------------------------------------------------- */

size_t follower_chances(const struct follower *f, const struct follower_text *text, size_t most,
                        double *chances) {
    if (!f->follows) return 0;
    size_t left = text->count - f->at;
    if (f->is_prediction && left < most) most = left;
    double all = 1;
    for (size_t i = 0; i < most; i++) {
        size_t length = f->length + i;
        chances[i] = all *= chance(f, length);
    }
    return most;
}

void follower_guess(const struct follower *f, const struct follower_text *text, size_t count, int32_t *out) {
    for (size_t i = 0; i < count; i++) out[i] = text->tokens[f->at + i];
}
