#include "engine/model/config_rotary.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/base/memory.h"

/* Of the base: far beyond any model, and its powers stay finite. */
#define THETA_MIN 1e-6
#define THETA_MAX 1e18

/* ---- scaling ------------------------------------------------------------------------------------------- */

/* Of every number of a scaling: far beyond any model, and what is computed from it stays finite. */
#define FACTOR_MAX 1e6

/* transformers 5 may write one dictionary for each kind of layer. Read as one dictionary, it would have no
 * settings. */
static void refuse_nested(struct config_reader *dictionary) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)dictionary->root, key, value) {
        if (json_is_object(value))
            config_refuse(dictionary, "settings for %.40s apart are not supported", key);
    }
}

/* The kinds of a set are listed as the enumeration has them, so that the place in the list is the kind. */
static_assert(ROTARY_SCALING_LINEAR == 1 && ROTARY_SCALING_DYNAMIC == 2 && ROTARY_SCALING_LLAMA3 == 3 &&
                  ROTARY_SCALING_YARN == 4,
              "the order of the names in read_kind");

/* The kind of scaling. A dictionary with a factor and without a kind is refused: any choice would be a
 * guess. */
static enum rotary_scaling read_kind(struct config_reader *scaling, enum rotary_kinds set) {
    static const char *const old_names[] = {"default", "linear", "dynamic", NULL};
    static const char *const all_names[] = {"default", "linear", "dynamic", "llama3", "yarn", NULL};
    static const char *const longrope_names[] = {"default", "longrope", "su", "yarn", NULL};
    static const char *const *const names[] = {old_names, all_names, longrope_names};
    const char *kind = config_text(scaling, "rope_type", NULL), *old = config_text(scaling, "type", kind);
    bool renamed = set == ROTARY_KINDS_LONGROPE && kind && strcmp(kind, "longrope") == 0;
    if (kind && old && strcmp(kind, old) != 0 && !renamed)
        config_refuse(scaling, "type=\"%.40s\" and rope_type=\"%.40s\" contradict each other", old, kind);
    if (!old && config_has(scaling, "factor")) config_refuse(scaling, "has a factor and no rope_type");
    size_t choice = config_choice(scaling, kind ? "rope_type" : "type", "default", names[set]);
    if (set == ROTARY_KINDS_LONGROPE) return choice ? ROTARY_SCALING_LONGROPE : ROTARY_SCALING_NONE;
    return (enum rotary_scaling)choice;
}

/* The context of the training, before scaling. The versions of the library disagree on whether a key outside the
 * dictionary counts, but in families that have a default for it: elsewhere it may only say the same. */
static size_t read_context(struct config_reader *r, struct config_reader *scaling, size_t family_default,
                           size_t context) {
    static const char key[] = "original_max_position_embeddings";
    size_t loose = config_size(r, key, family_default ? family_default : context, 1, MODEL_CONTEXT_MAX);
    size_t own = config_size(scaling, key, family_default ? loose : context, 1, MODEL_CONTEXT_MAX);
    if ((config_has(r, key) || family_default) && loose != own)
        config_refuse(scaling, "%s=%zu contradicts the key of that name outside, which says %zu", key, own,
                      loose);
    return own;
}

static void read_llama3(struct config_reader *scaling, struct rotary *rotary) {
    rotary->slow = config_real(scaling, "low_freq_factor", 0, 1e-9, FACTOR_MAX);
    rotary->fast = config_real(scaling, "high_freq_factor", 0, 1e-9, FACTOR_MAX);
    if (!(rotary->slow > 0 && rotary->fast > rotary->slow))
        config_refuse(scaling, "llama3 scaling needs low_freq_factor and, above it, high_freq_factor");
}

/* How much longer contexts weaken attention: the temperature of the paper, by a weight. */
static double yarn_temperature(double factor, double weight) {
    return factor <= 1 ? 1 : 0.1 * weight * log(factor) + 1;
}

/* 0 means the default, as in the library. */
static double read_or(struct config_reader *scaling, const char *key, double fallback) {
    double value = config_real(scaling, key, 0, 0, FACTOR_MAX);
    return value > 0 ? value : fallback;
}

static void read_yarn(struct config_reader *scaling, struct rotary *rotary) {
    double own = config_real(scaling, "mscale", 0, 0, FACTOR_MAX);
    double all = config_real(scaling, "mscale_all_dim", 0, 0, FACTOR_MAX);
    double factor = yarn_temperature(rotary->factor, 1);
    if (own > 0 && all > 0)
        factor = yarn_temperature(rotary->factor, own) / yarn_temperature(rotary->factor, all);
    rotary->attention_factor = config_real(scaling, "attention_factor", factor, 1e-9, FACTOR_MAX);
    rotary->fast = read_or(scaling, "beta_fast", 32);
    rotary->slow = read_or(scaling, "beta_slow", 1);
    rotary->truncate = config_bool(scaling, "truncate", true);
    if (rotary->fast < rotary->slow) config_refuse(scaling, "beta_fast is below beta_slow");
    if (!(rotary->theta > 1)) config_refuse(scaling, "yarn scaling needs a rope_theta above 1");
}

