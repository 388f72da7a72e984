#include "engine/model/config_rotary.h"

#include <math.h>

#include "engine/model/config_rope_scaling.h"

/* Of the base: far beyond any model, and its powers stay finite. */
#define THETA_MIN 1e-6
#define THETA_MAX 1e18

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
    config_rope_scaling(r, inner, s.keys, d->context, rotary);
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
        config_rope_scaling(r, &inner, s.keys, d->context, &d->rotary);
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
        config_rope_scaling(r, &inner, s.keys, d->context, &d->rotary);
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
