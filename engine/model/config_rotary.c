#include "engine/model/config_rotary.h"

#include <math.h>
#include <string.h>

#define THETA_MIN  1e-6
#define THETA_MAX  1e18
#define FACTOR_MAX 1e6

struct settings {
    double theta, fraction;
};

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

/* The kind of scaling. A dictionary with a factor and without a kind is refused: any choice would be a
 * guess. */
static enum rotary_scaling read_kind(struct config_reader *scaling) {
    static const char *const kinds[] = {"default", "linear", "dynamic", NULL};
    const char *kind = config_text(scaling, "rope_type", NULL), *old = config_text(scaling, "type", kind);
    if (kind && old && strcmp(kind, old) != 0)
        config_refuse(scaling, "type=\"%.40s\" and rope_type=\"%.40s\" contradict each other", old, kind);
    if (!old && config_has(scaling, "factor")) config_refuse(scaling, "has a factor and no rope_type");
    return (enum rotary_scaling)config_choice(scaling, kind ? "rope_type" : "type", "default", kinds);
}

static void read_scaling(struct config_reader *scaling, struct model_description *d) {
    /* Neither linear nor dynamic scaling reads it in any version of the library. */
    static const char *const ignored[] = {"original_max_position_embeddings", NULL};
    refuse_nested(scaling);
    d->rotary.scaling = read_kind(scaling);
    double factor = config_real(scaling, "factor", 0, 1, FACTOR_MAX);
    config_know(scaling, ignored);
    if (d->rotary.scaling == ROTARY_SCALING_NONE) return;
    if (factor == 0) config_refuse(scaling, "factor is missing");
    d->rotary.factor = factor;
}

static void read_dictionary(struct config_reader *r, const struct rotary_keys *keys, struct settings *s,
                            struct model_description *d) {
    struct config_reader inner;
    if (config_has(r, "rope_parameters") && config_has(r, "rope_scaling"))
        config_refuse(r, "rope_parameters and rope_scaling are both there: expected one of them");
    if (config_object(r, "rope_parameters", &inner)) {
        if (keys->theta_default_of_parameters > 0 && json_object_size(inner.root) &&
            !config_has(r, keys->theta))
            s->theta = keys->theta_default_of_parameters;
        s->theta = config_real(&inner, "rope_theta", s->theta, THETA_MIN, THETA_MAX);
        s->fraction = config_real(&inner, "partial_rotary_factor", s->fraction, 0, 1);
        read_scaling(&inner, d);
        config_object_end(r, &inner);
    } else if (config_object(r, "rope_scaling", &inner)) {
        read_scaling(&inner, d);
        config_object_end(r, &inner);
    }
}

/* A dynamic base stays as it is up to the context of the training and grows with longer sequences. */
static void describe_dynamic(struct config_reader *r, struct model_description *d) {
    if (d->rotary.dimensions <= 2)
        config_refuse(r, "dynamic rotary scaling needs more than 2 rotated dimensions");
    d->rotary.scaling_context = d->context;
    double context = d->rotary.factor * (double)d->context;
    d->context = context < MODEL_CONTEXT_MAX ? (size_t)context : MODEL_CONTEXT_MAX;
}

/* The library has the frequencies theta^(-2i/r) of an odd r, one more than r/2, and so rotates r + 1
 * dimensions. The same frequencies over r + 1 are those of theta^((r + 1)/r). */
static void round_up(struct config_reader *r, struct model_description *d) {
    double odd = (double)d->rotary.dimensions;
    if (d->rotary.scaling == ROTARY_SCALING_DYNAMIC)
        config_refuse(r, "dynamic rotary scaling needs an even number of rotated dimensions, found %g", odd);
    d->rotary.theta = pow(d->rotary.theta, (odd + 1) / odd);
    d->rotary.dimensions++;
}

void config_rotary(struct config_reader *r, const struct rotary_keys *keys, struct model_description *d) {
    const char *fraction_key = keys->fraction ? keys->fraction : "partial_rotary_factor";
    struct settings s = {
        .theta = config_real(r, keys->theta, keys->theta_default, THETA_MIN, THETA_MAX),
        .fraction = config_real(r, fraction_key, keys->fraction ? keys->fraction_default : 1, 0, 1),
    };
    read_dictionary(r, keys, &s, d);
    if (!keys->fraction && s.fraction != 1)
        config_refuse(r, "partial_rotary_factor=%g: this family rotates whole heads", s.fraction);
    d->position = POSITION_ROTARY;
    d->rotary.theta = s.theta;
    d->rotary.dimensions = (size_t)((double)d->head_dim * s.fraction);
    if (keys->rounds_up && d->rotary.dimensions % 2) round_up(r, d);
    if (d->rotary.scaling == ROTARY_SCALING_DYNAMIC) describe_dynamic(r, d);
}