/* A positive factor for each pair. */
static double *read_factors(struct config_reader *scaling, const char *key, size_t pairs) {
    const json_t *list = config_value(scaling, key);
    double *factors = memory_aligned(pairs ? pairs : 1, sizeof *factors, key, &scaling->error);
    if (json_array_size(list) != pairs)
        config_refuse(scaling, "%s has %zu numbers, expected one for each of %zu pairs", key,
                      json_array_size(list), pairs);
    for (size_t i = 0; factors && i < pairs; i++) {
        factors[i] = json_number_value(json_array_get(list, i));
        if (!(factors[i] > 0 && factors[i] <= FACTOR_MAX))
            config_refuse(scaling, "%s holds something other than numbers above 0", key);
    }
    return factors;
}

/* The factor is the ratio of the contexts; a key that says otherwise counts in some versions of the library. */
static void read_longrope(struct config_reader *scaling, size_t context, struct rotary *rotary) {
    double ratio = (double)context / (double)rotary->scaling_context;
    double factor = ratio > 1 ? sqrt(1 + log(ratio) / log((double)rotary->scaling_context)) : 1;
    if (config_real(scaling, "factor", ratio, 0, FACTOR_MAX) != ratio)
        config_refuse(scaling, "factor is not the ratio of the contexts, %g", ratio);
    rotary->attention_factor = config_real(scaling, "attention_factor", factor, 1e-9, FACTOR_MAX);
    rotary->short_factor = read_factors(scaling, "short_factor", rotary->dimensions / 2);
    rotary->long_factor = read_factors(scaling, "long_factor", rotary->dimensions / 2);
}

static void read_factor(struct config_reader *scaling, struct rotary *rotary) {
    double factor = config_real(scaling, "factor", 0, 1, FACTOR_MAX);
    if (rotary->scaling == ROTARY_SCALING_NONE) return;
    if (factor == 0) config_refuse(scaling, "factor is missing");
    rotary->factor = factor;
}

/* The scaling in {rope_type, factor, ...}, as rope_scaling or within rope_parameters; base and rotated dimensions are
 * known already. r is the reader around the dictionary, context the model's. */
static void read_scaling(struct config_reader *r, struct config_reader *scaling,
                         const struct rotary_keys *keys, size_t context, struct rotary *rotary) {
    /* Neither linear nor dynamic scaling reads it in any version of the library. */
    static const char *const ignored[] = {"original_max_position_embeddings", NULL};
    refuse_nested(scaling);
    rotary->scaling = read_kind(scaling, keys->kinds);
    if (rotary->scaling != ROTARY_SCALING_LONGROPE) read_factor(scaling, rotary);
    config_know(scaling, ignored);
    if (rotary->scaling >= ROTARY_SCALING_LLAMA3) /* and those behind it: yarn, longrope */
        rotary->scaling_context = read_context(r, scaling, keys->scaling_context, context);
    if (config_failed(r) || config_failed(scaling)) return;
    if (rotary->scaling == ROTARY_SCALING_LLAMA3) read_llama3(scaling, rotary);
    if (rotary->scaling == ROTARY_SCALING_YARN) read_yarn(scaling, rotary);
    if (rotary->scaling == ROTARY_SCALING_LONGROPE) read_longrope(scaling, context, rotary);
}

/* ---- base, rotated part, both spellings ------------------------------------------------------------- */

struct settings {
    const struct rotary_keys *keys;
    double theta, fraction;
};

static void set_base(struct config_reader *r, const struct settings *s, const struct model_description *d,
                     struct rotary *rotary) {
    if (!s->keys->fraction && s->fraction != 1)
        config_refuse(r, "partial_rotary_factor=%g: this family rotates whole heads", s->fraction);
    rotary->theta = s->theta;
    rotary->dimensions = (size_t)((double)d->head_dim * s->fraction);
}

/* A dictionary of rope_parameters: base, rotated part, scaling. */
static void read_parameters(struct config_reader *r, struct config_reader *inner, struct settings s,
                            const struct model_description *d, struct rotary *rotary) {
    s.theta = config_real(inner, "rope_theta", s.theta, THETA_MIN, THETA_MAX);
    s.fraction = config_real(inner, "partial_rotary_factor", s.fraction, 0, 1);
    set_base(r, &s, d, rotary);
    read_scaling(r, inner, s.keys, d->context, rotary);
}

