#include "engine/model/generation_config.h"

#include <math.h>

#include "engine/base/name_list.h"

/* Keys that change what the library generates, and the value that does not; no counterpart here. */
static const struct {
    const char *key;
    double neutral;
} unapplied[] = {
    {"diversity_penalty", 0}, {"encoder_repetition_penalty", 1},
    {"epsilon_cutoff", 0},    {"eta_cutoff", 0},
    {"guidance_scale", 1},    {"min_length", 0},
    {"min_new_tokens", 0},    {"no_repeat_ngram_size", 0},
    {"num_beams", 1},         {"penalty_alpha", 0},
};

/* The same where any value changes it. */
static const char *const lists[] = {
    "bad_words_ids",       "begin_suppress_tokens", "exponential_decay_length_penalty",
    "force_words_ids",     "forced_bos_token_id",   "forced_decoder_ids",
    "forced_eos_token_id", "sequence_bias",         "suppress_tokens"};

static void note(struct generation_defaults *d, const char *key) {
    name_list_add(d->unapplied, sizeof d->unapplied, key);
}

static void read_number(struct generation_defaults *d, struct generation_default *out, const json_t *value,
                        const char *key, double least, double most, bool whole) {
    if (!value || json_is_null(value)) return;
    double number = json_is_number(value) ? json_number_value(value) : NAN;
    if (number >= least && number <= most && (!whole || number == floor(number)))
        *out = (struct generation_default){.is_said = true, .value = number};
    else
        note(d, key);
}

void generation_defaults_read(struct generation_defaults *d, const json_t *root) {
    *d = (struct generation_defaults){0};
#define X(field, key, least, most, whole)                                                                    \
    read_number(d, &d->field, json_object_get(root, key), key, least, most, whole);
    GENERATION_DEFAULT_LIST(X)
#undef X
    for (size_t i = 0; i < sizeof unapplied / sizeof *unapplied; i++) {
        const json_t *value = json_object_get(root, unapplied[i].key);
        if (json_is_number(value) && json_number_value(value) != unapplied[i].neutral)
            note(d, unapplied[i].key);
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const json_t *value = json_object_get(root, lists[i]);
        if (value && !json_is_null(value)) note(d, lists[i]);
    }
}