/* The dictionary of one kind of layer, where it is there. */
static void read_layers_of(struct config_reader *r, struct config_reader *outer, const char *key,
                           struct settings s, const struct model_description *d, struct rotary *rotary) {
    struct config_reader inner;
    set_base(r, &s, d, rotary);
    if (!config_object(outer, key, &inner)) return;
    read_parameters(r, &inner, s, d, rotary);
    config_object_end(outer, &inner);
}

/* Two bases: by kind of layer where rope_parameters is there; else rope_scaling is of the full layers alone. */
static void read_two_bases(struct config_reader *r, struct settings s, struct model_description *d) {
    struct config_reader inner;
    struct settings local = s;
    local.theta = config_real(r, s.keys->local_theta, s.keys->local_theta_default, THETA_MIN, THETA_MAX);
    set_base(r, &s, d, &d->rotary);
    set_base(r, &local, d, &d->local_rotary);
    if (config_object(r, "rope_parameters", &inner)) {
        if (config_has(&inner, "rope_type") || config_has(&inner, "rope_theta") || config_has(&inner, "type"))
            config_refuse(&inner, "is not one dictionary for each of full_attention and sliding_attention");
        read_layers_of(r, &inner, "full_attention", s, d, &d->rotary);
        read_layers_of(r, &inner, "sliding_attention", local, d, &d->local_rotary);
        config_object_end(r, &inner);
    } else if (config_object(r, "rope_scaling", &inner)) {
        read_scaling(r, &inner, s.keys, d->context, &d->rotary);
        config_object_end(r, &inner);
    }
}

static void read_one_base(struct config_reader *r, struct settings s, struct model_description *d) {
    struct config_reader inner;
    set_base(r, &s, d, &d->rotary);
    if (config_object(r, "rope_parameters", &inner)) {
        if (s.keys->theta_default_of_parameters > 0 && json_object_size(inner.root) &&
            !config_has(r, s.keys->theta))
            s.theta = s.keys->theta_default_of_parameters;
        read_parameters(r, &inner, s, d, &d->rotary);
        config_object_end(r, &inner);
    } else if (config_object(r, "rope_scaling", &inner)) {
        read_scaling(r, &inner, s.keys, d->context, &d->rotary);
        config_object_end(r, &inner);
    }
}

/* A dynamic base stays as it is up to the context of the training and grows with longer sequences. */
static void set_dynamic(struct config_reader *r, size_t context, struct rotary *rotary) {
    if (rotary->dimensions <= 2)
        config_refuse(r, "dynamic rotary scaling needs more than 2 rotated dimensions");
    rotary->scaling_context = context;
}

/* The library has the frequencies theta^(-2i/r) of an odd r, one more than r/2, and so rotates r + 1
 * dimensions. The same frequencies over r + 1 are those of theta^((r + 1)/r). */
static void round_up(struct config_reader *r, struct rotary *rotary) {
    double odd = (double)rotary->dimensions;
    if (rotary->scaling == ROTARY_SCALING_DYNAMIC)
        config_refuse(r, "dynamic rotary scaling needs an even number of rotated dimensions, found %g", odd);
    rotary->theta = pow(rotary->theta, (odd + 1) / odd);
    rotary->dimensions++;
}

/* The context that a scaled model reaches. */
static size_t scaled_context(const struct rotary *rotary, size_t context) {
    double scaled = rotary->factor * (double)rotary->scaling_context;
    bool grows = rotary->scaling == ROTARY_SCALING_DYNAMIC || rotary->scaling == ROTARY_SCALING_YARN;
    if (!grows || scaled <= (double)context) return context;
    return scaled < MODEL_CONTEXT_MAX ? (size_t)scaled : MODEL_CONTEXT_MAX;
}

static void finish(struct config_reader *r, const struct rotary_keys *keys, size_t context,
                   struct rotary *rotary) {
    if (keys->rounds_up && rotary->dimensions % 2) round_up(r, rotary);
    if (rotary->scaling == ROTARY_SCALING_DYNAMIC) set_dynamic(r, context, rotary);
}

void config_rotary(struct config_reader *r, const struct rotary_keys *keys, struct model_description *d) {
    const char *fraction_key = keys->fraction ? keys->fraction : "partial_rotary_factor";
    struct settings s = {
        .keys = keys,
        .theta = config_real(r, keys->theta, keys->theta_default, THETA_MIN, THETA_MAX),
        .fraction = config_real(r, fraction_key, keys->fraction ? keys->fraction_default : 1, 0, 1),
    };
    if (config_has(r, "rope_parameters") && config_has(r, "rope_scaling"))
        config_refuse(r, "rope_parameters and rope_scaling are both there: expected one of them");
    d->position = POSITION_ROTARY;
    if (keys->local_theta)
        read_two_bases(r, s, d);
    else
        read_one_base(r, s, d);
    finish(r, keys, d->context, &d->rotary);
    finish(r, keys, d->context, &d->local_rotary);
    d->context = scaled_context(&d->rotary, d->context);
}
